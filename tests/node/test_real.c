/* SPDX-License-Identifier: MPL-2.0 */
/* Nodes and the real broker, which judges: what a node lets through is what the broker takes. */
#include <criterion/criterion.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "err.h"
#include "rig.h"

enum { MUNICIPALITY, TE_OFFICE, FINNVERA, MENTOR };

#define BASIS                                                                                      \
    "basis.disclosure", "customer_consent", "basis.gdpr", "6.1.a", "basis.consent_date",           \
        "2026-01-02"

extern char **environ;

typedef struct {
    rig_t *rig;
    pid_t pid;
    char conf[200];
} real_t;

static int free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    close(fd);
    return ntohs(at.sin_port);
}

/* It dies with the test, and writes into the test's folder. */
static void broker_run(real_t *real)
{
    char program[300], log[200];
    char setpriv[] = "setpriv", death[] = "--pdeathsig", sig[] = "KILL", option[] = "-c";
    posix_spawn_file_actions_t files;
    snprintf(program, sizeof program, "%s/kapula-broker", KAP_TEST_BIN_DIR);
    snprintf(log, sizeof log, "%s/broker.log", real->rig->dir);
    char *argv[] = {setpriv, death, sig, program, option, real->conf, NULL};
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    posix_spawn_file_actions_adddup2(&files, 1, 2);
    cr_assert_eq(posix_spawnp(&real->pid, setpriv, &files, NULL, argv, environ), 0);
    posix_spawn_file_actions_destroy(&files);
}

static void broker_end(real_t *real, int signo)
{
    int status;
    kill(real->pid, signo);
    cr_assert_eq(waitpid(real->pid, &status, 0), real->pid);
}

static void real_start(real_t *real)
{
    char path[200];
    rig_t *rig = real->rig = rig_new();
    snprintf(rig->broker->endpoint, sizeof rig->broker->endpoint, "tcp://127.0.0.1:%d",
             free_port());
    snprintf(path, sizeof path, "%s/broker.key", rig->dir);
    cr_assert_eq(kap_curve_write(path, rig->broker->curve), KAP_OK);
    snprintf(real->conf, sizeof real->conf, "%s/broker.conf", rig->dir);
    FILE *file = fopen(real->conf, "w");
    fprintf(file,
            "endpoint = \"%s\";\nstore = \"ledger\";\ndirectory = \"directory.json\";\n"
            "keys = \"broker.key\";\nlog = \"%s\";\n",
            rig->broker->endpoint, getenv("KAPULA_TEST_LOG") ? "info" : "error");
    fclose(file);
    broker_run(real);
}

static void real_end(real_t *real)
{
    rig_destroy(&real->rig);
    broker_end(real, SIGTERM);
}

typedef struct {
    kap_node_t *node;
    uint64_t act;
    kap_act_fate_t fate;
} fate_wanted_t;

static bool is_final(rig_t *rig, void *arg)
{
    fate_wanted_t *wanted = arg;
    (void)rig;
    return kap_act_fate(wanted->node, wanted->act, &wanted->fate) == KAP_OK &&
           wanted->fate.fate != KAP_FATE_QUEUED;
}

/* The act was taken here, and by the broker. */
static kap_act_result_t committed(real_t *real, int member, kap_act_result_t result)
{
    fate_wanted_t wanted = {.node = real->rig->nodes[member], .act = result.act};
    cr_assert(result.accepted, "%s %s (%s)", result.code, result.sentence, result.field);
    rig_until(real->rig, is_final, &wanted, "the fate");
    cr_assert_eq(wanted.fate.fate, KAP_FATE_COMMITTED, "%s: %s: %s",
                 kap_act_verb_word(wanted.fate.verb), wanted.fate.code, wanted.fate.sentence);
    return result;
}

static void nodes_open(real_t *real)
{
    rig_node_open(real->rig, MUNICIPALITY, &rig_actor, NULL);
    rig_node_open(real->rig, TE_OFFICE, &rig_actor, NULL);
}

static void delivered(real_t *real, const char *kind, char id[201])
{
    rig_t *rig = real->rig;
    kap_act_result_t r = committed(real, MUNICIPALITY,
                                   rig_act(rig->nodes[MUNICIPALITY], "refer", "to", "te-office",
                                           "service", "recruitment", "kind", kind, BASIS, "company",
                                           "Kone Oy", "business_id", "2617416-4", NULL));
    memcpy(id, r.subject, sizeof r.subject);
    rig_until_state(rig, rig->nodes[TE_OFFICE], id, "delivered");
    rig_until_state(rig, rig->nodes[MUNICIPALITY], id, "delivered");
}

Test(real, the_broker_takes_every_act_on_a_referral, .timeout = 120)
{
    real_t real;
    char a[201], b[201], c[201], d[201], e[201];
    real_start(&real);
    nodes_open(&real);
    kap_node_t *sender = real.rig->nodes[MUNICIPALITY], *office = real.rig->nodes[TE_OFFICE];
    delivered(&real, "transfer", a);
    committed(&real, TE_OFFICE, rig_act(office, "accept", "referral", a, "role", "other", NULL));
    committed(&real, TE_OFFICE,
              rig_act(office, "hold", "referral", a, "reason", "waiting_customer", NULL));
    committed(&real, TE_OFFICE, rig_act(office, "resume", "referral", a, NULL));
    committed(&real, TE_OFFICE,
              rig_act(office, "contacted", "referral", a, "result", "reached", NULL));
    committed(&real, MUNICIPALITY,
              rig_act(sender, "note", "referral", a, "note", "soitelkaa", NULL));
    committed(&real, MUNICIPALITY,
              rig_act(sender, "share", "referral", a, "with", "finnvera", BASIS, "company", "Kone",
                      NULL));
    committed(&real, TE_OFFICE,
              rig_act(office, "complete", "referral", a, "outcome", "handled", NULL));
    rig_until_state(real.rig, sender, a, "completed");
    committed(&real, MUNICIPALITY,
              rig_act(sender, "feedback", "referral", a, "scale", "4", "score", "3", NULL));
    delivered(&real, "transfer", b);
    committed(&real, TE_OFFICE,
              rig_act(office, "decline", "referral", b, "reason", "no_capacity", NULL));
    rig_until_state(real.rig, sender, b, "declined");
    committed(&real, MUNICIPALITY,
              rig_act(sender, "void", "referral", b, "reason", "mistake", NULL));
    delivered(&real, "transfer", c);
    committed(&real, MUNICIPALITY,
              rig_act(sender, "withdraw", "referral", c, "reason", "customer_request", NULL));
    delivered(&real, "guidance", d);
    committed(&real, TE_OFFICE, rig_act(office, "did-not-come", "referral", d, NULL));
    committed(&real, TE_OFFICE, rig_act(office, "came", "referral", d, NULL));
    delivered(&real, "lead", e);
    committed(&real, MUNICIPALITY, rig_act(sender, "consent-withdrawn", "referral", e, NULL));
    rig_until(real.rig, rig_is_empty, sender, "all receipted");
    rig_until(real.rig, rig_is_empty, office, "all receipted");
    real_end(&real);
}

Test(real, the_broker_takes_every_other_act, .timeout = 120)
{
    real_t real;
    real_start(&real);
    nodes_open(&real);
    kap_node_t *node = real.rig->nodes[MUNICIPALITY], *office = real.rig->nodes[TE_OFFICE];
    int who = MUNICIPALITY;
    committed(&real, who,
              rig_act(node, "forum", "forum", "tyoryhma", "forum_kind", "working_group", "rrule",
                      "FREQ=MONTHLY", "dtstart", "2026-01-15 09:00", NULL));
    kap_act_result_t plan = committed(
        &real, who,
        rig_act(node, "meeting-plan", "forum", "tyoryhma", "starts_at", "15.12.2026 09:00", NULL));
    committed(&real, who,
              rig_act(node, "meeting-move", "meeting", plan.subject, "starts_at",
                      "2026-12-16 09:00", NULL));
    committed(&real, who,
              rig_act(node, "meeting-hold", "meeting", plan.subject, "attendance",
                      "municipality, te-office=remote", NULL));
    committed(&real, TE_OFFICE, rig_act(office, "meeting-attend", "meeting", plan.subject, NULL));
    kap_act_result_t action = committed(
        &real, who, rig_act(node, "action-agree", "meeting", plan.subject, "what", "soitto", NULL));
    committed(&real, who, rig_act(node, "action-done", "action", action.subject, NULL));
    kap_act_result_t other = committed(
        &real, who,
        rig_act(node, "meeting-plan", "starts_at", "2026-12-20 10:00", "forum_kind", "plot", NULL));
    committed(&real, who, rig_act(node, "meeting-cancel", "meeting", other.subject, NULL));
    committed(&real, who, rig_act(node, "meeting-hold", "forum_kind", "joint_visit", NULL));
    committed(&real, who,
              rig_act(node, "tally", "to", "te-office", "period", "2025", "count", "12", NULL));
    committed(&real, who,
              rig_act(node, "report", "type", "advice.given", "service", "startup-advice",
                      "segment", "founder", "channel", "phone", "count", "2", NULL));
    committed(&real, who, rig_act(node, "report", "type", "plan.item_set", "what", "messut", NULL));
    committed(&real, who,
              rig_act(node, "report", "type", "capacity.set", "capacity", "limited", NULL));
    kap_act_result_t asked =
        committed(&real, TE_OFFICE,
                  rig_act(office, "statement-ask", "statement_kind", "startup_grant", "to",
                          "municipality", "company", "Uusi Oy", NULL));
    kap_act_result_t given = {0};
    for (int i = 0; i < 500 && !given.accepted; i++) {
        given = rig_act(node, "statement-give", "statement", asked.subject, "statement_result",
                        "for", "note", "puollan", NULL);
        rig_turns(real.rig, 10);
    }
    committed(&real, who, given);
    real_end(&real);
}

Test(real, a_redirect_is_one_group, .timeout = 120)
{
    real_t real;
    char id[201];
    real_start(&real);
    nodes_open(&real);
    kap_node_t *mentor = rig_node_open(real.rig, MENTOR, &rig_actor, NULL);
    delivered(&real, "transfer", id);
    kap_act_result_t r =
        committed(&real, TE_OFFICE,
                  rig_act(real.rig->nodes[TE_OFFICE], "redirect", "referral", id, "reason",
                          "wrong_service", "next.to", "mentor", "next.service", "mentoring", NULL));
    rig_until_state(real.rig, mentor, r.next, "delivered");
    rig_until_state(real.rig, real.rig->nodes[MUNICIPALITY], id, "redirected");
    real_end(&real);
}

Test(real, a_broker_killed_again_and_again_loses_nothing, .timeout = 180)
{
    enum { ROUNDS = 5, EACH = 20 };
    real_t real;
    char ids[ROUNDS * EACH][201];
    real_start(&real);
    nodes_open(&real);
    kap_node_t *sender = real.rig->nodes[MUNICIPALITY];
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < EACH; i++) {
            kap_act_result_t r = rig_act(sender, "refer", "to", "te-office", "service",
                                         "recruitment", BASIS, "company", "Kone Oy", NULL);
            cr_assert(r.accepted);
            memcpy(ids[round * EACH + i], r.subject, 201);
        }
        rig_turns(real.rig, 20 * (round + 1));
        broker_end(&real, SIGKILL);
        broker_run(&real);
    }
    for (int i = 0; i < ROUNDS * EACH; i++)
        rig_until_state(real.rig, sender, ids[i], "delivered");
    rig_until(real.rig, rig_is_empty, sender, "all receipted");
    real_end(&real);
}

Test(real, a_node_from_an_old_copy_goes_on, .timeout = 120)
{
    real_t real;
    char id[201];
    real_start(&real);
    nodes_open(&real);
    delivered(&real, "transfer", id);
    rig_node_close(real.rig, MUNICIPALITY);
    rig_store_copy(real.rig, MUNICIPALITY, "store", "copy");
    rig_node_open(real.rig, MUNICIPALITY, &rig_actor, NULL);
    delivered(&real, "transfer", id);
    delivered(&real, "transfer", id);
    rig_node_close(real.rig, MUNICIPALITY);
    rig_store_copy(real.rig, MUNICIPALITY, "copy", "store");
    kap_node_t *node = rig_node_open(real.rig, MUNICIPALITY, &rig_actor, NULL);
    rig_until_state(real.rig, node, id, "delivered");
    delivered(&real, "transfer", id);
    real_end(&real);
}
