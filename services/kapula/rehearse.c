/* SPDX-License-Identifier: MPL-2.0 */
/* kapula rehearse: a year of invented work, lived in a mesh whose daemons take their time from us.
 * Time stands still while an act is said, committed and delivered; then it jumps to the next. */
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "answer.h"
#include "args.h"
#include "clock.h"
#include "err.h"
#include "progress.h"
#include "rehearsal.h"
#include "saying.h"

enum { NODES_MAX = 16, POLL_US = 2000, PATIENCE_MS = 30000, REFUSALS_SHOWN = 5 };

typedef struct {
    kap_cli_t *broker;
    kap_cli_t nodes[NODES_MAX];
    int node_count;
    kap_clock_t *clock;
    kap_rehearsal_t *year;
    kap_arena_t *scratch; /* answers of one act */
    long said, refused;
} stage_t;

static kap_cli_t *node_of(stage_t *stage, const char *member)
{
    for (int i = 0; i < stage->node_count; i++)
        if (strcmp(kap_conf_str(stage->nodes[i].conf, "member"), member) == 0)
            return &stage->nodes[i];
    return NULL;
}

static int open_node(stage_t *stage, const char *conf)
{
    if (stage->node_count == NODES_MAX)
        return kap_cli_fail(KAP_EXIT_USAGE, "rehearse: at most %d nodes", NODES_MAX);
    kap_cli_t *node = &stage->nodes[stage->node_count++];
    *node = (kap_cli_t){.conf_path = conf, .arena = kap_arena_new(65536)};
    if (!node->arena)
        return kap_cli_fail(KAP_EXIT_REFUSED, "out of memory");
    int code = kap_cli_connect(node);
    if (code == 0 && !kap_conf_str(node->conf, "member"))
        code = kap_cli_fail(KAP_EXIT_USAGE, "%s: a rehearsal needs the key member", conf);
    return code;
}

static int open_nodes(stage_t *stage, const kap_args_t *args)
{
    int code = 0;
    for (int i = 0; code == 0 && i < args->count; i++)
        if (strcmp(args->said[i].option, "node") == 0)
            code = open_node(stage, args->said[i].value);
    return code;
}

/* The answer is read at once and its memory used again: a year has thousands of them. */
static int ask(stage_t *stage, kap_cli_t *who, kap_verb_t verb, kap_buf_t *map, bool quietly,
               const kap_mp_t **root)
{
    kap_arena_t *own = who->arena;
    who->arena = stage->scratch;
    int code = (quietly ? kap_cli_ask_quietly : kap_cli_ask)(who, verb, kap_buf_span(map), 0, root);
    who->arena = own;
    kap_buf_reset(map);
    return code;
}

/* An {error} is the asker's to look at; silence ends the rehearsal, with a word. */
static int ask_quietly(stage_t *stage, kap_cli_t *node, kap_verb_t verb, kap_buf_t *map,
                       const kap_mp_t **root)
{
    int code = ask(stage, node, verb, map, true, root);
    if (code != 0)
        kap_cli_fail(0, "%s: the node does not answer", kap_conf_str(node->conf, "member"));
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
        code = ask(stage, stage->broker, KAP_VERB_QUERY, &map, false, &root);
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
    const char *names[KAP_REHEARSAL_FIELDS], *values[KAP_REHEARSAL_FIELDS];
    for (int i = 0; i < act->count; i++) {
        names[i] = act->fields[i].name;
        values[i] = act->fields[i].value;
    }
    kap_cli_own_key(key);
    kap_cli_say_t say = {
        .verb = act->verb, .key = key, .names = names, .values = values, .count = act->count};
    kap_cli_put_act(map, &say);
}

/* An act that comes too late (the other end was faster) is refused and counted, as in life. */
static void count_refusal(stage_t *stage, const kap_rehearsal_act_t *act, const kap_mp_t *error)
{
    kap_span_t sentence = kap_mp_get_str(error, "sentence");
    if (stage->refused++ < REFUSALS_SHOWN)
        kap_cli_fail(0, "%s, %s: %.*s", act->member, act->verb, KAP_SPAN_ARGS(sentence));
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
    int code = ask(stage, node, KAP_VERB_LOCAL, &map, false, &root);
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

static int lay_clock(const char *path, const kap_rehearsal_t *year, kap_clock_t **clock)
{
    int rc = kap_clock_file_create(path, kap_rehearsal_from_ms(year), clock);
    return rc == KAP_OK ? 0 : kap_cli_fail(KAP_EXIT_USAGE, "%s: %s", path, kap_err_text(rc));
}

static int rehearse(kap_cli_t *cli, const kap_args_t *args, stage_t *stage, int year)
{
    int code = kap_cli_connect(cli);
    if (code == 0)
        code = open_nodes(stage, args);
    if (code == 0)
        code = lay_clock(kap_args_option(args, "clock"), stage->year, &stage->clock);
    int64_t begin = kap_monotonic_ms();
    if (code == 0)
        code = live(stage);
    if (code == 0)
        printf("The year %d in %.1f s: %ld acts, %ld came too late and were refused.\n", year,
               (double)(kap_monotonic_ms() - begin) / 1000, stage->said, stage->refused);
    return code;
}

int kap_cmd_rehearse(kap_cli_t *cli, int argc, char **argv)
{
    static const kap_usage_t usage = {
        "rehearse", "", 0, 0,
        "Lives a year of invented work in a rehearsal mesh. Its daemons take their time from here; "
        "an ordinary mesh refuses such a clock."};
    kap_args_t args;
    kap_args_parse(cli, &usage, argc, argv, &args);
    const char *lay = kap_args_option(&args, "lay-clock");
    if (!lay && (!kap_args_option(&args, "clock") || !kap_args_option(&args, "node")))
        return kap_cli_fail(KAP_EXIT_USAGE, "rehearse needs --clock and at least one --node");
    kap_rehearsal_opts_t opts = {
        .year = (int)kap_args_number(&args, "year", 1971, 9998, 2025),
        .referrals = (int)kap_args_number(&args, "referrals", 1, 100000, 400),
        .seed = (uint64_t)kap_args_number(&args, "seed", 0, LONG_MAX, 1),
        .region = lay ? "" : kap_cli_region(cli, kap_args_option(&args, "region"))};
    if (!opts.region)
        return KAP_EXIT_USAGE;
    stage_t stage = {
        .broker = cli, .scratch = kap_arena_new(65536), .year = kap_rehearsal_new(&opts)};
    int code = stage.year && stage.scratch ? 0 : kap_cli_fail(KAP_EXIT_REFUSED, "out of memory");
    if (code == 0)
        code = lay ? lay_clock(lay, stage.year, &stage.clock)
                   : rehearse(cli, &args, &stage, opts.year);
    for (int i = 0; i < stage.node_count; i++)
        kap_cli_close(&stage.nodes[i]);
    kap_rehearsal_destroy(&stage.year);
    kap_clock_destroy(&stage.clock);
    kap_arena_destroy(&stage.scratch);
    return code;
}
