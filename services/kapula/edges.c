/* SPDX-License-Identifier: MPL-2.0 */
/* kapula edges: the handover matrix of a region or an archive, edge by edge. */
#include <string.h>
#include <unistd.h>

#include "answer.h"
#include "args.h"
#include "clock.h"
#include "err.h"
#include "shown.h"
#include "table.h"

/* SCREEN_REST: lines of a screen that are no rows of the matrix: title, heads, foot. */
enum { WATCH_S = 2, SCREEN_REST = 9, PAGE_TURNS = 5 };

/* The edges behind `last`, or from the first on when that is NULL. The options that are fields go
 * into the question as they are. */
static int ask_page(kap_cli_t *cli, const kap_args_t *args, const kap_mp_t *last,
                    const kap_mp_t **root)
{
    const kap_option_t *row = NULL;
    const char *value;
    kap_buf_t pairs, map;
    uint32_t n = last != NULL;
    kap_buf_init(&pairs);
    kap_buf_init(&map);
    while ((row = kap_option_next("edges", row)))
        if (row->field && (value = kap_args_field(args, row->field))) {
            kap_mp_put_cstr(&pairs, row->field);
            kap_mp_put_cstr(&pairs, value);
            n++;
        }
    if (last) {
        kap_mp_put_cstr(&pairs, "after");
        kap_mp_put_array(&pairs, 2);
        kap_mp_put_str(&pairs, kap_mp_get_str(last, "from"));
        kap_mp_put_str(&pairs, kap_mp_get_str(last, "to"));
    }
    kap_query_begin(&map, "edges", n);
    kap_buf_append(&map, kap_buf_span(&pairs));
    int code = kap_cli_ask(cli, KAP_VERB_QUERY, kap_buf_span(&map), 0, root);
    kap_buf_fini(&pairs);
    kap_buf_fini(&map);
    return code;
}

/* All pages of one position, their edges in *edges; *moved: the figures went on between two of
 * them. *root is the first page. */
static int ask_pages(kap_cli_t *cli, const kap_args_t *args, kap_shown_list_t *edges, bool *moved,
                     const kap_mp_t **root)
{
    const kap_mp_t *page = NULL, *last = NULL;
    do {
        int code = ask_page(cli, args, last, &page);
        if (code != 0)
            return code;
        *root = last ? *root : page;
        *moved = kap_mp_get_int(page, "as_of_seq", 0) != kap_mp_get_int(*root, "as_of_seq", 0);
        const kap_mp_t *more = kap_mp_get(page, "edges");
        for (uint32_t i = 0; more && !*moved && i < more->count; i++) {
            last = kap_mp_item(more, i);
            kap_shown_add(edges, last);
        }
    } while (!*moved && last && kap_mp_get_bool(page, "more", false));
    return 0;
}

/* The whole answer, as if it had come in one. */
static int ask(kap_cli_t *cli, const kap_args_t *args, const kap_mp_t **root)
{
    kap_shown_list_t map = {.arena = cli->arena};
    kap_mp_t *whole = kap_arena_alloc(cli->arena, sizeof *whole);
    bool moved = true;
    for (int turn = 0; moved && turn < PAGE_TURNS; turn++) {
        kap_shown_list_t edges = {.arena = cli->arena};
        int code = ask_pages(cli, args, &edges, &moved, root);
        if (code != 0 || !kap_mp_get_bool(*root, "more", false))
            return code;
        const kap_mp_t all = kap_shown_array(&edges), no = {.kind = KAP_MP_BOOL, .b = false};
        map.used = 0;
        for (uint32_t i = 0; i < (*root)->count; i++) {
            kap_shown_add(&map, kap_mp_key(*root, i));
            kap_shown_add(&map, kap_mp_value(*root, i));
        }
        kap_shown_set(&map, "edges", &all);
        kap_shown_set(&map, "more", &no);
    }
    if (moved || !whole)
        return kap_cli_fail(KAP_EXIT_UNREACHABLE,
                            "the figures change while they are told; ask again when less comes in");
    *whole = kap_shown_map(&map);
    *root = whole;
    return 0;
}

/* "45 min", "6.5 h", "3.2 d": a day is 8 hours of working time, else 24. */
static void duration_text(const kap_mp_t *times, const char *key, bool elapsed, char out[16])
{
    int64_t ms = kap_mp_get_int(times, key, -1);
    double hours = (double)ms / 3600000, day = elapsed ? 24 : 8;
    if (ms < 0)
        snprintf(out, 16, "-");
    else if (hours < 1)
        snprintf(out, 16, "%.0f min", hours * 60);
    else if (hours < day)
        snprintf(out, 16, "%.1f h", hours);
    else
        snprintf(out, 16, "%.1f d", hours / day);
}

static kap_span_t shown_name(kap_cli_t *cli, const kap_mp_t *edge, const char *id, const char *name)
{
    kap_span_t known = kap_cli_member_name(cli, kap_mp_get_str(edge, id));
    return kap_span_eq(known, kap_mp_get_str(edge, id)) ? kap_mp_get_str(edge, name) : known;
}

static const char *const counts[] = {"referrals", "accepted", "declined", "redirected"};
enum { COUNTS = sizeof counts / sizeof *counts, CELLS = 2 + COUNTS + 2, REPORTED = CELLS };

/* Rows of an edge; the last cell, what is reported, falls away when nothing is. */
static void add_row(kap_cli_t *cli, kap_table_t *table, const kap_mp_t *edge, bool elapsed)
{
    char text[CELLS + 1][128];
    const char *cells[CELLS + 1];
    kap_span_t from = shown_name(cli, edge, "from", "from_name");
    kap_span_t to = shown_name(cli, edge, "to", "to_name");
    const kap_mp_t *times = kap_mp_get(edge, "time_to_accept");
    snprintf(text[0], sizeof text[0], "%.*s", KAP_SPAN_ARGS(from));
    snprintf(text[1], sizeof text[1], "%.*s", KAP_SPAN_ARGS(to));
    for (int i = 0; i < COUNTS; i++)
        snprintf(text[2 + i], sizeof text[0], "%lld",
                 (long long)kap_mp_get_int(edge, counts[i], 0));
    duration_text(times, "p50_ms", elapsed, text[CELLS - 2]);
    duration_text(times, "p90_ms", elapsed, text[CELLS - 1]);
    int64_t reported = kap_mp_get_int(edge, "reported", 0);
    text[REPORTED][0] = '\0'; /* most say nothing */
    if (reported > 0)
        snprintf(text[REPORTED], sizeof text[0], "%lld", (long long)reported);
    for (int i = 0; i <= CELLS; i++)
        cells[i] = text[i];
    kap_table_row(table, cells);
}

static int64_t sum_of(const kap_mp_t *edges, const char *key)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < edges->count; i++)
        sum += kap_mp_get_int(kap_mp_item(edges, i), key, 0);
    return sum;
}

/* What is counted beside the transfers, when there is any. */
static void print_beside(kap_cli_t *cli, const kap_mp_t *edges)
{
    static const char *const beside[] = {"guidance", "leads", "reported", "internal"};
    int shown = 0;
    for (size_t k = 0; k < sizeof beside / sizeof *beside; k++) {
        kap_span_t word = kap_shown_key(cli, kap_span_str(beside[k]));
        int64_t sum = sum_of(edges, beside[k]);
        if (sum > 0)
            printf("%s%.*s %lld", shown++ ? ", " : kap_shown_word(cli, KAP_WORD_BESIDE),
                   KAP_SPAN_ARGS(word), (long long)sum);
    }
    if (shown)
        puts(".");
}

static void print_window(kap_cli_t *cli, const kap_mp_t *root, const char *region)
{
    static const struct {
        const char *key;
        kap_word_t word;
    } days[] = {{"from", KAP_WORD_FROM_DAY}, {"to", KAP_WORD_BEFORE_DAY}},
      totals[] = {
          {"n", KAP_WORD_TRANSFERS}, {"decided", KAP_WORD_DECIDED}, {"pending", KAP_WORD_PENDING}};
    kap_buf_t line;
    kap_buf_init(&line);
    kap_buf_printf(&line, "%s %s", kap_shown_word(cli, KAP_WORD_HANDOVERS_IN), region);
    for (size_t i = 0; i < 2; i++) {
        kap_span_t day = kap_mp_get_str(kap_mp_get(root, "window"), days[i].key);
        if (!kap_span_empty(day))
            kap_buf_printf(&line, ", %s %.*s", kap_shown_word(cli, days[i].word),
                           KAP_SPAN_ARGS(day));
    }
    for (size_t i = 0; i < 3; i++) {
        int64_t n = kap_mp_get_int(root, totals[i].key, 0);
        kap_word_t word = n == 1 && i == 0 ? KAP_WORD_TRANSFER : totals[i].word;
        kap_buf_printf(&line, "%s %lld %s", i ? "," : ":", (long long)n, kap_shown_word(cli, word));
    }
    kap_shown_line(0, 0, kap_span_str(""), kap_buf_span(&line));
    putchar('\n');
    kap_buf_fini(&line);
}

/* What the answer says of a question's field, else what was asked. */
static bool is_value(const kap_mp_t *root, const kap_args_t *args, const char *field,
                     const char *word)
{
    const char *asked = kap_args_field(args, field);
    kap_span_t said = kap_mp_get_str(root, field);
    if (kap_span_empty(said) && asked)
        said = kap_span_str(asked);
    return kap_span_eq_str(said, word);
}

/* The matrix under its titles, at most `most` rows of it: a watched screen holds no more. */
static int print_matrix(kap_cli_t *cli, const kap_mp_t *edges, bool elapsed, uint32_t most)
{
    static const char *const titles[CELLS] = {"from",     "to",         "referrals", "accepted",
                                              "declined", "redirected", "p50_ms",    "p90_ms"};
    kap_table_column_t columns[CELLS + 2] = {{0}};
    char words[CELLS + 1][64];
    int cells = sum_of(edges, "reported") > 0 ? CELLS + 1 : CELLS;
    for (int i = 0; i < cells; i++) {
        kap_span_t word = i == REPORTED ? kap_span_str(kap_shown_word(cli, KAP_WORD_REPORTED_HEAD))
                                        : kap_shown_key(cli, kap_span_str(titles[i]));
        snprintf(words[i], sizeof words[i], "%.*s", KAP_SPAN_ARGS(word));
        columns[i] = (kap_table_column_t){words[i], i < 2 ? KAP_TABLE_LEFT : KAP_TABLE_RIGHT, 0};
    }
    kap_table_t *table = kap_table_new(columns);
    if (!table)
        return kap_cli_fail(KAP_EXIT_REFUSED, "out of memory");
    for (uint32_t i = 0; i < edges->count && i < most; i++)
        add_row(cli, table, kap_mp_item(edges, i), elapsed);
    kap_table_print(table, stdout, kap_cli_width());
    if (edges->count > most)
        printf("... +%u\n", edges->count - most);
    kap_table_destroy(&table);
    return KAP_EXIT_DONE;
}

/* Rows of the matrix that fit on a watched screen beside title, heads and foot. */
static uint32_t rows_on_screen(const kap_args_t *args)
{
    int height = kap_args_option(args, "watch") ? kap_cli_height() : 0;
    return height == 0 ? UINT32_MAX : height > SCREEN_REST ? (uint32_t)(height - SCREEN_REST) : 1;
}

static int print_table(kap_cli_t *cli, const kap_args_t *args, const kap_mp_t *root)
{
    const kap_mp_t *edges = kap_mp_get(root, "edges");
    bool elapsed = is_value(root, args, "time", "elapsed");
    if (!edges || edges->kind != KAP_MP_ARRAY)
        return kap_cli_fail(KAP_EXIT_REFUSED, "an answer without edges");
    print_window(cli, root, kap_args_field(args, "region"));
    if (edges->count == 0 && kap_mp_get_int(root, "n", 0) > 0) {
        puts(kap_shown_word(cli, KAP_WORD_TOTALS_ONLY));
        return KAP_EXIT_DONE;
    }
    int code = print_matrix(cli, edges, elapsed, rows_on_screen(args));
    printf("\n%s, %s.\n",
           kap_shown_word(cli, elapsed ? KAP_WORD_TIME_ELAPSED : KAP_WORD_TIME_WORKING),
           kap_shown_word(cli, is_value(root, args, "clock", "customer") ? KAP_WORD_OF_CUSTOMER
                                                                         : KAP_WORD_OF_RECIPIENT));
    print_beside(cli, edges);
    return code;
}

static int print_csv(const kap_mp_t *root)
{
    static const char *const times[] = {"n", "p50_ms", "p90_ms", "p99_ms"};
    const kap_mp_t *edges = kap_mp_get(root, "edges");
    printf("from,to,from_name,to_name,referrals,accepted,declined,redirected,completed,withdrawn,"
           "pending,guidance,leads,reported,internal,accept_n,accept_p50_ms,accept_p90_ms,"
           "accept_p99_ms\r\n");
    for (uint32_t i = 0; edges && i < edges->count; i++) {
        static const char *const names[] = {"from", "to", "from_name", "to_name"};
        static const char *const all[] = {"referrals", "accepted",  "declined", "redirected",
                                          "completed", "withdrawn", "pending",  "guidance",
                                          "leads",     "reported",  "internal"};
        const kap_mp_t *edge = kap_mp_item(edges, i), *accept = kap_mp_get(edge, "time_to_accept");
        for (size_t k = 0; k < sizeof names / sizeof *names; k++)
            kap_cli_csv_field(stdout, kap_mp_get_str(edge, names[k]), false);
        for (size_t k = 0; k < sizeof all / sizeof *all; k++)
            printf("%lld,", (long long)kap_mp_get_int(edge, all[k], 0));
        for (size_t k = 0; k < sizeof times / sizeof *times; k++) {
            int64_t value = kap_mp_get_int(accept, times[k], -1);
            if (value >= 0)
                printf("%lld", (long long)value);
            fputs(k + 1 < sizeof times / sizeof *times ? "," : "\r\n", stdout);
        }
    }
    return KAP_EXIT_DONE;
}

/* What can be known to be wrong before anybody is asked. */
static int days_in_order(const kap_args_t *args)
{
    static const char *const names[] = {"from", "to"};
    const char *from = kap_args_option(args, "from"), *to = kap_args_option(args, "to");
    for (int i = 0; i < 2; i++) {
        const char *day = kap_args_option(args, names[i]);
        kap_date_t date;
        if (day && kap_date_parse(kap_span_str(day), &date) != KAP_OK)
            return kap_cli_fail(KAP_EXIT_USAGE, "--%s %s: say a day that exists, YYYY-MM-DD",
                                names[i], day);
    }
    if (from && to && strcmp(from, to) >= 0)
        return kap_cli_fail(KAP_EXIT_USAGE,
                            "--to %s: the day after the last, so it lies behind --from %s", to,
                            from);
    return KAP_EXIT_DONE;
}

static int show(kap_cli_t *cli, const kap_args_t *args)
{
    const kap_mp_t *root = NULL;
    int code = ask(cli, args, &root);
    if (code != 0)
        return code;
    if (kap_args_option(args, "watch") && isatty(STDOUT_FILENO))
        fputs("\033[H\033[J", stdout);
    if (cli->format == KAP_FORMAT_JSON)
        kap_cli_print_json(root, stdout);
    else if (cli->format == KAP_FORMAT_CSV)
        code = print_csv(root);
    else
        code = print_table(cli, args, root);
    fflush(stdout);
    return code;
}

int kap_cmd_edges(kap_cli_t *cli, int argc, char **argv)
{
    static const kap_usage_t usage = {"edges", "", 0, 0,
                                      "The handover matrix: who handed how many to whom, and how "
                                      "long it took until they were taken."};
    kap_args_t args;
    kap_args_parse(cli, &usage, argc, argv, &args);
    const char *region = kap_cli_region(cli, kap_args_option(&args, "region"));
    if (!region)
        return KAP_EXIT_USAGE;
    kap_args_add(&args, "region", region);
    int code = days_in_order(&args);
    if (code == KAP_EXIT_DONE)
        code = show(cli, &args);
    bool watch = kap_args_option(&args, "watch") && code == KAP_EXIT_DONE;
    while (watch && (code == KAP_EXIT_DONE || code == KAP_EXIT_UNREACHABLE) && !ferror(stdout)) {
        sleep(WATCH_S); /* a broker that starts anew is waited for; it has been told */
        kap_arena_reset(cli->arena);
        code = show(cli, &args);
    }
    return code;
}
