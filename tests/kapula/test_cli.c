/* SPDX-License-Identifier: MPL-2.0 */
/* The program itself: exit codes, configuration, silence, --help and the man page. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "door.h"

static door_t *door;

static void begin(void)
{
    door = door_open();
}

static void end(void)
{
    door_close(&door);
}

TestSuite(cli, .init = begin, .fini = end, .timeout = 90);

#define has(text, part) cr_expect(strstr(text, part), "no %s in:\n%s", part, text)

static const struct {
    const char *name, *help;
} commands[] = {
#define KAP_COMMAND(name, function, help) {name, help},
#include "commands.def"
#undef KAP_COMMAND
};
#define MESH "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

enum { COMMANDS = sizeof commands / sizeof *commands };

static int lines(const char *text)
{
    int n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

Test(cli, a_door_that_is_silent_costs_the_timeout_and_exit_code_3)
{
    static const char *const asks[] = {
        "inbox",     "outbox",     "acts",         "show r-1",        "health",
        "directory", "forum list", "meeting list", "action list",     "edges",
        "follow",    "export",     "refer --to x", "answer r-1 note", "health --quiet"};
    door_conf(door, "timeout", "\"200ms\"");
    for (size_t i = 0; i < sizeof asks / sizeof *asks; i++) {
        if (strcmp(asks[i], "follow") == 0)
            continue; /* waits for events by its nature; see below */
        const run_t *run = door_kapula(door, asks[i]);
        cr_expect_eq(run->code, 3, "%s: %d: %s", asks[i], run->code, run->err);
        cr_expect_eq(lines(run->err), strstr(asks[i], "quiet") ? 0 : 1, "%s: %s", asks[i],
                     run->err);
        cr_expect_lt(run->took_ms, 15000, "%s", asks[i]);
    }
}

Test(cli, nobody_at_the_door_is_exit_code_3)
{
    door_conf(door, "timeout", "\"200ms\"");
    door_conf(door, "endpoint", "\"ipc:///tmp/kapula-nobody-listens-here\"");
    const run_t *run = door_kapula(door, "inbox");
    cr_expect_eq(run->code, 3);
    has(run->err, "is not reachable: is the node running?");
}

Test(cli, a_node_without_broker_is_not_reachable_for_questions)
{
    door_answers(door, "edges",
                 "{\"error\": {\"code\": \"local.unreachable\", \"sentence\": "
                 "\"the broker cannot be reached from this node\"}}");
    const run_t *run = door_kapula(door, "edges");
    cr_expect_eq(run->code, 3);
    cr_expect_str_eq(run->err, "kapula: the broker cannot be reached from this node\n");
}

Test(cli, bad_configurations_are_usage_with_file_and_line)
{
    door_conf(door, "mesh", "\"zz\"");
    const run_t *run = door_kapula(door, "inbox");
    cr_expect_eq(run->code, 2);
    has(run->err, "kapula.conf:2: mesh");
    door_conf(door, "mesh", "\"xx112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"");
    run = door_kapula(door, "inbox");
    cr_expect_eq(run->code, 2);
    cr_expect_eq(lines(run->err), 1, "%s", run->err);
    door_conf(door, "nonsense", "1");
    cr_expect_eq(door_kapula(door, "inbox")->code, 2);
}

Test(cli, no_configuration_is_usage)
{
    setenv("XDG_CONFIG_HOME", "/nonexistent", 1);
    const run_t *run = door_kapula(door, "-c /nonexistent/kapula.conf inbox");
    cr_expect_eq(run->code, 2);
    cr_expect_eq(lines(run->err), 1, "%s", run->err);
    has(run->err, "/nonexistent/kapula.conf");
}

Test(cli, a_broker_needs_keys)
{
    door_conf(door, "endpoint", "\"tcp://127.0.0.1:1\"");
    const run_t *run = door_kapula(door, "health");
    cr_expect_eq(run->code, 2);
    has(run->err, "it needs key and broker_public");
}

Test(cli, what_only_a_node_knows_is_not_asked_of_the_broker)
{
    door_conf(door, "endpoint", "\"tcp://127.0.0.1:1\"");
    static const char *const asks[] = {"inbox", "outbox", "acts", "refer --to x"};
    for (size_t i = 0; i < sizeof asks / sizeof *asks; i++) {
        const run_t *run = door_kapula(door, asks[i]);
        cr_expect_eq(run->code, 2, "%s", asks[i]);
        has(run->err, "only a member's node");
    }
}

Test(cli, unknown_commands_options_and_formats_are_usage)
{
    cr_expect_eq(door_kapula(door, "nonsense")->code, 2);
    has(door_kapula(door, "nonsense")->err, "there is no command nonsense");
    cr_expect_eq(door_kapula(door, "")->code, 2);
    cr_expect_eq(door_kapula(door, "inbox --nonsense")->code, 2);
    cr_expect_eq(door_kapula(door, "--format xml inbox")->code, 2);
    cr_expect_eq(door_kapula(door, "inbox --format xml")->code, 2);
    cr_expect_eq(door_kapula(door, "inbox --lang de")->code, 2);
    cr_expect_eq(door_kapula(door, "show")->code, 2);
    cr_expect_eq(door_kapula(door, "keygen")->code, 2);
    cr_expect_eq(door_kapula(door, "keygen nonsense /tmp/x")->code, 2);
    cr_expect_eq(door_kapula(door, "rehearse")->code, 2);
    cr_expect_eq(door_kapula(door, "import --into n --actor")->code, 2);
    has(door_kapula(door, "import --into n --actor a --zone Mars f")->err,
        "kapula: import: --zone: UTC, ");
    has(door_kapula(door, "follow --count 0")->err, "--count 0: a number from 1 ");
}

Test(cli, an_answer_that_is_nonsense_is_survived)
{
    static const char *const asks[] = {"inbox",     "acts",    "show", "health",
                                       "directory", "streams", "edges"};
    static const char *const runs[] = {"inbox",     "acts",       "show r-1", "health",
                                       "directory", "forum list", "edges"};
    for (size_t i = 0; i < sizeof asks / sizeof *asks; i++)
        door_answers(door, asks[i], "{\"surprise\": [1, {\"a\": null}]}");
    door_conf(door, "timeout", "\"200ms\"");
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        const run_t *run = door_kapula(door, runs[i]);
        cr_expect_geq(run->code, 0, "%s: %d", runs[i], run->code);
        cr_expect_leq(run->code, 3, "%s: %d", runs[i], run->code);
    }
}

Test(cli, answers_of_the_right_names_and_wrong_kinds_are_survived)
{
    static const struct {
        const char *ask, *run, *answer;
    } cases[] = {
        {"inbox", "inbox", "{\"referrals\": [1, null, \"x\", [], {}], \"more\": 3}"},
        {"inbox", "outbox --format csv", "{\"referrals\": [{\"referral\": 7, \"state\": []}]}"},
        {"inbox", "inbox --format json", "{\"referrals\": {\"a\": 1}}"},
        {"acts", "acts", "{\"acts\": [true, {\"act\": \"x\", \"at\": \"y\"}]}"},
        {"show", "show r", "{\"referral\": {\"state\": 5}, \"events\": [5, \"no json\", \"[]\"]}"},
        {"show", "show r", "{\"referral\": {}, \"events\": [\"{\\\"source\\\": 3}\"]}"},
        {"show", "show r", "{\"case\": [3, {}], \"events\": 1}"},
        {"show", "show r --format csv", "{\"case\": 3, \"meeting\": [], \"forum\": {\"x\": 1}}"},
        {"refer", "refer --to x", "{\"error\": {\"candidates\": [1, null], \"field\": 3}}"},
        {"refer", "refer --to x", "{\"error\": 7}"},
        {"health", "health", "{\"health\": \"[1, 2]\"}"},
        {"health", "health", "{\"health\": \"{\\\"broker\\\": 3}\"}"},
        {"directory", "directory", "{\"text\": \"{}\"}"},
        {"edges", "edges", "{\"edges\": [1, {\"from\": 2, \"time_to_accept\": []}]}"},
        {"edges", "edges --format csv", "{\"edges\": 3}"},
        {"streams", "forum list", "{\"streams\": 3}"},
        {"fetch", "follow", "{\"surprise\": 3}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        end();
        begin();
        door_conf(door, "timeout", "\"200ms\"");
        door_answers(door, cases[i].ask, cases[i].answer);
        const run_t *run = door_kapula(door, cases[i].run);
        cr_expect(run->code >= 0 && run->code <= 3, "%s: %s: %d", cases[i].run, cases[i].answer,
                  run->code);
    }
}

Test(cli, help_lists_every_command_within_80_columns)
{
    const run_t *run = door_kapula(door, "--help");
    cr_expect_eq(run->code, 0);
    cr_expect_leq(widest_line(run->out), 80, "%s", run->out);
    for (int i = 0; i < COMMANDS; i++) {
        char line[160];
        snprintf(line, sizeof line, "  %-10s %s\n", commands[i].name, commands[i].help);
        has(run->out, line);
    }
}

Test(cli, every_command_explains_itself_within_80_columns)
{
    for (int i = 0; i < COMMANDS; i++) {
        char line[64];
        snprintf(line, sizeof line, "%s --help", commands[i].name);
        const run_t *run = door_kapula(door, line);
        cr_expect_eq(run->code, 0, "%s: %d", line, run->code);
        cr_expect_leq(widest_line(run->out), 80, "%s", run->out);
        has(run->out, commands[i].name);
    }
}

/* Is there ".It Cm name", alone or in a list with commas? */
static bool man_has(const char *man, const char *name)
{
    char word[64];
    snprintf(word, sizeof word, "Cm %s", name);
    for (const char *at = strstr(man, word); at; at = strstr(at + 1, word)) {
        char after = at[strlen(word)];
        const char *begin = at;
        while (begin > man && begin[-1] != '\n')
            begin--;
        if (strncmp(begin, ".It ", 4) == 0 && (after == ' ' || after == '\n'))
            return true;
    }
    return false;
}

static const struct {
    const char *commands, *name;
    int letter;
    const char *argument, *help;
} options[] = {
#define KAP_OPTION(commands, name, letter, argument, field, help)                                  \
    {commands, name, letter, argument, help},
#include "options.def"
#undef KAP_OPTION
};

static char *read_man(void)
{
    static char man[131072];
    FILE *file = fopen(KAP_TEST_SOURCE_DIR "/services/kapula/kapula.1", "r");
    cr_assert(file);
    man[fread(man, 1, sizeof man - 1, file)] = '\0';
    fclose(file);
    return man;
}

/* The section as it should stand in the manual page, from the table. */
static char *options_section(void)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    cr_assert(out);
    fputs(".Sh OPTIONS OF COMMANDS\n", out);
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        if (i == 0 || strcmp(options[i].commands, options[i - 1].commands) != 0)
            fprintf(out, "%s.Ss %s\n.Bl -tag -width Ds -compact\n", i ? ".El\n" : "",
                    options[i].commands);
        fputs(".It", out);
        if (options[i].letter)
            fprintf(out, " Fl %c ,", options[i].letter);
        fprintf(out, " Fl -%s", options[i].name);
        if (options[i].argument)
            fprintf(out, " Ar %s", options[i].argument);
        fprintf(out, "\n%s\n", options[i].help);
    }
    fputs(".El\n", out);
    fclose(out);
    return text;
}

Test(cli, the_man_page_has_every_command_and_global_option)
{
    const char *man = read_man();
    for (int i = 0; i < COMMANDS; i++)
        cr_expect(man_has(man, commands[i].name), "%s is not in kapula.1", commands[i].name);
    has(man, "-format");
    has(man, "-lang");
    has(man, "-config");
    has(man, "-version");
}

Test(cli, the_man_page_has_the_options_of_every_command_as_the_table_has_them)
{
    char *section = options_section(), *man = strstr(read_man(), ".Sh OPTIONS OF COMMANDS\n");
    cr_assert(man);
    *strstr(man, ".Sh FILES") = '\0';
    cr_expect_str_eq(man, section, "kapula.1 should have:\n%s", section);
    free(section);
}

Test(cli, an_output_that_cannot_be_written_is_told)
{
    door_answers(door, "edges", "{\"edges\": []}");
    door_answers(door, "health", "{\"health\": \"{\\\"broker\\\": {\\\"up\\\": true}}\"}");
    static const char *const asks[] = {"edges --region x", "edges --region x --watch", "health",
                                       "edges --format csv --region x", "keygen --mesh-of " MESH};
    door_output(door, "/dev/full");
    for (size_t i = 0; i < sizeof asks / sizeof *asks; i++) {
        const run_t *run = door_kapula(door, asks[i]);
        cr_expect_eq(run->code, 1, "%s: %d", asks[i], run->code);
        cr_expect_str_eq(run->err, "kapula: the output could not be written\n");
    }
}
