/* SPDX-License-Identifier: MPL-2.0 */
/* What must hold for every log that a reader takes: its mapping decodes, event by event, and says
 * as many referrals as the log has handovers. Included by the fuzz targets of the readers. */
#ifndef KAP_LOGS_FUZZ_H
#define KAP_LOGS_FUZZ_H

#include "arena.h"
#include "err.h"
#include "event.h"
#include "eventlog.h"
#include "logmap.h"

static const kap_logkeys_t fuzz_keys = {"c", "t", "a"};
static const char *const fuzz_missing[] = {"-"};
static const kap_logrules_t fuzz_rules = {
    .missing = fuzz_missing, .missing_count = 1, .zone = KAP_ZONE_HELSINKI, .max_skipped = -1};

static inline void fuzz_map(const kap_eventlog_t *log)
{
    const kap_logmap_opts_t opts = {.member = KAP_SPAN("operator"),
                                    .name = KAP_SPAN("fuzz"),
                                    .attribute = KAP_SPAN("a"),
                                    .options = KAP_SPAN("{}")};
    kap_logmap_t *map = NULL;
    kap_logmap_event_t event;
    kap_arena_t *arena = kap_arena_new(16 * 1024);
    kap_event_t ev;
    uint64_t n = 0;
    int rc;

    KAP_CHECK(arena && kap_logmap_new(log, &opts, &map) == KAP_OK);
    KAP_CHECK(kap_logmap_referrals(map) == kap_eventlog_totals(log)->handovers);
    while ((rc = kap_logmap_next(map, &event)) == KAP_OK) {
        kap_arena_reset(arena);
        KAP_CHECK(kap_event_decode(event.open, event.ends, kap_span(NULL, 0), arena, &ev, NULL) ==
                  KAP_OK);
        n++;
    }
    KAP_CHECK(rc == KAP_E_NOTFOUND && n == kap_logmap_total(map));
    kap_logmap_destroy(&map);
    kap_arena_destroy(&arena);
}

/* Reading ended with rc: taken whole, or refused with a sentence. */
static inline void fuzz_finish(kap_eventlog_t *log, int rc, const kap_buf_t *why)
{
    KAP_CHECK(rc == KAP_OK || why->size > 0);
    if (rc == KAP_OK) {
        KAP_CHECK(kap_eventlog_finish(log) == KAP_OK);
        fuzz_map(log);
    }
}

#endif
