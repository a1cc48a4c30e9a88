/* SPDX-License-Identifier: MPL-2.0 */
#include "import.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "arena.h"
#include "err.h"
#include "hash.h"
#include "idcheck.h"
#include "importargs.h"
#include "importreport.h"
#include "logmap.h"
#include "logread.h"
#include "progress.h"
#include "publish.h"

/* One run, from its arguments to its report. */
typedef struct {
    kap_client_t *client;
    kap_loop_t *loop;
    const char *member;
    int64_t timeout_ms;
    const kap_importargs_t *args;
    kap_logread_t read;
    kap_logmap_t *map;
    kap_arena_t *arena;
    kap_buf_t why, options;
    uint64_t mark;
} run_t;

static int say(run_t *run, int code)
{
    return kap_cli_fail(code, "import: %s", kap_buf_cstr(&run->why));
}

/* --- the log --- */

static int check_names(run_t *run)
{
    const kap_eventlog_t *log = run->read.log;

    for (uint32_t i = 0; i < kap_eventlog_actor_count(log); i++)
        if (kap_personal_code_in(kap_eventlog_actor(log, i), NULL)) {
            kap_buf_str(&run->why, "an actor's name holds a Finnish personal identity code");
            return KAP_E_INVALID;
        }
    for (size_t i = 0; i < kap_eventlog_case_count(log); i++)
        if (kap_personal_code_in(kap_eventlog_case(log, i).id, NULL)) {
            kap_buf_str(&run->why, "a case id holds a Finnish personal identity code");
            return KAP_E_INVALID;
        }
    return KAP_OK;
}

static int read_log(run_t *run)
{
    const char *path = run->args->read.path;
    int rc = kap_logread(&run->args->read, &run->why, &run->read);

    if (rc == KAP_OK && !kap_eventlog_totals(run->read.log)->actor_events) {
        kap_importreport_nothing(kap_eventlog_totals(run->read.log), &run->why);
        rc = KAP_E_INVALID;
    }
    if (rc == KAP_OK)
        rc = check_names(run);
    if (rc == KAP_OK)
        return KAP_EXIT_DONE;
    return kap_cli_fail(KAP_EXIT_REFUSED, "import: %s: %s; nothing was imported", path,
                        kap_buf_cstr(&run->why));
}

static int map_log(run_t *run)
{
    kap_importargs_options(run->args, run->read.kind, &run->read.keys, &run->options);
    kap_logmap_opts_t opts = {.member = kap_span_str(run->member),
                              .name = kap_span_str(run->args->into),
                              .attribute = kap_span_str(run->read.keys.actor_key),
                              .options = kap_buf_span(&run->options)};
    memcpy(opts.digest, run->read.digest, sizeof opts.digest);
    int rc = run->options.err ? run->options.err : kap_logmap_new(run->read.log, &opts, &run->map);
    if (rc == KAP_E_LIMIT)
        return kap_cli_fail(KAP_EXIT_USAGE,
                            "import: the options are too long for an event: fewer or shorter "
                            "--missing values, or a shorter member id");
    return rc ? kap_cli_fail(KAP_EXIT_REFUSED, "import: %s", kap_err_text(rc)) : KAP_EXIT_DONE;
}

/* --- what the broker holds --- */

/* Exit code for a request that was not answered. */
static int explain_silence(run_t *run, int rc)
{
    if (rc == KAP_E_DENIED)
        kap_buf_str(&run->why, "the broker does not know our key");
    else if (rc == KAP_E_TIMEOUT)
        kap_buf_str(&run->why, "the broker did not answer in time; what has a receipt stays, run "
                               "it again to go on");
    else if (rc == KAP_E_UNREACHABLE || rc == KAP_E_CLOSED)
        kap_buf_str(&run->why, "the broker is not reachable; what has a receipt stays, run it "
                               "again to go on");
    else
        kap_buf_str(&run->why, kap_err_text(rc));
    return say(run, KAP_EXIT_UNREACHABLE);
}

static int read_answer(run_t *run, const kap_msg_t *msg, kap_answer_t *answer)
{
    kap_span_t frame = kap_arena_dup(run->arena, kap_msg_frame(msg, 1)), map;
    const char *why = "no payload";

    if (frame.data && kap_bins_next(&frame, &map) == 1 &&
        kap_answer_decode(map, run->arena, answer, &why) == KAP_OK)
        return KAP_EXIT_DONE;
    kap_buf_printf(&run->why, "an answer of the broker that cannot be read: %s", why);
    return say(run, KAP_EXIT_REFUSED);
}

/* Asks `query` with one parameter. An answer that says no is left to the caller. */
static int ask(run_t *run, const char *query, const char *key, kap_span_t value,
               kap_answer_t *answer)
{
    kap_buf_t map = {0}, frame = {0};
    kap_header_t header;
    kap_msg_t *msg = NULL;

    kap_query_begin(&map, query, 1);
    kap_mp_put_cstr(&map, key);
    kap_mp_put_str(&map, value);
    kap_bin_put(&frame, kap_buf_span(&map));
    kap_span_t span = kap_buf_span(&frame);
    kap_request_t request = {
        .verb = KAP_VERB_QUERY, .frames = &span, .frame_count = 1, .timeout_ms = run->timeout_ms};
    int rc = frame.err ? frame.err : kap_client_call(run->client, &request, &header, &msg);
    int code = rc ? explain_silence(run, rc) : read_answer(run, msg, answer);
    kap_msg_destroy(&msg);
    kap_buf_fini(&map);
    kap_buf_fini(&frame);
    return code;
}

static int refuse_answer(run_t *run, const kap_answer_t *answer)
{
    kap_buf_printf(&run->why, "the broker says: %.*s", KAP_SPAN_ARGS(answer->sentence));
    return say(run, KAP_EXIT_REFUSED);
}

/* The name is free, or holds this very import. */
static int check_archive(run_t *run)
{
    kap_answer_t answer;
    int code = ask(run, "archive", "name", kap_span_str(run->args->into), &answer);

    if (code || answer.refusal == KAP_REFUSAL_REQUEST_NOT_FOUND)
        return code;
    if (answer.refusal)
        return refuse_answer(run, &answer);
    const kap_mp_t *held = kap_mp_get(answer.root, "archive");
    kap_span_t attribute = kap_mp_get_str(held, "attribute");
    kap_span_t options = kap_mp_get_str(held, "options");
    kap_span_t digest = kap_mp_get_bin(held, "digest");
    bool same_file = kap_span_eq(digest, kap_span(kap_logmap_digest(run->map), 32));
    if (same_file && kap_span_eq_str(attribute, run->read.keys.actor_key) &&
        kap_span_eq(options, kap_buf_span(&run->options)))
        return KAP_EXIT_DONE;
    kap_buf_printf(&run->why,
                   "archive %s holds another import: attribute %.*s, options %.*s, of %s; choose "
                   "another name",
                   run->args->into, KAP_SPAN_ARGS(attribute), KAP_SPAN_ARGS(options),
                   same_file ? "this file" : "a file with other bytes");
    return say(run, KAP_EXIT_REFUSED);
}

static int refuse_conflict(run_t *run)
{
    kap_buf_reset(&run->why);
    kap_buf_printf(&run->why,
                   "archive %s holds an import with the same options of a file with other bytes; "
                   "choose another name",
                   run->args->into);
    return say(run, KAP_EXIT_REFUSED);
}

/* The content hash of our own event at a place. */
static int hash_at(run_t *run, uint64_t sequence, uint8_t hash[KAP_LIMIT_HASH_BYTES])
{
    kap_logmap_event_t event = {0};
    int rc = KAP_OK;

    kap_logmap_seek(run->map, sequence);
    while (!rc && event.sequence != sequence)
        rc = kap_logmap_next(run->map, &event);
    if (!rc)
        kap_content_hash(event.open, hash);
    return rc;
}

/* How much the broker has of our source already, and that it is ours. */
static int find_mark(run_t *run)
{
    uint8_t hash[KAP_LIMIT_HASH_BYTES];
    kap_answer_t answer;
    int code = ask(run, "mark", "source", kap_logmap_source(run->map), &answer);

    if (code)
        return code;
    if (answer.refusal && answer.refusal != KAP_REFUSAL_REQUEST_NOT_FOUND)
        return refuse_answer(run, &answer);
    int64_t last = answer.refusal ? 0 : kap_mp_get_int(answer.root, "last", 0);
    if (last <= 0)
        return KAP_EXIT_DONE;
    if ((uint64_t)last > kap_logmap_total(run->map))
        return refuse_conflict(run);
    int rc = hash_at(run, (uint64_t)last, hash);
    if (rc)
        return kap_cli_fail(KAP_EXIT_REFUSED, "import: %s", kap_err_text(rc));
    if (!kap_span_eq(kap_mp_get_bin(answer.root, "hash"), kap_span(hash, sizeof hash)))
        return refuse_conflict(run);
    run->mark = (uint64_t)last;
    return KAP_EXIT_DONE;
}

/* --- publishing --- */

static void on_progress(void *arg, uint64_t sequence)
{
    kap_progress_update(arg, sequence);
}

static int publish(run_t *run)
{
    kap_progress_t progress;
    kap_publish_opts_t opts = {.loop = run->loop,
                               .client = run->client,
                               .map = run->map,
                               .first = kap_publish_begin_at(run->mark),
                               .timeout_ms = run->timeout_ms,
                               .on_progress = on_progress,
                               .arg = &progress,
                               .why = &run->why};

    kap_progress_begin(&progress, "publishing", kap_logmap_total(run->map));
    int rc = kap_publish_run(&opts);
    kap_progress_end(&progress);
    if (!rc)
        return KAP_EXIT_DONE;
    if (rc == KAP_E_CONFLICT)
        return refuse_conflict(run);
    if (run->why.size)
        return say(run, rc == KAP_E_TIMEOUT ? KAP_EXIT_UNREACHABLE : KAP_EXIT_REFUSED);
    return explain_silence(run, rc);
}

static int report(run_t *run, kap_format_t format, FILE *out)
{
    kap_importreport_t report = {
        .args = run->args, .read = &run->read, .map = run->map, .mark = run->mark};
    int rc = kap_importreport_print(&report, format, out);

    return rc ? kap_cli_fail(KAP_EXIT_REFUSED, "import: the report: %s", kap_err_text(rc))
              : KAP_EXIT_DONE;
}

/* --- the command --- */

static int run_steps(run_t *run, kap_format_t format, FILE *out)
{
    int code = read_log(run);

    if (!code)
        code = map_log(run);
    if (!code)
        code = check_archive(run);
    if (!code)
        code = find_mark(run);
    if (!code)
        code = publish(run);
    return code ? code : report(run, format, out);
}

int kap_import_run(kap_client_t *client, kap_loop_t *loop, const char *member, int64_t timeout_ms,
                   kap_format_t format, const kap_importargs_t *args, FILE *out)
{
    run_t run = {.client = client,
                 .loop = loop,
                 .member = member,
                 .timeout_ms = timeout_ms,
                 .args = args,
                 .arena = kap_arena_new(16 * 1024)};
    int code = run.arena ? run_steps(&run, format, out)
                         : kap_cli_fail(KAP_EXIT_REFUSED, "import: %s", kap_err_text(KAP_E_NOMEM));
    kap_logmap_destroy(&run.map);
    kap_eventlog_destroy(&run.read.log);
    kap_arena_destroy(&run.arena);
    kap_buf_fini(&run.why);
    kap_buf_fini(&run.options);
    return code;
}

/* Wrong arguments are told before the configuration is looked for. */
static int check_args(const kap_args_t *said, kap_importargs_t *args)
{
    kap_buf_t why = {0};
    int rc = kap_importargs_check(said, args, &why);

    if (rc)
        kap_cli_fail(0, "import: %s", kap_buf_cstr(&why));
    kap_buf_fini(&why);
    return rc ? KAP_EXIT_USAGE : KAP_EXIT_DONE;
}

int kap_cmd_import(kap_cli_t *cli, int argc, char **argv)
{
    kap_args_t said;
    kap_importargs_t args;

    kap_args_parse(cli, &kap_importargs_usage, argc, argv, &said);
    int code = check_args(&said, &args);
    if (!code)
        code = kap_cli_configure(cli);
    if (code)
        return code;
    const char *member = kap_conf_str(cli->conf, "member");
    if (kap_cli_is_local(cli) || !member)
        return kap_cli_fail(KAP_EXIT_USAGE,
                            "import needs the broker itself and the operator's key: a "
                            "configuration with a tcp endpoint, key and member");
    code = kap_cli_connect(cli);
    if (code)
        return code;
    return kap_import_run(cli->client, cli->loop, member, kap_conf_int(cli->conf, "timeout"),
                          cli->format, &args, stdout);
}
