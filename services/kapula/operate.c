/* SPDX-License-Identifier: MPL-2.0 */
#include "operate.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "answer.h"
#include "clock.h"
#include "err.h"
#include "event.h"
#include "frame.h"
#include "ids.h"

/* An event under way. */
typedef struct {
    kap_cli_t *cli;
    kap_event_builder_t builder;
    char source[KAP_LIMIT_ID_BYTES + 32];
} operating_t;

static kap_event_type_t type_of(const char *text)
{
    char whole[100];
    kap_event_type_t type = kap_event_type_parse(kap_span_str(text));

    if (type == KAP_EV_NONE) {
        snprintf(whole, sizeof whole, "kapula.%s.v1", text);
        type = kap_event_type_parse(kap_span_str(whole));
    }
    return type == KAP_EV_MEMBER_SUCCEEDED || type == KAP_EV_REGION_SUCCEEDED ||
                   type == KAP_EV_AREA_SUCCEEDED
               ? type
               : KAP_EV_NONE;
}

bool kap_operate_knows(const char *type)
{
    return type_of(type) != KAP_EV_NONE;
}

/* --- fields --- */

/* Takes the text up to the next `end` off the front, without blanks around it. */
static kap_span_t word_before(const char **text, char end)
{
    const char *stop = strchr(*text, end);
    size_t size = stop ? (size_t)(stop - *text) : strlen(*text);
    kap_span_t word = kap_span_trim(kap_span(*text, size));

    *text += size + (stop != NULL);
    return word;
}

/* "a,b" as a list, "x=a,y=b" as a map. */
static void put_items(kap_buf_t *buf, const char *text, bool map)
{
    uint32_t count = *text != '\0';

    for (const char *at = text; *at; at++)
        count += *at == ',';
    if (map)
        kap_mp_put_map(buf, count);
    else
        kap_mp_put_array(buf, count);
    while (*text) {
        kap_span_t item = word_before(&text, ',');
        if (map) {
            const uint8_t *sign = item.size ? memchr(item.data, '=', item.size) : NULL;
            size_t size = sign ? (size_t)(sign - item.data) : item.size;
            kap_mp_put_str(buf, kap_span_trim(kap_span(item.data, size)));
            item = sign ? kap_span_trim(kap_span(sign + 1, item.size - size - 1)) : KAP_SPAN("");
        }
        kap_mp_put_str(buf, item);
    }
}

static int set_field(operating_t *o, const char *name, const char *text)
{
    kap_field_t field = kap_field_parse(kap_span_str(name));
    const kap_field_row_t *row = kap_field_row(field);
    kap_buf_t buf = {0};

    if (!row || (row->type != KAP_TYPE_LIST && row->type != KAP_TYPE_MAP)) {
        if (row)
            kap_event_builder_set_span(&o->builder, field, kap_span_str(text));
        return row ? 0
                   : kap_cli_fail(KAP_EXIT_USAGE,
                                  "event: %s is no field; from_ids, to_ids, valid_from and "
                                  "by_region would be right",
                                  name);
    }
    put_items(&buf, text, row->type == KAP_TYPE_MAP);
    kap_span_t raw = kap_arena_dup(o->cli->arena, kap_buf_span(&buf));
    bool ok = buf.err == KAP_OK && raw.data;
    kap_buf_fini(&buf);
    if (!ok)
        return kap_cli_fail(KAP_EXIT_REFUSED, "event: out of memory");
    kap_event_builder_set_raw(&o->builder, field, raw);
    return 0;
}

static int build(operating_t *o, kap_event_type_t type, const kap_args_t *args, kap_buf_t *frame)
{
    static char id[KAP_UUID_TEXT];
    uint8_t salt[KAP_LIMIT_SALT_BYTES];
    kap_buf_t open = {0}, ends = {0};
    int64_t now = kap_clock_now_ms(kap_clock_system());
    int code = 0;

    kap_uuid_v7_random(now, id);
    kap_random(salt, sizeof salt);
    kap_event_builder_begin(&o->builder, type, kap_span_str(id), kap_span_str(o->source), 1, now,
                            now);
    for (int i = 0; code == 0 && i < args->count; i++) {
        const char *name = args->said[i].field;
        if (name && strcmp(name, "type") != 0)
            code = set_field(o, name, args->said[i].value);
    }
    if (code == 0 &&
        kap_event_builder_finish(&o->builder, salt, kap_span(NULL, 0), &open, &ends) != KAP_OK) {
        const kap_field_row_t *row = kap_field_row(o->builder.field);
        code = kap_cli_fail(KAP_EXIT_USAGE,
                            "event: %s is missing or not as it should be; from_ids=a,b to_ids=c "
                            "valid_from=2026-01-31 would be right",
                            row ? row->wire : "a field");
    }
    kap_bin_put(frame, kap_buf_span(&open));
    kap_bin_put(frame, kap_buf_span(&ends));
    kap_bin_put(frame, kap_span(NULL, 0));
    kap_buf_fini(&open);
    kap_buf_fini(&ends);
    return code == 0 && frame->err != KAP_OK ? kap_cli_fail(KAP_EXIT_REFUSED, "out of memory")
                                             : code;
}

/* --- the receipt --- */

static int take_receipt(const char *type, const kap_receipt_t *receipt)
{
    if (receipt->status == KAP_RECEIPT_FOREIGN)
        return kap_cli_fail(KAP_EXIT_REFUSED, "event: the broker does not know this key as the "
                                              "member's; use the operator's configuration");
    if (receipt->status != KAP_RECEIPT_OK || receipt->verdict_count != 1)
        return kap_cli_fail(KAP_EXIT_UNREACHABLE,
                            "event: the broker takes nothing now; say it again later");
    const kap_verdict_t *verdict = &receipt->verdicts[0];
    if (verdict->verdict == KAP_VERDICT_REFUSED)
        return kap_cli_fail(KAP_EXIT_REFUSED, "event: %.*s", KAP_SPAN_ARGS(verdict->sentence));
    printf("%s: committed at %" PRIu64 "\n", type, verdict->log_seq);
    return KAP_EXIT_DONE;
}

static int read_answer(kap_cli_t *cli, const char *type, const kap_header_t *header,
                       const kap_msg_t *answer)
{
    kap_span_t rest = kap_msg_frame(answer, 1), map;
    kap_receipt_t receipt;
    kap_answer_t error;
    const char *why = "no payload";

    if (kap_bins_next(&rest, &map) != 1)
        map = kap_span(NULL, 0);
    if (header->verb == KAP_VERB_RECEIPT)
        return kap_receipt_decode(map, cli->arena, &receipt, &why) == KAP_OK
                   ? take_receipt(type, &receipt)
                   : kap_cli_fail(KAP_EXIT_REFUSED, "event: a receipt that cannot be read: %s",
                                  why);
    if (kap_answer_decode(map, cli->arena, &error, &why) == KAP_OK && error.refusal)
        return kap_cli_fail(KAP_EXIT_REFUSED, "event: the broker says: %.*s",
                            KAP_SPAN_ARGS(error.sentence));
    return kap_cli_fail(KAP_EXIT_REFUSED, "event: an answer that cannot be read: %s", why);
}

static int publish(operating_t *o, const char *type, const kap_buf_t *frame)
{
    const kap_span_t frames[] = {kap_buf_span(frame)};
    kap_request_t request = {.verb = KAP_VERB_PUBLISH,
                             .source = kap_span_str(o->source),
                             .first = 1,
                             .count = 1,
                             .frames = frames,
                             .frame_count = 1,
                             .timeout_ms = kap_conf_int(o->cli->conf, "timeout")};
    kap_header_t header;
    kap_msg_t *answer = NULL;
    int rc = kap_client_call(o->cli->client, &request, &header, &answer);

    if (rc != KAP_OK)
        return kap_cli_fail(KAP_EXIT_UNREACHABLE, "event: the broker did not answer: %s",
                            kap_err_text(rc));
    int code = read_answer(o->cli, type, &header, answer);
    kap_msg_destroy(&answer);
    return code;
}

int kap_operate(kap_cli_t *cli, const char *type, const kap_args_t *args)
{
    operating_t o = {.cli = cli};
    uint8_t producer[8];
    char hex[2 * sizeof producer + 1];
    kap_buf_t frame = {0};
    int code = kap_cli_configure(cli);

    if (code)
        return code;
    const char *member = kap_conf_str(cli->conf, "member");
    if (kap_cli_is_local(cli) || !member)
        return kap_cli_fail(KAP_EXIT_USAGE,
                            "event: this is the operator's, said to the broker itself: a "
                            "configuration with a tcp endpoint, key and member would be right");
    kap_random(producer, sizeof producer);
    kap_hex_encode(producer, sizeof producer, hex);
    snprintf(o.source, sizeof o.source, "%s/%s", member, hex);
    code = build(&o, type_of(type), args, &frame);
    if (code == 0)
        code = kap_cli_connect(cli);
    if (code == 0)
        code = publish(&o, type, &frame);
    kap_buf_fini(&frame);
    return code;
}
