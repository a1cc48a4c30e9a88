/* SPDX-License-Identifier: MPL-2.0 */
/* The limits of the protocol as constants: KAP_LIMIT_FRAME_BYTES and so on. The table
 * limits.def holds them with unit and reason; SPEC.md, Limits, is compared with it. */
#ifndef KAP_LIMIT_H
#define KAP_LIMIT_H

#include <stdint.h>

enum {
#define KAP_LIMIT(NAME, VALUE, UNIT, WHY) KAP_LIMIT_##NAME = (VALUE),
#include "limits.def"
#undef KAP_LIMIT
};

/* The times of an event: 0001-01-01T00:00:00.000Z to 9999-12-31T23:59:59.999Z. */
#define KAP_TIME_FIRST_MS INT64_C(-62135596800000)
#define KAP_TIME_LAST_MS  INT64_C(253402300799999)

#endif
