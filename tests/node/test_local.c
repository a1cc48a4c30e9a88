/* SPDX-License-Identifier: MPL-2.0 */
/* The local door and the local stream, as a program beside the node uses them. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "answer.h"
#include "err.h"
#include "local.h"
#include "rig.h"

enum { MUNICIPALITY, TE_OFFICE };

typedef struct {
    rig_t *rig;
    kap_client_t *client;
    kap_arena_t *arena;
    kap_msg_t *answer;
    kap_header_t header;
    kap_mp_t root;
} door_t;

static void door_open(door_t *door, rig_t *rig, const char *member)
{
    char endpoint[256];
    memset(door, 0, sizeof *door);
    snprintf(endpoint, sizeof endpoint, "ipc://%s/%s-local/door", rig->dir, member);
    kap_client_opts_t opts = {.endpoint = endpoint, .local = true};
    door->rig = rig;
    door->arena = kap_arena_new(4096);
    cr_assert_eq(kap_client_open(rig->loop, &opts, &door->client), KAP_OK);
}

static void door_close(door_t *door)
{
    kap_client_close(&door->client);
    kap_msg_destroy(&door->answer);
    kap_arena_destroy(&door->arena);
}

/* Asks and reads the answer's map. */
static int ask(door_t *door, kap_verb_t verb, const kap_buf_t *map)
{
    kap_buf_t frame;
    kap_span_t bin;
    kap_buf_init(&frame);
    kap_bin_put(&frame, kap_buf_span(map));
    kap_span_t frames[] = {kap_buf_span(&frame)};
    kap_request_t request = {.verb = verb, .frames = frames, .frame_count = 1, .timeout_ms = 5000};
    kap_msg_destroy(&door->answer);
    int rc = kap_client_call(door->client, &request, &door->header, &door->answer);
    kap_buf_fini(&frame);
    if (rc != KAP_OK)
        return rc;
    kap_span_t rest = kap_msg_frame(door->answer, 1);
    cr_assert_eq(kap_bins_next(&rest, &bin), 1);
    cr_assert_eq(kap_mp_read(bin, door->arena, &door->root, NULL), KAP_OK);
    return KAP_OK;
}

static void ask_local(door_t *door, const char *word, const char *key, kap_span_t value)
{
    kap_buf_t map;
    kap_buf_init(&map);
    kap_mp_put_map(&map, key ? 2 : 1);
    kap_mp_put_cstr(&map, "local");
    kap_mp_put_cstr(&map, word);
    if (key) {
        kap_mp_put_cstr(&map, key);
        kap_mp_put_str(&map, value);
    }
    cr_assert_eq(ask(door, KAP_VERB_LOCAL, &map), KAP_OK);
    kap_buf_fini(&map);
}

/* refer with a nested basis and a key, as a program writes it. */
static void act_refer(kap_buf_t *map, const char *key, const char *to)
{
    kap_buf_init(map);
    kap_mp_put_map(map, 3);
    kap_mp_put_cstr(map, "verb");
    kap_mp_put_cstr(map, "refer");
    kap_mp_put_cstr(map, "key");
    kap_mp_put_cstr(map, key);
    kap_mp_put_cstr(map, "fields");
    kap_mp_put_map(map, 6);
    kap_mp_put_cstr(map, "to");
    kap_mp_put_cstr(map, to);
    kap_mp_put_cstr(map, "service");
    kap_mp_put_cstr(map, "recruitment");
    kap_mp_put_cstr(map, "segment_flags");
    kap_mp_put_array(map, 2);
    kap_mp_put_cstr(map, "growth_track");
    kap_mp_put_cstr(map, "fast_growth");
    kap_mp_put_cstr(map, "warm");
    kap_mp_put_bool(map, true);
    kap_mp_put_cstr(map, "company");
    kap_mp_put_cstr(map, "Kone \"ja\" Kumppani Oy");
    kap_mp_put_cstr(map, "basis");
    kap_mp_put_map(map, 2);
    kap_mp_put_cstr(map, "disclosure");
    kap_mp_put_cstr(map, "not_secret");
    kap_mp_put_cstr(map, "gdpr");
    kap_mp_put_cstr(map, "6.1.e");
}

Test(local, takes_an_act_once_and_says_what_it_knows, .timeout = 60)
{
    rig_t *rig = rig_new();
    rig_broker_start(rig);
    rig_node_open(rig, MUNICIPALITY, &rig_actor, NULL);
    kap_node_t *office = rig_node_open(rig, TE_OFFICE, &rig_actor, NULL);
    door_t door;
    kap_buf_t map;
    char subject[201];
    door_open(&door, rig, "municipality");
    act_refer(&map, "cli/1", "te-office");
    cr_assert_eq(ask(&door, KAP_VERB_ACT, &map), KAP_OK);
    cr_assert(kap_mp_get_bool(&door.root, "accepted", false));
    cr_assert_eq(kap_mp_get_int(&door.root, "act", 0), 1);
    snprintf(subject, sizeof subject, "%.*s", KAP_SPAN_ARGS(kap_mp_get_str(&door.root, "subject")));
    cr_assert_eq(ask(&door, KAP_VERB_ACT, &map), KAP_OK);
    cr_assert(kap_mp_get_bool(&door.root, "repeated", false));
    cr_assert(kap_span_eq_str(kap_mp_get_str(&door.root, "subject"), subject));
    kap_buf_fini(&map);
    act_refer(&map, "cli/2", "nobody");
    cr_assert_eq(ask(&door, KAP_VERB_ACT, &map), KAP_OK);
    kap_buf_fini(&map);
    const kap_mp_t *error = kap_mp_get(&door.root, "error");
    cr_assert(kap_span_eq_str(kap_mp_get_str(error, "code"), "act.no_member"));

    rig_until_state(rig, office, subject, "delivered");
    rig_until_state(rig, rig->nodes[MUNICIPALITY], subject, "delivered");
    ask_local(&door, "inbox", "side", KAP_SPAN("out"));
    const kap_mp_t *referrals = kap_mp_get(&door.root, "referrals");
    cr_assert_eq(referrals->count, 1);
    cr_assert(kap_span_eq_str(kap_mp_get_str(kap_mp_item(referrals, 0), "state"), "delivered"));
    ask_local(&door, "show", "id", kap_span_str(subject));
    const kap_mp_t *events = kap_mp_get(&door.root, "events");
    cr_assert_eq(events->count, 2);
    cr_assert(memmem(kap_mp_item(events, 0)->s.data, kap_mp_item(events, 0)->s.size,
                     "Kone \\\"ja\\\" Kumppani Oy", 23),
              "%.*s", KAP_SPAN_ARGS(kap_mp_item(events, 0)->s));
    ask_local(&door, "acts", NULL, kap_span(NULL, 0));
    cr_assert_eq(kap_mp_get(&door.root, "acts")->count, 1);
    ask_local(&door, "outbox", NULL, kap_span(NULL, 0));
    cr_assert_eq(kap_mp_get_int(&door.root, "waiting", -1), 0);
    ask_local(&door, "health", NULL, kap_span(NULL, 0));
    cr_assert(kap_mp_get_bool(&door.root, "ok", false));
    ask_local(&door, "show", "id", KAP_SPAN("r-404"));
    cr_assert(kap_mp_get(&door.root, "error"));
    ask_local(&door, "weather", NULL, kap_span(NULL, 0));
    cr_assert(kap_mp_get(&door.root, "error"));
    door_close(&door);
    rig_destroy(&rig);
}

Test(local, tells_the_fate_when_it_is_final, .timeout = 60)
{
    rig_t *rig = rig_new();
    rig_broker_start(rig);
    rig_node_open(rig, MUNICIPALITY, &rig_actor, NULL);
    rig->broker->deaf = true;
    door_t door;
    kap_buf_t map;
    door_open(&door, rig, "municipality");
    act_refer(&map, "cli/1", "te-office");
    cr_assert_eq(ask(&door, KAP_VERB_ACT, &map), KAP_OK);
    kap_buf_reset(&map);
    kap_mp_put_map(&map, 2);
    kap_mp_put_cstr(&map, "local");
    kap_mp_put_cstr(&map, "fate");
    kap_mp_put_cstr(&map, "act");
    kap_mp_put_int(&map, 1);
    cr_assert_eq(ask(&door, KAP_VERB_LOCAL, &map), KAP_OK);
    cr_assert(kap_span_eq_str(kap_mp_get_str(&door.root, "fate"), "queued"));
    kap_buf_reset(&map);
    kap_mp_put_map(&map, 3);
    kap_mp_put_cstr(&map, "local");
    kap_mp_put_cstr(&map, "fate");
    kap_mp_put_cstr(&map, "act");
    kap_mp_put_int(&map, 1);
    kap_mp_put_cstr(&map, "wait");
    kap_mp_put_bool(&map, true);
    rig->broker->deaf = false;
    cr_assert_eq(ask(&door, KAP_VERB_LOCAL, &map), KAP_OK);
    cr_assert(kap_span_eq_str(kap_mp_get_str(&door.root, "fate"), "committed"));
    cr_assert_eq(kap_mp_get_int(&door.root, "log_seq", 0), 1);
    kap_buf_fini(&map);
    door_close(&door);
    rig_destroy(&rig);
}

Test(local, passes_questions_on_and_says_when_the_broker_is_away, .timeout = 60)
{
    rig_t *rig = rig_new();
    rig_broker_start(rig);
    rig_node_open(rig, MUNICIPALITY, &rig_actor, NULL);
    door_t door;
    kap_buf_t map;
    door_open(&door, rig, "municipality");
    kap_buf_init(&map);
    kap_query_begin(&map, "health", 0);
    cr_assert_eq(ask(&door, KAP_VERB_QUERY, &map), KAP_OK);
    cr_assert_eq(door.header.verb, KAP_VERB_ANSWER);
    cr_assert(kap_span_eq_str(kap_mp_get_str(&door.root, "asked"), "health"));
    cr_assert_eq(ask(&door, KAP_VERB_PUBLISH, &map), KAP_OK);
    cr_assert_eq(door.header.verb, KAP_VERB_ERROR, "what the member sends goes by ACT");
    kap_buf_fini(&map);
    door_close(&door);
    rig_destroy(&rig);
}

Test(local, a_malformed_request_is_answered_with_words, .timeout = 60)
{
    rig_t *rig = rig_new();
    rig_node_open(rig, MUNICIPALITY, &rig_actor, NULL);
    door_t door;
    kap_buf_t map;
    door_open(&door, rig, "municipality");
    kap_buf_init(&map);
    kap_buf_str(&map, "\xc1");
    cr_assert_eq(ask(&door, KAP_VERB_ACT, &map), KAP_OK);
    cr_assert_eq(door.header.verb, KAP_VERB_ERROR);
    kap_buf_reset(&map);
    kap_mp_put_map(&map, 2);
    kap_mp_put_cstr(&map, "verb");
    kap_mp_put_cstr(&map, "refer");
    kap_mp_put_cstr(&map, "fields");
    kap_mp_put_map(&map, 1);
    kap_mp_put_cstr(&map, "to");
    kap_mp_put_bin(&map, KAP_SPAN("x"));
    cr_assert_eq(ask(&door, KAP_VERB_ACT, &map), KAP_OK);
    cr_assert_eq(door.header.verb, KAP_VERB_ERROR);
    kap_buf_fini(&map);
    door_close(&door);
    rig_destroy(&rig);
}

/* --- the stream --- */

typedef struct {
    size_t count;
    char type[100];
    char json[4000];
} heard_t;

static void hear(void *arg, kap_msg_t **msg)
{
    heard_t *heard = arg;
    snprintf(heard->type, sizeof heard->type, "%.*s", KAP_SPAN_ARGS(kap_msg_frame(*msg, 0)));
    snprintf(heard->json, sizeof heard->json, "%.*s", KAP_SPAN_ARGS(kap_msg_frame(*msg, 1)));
    heard->count++;
}

static bool is_heard(rig_t *rig, void *arg)
{
    (void)rig;
    return ((heard_t *)arg)->count > 0;
}

Test(local, the_stream_says_what_arrives_with_its_contents, .timeout = 60)
{
    rig_t *rig = rig_new();
    char endpoint[256];
    heard_t heard = {0};
    kap_sock_t *sub;
    rig_broker_start(rig);
    rig_node_open(rig, MUNICIPALITY, &rig_actor, NULL);
    rig_node_open(rig, TE_OFFICE, &rig_actor, NULL);
    kap_sock_opts_t opts = {
        .type = KAP_SOCK_SUB, .local = true, .subscribe = "kapula.referral.created"};
    snprintf(endpoint, sizeof endpoint, "ipc://%s/te-office-local/stream", rig->dir);
    cr_assert_eq(kap_sock_open(rig->loop, &opts, hear, NULL, &heard, &sub), KAP_OK);
    cr_assert_eq(kap_sock_connect(sub, endpoint), KAP_OK);
    rig_turns(rig, 200); /* a subscription has no receipt */
    kap_act_result_t sent =
        rig_act(rig->nodes[MUNICIPALITY], "refer", "to", "te-office", "service", "recruitment",
                "region", "mikkeli", "basis.disclosure", "not_secret", "basis.gdpr", "6.1.e",
                "company", "Kone Oy", NULL);
    cr_assert(sent.accepted);
    rig_until(rig, is_heard, &heard, "the listener");
    cr_assert_str_eq(heard.type, "kapula.referral.created.v1");
    cr_assert(strstr(heard.json, sent.subject));
    cr_assert(strstr(heard.json, "\"contents\":{\"company\":\"Kone Oy\"}"), "%s", heard.json);
    cr_assert(strstr(heard.json, "\"kapula\":{\"seq\":1,\"log_seq\":1,"), "%s", heard.json);
    rig_turns(rig, 100);
    cr_assert_eq(heard.count, 1, "once, and no other type");
    kap_sock_close(&sub);
    rig_destroy(&rig);
}

Test(local, its_folder_is_nobody_elses)
{
    char dir[] = "/tmp/kap-local-XXXXXX", path[300];
    struct stat st;
    cr_assert(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/l", dir);
    cr_assert_eq(kap_local_folder(path), KAP_OK);
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0750 & st.st_mode);
    chmod(path, 0777);
    cr_assert_eq(kap_local_folder(path), KAP_OK);
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0750);
    snprintf(path, sizeof path, "%s/%090d", dir, 0);
    cr_assert_eq(kap_local_folder(path), KAP_E_CONFIG, "too long for a socket");
    snprintf(path, sizeof path, "rm -rf %s", dir);
    cr_assert_eq(system(path), 0);
}
