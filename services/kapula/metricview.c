/* SPDX-License-Identifier: MPL-2.0 */
#include "metricview.h"

#include <string.h>

#include "clock.h"
#include "err.h"
#include "measure.h"
#include "table.h"

enum { COLUMNS = 48, KEYS = 3, GAP = 2, LABEL = 26 };

/* One column of the rows: a value, or a part of one. */
typedef struct {
    kap_span_t key, part; /* part: of a map or of times; empty when it is the value itself */
    int item;             /* of an edge: 0 from, 1 to; -1 else */
    bool of_key, right;
    char title[64];
    int width;
    bool said; /* some row says something else than 0 */
} column_t;

typedef struct {
    kap_cli_t *cli;
    const kap_mp_t *answer, *rows;
    bool elapsed;
    char hidden[16];
    column_t columns[COLUMNS];
    int count, keys;
} view_t;

static int columns_of(kap_span_t text)
{
    int n = 0;
    for (size_t i = 0; i < text.size; i++)
        n += (text.data[i] & 0xc0) != 0x80;
    return n;
}

/* --- head and totals --- */

static void print_head(view_t *view)
{
    static const char *const counts[] = {"n", "decided", "pending"};
    const kap_mp_t *answer = view->answer;
    kap_span_t kind = kap_mp_get_str(answer, "kind");
    kap_buf_t line;
    kap_buf_init(&line);
    kap_metricview_title(view->cli, answer, &line);
    if (!kap_span_empty(kind))
        kap_buf_printf(&line, ", %.*s", KAP_SPAN_ARGS(kap_shown_key(view->cli, kind)));
    kap_shown_line(0, 0, kap_span_str(""), kap_buf_span(&line));
    kap_buf_reset(&line);
    for (size_t i = 0; i < 3; i++)
        if (kap_mp_get(answer, counts[i])) {
            kap_span_t word = kap_shown_key(view->cli, kap_span_str(counts[i]));
            kap_buf_printf(&line, "%s%.*s %lld", line.size ? ", " : "", KAP_SPAN_ARGS(word),
                           (long long)kap_mp_get_int(answer, counts[i], 0));
        }
    kap_shown_line(0, 0, kap_span_str(""), kap_buf_span(&line));
    putchar('\n');
    kap_buf_fini(&line);
}

/* Words of other views begin with a capital; among values all begin alike. */
static kap_span_t lowered(const view_t *view, kap_span_t label)
{
    bool capital = label.size > 1 && label.data[0] >= 'A' && label.data[0] <= 'Z' &&
                   !(label.data[1] >= 'A' && label.data[1] <= 'Z');
    char *copy = capital ? kap_arena_str(view->cli->arena, label) : NULL;
    if (copy)
        copy[0] = (char)(copy[0] - 'A' + 'a');
    return copy ? kap_span_str(copy) : label;
}

/* "n 12: median 1.5 d, 90 % 4.0 d, longest 6.0 d (exact)" */
static void time_line(view_t *view, const kap_mp_t *value, kap_buf_t *out)
{
    static const char *const parts[] = {"p50_ms", "p90_ms", "p99_ms", "max_ms", "mean_ms"};
    int64_t n = kap_mp_get_int(value, "n", 0);
    kap_buf_printf(out, "n %lld", (long long)n);
    for (size_t i = 0; n > 0 && i < sizeof parts / sizeof *parts; i++) {
        char text[KAP_MEASURE_BYTES];
        int64_t ms = kap_mp_get_int(value, parts[i], -1);
        kap_span_t word = lowered(view, kap_shown_key(view->cli, kap_span_str(parts[i])));
        if (ms < 0)
            continue;
        kap_measure_duration(kap_shown_lang(view->cli), ms, view->elapsed, i == 0, text);
        kap_buf_printf(out, ", %.*s %s", KAP_SPAN_ARGS(word), text);
    }
    if (n > 0 && kap_mp_get(value, "exact"))
        kap_buf_printf(out, " (%s)",
                       kap_shown_word(view->cli, kap_mp_get_bool(value, "exact", true)
                                                     ? KAP_WORD_EXACT
                                                     : KAP_WORD_ONE_PERCENT));
}

static kap_span_t label_of(const view_t *view, kap_span_t key)
{
    return lowered(view,
                   kap_metricview_label(view->cli, kap_mp_get_str(view->answer, "metric"), key));
}

/* `of`: the map that it is a part of, or "". */
static void print_value(view_t *view, const char *of, kap_span_t key, const kap_mp_t *value)
{
    kap_measure_form_t form = kap_measure_form(key, value);
    int indent = *of ? 4 : 2;
    char name[64];
    kap_span_t code = kap_metricview_word(view->cli, of, key);
    kap_span_t label = kap_span_eq(code, key) ? label_of(view, key) : code;
    kap_buf_t line;
    kap_buf_init(&line);
    snprintf(name, sizeof name, "%.*s", KAP_SPAN_ARGS(key));
    if (form == KAP_MEASURE_MAP) {
        printf("%*s%.*s\n", indent, "", KAP_SPAN_ARGS(label));
        for (uint32_t i = 0; i < value->count; i++)
            print_value(view, name, kap_mp_key(value, i)->s, kap_mp_value(value, i));
    } else if (form == KAP_MEASURE_LIST) {
        kap_buf_printf(&line, "%u", value->count);
    } else if (form == KAP_MEASURE_TIME) {
        time_line(view, value, &line);
    } else if (form == KAP_MEASURE_MEAN) {
        char text[KAP_SHOWN_BYTES];
        kap_measure_text(view->cli, key, value, view->elapsed, text);
        kap_buf_printf(&line, "%s (n %lld)", text, (long long)kap_mp_get_int(value, "n", 0));
    } else if (value && value->kind == KAP_MP_NIL) {
        kap_buf_str(&line, kap_mp_get(view->answer, "hidden_below") ? view->hidden : "-");
    } else if (form != KAP_MEASURE_NONE) {
        char text[KAP_SHOWN_BYTES];
        kap_measure_text(view->cli, key, value, view->elapsed, text);
        kap_buf_str(&line, text);
    }
    int width = LABEL + 2 - indent, wide = columns_of(label) + 2;
    kap_shown_line(indent, wide > width ? wide : width, label, kap_buf_span(&line));
    kap_buf_fini(&line);
}

static bool is_list(const kap_mp_t *value)
{
    return value && value->kind == KAP_MP_ARRAY;
}

/* "Plans": the name of a list that follows. */
static void print_heading(kap_span_t label)
{
    bool lower = label.size > 0 && label.data[0] >= 'a' && label.data[0] <= 'z';
    putchar('\n');
    if (label.size > 0)
        printf("%c%.*s\n", lower ? label.data[0] - 'a' + 'A' : label.data[0], (int)label.size - 1,
               (const char *)label.data + 1);
}

/* Lists stand behind the totals, each under its name; of an empty one its 0 says enough. */
static int print_values(view_t *view)
{
    const kap_mp_t *values = kap_mp_get(view->answer, "values");
    bool of_many = kap_span_empty(kap_mp_get_str(kap_mp_get(view->answer, "scope"), "region"));
    int code = KAP_EXIT_DONE;
    for (uint32_t i = 0; values && i < values->count; i++)
        print_value(view, "", kap_mp_key(values, i)->s, kap_mp_value(values, i));
    for (uint32_t i = 0; code == KAP_EXIT_DONE && values && i < values->count; i++) {
        const kap_mp_t *list = kap_mp_value(values, i);
        kap_span_t key = kap_mp_key(values, i)->s;
        bool orphans = kap_span_eq_str(key, "orphans"); /* that there are none is news */
        if (!is_list(list) || (list->count == 0 && !orphans))
            continue;
        print_heading(orphans ? kap_span_str("") : label_of(view, key));
        if (orphans)
            kap_metricview_orphans(view->cli, list);
        else
            code = kap_metricview_list(view->cli, kap_mp_get_str(view->answer, "metric"), list,
                                       of_many);
    }
    return code;
}

/* --- rows --- */

static column_t *add_column(view_t *view, kap_span_t key, kap_span_t part)
{
    if (view->count == COLUMNS)
        return NULL;
    column_t *column = &view->columns[view->count++];
    *column = (column_t){.key = key, .part = part, .item = -1, .right = true};
    kap_span_t code = kap_metricview_word(view->cli, "open", part);
    kap_span_t title = label_of(view, key);
    kap_span_t more =
        kap_span_eq(code, part) ? lowered(view, kap_shown_key(view->cli, part)) : code;
    if (kap_span_eq_str(key, "time"))
        snprintf(column->title, sizeof column->title, "%.*s", KAP_SPAN_ARGS(more));
    else if (kap_span_empty(part))
        snprintf(column->title, sizeof column->title, "%.*s", KAP_SPAN_ARGS(title));
    else
        snprintf(column->title, sizeof column->title, "%.*s %.*s", KAP_SPAN_ARGS(title),
                 KAP_SPAN_ARGS(more));
    return column;
}

static bool has_column(const view_t *view, kap_span_t key)
{
    for (int i = 0; i < view->count; i++)
        if (kap_span_eq(view->columns[i].key, key))
            return true;
    return false;
}

/* What the row is about: two columns of an edge, one of anything else. */
static void add_keys(view_t *view, const kap_mp_t *key)
{
    for (uint32_t i = 0; key && i < key->count && view->count < KEYS; i++) {
        bool edge = is_list(kap_mp_value(key, i));
        for (int item = 0; item <= edge; item++) {
            kap_span_t name = kap_mp_key(key, i)->s, end = kap_span_str(item ? "to" : "from");
            column_t *column = add_column(view, edge ? end : name, kap_span_str(""));
            kap_span_t title = kap_shown_key(view->cli, column->key);
            snprintf(column->title, sizeof column->title, "%.*s", KAP_SPAN_ARGS(title));
            column->key = name;
            column->item = edge ? item : -1;
            column->of_key = true;
            column->right = false;
        }
    }
    view->keys = view->count;
}

static void add_values(view_t *view, const kap_mp_t *values)
{
    static const char *const times[] = {"p50_ms", "p90_ms", "n"};
    for (uint32_t i = 0; values && i < values->count; i++) {
        kap_span_t key = kap_mp_key(values, i)->s;
        const kap_mp_t *value = kap_mp_value(values, i);
        kap_measure_form_t form = kap_measure_form(key, value);
        bool nothing = form == KAP_MEASURE_NONE && !kap_mp_get(view->answer, "hidden_below");
        if (has_column(view, key) || form == KAP_MEASURE_LIST || nothing)
            continue;
        if (form == KAP_MEASURE_TIME) {
            for (size_t k = 0; k < 3; k++)
                add_column(view, key, kap_span_str(times[k]));
        } else if (form == KAP_MEASURE_MAP) {
            for (uint32_t k = 0; k < value->count; k++)
                if (kap_measure_form(kap_mp_key(value, k)->s, kap_mp_value(value, k)) <
                    KAP_MEASURE_LIST)
                    add_column(view, key, kap_mp_key(value, k)->s);
        } else {
            add_column(view, key, kap_span_str(""));
        }
    }
}

/* n and pending stand beside the values. */
static bool is_beside(const column_t *column)
{
    return !column->of_key &&
           (kap_span_eq_str(column->key, "n") || kap_span_eq_str(column->key, "pending"));
}

static const kap_mp_t *cell_value(const column_t *column, const kap_mp_t *row)
{
    char key[64], part[64];
    snprintf(key, sizeof key, "%.*s", KAP_SPAN_ARGS(column->key));
    snprintf(part, sizeof part, "%.*s", KAP_SPAN_ARGS(column->part));
    if (column->of_key) {
        const kap_mp_t *value = kap_mp_get(kap_mp_get(row, "key"), key);
        return column->item < 0 ? value : kap_mp_item(value, (uint32_t)column->item);
    }
    const kap_mp_t *value = kap_mp_get(is_beside(column) ? row : kap_mp_get(row, "values"), key);
    return part[0] ? kap_mp_get(value, part) : value;
}

/* Who or what a row is about: by the directory, else as the answer calls it. */
static void key_text(view_t *view, const column_t *column, const kap_mp_t *row,
                     const kap_mp_t *value, char out[KAP_SHOWN_BYTES])
{
    const kap_mp_t *name = kap_mp_get(row, "name");
    kap_span_t id = value && value->kind == KAP_MP_STR ? value->s : kap_span_str("");
    if (column->item >= 0)
        name = kap_mp_item(name, (uint32_t)column->item);
    bool member = column->item >= 0 || kap_span_eq_str(column->key, "member");
    kap_span_t known = member ? kap_cli_member_name(view->cli, id) : id;
    if (member && kap_span_eq(known, id) && name && name->kind == KAP_MP_STR)
        known = name->s;
    if (member || kap_span_eq_str(column->key, "month"))
        snprintf(out, KAP_SHOWN_BYTES, "%.*s", KAP_SPAN_ARGS(known));
    else
        kap_shown_value(view->cli, column->key, value, out);
    if (kap_span_eq_str(column->key, "region"))
        snprintf(out, KAP_SHOWN_BYTES, "%s", kap_metricview_region(view->cli, id, ""));
    if (!*out)
        snprintf(out, KAP_SHOWN_BYTES, "%.*s", KAP_SPAN_ARGS(id));
    size_t used = strlen(out);
    if (member && kap_mp_get_bool(row, "unassigned", false))
        snprintf(out + used, KAP_SHOWN_BYTES - used, " *");
}

static void cell_text(view_t *view, const column_t *column, const kap_mp_t *row,
                      char out[KAP_SHOWN_BYTES])
{
    const kap_mp_t *value = cell_value(column, row);
    kap_span_t key = !kap_span_empty(column->part) ? column->part : column->key;
    bool too_small = value && value->kind == KAP_MP_NIL && kap_mp_get(view->answer, "hidden_below");
    if (column->of_key)
        key_text(view, column, row, value, out);
    else if (kap_mp_get_bool(row, "hidden", false))
        snprintf(out, KAP_SHOWN_BYTES, "%s*", view->hidden);
    else if (too_small && kap_span_empty(column->part))
        snprintf(out, KAP_SHOWN_BYTES, "%s", view->hidden);
    else
        kap_measure_text(view->cli, key, value, view->elapsed, out);
}

static void measure_columns(view_t *view)
{
    char text[KAP_SHOWN_BYTES];
    for (int k = 0; k < view->count; k++) {
        column_t *column = &view->columns[k];
        column->width = columns_of(kap_span_str(column->title));
        column->said = column->of_key;
        for (uint32_t i = 0; i < view->rows->count; i++) {
            cell_text(view, column, kap_mp_item(view->rows, i), text);
            int width = columns_of(kap_span_str(text));
            column->width = width > column->width ? width : column->width;
            column->said |= text[0] && strcmp(text, "0") != 0 && strcmp(text, "-") != 0;
        }
    }
}

/* The transfers of a matrix are its n: once is enough. */
static void drop_repeated_count(view_t *view)
{
    char n[KAP_SHOWN_BYTES], text[KAP_SHOWN_BYTES];
    int same = -1;
    for (int k = view->keys; k < view->count && same < 0; k++) {
        if (is_beside(&view->columns[k]) || !view->columns[k].said)
            continue;
        same = k;
        for (uint32_t i = 0; i < view->rows->count && same >= 0; i++) {
            cell_text(view, &view->columns[view->keys], kap_mp_item(view->rows, i), n);
            cell_text(view, &view->columns[k], kap_mp_item(view->rows, i), text);
            same = strcmp(n, text) == 0 ? k : -1;
        }
    }
    if (same >= 0)
        view->columns[view->keys].said = false;
}

/* One table: the keys, then the columns from *next on that fit. */
static int print_block(view_t *view, int *next)
{
    kap_table_column_t heads[COLUMNS + 1] = {{0}};
    char texts[COLUMNS][KAP_SHOWN_BYTES];
    const char *cells[COLUMNS];
    int shown[COLUMNS], n = 0, width = -GAP;
    for (int k = 0; k < view->keys; k++, n++) {
        shown[n] = k;
        width += view->columns[k].width + GAP;
    }
    for (; *next < view->count; (*next)++) {
        const column_t *column = &view->columns[*next];
        if (!column->said)
            continue;
        if (n > view->keys && width + GAP + column->width > kap_cli_width())
            break;
        width += column->width + GAP;
        shown[n++] = *next;
    }
    for (int k = 0; k < n; k++) {
        const column_t *column = &view->columns[shown[k]];
        heads[k] = (kap_table_column_t){column->title,
                                        column->right ? KAP_TABLE_RIGHT : KAP_TABLE_LEFT, 0};
        cells[k] = texts[k];
    }
    kap_table_t *table = kap_table_new(heads);
    int rc = table ? KAP_OK : KAP_E_NOMEM;
    for (uint32_t i = 0; rc == KAP_OK && i < view->rows->count; i++) {
        for (int k = 0; k < n; k++)
            cell_text(view, &view->columns[shown[k]], kap_mp_item(view->rows, i), texts[k]);
        rc = kap_table_row(table, cells);
    }
    putchar('\n');
    if (rc == KAP_OK)
        rc = kap_table_print(table, stdout, kap_cli_width());
    kap_table_destroy(&table);
    return rc;
}

/* What members say of their own figures. */
static void print_comments(view_t *view)
{
    char who[KAP_SHOWN_BYTES];
    kap_buf_t line;
    kap_buf_init(&line);
    for (uint32_t i = 0; i < view->rows->count; i++) {
        const kap_mp_t *row = kap_mp_item(view->rows, i), *comment = kap_mp_get(row, "comment");
        if (!comment)
            continue;
        kap_buf_reset(&line);
        key_text(view, &view->columns[0], row, cell_value(&view->columns[0], row), who);
        kap_buf_printf(&line, "%s, %.*s: “%.*s”", who,
                       KAP_SPAN_ARGS(kap_mp_get_str(comment, "period")),
                       KAP_SPAN_ARGS(kap_mp_get_str(comment, "text")));
        putchar('\n');
        kap_shown_line(0, 0, kap_span_str(""), kap_buf_span(&line));
    }
    kap_buf_fini(&line);
}

static int print_rows(view_t *view)
{
    const kap_mp_t *first = kap_mp_item(view->rows, 0);
    int rc = KAP_OK;
    if (!first)
        return KAP_EXIT_DONE;
    add_keys(view, kap_mp_get(first, "key"));
    add_column(view, kap_span_str("n"), kap_span_str(""));
    add_column(view, kap_span_str("pending"), kap_span_str(""));
    for (uint32_t i = 0; i < view->rows->count; i++)
        add_values(view, kap_mp_get(kap_mp_item(view->rows, i), "values"));
    measure_columns(view);
    drop_repeated_count(view);
    for (int next = view->keys; rc == KAP_OK && next < view->count;) {
        int before = next;
        while (before < view->count && !view->columns[before].said)
            before++;
        if (before == view->count)
            break;
        rc = print_block(view, &next);
    }
    print_comments(view);
    return rc == KAP_OK ? KAP_EXIT_DONE : kap_cli_fail(KAP_EXIT_REFUSED, "%s", kap_err_text(rc));
}

/* --- foot --- */

static bool has_unassigned(const kap_mp_t *rows)
{
    for (uint32_t i = 0; is_list(rows) && i < rows->count; i++)
        if (kap_mp_get_bool(kap_mp_item(rows, i), "unassigned", false))
            return true;
    return false;
}

static void print_notes(view_t *view)
{
    const kap_mp_t *notes = kap_mp_get(view->answer, "notes");
    kap_buf_t line;
    kap_buf_init(&line);
    if (has_unassigned(kap_mp_get(view->answer, "rows")))
        kap_shown_line(0, 0, kap_span_str(""),
                       kap_span_str(kap_shown_word(view->cli, KAP_WORD_UNASSIGNED_WHY)));
    for (uint32_t i = 0; is_list(notes) && i < notes->count; i++)
        if (kap_mp_item(notes, i)->kind == KAP_MP_STR)
            kap_shown_line(0, 0, kap_span_str(""), kap_mp_item(notes, i)->s);
    if (kap_mp_get_int(view->answer, "hidden", 0) > 0) {
        kap_buf_printf(&line, "* %s %s", view->hidden,
                       kap_shown_word(view->cli, KAP_WORD_HIDDEN_WHY));
        kap_shown_line(0, 0, kap_span_str(""), kap_buf_span(&line));
    }
    kap_buf_fini(&line);
}

static bool has_times(const kap_mp_t *values)
{
    for (uint32_t i = 0; values && i < values->count; i++)
        if (kap_measure_form(kap_mp_key(values, i)->s, kap_mp_value(values, i)) == KAP_MEASURE_TIME)
            return true;
    return false;
}

/* "As of 21.11.2026 22:24, position 1234. Working time, the recipient's clock." */
static void print_foot(view_t *view)
{
    char when[KAP_TIME_TEXT];
    int64_t at = kap_metricview_time(view->answer, "as_of_time");
    kap_span_t clock = kap_mp_get_str(view->answer, "clock");
    kap_buf_t line;
    kap_buf_init(&line);
    kap_time_format_local(at, when);
    putchar('\n');
    kap_buf_printf(&line, "%s %s, %s %lld.", kap_shown_word(view->cli, KAP_WORD_AS_OF), when,
                   kap_shown_word(view->cli, KAP_WORD_POSITION),
                   (long long)kap_mp_get_int(view->answer, "as_of_seq", 0));
    if (!kap_span_empty(clock) && has_times(kap_mp_get(view->answer, "values")))
        kap_buf_printf(
            &line, " %s, %s.",
            kap_shown_word(view->cli, view->elapsed ? KAP_WORD_IN_ELAPSED : KAP_WORD_IN_WORKING),
            kap_shown_word(view->cli, kap_span_eq_str(clock, "customer") ? KAP_WORD_OF_CUSTOMER
                                                                         : KAP_WORD_OF_RECIPIENT));
    kap_shown_line(0, 0, kap_span_str(""), kap_buf_span(&line));
    kap_buf_fini(&line);
    print_notes(view);
}

int kap_metricview_show(kap_cli_t *cli, const kap_mp_t *answer)
{
    view_t view = {.cli = cli,
                   .answer = answer,
                   .rows = kap_mp_get(answer, "rows"),
                   .elapsed = kap_span_eq_str(kap_mp_get_str(answer, "time"), "elapsed")};
    if (cli->format == KAP_FORMAT_JSON) {
        kap_cli_print_json(answer, stdout);
        return KAP_EXIT_DONE;
    }
    if (cli->format == KAP_FORMAT_CSV)
        return kap_metricview_csv(cli, answer);
    kap_metricview_hidden(answer, view.hidden);
    print_head(&view);
    int code = print_values(&view);
    if (code == KAP_EXIT_DONE && view.rows)
        code = print_rows(&view);
    print_foot(&view);
    return code;
}
