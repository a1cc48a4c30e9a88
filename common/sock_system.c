/* SPDX-License-Identifier: MPL-2.0 */
#include "sock_system.h"

#include <czmq.h>
#include <sys/random.h>

#include "err.h"
#include "sock.h"

static void *context;

int kap_sock_system_start(void)
{
    KAP_CHECK(!context);
    unsigned seed;
    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
        return KAP_E_IO;
    zsys_handler_set(NULL); /* the loop has the signals */
    void *ctx = zsys_init();
    if (!ctx)
        return KAP_E_NOMEM;
    /* Routing ids count up from rand(): unseeded, a client guesses the next one, takes it as its
     * own and the library aborts. After zsys_init, which seeds with the time. */
    srandom(seed);
    context = ctx;
    return KAP_OK;
}

void kap_sock_system_stop(void)
{
    if (context)
        zsys_shutdown();
    context = NULL;
}

void *kap_sock_context(void)
{
    KAP_CHECK(context);
    return context;
}
