/* SPDX-License-Identifier: MPL-2.0 */
/* kapula show: the story of one referral or case, from a node or from the broker. */
#include <string.h>

#include "answer.h"
#include "args.h"
#include "clock.h"
#include "err.h"
#include "saying.h"
#include "shown.h"
#include "tables.h"

enum { LABEL = 22 };

/* What the node knows of `id`, its events behind stream position `after`. */
static int ask_local(kap_cli_t *cli, const char *id, int64_t after, const kap_mp_t **root)
{
    kap_buf_t map;
    kap_buf_init(&map);
    kap_mp_put_map(&map, 2 + (after > 0));
    kap_mp_put_cstr(&map, "local");
    kap_mp_put_cstr(&map, "show");
    kap_mp_put_cstr(&map, "id");
    kap_mp_put_cstr(&map, id);
    if (after > 0) {
        kap_mp_put_cstr(&map, "after");
        kap_mp_put_int(&map, after);
    }
    int code = kap_cli_ask(cli, KAP_VERB_LOCAL, kap_buf_span(&map), 0, root);
    kap_buf_fini(&map);
    return code;
}

/* The broker tells a referral and a case by different questions. */
static int ask_broker(kap_cli_t *cli, const char *id, const char *archive, const kap_mp_t **root)
{
    static const char *const names[] = {"referral", "case"};
    int code = 0;
    for (int i = 0; i < 2; i++) {
        kap_buf_t map;
        kap_buf_init(&map);
        kap_query_begin(&map, names[i], 1u + (archive != NULL));
        kap_mp_put_cstr(&map, "id");
        kap_mp_put_cstr(&map, id);
        if (archive) {
            kap_mp_put_cstr(&map, "region");
            kap_mp_put_cstr(&map, archive);
        }
        if (i == 0)
            code = kap_cli_ask_quietly(cli, KAP_VERB_QUERY, kap_buf_span(&map), 0, root);
        if (i == 1 || code != 0)
            code = kap_cli_ask(cli, KAP_VERB_QUERY, kap_buf_span(&map), 0, root);
        kap_buf_fini(&map);
        if (code != 0 || !kap_mp_get(*root, "error"))
            return code;
    }
    return code;
}

/* --- as one object for programs --- */

static const char *const flag_keys[] = {
    "on_hold",  "late",     "contact_late", "withdraw_requested", "did_not_come",
    "came",     "warm",     "shared",       "return_expected",    "consent_withdrawn",
    "internal", "external", "backed_out"};

static const kap_mp_t *of_kind(const kap_mp_t *node, kap_mp_kind_t kind)
{
    return node && node->kind == kind ? node : NULL;
}

static bool is_flag(kap_span_t key)
{
    for (size_t i = 0; i < sizeof flag_keys / sizeof *flag_keys; i++)
        if (kap_span_eq_str(key, flag_keys[i]))
            return true;
    return false;
}

/* Open and ends part of an event as one map. */
static kap_mp_t event_data(kap_cli_t *cli, const kap_mp_t *event)
{
    static const char *const parts[] = {"data", "ends"};
    kap_shown_list_t map = {.arena = cli->arena};
    for (int p = 0; p < 2; p++) {
        const kap_mp_t *part = of_kind(kap_mp_get(event, parts[p]), KAP_MP_MAP);
        for (uint32_t i = 0; part && i < part->count; i++) {
            kap_shown_add(&map, kap_mp_key(part, i));
            kap_shown_add(&map, kap_mp_value(part, i));
        }
    }
    return kap_shown_map(&map);
}

static void carry(kap_shown_list_t *to, const kap_mp_t *from, const char *key)
{
    const kap_mp_t *value = kap_mp_get(from, key);
    if (value)
        kap_shown_set(to, key, value);
}

/* An event of the door (localpub.h), in the order in which a story is told. */
static kap_mp_t told_event(kap_cli_t *cli, const kap_mp_t *event)
{
    kap_shown_list_t map = {.arena = cli->arena};
    const kap_mp_t *here = kap_mp_get(event, "kapula");
    kap_span_t by = kap_mp_get_str(event, "source");
    const uint8_t *slash = by.size ? memchr(by.data, '/', by.size) : NULL;
    if (slash)
        by.size = (size_t)(slash - by.data);
    kap_mp_t data = event_data(cli, event);
    carry(&map, event, "type");
    carry(&map, event, "time");
    carry(&map, here, "committed_at");
    kap_shown_set_text(&map, "by", by);
    carry(&map, here, "log_seq");
    carry(&map, here, "verdict");
    carry(&map, here, "unsealed");
    carry(&map, event, "id");
    carry(&map, event, "subject");
    kap_shown_set(&map, "data", &data);
    carry(&map, event, "contents");
    return kap_shown_map(&map);
}

/* Appends the events of one page; the stream position of the last to *after. */
static void gather_events(kap_cli_t *cli, const kap_mp_t *root, kap_shown_list_t *events,
                          int64_t *after)
{
    const kap_mp_t *texts = of_kind(kap_mp_get(root, "events"), KAP_MP_ARRAY);
    for (uint32_t i = 0; texts && i < texts->count; i++) {
        const kap_mp_t *text = kap_mp_item(texts, i);
        kap_mp_t event = *text;
        if (text->kind == KAP_MP_STR && kap_cli_read_json(cli->arena, text->s, &event) != KAP_OK)
            continue;
        *after = kap_mp_get_int(kap_mp_get(&event, "kapula"), "seq", *after);
        kap_mp_t told = told_event(cli, &event);
        kap_shown_add(events, &told);
    }
}

/* All events about `id`, this page's and the later ones. */
static int all_events(kap_cli_t *cli, const char *id, const kap_mp_t *root,
                      kap_shown_list_t *events)
{
    int64_t after = 0, before = -1;
    int code = 0;
    gather_events(cli, root, events, &after);
    while (code == 0 && kap_mp_get_bool(root, "more", false) && after > before) {
        before = after;
        code = ask_local(cli, id, after, &root);
        if (code == 0)
            gather_events(cli, root, events, &after);
    }
    return code;
}

/* Clear contents of the referral: those of its first event. */
static const kap_mp_t *contents_of(const kap_mp_t *events)
{
    for (uint32_t i = 0; i < events->count; i++) {
        const kap_mp_t *event = kap_mp_item(events, i);
        if (kap_span_eq_str(kap_mp_get_str(event, "type"), "kapula.referral.created.v1"))
            return of_kind(kap_mp_get(event, "contents"), KAP_MP_MAP);
    }
    return NULL;
}

/* The referral's own map and what stands beside it, always under the same keys: flags, contents
 * and events are there even when they are empty. */
static kap_mp_t whole_story(kap_cli_t *cli, const kap_mp_t *own, const kap_mp_t *events)
{
    kap_shown_list_t map = {.arena = cli->arena}, flags = {.arena = cli->arena};
    kap_mp_t nothing = {.kind = KAP_MP_MAP};
    const kap_mp_t *contents = contents_of(events);
    kap_span_t id = kap_mp_get_str(own, "id");
    kap_shown_set_text(&map, "id", kap_span_empty(id) ? kap_mp_get_str(own, "referral") : id);
    for (uint32_t i = 0; i < own->count; i++) {
        const kap_mp_t *key = kap_mp_key(own, i), *value = kap_mp_value(own, i);
        if (is_flag(key->s) && value->kind == KAP_MP_BOOL) {
            if (value->b)
                kap_shown_add(&flags, key);
        } else if (!kap_span_eq_str(key->s, "id")) {
            kap_shown_add(&map, key);
            kap_shown_add(&map, value);
        }
    }
    kap_mp_t raised = kap_shown_array(&flags);
    kap_shown_set(&map, "flags", &raised);
    kap_shown_set(&map, "contents", contents ? contents : &nothing);
    kap_shown_set(&map, "events", events);
    return kap_shown_map(&map);
}

/* --- for people --- */

static void print_field(kap_cli_t *cli, int indent, kap_span_t key, const kap_mp_t *value)
{
    char text[KAP_SHOWN_BYTES];
    kap_span_t shown;
    if (value->kind == KAP_MP_STR && value->s.size >= KAP_SHOWN_BYTES) {
        shown = value->s;
    } else {
        kap_shown_value(cli, key, value, text);
        shown = kap_span_str(text);
    }
    kap_shown_line(indent, LABEL - indent, kap_shown_key(cli, key), shown);
}

static void print_keys(kap_cli_t *cli, const kap_mp_t *map, const char *const keys[], size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const kap_mp_t *value = kap_mp_get(map, keys[i]);
        if (value)
            print_field(cli, 2, kap_span_str(keys[i]), value);
    }
}

/* Ids and what the heading says already are left out of an event's data. */
static bool is_told(kap_span_t key)
{
    static const char *const keys[] = {"referral", "from",   "to",     "region",   "service",
                                       "segment",  "case",   "parent", "customer", "kind",
                                       "language", "origin", "flags",  "basis"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (kap_span_eq_str(key, keys[i]))
            return true;
    return false;
}

static void print_map(kap_cli_t *cli, const kap_mp_t *map, bool all)
{
    for (uint32_t i = 0; map && map->kind == KAP_MP_MAP && i < map->count; i++)
        if (all || !is_told(kap_mp_key(map, i)->s))
            print_field(cli, all ? 2 : 4, kap_mp_key(map, i)->s, kap_mp_value(map, i));
}

/* The event's time as people read it. */
static void when_text(const kap_mp_t *event, char out[KAP_TIME_TEXT])
{
    int64_t at;
    out[0] = '\0';
    if (kap_time_parse(kap_mp_get_str(event, "time"), KAP_ZONE_UTC, &at, NULL) == KAP_OK)
        kap_time_format_local(at, out);
}

static void print_event(kap_cli_t *cli, const kap_mp_t *event)
{
    char when[KAP_TIME_TEXT], what[KAP_SHOWN_BYTES];
    kap_span_t name = kap_mp_get_str(event, "type");
    kap_event_type_t type = kap_event_type_parse(name);
    kap_span_t by = kap_cli_member_name(cli, kap_mp_get_str(event, "by"));
    kap_span_t verdict = kap_mp_get_str(event, "verdict");
    when_text(event, when);
    if (type != KAP_EV_NONE)
        name = kap_span_str(kap_event_type_text(type, kap_shown_lang(cli)));
    snprintf(what, sizeof what, "%.*s%s%.*s", KAP_SPAN_ARGS(name), kap_span_empty(by) ? "" : ", ",
             KAP_SPAN_ARGS(by));
    kap_shown_line(2, LABEL - 2, kap_span_str(when), kap_span_str(what));
    if (!kap_span_empty(verdict) && !kap_span_eq_str(verdict, "accepted")) {
        const char *text = kap_code_text(
            KAP_LIST_VERDICT, kap_code_parse(KAP_LIST_VERDICT, verdict), kap_shown_lang(cli));
        kap_shown_line(LABEL, 0, kap_span_str(""), text ? kap_span_str(text) : verdict);
    }
    if (!kap_mp_get_bool(event, "unsealed", true))
        kap_shown_line(LABEL, 0, kap_span_str(""),
                       kap_span_str(kap_shown_word(cli, KAP_WORD_SEALED)));
    print_map(cli, kap_mp_get(event, "data"), false);
    if (type != KAP_EV_REFERRAL_CREATED) /* those of the first event stand above */
        print_map(cli, kap_mp_get(event, "contents"), false);
}

static void print_events(kap_cli_t *cli, const kap_mp_t *events)
{
    if (!events || events->kind != KAP_MP_ARRAY || events->count == 0)
        return;
    printf("\n%s\n", kap_shown_word(cli, KAP_WORD_EVENTS));
    for (uint32_t i = 0; i < events->count; i++)
        print_event(cli, kap_mp_item(events, i));
}

static void print_head(kap_cli_t *cli, kap_word_t word, kap_span_t id)
{
    kap_shown_line(0, LABEL, kap_span_str(kap_shown_word(cli, word)), id);
}

static void print_referral(kap_cli_t *cli, const kap_mp_t *story)
{
    static const char *const about[] = {
        "state",      "flags",      "from",       "to",           "region",
        "kind",       "service",    "segment",    "language",     "origin",
        "case",       "parent",     "created_at", "delivered_at", "accepted_at",
        "contact_at", "expired_at", "due_at",     "ended_at",     "outcome",
        "detail",     "reason",     "next",       "attempts",     "answer_received_at"};
    const kap_mp_t *contents = kap_mp_get(story, "contents");
    const kap_mp_t *attempts = kap_mp_get(story, "attempts");
    print_head(cli, KAP_WORD_REFERRAL, kap_mp_get_str(story, "id"));
    print_keys(cli, story, about, sizeof about / sizeof *about - 2);
    if (attempts && kap_mp_get_int(story, "attempts", 0) > 0)
        print_field(cli, 2, kap_span_str("attempts"), attempts);
    print_keys(cli, story, &about[sizeof about / sizeof *about - 1], 1);
    if (!kap_mp_get_bool(story, "committed", true))
        kap_shown_line(LABEL, 0, kap_span_str(""),
                       kap_span_str(kap_shown_word(cli, KAP_WORD_ON_ITS_WAY)));
    if (contents->count > 0) {
        printf("\n%s\n", kap_shown_word(cli, KAP_WORD_CONTENTS));
        print_map(cli, contents, true);
    }
    print_events(cli, kap_mp_get(story, "events"));
}

static void print_referral_csv(kap_cli_t *cli, const kap_mp_t *story)
{
    static const kap_shown_column_t columns[] = {
        {.key = "id"},          {.key = "case"},       {.key = "state"},
        {.key = "from"},        {.key = "to"},         {.key = "kind"},
        {.key = "service"},     {.key = "created_at"}, {.key = "delivered_at"},
        {.key = "accepted_at"}, {.key = "contact_at"}, {.key = "ended_at"},
        {.key = "outcome"},     {.key = "detail"},     {.key = "reason"},
        {.key = "flags"},       {.key = NULL}};
    kap_mp_t rows = {.kind = KAP_MP_ARRAY, .count = 1, .items = story};
    kap_shown_rows(cli, "referral", &rows, columns);
}

static int row_order(const kap_mp_t *a, const kap_mp_t *b)
{
    return kap_span_cmp(kap_mp_get_str(a, "time"), kap_mp_get_str(b, "time"));
}

/* By time; times are of one form, so their texts compare. Few, and nearly in order. */
static void sort_events(kap_shown_list_t *events)
{
    for (uint32_t i = 1; i < events->used; i++)
        for (uint32_t k = i; k > 0 && row_order(&events->items[k - 1], &events->items[k]) > 0;
             k--) {
            kap_mp_t other = events->items[k];
            events->items[k] = events->items[k - 1];
            events->items[k - 1] = other;
        }
}

/* The events of every referral of the case; a broker tells none. */
static int case_events(kap_cli_t *cli, bool local, const kap_shown_list_t *rows,
                       kap_shown_list_t *events)
{
    int code = 0;
    for (uint32_t i = 0; code == 0 && local && i < rows->used; i++) {
        const kap_mp_t *root;
        char *id = kap_arena_str(cli->arena, kap_mp_get_str(&rows->items[i], "id"));
        if (!id)
            return kap_cli_fail(KAP_EXIT_REFUSED, "out of memory");
        code = ask_local(cli, id, 0, &root);
        if (code == 0)
            code = all_events(cli, id, root, events);
    }
    sort_events(events);
    return code;
}

static int show_case(kap_cli_t *cli, bool local, kap_span_t id, const kap_mp_t *referrals)
{
    static const kap_shown_column_t people[] = {{.key = "id", .tail = true},
                                                {.key = "created_at", .day = true},
                                                {.key = "from"},
                                                {.key = "to"},
                                                {.key = "state"},
                                                {.key = "outcome"},
                                                {.key = NULL}};
    static const kap_shown_column_t programs[] = {
        {.key = "id"},       {.key = "parent"}, {.key = "created_at"}, {.key = "from"},
        {.key = "to"},       {.key = "kind"},   {.key = "state"},      {.key = "outcome"},
        {.key = "ended_at"}, {.key = NULL}};
    kap_shown_list_t rows = {.arena = cli->arena}, told = {.arena = cli->arena};
    for (uint32_t i = 0; i < referrals->count; i++) {
        kap_mp_t row = kap_shown_with_id(cli, kap_mp_item(referrals, i));
        kap_shown_add(&rows, &row);
    }
    kap_mp_t array = kap_shown_array(&rows);
    if (cli->format == KAP_FORMAT_CSV)
        return kap_shown_rows(cli, "referrals", &array, programs);
    int code = case_events(cli, local, &rows, &told);
    kap_mp_t events = kap_shown_array(&told);
    if (code == 0 && cli->format == KAP_FORMAT_JSON) {
        kap_shown_list_t map = {.arena = cli->arena};
        kap_shown_set_text(&map, "case", id);
        kap_shown_set(&map, "referrals", &array);
        kap_shown_set(&map, "events", &events);
        kap_mp_t root = kap_shown_map(&map);
        kap_cli_print_json(&root, stdout);
    } else if (code == 0) {
        print_head(cli, KAP_WORD_CASE, id);
        putchar('\n');
        code = kap_shown_rows(cli, "referrals", &array, people);
        print_events(cli, &events);
    }
    return code;
}

static int show_referral(kap_cli_t *cli, const char *id, const kap_mp_t *root)
{
    kap_shown_list_t events = {.arena = cli->arena};
    int code = all_events(cli, id, root, &events);
    if (code != 0)
        return code;
    kap_mp_t told = kap_shown_array(&events);
    kap_mp_t story = whole_story(cli, kap_mp_get(root, "referral"), &told);
    if (cli->format == KAP_FORMAT_JSON)
        kap_cli_print_json(&story, stdout);
    else if (cli->format == KAP_FORMAT_CSV)
        print_referral_csv(cli, &story);
    else
        print_referral(cli, &story);
    return KAP_EXIT_DONE;
}

/* Meetings, forums and actions, as far as this node knows them. */
static int show_other(kap_cli_t *cli, const char *id, const kap_mp_t *root)
{
    static const struct {
        const char *key;
        kap_word_t word;
    } kinds[] = {
        {"meeting", KAP_WORD_MEETING}, {"forum", KAP_WORD_FORUM}, {"action", KAP_WORD_ACTION}};
    kap_shown_list_t told = {.arena = cli->arena}, map = {.arena = cli->arena};
    int code = all_events(cli, id, root, &told);
    kap_mp_t events = kap_shown_array(&told);
    for (size_t i = 0; code == 0 && i < sizeof kinds / sizeof *kinds; i++) {
        const kap_mp_t *own = of_kind(kap_mp_get(root, kinds[i].key), KAP_MP_MAP);
        if (!own)
            continue;
        if (cli->format == KAP_FORMAT_JSON) {
            kap_shown_set_text(&map, "id", kap_span_str(id));
            kap_shown_set(&map, kinds[i].key, own);
            kap_shown_set(&map, "events", &events);
            kap_mp_t whole = kap_shown_map(&map);
            kap_cli_print_json(&whole, stdout);
        } else {
            print_head(cli, kinds[i].word, kap_span_str(id));
            print_map(cli, own, true);
            print_events(cli, &events);
        }
        return KAP_EXIT_DONE;
    }
    return code ? code : kap_cli_fail(KAP_EXIT_REFUSED, "an answer of another kind");
}

int kap_cmd_show(kap_cli_t *cli, int argc, char **argv)
{
    static const kap_usage_t usage = {
        "show", "REFERRAL|CASE", 1, 1,
        "The story of one referral or case: who, what, when. Also by the last 12 characters of the "
        "id, as lists show them."};
    kap_args_t args;
    const kap_mp_t *root;
    kap_args_parse(cli, &usage, argc, argv, &args);
    const char *id = args.words[0], *archive = kap_args_option(&args, "region");
    int code = kap_cli_configure(cli);
    bool local = code == 0 && kap_cli_is_local(cli) && !archive;
    if (local)
        code = kap_cli_whole_id(cli, id, &id);
    if (code == 0)
        code = local ? ask_local(cli, id, 0, &root) : ask_broker(cli, id, archive, &root);
    if (code != 0)
        return code;
    const kap_mp_t *of_case = of_kind(kap_mp_get(root, "case"), KAP_MP_ARRAY);
    if (!of_case)
        of_case = of_kind(kap_mp_get(root, "referrals"), KAP_MP_ARRAY);
    if (of_kind(kap_mp_get(root, "referral"), KAP_MP_MAP))
        return show_referral(cli, id, root);
    return of_case ? show_case(cli, local, kap_span_str(id), of_case) : show_other(cli, id, root);
}
