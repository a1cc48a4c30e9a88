/* SPDX-License-Identifier: MPL-2.0 */
#include "bench_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "crypto.h"
#include "err.h"
#include "ids.h"

static double seconds_of(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double bench_now_s(void)
{
    return seconds_of(CLOCK_MONOTONIC);
}

double bench_cpu_s(void)
{
    return seconds_of(CLOCK_THREAD_CPUTIME_ID);
}

void bench_must(int rc, const char *what)
{
    if (rc == KAP_OK)
        return;
    fprintf(stderr, "%s: %s\n", what, kap_err_name(rc));
    exit(1);
}

void bench_fresh_key(char z85[41])
{
    kap_curve_t *keys = kap_curve_new();

    kap_z85_encode(z85, keys->public, 32);
    kap_curve_destroy(&keys);
}

void bench_business_id(unsigned number, char out[16])
{
    static const unsigned weights[7] = {7, 9, 10, 5, 8, 4, 2};
    char digits[16];
    unsigned sum = 0;

    snprintf(digits, sizeof digits, "%07u", number % 10000000);
    for (int i = 0; i < 7; i++)
        sum += weights[i] * (unsigned)(digits[i] - '0');
    if (sum % 11 == 1)
        bench_business_id(number + 1000000, out);
    else
        snprintf(out, 16, "%.7s-%c", digits, (char)('0' + (11 - sum % 11) % 11));
}

void bench_put_member(kap_buf_t *json, const char *id, const char *organisation, const char *roles,
                      const char *regions, const char *key, bool first)
{
    kap_seal_keys_t *seal = kap_seal_keys_new();
    kap_sign_keys_t *sign = kap_sign_keys_new();
    char sealing[65], signing[65];

    kap_hex_encode(seal->public, 32, sealing);
    kap_hex_encode(sign->public, 32, signing);
    kap_seal_keys_destroy(&seal);
    kap_sign_keys_destroy(&sign);
    kap_buf_printf(json,
                   "%s{\"id\": \"%s\", \"organisation\": \"%s\", \"type\": \"other\", "
                   "\"name\": {\"fi\": \"%s\"}, \"roles\": [%s], \"regions\": [%s], "
                   "\"sealing\": \"%s\", \"signing\": \"%s\", \"curve\": \"",
                   first ? "" : ", ", id, organisation, id, roles, regions, sealing, signing);
    kap_buf_json_text(json, kap_span_str(key));
    kap_buf_str(json, "\"}");
}

void bench_begin_directory(kap_buf_t *json, unsigned char mesh[32])
{
    uint8_t authority[32];
    char hex[65];

    kap_random(authority, sizeof authority);
    kap_span_t part = kap_span(authority, sizeof authority);
    kap_hash256(mesh, &part, 1);
    kap_hex_encode(authority, 32, hex);
    kap_buf_printf(json, "{\"mesh\": \"%s\", \"regions\": [", hex);
}
