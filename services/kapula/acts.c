/* SPDX-License-Identifier: MPL-2.0 */
/* The commands that say something to the mesh: each becomes one act at the node's local door. */
#include <string.h>

#include "args.h"
#include "clock.h"
#include "ids.h"
#include "operate.h"
#include "saying.h"

/* What one command line says. */
typedef struct {
    const char *verb, *name; /* name: what it is called when it has no subject; NULL: the verb */
    bool of_referral;
    kap_args_t args;
} line_t;

void kap_cli_put_act(kap_buf_t *map, const kap_cli_say_t *say)
{
    kap_mp_put_map(map, 2u + (say->key != NULL) + say->dry);
    kap_mp_put_cstr(map, "verb");
    kap_mp_put_cstr(map, say->verb);
    if (say->key) {
        kap_mp_put_cstr(map, "key");
        kap_mp_put_cstr(map, say->key);
    }
    if (say->dry) {
        kap_mp_put_cstr(map, "try");
        kap_mp_put_bool(map, true);
    }
    kap_mp_put_cstr(map, "fields");
    kap_mp_put_map(map, (uint32_t)say->count);
    for (int i = 0; i < say->count; i++) {
        kap_mp_put_cstr(map, say->names[i]);
        kap_mp_put_cstr(map, say->values[i]);
    }
}

int kap_cli_await_fate(kap_cli_t *cli, int64_t act, const kap_mp_t **fate)
{
    kap_buf_t map;
    kap_buf_init(&map);
    kap_mp_put_map(&map, 3);
    kap_mp_put_cstr(&map, "local");
    kap_mp_put_cstr(&map, "fate");
    kap_mp_put_cstr(&map, "act");
    kap_mp_put_int(&map, act);
    kap_mp_put_cstr(&map, "wait");
    kap_mp_put_bool(&map, true);
    int code = kap_cli_ask_quietly(cli, KAP_VERB_LOCAL, kap_buf_span(&map), 0, fate);
    kap_buf_fini(&map);
    return code;
}

static bool is_dry(const line_t *line)
{
    return kap_args_option(&line->args, "dry-run") != NULL;
}

static int print_fate(kap_cli_t *cli, const line_t *line, const kap_mp_t *answer,
                      const kap_mp_t *fate)
{
    kap_span_t word = kap_mp_get_str(fate, "fate"), sentence = kap_mp_get_str(fate, "sentence");
    kap_span_t subject = kap_mp_get_str(answer, "subject");
    kap_span_t about =
        !kap_span_empty(subject) ? subject : kap_span_str(line->name ? line->name : line->verb);
    int64_t seq = kap_mp_get_int(fate, "log_seq", 0);
    bool refused = kap_span_eq_str(word, "refused");
    if (is_dry(line))
        word = kap_span_str("possible");
    if (cli->format == KAP_FORMAT_JSON) {
        kap_cli_act_t act = {.act = kap_mp_get_int(answer, "act", 0),
                             .subject = subject,
                             .whole = kap_mp_get_str(answer, "case"),
                             .next = kap_mp_get_str(answer, "next"),
                             .of_referral = line->of_referral,
                             .fate = word,
                             .log_seq = seq,
                             .sentence = sentence};
        kap_cli_print_act(&act, stdout);
        fflush(stdout);
    }
    if (refused)
        return kap_cli_refused(cli, fate);
    if (cli->format == KAP_FORMAT_JSON)
        return KAP_EXIT_DONE;
    printf("%.*s: %.*s", KAP_SPAN_ARGS(about), KAP_SPAN_ARGS(word));
    if (seq > 0)
        printf(" at %lld", (long long)seq);
    bool said_before =
        kap_args_option(&line->args, "key") && kap_mp_get_bool(answer, "repeated", false);
    printf("%s\n", said_before ? " (said before)" : "");
    return KAP_EXIT_DONE;
}

void kap_cli_own_key(char out[KAP_CLI_KEY])
{
    char id[KAP_UUID_TEXT];
    kap_uuid_v7_random(kap_clock_now_ms(kap_clock_system()), id);
    snprintf(out, KAP_CLI_KEY, "kapula/%s", id);
}

/* Sends the act, waits for its verdict and shows it. */
static int say(kap_cli_t *cli, const line_t *line)
{
    const kap_mp_t *answer = NULL, *fate = NULL;
    const char *key = kap_args_option(&line->args, "key"), *names[KAP_ARGS_MAX],
               *values[KAP_ARGS_MAX];
    char own_key[KAP_CLI_KEY];
    kap_buf_t map;
    kap_cli_own_key(own_key);
    kap_cli_say_t words = {.verb = line->verb,
                           .key = key ? key : own_key,
                           .dry = is_dry(line),
                           .names = names,
                           .values = values};
    for (int i = 0; i < line->args.count; i++)
        if (line->args.said[i].field) {
            names[words.count] = line->args.said[i].field;
            values[words.count++] = line->args.said[i].value;
        }
    int code = kap_cli_needs_node(cli, "can say");
    kap_buf_init(&map);
    kap_cli_put_act(&map, &words);
    if (code == 0)
        code = kap_cli_ask(cli, KAP_VERB_ACT, kap_buf_span(&map), 0, &answer);
    if (code == 0) {
        if (words.dry || kap_args_option(&line->args, "no-wait") ||
            kap_cli_await_fate(cli, kap_mp_get_int(answer, "act", 0), &fate) != 0 ||
            kap_mp_get(fate, "error"))
            fate = answer;
        code = print_fate(cli, line, answer, fate);
    }
    kap_buf_fini(&map);
    return code;
}

int kap_cli_say_args(kap_cli_t *cli, const char *verb, const kap_args_t *args)
{
    line_t line = {.verb = verb, .name = args->usage->command, .args = *args};
    return say(cli, &line);
}

/* Says an act whose verb is the second word: one of the rows {word, verb}. */
static int say_word(kap_cli_t *cli, line_t *line, const char *const words[][2], size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(words[i][0], line->args.words[0]) == 0)
            line->verb = words[i][1];
    if (line->verb)
        return say(cli, line);
    return kap_cli_fail(KAP_EXIT_USAGE, "%s %s: say %s; see --help", line->args.usage->command,
                        line->args.words[0], line->args.usage->arguments);
}

static void rename_field(kap_args_t *args, const char *from, const char *to)
{
    for (int i = 0; i < args->count; i++)
        if (args->said[i].field && strcmp(args->said[i].field, from) == 0)
            args->said[i].field = to;
}

/* What goes without saying of a basis: its ground, and that a consent was given that day. */
static void settle_basis(kap_args_t *args)
{
    static char day[KAP_TIME_TEXT];
    const char *disclosure = kap_args_field(args, "basis.disclosure");
    const char *time = kap_args_field(args, "time");
    bool consent = disclosure && strcmp(disclosure, "customer_consent") == 0;
    if (consent)
        rename_field(args, "basis.statute", "basis.consent_version");
    if (disclosure && !kap_args_field(args, "basis.gdpr"))
        kap_args_add(args, "basis.gdpr",
                     consent                              ? "6.1.a"
                     : strcmp(disclosure, "statute") == 0 ? "6.1.c"
                                                          : "6.1.e");
    if (!consent || kap_args_field(args, "basis.consent_date"))
        return;
    int64_t at_ms = kap_clock_now_ms(kap_clock_system());
    if (time)
        kap_time_parse(kap_span_str(time), KAP_ZONE_HELSINKI, &at_ms, NULL);
    kap_date_format(kap_date_of(KAP_ZONE_HELSINKI, at_ms), day);
    kap_args_add(args, "basis.consent_date", day);
}

int kap_cmd_refer(kap_cli_t *cli, int argc, char **argv)
{
    static const kap_usage_t usage = {"refer", "", 0, 0,
                                      "Hands a customer to another organisation."};
    line_t line = {.verb = "refer", .of_referral = true};
    kap_args_parse(cli, &usage, argc, argv, &line.args);
    settle_basis(&line.args);
    if (kap_args_field(&line.args, "to") && !kap_args_field(&line.args, "service"))
        kap_args_add(&line.args, "service", "other");
    return say(cli, &line);
}

/* The name that a reason has in each act. */
static const char *reason_field(const char *verb)
{
    return strcmp(verb, "withdraw") == 0 ? "withdraw_reason"
           : strcmp(verb, "void") == 0   ? "void_reason"
           : strcmp(verb, "hold") == 0   ? "hold_reason"
                                         : "reason";
}

static bool is_answer(const char *word)
{
    static const char *const words[] = {
        "accept",       "decline",  "redirect", "contacted", "came",
        "did-not-come", "complete", "hold",     "resume",    "withdraw",
        "note",         "void",     "share",    "feedback",  "consent-withdrawn"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(words[i], word) == 0)
            return true;
    return false;
}

/* The recipient and service of a redirect are the next referral's. */
static void settle_answer(line_t *line)
{
    rename_field(&line->args, "reason", reason_field(line->verb));
    if (strcmp(line->verb, "share") == 0)
        rename_field(&line->args, "to", "with");
    if (strcmp(line->verb, "redirect") == 0) {
        rename_field(&line->args, "to", "next.to");
        rename_field(&line->args, "service", "next.service");
    }
}

int kap_cmd_answer(kap_cli_t *cli, int argc, char **argv)
{
    static const kap_usage_t usage = {
        "answer", "REFERRAL WORD", 2, 2,
        "Answers a referral.\vWORD: accept, decline, redirect, contacted, came, did-not-come, "
        "complete, hold, resume, withdraw, note, void, share, feedback, consent-withdrawn."};
    line_t line = {.of_referral = true};
    const char *id;
    kap_args_parse(cli, &usage, argc, argv, &line.args);
    line.verb = line.args.words[1];
    if (!is_answer(line.verb))
        return kap_cli_fail(KAP_EXIT_USAGE, "answer %s: there is no answer %s; see --help",
                            line.args.words[0], line.verb);
    settle_answer(&line);
    settle_basis(&line.args);
    int code = kap_cli_configure(cli);
    if (code == 0)
        code = kap_cli_whole_id(cli, line.args.words[0], &id);
    if (code != 0)
        return code;
    kap_args_add(&line.args, "referral", id);
    return say(cli, &line);
}

int kap_cmd_tally(kap_cli_t *cli, int argc, char **argv)
{
    static const kap_usage_t usage = {
        "tally", "", 0, 0,
        "Reports handovers from a tally sheet: no customers, in the matrix as reported."};
    line_t line = {.verb = "tally"};
    kap_args_parse(cli, &usage, argc, argv, &line.args);
    const char *file = kap_args_option(&line.args, "file");
    return file ? kap_cli_tally_file(cli, file) : say(cli, &line);
}

int kap_cmd_forum(kap_cli_t *cli, int argc, char **argv)
{
    static const char *const words[][2] = {{"set", "forum"}};
    static const kap_usage_t usage = {"forum", "set", 1, 1,
                                      "Sets up or changes a forum.\v"
                                      "`kapula forum list|show|clock` show what is there."};
    if (argc > 1 && (strcmp(argv[1], "list") == 0 || strcmp(argv[1], "show") == 0 ||
                     strcmp(argv[1], "clock") == 0))
        return kap_cmd_forum_view(cli, argc - 1, argv + 1);
    line_t line = {0};
    kap_args_parse(cli, &usage, argc, argv, &line.args);
    return say_word(cli, &line, words, sizeof words / sizeof *words);
}

int kap_cmd_meeting(kap_cli_t *cli, int argc, char **argv)
{
    static const char *const words[][2] = {{"plan", "meeting-plan"},
                                           {"move", "meeting-move"},
                                           {"cancel", "meeting-cancel"},
                                           {"hold", "meeting-hold"},
                                           {"attend", "meeting-attend"}};
    static const kap_usage_t usage = {"meeting", "plan|move|cancel|hold|attend", 1, 1,
                                      "Plans, moves, cancels and holds meetings.\v"
                                      "`kapula meeting list` shows them."};
    if (argc > 1 && strcmp(argv[1], "list") == 0)
        return kap_cmd_meeting_view(cli, argc - 1, argv + 1);
    line_t line = {0};
    kap_args_parse(cli, &usage, argc, argv, &line.args);
    return say_word(cli, &line, words, sizeof words / sizeof *words);
}

int kap_cmd_action(kap_cli_t *cli, int argc, char **argv)
{
    static const char *const words[][2] = {{"agree", "action-agree"}, {"done", "action-done"}};
    static const kap_usage_t usage = {"action", "agree|done", 1, 1,
                                      "What meetings agreed on.\v"
                                      "`kapula action list` shows them."};
    if (argc > 1 && strcmp(argv[1], "list") == 0)
        return kap_cmd_action_view(cli, argc - 1, argv + 1);
    line_t line = {0};
    kap_args_parse(cli, &usage, argc, argv, &line.args);
    return say_word(cli, &line, words, sizeof words / sizeof *words);
}

int kap_cmd_event(kap_cli_t *cli, int argc, char **argv)
{
    static const kap_usage_t usage = {
        "event", "TYPE", 1, 1,
        "Any follow-up event, its fields by --field NAME=VALUE.\v"
        "For example: kapula event kapula.advice.given.v1 --field service=startup-advice "
        "--field segment=founder --field channel=meeting --field count=3\n"
        "The operator says to the broker itself who follows whom: kapula event member.succeeded "
        "--field from_ids=old --field to_ids=new --field valid_from=2026-01-01; region.succeeded "
        "and area.succeeded likewise. One that is split: --field to_ids=a,b --field "
        "by_region=mikkeli=a,pieksamaki=b"};
    line_t line = {.verb = "report"};
    kap_args_parse(cli, &usage, argc, argv, &line.args);
    if (kap_operate_knows(line.args.words[0]))
        return kap_operate(cli, line.args.words[0], &line.args);
    kap_args_add(&line.args, "type", line.args.words[0]);
    return say(cli, &line);
}
