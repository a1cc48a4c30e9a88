/* SPDX-License-Identifier: MPL-2.0 */
/* The door against clients that no library of ours would make: other mechanisms, stolen ids. */
#include <criterion/criterion.h>
#include <string.h>
#include <zmq.h>

#include "asker.h"
#include "err.h"

static scene_t scene;

static void setup(void)
{
    scene_open(&scene, "");
}

static void teardown(void)
{
    scene_close(&scene);
}

TestSuite(door, .init = setup, .fini = teardown, .timeout = 60);

typedef void prepare_fn(void *socket);

/* Sends a good health query by a bare socket and says whether anything came back. */
static bool is_answered(prepare_fn *prepare, int wait_ms)
{
    asker_t *asker = &(asker_t){.arena = kap_arena_new(1024)};
    memcpy(asker->mesh, scene.world.mesh, 32);
    kap_header_t header = asker_header(asker, KAP_VERB_QUERY);
    kap_buf_t frame = {0}, map = {0}, bin = {0};
    kap_header_encode(&frame, &header);
    kap_query_begin(&map, "health", 0);
    kap_bin_put(&bin, kap_buf_span(&map));
    void *context = zmq_ctx_new(), *socket = zmq_socket(context, ZMQ_DEALER);
    int zero = 0;
    zmq_setsockopt(socket, ZMQ_LINGER, &zero, sizeof zero);
    zmq_setsockopt(socket, ZMQ_RCVTIMEO, &wait_ms, sizeof wait_ms);
    prepare(socket);
    cr_assert_eq(zmq_connect(socket, scene.broker.endpoint), 0);
    zmq_send(socket, frame.data, frame.size, ZMQ_SNDMORE);
    zmq_send(socket, bin.data, bin.size, 0);
    uint8_t answer[8192];
    bool got = zmq_recv(socket, answer, sizeof answer, 0) > 0;
    zmq_close(socket);
    zmq_ctx_term(context);
    kap_buf_fini(&frame);
    kap_buf_fini(&map);
    kap_buf_fini(&bin);
    kap_arena_destroy(&asker->arena);
    return got;
}

static void use_curve(void *socket)
{
    const kap_curve_t *keys = world_member(&scene.world, "te")->keys;
    zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, scene.broker.keys->public, 32);
    zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, keys->public, 32);
    zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, keys->secret, 32);
}

static void use_null(void *socket)
{
    (void)socket;
}

static void use_plain(void *socket)
{
    zmq_setsockopt(socket, ZMQ_PLAIN_USERNAME, "te", 2);
    zmq_setsockopt(socket, ZMQ_PLAIN_PASSWORD, "te", 2);
}

static void use_null_as_another(void *socket)
{
    zmq_setsockopt(socket, ZMQ_ROUTING_ID, "kunta", 5);
}

static void use_own_routing_id(void *socket)
{
    use_curve(socket);
    zmq_setsockopt(socket, ZMQ_ROUTING_ID, "kunta", 5);
}

static void use_half_a_key(void *socket)
{
    const kap_curve_t *te = world_member(&scene.world, "te")->keys;
    const kap_curve_t *other = world_member(&scene.world, "other")->keys;
    zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, scene.broker.keys->public, 32);
    zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, te->public, 32);
    zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, other->secret, 32);
}

Test(door, answers_curve_with_a_members_key_and_no_other_mechanism)
{
    cr_assert(is_answered(use_curve, ASKER_PATIENCE_MS));
    cr_expect_not(is_answered(use_null, 500), "NULL mechanism");
    cr_expect_not(is_answered(use_null_as_another, 500), "NULL mechanism with a routing id");
    cr_expect_not(is_answered(use_plain, 500), "PLAIN mechanism");
    cr_expect_not(is_answered(use_half_a_key, 500), "another's public key");
    cr_expect_not(is_answered(use_own_routing_id, 500), "a routing id of its own");
    cr_expect(is_answered(use_curve, ASKER_PATIENCE_MS), "the door still answers");
}

Test(door, a_plain_door_opens_only_in_a_bench_directory_on_loopback)
{
    scene_t bench;
    world_init(&bench.world);
    bench.world.all_bench = true;
    broker_init(&bench.broker, &bench.world, "plain = true;");
    broker_start(&bench.broker);
    cr_expect_eq(broker_said(&bench.broker, "\"event\":\"plain\""), 1, "not loudly said");
    strcpy(scene.broker.endpoint, bench.broker.endpoint);
    memcpy(scene.world.mesh, bench.world.mesh, 32);
    cr_expect(is_answered(use_null, ASKER_PATIENCE_MS));
    broker_fini(&bench.broker);
    world_fini(&bench.world);
}
