/* SPDX-License-Identifier: MPL-2.0 */
/* The ZAP thread, spoken to directly as the library would (RFC 27). */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <zmq.h>

#include "crypto.h"
#include "err.h"
#include "sock.h"
#include "sock_system.h"
#include "zap.h"

static kap_zap_t *zap;
static void *asker;
static char status[8], user[64];

static void start(void)
{
    cr_assert_eq(kap_crypto_init(), KAP_OK);
    cr_assert_eq(kap_sock_system_start(), KAP_OK);
    cr_assert_eq(kap_zap_start(&zap), KAP_OK);
    asker = zmq_socket(kap_sock_context(), ZMQ_REQ);
    int patience = 5000, linger = 0;
    zmq_setsockopt(asker, ZMQ_RCVTIMEO, &patience, sizeof patience);
    zmq_setsockopt(asker, ZMQ_LINGER, &linger, sizeof linger);
    cr_assert_eq(zmq_connect(asker, "inproc://zeromq.zap.01"), 0);
}

static void stop(void)
{
    zmq_close(asker);
    kap_zap_stop(&zap);
    kap_zap_stop(&zap);
    kap_sock_system_stop();
}

static void send_part(const void *data, size_t size, bool more)
{
    cr_assert_eq(zmq_send(asker, data, size, more ? ZMQ_SNDMORE : 0), (int)size);
}

static void read_reply(void)
{
    char parts[6][64];
    for (int i = 0; i < 6; i++) {
        int size = zmq_recv(asker, parts[i], sizeof parts[i] - 1, 0);
        cr_assert_geq(size, 0, "no reply");
        parts[i][size] = '\0';
    }
    cr_assert_str_eq(parts[0], "1.0");
    strncpy(status, parts[2], sizeof status - 1);
    strcpy(user, parts[4]);
}

static const char *ask(const char *version, const char *mechanism, const void *key, size_t size)
{
    send_part(version, strlen(version), true);
    send_part("7", 1, true);
    send_part("kapula", 6, true);
    send_part("192.0.2.1", 9, true);
    send_part("", 0, true);
    send_part(mechanism, strlen(mechanism), true);
    send_part(key, size, false);
    read_reply();
    return status;
}

static const char *ask_curve(const uint8_t key[32])
{
    return ask("1.0", "CURVE", key, 32);
}

Test(zap, denies_everybody_by_default, .init = start, .fini = stop, .timeout = 20)
{
    uint8_t key[32] = {0};
    cr_assert_str_eq(ask_curve(key), "400");
    cr_assert_str_eq(user, "");
    cr_assert_eq(kap_zap_allow(zap, NULL, 0), KAP_OK);
    cr_assert_str_eq(ask_curve(key), "400");
}

Test(zap, allows_each_key_of_the_list_and_names_it, .init = start, .fini = stop, .timeout = 20)
{
    uint8_t keys[100][32], other[32];
    for (int i = 0; i < 100; i++)
        memset(keys[i], 99 - i, 32);
    memset(other, 200, 32);
    cr_assert_eq(kap_zap_allow(zap, (const uint8_t(*)[32])keys, 100), KAP_OK);
    for (int i = 0; i < 100; i++) {
        char expected[KAP_Z85_KEY_CHARS + 1];
        kap_z85_encode(expected, keys[i], 32);
        cr_assert_str_eq(ask_curve(keys[i]), "200");
        cr_assert_str_eq(user, expected);
    }
    cr_assert_str_eq(ask_curve(other), "400");
    other[31] = 99;
    cr_assert_str_eq(ask_curve(other), "400");
    kap_zap_counts_t counts;
    kap_zap_counts(zap, &counts);
    cr_assert_eq(counts.allowed, 100);
    cr_assert_eq(counts.refused, 2);
}

Test(zap, a_new_list_replaces_the_old_one, .init = start, .fini = stop, .timeout = 20)
{
    uint8_t a[1][32], b[1][32];
    memset(a, 1, 32);
    memset(b, 2, 32);
    cr_assert_eq(kap_zap_allow(zap, (const uint8_t(*)[32])a, 1), KAP_OK);
    cr_assert_str_eq(ask_curve(a[0]), "200");
    cr_assert_eq(kap_zap_allow(zap, (const uint8_t(*)[32])b, 1), KAP_OK);
    cr_assert_str_eq(ask_curve(a[0]), "400");
    cr_assert_str_eq(ask_curve(b[0]), "200");
}

Test(zap, refuses_every_other_mechanism_and_form, .init = start, .fini = stop, .timeout = 20)
{
    uint8_t key[33] = {0};
    static uint8_t huge[100000];
    cr_assert_eq(kap_zap_allow(zap, (const uint8_t(*)[32])key, 1), KAP_OK);
    cr_assert_str_eq(ask("1.0", "NULL", key, 32), "400");
    cr_assert_str_eq(ask("1.0", "PLAIN", key, 32), "400");
    cr_assert_str_eq(ask("2.0", "CURVE", key, 32), "400");
    cr_assert_str_eq(ask("1.0", "CURVE", key, 31), "400");
    cr_assert_str_eq(ask("1.0", "CURVE", key, 33), "400");
    cr_assert_str_eq(ask("1.0", "CURVE", huge, sizeof huge), "400");
    send_part("1.0", 3, false);
    read_reply();
    cr_assert_str_eq(status, "400");
    for (int i = 0; i < 20; i++)
        send_part("1.0", 3, i < 19);
    read_reply();
    cr_assert_str_eq(status, "400");
    cr_assert_str_eq(ask("1.0", "CURVE", key, 32), "200");
    kap_zap_counts_t counts;
    kap_zap_counts(zap, &counts);
    cr_assert_eq(counts.malformed, 8);
}

Test(zap, there_is_only_one, .init = start, .fini = stop, .timeout = 20)
{
    kap_zap_t *second = NULL;
    cr_assert_eq(kap_zap_start(&second), KAP_E_EXISTS);
    cr_assert_null(second);
}

static atomic_bool swapping;

static void *swap(void *arg)
{
    uint8_t keys[2][32] = {{1}, {2}};
    while (atomic_load(&swapping))
        kap_zap_allow(arg, (const uint8_t(*)[32])keys, 2);
    return NULL;
}

Test(zap, the_list_can_be_swapped_while_it_is_asked, .init = start, .fini = stop, .timeout = 20)
{
    uint8_t key[1][32] = {{1}};
    cr_assert_eq(kap_zap_allow(zap, (const uint8_t(*)[32])key, 1), KAP_OK);
    pthread_t thread;
    atomic_store(&swapping, true);
    pthread_create(&thread, NULL, swap, zap);
    for (int i = 0; i < 1000; i++)
        cr_assert_str_eq(ask_curve(key[0]), "200");
    atomic_store(&swapping, false);
    pthread_join(thread, NULL);
}
