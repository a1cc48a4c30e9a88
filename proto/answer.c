/* SPDX-License-Identifier: MPL-2.0 */
#include "answer.h"

#include "err.h"
#include "tables.h"

static int fail(const char **why, const char *what)
{
    if (why) {
        *why = what;
    }
    return KAP_E_INVALID;
}

static int need_map(int rc, const kap_mp_t *root, const char **why)
{
    if (rc == KAP_E_NOMEM) {
        return rc;
    }
    if (rc != KAP_OK) {
        return KAP_E_INVALID;
    }
    return root->kind == KAP_MP_MAP ? KAP_OK : fail(why, "not a map");
}

static bool bin_of(const kap_mp_t *node, uint8_t *out, size_t size)
{
    kap_span_t bytes;
    if (!kap_mp_bin(node, &bytes) || bytes.size != size) {
        return false;
    }
    memcpy(out, bytes.data, size);
    return true;
}

static bool id_of(const kap_mp_t *node, kap_span_t *out)
{
    return kap_mp_str(node, out) && out->size >= 1 && out->size <= KAP_LIMIT_ID_BYTES;
}

static bool seq_of(const kap_mp_t *node, uint64_t *out)
{
    int64_t value;
    if (!kap_mp_int(node, 0, INT64_MAX, &value)) {
        return false;
    }
    *out = (uint64_t)value;
    return true;
}

static bool code_of(const kap_mp_t *node, kap_code_list_t list, int *out)
{
    kap_span_t name;
    if (!kap_mp_str(node, &name)) {
        return false;
    }
    *out = kap_code_parse(list, name);
    return *out >= 0;
}

static const kap_mp_t *array_of(const kap_mp_t *map, const char *key)
{
    const kap_mp_t *node = kap_mp_get(map, key);
    return node && node->kind == KAP_MP_ARRAY ? node : NULL;
}

static void put_key_uint(kap_buf_t *buf, const char *key, uint64_t value)
{
    kap_mp_put_cstr(buf, key);
    kap_mp_put_uint(buf, value);
}

static void put_key_bin(kap_buf_t *buf, const char *key, const uint8_t *bytes, size_t size)
{
    kap_mp_put_cstr(buf, key);
    kap_mp_put_bin(buf, kap_span(bytes, size));
}

static void put_code(kap_buf_t *buf, kap_code_list_t list, int code)
{
    const char *name = kap_code_name(list, code);
    KAP_CHECK(name != NULL);
    kap_mp_put_cstr(buf, name);
}

/* The map of a request. */
static int read_request(kap_span_t in, kap_arena_t *arena, kap_mp_t *root, const char **why)
{
    if (in.size > KAP_LIMIT_REQUEST_BYTES) {
        return fail(why, "too large");
    }
    return need_map(kap_mp_read(in, arena, root, why), root, why);
}

/* The map of an answer. */
static int read_answer(kap_span_t in, kap_arena_t *arena, kap_mp_t *root, const char **why)
{
    if (in.size > KAP_LIMIT_FRAME_BYTES) {
        return fail(why, "too large");
    }
    return need_map(kap_mp_read_answer(in, arena, root, why), root, why);
}

/* --- FETCH --- */

void kap_fetch_encode(kap_buf_t *buf, const kap_fetch_t *fetch)
{
    kap_mp_put_map(buf, 4);
    kap_mp_put_cstr(buf, "after");
    kap_mp_put_array(buf, fetch->after_count);
    for (uint32_t i = 0; i < fetch->after_count; i++) {
        const kap_cursor_at_t *c = &fetch->after[i];
        kap_mp_put_array(buf, 3);
        kap_mp_put_str(buf, c->stream);
        kap_mp_put_bin(buf, kap_span(c->epoch, sizeof c->epoch));
        kap_mp_put_uint(buf, c->seq);
    }
    put_key_uint(buf, "max", fetch->max);
    put_key_uint(buf, "max_bytes", fetch->max_bytes);
    put_key_uint(buf, "wait_ms", fetch->wait_ms);
}

/* An optional number: absent or 0 means `most`; false when above it or no number. */
static bool bounded(const kap_mp_t *map, const char *key, int64_t most, bool zero_is_most,
                    uint32_t *out)
{
    const kap_mp_t *node = kap_mp_get(map, key);
    int64_t value = 0;
    if (node && !kap_mp_int(node, 0, most, &value)) {
        return false;
    }
    *out = (uint32_t)(value == 0 && zero_is_most ? most : value);
    return true;
}

static bool cursor_of(const kap_mp_t *node, kap_cursor_at_t *c)
{
    return id_of(kap_mp_item(node, 0), &c->stream) &&
           bin_of(kap_mp_item(node, 1), c->epoch, sizeof c->epoch) &&
           seq_of(kap_mp_item(node, 2), &c->seq);
}

static int cursors_of(const kap_mp_t *after, kap_cursor_at_t *cursors, const char **why)
{
    for (uint32_t i = 0; i < after->count; i++) {
        if (!cursor_of(kap_mp_item(after, i), &cursors[i])) {
            return fail(why, "a cursor is not [stream, epoch, seq]");
        }
        for (uint32_t j = 0; j < i; j++) {
            if (kap_span_eq(cursors[i].stream, cursors[j].stream)) {
                return fail(why, "a stream stands twice");
            }
        }
    }
    return KAP_OK;
}

int kap_fetch_decode(kap_span_t map, kap_arena_t *arena, kap_fetch_t *fetch, const char **why)
{
    kap_mp_t root;
    kap_fetch_t f;
    int rc = read_request(map, arena, &root, why);
    if (rc != KAP_OK) {
        return rc;
    }
    const kap_mp_t *after = array_of(&root, "after");
    if (!after || after->count < 1 || after->count > KAP_LIMIT_FETCH_STREAMS) {
        return fail(why, "after is not an array of 1 to 128 cursors");
    }
    if (!bounded(&root, "max", KAP_LIMIT_FETCH_EVENTS, true, &f.max) ||
        !bounded(&root, "max_bytes", KAP_LIMIT_FETCH_BYTES, true, &f.max_bytes) ||
        !bounded(&root, "wait_ms", KAP_LIMIT_FETCH_WAIT_MS, false, &f.wait_ms)) {
        return fail(why, "max, max_bytes or wait_ms over its limit");
    }
    kap_cursor_at_t *cursors = kap_arena_calloc(arena, after->count, sizeof *cursors);
    if (!cursors) {
        return KAP_E_NOMEM;
    }
    rc = cursors_of(after, cursors, why);
    if (rc != KAP_OK) {
        return rc;
    }
    f.after = cursors;
    f.after_count = after->count;
    *fetch = f;
    return KAP_OK;
}

/* --- EVENTS --- */

void kap_events_head_encode(kap_buf_t *buf, const kap_events_head_t *head)
{
    kap_mp_put_map(buf, 4);
    put_key_bin(buf, "epoch", head->epoch, sizeof head->epoch);
    put_key_uint(buf, "as_of_seq", head->as_of_seq);
    kap_mp_put_cstr(buf, "as_of_time");
    kap_mp_put_int(buf, head->as_of_time);
    kap_mp_put_cstr(buf, "streams");
    kap_mp_put_array(buf, head->stream_count);
    for (uint32_t i = 0; i < head->stream_count; i++) {
        const kap_stream_state_t *s = &head->streams[i];
        kap_mp_put_array(buf, 4);
        kap_mp_put_str(buf, s->stream);
        put_code(buf, KAP_LIST_FETCH, s->status);
        kap_mp_put_uint(buf, s->head);
        kap_mp_put_uint(buf, s->kept_to);
    }
}

static bool stream_state_of(const kap_mp_t *node, kap_stream_state_t *s)
{
    return id_of(kap_mp_item(node, 0), &s->stream) &&
           code_of(kap_mp_item(node, 1), KAP_LIST_FETCH, &s->status) &&
           seq_of(kap_mp_item(node, 2), &s->head) && seq_of(kap_mp_item(node, 3), &s->kept_to);
}

int kap_events_head_decode(kap_span_t map, kap_arena_t *arena, kap_events_head_t *head,
                           const char **why)
{
    kap_mp_t root;
    kap_events_head_t h;
    int rc = read_answer(map, arena, &root, why);
    if (rc != KAP_OK) {
        return rc;
    }
    const kap_mp_t *streams = array_of(&root, "streams");
    if (!bin_of(kap_mp_get(&root, "epoch"), h.epoch, sizeof h.epoch) ||
        !seq_of(kap_mp_get(&root, "as_of_seq"), &h.as_of_seq) ||
        !kap_mp_int(kap_mp_get(&root, "as_of_time"), KAP_TIME_FIRST_MS, KAP_TIME_LAST_MS,
                    &h.as_of_time) ||
        !streams || streams->count > KAP_LIMIT_FETCH_STREAMS) {
        return fail(why, "epoch, as_of_seq, as_of_time or streams");
    }
    kap_stream_state_t *states = kap_arena_calloc(arena, streams->count, sizeof *states);
    if (!states) {
        return KAP_E_NOMEM;
    }
    for (uint32_t i = 0; i < streams->count; i++) {
        if (!stream_state_of(kap_mp_item(streams, i), &states[i])) {
            return fail(why, "a stream is not [stream, status, head, kept_to]");
        }
    }
    h.streams = states;
    h.stream_count = streams->count;
    *head = h;
    return KAP_OK;
}

void kap_event_meta_encode(kap_buf_t *buf, const kap_event_meta_t *meta)
{
    bool days = meta->answer_days > 0 && meta->contact_days > 0;
    kap_mp_put_array(buf, days ? 10 : 8);
    kap_mp_put_uint(buf, meta->stream);
    kap_mp_put_uint(buf, meta->stream_seq);
    kap_mp_put_uint(buf, meta->log_seq);
    kap_mp_put_int(buf, meta->committed_at);
    put_code(buf, KAP_LIST_VERDICT, meta->verdict);
    kap_mp_put_str(buf, meta->source);
    kap_mp_put_uint(buf, meta->sequence);
    kap_mp_put_bin(buf, kap_span(meta->leaf, sizeof meta->leaf));
    if (days) {
        kap_mp_put_uint(buf, meta->answer_days);
        kap_mp_put_uint(buf, meta->contact_days);
    }
}

/* The two items behind the leaf, which need not be there. */
static bool days_of(const kap_mp_t *root, kap_event_meta_t *meta)
{
    int64_t answer = 0, contact = 0;
    if (root->count >= 10 && (!kap_mp_int(&root->items[8], 1, UINT16_MAX, &answer) ||
                              !kap_mp_int(&root->items[9], 1, UINT16_MAX, &contact))) {
        return false;
    }
    meta->answer_days = (uint16_t)answer;
    meta->contact_days = (uint16_t)contact;
    return true;
}

int kap_event_meta_decode(kap_span_t array, kap_arena_t *arena, kap_event_meta_t *meta,
                          const char **why)
{
    kap_mp_t root;
    kap_event_meta_t m;
    uint64_t stream;
    int rc = kap_mp_read(array, arena, &root, why);
    if (rc == KAP_E_NOMEM) {
        return rc;
    }
    if (rc != KAP_OK || root.kind != KAP_MP_ARRAY || root.count < 8) {
        return fail(why, "meta is not an array of 8");
    }
    if (!seq_of(&root.items[0], &stream) || stream >= KAP_LIMIT_FETCH_STREAMS ||
        !seq_of(&root.items[1], &m.stream_seq) || !seq_of(&root.items[2], &m.log_seq) ||
        !kap_mp_int(&root.items[3], KAP_TIME_FIRST_MS, KAP_TIME_LAST_MS, &m.committed_at) ||
        !code_of(&root.items[4], KAP_LIST_VERDICT, &m.verdict) ||
        !id_of(&root.items[5], &m.source) || !seq_of(&root.items[6], &m.sequence) ||
        !bin_of(&root.items[7], m.leaf, sizeof m.leaf) || !days_of(&root, &m)) {
        return fail(why, "an item of meta is not as it should be");
    }
    m.stream = (uint32_t)stream;
    *meta = m;
    return KAP_OK;
}

/* --- RECEIPT --- */

static void put_verdict(kap_buf_t *buf, const kap_verdict_t *v)
{
    kap_mp_put_array(buf, 5);
    put_code(buf, KAP_LIST_VERDICT, v->verdict);
    kap_mp_put_uint(buf, v->refusal);
    if (v->sentence.size) {
        kap_mp_put_str(buf, v->sentence);
    } else {
        kap_mp_put_nil(buf);
    }
    kap_mp_put_uint(buf, v->log_seq);
    kap_mp_put_bin(buf, kap_span(v->leaf, sizeof v->leaf));
}

void kap_receipt_encode(kap_buf_t *buf, const kap_receipt_t *receipt)
{
    kap_mp_put_map(buf, 5);
    kap_mp_put_cstr(buf, "status");
    put_code(buf, KAP_LIST_RECEIPT, receipt->status);
    put_key_uint(buf, "expected", receipt->expected);
    put_key_uint(buf, "position", receipt->position);
    put_key_bin(buf, "epoch", receipt->epoch, sizeof receipt->epoch);
    kap_mp_put_cstr(buf, "verdicts");
    kap_mp_put_array(buf, receipt->verdict_count);
    for (uint32_t i = 0; i < receipt->verdict_count; i++) {
        put_verdict(buf, &receipt->verdicts[i]);
    }
}

static bool verdict_of(const kap_mp_t *node, kap_verdict_t *v)
{
    int64_t refusal;
    const kap_mp_t *sentence = kap_mp_item(node, 2);
    if (!code_of(kap_mp_item(node, 0), KAP_LIST_VERDICT, &v->verdict) ||
        !kap_mp_int(kap_mp_item(node, 1), 0, UINT16_MAX, &refusal) || !sentence ||
        !(sentence->kind == KAP_MP_NIL || kap_mp_str(sentence, &v->sentence))) {
        return false;
    }
    v->refusal = (uint16_t)refusal;
    return seq_of(kap_mp_item(node, 3), &v->log_seq) &&
           bin_of(kap_mp_item(node, 4), v->leaf, sizeof v->leaf);
}

int kap_receipt_decode(kap_span_t map, kap_arena_t *arena, kap_receipt_t *receipt, const char **why)
{
    kap_mp_t root;
    kap_receipt_t r;
    int rc = read_answer(map, arena, &root, why);
    if (rc != KAP_OK) {
        return rc;
    }
    const kap_mp_t *verdicts = array_of(&root, "verdicts");
    if (!code_of(kap_mp_get(&root, "status"), KAP_LIST_RECEIPT, &r.status) ||
        !seq_of(kap_mp_get(&root, "expected"), &r.expected) ||
        !seq_of(kap_mp_get(&root, "position"), &r.position) ||
        !bin_of(kap_mp_get(&root, "epoch"), r.epoch, sizeof r.epoch) || !verdicts ||
        verdicts->count > KAP_LIMIT_EVENTS_PER_REQUEST) {
        return fail(why, "status, expected, position, epoch or verdicts");
    }
    kap_verdict_t *list = kap_arena_calloc(arena, verdicts->count, sizeof *list);
    if (!list) {
        return KAP_E_NOMEM;
    }
    for (uint32_t i = 0; i < verdicts->count; i++) {
        if (!verdict_of(kap_mp_item(verdicts, i), &list[i])) {
            return fail(why, "a verdict is not [verdict, refusal, sentence, log seq, leaf]");
        }
    }
    r.verdicts = list;
    r.verdict_count = verdicts->count;
    *receipt = r;
    return KAP_OK;
}

/* --- QUERY --- */

void kap_query_begin(kap_buf_t *buf, const char *name, uint32_t more_pairs)
{
    kap_mp_put_map(buf, 1 + more_pairs);
    kap_mp_put_cstr(buf, "query");
    kap_mp_put_cstr(buf, name);
}

int kap_query_decode(kap_span_t map, kap_arena_t *arena, kap_query_t *query, const char **why)
{
    kap_mp_t *root = kap_arena_alloc(arena, sizeof *root);
    kap_query_t q = {.root = root};
    if (!root) {
        return KAP_E_NOMEM;
    }
    int rc = read_request(map, arena, root, why);
    if (rc != KAP_OK) {
        return rc;
    }
    if (!id_of(kap_mp_get(root, "query"), &q.name)) {
        return fail(why, "query is not a name");
    }
    if (kap_mp_get(root, "min_seq") && !seq_of(kap_mp_get(root, "min_seq"), &q.min_seq)) {
        return fail(why, "min_seq is not 0 to 2^63-1");
    }
    q.wait_ms = KAP_LIMIT_QUERY_WAIT_MS;
    if (kap_mp_get(root, "wait_ms") != NULL &&
        !bounded(root, "wait_ms", KAP_LIMIT_QUERY_WAIT_MS, false, &q.wait_ms)) {
        return fail(why, "wait_ms over its limit");
    }
    q.query = kap_code_parse(KAP_LIST_QUERY, q.name);
    *query = q;
    return KAP_OK;
}

/* --- ANSWER, ERROR --- */

void kap_answer_begin(kap_buf_t *buf, uint64_t as_of_seq, int64_t as_of_time, uint32_t more_pairs)
{
    kap_mp_put_map(buf, 2 + more_pairs);
    put_key_uint(buf, "as_of_seq", as_of_seq);
    kap_mp_put_cstr(buf, "as_of_time");
    kap_mp_put_int(buf, as_of_time);
}

void kap_answer_error(kap_buf_t *buf, uint16_t refusal, const char *sentence)
{
    const char *code = kap_refusal_code(refusal);
    KAP_CHECK(code != NULL);
    kap_mp_put_map(buf, 2);
    kap_mp_put_cstr(buf, "error");
    kap_mp_put_map(buf, 3);
    kap_mp_put_cstr(buf, "code");
    kap_mp_put_cstr(buf, code);
    put_key_uint(buf, "number", refusal);
    kap_mp_put_cstr(buf, "sentence");
    kap_mp_put_cstr(buf, sentence ? sentence : kap_refusal_sentence(refusal));
    kap_mp_put_cstr(buf, "versions");
    kap_mp_put_array(buf, 2);
    kap_mp_put_uint(buf, KAP_LIMIT_VERSION_OLDEST);
    kap_mp_put_uint(buf, KAP_LIMIT_VERSION);
}

int kap_answer_decode(kap_span_t map, kap_arena_t *arena, kap_answer_t *answer, const char **why)
{
    kap_mp_t *root = kap_arena_alloc(arena, sizeof *root);
    kap_answer_t a = {.root = root};
    int64_t number;
    if (!root) {
        return KAP_E_NOMEM;
    }
    int rc = read_answer(map, arena, root, why);
    if (rc != KAP_OK) {
        return rc;
    }
    const kap_mp_t *error = kap_mp_get(root, "error");
    if (error) {
        if (!kap_mp_int(kap_mp_get(error, "number"), 1, UINT16_MAX, &number) ||
            !kap_mp_str(kap_mp_get(error, "code"), &a.code) ||
            !kap_mp_str(kap_mp_get(error, "sentence"), &a.sentence)) {
            return fail(why, "error is not {code, number, sentence}");
        }
        a.refusal = (uint16_t)number;
    } else if (!seq_of(kap_mp_get(root, "as_of_seq"), &a.as_of_seq) ||
               !kap_mp_int(kap_mp_get(root, "as_of_time"), KAP_TIME_FIRST_MS, KAP_TIME_LAST_MS,
                           &a.as_of_time)) {
        return fail(why, "as_of_seq or as_of_time");
    }
    *answer = a;
    return KAP_OK;
}
