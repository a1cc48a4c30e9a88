/* SPDX-License-Identifier: MPL-2.0 */
/*
 * oracle_player [FOLDER]: plays a history through the real engine, over a store in FOLDER or the
 * twin in memory, and answers questions by the broker's own code. JSON lines come in and go out:
 *   {"directory": {...}}                          in force from the next batch on
 *   {"at": ms, "jobs": [[event ...] ...], "expire": bool, "figures": bool}   one batch
 *   {"reopen": true}                              as after a crash: what was committed is there
 *   {"ask": {...}, "as": member, "now": ms}   {"answer": {...}} or {"refusal": code, "why": text}
 *   {"log": true}                  {"log": [...], "directories": [...]}
 *   {"audit": true}                {"audit": {events, rows, differences, what}}
 * It has no clock but the history's and no socket.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ask.h"
#include "audit.h"
#include "crypto.h"
#include "engine.h"
#include "err.h"
#include "rows.h"
#include "translate.h"

typedef struct {
    kap_store_t *store;
    kap_engine_t *engine;
    kap_directory_t *dir;
    kap_buf_t json; /* text of the directory */
    const char *path;
    int64_t now;
} player_t;

static void must(int rc, const char *what)
{
    if (rc != KAP_OK)
        wrong_line("%s: %s", what, kap_err_name(rc));
}

/* --- store and engine --- */

static void open_store(player_t *p)
{
    kap_store_opts_t opts = {.path = p->path ? p->path : "",
                             .name = KAP_ROWS_STORE,
                             .version = KAP_ROWS_VERSION,
                             .tables = kap_rows_tables,
                             .memory = p->path == NULL};

    must(kap_store_open(&opts, &p->store), "the store does not open");
}

static void open_engine(player_t *p)
{
    if (p->store == NULL)
        open_store(p);
    must(kap_engine_open(p->store, kap_directory_mesh(p->dir), true, &p->engine),
         "the engine does not open");
    must(kap_engine_set_directory(p->engine, p->dir, kap_buf_span(&p->json)), "directory");
}

/* The twin lives in memory: it stays, the engine over it is new. */
static void reopen(player_t *p)
{
    kap_engine_close(&p->engine);
    if (p->path != NULL)
        kap_store_close(&p->store);
    open_engine(p);
}

static void set_directory(player_t *p, const json_t *directory)
{
    kap_buf_t messages = {0};
    kap_directory_t *dir = NULL;
    char *text = json_dumps(directory, JSON_COMPACT);

    kap_buf_reset(&p->json);
    kap_buf_str(&p->json, text);
    free(text);
    if (kap_directory_parse(kap_buf_span(&p->json), &dir, &messages) != KAP_OK)
        wrong_line("directory: %s", kap_buf_cstr(&messages));
    kap_buf_fini(&messages);
    if (p->dir != NULL)
        kap_directory_unref(&p->dir);
    p->dir = dir;
    if (p->engine == NULL)
        open_engine(p);
    else
        must(kap_engine_set_directory(p->engine, dir, kap_buf_span(&p->json)), "directory");
}

/* --- batches --- */

static void set_key(const player_t *p, kap_job_t *job)
{
    const char *source = (const char *)job->header.source.data;
    kap_span_t id = kap_span(source, strcspn(source, "/"));
    const kap_member_t *member = kap_directory_member(p->dir, id);

    if (member != NULL)
        kap_z85_encode(job->key, member->curve, sizeof member->curve);
}

static kap_job_t *job_of(const player_t *p, const json_t *events)
{
    kap_job_t *job = kap_job_new();
    const json_t *first = json_array_get(events, 0);
    const char *source = json_text(first, "source", "");

    job->arena = kap_arena_new(16 << 10);
    job->count = (uint32_t)json_array_size(events);
    job->events = kap_arena_calloc(job->arena, job->count, sizeof *job->events);
    job->header.source = kap_span(kap_arena_str(job->arena, kap_span_str(source)), strlen(source));
    job->header.first = (uint64_t)json_number(first, "sequence", 1);
    job->header.count = job->count;
    for (uint32_t i = 0; i < job->count; i++) {
        event_of_json(json_array_get(events, i), job->arena, &job->events[i]);
        job->bytes += job->events[i].open.size + job->events[i].ends.size;
    }
    set_key(p, job);
    return job;
}

static bool never(void *arg)
{
    (void)arg;
    return false;
}

/* A member that left speaks to nobody: nothing was used up. Anything else must have a verdict. */
static void check_receipts(const kap_batch_t *batch)
{
    for (uint32_t i = 0; i < batch->result_count; i++) {
        int status = batch->results[i].status;
        if (status != KAP_RECEIPT_OK && status != KAP_RECEIPT_FOREIGN)
            wrong_line("job %u: %s", i, kap_code_name(KAP_LIST_RECEIPT, status));
    }
}

static void run(player_t *p, kap_job_t *jobs, bool expire, bool figures)
{
    kap_engine_turn_t turn = {.now = p->now, .expire = expire, .idle = figures ? NULL : never};
    kap_batch_t *batch = NULL;
    bool more = true;

    while (more) {
        must(kap_engine_batch(p->engine, jobs, &turn, &batch, &more), "a batch fails");
        check_receipts(batch);
        kap_batch_unref(&batch);
        jobs = NULL;
    }
}

static void play_batch(player_t *p, const json_t *line)
{
    kap_job_t *jobs = NULL, **end = &jobs;
    size_t i;
    json_t *events;

    p->now = json_number(line, "at", p->now);
    json_array_foreach(json_object_get(line, "jobs"), i, events)
    {
        *end = job_of(p, events);
        end = &(*end)->next;
    }
    run(p, jobs, json_is_true(json_object_get(line, "expire")),
        json_is_true(json_object_get(line, "figures")));
}

/* --- questions --- */

static kap_txn_t *reading(const player_t *p)
{
    kap_txn_t *txn;

    must(kap_txn_begin(p->store, KAP_TXN_READ, &txn), "no transaction");
    return txn;
}

static void say(json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT);

    puts(text);
    free(text);
    json_decref(json);
}

static json_t *answer_of(kap_ask_t *ask)
{
    kap_mp_t root;

    must(kap_mp_read_answer(kap_buf_span(&ask->out), ask->arena, &root, NULL), "an answer");
    return json_pack("{so}", "answer", json_of_node(&root));
}

/* What the broker would do once the figures stand at the head. */
static void ask(player_t *p, const json_t *line)
{
    kap_ask_t a;
    kap_buf_t body = {0};
    const char *why = NULL;
    int rc = KAP_E_AGAIN;
    kap_span_t id = kap_span_str(json_text(line, "as", ""));
    const kap_member_t *who = kap_directory_member(p->dir, id);

    if (who == NULL)
        wrong_line("nobody is called %s", json_text(line, "as", "?"));
    put_json(&body, json_object_get(line, "ask"));
    must(kap_ask_init(&a, p->dir, who, kap_buf_span(&body), &why), why ? why : "a question");
    a.now = json_number(line, "now", p->now);
    a.refusal = kap_ask_allowed(&a, &why);
    while (a.refusal == 0 && rc == KAP_E_AGAIN) {
        kap_txn_t *txn = reading(p);
        rc = kap_ask_store(&a, txn);
        kap_txn_abort(&txn);
        why = a.why;
    }
    if (a.refusal == 0)
        must(rc, "a question fails");
    say(a.refusal == 0 ? answer_of(&a)
                       : json_pack("{sssssi}", "refusal", kap_refusal_code(a.refusal), "why",
                                   why ? why : "", "number", (int)a.refusal));
    kap_ask_fini(&a);
    kap_buf_fini(&body);
}

static void audit(const player_t *p)
{
    kap_audit_report_t report;
    kap_buf_t what = {0};

    must(kap_ledger_audit(p->store, &report, &what), "the recount fails");
    say(json_pack("{s{sIsIsIss}}", "audit", "events", (json_int_t)report.events, "rows",
                  (json_int_t)report.rows, "differences", (json_int_t)report.differences, "what",
                  kap_buf_cstr(&what)));
    kap_buf_fini(&what);
}

/* --- the log --- */

static json_t *logged(kap_txn_t *txn, const kap_logged_t *e)
{
    kap_arena_t *arena = kap_arena_new(4096);
    kap_span_t source;

    must(kap_rows_text(txn, e->source, &source), "a source without a name");
    json_t *json =
        json_pack("{sIsIsssoso}", "seq", (json_int_t)e->log_seq, "at", (json_int_t)e->committed_at,
                  "verdict", kap_code_name(KAP_LIST_VERDICT, e->verdict), "source",
                  json_stringn((const char *)source.data, source.size), "sequence",
                  json_integer((json_int_t)e->sequence));
    if (e->open.size > 0)
        add_event(json, e->open, e->ends, arena);
    kap_arena_destroy(&arena);
    return json;
}

static json_t *directories(kap_txn_t *txn, uint64_t head)
{
    json_t *list = json_array();
    uint64_t from = head + 1;
    kap_span_t text;

    while (from > 0 && kap_rows_directory(txn, from, &from, &text) == KAP_OK) {
        json_t *row = json_pack("{sIso}", "from", (json_int_t)from, "directory",
                                json_loadb((const char *)text.data, text.size, 0, NULL));
        json_array_insert_new(list, 0, row);
        from--;
    }
    return list;
}

static void export_log(const player_t *p)
{
    kap_txn_t *txn = reading(p);
    kap_log_walk_t walk;
    kap_logged_t e;
    json_t *list = json_array();
    uint64_t head = kap_engine_head(p->engine)->seq;

    must(kap_log_walk_open(txn, &walk), "the log");
    for (uint64_t seq = 1; seq <= head; seq++) {
        must(kap_log_walk_get(&walk, seq, KAP_LOGGED_ENDS, &e), "an event of the log");
        json_array_append_new(list, logged(txn, &e));
    }
    say(json_pack("{soso}", "log", list, "directories", directories(txn, head)));
    kap_log_walk_close(&walk);
    kap_txn_abort(&txn);
}

/* --- lines --- */

static void play(player_t *p, const json_t *line)
{
    const json_t *directory = json_object_get(line, "directory");

    if (directory != NULL)
        set_directory(p, directory);
    else if (p->engine == NULL)
        wrong_line("a directory comes first");
    else if (json_object_get(line, "at") != NULL)
        play_batch(p, line);
    else if (json_object_get(line, "reopen") != NULL)
        reopen(p);
    else if (json_object_get(line, "ask") != NULL)
        ask(p, line);
    else if (json_object_get(line, "log") != NULL)
        export_log(p);
    else if (json_object_get(line, "audit") != NULL)
        audit(p);
    else
        wrong_line("a line that says nothing");
}

int main(int argc, char **argv)
{
    player_t p = {.path = argc > 1 ? argv[1] : NULL};
    char *line = NULL;
    size_t cap = 0;
    json_error_t error;

    must(kap_clock_init_zone(), "time zones");
    must(kap_crypto_init(), "libsodium");
    while (getline(&line, &cap, stdin) > 0) {
        json_t *json = json_loads(line, JSON_REJECT_DUPLICATES, &error);
        if (json == NULL)
            wrong_line("%s", error.text);
        play(&p, json);
        json_decref(json);
    }
    free(line);
    kap_engine_close(&p.engine);
    if (p.store != NULL)
        kap_store_close(&p.store);
    if (p.dir != NULL)
        kap_directory_unref(&p.dir);
    kap_buf_fini(&p.json);
    return 0;
}
