/* SPDX-License-Identifier: MPL-2.0 */
/* Rows of the stores: any bytes are a row or corrupt, and what was read is written alike. The first
 * byte of an input chooses the row. */
#include "arena.h"
#include "case.h"
#include "err.h"
#include "meeting.h"
#include "referral.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { REFERRAL, CASE, FORUM, MEETING, ACTION, ROWS };

/* Reads a row and writes it; false when it is none. */
static bool copy(int kind, kap_span_t row, kap_arena_t *arena, kap_buf_t *out)
{
    static kap_referral_t referral;
    static kap_forum_t forum;
    static kap_meeting_t meeting;
    static kap_action_t action;
    kap_case_t c;
    kap_case_shape_t shape;
    switch (kind) {
    case REFERRAL:
        if (kap_referral_unpack(row, &referral) != KAP_OK) {
            return false;
        }
        kap_referral_pack(out, &referral);
        return true;
    case CASE:
        if (kap_case_unpack(row, arena, &c) != KAP_OK) {
            return false;
        }
        kap_case_shape(&c, &shape);
        kap_case_pack(out, &c);
        return true;
    case FORUM:
        if (kap_forum_unpack(row, &forum) != KAP_OK) {
            return false;
        }
        kap_forum_pack(out, &forum);
        return true;
    case MEETING:
        if (kap_meeting_unpack(row, &meeting) != KAP_OK) {
            return false;
        }
        (void)kap_meeting_adheres(&meeting);
        kap_meeting_pack(out, &meeting);
        return true;
    default:
        if (kap_action_unpack(row, &action) != KAP_OK) {
            return false;
        }
        kap_action_pack(out, &action);
        return true;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    kap_arena_t *arena = kap_arena_new(4096);
    kap_buf_t once = {0}, twice = {0};
    KAP_CHECK(arena != NULL);
    int kind = size > 0 ? data[0] % ROWS : 0;
    if (size > 0 && copy(kind, kap_span(data + 1, size - 1), arena, &once)) {
        KAP_CHECK(copy(kind, kap_buf_span(&once), arena, &twice));
        KAP_CHECK(kap_span_eq(kap_buf_span(&once), kap_buf_span(&twice)));
    }
    kap_buf_fini(&once);
    kap_buf_fini(&twice);
    kap_arena_destroy(&arena);
    return 0;
}
