/* SPDX-License-Identifier: MPL-2.0 */
#include "question.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ask.h"
#include "err.h"

static void put_value(kap_buf_t *map, const char *key, const char *value, size_t size)
{
    const char *pair = memchr(value, '>', size);

    if (pair != NULL) {
        kap_mp_put_array(map, 2);
        kap_mp_put_str(map, kap_span(value, (size_t)(pair - value)));
        kap_mp_put_str(map, kap_span(pair + 1, size - (size_t)(pair - value) - 1));
    } else if (size == 4 && memcmp(value, "true", 4) == 0) {
        kap_mp_put_bool(map, true);
    } else if (strncmp(key, "limit=", 6) == 0) {
        kap_mp_put_int(map, strtol(value, NULL, 10));
    } else {
        kap_mp_put_str(map, kap_span(value, size));
    }
}

/* One word; where.x=y is a map of one pair, after.x=y too. */
static void put_word(kap_buf_t *map, const char *word, size_t size)
{
    const char *is = memchr(word, '=', size), *dot = memchr(word, '.', size);

    cr_assert_not_null(is);
    if (dot != NULL && dot < is) {
        kap_mp_put_str(map, kap_span(word, (size_t)(dot - word)));
        kap_mp_put_map(map, 1);
        kap_mp_put_str(map, kap_span(dot + 1, (size_t)(is - dot) - 1));
    } else {
        kap_mp_put_str(map, kap_span(word, (size_t)(is - word)));
    }
    put_value(map, word, is + 1, size - (size_t)(is - word) - 1);
}

static void put_words(kap_buf_t *map, const char *words)
{
    uint32_t count = 0;

    for (const char *at = words; *at != '\0'; at++)
        count += *at == '=';
    kap_query_begin(map, "metrics", count);
    while (*words != '\0') {
        size_t size = strcspn(words, " ");
        put_word(map, words, size);
        words += size;
        words += strspn(words, " ");
    }
}

question_t question_map(desk_t *d, kap_directory_t *dir, const char *who, kap_span_t map)
{
    kap_ask_t ask;
    kap_txn_t *txn;
    question_t answer = {0};
    kap_mp_t *root = kap_arena_alloc(d->arena, sizeof *root);
    const char *why = NULL;

    const kap_member_t *member = kap_directory_member(dir, kap_span_str(who));
    cr_assert_not_null(member, "%s", who);
    cr_assert_eq(kap_ask_init(&ask, dir, member, map, &why), KAP_OK, "%s", why);
    ask.now = d->now;
    cr_assert_eq(kap_txn_begin(d->store, KAP_TXN_READ, &txn), KAP_OK);
    int rc = kap_ask_store(&ask, txn);
    cr_assert_eq(rc, KAP_OK, "%s", kap_err_name(rc));
    kap_txn_abort(&txn);
    answer.refusal = ask.refusal;
    answer.why = ask.why == NULL ? "" : kap_arena_str(d->arena, kap_span_str(ask.why));
    if (ask.refusal == 0) {
        kap_span_t copy = kap_arena_dup(d->arena, kap_buf_span(&ask.out));
        cr_assert_eq(ask.out.err, KAP_OK);
        cr_assert_eq(kap_mp_read_answer(copy, d->arena, root, &why), KAP_OK, "%s", why);
        answer.root = root;
    }
    kap_ask_fini(&ask);
    return answer;
}

question_t question_of(desk_t *d, kap_directory_t *dir, const char *who, const char *words)
{
    kap_buf_t map = {0};

    put_words(&map, words);
    question_t answer = question_map(d, dir, who, kap_buf_span(&map));
    kap_buf_fini(&map);
    return answer;
}

question_t question_as(desk_t *d, const char *who, const char *words)
{
    return question_of(d, d->dir, who, words);
}

const kap_mp_t *question(desk_t *d, const char *words)
{
    question_t answer = question_as(d, "a", words);

    cr_assert_eq(answer.refusal, 0, "%s: %s", words, answer.why);
    return answer.root;
}

const char *question_refused(desk_t *d, const char *words)
{
    question_t answer = question_as(d, "a", words);

    cr_assert_neq(answer.refusal, 0, "%s is answered", words);
    return answer.why;
}

int64_t question_number(const kap_mp_t *map, const char *path)
{
    char key[64];
    const kap_mp_t *node = map;

    while (*path != '\0') {
        size_t size = strcspn(path, ".");
        snprintf(key, sizeof key, "%.*s", (int)size, path);
        node = kap_mp_get(node, key);
        path += size + (path[size] == '.');
    }
    if (node == NULL)
        return -2;
    return node->kind == KAP_MP_NIL ? -1 : node->kind == KAP_MP_BOOL ? node->b : node->i;
}

/* The key of a row as one text. */
static void text_of(const kap_mp_t *key, char *text, size_t room)
{
    size_t size = 0;

    for (uint32_t i = 0; i < key->count; i++) {
        const kap_mp_t *value = kap_mp_value(key, i);
        kap_span_t a = {0}, b = {0};
        const char *between = "";
        if (value->kind == KAP_MP_BOOL) {
            a = value->b ? KAP_SPAN("true") : KAP_SPAN("false");
        } else if (value->kind == KAP_MP_ARRAY) {
            cr_assert(kap_mp_str(kap_mp_item(value, 0), &a));
            cr_assert(kap_mp_str(kap_mp_item(value, 1), &b));
            between = ">";
        } else {
            cr_assert(kap_mp_str(value, &a));
        }
        size += (size_t)snprintf(text + size, room - size, "%s%.*s%s%.*s", i > 0 ? "/" : "",
                                 KAP_SPAN_ARGS(a), between, (int)b.size,
                                 b.size > 0 ? (const char *)b.data : "");
    }
}

const kap_mp_t *question_row(const kap_mp_t *answer, const char *key)
{
    const kap_mp_t *rows = kap_mp_get(answer, "rows"), *row;
    char text[256];

    for (uint32_t i = 0; (row = kap_mp_item(rows, i)) != NULL; i++) {
        text_of(kap_mp_get(row, "key"), text, sizeof text);
        if (strcmp(text, key) == 0)
            return row;
    }
    return NULL;
}

uint32_t question_rows(const kap_mp_t *answer)
{
    return kap_mp_get(answer, "rows")->count;
}
