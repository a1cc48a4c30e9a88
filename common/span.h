/* SPDX-License-Identifier: MPL-2.0 */
/* Spans: borrowed bytes, a pointer and a size. A span never owns; whoever lends it says how
 * long it lives. Not ended by NUL. A span of size 0 may have any pointer, NULL included.
 * All functions are pure; any thread. */
#ifndef KAP_SPAN_H
#define KAP_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    const uint8_t *data;
    size_t size;
} kap_span_t;

/* The bytes of a string literal, without its NUL. */
#define KAP_SPAN(literal) ((kap_span_t){(const uint8_t *)("" literal ""), sizeof(literal) - 1})

/* For printf("%.*s", KAP_SPAN_ARGS(span)). */
#define KAP_SPAN_ARGS(span) (int)(span).size, (const char *)(span).data

static inline kap_span_t kap_span(const void *data, size_t size)
{
    return (kap_span_t){(const uint8_t *)data, size};
}

/* The bytes of a C string; NULL gives the empty span. */
static inline kap_span_t kap_span_str(const char *string)
{
    return (kap_span_t){(const uint8_t *)string, string ? strlen(string) : 0};
}

static inline bool kap_span_empty(kap_span_t span)
{
    return span.size == 0;
}

static inline bool kap_span_eq(kap_span_t a, kap_span_t b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

bool kap_span_eq_str(kap_span_t span, const char *string);

/* Bytewise order, a prefix first: < 0, 0 or > 0. */
int kap_span_cmp(kap_span_t a, kap_span_t b);

bool kap_span_starts(kap_span_t span, kap_span_t prefix);

/* The part from `at` on, at most `size` bytes; cut at the end, empty beyond it. */
kap_span_t kap_span_sub(kap_span_t span, size_t at, size_t size);

/* Without leading and trailing blanks: space, tab, CR, LF. */
kap_span_t kap_span_trim(kap_span_t span);

/* A decimal integer, the whole span, optional '-': true when it fits an int64. */
bool kap_span_int(kap_span_t span, int64_t *value);

#endif
