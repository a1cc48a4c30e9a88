/* SPDX-License-Identifier: MPL-2.0 */
/* kapula rehearse: a year of invented work, lived in a mesh whose daemons take their time from us.
 * Time stands still while an act is said, committed and delivered; then it jumps to the next. */
#include <argp.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "answer.h"
#include "clock.h"
#include "err.h"
#include "progress.h"
#include "rehearsal.h"
#include "saying.h"
#include "cli.h"

enum { NODES_MAX = 16, POLL_US = 2000, PATIENCE_MS = 30000, REFUSALS_SHOWN = 5 };

typedef struct {
    const char *clock_path, *lay_path, *region;
    const char *confs[NODES_MAX];
    int nodes;
    kap_rehearsal_opts_t opts;
} line_t;

typedef struct {
    kap_cli_t *broker;
    kap_cli_t nodes[NODES_MAX];
    int node_count;
    kap_clock_t *clock;
    kap_rehearsal_t *year;
    kap_arena_t *scratch; /* answers of one act */
    long said, refused;
} stage_t;

static long number_of(struct argp_state *state, const char *text, long min, long max)
{
    char *end;
    long value = strtol(text, &end, 10);
    if (*end || value < min || value > max)
        argp_error(state, "%s: a number from %ld to %ld", text, min, max);
    return value;
}

static error_t on_option(int key, char *value, struct argp_state *state)
{
    line_t *line = state->input;
    switch (key) {
    case 'c':
        line->clock_path = value;
        return 0;
    case 'l':
        line->lay_path = value;
        return 0;
    case 'r':
        line->region = value;
        return 0;
    case 'y':
        line->opts.year = (int)number_of(state, value, 1971, 9998);
        return 0;
    case 'n':
        line->opts.referrals = (int)number_of(state, value, 1, 100000);
        return 0;
    case 's':
        line->opts.seed = (uint64_t)number_of(state, value, 0, LONG_MAX);
        return 0;
    case 'o':
        if (line->nodes == NODES_MAX)
            argp_error(state, "at most %d nodes", NODES_MAX);
        line->confs[line->nodes++] = value;
        return 0;
    case ARGP_KEY_END:
        if (!line->lay_path && (!line->clock_path || line->nodes == 0))
            argp_error(state, "needs --clock and at least one --node");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static kap_cli_t *node_of(stage_t *stage, const char *member)
{
    for (int i = 0; i < stage->node_count; i++)
        if (strcmp(kap_conf_str(stage->nodes[i].conf, "member"), member) == 0)
            return &stage->nodes[i];
    return NULL;
}

static int open_nodes(stage_t *stage, const line_t *line)
{
    for (int i = 0; i < line->nodes; i++) {
        kap_cli_t *node = &stage->nodes[stage->node_count++];
        *node = (kap_cli_t){.conf_path = line->confs[i], .arena = kap_arena_new(65536)};
        if (!node->arena)
            return kap_cli_fail(KAP_EXIT_REFUSED, "out of memory");
        int code = kap_cli_connect(node);
        if (code == 0 && !kap_conf_str(node->conf, "member"))
            code = kap_cli_fail(KAP_EXIT_USAGE, "%s: a rehearsal needs the key member",
                                line->confs[i]);
        if (code != 0)
            return code;
    }
    return 0;
}

/* The answer is read at once and its memory used again: a year has thousands of them. */
static int ask(stage_t *stage, kap_cli_t *who, kap_verb_t verb, kap_buf_t *map,
               const kap_mp_t **root)
{
    kap_arena_t *own = who->arena;
    who->arena = stage->scratch;
    int code = kap_cli_ask(who, verb, kap_buf_span(map), 0, root);
    who->arena = own;
    kap_buf_reset(map);
    return code;
}

/* An {error} is the asker's to look at; silence ends the rehearsal, with a word. */
static int ask_quietly(stage_t *stage, kap_cli_t *who, kap_verb_t verb, kap_buf_t *map,
                       const kap_mp_t **root)
{
    kap_arena_t *own = who->arena;
    who->arena = stage->scratch;
    int code = kap_cli_ask_quietly(who, verb, kap_buf_span(map), 0, root);
    who->arena = own;
    kap_buf_reset(map);
    if (code != 0)
        kap_cli_fail(0, "%s: the node does not answer", kap_conf_str(who->conf, "member"));
    return code;
}

static void put_local(kap_buf_t *map, const char *word, uint32_t more)
{
    kap_mp_put_map(map, 1 + more);
    kap_mp_put_cstr(map, "local");
    kap_mp_put_cstr(map, word);
}

/* Until the broker has judged every deadline up to now. */
static int settle_deadlines(stage_t *stage, int64_t now_ms)
{
    int64_t give_up = kap_monotonic_ms() + PATIENCE_MS;
    kap_buf_t map;
    int code = 0;
    kap_buf_init(&map);
    for (;;) {
        const kap_mp_t *root;
        kap_query_begin(&map, "health", 0);
        kap_arena_reset(stage->scratch);
        code = ask(stage, stage->broker, KAP_VERB_QUERY, &map, &root);
        if (code != 0 || kap_mp_get_int(root, "deadlines_at", 0) >= now_ms)
            break;
        if (kap_monotonic_ms() > give_up) {
            code = kap_cli_fail(KAP_EXIT_UNREACHABLE,
                                "the broker does not follow the clock: does its configuration "
                                "name the same clock file?");
            break;
        }
        usleep(POLL_US);
    }
    kap_buf_fini(&map);
    return code;
}

/* Does this member's node know the referral as delivered, or its answer as received? */
static bool is_there(const kap_mp_t *root, bool answered)
{
    const kap_mp_t *referral = kap_mp_get(root, "referral");
    kap_span_t state = kap_mp_get_str(referral, "state");
    if (answered)
        return kap_mp_get(referral, "answer_received_at") != NULL;
    return !kap_span_empty(state) && !kap_span_eq_str(state, "created");
}

/* Until the node of `member` has seen the delivery of the referral, or the answer to it. */
static int await_at(stage_t *stage, const char *member, const char *referral, bool answered)
{
    int64_t give_up = kap_monotonic_ms() + PATIENCE_MS;
    kap_cli_t *node = node_of(stage, member);
    kap_buf_t map;
    int code = 0;
    kap_buf_init(&map);
    while (node) {
        const kap_mp_t *root;
        put_local(&map, "show", 1);
        kap_mp_put_cstr(&map, "id");
        kap_mp_put_cstr(&map, referral);
        kap_arena_reset(stage->scratch);
        code = ask_quietly(stage, node, KAP_VERB_LOCAL, &map, &root);
        if (code != 0 || is_there(root, answered))
            break;
        if (kap_monotonic_ms() > give_up) {
            code = kap_cli_fail(KAP_EXIT_UNREACHABLE, "%s: its %s did not reach %s in time",
                                referral, answered ? "answer" : "delivery", member);
            break;
        }
        usleep(POLL_US);
    }
    kap_buf_fini(&map);
    return code;
}

static void put_act(kap_buf_t *map, const kap_rehearsal_act_t *act)
{
    char key[KAP_CLI_KEY];
    kap_cli_own_key(key);
    kap_mp_put_map(map, 3);
    kap_mp_put_cstr(map, "verb");
    kap_mp_put_cstr(map, act->verb);
    kap_mp_put_cstr(map, "key");
    kap_mp_put_cstr(map, key);
    kap_mp_put_cstr(map, "fields");
    kap_mp_put_map(map, (uint32_t)act->count);
    for (int i = 0; i < act->count; i++) {
        kap_mp_put_cstr(map, act->fields[i].name);
        kap_mp_put_cstr(map, act->fields[i].value);
    }
}

/* An act that comes too late (the other end was faster) is refused and counted, as in life. */
static void count_refusal(stage_t *stage, const kap_rehearsal_act_t *act, const kap_mp_t *error)
{
    kap_span_t sentence = kap_mp_get_str(error, "sentence");
    if (stage->refused++ < REFUSALS_SHOWN)
        kap_cli_fail(0, "%s, %s: %.*s", act->member, act->verb, (int)sentence.size,
                     (const char *)sentence.data);
}

/* Until the broker has decided; then until the other end knows. */
static int await_effect(stage_t *stage, kap_cli_t *node, const kap_rehearsal_act_t *act,
                        int64_t number)
{
    const kap_mp_t *root;
    kap_buf_t map;
    kap_buf_init(&map);
    put_local(&map, "fate", 2);
    kap_mp_put_cstr(&map, "act");
    kap_mp_put_int(&map, number);
    kap_mp_put_cstr(&map, "wait");
    kap_mp_put_bool(&map, true);
    int code = ask(stage, node, KAP_VERB_LOCAL, &map, &root);
    kap_buf_fini(&map);
    if (code != 0 || !kap_span_eq_str(kap_mp_get_str(root, "fate"), "committed"))
        return code;
    if (act->delivers)
        code = await_at(stage, act->to, act->delivers, false);
    if (code == 0 && act->answers)
        code = await_at(stage, act->from, act->answers, true);
    return code;
}

static int say(stage_t *stage, const kap_rehearsal_act_t *act)
{
    kap_cli_t *node = node_of(stage, act->member);
    const kap_mp_t *root;
    kap_buf_t map;
    if (!node)
        return 0; /* not of this mesh: nobody says it */
    kap_buf_init(&map);
    kap_arena_reset(stage->scratch);
    put_act(&map, act);
    int code = ask_quietly(stage, node, KAP_VERB_ACT, &map, &root);
    kap_buf_fini(&map);
    if (code != 0)
        return code;
    if (kap_mp_get(root, "error")) {
        count_refusal(stage, act, kap_mp_get(root, "error"));
        return 0;
    }
    stage->said++;
    return await_effect(stage, node, act, kap_mp_get_int(root, "act", 0));
}

static int advance(stage_t *stage, int64_t now_ms)
{
    kap_clock_file_set(stage->clock, now_ms);
    return settle_deadlines(stage, now_ms);
}

static int live(stage_t *stage)
{
    kap_rehearsal_act_t act;
    kap_progress_t progress;
    int code = 0;
    kap_progress_begin(&progress, "rehearsing", 1000);
    while (code == 0 && kap_rehearsal_next(stage->year, &act)) {
        kap_progress_update(&progress, (uint64_t)kap_rehearsal_permille(stage->year));
        code = advance(stage, act.at_ms);
        if (code == 0)
            code = say(stage, &act);
    }
    if (code == 0)
        code = advance(stage, kap_rehearsal_to_ms(stage->year) - 1);
    kap_progress_end(&progress);
    return code;
}

static int lay_clock(const line_t *line, const kap_rehearsal_t *year)
{
    kap_clock_t *clock = NULL;
    int rc = kap_clock_file_create(line->lay_path, kap_rehearsal_from_ms(year), &clock);
    kap_clock_destroy(&clock);
    return rc == KAP_OK ? KAP_EXIT_DONE
                        : kap_cli_fail(KAP_EXIT_USAGE, "%s: %s", line->lay_path, kap_err_text(rc));
}

static int rehearse(kap_cli_t *cli, const line_t *line, stage_t *stage)
{
    int code = kap_cli_connect(cli);
    if (code == 0)
        code = open_nodes(stage, line);
    if (code != 0)
        return code;
    int rc =
        kap_clock_file_create(line->clock_path, kap_rehearsal_from_ms(stage->year), &stage->clock);
    if (rc != KAP_OK)
        return kap_cli_fail(KAP_EXIT_USAGE, "%s: %s", line->clock_path, kap_err_text(rc));
    int64_t begin = kap_monotonic_ms();
    code = live(stage);
    if (code == 0)
        printf("The year %d in %.1f s: %ld acts, %ld came too late and were refused.\n",
               line->opts.year, (double)(kap_monotonic_ms() - begin) / 1000, stage->said,
               stage->refused);
    return code;
}

int kap_cmd_rehearse(kap_cli_t *cli, int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"clock", 'c', "FILE", 0, "The clock file that the daemons' configurations name", 0},
        {"node", 'o', "CONF", 0, "Configuration of one member's node; repeat it", 0},
        {"year", 'y', "YEAR", 0, "Which year; default 2025", 0},
        {"referrals", 'n', "N", 0, "First referrals of customers; default 400", 0},
        {"seed", 's', "N", 0, "Another seed is another year", 0},
        {"region", 'r', "REGION", 0, "Where; default: the configuration's", 0},
        {"lay-clock", 'l', "FILE", 0, "Only make the clock file, before the daemons start", 0},
        {0}};
    static const struct argp argp = {
        options,
        on_option,
        "",
        "Lives a year of invented work in a rehearsal mesh. Its daemons take their time from here; "
        "an ordinary mesh refuses such a clock.",
        0,
        0,
        0};
    line_t line = {.opts = {.year = 2025, .referrals = 400, .seed = 1}};
    stage_t stage = {.broker = cli, .scratch = kap_arena_new(65536)};
    kap_cli_parse(&argp, argc, argv, &line);
    line.opts.region = line.lay_path ? "" : kap_cli_region(cli, line.region);
    if (!line.opts.region)
        return KAP_EXIT_USAGE;
    stage.year = kap_rehearsal_new(&line.opts);
    int code = stage.year && stage.scratch ? 0 : kap_cli_fail(KAP_EXIT_REFUSED, "out of memory");
    if (code == 0)
        code = line.lay_path ? lay_clock(&line, stage.year) : rehearse(cli, &line, &stage);
    for (int i = 0; i < stage.node_count; i++)
        kap_cli_close(&stage.nodes[i]);
    kap_rehearsal_destroy(&stage.year);
    kap_clock_destroy(&stage.clock);
    kap_arena_destroy(&stage.scratch);
    return code;
}
