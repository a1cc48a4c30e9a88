/* SPDX-License-Identifier: MPL-2.0 */
#include "asking.h"

#include <string.h>

#include "answer.h"
#include "err.h"
#include "matters.h"

enum { PAGE_TURNS = 5 };

int kap_asking_init(kap_asking_t *asking, kap_cli_t *cli)
{
    *asking = (kap_asking_t){.cli = cli, .arena = kap_arena_new(65536)};
    asking->kept.arena = asking->arena;
    return asking->arena ? 0 : kap_cli_fail(KAP_EXIT_REFUSED, "out of memory");
}

void kap_asking_fini(kap_asking_t *asking)
{
    kap_arena_destroy(&asking->arena);
}

kap_shown_list_t kap_asking_question(kap_asking_t *asking, const char *metric)
{
    kap_shown_list_t map = {.arena = asking->arena};
    kap_shown_set_text(&map, "query", kap_span_str("metrics"));
    kap_shown_set_text(&map, "metric", kap_span_str(metric));
    return map;
}

static int copy_items(kap_arena_t *arena, const kap_mp_t *from, size_t n, kap_mp_t *to);

static int copy_node(kap_arena_t *arena, const kap_mp_t *from, kap_mp_t *to)
{
    *to = *from;
    if (from->kind == KAP_MP_STR || from->kind == KAP_MP_BIN) {
        to->s = kap_arena_dup(arena, from->s);
        return to->s.data ? KAP_OK : KAP_E_NOMEM;
    }
    if (from->kind != KAP_MP_ARRAY && from->kind != KAP_MP_MAP)
        return KAP_OK;
    size_t n = (size_t)from->count * (from->kind == KAP_MP_MAP ? 2 : 1);
    kap_mp_t *items = kap_arena_calloc(arena, n + 1, sizeof *items);
    to->items = items;
    return items ? copy_items(arena, from->items, n, items) : KAP_E_NOMEM;
}

/* Depth: what kap_mp_read and jansson allow. */
static int copy_items(kap_arena_t *arena, const kap_mp_t *from, size_t n, kap_mp_t *to)
{
    int rc = KAP_OK;
    for (size_t i = 0; rc == KAP_OK && i < n; i++)
        rc = copy_node(arena, &from[i], &to[i]);
    return rc;
}

const kap_mp_t *kap_asking_keep(kap_asking_t *asking, const kap_mp_t *node)
{
    kap_mp_t *kept = kap_arena_alloc(asking->arena, sizeof *kept);
    return kept && copy_node(asking->arena, node, kept) == KAP_OK ? kept : NULL;
}

static bool same_map(const kap_mp_t *a, const kap_mp_t *b)
{
    for (uint32_t i = 0; i < a->count; i++)
        for (uint32_t k = 0; k <= b->count; k++) {
            if (k == b->count)
                return false;
            if (kap_asking_same(kap_mp_key(a, i), kap_mp_key(b, k))) {
                if (!kap_asking_same(kap_mp_value(a, i), kap_mp_value(b, k)))
                    return false;
                break;
            }
        }
    return true;
}

bool kap_asking_same(const kap_mp_t *a, const kap_mp_t *b)
{
    if (a->kind != b->kind || (a->kind >= KAP_MP_ARRAY && a->count != b->count))
        return false;
    switch (a->kind) {
    case KAP_MP_NIL:
        return true;
    case KAP_MP_BOOL:
        return a->b == b->b;
    case KAP_MP_INT:
    case KAP_MP_UINT:
        return a->u == b->u;
    case KAP_MP_STR:
    case KAP_MP_BIN:
        return kap_span_eq(a->s, b->s);
    case KAP_MP_MAP:
        return same_map(a, b);
    case KAP_MP_ARRAY:
        break;
    }
    for (uint32_t i = 0; i < a->count; i++)
        if (!kap_asking_same(&a->items[i], &b->items[i]))
            return false;
    return true;
}

static bool names_query(const kap_mp_t *question, uint32_t i)
{
    return kap_span_eq_str(kap_mp_key(question, i)->s, "query");
}

/* One page: the rows behind `last`, or from the first on when that is NULL. */
static int ask_page(kap_cli_t *cli, const kap_mp_t *question, const kap_mp_t *last, bool quietly,
                    const kap_mp_t **root)
{
    kap_buf_t map;
    kap_buf_init(&map);
    char name[64];
    snprintf(name, sizeof name, "%.*s", KAP_SPAN_ARGS(kap_mp_get_str(question, "query")));
    kap_query_begin(&map, name, question->count - 1 + (last != NULL));
    for (uint32_t i = 0; i < question->count; i++)
        if (!names_query(question, i)) {
            kap_mp_put_node(&map, kap_mp_key(question, i));
            kap_mp_put_node(&map, kap_mp_value(question, i));
        }
    if (last) {
        kap_mp_put_cstr(&map, "after");
        kap_mp_put_node(&map, kap_mp_get(last, "key"));
    }
    int code = quietly ? kap_cli_ask_quietly(cli, KAP_VERB_QUERY, kap_buf_span(&map), 0, root)
                       : kap_cli_ask(cli, KAP_VERB_QUERY, kap_buf_span(&map), 0, root);
    kap_buf_fini(&map);
    return code;
}

/* All pages of one position; *moved: the figures went on between two of them. */
static int ask_pages(kap_asking_t *asking, const kap_mp_t *question, bool quietly,
                     kap_shown_list_t *rows, bool *moved, const kap_mp_t **root)
{
    const kap_mp_t *page = NULL, *last = NULL;
    do {
        int code = ask_page(asking->cli, question, last, quietly, &page);
        if (code != 0)
            return code;
        page = kap_asking_keep(asking, page);
        if (!page)
            return kap_cli_fail(KAP_EXIT_REFUSED, "out of memory");
        *root = last ? *root : page;
        *moved = kap_mp_get_int(page, "as_of_seq", 0) != kap_mp_get_int(*root, "as_of_seq", 0);
        const kap_mp_t *more = kap_mp_get(page, "rows");
        for (uint32_t i = 0; more && !*moved && i < more->count; i++) {
            last = kap_mp_item(more, i);
            kap_shown_add(rows, last);
        }
    } while (!*moved && last && kap_mp_get_bool(page, "more", false));
    return 0;
}

/* The whole answer, as if it had come in one. */
static int ask(kap_asking_t *asking, const kap_mp_t *question, bool quietly, const kap_mp_t **root)
{
    const kap_mp_t no = {.kind = KAP_MP_BOOL, .b = false};
    bool moved = true;
    for (int turn = 0; moved && turn < PAGE_TURNS; turn++) {
        kap_shown_list_t rows = {.arena = asking->arena}, map = {.arena = asking->arena};
        int code = ask_pages(asking, question, quietly, &rows, &moved, root);
        if (code != 0 || (!moved && !kap_mp_get_bool(*root, "more", false)))
            return code;
        const kap_mp_t all = kap_shown_array(&rows);
        for (uint32_t i = 0; i < (*root)->count; i++) {
            kap_shown_add(&map, kap_mp_key(*root, i));
            kap_shown_add(&map, kap_mp_value(*root, i));
        }
        kap_shown_set(&map, "rows", &all);
        kap_shown_set(&map, "more", &no);
        const kap_mp_t whole = kap_shown_map(&map);
        *root = kap_asking_keep(asking, &whole);
    }
    if (moved || !*root)
        return kap_cli_fail(KAP_EXIT_UNREACHABLE,
                            "the figures change while they are told; ask again when less comes in");
    return 0;
}

static const kap_mp_t *kept_answer(const kap_asking_t *asking, const kap_mp_t *question)
{
    for (uint32_t i = 0; i < asking->kept.used; i++)
        if (kap_asking_same(kap_mp_get(&asking->kept.items[i], "query"), question))
            return kap_mp_get(&asking->kept.items[i], "answer");
    return NULL;
}

int kap_asking_put(kap_asking_t *asking, const kap_mp_t *question, bool quietly,
                   const kap_mp_t **answer)
{
    *answer = kept_answer(asking, question);
    int code = 0;
    if (!*answer && asking->frozen)
        return kap_cli_fail(KAP_EXIT_REFUSED,
                            "the frozen file has no answer to this question: freeze it anew");
    if (!*answer) {
        kap_shown_list_t pair = {.arena = asking->arena};
        code = kap_span_eq_str(kap_mp_get_str(question, "query"), "matters")
                   ? kap_matters_read(asking->cli, question, asking->arena, answer)
                   : ask(asking, question, quietly, answer);
        const kap_mp_t *kept = code == 0 ? kap_asking_keep(asking, question) : NULL;
        if (!kept)
            return code ? code : kap_cli_fail(KAP_EXIT_REFUSED, "out of memory");
        kap_shown_set(&pair, "query", kept);
        kap_shown_set(&pair, "answer", *answer);
        kap_mp_t made = kap_shown_map(&pair);
        kap_shown_add(&asking->kept, &made);
    }
    const kap_mp_t *error = kap_mp_get(*answer, "error");
    return error && !quietly ? kap_cli_refused(asking->cli, error) : code;
}
