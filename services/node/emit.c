/* SPDX-License-Identifier: MPL-2.0 */
#include "emit.h"

#include <string.h>

#include "err.h"
#include "ids.h"
#include "log.h"
#include "mirror.h"
#include "seal.h"

int kap_draft_begin(kap_work_t *work, kap_draft_t *draft, kap_event_type_t type, int64_t time,
                    uint32_t offset)
{
    kap_line_t *line;
    int rc = kap_work_line(work, &line);
    if (rc != KAP_OK)
        return rc;
    char *id = kap_arena_alloc(work->arena, KAP_UUID_TEXT);
    char *source = kap_arena_alloc(work->arena, KAP_SOURCE_BYTES);
    if (!id || !source)
        return KAP_E_NOMEM;
    kap_uuid_v7_random(work->now_ms, id);
    kap_line_source(line, work->node->member, source);
    memset(draft, 0, sizeof *draft);
    kap_event_builder_begin(&draft->builder, type, kap_span_str(id), kap_span_str(source),
                            line->next + offset, time, work->now_ms);
    return KAP_OK;
}

int kap_draft_seal_to(kap_draft_t *draft, const kap_member_t *member)
{
    if (!member->has_sealing)
        return KAP_E_NOTFOUND;
    if (draft->to_count + 1 == KAP_SEAL_RECIPIENTS)
        return KAP_E_LIMIT;
    memcpy(draft->to[draft->to_count++], member->sealing, KAP_KEY_BYTES);
    return KAP_OK;
}

/* Salt and box of the contents that were set; empty when there are none. */
static int contents_seal(kap_work_t *work, kap_draft_t *draft, kap_span_t *sealed)
{
    kap_node_t *node = work->node;
    kap_buf_t clear, part;
    bool any = false;
    kap_buf_init(&clear);
    kap_buf_init(&part);
    *sealed = kap_span(NULL, 0);
    int rc = kap_event_builder_contents(&draft->builder, &clear, &any);
    if (rc == KAP_OK && any) {
        uint8_t salt[KAP_LIMIT_SALT_BYTES];
        kap_seal_binding_t bound = {.mesh = node->mesh, .referral = draft->binding};
        kap_random(salt, sizeof salt);
        kap_buf_append(&part, kap_span(salt, sizeof salt));
        memcpy(draft->to[draft->to_count], node->sealing[0]->public, KAP_KEY_BYTES);
        rc = kap_seal(kap_buf_span(&clear), &bound, node->signing, (const uint8_t(*)[32])draft->to,
                      draft->to_count + 1, work->now_ms, &part);
        if (rc == KAP_OK)
            rc = part.err;
        if (rc == KAP_OK) {
            *sealed = kap_arena_dup(work->arena, kap_buf_span(&part));
            rc = sealed->data ? KAP_OK : KAP_E_NOMEM;
        }
    }
    kap_buf_wipe(&clear);
    kap_buf_fini(&part);
    return rc;
}

int kap_draft_finish(kap_work_t *work, kap_draft_t *draft, kap_refusal_t *why)
{
    kap_buf_t open, ends;
    uint8_t salt[KAP_LIMIT_SALT_BYTES];
    kap_span_t sealed = kap_span(NULL, 0);
    kap_buf_init(&open);
    kap_buf_init(&ends);
    kap_random(salt, sizeof salt);
    int rc = contents_seal(work, draft, &sealed);
    if (rc == KAP_OK)
        rc = kap_event_builder_finish(&draft->builder, salt, sealed, &open, &ends);
    if (rc == KAP_E_INVALID)
        *why = (kap_refusal_t){.number = KAP_REFUSAL_MALFORMED_FIELD_VALUE,
                               .field = (uint16_t)draft->builder.field};
    if (rc == KAP_OK) {
        kap_span_t a = kap_arena_dup(work->arena, kap_buf_span(&open));
        kap_span_t b = kap_arena_dup(work->arena, kap_buf_span(&ends));
        rc = a.data && b.data ? kap_event_decode(a, b, sealed, work->arena, &draft->event, why)
                              : KAP_E_NOMEM;
    }
    kap_buf_fini(&open);
    kap_buf_fini(&ends);
    return rc;
}

int kap_draft_queue(kap_work_t *work, const kap_draft_t *draft, uint64_t act, bool continues)
{
    kap_line_t *line;
    int rc = kap_work_line(work, &line);
    if (rc != KAP_OK)
        return rc;
    const kap_event_t *event = &draft->event;
    KAP_CHECK(event->sequence == line->next);
    kap_outbox_row_t row = {.act = act,
                            .queued_at = work->now_ms,
                            .continues = continues,
                            .subject = event->subject,
                            .open = event->open,
                            .ends = event->ends,
                            .sealed = event->sealed};
    rc = kap_outbox_put(work->txn, line->line, line->next, &row);
    if (rc == KAP_OK)
        rc = kap_mirror_queue(work, event, line->line, line->next);
    if (rc != KAP_OK)
        return rc;
    line->next++;
    work->queued = true;
    return KAP_OK;
}

int kap_emit_own(kap_work_t *work, kap_event_type_t type, kap_span_t referral, bool *queued)
{
    kap_draft_t draft;
    kap_refusal_t why = {0};
    bool already = false;
    *queued = false;
    int rc = kap_draft_begin(work, &draft, type, work->now_ms, 0);
    if (rc != KAP_OK)
        return rc;
    kap_event_builder_set_subject(&draft.builder, referral);
    kap_event_builder_set_span(&draft.builder, KAP_F_REFERRAL, referral);
    rc = kap_draft_finish(work, &draft, &why);
    if (rc == KAP_OK)
        rc = kap_mirror_judge(work, &draft.event, NULL, 0, &already, &why);
    if (rc == KAP_E_DENIED || (rc == KAP_OK && already)) {
        if (rc == KAP_E_DENIED)
            KAP_LOG(KAP_LOG_INFO, "own_event_left_out", KAP_S("type", kap_event_type_name(type)),
                    KAP_SP("referral", referral), KAP_S("why", kap_refusal_code(why.number)));
        return KAP_OK;
    }
    if (rc != KAP_OK)
        return rc;
    rc = kap_draft_queue(work, &draft, 0, false);
    *queued = rc == KAP_OK;
    return rc;
}
