/* SPDX-License-Identifier: MPL-2.0 */
#include "fakebroker.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "answer.h"
#include "err.h"
#include "event.h"
#include "frame.h"

static void answer(kap_fake_t *fake, const kap_msg_t *msg, const kap_header_t *asked,
                   kap_verb_t verb, kap_span_t map)
{
    kap_buf_t header = {0}, body = {0};
    kap_header_t h = *asked;

    h.verb = verb;
    kap_header_encode(&header, &h);
    kap_bin_put(&body, map);
    kap_span_t frames[] = {kap_buf_span(&header), kap_buf_span(&body)};
    /* Who asked may be gone: its command ended, and its requests were still on their way. */
    int rc = kap_sock_send(fake->sock, kap_msg_peer(msg), frames, 2);
    cr_assert(rc == KAP_OK || rc == KAP_E_UNREACHABLE);
    kap_buf_fini(&header);
    kap_buf_fini(&body);
}

/* --- QUERY --- */

static void put_archive(kap_fake_t *fake, kap_buf_t *out)
{
    if (!fake->region[0]) {
        kap_answer_error(out, KAP_REFUSAL_REQUEST_NOT_FOUND, NULL);
        return;
    }
    kap_answer_begin(out, fake->mark, 1, 1);
    kap_mp_put_cstr(out, "archive");
    kap_mp_put_map(out, 3);
    kap_mp_put_cstr(out, "attribute");
    kap_mp_put_cstr(out, fake->attribute);
    kap_mp_put_cstr(out, "options");
    kap_mp_put_cstr(out, fake->options);
    kap_mp_put_cstr(out, "digest");
    kap_mp_put_bin(out, kap_span(fake->digest, 32));
}

static void put_mark(kap_fake_t *fake, bool known, kap_buf_t *out)
{
    kap_answer_begin(out, fake->mark, 1, known ? 2 : 1);
    kap_mp_put_cstr(out, "last");
    kap_mp_put_uint(out, known ? fake->mark : 0);
    if (known) {
        kap_mp_put_cstr(out, "hash");
        kap_mp_put_bin(out, kap_span(fake->hashes[fake->mark], 32));
    }
}

static void take_query(kap_fake_t *fake, const kap_msg_t *msg, const kap_header_t *header)
{
    kap_span_t rest = kap_msg_frame(msg, 1), map;
    kap_query_t query;
    kap_buf_t out = {0};

    fake->queries++;
    if (fake->deaf_queries)
        return;
    cr_assert_eq(kap_bins_next(&rest, &map), 1);
    cr_assert_eq(kap_query_decode(map, fake->arena, &query, NULL), KAP_OK);
    if (query.query == KAP_QUERY_ARCHIVE && kap_mp_get(query.root, "name")) {
        bool ours = kap_span_eq_str(kap_mp_get_str(query.root, "name"), fake->region);
        cr_assert(ours || !fake->region[0]);
        put_archive(fake, &out);
    } else {
        cr_assert_eq(query.query, KAP_QUERY_MARK);
        kap_span_t source = kap_mp_get_str(query.root, "source");
        put_mark(fake, fake->mark && kap_span_eq_str(source, fake->source), &out);
    }
    answer(fake, msg, header, KAP_VERB_ANSWER, kap_buf_span(&out));
    kap_buf_fini(&out);
}

/* --- PUBLISH --- */

static void copy(char *to, size_t size, kap_span_t from)
{
    cr_assert_lt(from.size, size);
    if (from.size)
        memcpy(to, from.data, from.size);
    to[from.size] = '\0';
}

/* A new event, or one it has: false when it has another one under the number. */
static bool take_event(kap_fake_t *fake, kap_span_t *rest)
{
    kap_span_t parts[3];
    kap_event_t ev;

    for (int i = 0; i < 3; i++)
        cr_assert_eq(kap_bins_next(rest, &parts[i]), 1);
    cr_assert_eq(kap_event_decode(parts[0], parts[1], parts[2], fake->arena, &ev, NULL), KAP_OK);
    if (ev.sequence <= fake->mark) {
        fake->duplicates++;
        return !memcmp(fake->hashes[ev.sequence], ev.content_hash, 32);
    }
    cr_assert_eq(ev.sequence, fake->mark + 1);
    cr_assert_lt(ev.sequence, KAP_FAKE_EVENTS);
    fake->mark++;
    memcpy(fake->hashes[fake->mark], ev.content_hash, 32);
    if (ev.type == KAP_EV_ARCHIVE_OPENED) {
        copy(fake->source, sizeof fake->source, ev.source);
        copy(fake->region, sizeof fake->region, kap_event_span(&ev, KAP_F_REGION));
        copy(fake->attribute, sizeof fake->attribute, kap_event_span(&ev, KAP_F_ATTRIBUTE));
        copy(fake->options, sizeof fake->options, kap_event_span(&ev, KAP_F_OPTIONS));
        memcpy(fake->digest, kap_event_span(&ev, KAP_F_DIGEST).data, 32);
    }
    return true;
}

static int status_of(kap_fake_t *fake, const kap_header_t *header)
{
    if (fake->foreign)
        return KAP_RECEIPT_FOREIGN;
    if (fake->busy) {
        fake->busy--;
        return KAP_RECEIPT_BUSY;
    }
    if (fake->lose) {
        fake->lose--;
        return KAP_RECEIPT_GAP;
    }
    return header->first > fake->mark + 1 ? KAP_RECEIPT_GAP : KAP_RECEIPT_OK;
}

static void take_publish(kap_fake_t *fake, const kap_msg_t *msg, const kap_header_t *header)
{
    static kap_verdict_t verdicts[4096];
    kap_receipt_t receipt = {.status = status_of(fake, header), .verdicts = verdicts};
    kap_span_t rest = kap_msg_frame(msg, 1);
    kap_buf_t out = {0};

    fake->publishes++;
    if (header->count > fake->most_events)
        fake->most_events = header->count;
    if (fake->deaf_after && fake->mark >= fake->deaf_after)
        return;
    memset(verdicts, 0, sizeof verdicts);
    for (uint32_t i = 0; i < header->count && receipt.status == KAP_RECEIPT_OK; i++) {
        verdicts[i].verdict = KAP_VERDICT_ACCEPTED;
        if (!take_event(fake, &rest))
            receipt.status = KAP_RECEIPT_CONFLICT;
        if (fake->refuse == header->first + i) {
            verdicts[i].verdict = KAP_VERDICT_REFUSED;
            verdicts[i].refusal = KAP_REFUSAL_ILLEGAL_STATE;
            verdicts[i].sentence = KAP_SPAN("not possible here");
        }
    }
    receipt.verdict_count = receipt.status == KAP_RECEIPT_OK ? header->count : 0;
    receipt.expected = fake->mark + 1;
    if (fake->nonsense)
        kap_mp_put_map(&out, 0);
    else
        kap_receipt_encode(&out, &receipt);
    answer(fake, msg, header, KAP_VERB_RECEIPT, kap_buf_span(&out));
    kap_buf_fini(&out);
}

static void on_message(void *arg, kap_msg_t **msg)
{
    kap_fake_t *fake = arg;
    kap_header_t header;

    kap_arena_reset(fake->arena);
    cr_assert_eq(kap_header_decode(kap_msg_frame(*msg, 0), &header, NULL), KAP_OK);
    if (header.verb == KAP_VERB_QUERY)
        take_query(fake, *msg, &header);
    else
        take_publish(fake, *msg, &header);
}

/* --- life --- */

void kap_fake_open(kap_fake_t *fake)
{
    kap_sock_opts_t opts = {.type = KAP_SOCK_ROUTER, .local = true};

    memset(fake, 0, sizeof *fake);
    strcpy(fake->folder, "/tmp/kapula-import-XXXXXX");
    cr_assert(mkdtemp(fake->folder));
    snprintf(fake->endpoint, sizeof fake->endpoint, "ipc://%s/door", fake->folder);
    cr_assert_eq(kap_crypto_init(), KAP_OK);
    cr_assert_eq(kap_sock_system_start(), KAP_OK);
    fake->loop = kap_loop_new();
    fake->arena = kap_arena_new(64 * 1024);
    fake->hashes = calloc(KAP_FAKE_EVENTS, sizeof *fake->hashes);
    cr_assert(fake->loop && fake->arena && fake->hashes);
    cr_assert_eq(kap_sock_open(fake->loop, &opts, on_message, NULL, fake, &fake->sock), KAP_OK);
    cr_assert_eq(kap_sock_bind(fake->sock, fake->endpoint, NULL), KAP_OK);
}

void kap_fake_close(kap_fake_t *fake)
{
    char path[160];

    kap_sock_close(&fake->sock);
    kap_loop_destroy(&fake->loop);
    kap_sock_system_stop();
    kap_arena_destroy(&fake->arena);
    free(fake->hashes);
    snprintf(path, sizeof path, "%s/door", fake->folder);
    unlink(path);
    rmdir(fake->folder);
}
