/* SPDX-License-Identifier: MPL-2.0 */
/* The header frame and the payload frames of a message (SPEC.md, Frames). A header is a
 * MessagePack array of 8; a payload frame is a sequence of bin objects and nothing else;
 * an event's three bins never cross a frame. Pure; any thread. Spans lend from the frame. */
#ifndef KAP_FRAME_H
#define KAP_FRAME_H

#include "buf.h"
#include "limit.h"
#include "span.h"

typedef enum {
    KAP_VERB_NONE = 0,
#define KAP_VERB(NAME, NUMBER, WHAT) KAP_VERB_##NAME = (NUMBER),
#include "verbs.def"
#undef KAP_VERB
} kap_verb_t;

typedef struct {
    uint8_t version;
    uint8_t mesh[KAP_LIMIT_HASH_BYTES];
    kap_span_t req; /* 1 to KAP_LIMIT_REQ_BYTES bytes, chosen by who asks, repeated in the answer */
    kap_verb_t verb;
    kap_span_t source;    /* PUBLISH and RECEIPT: `<member>/<producer>`; else empty */
    uint64_t first;       /* PUBLISH and RECEIPT: sequence of the first event; else 0 */
    uint32_t count;       /* PUBLISH, RECEIPT, EVENTS: events; else 0 */
    kap_span_t signature; /* empty, or KAP_LIMIT_SIGNATURE_BYTES */
} kap_header_t;

/* Appends the header frame. Errors are the buffer's. */
void kap_header_encode(kap_buf_t *buf, const kap_header_t *header);

/* KAP_OK; KAP_E_VERSION when the version is outside VERSION_OLDEST..VERSION, then version,
 * mesh and req are set as far as they could be read; else KAP_E_INVALID. *why (may be NULL)
 * says in a few constant words what is wrong. A verb that is not known is KAP_E_INVALID with
 * version, mesh and req set, verb KAP_VERB_NONE. */
int kap_header_decode(kap_span_t frame, kap_header_t *header, const char **why);

/* "PUBLISH"; NULL for a number that is not in the table. */
const char *kap_verb_name(kap_verb_t verb);

/* Takes the next bin object off `rest`: 1 and *bin set, 0 at the end, KAP_E_INVALID when
 * what stands there is no whole bin object; `rest` is then untouched. */
int kap_bins_next(kap_span_t *rest, kap_span_t *bin);

/* Appends one bin object. */
void kap_bin_put(kap_buf_t *buf, kap_span_t bytes);

/* Size of the bin object that would hold n bytes. */
size_t kap_bin_size(size_t n);

#endif
