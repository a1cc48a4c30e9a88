/* SPDX-License-Identifier: MPL-2.0 */
#include "inside.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "err.h"
#include "log.h"

/* A directory of all 556 contract parties is about 1 MB. */
#define DIRECTORY_BYTES (16u << 20)

static int file_read(const char *path, kap_buf_t *text, kap_buf_t *messages)
{
    FILE *file = fopen(path, "rbe");
    if (!file) {
        kap_buf_printf(messages, "cannot be opened: %s", strerror(errno));
        return KAP_E_CONFIG;
    }
    size_t n = 1;
    while (n > 0 && text->size <= DIRECTORY_BYTES) {
        uint8_t *at = kap_buf_reserve(text, 65536);
        n = at ? fread(at, 1, 65536, file) : 0;
        text->size += n;
    }
    int rc = ferror(file) ? KAP_E_IO : text->err;
    fclose(file);
    if (rc == KAP_OK && text->size > DIRECTORY_BYTES)
        rc = KAP_E_LIMIT;
    if (rc != KAP_OK)
        kap_buf_printf(messages, "cannot be read: %s", kap_err_text(rc));
    return rc;
}

/* A directory that parses may still not be ours. */
static int check(kap_node_t *node, const kap_directory_t *dir, bool first, kap_buf_t *messages)
{
    if (!first && memcmp(kap_directory_mesh(dir), node->mesh, sizeof node->mesh) != 0) {
        kap_buf_str(messages, "it is the directory of another mesh; the old one stays in force");
        return KAP_E_CONFLICT;
    }
    const kap_member_t *self = kap_directory_member(dir, kap_span_str(node->member));
    if (first && !self) {
        kap_buf_printf(messages, "the member %s of the configuration is not in it", node->member);
        return KAP_E_CONFIG;
    }
    if (first && node->clock_file && !kap_directory_rehearsal(dir)) {
        kap_buf_str(messages, "this is an ordinary mesh: take clock out of the configuration, "
                              "only a rehearsal may have one");
        return KAP_E_CONFIG;
    }
    return KAP_OK;
}

/* Keys that differ are the operator's to mend: the node runs on and says so. */
static void compare_keys(const kap_node_t *node, const kap_member_t *self)
{
    if (!self) {
        KAP_LOG(KAP_LOG_ERROR, "not_in_directory", KAP_S("member", node->member));
        return;
    }
    if (self->has_curve && memcmp(self->curve, node->curve->public, 32) != 0)
        KAP_LOG(KAP_LOG_WARN, "key_differs", KAP_S("key", "curve"),
                KAP_S("what", "the directory names another one; the broker will refuse us"));
    if (self->has_sealing && memcmp(self->sealing, node->sealing[0]->public, 32) != 0)
        KAP_LOG(KAP_LOG_WARN, "key_differs", KAP_S("key", "sealing"),
                KAP_S("what", "the directory names another one; what comes will not open"));
    if (self->has_signing && memcmp(self->signing, node->signing->public, 32) != 0)
        KAP_LOG(KAP_LOG_WARN, "key_differs", KAP_S("key", "signing"),
                KAP_S("what", "the directory names another one; recipients cannot verify us"));
}

int kap_node_directory_read(kap_node_t *node, bool first)
{
    const char *path = kap_conf_str(node->conf, "directory");
    kap_buf_t text, messages;
    kap_buf_init(&text);
    kap_buf_init(&messages);
    kap_directory_t *dir = NULL;
    int rc = file_read(path, &text, &messages);
    if (rc == KAP_OK)
        rc = kap_directory_parse(kap_buf_span(&text), &dir, &messages);
    if (rc == KAP_OK)
        rc = check(node, dir, first, &messages);
    node->directory_bad = rc != KAP_OK;
    if (rc != KAP_OK) {
        KAP_LOG(KAP_LOG_ERROR, "directory_refused", KAP_S("path", path),
                KAP_SP("what", kap_span_trim(kap_buf_span(&messages))));
        kap_directory_unref(&dir);
        rc = KAP_E_CONFIG;
        goto done;
    }
    kap_directory_unref(&node->directory);
    node->directory = dir;
    node->directory_at_ms = kap_clock_now_ms(node->clock);
    memcpy(node->mesh, kap_directory_mesh(dir), sizeof node->mesh);
    compare_keys(node, kap_node_self(node));
    KAP_LOG(KAP_LOG_INFO, "directory_read", KAP_S("path", path),
            KAP_I("members", kap_directory_member_count(dir)),
            KAP_I("regions", kap_directory_region_count(dir)));
done:
    kap_buf_fini(&text);
    kap_buf_fini(&messages);
    return rc;
}
