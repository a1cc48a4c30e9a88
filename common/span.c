/* SPDX-License-Identifier: MPL-2.0 */
#include "span.h"

bool kap_span_eq_str(kap_span_t span, const char *string)
{
    return kap_span_eq(span, kap_span_str(string));
}

int kap_span_cmp(kap_span_t a, kap_span_t b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common ? memcmp(a.data, b.data, common) : 0;
    if (order != 0)
        return order;
    return (a.size > b.size) - (a.size < b.size);
}

bool kap_span_starts(kap_span_t span, kap_span_t prefix)
{
    return span.size >= prefix.size && kap_span_eq(kap_span(span.data, prefix.size), prefix);
}

kap_span_t kap_span_sub(kap_span_t span, size_t at, size_t size)
{
    if (at >= span.size)
        return (kap_span_t){NULL, 0};
    size_t left = span.size - at;
    return kap_span(span.data + at, size < left ? size : left);
}

static bool blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

kap_span_t kap_span_trim(kap_span_t span)
{
    while (span.size && blank(span.data[0])) {
        span.data++;
        span.size--;
    }
    while (span.size && blank(span.data[span.size - 1]))
        span.size--;
    return span;
}

bool kap_span_int(kap_span_t span, int64_t *value)
{
    bool negative = span.size && span.data[0] == '-';
    size_t i = negative ? 1 : 0;
    if (i == span.size)
        return false;
    int64_t sum = 0; /* counted below zero, where one more value fits */
    for (; i < span.size; i++) {
        unsigned digit = (unsigned)span.data[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(sum, 10, &sum) ||
            __builtin_sub_overflow(sum, (int64_t)digit, &sum))
            return false;
    }
    if (!negative && sum == INT64_MIN)
        return false;
    *value = negative ? sum : -sum;
    return true;
}
