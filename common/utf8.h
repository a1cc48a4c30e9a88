/* SPDX-License-Identifier: MPL-2.0 */
/* UTF-8: strict check, one code point at a time, and the width on a terminal.
 * Strict is RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
 * Pure, no locale; any thread. */
#ifndef KAP_UTF8_H
#define KAP_UTF8_H

#include "span.h"

/* True when all bytes are UTF-8 (NUL is); else *bad_at (may be NULL) is the offset of the first
 * byte of the first bad sequence. Runs of ASCII go eight bytes a step. */
bool kap_utf8_valid(kap_span_t text, size_t *bad_at);

/* Takes one code point off the front of *rest. A bad byte is taken alone as U+FFFD.
 * *rest must not be empty. */
uint32_t kap_utf8_next(kap_span_t *rest);

/* Columns on a terminal: 0 for combining marks and controls, 2 for wide East Asian forms
 * and pictographs, else 1. */
int kap_utf8_width(kap_span_t text);

#endif
