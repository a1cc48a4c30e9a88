/* SPDX-License-Identifier: MPL-2.0 */
/* What the figures' keys, codes, scopes and windows are called. */
#include "metricview.h"

#include <string.h>

#include "catalogue.h"
#include "clock.h"
#include "err.h"
#include "tables.h"

enum { HIDDEN_BELOW = 5 };

kap_span_t kap_metricview_who(kap_cli_t *cli, const kap_mp_t *row, const char *key)
{
    char beside[64];
    kap_span_t id = kap_mp_get_str(row, key), name = kap_cli_member_name(cli, id);
    snprintf(beside, sizeof beside, "%s_name", key);
    kap_span_t told = kap_mp_get_str(row, beside);
    return kap_span_eq(name, id) && !kap_span_empty(told) ? told : name;
}

kap_span_t kap_metricview_name(const kap_cli_t *cli, kap_span_t metric)
{
    char name[64];
    snprintf(name, sizeof name, "%.*s", KAP_SPAN_ARGS(metric));
    const kap_catalogue_metric_t *row = kap_catalogue_metric(kap_catalogue_find(name));
    return row ? kap_span_str(row->text[kap_shown_lang(cli)]) : metric;
}

kap_span_t kap_metricview_word(const kap_cli_t *cli, const char *key, kap_span_t code)
{
    static const struct {
        const char *key;
        kap_code_list_t list;
    } rows[] = {{"what", KAP_LIST_ORPHAN}, {"step", KAP_LIST_STEP}, {"open", KAP_LIST_STANDING},
                {"node", KAP_LIST_NODE},   {"way", KAP_LIST_WAY},   {"minimum", KAP_LIST_MINIMUM}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int number = strcmp(rows[i].key, key) == 0 ? kap_code_parse(rows[i].list, code) : -1;
        if (number >= 0)
            return kap_span_str(kap_code_text(rows[i].list, number, kap_shown_lang(cli)));
    }
    return code;
}

kap_span_t kap_metricview_label(kap_cli_t *cli, kap_span_t metric, kap_span_t key)
{
    char own[128];
    snprintf(own, sizeof own, "%.*s.%.*s", KAP_SPAN_ARGS(metric), KAP_SPAN_ARGS(key));
    kap_span_t label = kap_shown_key(cli, kap_span_str(own));
    return label.data == (const uint8_t *)own ? kap_shown_key(cli, key) : label;
}

int64_t kap_metricview_time(const kap_mp_t *map, const char *key)
{
    const kap_mp_t *value = kap_mp_get(map, key);
    int64_t at = 0;
    if (value && value->kind == KAP_MP_STR &&
        kap_time_parse(value->s, KAP_ZONE_UTC, &at, NULL) == KAP_OK)
        return at;
    return kap_mp_get_int(map, key, 0);
}

void kap_metricview_days(const kap_mp_t *answer, char first[32], char last[32])
{
    const kap_mp_t *window = kap_mp_get(answer, "window");
    kap_span_t to = kap_mp_get_str(window, "to");
    kap_date_t day;
    snprintf(first, 32, "%.*s", KAP_SPAN_ARGS(kap_mp_get_str(window, "from")));
    last[0] = '\0';
    if (kap_date_parse(to, &day) == KAP_OK)
        kap_date_format(kap_date_add(day, -1), last);
}

void kap_metricview_hidden(const kap_mp_t *answer, char out[16])
{
    int64_t below = kap_mp_get_int(answer, "hidden_below", HIDDEN_BELOW);
    snprintf(out, 16, "1-%d", (int)(below > 1 && below <= 100 ? below - 1 : 1));
}

const char *kap_metricview_region(const kap_cli_t *cli, kap_span_t id, const char *otherwise)
{
    const kap_region_row_t *row = kap_region_row(kap_region_find(id));
    return !row ? otherwise : kap_shown_lang(cli) == KAP_LANG_SV ? row->sv : row->fi;
}

static void put_scope(kap_cli_t *cli, const kap_mp_t *scope, kap_buf_t *out)
{
    static const char *const places[] = {"region", "area", "organisation", "member"};
    int said = 0;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        kap_span_t id = kap_mp_get_str(scope, places[i]);
        char text[KAP_SHOWN_BYTES];
        const kap_mp_t node = {.kind = KAP_MP_STR, .s = id};
        if (kap_span_empty(id))
            continue;
        kap_shown_value(cli, kap_span_str(places[i]), &node, text);
        kap_buf_printf(out, ", %s", i == 0 ? kap_metricview_region(cli, id, text) : text);
        said++;
    }
    kap_span_t from = kap_mp_get_str(scope, "from"), to = kap_mp_get_str(scope, "to");
    if (!kap_span_empty(from) && !kap_span_empty(to)) {
        kap_span_t x = kap_cli_member_name(cli, from), y = kap_cli_member_name(cli, to);
        kap_buf_printf(out, ", %.*s > %.*s", KAP_SPAN_ARGS(x), KAP_SPAN_ARGS(y));
        said++;
    }
    if (!said && !kap_span_empty(kap_mp_get_str(scope, "kind")))
        kap_buf_printf(out, ", %.*s",
                       KAP_SPAN_ARGS(kap_shown_key(cli, kap_mp_get_str(scope, "kind"))));
}

void kap_metricview_title(kap_cli_t *cli, const kap_mp_t *answer, kap_buf_t *out)
{
    char first[32], last[32];
    const kap_mp_t *where = kap_mp_get(answer, "where");
    size_t at = out->size;
    kap_metricview_days(answer, first, last);
    kap_buf_append(out, kap_metricview_name(cli, kap_mp_get_str(answer, "metric")));
    if (out->size > at && out->data[at] >= 'a' && out->data[at] <= 'z')
        out->data[at] = (uint8_t)(out->data[at] - 'a' + 'A');
    put_scope(cli, kap_mp_get(answer, "scope"), out);
    for (uint32_t i = 0; where && i < where->count; i++) {
        char text[KAP_SHOWN_BYTES];
        kap_span_t key = kap_mp_key(where, i)->s, word = kap_shown_key(cli, key);
        kap_shown_value(cli, key, kap_mp_value(where, i), text);
        kap_buf_printf(out, ", %.*s: %s", KAP_SPAN_ARGS(word), text);
    }
    if (first[0] || last[0])
        kap_buf_printf(out, ", %s – %s", first[0] ? first : "…", last[0] ? last : "…");
}
