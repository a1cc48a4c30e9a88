/* SPDX-License-Identifier: MPL-2.0 */
#include "err.h"
#include "hooks.h"
#include "inbox.h"
#include "inside.h"
#include "localpub.h"
#include "taken.h"
#include "uplink.h"

/* What waits longer than this is worth a person's look; a guess. */
#define OLD_MS KAP_HOUR_MS

static void why_add(kap_buf_t *why, const char *sentence)
{
    if (why->size)
        kap_buf_str(why, ",");
    kap_buf_str(why, "\"");
    kap_buf_json_text(why, kap_span_str(sentence));
    kap_buf_str(why, "\"");
}

/* Events that a restored broker took back and that have not come again. */
typedef struct {
    uint64_t count;
    char one[320];
} missing_t;

static int read_missing(kap_node_t *node, kap_txn_t *txn, void *arg)
{
    missing_t *missing = arg;
    (void)node;
    return kap_taken_count(txn, &missing->count, missing->one);
}

static void why_missing(kap_buf_t *why, const missing_t *missing)
{
    kap_buf_t sentence = {0};
    if (missing->count == 0)
        return;
    kap_buf_printf(&sentence,
                   "the broker was restored, and what was told here has not come again: %s%s; "
                   "when it does not, its sender has a restore_conflict",
                   missing->one, missing->count > 1 ? " and others" : "");
    why_add(why, kap_buf_cstr(&sentence));
    kap_buf_fini(&sentence);
}

static void print_delivery(kap_buf_t *json, const kap_inbox_state_t *inbox,
                           const missing_t *missing)
{
    kap_buf_printf(json,
                   "\"delivery\":{\"seq\":%llu,\"as_of_seq\":%llu,\"received\":%llu,"
                   "\"unreadable\":%llu,\"taken_back\":%llu,\"error\":\"",
                   (unsigned long long)inbox->cursor, (unsigned long long)inbox->as_of_seq,
                   (unsigned long long)inbox->received, (unsigned long long)inbox->unreadable,
                   (unsigned long long)missing->count);
    kap_buf_json_text(json, kap_span_str(inbox->error));
}

int kap_node_health(kap_node_t *node, kap_buf_t *json)
{
    kap_uplink_state_t uplink;
    kap_inbox_state_t inbox;
    uint64_t waiting = 0, free_bytes = 0, taken = 0;
    int64_t oldest_ms = 0;
    bool held = false;
    missing_t missing = {0};
    kap_buf_t why;
    int64_t now = kap_clock_now_ms(node->clock);
    kap_uplink_state(node->uplink, &uplink);
    kap_inbox_state(node->inbox, &inbox);
    if (node->hooks)
        kap_hooks_state(node->hooks, &taken, &held);
    kap_buf_init(&why);
    if (kap_node_waiting(node, &waiting, &oldest_ms) != KAP_OK ||
        kap_work_read(node, read_missing, &missing) != KAP_OK)
        why_add(&why, "the store cannot be read");
    kap_store_disk(node->store, &free_bytes);
    if (kap_node_has_room(node) != KAP_OK)
        why_add(&why, "the disk is nearly full: new acts are refused");
    if (uplink.stuck)
        why_add(&why, "the broker does not take what waits here; see the log");
    if (waiting && now - oldest_ms > OLD_MS)
        why_add(&why, "events have waited for the broker for more than an hour");
    if (node->directory_bad)
        why_add(&why, "the directory file is not usable; the older one is in force");
    if (!kap_node_self(node))
        why_add(&why, "this member is not in the directory");
    why_missing(&why, &missing);
    if (held)
        why_add(&why, "an arrived event could not be handed on; see the log");
    kap_buf_printf(json, "{\"ok\":%s,\"why\":[%.*s],\"member\":\"", why.size ? "false" : "true",
                   KAP_SPAN_ARGS(kap_buf_span(&why)));
    kap_buf_json_text(json, kap_span_str(node->member));
    kap_buf_printf(json,
                   "\",\"version\":\"%s\","
                   "\"broker\":{\"up\":%s,\"checked\":%s,\"last_later\":\"",
                   KAP_VERSION, kap_client_is_up(node->client) ? "true" : "false",
                   uplink.checked ? "true" : "false");
    kap_buf_json_text(json, kap_span_str(uplink.last_later));
    kap_buf_printf(json,
                   "\"},\"outbox\":{\"waiting\":%llu,\"oldest_ms\":%lld,\"receipted\":%llu,"
                   "\"refused\":%llu,\"later\":%llu},",
                   (unsigned long long)waiting, (long long)(waiting ? now - oldest_ms : 0),
                   (unsigned long long)uplink.receipted, (unsigned long long)uplink.refused,
                   (unsigned long long)uplink.later);
    print_delivery(json, &inbox, &missing);
    kap_buf_printf(json, "\"},\"disk\":{\"free_bytes\":%llu},", (unsigned long long)free_bytes);
    kap_buf_printf(json,
                   "\"directory\":{\"members\":%u,\"read_at\":%lld},\"received\":{\"taken\":%llu,"
                   "\"published\":%llu}}",
                   kap_directory_member_count(node->directory), (long long)node->directory_at_ms,
                   (unsigned long long)taken,
                   (unsigned long long)kap_localpub_sent(node->localpub));
    kap_buf_fini(&why);
    return json->err;
}
