/* SPDX-License-Identifier: MPL-2.0 */
/* Orphans on the screen, owner by owner: what is wrong, since when, and the next step. */
#include <string.h>

#include "clock.h"
#include "metricview.h"

enum { INDENT = 2, ID = 14 };

/* The i-th item's owner comes first among those not shown yet: alphabetical, each once. */
static kap_span_t next_owner(const kap_mp_t *list, kap_span_t after)
{
    kap_span_t best = {0};
    for (uint32_t i = 0; i < list->count; i++) {
        kap_span_t owner = kap_mp_get_str(kap_mp_item(list, i), "owner");
        if ((!after.data || kap_span_cmp(owner, after) > 0) &&
            (!best.data || kap_span_cmp(owner, best) < 0) && owner.data)
            best = owner;
    }
    return best;
}

/* "2f1c5d6e7f80  TE office > Finnvera, since 14.10.2026: not answered; answer the referral" */
static void print_orphan(kap_cli_t *cli, const kap_mp_t *row)
{
    char since[KAP_TIME_TEXT];
    kap_span_t from = kap_metricview_who(cli, row, "from");
    kap_span_t to = kap_metricview_who(cli, row, "to");
    kap_span_t what = kap_metricview_word(cli, "what", kap_mp_get_str(row, "what"));
    kap_span_t step = kap_metricview_word(cli, "step", kap_mp_get_str(row, "step"));
    kap_buf_t line;
    kap_buf_init(&line);
    int64_t at = kap_metricview_time(row, "since_at");
    kap_time_format_local(at, since);
    since[strcspn(since, " ")] = '\0';
    kap_buf_printf(&line, "%.*s > %.*s", KAP_SPAN_ARGS(from), KAP_SPAN_ARGS(to));
    if (at != 0)
        kap_buf_printf(&line, ", %s %s", kap_shown_word(cli, KAP_WORD_SINCE_DAY), since);
    kap_buf_printf(&line, ": %.*s", KAP_SPAN_ARGS(what));
    kap_shown_line(INDENT, ID, kap_shown_id(kap_mp_get_str(row, "referral")), kap_buf_span(&line));
    kap_buf_reset(&line);
    kap_buf_printf(&line, "→ %.*s", KAP_SPAN_ARGS(step));
    kap_shown_line(INDENT, ID, kap_span_str(""), kap_buf_span(&line));
    kap_buf_fini(&line);
}

void kap_metricview_orphans(kap_cli_t *cli, const kap_mp_t *list)
{
    kap_span_t owner = {0};
    if (list->count == 0)
        puts(kap_shown_word(cli, KAP_WORD_NO_ORPHANS));
    while ((owner = next_owner(list, owner)).data) {
        bool named = false;
        for (uint32_t i = 0; i < list->count; i++) {
            const kap_mp_t *row = kap_mp_item(list, i);
            if (!kap_span_eq(kap_mp_get_str(row, "owner"), owner))
                continue;
            kap_span_t name = kap_metricview_who(cli, row, "owner");
            if (!named)
                printf("%.*s\n", KAP_SPAN_ARGS(name));
            named = true;
            print_orphan(cli, row);
        }
    }
}
