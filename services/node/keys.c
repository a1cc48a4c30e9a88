/* SPDX-License-Identifier: MPL-2.0 */
#include "inside.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"
#include "ids.h"
#include "log.h"

/* Says why a file cannot be used (warnings the reader logs itself). */
static void tell(int rc, const char *path, kap_buf_t *messages)
{
    if (rc != KAP_OK)
        KAP_LOG(KAP_LOG_ERROR, "key_file", KAP_S("path", path), KAP_S("error", kap_err_text(rc)),
                KAP_SP("what", kap_span_trim(kap_buf_span(messages))));
    kap_buf_reset(messages);
}

/* One line of 64 hex digits; white space around it. */
static int pseudonym_read(const char *path, uint8_t secret[32], kap_buf_t *messages)
{
    char text[128];
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text) : -1;
    int rc = n >= 0 && fstat(fd, &st) == 0 ? KAP_OK : KAP_E_IO;
    if (rc != KAP_OK) {
        kap_buf_str(messages, "cannot be read; it holds the members' secret, 64 hex digits");
    } else if (st.st_mode & (S_IWGRP | S_IWOTH)) {
        kap_buf_str(messages, "others may write it; chmod 600");
        rc = KAP_E_DENIED;
    } else if (kap_hex_decode(kap_span_trim(kap_span(text, (size_t)n)), secret, 32) != KAP_OK) {
        kap_buf_str(messages, "is not 64 hex digits");
        rc = KAP_E_INVALID;
    }
    if (fd >= 0)
        close(fd);
    explicit_bzero(text, sizeof text);
    return rc;
}

static int sealing_read(kap_node_t *node, const char *path, kap_buf_t *messages)
{
    if (node->sealing_count == KAP_NODE_SEAL_KEYS)
        return KAP_E_LIMIT;
    int rc = kap_seal_keys_read(path, &node->sealing[node->sealing_count], messages);
    if (rc == KAP_OK)
        node->sealing_count++;
    tell(rc, path, messages);
    return rc;
}

int kap_node_keys_open(kap_node_t *node)
{
    kap_buf_t messages;
    kap_buf_init(&messages);
    const char *path = kap_conf_str(node->conf, "keys.curve");
    int rc = kap_curve_read(path, &node->curve, &messages);
    tell(rc, path, &messages);
    if (rc == KAP_OK) {
        path = kap_conf_str(node->conf, "keys.signing");
        rc = kap_sign_keys_read(path, &node->signing, &messages);
        tell(rc, path, &messages);
    }
    if (rc == KAP_OK)
        rc = sealing_read(node, kap_conf_str(node->conf, "keys.sealing"), &messages);
    size_t retired = kap_conf_list_count(node->conf, "keys.sealing_retired");
    for (size_t i = 0; rc == KAP_OK && i < retired; i++)
        rc = sealing_read(node, kap_conf_list_item(node->conf, "keys.sealing_retired", i),
                          &messages);
    if (rc == KAP_OK) {
        path = kap_conf_str(node->conf, "keys.pseudonym");
        rc = pseudonym_read(path, node->pseudonym, &messages);
        tell(rc, path, &messages);
    }
    kap_buf_fini(&messages);
    return rc == KAP_OK ? KAP_OK : KAP_E_CONFIG;
}

void kap_node_keys_close(kap_node_t *node)
{
    kap_curve_destroy(&node->curve);
    kap_sign_keys_destroy(&node->signing);
    for (uint32_t i = 0; i < node->sealing_count; i++)
        kap_seal_keys_destroy(&node->sealing[i]);
    node->sealing_count = 0;
    explicit_bzero(node->pseudonym, sizeof node->pseudonym);
}
