/* SPDX-License-Identifier: MPL-2.0 */
/* The commands that say something to the mesh: each becomes one act at the node's local door. */
#include <argp.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "err.h"
#include "ids.h"
#include "saying.h"

enum { FIRST_FIELD = 256, FIELD_MAX = 64 };

/* What one command line says. */
typedef struct {
    const char *verb;
    const char *names[FIELD_MAX], *values[FIELD_MAX]; /* lent from argv */
    char *owned[FIELD_MAX];                           /* names cut out of NAME=VALUE */
    int count, owned_count;
    const char *key, *file;
    bool no_wait, dry, of_referral;
    const char *const *fields; /* by option key */
    const char *words[3];      /* positional */
    int word_count, words_wanted;
} line_t;

static void add(line_t *line, const char *name, const char *value)
{
    if (line->count == FIELD_MAX)
        exit(kap_cli_fail(KAP_EXIT_USAGE, "more than %d fields in one act", FIELD_MAX));
    line->names[line->count] = name;
    line->values[line->count++] = value;
}

/* NAME=VALUE. */
static void add_pair(line_t *line, const char *pair)
{
    const char *equals = strchr(pair, '=');
    char *name;
    if (!equals || equals == pair)
        exit(kap_cli_fail(KAP_EXIT_USAGE, "%s: say NAME=VALUE", pair));
    name = strndup(pair, (size_t)(equals - pair));
    if (!name)
        exit(kap_cli_fail(KAP_EXIT_REFUSED, "out of memory"));
    line->owned[line->owned_count++] = name;
    add(line, name, equals + 1);
}

/* Options of every act. */
static error_t on_common(int key, char *value, struct argp_state *state)
{
    line_t *line = state->input;
    switch (key) {
    case 'F':
        add_pair(line, value);
        return 0;
    case 'K':
        line->key = value;
        return 0;
    case 'N':
        line->no_wait = true;
        return 0;
    case 'D':
        line->dry = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t on_option(int key, char *value, struct argp_state *state)
{
    line_t *line = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = line;
        return 0;
    case 'C':
        add_pair(line, value);
        return 0;
    case 'f':
        line->file = value;
        return 0;
    case ARGP_KEY_ARG:
        if (line->word_count == line->words_wanted)
            return ARGP_ERR_UNKNOWN;
        line->words[line->word_count++] = value;
        return 0;
    case ARGP_KEY_END:
        if (line->word_count < line->words_wanted)
            argp_error(state, "something is missing; see --help");
        return 0;
    default:
        if (key < FIRST_FIELD || key >= FIRST_FIELD + FIELD_MAX)
            return ARGP_ERR_UNKNOWN;
        add(line, line->fields[key - FIRST_FIELD], value ? value : "true");
        return 0;
    }
}

static const struct argp_option common_options[] = {
    {"field", 'F', "NAME=VALUE", 0, "Any other field of the event", 0},
    {"key", 'K', "TEXT", 0, "The same key again changes nothing", 0},
    {"no-wait", 'N', 0, 0, "Do not wait for the broker's verdict", 0},
    {"dry-run", 'D', 0, 0, "Judge only; say nothing", 0},
    {0}};
static const struct argp common = {common_options, on_common, 0, 0, 0, 0, 0};
static const struct argp_child children[] = {{&common, 0, "", 0}, {0}};

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

/* The act's fate once it is final; the answer to the act itself when that comes too late. */
static int await_fate(kap_cli_t *cli, const kap_mp_t *answer, const kap_mp_t **fate)
{
    kap_buf_t map;
    kap_buf_init(&map);
    kap_mp_put_map(&map, 3);
    kap_mp_put_cstr(&map, "local");
    kap_mp_put_cstr(&map, "fate");
    kap_mp_put_cstr(&map, "act");
    kap_mp_put_int(&map, kap_mp_get_int(answer, "act", 0));
    kap_mp_put_cstr(&map, "wait");
    kap_mp_put_bool(&map, true);
    int code = kap_cli_ask_quietly(cli, KAP_VERB_LOCAL, kap_buf_span(&map), 0, fate);
    kap_buf_fini(&map);
    return code;
}

static int print_fate(kap_cli_t *cli, const line_t *line, const kap_mp_t *answer,
                      const kap_mp_t *fate)
{
    kap_span_t word = kap_mp_get_str(fate, "fate"), sentence = kap_mp_get_str(fate, "sentence");
    kap_span_t subject = kap_mp_get_str(answer, "subject");
    kap_span_t about = kap_span_empty(subject) ? kap_span_str(line->verb) : subject;
    int64_t seq = kap_mp_get_int(fate, "log_seq", 0);
    bool refused = kap_span_eq_str(word, "refused");
    if (line->dry)
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
    printf("%.*s: %.*s", (int)about.size, (const char *)about.data, (int)word.size,
           (const char *)word.data);
    if (seq > 0)
        printf(" at %lld", (long long)seq);
    bool said_before = line->key && kap_mp_get_bool(answer, "repeated", false);
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
static int say(kap_cli_t *cli, line_t *line)
{
    const kap_mp_t *answer = NULL, *fate = NULL;
    char own_key[KAP_CLI_KEY];
    kap_buf_t map;
    kap_cli_own_key(own_key);
    int code = kap_cli_configure(cli);
    if (code == 0 && !kap_cli_is_local(cli))
        code = kap_cli_fail(KAP_EXIT_USAGE, "only a member's node can say this: use its "
                                            "configuration (-c), not one of the broker");
    kap_cli_say_t words = {.verb = line->verb,
                           .key = line->key ? line->key : own_key,
                           .dry = line->dry,
                           .names = line->names,
                           .values = line->values,
                           .count = line->count};
    kap_buf_init(&map);
    kap_cli_put_act(&map, &words);
    if (code == 0)
        code = kap_cli_ask(cli, KAP_VERB_ACT, kap_buf_span(&map), 0, &answer);
    if (code == 0) {
        if (line->no_wait || line->dry || await_fate(cli, answer, &fate) != 0 ||
            kap_mp_get(fate, "error"))
            fate = answer;
        code = print_fate(cli, line, answer, fate);
    }
    kap_buf_fini(&map);
    for (int i = 0; i < line->owned_count; i++)
        free(line->owned[i]);
    return code;
}

/* Options whose key is FIRST_FIELD + their row in `fields`. */
#define FIELD(row, name, argument, help)                                                           \
    {                                                                                              \
        name, FIRST_FIELD + (row), argument, 0, help, 0                                            \
    }

static const char *given(const line_t *line, const char *name)
{
    for (int i = 0; i < line->count; i++)
        if (strcmp(line->names[i], name) == 0)
            return line->values[i];
    return NULL;
}

/* What goes without saying of a basis: its ground, and that a consent was given that day. */
static void settle_basis(line_t *line)
{
    static char day[KAP_TIME_TEXT];
    const char *disclosure = given(line, "basis.disclosure"), *time = given(line, "time");
    bool consent = disclosure && strcmp(disclosure, "customer_consent") == 0;
    for (int i = 0; consent && i < line->count; i++)
        if (strcmp(line->names[i], "basis.statute") == 0)
            line->names[i] = "basis.consent_version";
    if (disclosure && !given(line, "basis.gdpr"))
        add(line, "basis.gdpr",
            consent                              ? "6.1.a"
            : strcmp(disclosure, "statute") == 0 ? "6.1.c"
                                                 : "6.1.e");
    if (!consent || given(line, "basis.consent_date"))
        return;
    int64_t at_ms = kap_clock_now_ms(kap_clock_system());
    if (time)
        kap_time_parse(kap_span_str(time), KAP_ZONE_HELSINKI, &at_ms, NULL);
    kap_date_format(kap_date_of(KAP_ZONE_HELSINKI, at_ms), day);
    add(line, "basis.consent_date", day);
}

static const char *const refer_fields[] = {"to",
                                           "service",
                                           "region",
                                           "kind",
                                           "segment",
                                           "language",
                                           "origin",
                                           "case",
                                           "parent",
                                           "business_id",
                                           "need",
                                           "basis.disclosure",
                                           "basis.statute",
                                           "warm",
                                           "return_expected",
                                           "meeting",
                                           "time",
                                           "basis.gdpr",
                                           "basis.consent_date"};

int kap_cmd_refer(kap_cli_t *cli, int argc, char **argv)
{
    static const struct argp_option options[] = {
        FIELD(0, "to", "MEMBER", "To whom; or external:TYPE"),
        FIELD(1, "service", "SERVICE", "What is asked for (other); alone it finds the member"),
        FIELD(2, "region", "REGION", "Where; default: the node's"),
        FIELD(3, "kind", "KIND", "transfer (default), guidance or lead"),
        FIELD(4, "segment", "SEGMENT", "Segment of the customer"),
        FIELD(5, "language", "LANGUAGE", "Language of service"),
        FIELD(6, "origin", "ORIGIN", "Where the customer came from"),
        FIELD(7, "case", "ID", "An existing case"),
        FIELD(8, "parent", "REFERRAL", "The referral that this one continues"),
        FIELD(9, "business-id", "ID", "Business id of the customer"),
        FIELD(10, "text", "TEXT", "What the customer needs (sealed)"),
        FIELD(11, "basis", "BASIS", "customer_consent, statute or not_secret"),
        FIELD(12, "basis-ref", "TEXT", "Which statute, or which text of consent"),
        FIELD(13, "warm", 0, "Handed over together"),
        FIELD(14, "return-expected", 0, "The customer is expected back"),
        FIELD(15, "meeting", "ID", "The meeting it arose in"),
        FIELD(16, "time", "TIME", "When it happened; default: now"),
        FIELD(17, "gdpr", "GROUND", "Of processing: 6.1.a (a consent's), b, c (a statute's), e, f"),
        FIELD(18, "consent-date", "DATE", "When the customer consented; default: that day"),
        {"customer", 'C', "NAME=VALUE", 0, "Company, person, phone, email ... (sealed)", 0},
        {0}};
    static const struct argp argp = {
        options, on_option, "", "Hands a customer to another organisation.", children, 0, 0};
    line_t line = {.verb = "refer", .fields = refer_fields, .of_referral = true};
    kap_cli_parse(&argp, argc, argv, &line);
    settle_basis(&line);
    if (given(&line, "to") && !given(&line, "service"))
        add(&line, "service", "other");
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
    for (int i = 0; i < line->count; i++) {
        const char *name = line->names[i];
        if (strcmp(name, "reason") == 0)
            line->names[i] = reason_field(line->verb);
        else if (strcmp(line->verb, "redirect") == 0 && strcmp(name, "to") == 0)
            line->names[i] = "next.to";
        else if (strcmp(line->verb, "redirect") == 0 && strcmp(name, "service") == 0)
            line->names[i] = "next.service";
        else if (strcmp(line->verb, "share") == 0 && strcmp(name, "to") == 0)
            line->names[i] = "with";
    }
}

static const char *const answer_fields[] = {"reason",       "outcome",    "detail",
                                            "results",      "result",     "channel",
                                            "note",         "to",         "service",
                                            "expect_state", "advised",    "role",
                                            "scale",        "score",      "basis.disclosure",
                                            "time",         "basis.gdpr", "basis.consent_date",
                                            "basis.statute"};

int kap_cmd_answer(kap_cli_t *cli, int argc, char **argv)
{
    static const struct argp_option options[] = {
        FIELD(0, "reason", "REASON", "Of decline, redirect, withdraw, hold or void"),
        FIELD(1, "outcome", "OUTCOME", "handled, not_handled or passed_on"),
        FIELD(2, "detail", "DETAIL", "served, advice_only, funding_applied ..."),
        FIELD(3, "result", "RESULT", "What followed: company_founded, recruited ..."),
        FIELD(4, "contact", "WORD", "reached or no_answer"),
        FIELD(5, "channel", "CHANNEL", "phone, email, meeting ..."),
        FIELD(6, "text", "TEXT", "A word to the other end (sealed)"),
        FIELD(7, "to", "MEMBER", "redirect, share: to whom"),
        FIELD(8, "service", "SERVICE", "redirect: what for"),
        FIELD(9, "expect", "STATE", "Refuse unless it is in this state"),
        FIELD(10, "advised", "TEXT", "decline: where the customer was advised to turn"),
        FIELD(11, "role", "ROLE", "accept: who takes it, a role, never a name"),
        FIELD(12, "scale", "N", "feedback: 4 or 5"),
        FIELD(13, "score", "N", "feedback: from 1"),
        FIELD(14, "basis", "BASIS", "share: customer_consent, statute or not_secret"),
        FIELD(15, "time", "TIME", "When it happened; default: now"),
        FIELD(16, "gdpr", "GROUND", "Of processing: 6.1.a (a consent's), b, c (a statute's), e, f"),
        FIELD(17, "consent-date", "DATE", "When the customer consented; default: that day"),
        FIELD(18, "basis-ref", "TEXT", "Which statute, or which text of consent"),
        {0}};
    static const struct argp argp = {
        options,
        on_option,
        "REFERRAL WORD",
        "Answers a referral.\vWORD: accept, decline, redirect, contacted, came, did-not-come, "
        "complete, hold, resume, withdraw, note, void, share, feedback, consent-withdrawn.",
        children,
        0,
        0};
    line_t line = {.fields = answer_fields, .words_wanted = 2, .of_referral = true};
    const char *id;
    kap_cli_parse(&argp, argc, argv, &line);
    line.verb = line.words[1];
    if (!is_answer(line.verb))
        return kap_cli_fail(KAP_EXIT_USAGE, "answer %s: there is no answer %s; see --help",
                            line.words[0], line.verb);
    settle_answer(&line);
    settle_basis(&line);
    int code = kap_cli_configure(cli);
    if (code == 0)
        code = kap_cli_whole_id(cli, line.words[0], &id);
    if (code != 0)
        return code;
    add(&line, "referral", id);
    return say(cli, &line);
}

static const char *const tally_fields[] = {"from",   "to",   "count",   "period",
                                           "region", "kind", "service", "segment"};

int kap_cmd_tally(kap_cli_t *cli, int argc, char **argv)
{
    static const struct argp_option options[] = {
        FIELD(0, "from", "MEMBER", "From whom; default: ourselves"),
        FIELD(1, "to", "MEMBER", "To whom"),
        FIELD(2, "count", "N", "How many"),
        FIELD(3, "period", "PERIOD", "2026, 2026-10 or 2026-10-31"),
        FIELD(4, "region", "REGION", "Where; default: the node's"),
        FIELD(5, "kind", "KIND", "transfer, guidance or lead"),
        FIELD(6, "service", "SERVICE", "What for"),
        FIELD(7, "segment", "SEGMENT", "Which customers"),
        {"file", 'f', "CSV", 0, "A sheet: a header of these names, then a row each", 0},
        {0}};
    static const struct argp argp = {
        options,  on_option,
        "",       "Reports handovers from a tally sheet: no customers, in the matrix as reported.",
        children, 0,
        0};
    line_t line = {.verb = "tally", .fields = tally_fields};
    kap_cli_parse(&argp, argc, argv, &line);
    return line.file ? kap_cli_tally_file(cli, line.file) : say(cli, &line);
}

static const char *const forum_fields[] = {"forum",   "forum_kind", "region",    "name",
                                           "members", "rrule",      "dtstart",   "duration_min",
                                           "dates",   "chair",      "secretary", "companies"};

int kap_cmd_forum(kap_cli_t *cli, int argc, char **argv)
{
    static const struct argp_option options[] = {
        FIELD(0, "id", "ID", "Of the forum; needed to change one"),
        FIELD(1, "kind", "KIND", "steering_group, working_group ... or any text"),
        FIELD(2, "region", "REGION", "Where; default: the node's"),
        FIELD(3, "name", "TEXT", "Its name"),
        FIELD(4, "members", "LIST", "Members, separated by commas"),
        FIELD(5, "rrule", "RULE", "RFC 5545: FREQ=MONTHLY;BYDAY=2TU"),
        FIELD(6, "start", "TIME", "First meeting, local: 2026-01-13T09:00"),
        FIELD(7, "minutes", "N", "How long a meeting lasts"),
        FIELD(8, "dates", "LIST", "Dates without a rule"),
        FIELD(9, "chair", "ROLE", "Chair, a role"),
        FIELD(10, "secretary", "ROLE", "Secretary, a role"),
        FIELD(11, "companies", "LIST", "Company representatives' roles"),
        {0}};
    static const struct argp argp = {options,
                                     on_option,
                                     "set",
                                     "Sets up or changes a forum.\v"
                                     "`kapula forum list|show|clock` show what is there.",
                                     children,
                                     0,
                                     0};
    if (argc > 1 && (strcmp(argv[1], "list") == 0 || strcmp(argv[1], "show") == 0 ||
                     strcmp(argv[1], "clock") == 0))
        return kap_cmd_forum_view(cli, argc - 1, argv + 1);
    line_t line = {.verb = "forum", .fields = forum_fields, .words_wanted = 1};
    kap_cli_parse(&argp, argc, argv, &line);
    if (strcmp(line.words[0], "set") != 0)
        return kap_cli_fail(KAP_EXIT_USAGE, "forum %s: say set, list, show or clock",
                            line.words[0]);
    return say(cli, &line);
}

static const char *const meeting_fields[] = {
    "meeting",    "forum",  "region", "starts_at",  "ends_at", "title",   "place",  "why",
    "attendance", "topics", "memo",   "occurrence", "member",  "present", "persons"};

int kap_cmd_meeting(kap_cli_t *cli, int argc, char **argv)
{
    static const char *const words[][2] = {{"plan", "meeting-plan"},
                                           {"move", "meeting-move"},
                                           {"cancel", "meeting-cancel"},
                                           {"hold", "meeting-hold"},
                                           {"attend", "meeting-attend"}};
    static const struct argp_option options[] = {
        FIELD(0, "id", "ID", "Of the meeting; made for a new one"),
        FIELD(1, "forum", "ID", "Whose meeting it is"),
        FIELD(2, "region", "REGION", "Where; default: the node's"),
        FIELD(3, "starts", "TIME", "plan, move, hold: when"),
        FIELD(4, "ends", "TIME", "Until when"),
        FIELD(5, "title", "TEXT", "What it is about"),
        FIELD(6, "place", "TEXT", "Where it is"),
        FIELD(7, "why", "TEXT", "move, cancel: the reason"),
        FIELD(8, "attendance", "LIST", "hold: members present, separated by commas"),
        FIELD(9, "topics", "N", "hold: how many topics"),
        FIELD(10, "memo", "TEXT", "hold: where the memo is"),
        FIELD(11, "occurrence", "DATE", "The date of the clock that it realises"),
        FIELD(12, "member", "MEMBER", "attend: who; default: ourselves"),
        FIELD(13, "present", "WORD", "attend: present, remote or absent"),
        FIELD(14, "persons", "N", "attend: how many"),
        {0}};
    static const struct argp argp = {options,
                                     on_option,
                                     "plan|move|cancel|hold|attend",
                                     "Plans, moves, cancels and holds meetings.\v"
                                     "`kapula meeting list` shows them.",
                                     children,
                                     0,
                                     0};
    if (argc > 1 && strcmp(argv[1], "list") == 0)
        return kap_cmd_meeting_view(cli, argc - 1, argv + 1);
    line_t line = {.fields = meeting_fields, .words_wanted = 1};
    kap_cli_parse(&argp, argc, argv, &line);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(words[i][0], line.words[0]) == 0)
            line.verb = words[i][1];
    if (!line.verb)
        return kap_cli_fail(KAP_EXIT_USAGE,
                            "meeting %s: say plan, move, cancel, hold, attend or list",
                            line.words[0]);
    return say(cli, &line);
}

static const char *const action_fields[] = {"action", "meeting", "what",  "responsible",
                                            "member", "due",     "status"};

int kap_cmd_action(kap_cli_t *cli, int argc, char **argv)
{
    static const struct argp_option options[] = {
        FIELD(0, "id", "ID", "Of the action; made for a new one"),
        FIELD(1, "meeting", "ID", "agree: the meeting"),
        FIELD(2, "what", "TEXT", "agree: what is to be done"),
        FIELD(3, "responsible", "ROLE", "agree: who does it, a role"),
        FIELD(4, "member", "MEMBER", "agree: which organisation"),
        FIELD(5, "due", "DATE", "agree: by when"),
        FIELD(6, "status", "TEXT", "done: in words"),
        {0}};
    static const struct argp argp = {options,
                                     on_option,
                                     "agree|done",
                                     "What meetings agreed on.\v`kapula action list` shows them.",
                                     children,
                                     0,
                                     0};
    if (argc > 1 && strcmp(argv[1], "list") == 0)
        return kap_cmd_action_view(cli, argc - 1, argv + 1);
    line_t line = {.fields = action_fields, .words_wanted = 1};
    kap_cli_parse(&argp, argc, argv, &line);
    line.verb = strcmp(line.words[0], "agree") == 0  ? "action-agree"
                : strcmp(line.words[0], "done") == 0 ? "action-done"
                                                     : NULL;
    if (!line.verb)
        return kap_cli_fail(KAP_EXIT_USAGE, "action %s: say agree, done or list", line.words[0]);
    return say(cli, &line);
}

int kap_cmd_event(kap_cli_t *cli, int argc, char **argv)
{
    static const struct argp argp = {
        NULL,
        on_option,
        "TYPE",
        "Any follow-up event, its fields by --field NAME=VALUE.\v"
        "For example: kapula event kapula.advice.given.v1 --field service=startup-advice "
        "--field segment=founder --field channel=meeting --field count=3",
        children,
        0,
        0};
    line_t line = {.verb = "report", .words_wanted = 1};
    kap_cli_parse(&argp, argc, argv, &line);
    add(&line, "type", line.words[0]);
    return say(cli, &line);
}
