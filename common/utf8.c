/* SPDX-License-Identifier: MPL-2.0 */
#include "utf8.h"

/* Length of the well-formed sequence at `at`, 0 when there is none (RFC 3629, section 4). */
static size_t sequence(const uint8_t *at, size_t left)
{
    uint8_t c = at[0];
    if (c < 0x80)
        return 1;
    if (c < 0xc2 || c > 0xf4)
        return 0;
    size_t size = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    if (left < size)
        return 0;
    uint8_t low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    uint8_t high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    if (at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < size; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    }
    return size;
}

bool kap_utf8_valid(kap_span_t text, size_t *bad_at)
{
    size_t i = 0;
    while (i < text.size) {
        uint64_t eight;
        if (text.size - i >= sizeof eight) {
            memcpy(&eight, text.data + i, sizeof eight);
            if ((eight & UINT64_C(0x8080808080808080)) == 0) {
                i += sizeof eight;
                continue;
            }
        }
        size_t size = sequence(text.data + i, text.size - i);
        if (size == 0) {
            if (bad_at)
                *bad_at = i;
            return false;
        }
        i += size;
    }
    return true;
}

uint32_t kap_utf8_next(kap_span_t *rest)
{
    const uint8_t *at = rest->data;
    size_t size = sequence(at, rest->size);
    uint32_t point = size == 0   ? 0xfffd
                     : size == 1 ? at[0]
                     : size == 2 ? at[0] & 0x1fu
                     : size == 3 ? at[0] & 0x0fu
                                 : at[0] & 0x07u;
    for (size_t i = 1; i < size; i++)
        point = point << 6 | (at[i] & 0x3fu);
    rest->data += size ? size : 1;
    rest->size -= size ? size : 1;
    return point;
}

typedef struct {
    uint32_t first, last;
} range_t;

/* Unicode 15 in coarse blocks: marks that add no column, and forms two columns wide. */
static const range_t narrow[] = {
    {0x0300, 0x036f}, {0x0483, 0x0489}, {0x0591, 0x05bd}, {0x0610, 0x061a}, {0x064b, 0x065f},
    {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff}, {0x200b, 0x200f}, {0x202a, 0x202e}, {0x2060, 0x2064},
    {0x20d0, 0x20ff}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}, {0xfeff, 0xfeff},
};
static const range_t wide[] = {
    {0x1100, 0x115f}, {0x2e80, 0x303e},   {0x3041, 0x33ff},   {0x3400, 0x4dbf},   {0x4e00, 0x9fff},
    {0xa000, 0xa4cf}, {0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe30, 0xfe4f},   {0xff00, 0xff60},
    {0xffe0, 0xffe6}, {0x1f300, 0x1f64f}, {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd},
};

static bool within(uint32_t point, const range_t *ranges, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (point >= ranges[i].first && point <= ranges[i].last)
            return true;
    }
    return false;
}

int kap_utf8_width(kap_span_t text)
{
    int width = 0;
    while (text.size) {
        uint32_t point = kap_utf8_next(&text);
        if (point < 0x20 || (point >= 0x7f && point < 0xa0))
            continue;
        if (point < 0x300)
            width += 1;
        else if (within(point, wide, sizeof wide / sizeof wide[0]))
            width += 2;
        else if (!within(point, narrow, sizeof narrow / sizeof narrow[0]))
            width += 1;
    }
    return width;
}
