/* SPDX-License-Identifier: MPL-2.0 */
/* Sockets over real TCP on loopback: what they carry, and every trap they must not fall into. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#include "clock.h"
#include "crypto.h"
#include "err.h"
#include "loop.h"
#include "sock.h"
#include "sock_system.h"
#include "zap.h"

#define PATIENCE_MS 10000
#define QUIET_MS    300 /* long enough for a handshake on loopback that must not happen */

/* One side of a conversation. */
typedef struct {
    kap_sock_t *sock;
    kap_curve_t *keys;
    int received, ups, downs, refusals;
    size_t frames, bytes;
    uint32_t peer;
    char user[64];
    char text[64];
    kap_msg_t *kept;
    bool keep, echo, reached;
    int want; /* reached once so many were received, or */
    int want_ups, want_refusals;
} side_t;

static kap_loop_t *loop;
static kap_zap_t *zap;
static side_t server, client;
static char endpoint[KAP_SOCK_ENDPOINT_MAX];

static void look(side_t *side)
{
    side->reached = (side->want && side->received >= side->want) ||
                    (side->want_ups && side->ups >= side->want_ups) ||
                    (side->want_refusals && side->refusals >= side->want_refusals);
}

static void on_message(void *arg, kap_msg_t **msg)
{
    side_t *side = arg;
    side->received++;
    side->frames = kap_msg_count(*msg);
    side->bytes = kap_msg_size(*msg);
    side->peer = kap_msg_peer(*msg);
    snprintf(side->user, sizeof side->user, "%s", kap_msg_user(*msg));
    kap_span_t first = kap_msg_frame(*msg, 0);
    snprintf(side->text, sizeof side->text, "%.*s", KAP_SPAN_ARGS(first));
    if (side->echo)
        kap_sock_send(side->sock, side->peer, &first, 1);
    if (side->keep) {
        kap_msg_destroy(&side->kept);
        side->kept = *msg;
        *msg = NULL;
    }
    look(side);
}

static void on_state(void *arg, kap_sock_state_t state)
{
    side_t *side = arg;
    side->ups += state == KAP_SOCK_UP;
    side->downs += state == KAP_SOCK_DOWN;
    side->refusals += state == KAP_SOCK_REFUSED;
    look(side);
}

/* --- set up and tear down --- */

static void start(void)
{
    cr_assert_eq(kap_crypto_init(), KAP_OK);
    cr_assert_eq(kap_sock_system_start(), KAP_OK);
    cr_assert_not_null(loop = kap_loop_new());
    memset(&server, 0, sizeof server);
    memset(&client, 0, sizeof client);
    cr_assert_not_null(server.keys = kap_curve_new());
    cr_assert_not_null(client.keys = kap_curve_new());
}

static void start_with_zap(void)
{
    start();
    cr_assert_eq(kap_zap_start(&zap), KAP_OK);
}

static void drop(side_t *side)
{
    kap_sock_close(&side->sock);
    kap_msg_destroy(&side->kept);
    kap_curve_destroy(&side->keys);
}

static void stop(void)
{
    drop(&client);
    drop(&server);
    kap_loop_destroy(&loop);
    kap_zap_stop(&zap);
    kap_sock_system_stop();
}

static kap_sock_opts_t server_opts(void)
{
    return (kap_sock_opts_t){.type = KAP_SOCK_ROUTER, .server_keys = server.keys, .linger_ms = -1};
}

static kap_sock_opts_t client_opts(const side_t *side)
{
    return (kap_sock_opts_t){.type = KAP_SOCK_DEALER,
                             .client_keys = side->keys,
                             .server_public = server.keys->public,
                             .linger_ms = -1,
                             .reconnect_max_ms = 200,
                             .retry_ms = 20,
                             .retry_max_ms = 100};
}

static void open_server(const kap_sock_opts_t *opts, const char *at)
{
    cr_assert_eq(kap_sock_open(loop, opts, on_message, on_state, &server, &server.sock), KAP_OK);
    cr_assert_eq(kap_sock_bind(server.sock, at, endpoint), KAP_OK);
}

static void open_client(side_t *side, const kap_sock_opts_t *opts)
{
    cr_assert_eq(kap_sock_open(loop, opts, on_message, on_state, side, &side->sock), KAP_OK);
    cr_assert_eq(kap_sock_connect(side->sock, endpoint), KAP_OK);
}

static void allow(const side_t *side)
{
    cr_assert_eq(kap_zap_allow(zap, (const uint8_t(*)[32])side->keys->public, 1), KAP_OK);
}

static void run_until(side_t *side)
{
    look(side);
    cr_assert_eq(kap_loop_run_until(loop, &side->reached, PATIENCE_MS), KAP_OK);
}

static void run_quietly(int64_t ms)
{
    bool never = false;
    cr_assert_eq(kap_loop_run_until(loop, &never, ms), KAP_E_TIMEOUT);
}

/* A server and an allowed client that is up. */
static void converse(const kap_sock_opts_t *of_server, const kap_sock_opts_t *of_client)
{
    allow(&client);
    open_server(of_server, "tcp://127.0.0.1:*");
    open_client(&client, of_client);
    client.want_ups = 1;
    run_until(&client);
    client.want_ups = 0;
}

static void converse_plainly(void)
{
    kap_sock_opts_t s = server_opts(), c = client_opts(&client);
    converse(&s, &c);
}

static int say(side_t *side, const char *text)
{
    kap_span_t frame = kap_span_str(text);
    return kap_sock_send(side->sock, side->peer, &frame, 1);
}

/* --- what it carries --- */

Test(sock, carries_a_message_there_and_an_answer_back, .init = start_with_zap, .fini = stop,
     .timeout = 30)
{
    converse_plainly();
    kap_span_t frames[] = {KAP_SPAN("header"), KAP_SPAN(""), KAP_SPAN("payload")};
    cr_assert_eq(kap_sock_send(client.sock, 0, frames, 3), KAP_OK);
    server.want = 1;
    run_until(&server);
    cr_assert_eq(server.frames, 3);
    cr_assert_eq(server.bytes, 13);
    cr_assert_str_eq(server.text, "header");
    cr_assert_eq(say(&server, "answer"), KAP_OK);
    client.want = 1;
    run_until(&client);
    cr_assert_str_eq(client.text, "answer");
    cr_assert_str_eq(client.user, "");
}

Test(sock, knows_the_sender_by_the_key_of_its_handshake, .init = start_with_zap, .fini = stop,
     .timeout = 30)
{
    converse_plainly();
    for (int i = 0; i < 2; i++)
        say(&client, "who am I"); /* the second one is read after ZMQ_EVENTS was polled */
    server.want = 2;
    run_until(&server);
    char expected[KAP_Z85_KEY_CHARS + 1];
    kap_z85_encode(expected, client.keys->public, 32);
    cr_assert_str_eq(server.user, expected);
}

Test(sock, can_send_from_inside_the_up_callback, .init = start_with_zap, .fini = stop,
     .timeout = 30)
{
    for (int i = 0; i < 20; i++) {
        converse_plainly();
        cr_assert_eq(say(&client, "at once"), KAP_OK);
        kap_sock_close(&client.sock);
        kap_sock_close(&server.sock);
        client.ups = 0;
        client.reached = false;
        run_quietly(1);
    }
}

static void *destroy_elsewhere(void *msg)
{
    kap_msg_t *mine = msg;
    cr_assert_eq(kap_msg_count(mine), 40);
    cr_assert(kap_span_eq_str(kap_msg_frame(mine, 39), "same"));
    cr_assert_eq(strlen(kap_msg_user(mine)), KAP_Z85_KEY_CHARS);
    kap_msg_destroy(&mine);
    return NULL;
}

Test(sock, a_kept_message_moves_to_another_thread_and_outlives_its_socket, .init = start_with_zap,
     .fini = stop, .timeout = 30)
{
    converse_plainly();
    server.keep = true;
    kap_span_t frames[40];
    for (int i = 0; i < 40; i++)
        frames[i] = KAP_SPAN("same");
    cr_assert_eq(kap_sock_send(client.sock, 0, frames, 40), KAP_OK);
    server.want = 1;
    run_until(&server);
    kap_sock_close(&server.sock);
    run_quietly(10);
    pthread_t thread;
    pthread_create(&thread, NULL, destroy_elsewhere, server.kept);
    pthread_join(thread, NULL);
    server.kept = NULL;
}

Test(sock, sends_shared_bytes_in_place_to_many, .init = start_with_zap, .fini = stop, .timeout = 30)
{
    converse_plainly();
    server.want = 1;
    say(&client, "give");
    run_until(&server);
    kap_blob_t *blob = kap_blob_new(100000);
    memset(kap_blob_data(blob), 'x', 100000);
    kap_blob_t *blobs[] = {blob, blob};
    for (int i = 0; i < 10; i++)
        cr_assert_eq(kap_sock_send_blobs(server.sock, server.peer, KAP_SPAN("head"), blobs, 2),
                     KAP_OK);
    kap_blob_unref(&blob);
    client.want = 10;
    run_until(&client);
    cr_assert_eq(client.frames, 3);
    cr_assert_eq(client.bytes, 200004);
}

Test(sock, publishes_to_local_subscribers_by_prefix, .init = start, .fini = stop, .timeout = 30)
{
    kap_sock_opts_t pub = {.type = KAP_SOCK_PUB, .local = true};
    kap_sock_opts_t sub = {.type = KAP_SOCK_SUB, .local = true, .subscribe = "yes"};
    char at[64];
    snprintf(at, sizeof at, "ipc:///tmp/kap-test-sock-%d", (int)getpid());
    open_server(&pub, at);
    open_client(&client, &sub);
    client.want_ups = 1;
    run_until(&client);
    client.want_ups = 0;
    client.want = 1;
    look(&client);
    while (!client.reached) { /* the subscription travels after the handshake */
        say(&server, "no");
        say(&server, "yes, you");
        kap_loop_run_until(loop, &client.reached, 10);
    }
    cr_assert_str_eq(client.text, "yes, you");
    cr_assert_str_eq(client.user, "");
}

Test(sock, local_sockets_need_no_keys_while_a_zap_thread_runs, .init = start_with_zap, .fini = stop,
     .timeout = 30)
{
    kap_sock_opts_t s = {.type = KAP_SOCK_ROUTER, .local = true};
    kap_sock_opts_t c = {.type = KAP_SOCK_DEALER, .local = true};
    char at[64];
    snprintf(at, sizeof at, "ipc:///tmp/kap-test-sock-%d", (int)getpid());
    open_server(&s, at);
    open_client(&client, &c);
    client.want_ups = 1;
    run_until(&client);
    cr_assert_eq(say(&client, "hello"), KAP_OK);
    server.want = 1;
    run_until(&server);
    cr_assert_str_eq(server.user, "");
}

/* --- who is refused --- */

Test(sock, without_a_zap_thread_every_key_is_refused, .init = start, .fini = stop, .timeout = 30)
{
    kap_sock_opts_t s = server_opts(), c = client_opts(&client);
    open_server(&s, "tcp://127.0.0.1:*");
    open_client(&client, &c);
    run_quietly(QUIET_MS);
    cr_assert_eq(client.ups, 0);
    cr_assert_eq(say(&client, "let me in"), KAP_E_AGAIN);
}

Test(sock, after_the_zap_thread_stopped_every_key_is_refused, .init = start_with_zap, .fini = stop,
     .timeout = 30)
{
    allow(&client);
    kap_zap_stop(&zap);
    kap_sock_opts_t s = server_opts(), c = client_opts(&client);
    open_server(&s, "tcp://127.0.0.1:*");
    open_client(&client, &c);
    run_quietly(QUIET_MS);
    cr_assert_eq(client.ups, 0);
}

Test(sock, a_key_not_on_the_list_is_refused_and_told, .init = start_with_zap, .fini = stop,
     .timeout = 30)
{
    kap_sock_opts_t s = server_opts(), c = client_opts(&client);
    allow(&server); /* somebody, not the client */
    open_server(&s, "tcp://127.0.0.1:*");
    open_client(&client, &c);
    client.want_refusals = 2;
    run_until(&client);
    cr_assert_eq(client.ups, 0);
    cr_assert_eq(server.received, 0);
    kap_zap_counts_t counts;
    kap_zap_counts(zap, &counts);
    cr_assert_geq(counts.refused, 2);
    cr_assert_eq(counts.allowed, 0);
}

Test(sock, a_client_of_the_null_mechanism_is_refused, .init = start_with_zap, .fini = stop,
     .timeout = 30)
{
    kap_sock_opts_t s = server_opts();
    allow(&client);
    open_server(&s, "tcp://127.0.0.1:*");
    void *plain = zmq_socket(kap_sock_context(), ZMQ_DEALER);
    int linger = 0;
    zmq_setsockopt(plain, ZMQ_LINGER, &linger, sizeof linger);
    cr_assert_eq(zmq_connect(plain, endpoint), 0);
    cr_assert_eq(zmq_send(plain, "hello", 5, ZMQ_DONTWAIT), 5);
    run_quietly(QUIET_MS);
    zmq_close(plain);
    cr_assert_eq(server.received, 0);
}

Test(sock, a_client_that_expects_another_server_does_not_come_up, .init = start_with_zap,
     .fini = stop, .timeout = 30)
{
    kap_sock_opts_t s = server_opts(), c = client_opts(&client);
    c.server_public = client.keys->public;
    allow(&client);
    open_server(&s, "tcp://127.0.0.1:*");
    open_client(&client, &c);
    run_quietly(QUIET_MS);
    cr_assert_eq(client.ups, 0);
}

Test(sock, a_refused_client_comes_in_once_its_key_is_allowed, .init = start_with_zap, .fini = stop,
     .timeout = 30)
{
    kap_sock_opts_t s = server_opts(), c = client_opts(&client);
    open_server(&s, "tcp://127.0.0.1:*");
    open_client(&client, &c);
    client.want_refusals = 3;
    run_until(&client);
    cr_assert_eq(say(&client, "too early"), KAP_E_AGAIN);
    allow(&client);
    client.want_refusals = 0;
    client.want_ups = 1;
    run_until(&client);
    cr_assert_eq(say(&client, "admitted"), KAP_OK);
    server.want = 1;
    run_until(&server);
    cr_assert_str_eq(server.text, "admitted");
}

Test(sock, a_client_that_was_there_before_the_zap_thread_comes_in, .init = start, .fini = stop,
     .timeout = 30)
{
    kap_sock_opts_t s = server_opts(), c = client_opts(&client);
    open_server(&s, "tcp://127.0.0.1:*");
    open_client(&client, &c);
    run_quietly(QUIET_MS);
    cr_assert_eq(client.ups, 0);
    cr_assert_eq(kap_zap_start(&zap), KAP_OK);
    allow(&client);
    client.want_ups = 1;
    run_until(&client);
}

Test(sock, a_client_that_chooses_its_routing_id_is_discarded, .init = start_with_zap, .fini = stop,
     .timeout = 30)
{
    kap_sock_opts_t s = server_opts();
    allow(&client);
    open_server(&s, "tcp://127.0.0.1:*");
    void *liar = zmq_socket(kap_sock_context(), ZMQ_DEALER);
    int linger = 0;
    zmq_setsockopt(liar, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(liar, ZMQ_ROUTING_ID, "other", 5);
    zmq_setsockopt(liar, ZMQ_CURVE_SERVERKEY, server.keys->public, 32);
    zmq_setsockopt(liar, ZMQ_CURVE_PUBLICKEY, client.keys->public, 32);
    zmq_setsockopt(liar, ZMQ_CURVE_SECRETKEY, client.keys->secret, 32);
    cr_assert_eq(zmq_connect(liar, endpoint), 0);
    cr_assert_eq(zmq_send(liar, "hello", 5, ZMQ_DONTWAIT), 5);
    kap_sock_counts_t counts;
    int64_t until = kap_monotonic_ms() + PATIENCE_MS;
    do {
        run_quietly(5);
        kap_sock_counts(server.sock, &counts);
    } while (counts.foreign_id == 0 && kap_monotonic_ms() < until);
    zmq_close(liar);
    cr_assert_eq(counts.foreign_id, 1);
    cr_assert_eq(server.received, 0);
}

/* A peer without CURVE writes its own metadata (ZMTP 3.0, READY): it must not name a user with it.
 */
Test(sock, a_local_peer_cannot_call_itself_a_user, .init = start, .fini = stop, .timeout = 30)
{
    static const char greeting[64] = "\xff\0\0\0\0\0\0\0\0\x7f\3\0NULL";
    static const char ready[] = "\x04\x2e\5READY\13Socket-Type\0\0\0\6DEALER"
                                "\7User-Id\0\0\0\6forged";
    static const char hello[] = "\0\5hello";
    kap_sock_opts_t s = {.type = KAP_SOCK_ROUTER, .local = true};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char at[64];
    snprintf(address.sun_path, sizeof address.sun_path, "/tmp/kap-test-sock-%d", (int)getpid());
    snprintf(at, sizeof at, "ipc://%.50s", address.sun_path);
    open_server(&s, at);
    int raw = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert_eq(connect(raw, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(write(raw, greeting, sizeof greeting), sizeof greeting);
    cr_assert_eq(write(raw, ready, sizeof ready - 1), sizeof ready - 1);
    char theirs[128];
    size_t greeted = 0; /* their greeting, then their READY of 43 bytes */
    while (greeted < sizeof greeting + 43) {
        ssize_t got = read(raw, theirs, sizeof theirs);
        cr_assert_gt(got, 0);
        greeted += (size_t)got;
    }
    cr_assert_eq(write(raw, hello, sizeof hello - 1), sizeof hello - 1);
    server.want = 1;
    run_until(&server);
    cr_assert_str_eq(server.text, "hello");
    cr_assert_str_eq(server.user, "");
    close(raw);
}

/* The first routing id of a fresh process. */
static uint32_t first_peer_of_a_child(void)
{
    int pipe_fds[2];
    cr_assert_eq(pipe(pipe_fds), 0);
    pid_t pid = fork(); /* before any context */
    if (pid == 0) {
        start_with_zap();
        converse_plainly();
        say(&client, "hello");
        server.want = 1;
        run_until(&server);
        ssize_t wrote = write(pipe_fds[1], &server.peer, sizeof server.peer);
        stop();
        _exit(wrote == sizeof server.peer ? 0 : 1);
    }
    uint32_t peer = 0;
    close(pipe_fds[1]);
    cr_assert_eq(read(pipe_fds[0], &peer, sizeof peer), sizeof peer);
    close(pipe_fds[0]);
    int status;
    waitpid(pid, &status, 0);
    cr_assert_eq(status, 0);
    return peer;
}

Test(sock, routing_ids_cannot_be_guessed_from_another_run, .timeout = 60)
{
    uint32_t a = first_peer_of_a_child(), b = first_peer_of_a_child();
    uint32_t apart = a > b ? a - b : b - a;
    cr_assert_gt(apart, 16, "%u and %u", a, b);
}

/* --- bounds --- */

Test(sock, an_oversize_frame_is_not_sent, .init = start_with_zap, .fini = stop, .timeout = 30)
{
    kap_sock_opts_t s = server_opts(), c = client_opts(&client);
    c.max_frame_bytes = 1000;
    converse(&s, &c);
    uint8_t bytes[1001] = {0};
    kap_span_t fits = kap_span(bytes, 1000), over = kap_span(bytes, 1001);
    cr_assert_eq(kap_sock_send(client.sock, 0, &over, 1), KAP_E_LIMIT);
    cr_assert_eq(kap_sock_send_blobs(client.sock, 0, over, NULL, 0), KAP_E_LIMIT);
    cr_assert_eq(kap_sock_send(client.sock, 0, &fits, 1), KAP_OK);
    server.want = 1;
    run_until(&server);
    cr_assert_eq(server.bytes, 1000);
}

Test(sock, an_oversize_frame_costs_its_sender_the_connection, .init = start_with_zap, .fini = stop,
     .timeout = 30)
{
    kap_sock_opts_t s = server_opts(), c = client_opts(&client);
    s.max_frame_bytes = 1000;
    converse(&s, &c);
    uint8_t bytes[1001] = {0};
    kap_span_t over = kap_span(bytes, 1001);
    cr_assert_eq(kap_sock_send(client.sock, 0, &over, 1), KAP_OK);
    client.want_ups = 2; /* thrown out, and back */
    run_until(&client);
    cr_assert_eq(client.downs, 1);
    cr_assert_eq(say(&client, "small"), KAP_OK);
    server.want = 1;
    run_until(&server);
    cr_assert_eq(server.received, 1);
    cr_assert_str_eq(server.text, "small");
}

Test(sock, a_message_of_too_many_frames_is_read_and_discarded, .init = start_with_zap, .fini = stop,
     .timeout = 30)
{
    kap_sock_opts_t s = server_opts(), c = client_opts(&client);
    s.max_frames = 20;
    converse(&s, &c);
    kap_span_t frames[KAP_SOCK_FRAMES_MAX + 1];
    for (size_t i = 0; i < KAP_SOCK_FRAMES_MAX + 1; i++)
        frames[i] = KAP_SPAN("f");
    cr_assert_eq(kap_sock_send(client.sock, 0, frames, 0), KAP_E_LIMIT);
    cr_assert_eq(kap_sock_send(client.sock, 0, frames, KAP_SOCK_FRAMES_MAX + 1), KAP_E_LIMIT);
    cr_assert_eq(kap_sock_send(client.sock, 0, frames, KAP_SOCK_FRAMES_MAX), KAP_OK);
    cr_assert_eq(kap_sock_send(client.sock, 0, frames, 21), KAP_OK);
    cr_assert_eq(kap_sock_send(client.sock, 0, frames, 20), KAP_OK);
    server.want = 1;
    run_until(&server);
    cr_assert_eq(server.frames, 20);
    kap_sock_counts_t counts;
    kap_sock_counts(server.sock, &counts);
    cr_assert_eq(counts.too_many_frames, 2);
    cr_assert_eq(counts.received, 1);
}

Test(sock, a_peer_that_never_reads_costs_no_time, .init = start_with_zap, .fini = stop,
     .timeout = 30)
{
    kap_sock_opts_t s = server_opts();
    s.send_hwm = 10;
    allow(&client);
    open_server(&s, "tcp://127.0.0.1:*");
    void *deaf = zmq_socket(kap_sock_context(), ZMQ_DEALER);
    int linger = 0, hwm = 10;
    zmq_setsockopt(deaf, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(deaf, ZMQ_RCVHWM, &hwm, sizeof hwm);
    zmq_setsockopt(deaf, ZMQ_CURVE_SERVERKEY, server.keys->public, 32);
    zmq_setsockopt(deaf, ZMQ_CURVE_PUBLICKEY, client.keys->public, 32);
    zmq_setsockopt(deaf, ZMQ_CURVE_SECRETKEY, client.keys->secret, 32);
    cr_assert_eq(zmq_connect(deaf, endpoint), 0);
    zmq_send(deaf, "hello", 5, ZMQ_DONTWAIT);
    server.want = 1;
    run_until(&server);
    static uint8_t bytes[100000];
    kap_span_t frame = kap_span(bytes, sizeof bytes);
    int rc = KAP_OK, sent = 0;
    int64_t before = kap_monotonic_ms();
    for (int i = 0; i < 20000 && rc == KAP_OK; i++, sent++)
        rc = kap_sock_send(server.sock, server.peer, &frame, 1);
    cr_assert_eq(rc, KAP_E_AGAIN, "after %d: %d", sent, rc);
    cr_assert_lt(kap_monotonic_ms() - before, 5000);
    zmq_close(deaf);
}

Test(sock, a_peer_that_left_is_unreachable, .init = start_with_zap, .fini = stop, .timeout = 30)
{
    converse_plainly();
    say(&client, "bye");
    server.want = 1;
    run_until(&server);
    kap_sock_close(&client.sock);
    int rc = KAP_OK;
    int64_t until = kap_monotonic_ms() + PATIENCE_MS;
    while (rc != KAP_E_UNREACHABLE && kap_monotonic_ms() < until) {
        run_quietly(5);
        rc = say(&server, "still there?");
    }
    cr_assert_eq(rc, KAP_E_UNREACHABLE);
    server.peer++;
    cr_assert_eq(say(&server, "nobody"), KAP_E_UNREACHABLE);
}

Test(sock, a_client_without_connection_does_not_queue, .init = start, .fini = stop, .timeout = 30)
{
    kap_sock_opts_t c = client_opts(&client);
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:1");
    open_client(&client, &c);
    cr_assert_eq(say(&client, "anybody"), KAP_E_AGAIN);
    run_quietly(20);
    cr_assert_eq(say(&client, "anybody"), KAP_E_AGAIN);
}

Test(sock, tells_when_the_server_goes_and_comes_back, .init = start_with_zap, .fini = stop,
     .timeout = 30)
{
    converse_plainly();
    kap_sock_opts_t s = server_opts();
    char same[KAP_SOCK_ENDPOINT_MAX];
    strcpy(same, endpoint);
    kap_sock_close(&server.sock);
    int64_t until = kap_monotonic_ms() + PATIENCE_MS;
    while (client.downs == 0 && kap_monotonic_ms() < until)
        run_quietly(5);
    cr_assert_eq(client.downs, 1);
    open_server(&s, same);
    client.want_ups = 2;
    run_until(&client);
    cr_assert_eq(say(&client, "back"), KAP_OK);
    server.want = 1;
    run_until(&server);
}

Test(sock, a_connection_that_says_nothing_is_closed, .init = start_with_zap, .fini = stop,
     .timeout = 30)
{
    kap_sock_opts_t s = server_opts();
    s.handshake_ms = 100;
    open_server(&s, "tcp://127.0.0.1:*");
    int silent = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in to = {.sin_family = AF_INET};
    to.sin_port = htons((uint16_t)atoi(strrchr(endpoint, ':') + 1));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    cr_assert_eq(connect(silent, (struct sockaddr *)&to, sizeof to), 0);
    struct timeval patience = {.tv_sec = 5};
    setsockopt(silent, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    char greeting[64];
    ssize_t got;
    while ((got = read(silent, greeting, sizeof greeting)) > 0)
        continue;
    cr_assert_eq(got, 0, "still open");
    close(silent);
}

/* --- what cannot be configured --- */

static int try_open(kap_sock_opts_t opts)
{
    kap_sock_t *sock = NULL;
    int rc = kap_sock_open(loop, &opts, on_message, on_state, &server, &sock);
    kap_sock_close(&sock);
    return rc;
}

Test(sock, no_socket_opens_without_keys_by_mistake, .init = start, .fini = stop, .timeout = 30)
{
    kap_sock_opts_t good = server_opts(), bad = good;
    cr_assert_eq(try_open(good), KAP_OK);
    bad.server_keys = NULL;
    cr_assert_eq(try_open(bad), KAP_E_CONFIG);
    bad = good;
    bad.local = true;
    cr_assert_eq(try_open(bad), KAP_E_CONFIG);
    bad = good;
    bad.zap_domain = "";
    cr_assert_eq(try_open(bad), KAP_E_CONFIG);
    good = bad = client_opts(&client);
    cr_assert_eq(try_open(good), KAP_OK);
    bad.server_public = NULL;
    cr_assert_eq(try_open(bad), KAP_E_CONFIG);
    bad = good;
    bad.client_keys = NULL;
    cr_assert_eq(try_open(bad), KAP_E_CONFIG);
}

Test(sock, binds_only_where_it_may, .init = start, .fini = stop, .timeout = 30)
{
    kap_sock_opts_t s = {.type = KAP_SOCK_ROUTER, .local = true};
    cr_assert_eq(kap_sock_open(loop, &s, on_message, NULL, &server, &server.sock), KAP_OK);
    cr_assert_eq(kap_sock_bind(server.sock, "tcp://127.0.0.1:*", NULL), KAP_E_CONFIG);
    kap_sock_close(&server.sock);
    s = server_opts();
    open_server(&s, "tcp://127.0.0.1:*");
    kap_sock_t *second = NULL;
    cr_assert_eq(kap_sock_open(loop, &s, on_message, NULL, &server, &second), KAP_OK);
    cr_assert_eq(kap_sock_bind(second, endpoint, NULL), KAP_E_EXISTS);
    cr_assert_eq(kap_sock_bind(second, "tcp://no-port", NULL), KAP_E_CONFIG);
    cr_assert_eq(kap_sock_bind(second, "inproc://x", NULL), KAP_E_CONFIG);
    kap_sock_close(&second);
}

/* --- flood and fairness --- */

#define FLOOD_CLIENTS 4
#define FLOOD_EACH    2000

typedef struct {
    uint8_t server_public[32];
    kap_curve_t *keys;
    int answers;
} flooder_t;

/* Sends all as fast as it can and reads every answer; plain libzmq, its own thread. */
static void *flood(void *arg)
{
    flooder_t *me = arg;
    void *socket = zmq_socket(kap_sock_context(), ZMQ_DEALER);
    int patience = PATIENCE_MS, linger = 0;
    zmq_setsockopt(socket, ZMQ_RCVTIMEO, &patience, sizeof patience);
    zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, me->server_public, 32);
    zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, me->keys->public, 32);
    zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, me->keys->secret, 32);
    zmq_connect(socket, endpoint);
    int sent = 0;
    while (me->answers < FLOOD_EACH) {
        while (sent < FLOOD_EACH && sent - me->answers < 500)
            sent += zmq_send(socket, "event", 5, 0) == 5;
        char answer[16];
        if (zmq_recv(socket, answer, sizeof answer, 0) < 0)
            break;
        me->answers++;
    }
    zmq_close(socket);
    return NULL;
}

typedef struct {
    int64_t last_ms, worst_ms;
    int ticks;
} ticker_t;

static void tick(void *arg)
{
    ticker_t *t = arg;
    int64_t now = kap_monotonic_ms();
    if (t->ticks++ > 0 && now - t->last_ms > t->worst_ms)
        t->worst_ms = now - t->last_ms;
    t->last_ms = now;
}

Test(sock, a_flood_neither_stalls_nor_starves_a_timer, .init = start_with_zap, .fini = stop,
     .timeout = 60)
{
    kap_sock_opts_t s = server_opts();
    open_server(&s, "tcp://127.0.0.1:*");
    server.echo = true;
    flooder_t flooders[FLOOD_CLIENTS];
    pthread_t threads[FLOOD_CLIENTS];
    uint8_t keys[FLOOD_CLIENTS][32];
    for (int i = 0; i < FLOOD_CLIENTS; i++) {
        flooders[i] = (flooder_t){.keys = kap_curve_new()};
        memcpy(flooders[i].server_public, server.keys->public, 32);
        memcpy(keys[i], flooders[i].keys->public, 32);
    }
    cr_assert_eq(kap_zap_allow(zap, (const uint8_t(*)[32])keys, FLOOD_CLIENTS), KAP_OK);
    ticker_t ticker = {0};
    kap_timer_t *timer = kap_timer_start(loop, 5, 5, tick, &ticker);
    for (int i = 0; i < FLOOD_CLIENTS; i++)
        pthread_create(&threads[i], NULL, flood, &flooders[i]);
    server.want = FLOOD_CLIENTS * FLOOD_EACH;
    run_until(&server);
    run_quietly(200); /* the last answers go out */
    for (int i = 0; i < FLOOD_CLIENTS; i++) {
        pthread_join(threads[i], NULL);
        cr_assert_eq(flooders[i].answers, FLOOD_EACH);
        kap_curve_destroy(&flooders[i].keys);
    }
    kap_timer_stop(&timer);
    cr_assert_gt(ticker.ticks, 10);
    cr_assert_lt(ticker.worst_ms, 100, "%d ms", (int)ticker.worst_ms); /* room for a busy machine */
}

static void work_a_millisecond(void *arg, kap_msg_t **msg)
{
    on_message(arg, msg);
    struct timespec end, now;
    clock_gettime(CLOCK_MONOTONIC, &end);
    do
        clock_gettime(CLOCK_MONOTONIC, &now);
    while ((now.tv_sec - end.tv_sec) * 1000000000L + now.tv_nsec - end.tv_nsec < 1000000);
}

Test(sock, slow_work_on_messages_leaves_timers_their_turn, .init = start_with_zap, .fini = stop,
     .timeout = 60)
{
    kap_sock_opts_t s = server_opts(), c = client_opts(&client);
    allow(&client);
    cr_assert_eq(kap_sock_open(loop, &s, work_a_millisecond, on_state, &server, &server.sock),
                 KAP_OK);
    cr_assert_eq(kap_sock_bind(server.sock, "tcp://127.0.0.1:*", endpoint), KAP_OK);
    open_client(&client, &c);
    client.want_ups = 1;
    run_until(&client);
    for (int i = 0; i < 250; i++)
        cr_assert_eq(say(&client, "event"), KAP_OK);
    usleep(50000); /* all of them wait when the loop looks */
    ticker_t ticker = {0};
    kap_timer_t *timer = kap_timer_start(loop, 5, 5, tick, &ticker);
    server.want = 250;
    run_until(&server);
    kap_timer_stop(&timer);
    cr_assert_gt(ticker.ticks, 10);
    cr_assert_lt(ticker.worst_ms, 100, "%d ms", (int)ticker.worst_ms); /* at once would be 250 */
}

/* The library's descriptor fires once for all of these: reading a budget and going to sleep would
 * hang. No timer helps the loop along here. */
Test(sock, what_came_while_the_loop_was_away_is_read_to_the_end, .init = start_with_zap,
     .fini = stop, .timeout = 30)
{
    enum { BACKLOG = 900 }; /* several turns, below the high-water mark */
    converse_plainly();
    for (int i = 0; i < BACKLOG; i++)
        cr_assert_eq(say(&client, "event"), KAP_OK);
    usleep(200000); /* they arrive; nobody looks */
    server.want = BACKLOG;
    run_until(&server);
}

/* --- ends --- */

static void close_inside(void *arg, kap_msg_t **msg)
{
    (void)msg;
    side_t *side = arg;
    kap_sock_close(&side->sock);
    side->reached = true;
}

Test(sock, may_be_closed_inside_its_own_callback, .init = start_with_zap, .fini = stop,
     .timeout = 30)
{
    kap_sock_opts_t s = server_opts(), c = client_opts(&client);
    allow(&client);
    cr_assert_eq(kap_sock_open(loop, &s, close_inside, NULL, &server, &server.sock), KAP_OK);
    cr_assert_eq(kap_sock_bind(server.sock, "tcp://127.0.0.1:*", endpoint), KAP_OK);
    open_client(&client, &c);
    client.want_ups = 1;
    run_until(&client);
    for (int i = 0; i < 10; i++)
        say(&client, "more than one");
    cr_assert_eq(kap_loop_run_until(loop, &server.reached, PATIENCE_MS), KAP_OK);
    cr_assert_null(server.sock);
}

static void close_when_refused(void *arg, kap_sock_state_t state)
{
    side_t *side = arg;
    side->reached = state == KAP_SOCK_REFUSED;
    kap_sock_close(&side->sock);
}

Test(sock, may_be_closed_inside_its_state_callback, .init = start_with_zap, .fini = stop,
     .timeout = 30)
{
    kap_sock_opts_t s = server_opts(), c = client_opts(&client);
    open_server(&s, "tcp://127.0.0.1:*");
    cr_assert_eq(kap_sock_open(loop, &c, on_message, close_when_refused, &client, &client.sock),
                 KAP_OK);
    cr_assert_eq(kap_sock_connect(client.sock, endpoint), KAP_OK);
    cr_assert_eq(kap_loop_run_until(loop, &client.reached, PATIENCE_MS), KAP_OK);
    cr_assert_null(client.sock);
}

Test(sock, a_closed_socket_still_sends_what_it_took, .init = start_with_zap, .fini = stop,
     .timeout = 30)
{
    kap_sock_opts_t s = server_opts(), c = client_opts(&client);
    c.linger_ms = 1000;
    converse(&s, &c);
    for (int i = 0; i < 100; i++)
        cr_assert_eq(say(&client, "last words"), KAP_OK);
    kap_sock_close(&client.sock);
    server.want = 100;
    run_until(&server);
}

Test(sock, the_system_starts_again_and_leaves_signals_alone, .timeout = 30)
{
    for (int i = 0; i < 2; i++) {
        start_with_zap();
        struct sigaction term, interrupt;
        sigaction(SIGTERM, NULL, &term);
        sigaction(SIGINT, NULL, &interrupt);
        cr_assert_eq(term.sa_handler, SIG_DFL);
        cr_assert_eq(interrupt.sa_handler, SIG_DFL);
        converse_plainly();
        stop();
    }
}

/* --- shared bytes --- */

static void *share(void *arg)
{
    for (int i = 0; i < 100000; i++) {
        kap_blob_t *mine = kap_blob_ref(arg);
        kap_blob_unref(&mine);
    }
    return NULL;
}

Test(blob, is_counted_across_threads, .timeout = 30)
{
    kap_blob_t *blob = kap_blob_new(3);
    memcpy(kap_blob_data(blob), "abc", 3);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, share, blob);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    cr_assert_eq(kap_blob_size(blob), 3);
    cr_assert_arr_eq(kap_blob_data(blob), "abc", 3);
    kap_blob_unref(&blob);
    cr_assert_null(blob);
    cr_assert_null(kap_blob_new(SIZE_MAX));
}
