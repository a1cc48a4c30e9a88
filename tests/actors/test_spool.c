/* SPDX-License-Identifier: MPL-2.0 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drop.h"
#include "err.h"
#include "municipality.h"
#include "partner.h"

#define CONSENT ";Luovutusperuste;Suostumuspäivä\n"
#define GIVEN   ";customer_consent;2.1.2026\n"

static const char good[] = "Y-tunnus;Yritys;Palvelu;Vastaanottaja" CONSENT
                           "2617416-4;Kone Oy;rahoitus (lainat ja takaukset);finnvera" GIVEN
                           "1484332-4;Puu Oy;starttiraha;te-office" GIVEN;

static rig_t *begin(kap_node_t **node, const char *more)
{
    rig_t *rig = rig_new();
    *node = rig_node_open(rig, MUNICIPALITY, &kap_municipality, more ? more : DROP_CONF);
    return rig;
}

Test(spool, a_file_becomes_referrals_and_is_gone_once_durable, .timeout = 60)
{
    kap_node_t *node;
    rig_t *rig = begin(&node, NULL);
    drop_file(rig, "spool/in/siirrot.csv", good);
    drop_until_gone(rig, "spool/in/siirrot.csv");
    cr_assert_eq(drop_waiting(node), 2);
    cr_assert_eq(drop_count(rig, "spool/refused"), 0);
    cr_assert_eq(drop_count(rig, "spool/done"), 0);
    rig_destroy(&rig);
}

Test(spool, the_same_file_again_changes_nothing, .timeout = 60)
{
    kap_node_t *node;
    rig_t *rig = begin(&node, NULL);
    for (int i = 0; i < 3; i++) {
        drop_file(rig, i ? "spool/in/toinen-kerta.csv" : "spool/in/kerta.csv", good);
        drop_until_gone(rig, i ? "spool/in/toinen-kerta.csv" : "spool/in/kerta.csv");
        cr_assert_eq(drop_waiting(node), 2);
    }
    rig_node_close(rig, MUNICIPALITY);
    node = rig_node_open(rig, MUNICIPALITY, &kap_municipality, DROP_CONF);
    drop_file(rig, "spool/in/kerta.csv", good);
    drop_until_gone(rig, "spool/in/kerta.csv");
    cr_assert_eq(drop_waiting(node), 2);
    rig_destroy(&rig);
}

Test(spool, good_rows_go_through_and_refused_ones_lie_beside_their_reasons, .timeout = 60)
{
    kap_node_t *node;
    rig_t *rig = begin(&node, NULL);
    drop_file(rig, "spool/in/siirrot.csv",
              "Yritys;Palvelu;Vastaanottaja" CONSENT "Kone Oy;vienti;finnvera" GIVEN
              "Puu Oy;hauki;finnvera" GIVEN "Levy Oy;vienti;ahven" GIVEN
              "Hetu 131052-308T;vienti;finnvera" GIVEN);
    drop_until_gone(rig, "spool/in/siirrot.csv");
    cr_assert_eq(drop_waiting(node), 1);
    char *text = drop_text(rig, "spool/refused/siirrot.csv");
    cr_assert(strstr(text, "Yritys;Palvelu;Vastaanottaja;Luovutusperuste;Suostumuspäivä;"
                           "kapula_file;kapula_line;kapula_column;kapula_reason\r\n"),
              "%s", text);
    cr_assert(strstr(text, "\r\nPuu Oy;hauki;finnvera;customer_consent;2.1.2026;siirrot.csv;3;"
                           "Palvelu;'hauki' is not one of startup-advice"),
              "%s", text);
    cr_assert(strstr(text, "siirrot.csv;4;Vastaanottaja;"), "%s", text);
    cr_assert(strstr(text, "there is no member 'ahven'"), "%s", text);
    cr_assert(strstr(text, "Hetu ***********;"), "%s", text);
    cr_assert_null(strstr(text, "308T"));
    cr_assert_null(strstr(text, "Kone Oy"));
    struct stat st;
    cr_assert_eq(stat(drop_path(rig, "spool/refused/siirrot.csv"), &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0600);
    free(text);
    /* mended and dropped again: only what was refused goes through */
    drop_file(rig, "spool/in/siirrot.csv",
              "Yritys;Palvelu;Vastaanottaja;Luovutusperuste;Suostumuspäivä;kapula_file;kapula_line;"
              "kapula_column;kapula_reason\nPuu Oy;vienti;finnvera;customer_consent;2.1.2026;"
              "siirrot.csv;3;Palvelu;x\n");
    drop_until_gone(rig, "spool/in/siirrot.csv");
    cr_assert_eq(drop_waiting(node), 2);
    rig_destroy(&rig);
}

Test(spool, of_a_company_with_several_needs_only_the_refused_ones_come_back, .timeout = 60)
{
    kap_node_t *node;
    rig_t *rig = begin(&node, NULL);
    drop_file(rig, "spool/in/harava-2026.csv",
              "Yritys;Palvelutarpeet;Kampanja;Luovutusperuste;Suostumuspäivä\n"
              "Kone Oy;\"starttiraha, hauki, vienti\";Harava 2026;customer_consent;2.1.2026\n");
    drop_until_gone(rig, "spool/in/harava-2026.csv");
    char *text = drop_text(rig, "spool/refused/harava-2026.csv");
    cr_assert_eq(drop_waiting(node), 1); /* nobody offers export in the region */
    cr_assert(strstr(text, "\r\nKone Oy;hauki, vienti;Harava 2026;"), "%s", text);
    cr_assert(strstr(text, "hauki: 'hauki' is not one of"), "%s", text);
    cr_assert(strstr(text, "vienti: no member offers export in mikkeli"), "%s", text);
    free(text);
    rig_destroy(&rig);
}

Test(spool, a_tally_sheet_counts_and_a_file_kept_in_done_is_private, .timeout = 60)
{
    kap_node_t *node;
    rig_t *rig = begin(&node, "spool: { directory = \"spool\"; settle = \"0ms\"; "
                              "keep_done = \"1h\"; };\n");
    drop_file(rig, "spool/in/tukkimies.csv",
              "Kuukausi;finnvera;te-office;PRH\n9/2026;4;2;\n10/2026;3;0;1\n");
    drop_until_gone(rig, "spool/in/tukkimies.csv");
    char *text = drop_text(rig, "spool/refused/tukkimies.csv");
    cr_assert_str_eq(text, "");
    free(text);
    cr_assert_eq(drop_waiting(node), 4);
    struct stat st;
    cr_assert_eq(stat(drop_path(rig, "spool/done/tukkimies.csv"), &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0600);
    rig_destroy(&rig);
}

Test(spool, json_lines_go_the_same_way, .timeout = 60)
{
    kap_node_t *node;
    rig_t *rig = begin(&node, NULL);
    drop_file(rig, "spool/in/siirrot.jsonl",
              "{\"service\":\"export\",\"to\":\"finnvera\",\"company\":\"Kone Oy\","
              "\"basis\":{\"disclosure\":\"not_secret\",\"gdpr\":\"6.1.e\"}}\n"
              "{\"service\":\"hauki\",\"to\":\"finnvera\"}\nnot json\n");
    drop_until_gone(rig, "spool/in/siirrot.jsonl");
    cr_assert_eq(drop_waiting(node), 1);
    char *text = drop_text(rig, "spool/refused/siirrot.jsonl");
    cr_assert(strstr(text,
                     "{\"service\":\"hauki\",\"to\":\"finnvera\",\"kapula_file\":"
                     "\"siirrot.jsonl\",\"kapula_line\":\"2\",\"kapula_column\":\"service\","),
              "%s", text);
    cr_assert(strstr(text, "{\"text\":\"not json\",\"kapula_file\""), "%s", text);
    free(text);
    rig_destroy(&rig);
}

Test(spool, a_file_that_cannot_be_read_moves_away_whole_with_its_reason, .timeout = 60)
{
    kap_node_t *node;
    rig_t *rig = begin(&node, "spool: { directory = \"spool\"; settle = \"0ms\"; "
                              "max_bytes = \"2KiB\"; };\n");
    static const struct {
        const char *name, *text, *reason;
    } bad[] = {
        {"torn.csv", "Palvelu;Yritys\nvienti;\"Kone", "torn.csv:2: a quote is opened here"},
        {"latin.csv", "Palvelu\nty\xf6\n", "save it as CSV UTF-8"},
        {"header.csv", "Palvelu;Hauki\nvienti;x\n", "header.csv:1: Hauki: no such column"},
        {"empty.csv", "", "the file is empty"},
    };
    char name[100];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        snprintf(name, sizeof name, "spool/in/%s", bad[i].name);
        drop_file(rig, name, bad[i].text);
        drop_until_gone(rig, name);
        snprintf(name, sizeof name, "spool/refused/%s", bad[i].name);
        cr_assert(drop_is_there(rig, name), "%s", name);
        snprintf(name, sizeof name, "spool/refused/%s.reason.txt", bad[i].name);
        char *text = drop_text(rig, name);
        cr_assert(strstr(text, bad[i].reason), "%s: %s", bad[i].name, text);
        free(text);
    }
    char *large = calloc(1, 4000);
    memset(large, 'x', 3999);
    drop_file(rig, "spool/in/large.csv", large);
    free(large);
    drop_until_gone(rig, "spool/in/large.csv");
    char *text = drop_text(rig, "spool/refused/large.csv.reason.txt");
    cr_assert(strstr(text, "3999 bytes, at most 2048"), "%s", text);
    free(text);
    cr_assert_eq(drop_waiting(node), 0);
    rig_destroy(&rig);
}

Test(spool, half_written_files_are_never_read, .timeout = 60)
{
    kap_node_t *node;
    rig_t *rig = begin(&node, NULL);
    drop_file(rig, "spool/in/a.csv.part", good);
    drop_file(rig, "spool/in/b.tmp", good);
    drop_file(rig, "spool/in/.c.csv", good);
    int fd = open(drop_path(rig, "spool/in/d.csv"), O_WRONLY | O_CREAT, 0644);
    cr_assert_eq(write(fd, good, 60), 60);
    rig_turns(rig, 3000);
    cr_assert_eq(drop_waiting(node), 0);
    cr_assert_eq(drop_count(rig, "spool/in"), 4);
    cr_assert_eq(write(fd, good + 60, sizeof good - 61), (ssize_t)sizeof good - 61);
    close(fd);
    drop_until_gone(rig, "spool/in/d.csv");
    cr_assert_eq(drop_waiting(node), 2);
    cr_assert_eq(drop_count(rig, "spool/in"), 3);
    rig_destroy(&rig);
}

Test(spool, a_file_that_changed_just_now_is_left_to_settle, .timeout = 60)
{
    kap_node_t *node;
    rig_t *rig = begin(&node, "spool: { directory = \"spool\"; settle = \"2s\"; };\n");
    drop_file(rig, "spool/in/a.csv", good);
    rig_turns(rig, 1000);
    cr_assert(drop_is_there(rig, "spool/in/a.csv"));
    drop_until_gone(rig, "spool/in/a.csv");
    cr_assert_eq(drop_waiting(node), 2);
    rig_destroy(&rig);
}

Test(spool, links_pipes_and_odd_names_stay_unread, .timeout = 60)
{
    kap_node_t *node;
    rig_t *rig = begin(&node, NULL);
    drop_file(rig, "outside.csv", good);
    cr_assert_eq(symlink(drop_path(rig, "outside.csv"), drop_path(rig, "spool/in/link.csv")), 0);
    cr_assert_eq(symlink("..", drop_path(rig, "spool/in/up.csv")), 0);
    cr_assert_eq(link(drop_path(rig, "outside.csv"), drop_path(rig, "spool/in/hard.csv")), 0);
    cr_assert_eq(mkfifo(drop_path(rig, "spool/in/pipe.csv"), 0600), 0);
    cr_assert_eq(mkdir(drop_path(rig, "spool/in/folder.csv"), 0700), 0);
    drop_file(rig, "spool/in/..csv", good);
    drop_file(rig, "spool/in/-rf.csv", good);
    drop_file(rig, "spool/in/new\nline.csv", good);
    drop_file(rig, "spool/in/semi;colon.csv", good);
    drop_file(rig, "spool/in/\xff.csv", good);
    drop_file(rig, "spool/in/131052-308T.csv", good);
    drop_file(rig, "spool/in/run.sh", good);
    size_t before = drop_count(rig, "spool/in");
    drop_file(rig, "spool/in/kunnon äänite 2.csv", good);
    drop_until_gone(rig, "spool/in/kunnon äänite 2.csv");
    rig_turns(rig, 300);
    cr_assert_eq(drop_waiting(node), 2);
    cr_assert_eq(drop_count(rig, "spool/in"), before);
    cr_assert_eq(drop_count(rig, "spool/refused"), 0);
    rig_destroy(&rig);
}

/* --- crashes --- */

/* A file of `rows` rows, each seventh refused. */
static void drop_many(const rig_t *rig, const char *name, int rows)
{
    char *text = malloc((size_t)rows * 100 + 200);
    size_t at = (size_t)sprintf(text, "Oma viite;Palvelu;Vastaanottaja" CONSENT);
    for (int i = 0; i < rows; i++)
        at +=
            (size_t)sprintf(text + at, "r%d;%s;finnvera" GIVEN, i, i % 7 == 6 ? "hauki" : "vienti");
    drop_file(rig, name, text);
    free(text);
}

static size_t lines_of(const char *text)
{
    size_t n = 0;
    while ((text = strchr(text, '\n'))) {
        text++;
        n++;
    }
    return n;
}

static pid_t daemon_start(const rig_t *rig)
{
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, 2);
        execl(KAP_TEST_BIN_DIR "/kapula-municipality", "kapula-municipality", "-c",
              drop_path(rig, "child.conf"), (char *)NULL);
        _exit(127);
    }
    cr_assert_gt(pid, 0);
    return pid;
}

Test(spool, a_kill_in_mid_file_neither_loses_nor_doubles_a_row, .timeout = 120)
{
    enum { ROWS = 4200, REFUSED = 600, KILLS = 12 };
    kap_node_t *node;
    rig_t *rig = begin(&node, "spool: { directory = \"spool\"; settle = \"0ms\"; batch = 50; };\n");
    FILE *conf = fopen(drop_path(rig, "child.conf"), "w");
    cr_assert_eq(kap_conf_print(kap_node_conf(node), conf), KAP_OK);
    fclose(conf);
    rig_node_close(rig, MUNICIPALITY);
    drop_many(rig, "spool/in/siirrot.csv", ROWS);
    unsigned seed = (unsigned)getpid();
    cr_log_info("seed %u", seed);
    int in_mid_file = 0;
    for (int i = 0; i < KILLS; i++) {
        pid_t pid = daemon_start(rig);
        rig_turns(rig, 60 + rand_r(&seed) % 240);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        in_mid_file += drop_is_there(rig, "spool/in/siirrot.csv");
    }
    cr_expect_geq(in_mid_file, 2, "the kills came too late to mean anything: %d", in_mid_file);
    node = rig_node_open(rig, MUNICIPALITY, &kap_municipality,
                         "spool: { directory = \"spool\"; settle = \"0ms\"; batch = 50; };\n");
    drop_until_gone(rig, "spool/in/siirrot.csv");
    rig_turns(rig, 50);
    cr_assert_eq(drop_waiting(node), ROWS - REFUSED);
    char *text = drop_text(rig, "spool/refused/siirrot.csv");
    cr_assert_eq(lines_of(text), REFUSED + 1);
    free(text);
    cr_assert_eq(drop_count(rig, "spool/refused"), 1);
    rig_destroy(&rig);
}

Test(spool, refused_rows_that_were_taken_away_meanwhile_are_laid_beside_anew, .timeout = 120)
{
    kap_node_t *node;
    rig_t *rig = begin(&node, "spool: { directory = \"spool\"; settle = \"0ms\"; batch = 50; };\n");
    drop_many(rig, "spool/in/siirrot.csv", 2100);
    while (drop_waiting(node) < 500)
        rig_turns(rig, 1);
    rig_node_close(rig, MUNICIPALITY);
    cr_assert(drop_is_there(rig, "spool/in/siirrot.csv"));
    char command[200];
    snprintf(command, sizeof command, "rm %s/spool/refused/.*.part", rig->dir);
    cr_assert_eq(system(command), 0);
    node = rig_node_open(rig, MUNICIPALITY, &kap_municipality, DROP_CONF);
    drop_until_gone(rig, "spool/in/siirrot.csv");
    cr_assert_eq(drop_waiting(node), 1800);
    char *text = drop_text(rig, "spool/refused/siirrot.csv");
    cr_assert_eq(lines_of(text), 301);
    free(text);
    rig_destroy(&rig);
}

Test(spool, a_full_outbox_makes_the_file_wait_and_loses_nothing, .timeout = 120)
{
    kap_node_t *node;
    rig_t *rig = rig_new();
    rig_broker_start(rig);
    rig->broker->deaf = true;
    node = rig_node_open(rig, MUNICIPALITY, &kap_municipality,
                         "outbox: { max_events = 100; };\n"
                         "spool: { directory = \"spool\"; settle = \"0ms\"; batch = 50; };\n");
    drop_many(rig, "spool/in/siirrot.csv", 210);
    rig_turns(rig, 500);
    cr_assert(drop_is_there(rig, "spool/in/siirrot.csv"));
    cr_assert_leq(drop_waiting(node), 100);
    rig->broker->deaf = false;
    drop_until_gone(rig, "spool/in/siirrot.csv");
    rig_until(rig, rig_is_empty, node, "the outbox is empty");
    cr_assert_eq(rig_count(rig, "kapula.referral.created.v1"), 180);
    rig_destroy(&rig);
}

Test(spool, a_hundred_thousand_rows_are_taken_while_the_loop_goes_on, .timeout = 300)
{
    enum { ROWS = 100000 };
    kap_node_t *node;
    rig_t *rig = begin(&node, NULL);
    char *text = malloc(ROWS * 60 + 200);
    size_t at = (size_t)sprintf(text, "Kuukausi;Mihin;Palvelu;Määrä\n");
    for (int i = 0; i < ROWS; i++)
        at += (size_t)sprintf(text + at, "%d-%02d;finnvera;vienti;%d\n", 2000 + i / 12 % 20,
                              1 + i % 12, i);
    drop_file(rig, "spool/in/tukkimies.csv", text);
    free(text);
    int64_t begun = kap_monotonic_ms(), last = begun, longest = 0;
    while (drop_is_there(rig, "spool/in/tukkimies.csv")) {
        rig_turns(rig, 1);
        int64_t now = kap_monotonic_ms();
        longest = now - last > longest ? now - last : longest;
        last = now;
    }
    cr_log_warn("100,000 rows in %lld ms, longest turn %lld ms",
                (long long)(kap_monotonic_ms() - begun), (long long)longest);
    cr_assert_eq(drop_waiting(node), ROWS);
    rig_destroy(&rig);
}

Test(spool, answers_of_a_campaign_are_the_municipalitys_alone, .timeout = 60)
{
    static const char harava[] = "Yritys;Palvelutarpeet;Luovutusperuste;Suostumuspäivä\n"
                                 "Kone Oy;starttiraha;customer_consent;2.1.2026\n";
    rig_t *rig = rig_new();
    kap_node_t *node = rig_node_open(rig, MENTOR, &kap_partner, DROP_CONF);
    drop_file(rig, "spool/in/harava.csv", harava);
    drop_until_gone(rig, "spool/in/harava.csv");
    cr_assert_eq(drop_waiting(node), 0);
    char *text = drop_text(rig, "spool/refused/harava.csv.reason.txt");
    cr_assert(strstr(text, "rows of the kind 'harava' are not taken by this daemon"), "%s", text);
    free(text);
    rig_node_close(rig, MENTOR);
    node = rig_node_open(rig, MUNICIPALITY, &kap_municipality, DROP_CONF);
    drop_file(rig, "spool/in/harava.csv", harava);
    drop_until_gone(rig, "spool/in/harava.csv");
    cr_assert_eq(drop_waiting(node), 1);
    rig_destroy(&rig);
}
