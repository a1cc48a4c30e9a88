/* SPDX-License-Identifier: MPL-2.0 */
/* kapula edges: the handover matrix of a region or an archive, edge by edge. */
#include <argp.h>
#include <string.h>
#include <unistd.h>

#include "answer.h"
#include "clock.h"
#include "err.h"
#include "shown.h"
#include "table.h"

/* SCREEN_REST: lines of a screen that are no rows of the matrix: title, heads, foot. */
enum { WATCH_S = 2, SCREEN_REST = 9, PAGE_TURNS = 5 };

/* Options that go into the question as they are. */
enum { REGION, FROM, TO, CLOCK, TIME, ZONE, QUESTIONS };
static const char *const questions[QUESTIONS] = {"region", "from", "to", "clock", "time", "zone"};

typedef struct {
    const char *values[QUESTIONS];
    bool watch;
} line_t;

static error_t on_option(int key, char *value, struct argp_state *state)
{
    line_t *line = state->input;
    if (key == 'w') {
        line->watch = true;
        return 0;
    }
    if (key < 256 || key >= 256 + QUESTIONS)
        return ARGP_ERR_UNKNOWN;
    line->values[key - 256] = value;
    return 0;
}

/* The edges behind `last`, or from the first on when that is NULL. */
static int ask_page(kap_cli_t *cli, const line_t *line, const kap_mp_t *last, const kap_mp_t **root)
{
    kap_buf_t map;
    uint32_t n = last != NULL;
    for (int i = 0; i < QUESTIONS; i++)
        n += line->values[i] != NULL;
    kap_buf_init(&map);
    kap_query_begin(&map, "edges", n);
    for (int i = 0; i < QUESTIONS; i++)
        if (line->values[i]) {
            kap_mp_put_cstr(&map, questions[i]);
            kap_mp_put_cstr(&map, line->values[i]);
        }
    if (last) {
        kap_mp_put_cstr(&map, "after");
        kap_mp_put_array(&map, 2);
        kap_mp_put_str(&map, kap_mp_get_str(last, "from"));
        kap_mp_put_str(&map, kap_mp_get_str(last, "to"));
    }
    int code = kap_cli_ask(cli, KAP_VERB_QUERY, kap_buf_span(&map), 0, root);
    kap_buf_fini(&map);
    return code;
}

/* All pages of one position, their edges in *edges; *moved: the figures went on between two of
 * them. *root is the first page. */
static int ask_pages(kap_cli_t *cli, const line_t *line, kap_shown_list_t *edges, bool *moved,
                     const kap_mp_t **root)
{
    const kap_mp_t *page = NULL, *last = NULL;
    do {
        int code = ask_page(cli, line, last, &page);
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
static int ask(kap_cli_t *cli, const line_t *line, const kap_mp_t **root)
{
    kap_shown_list_t map = {.arena = cli->arena};
    kap_mp_t *whole = kap_arena_alloc(cli->arena, sizeof *whole);
    bool moved = true;
    for (int turn = 0; moved && turn < PAGE_TURNS; turn++) {
        kap_shown_list_t edges = {.arena = cli->arena};
        int code = ask_pages(cli, line, &edges, &moved, root);
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
    snprintf(text[0], sizeof text[0], "%.*s", (int)from.size, (const char *)from.data);
    snprintf(text[1], sizeof text[1], "%.*s", (int)to.size, (const char *)to.data);
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
                   (int)word.size, (const char *)word.data, (long long)sum);
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
            kap_buf_printf(&line, ", %s %.*s", kap_shown_word(cli, days[i].word), (int)day.size,
                           (const char *)day.data);
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

static bool is_value(const kap_mp_t *root, const line_t *line, int question, const char *word)
{
    kap_span_t said = kap_mp_get_str(root, questions[question]);
    if (kap_span_empty(said) && line->values[question])
        said = kap_span_str(line->values[question]);
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
        snprintf(words[i], sizeof words[i], "%.*s", (int)word.size, (const char *)word.data);
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
static uint32_t rows_on_screen(const line_t *line)
{
    int height = line->watch ? kap_cli_height() : 0;
    return height == 0 ? UINT32_MAX : height > SCREEN_REST ? (uint32_t)(height - SCREEN_REST) : 1;
}

static int print_table(kap_cli_t *cli, const line_t *line, const kap_mp_t *root)
{
    const kap_mp_t *edges = kap_mp_get(root, "edges");
    bool elapsed = is_value(root, line, TIME, "elapsed");
    if (!edges || edges->kind != KAP_MP_ARRAY)
        return kap_cli_fail(KAP_EXIT_REFUSED, "an answer without edges");
    print_window(cli, root, line->values[REGION]);
    if (edges->count == 0 && kap_mp_get_int(root, "n", 0) > 0) {
        puts(kap_shown_word(cli, KAP_WORD_TOTALS_ONLY));
        return KAP_EXIT_DONE;
    }
    int code = print_matrix(cli, edges, elapsed, rows_on_screen(line));
    printf("\n%s, %s.\n",
           kap_shown_word(cli, elapsed ? KAP_WORD_TIME_ELAPSED : KAP_WORD_TIME_WORKING),
           kap_shown_word(cli, is_value(root, line, CLOCK, "customer") ? KAP_WORD_OF_CUSTOMER
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
static int days_in_order(const line_t *line)
{
    kap_date_t days[2];
    for (int i = FROM; i <= TO; i++)
        if (line->values[i] &&
            kap_date_parse(kap_span_str(line->values[i]), &days[i - FROM]) != KAP_OK)
            return kap_cli_fail(KAP_EXIT_USAGE, "--%s %s: say a day that exists, YYYY-MM-DD",
                                questions[i], line->values[i]);
    if (line->values[FROM] && line->values[TO] && strcmp(line->values[FROM], line->values[TO]) >= 0)
        return kap_cli_fail(KAP_EXIT_USAGE,
                            "--to %s: the day after the last, so it lies behind --from %s",
                            line->values[TO], line->values[FROM]);
    return KAP_EXIT_DONE;
}

static int show(kap_cli_t *cli, const line_t *line)
{
    const kap_mp_t *root = NULL;
    int code = ask(cli, line, &root);
    if (code != 0)
        return code;
    if (line->watch && isatty(STDOUT_FILENO))
        fputs("\033[H\033[J", stdout);
    if (cli->format == KAP_FORMAT_JSON)
        kap_cli_print_json(root, stdout);
    else if (cli->format == KAP_FORMAT_CSV)
        code = print_csv(root);
    else
        code = print_table(cli, line, root);
    return fflush(stdout) == 0 ? code : KAP_EXIT_REFUSED;
}

int kap_cmd_edges(kap_cli_t *cli, int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"region", 256 + REGION, "NAME", 0, "A region, or an archive; default: the configuration's",
         0},
        {"from", 256 + FROM, "DATE", 0, "First day of creation, YYYY-MM-DD", 0},
        {"to", 256 + TO, "DATE", 0, "The day after the last", 0},
        {"clock", 256 + CLOCK, "WHOSE", 0, "recipient (default) or customer", 0},
        {"time", 256 + TIME, "TIME", 0, "working (default) or elapsed; an archive: elapsed", 0},
        {"zone", 256 + ZONE, "ZONE", 0, "Europe/Helsinki (default) or UTC; an archive: UTC", 0},
        {"watch", 'w', 0, 0, "Show it again whenever time passes, until interrupted", 0},
        {0}};
    static const struct argp argp = {
        options,
        on_option,
        "",
        "The handover matrix: who handed how many to whom, and how long "
        "it took until they were taken.",
        0,
        0,
        0};
    line_t line = {{0}, false};
    kap_cli_parse(&argp, argc, argv, &line);
    line.values[REGION] = kap_cli_region(cli, line.values[REGION]);
    if (!line.values[REGION])
        return KAP_EXIT_USAGE;
    int code = days_in_order(&line);
    if (code == KAP_EXIT_DONE)
        code = show(cli, &line);
    bool began = code == KAP_EXIT_DONE;
    while (line.watch && began && (code == KAP_EXIT_DONE || code == KAP_EXIT_UNREACHABLE)) {
        sleep(WATCH_S); /* a broker that starts anew is waited for; it has been told */
        kap_arena_reset(cli->arena);
        code = show(cli, &line);
    }
    return code;
}
