/* SPDX-License-Identifier: MPL-2.0 */
#include "frame.h"

#include "be.h"
#include "err.h"
#include "mp.h"
#include "scan.h"

/* A header is a flat array of 8: it is read where it stands, no nodes are made. */
typedef struct {
    const uint8_t *at, *end;
} reader_t;

void kap_header_encode(kap_buf_t *buf, const kap_header_t *header)
{
    kap_mp_put_array(buf, 8);
    kap_mp_put_uint(buf, header->version);
    kap_mp_put_bin(buf, kap_span(header->mesh, sizeof header->mesh));
    kap_mp_put_bin(buf, header->req);
    kap_mp_put_uint(buf, (uint64_t)header->verb);
    kap_mp_put_str(buf, header->source);
    kap_mp_put_uint(buf, header->first);
    kap_mp_put_uint(buf, header->count);
    kap_mp_put_bin(buf, header->signature);
}

/* The scan went over these bytes: lengths are known to be inside the frame. */
static bool read_uint(reader_t *r, uint64_t max, uint64_t *out)
{
    static const uint8_t widths[] = {1, 2, 4, 8};
    if (r->at == r->end) {
        return false;
    }
    uint8_t type = *r->at++;
    uint64_t value = type;
    if (type >= 0xcc && type <= 0xcf) {
        unsigned width = widths[type - 0xcc];
        value = 0;
        for (unsigned i = 0; i < width; i++) {
            value = value << 8 | *r->at++;
        }
    } else if (type >= 0x80) {
        return false;
    }
    *out = value;
    return value <= max;
}

static bool read_bin(reader_t *r, size_t min, size_t max, kap_span_t *out)
{
    if (r->at == r->end || r->at[0] < 0xc4 || r->at[0] > 0xc6) {
        return false;
    }
    kap_span_t rest = kap_span(r->at, (size_t)(r->end - r->at));
    if (kap_bins_next(&rest, out) != 1) {
        return false;
    }
    r->at = rest.data;
    return out->size >= min && out->size <= max;
}

static bool read_str(reader_t *r, size_t max, kap_span_t *out)
{
    if (r->at == r->end) {
        return false;
    }
    uint8_t type = *r->at++;
    size_t size;
    if (type >= 0xa0 && type <= 0xbf) {
        size = type & 0x1f;
    } else if (type == 0xd9) {
        size = *r->at++;
    } else if (type == 0xda) {
        size = kap_be_get_u16(r->at);
        r->at += 2;
    } else {
        return false;
    }
    *out = kap_span(r->at, size);
    r->at += size;
    return size <= max;
}

static int header_fail(const char **why, const char *what)
{
    if (why) {
        *why = what;
    }
    return KAP_E_INVALID;
}

/* version, mesh, req: what every version of the protocol begins with. */
static const char *read_preamble(reader_t *r, kap_header_t *h)
{
    uint64_t version;
    kap_span_t mesh;
    if (!read_uint(r, UINT8_MAX, &version)) {
        return "version is not 0 to 255";
    }
    h->version = (uint8_t)version;
    if (!read_bin(r, sizeof h->mesh, sizeof h->mesh, &mesh)) {
        return "mesh is not a bin of 32";
    }
    memcpy(h->mesh, mesh.data, sizeof h->mesh);
    if (!read_bin(r, 1, KAP_LIMIT_REQ_BYTES, &h->req)) {
        h->req = kap_span(NULL, 0);
        return "req is not a bin of 1 to 16";
    }
    return NULL;
}

static const char *read_rest(reader_t *r, kap_header_t *h)
{
    uint64_t verb, count;
    if (!read_uint(r, UINT8_MAX, &verb) || !kap_verb_name((kap_verb_t)verb)) {
        return "unknown verb";
    }
    h->verb = (kap_verb_t)verb;
    if (!read_str(r, KAP_LIMIT_ID_BYTES, &h->source)) {
        return "source is not a str of at most 200";
    }
    if (!read_uint(r, INT64_MAX, &h->first)) {
        return "first is not 0 to 2^63-1";
    }
    if (!read_uint(r, KAP_LIMIT_EVENTS_PER_REQUEST, &count)) {
        return "count is not 0 to 4096";
    }
    h->count = (uint32_t)count;
    if (!read_bin(r, 0, KAP_LIMIT_SIGNATURE_BYTES, &h->signature) ||
        (h->signature.size != 0 && h->signature.size != KAP_LIMIT_SIGNATURE_BYTES)) {
        return "signature is not a bin of 0 or 64";
    }
    return NULL;
}

int kap_header_decode(kap_span_t frame, kap_header_t *header, const char **why)
{
    kap_scan_limits_t limits = {.depth = 2, .objects = 64};
    if (frame.size > KAP_LIMIT_HEADER_BYTES) {
        return header_fail(why, "header over 512 bytes");
    }
    int rc = kap_scan(frame, &limits, why);
    if (rc != KAP_OK) {
        return KAP_E_INVALID;
    }
    bool small = frame.data[0] == 0x98;
    bool other = frame.data[0] >= 0x93 && frame.data[0] <= 0x9f;
    if (!other) {
        return header_fail(why, "not an array of 8");
    }
    reader_t r = {frame.data + 1, frame.data + frame.size};
    kap_header_t h = {0};
    const char *wrong = read_preamble(&r, &h);
    if (wrong) {
        return header_fail(why, wrong);
    }
    *header = h;
    if (h.version < KAP_LIMIT_VERSION_OLDEST || h.version > KAP_LIMIT_VERSION) {
        header_fail(why, "unknown version");
        return KAP_E_VERSION;
    }
    wrong = small ? read_rest(&r, &h) : "not an array of 8";
    if (wrong) {
        header->verb = KAP_VERB_NONE;
        return header_fail(why, wrong);
    }
    *header = h;
    return KAP_OK;
}

const char *kap_verb_name(kap_verb_t verb)
{
    switch ((int)verb) {
#define KAP_VERB(NAME, NUMBER, WHAT)                                                               \
    case NUMBER:                                                                                   \
        return #NAME;
#include "verbs.def"
#undef KAP_VERB
    default:
        return NULL;
    }
}

int kap_bins_next(kap_span_t *rest, kap_span_t *bin)
{
    if (rest->size == 0) {
        return 0;
    }
    const uint8_t *at = rest->data;
    size_t head = at[0] == 0xc4 ? 2 : at[0] == 0xc5 ? 3 : at[0] == 0xc6 ? 5 : 0;
    if (head == 0 || rest->size < head) {
        return KAP_E_INVALID;
    }
    size_t size = head == 2 ? at[1] : head == 3 ? kap_be_get_u16(at + 1) : kap_be_get_u32(at + 1);
    if (size > rest->size - head) {
        return KAP_E_INVALID;
    }
    *bin = kap_span(at + head, size);
    *rest = kap_span(at + head + size, rest->size - head - size);
    return 1;
}

void kap_bin_put(kap_buf_t *buf, kap_span_t bytes)
{
    kap_mp_put_bin(buf, bytes);
}

size_t kap_bin_size(size_t n)
{
    return n + (n <= UINT8_MAX ? 2 : n <= UINT16_MAX ? 3 : 5);
}
