/* SPDX-License-Identifier: MPL-2.0 */
#include "frozen.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"
#include "ids.h"
#include "metricview.h"

enum { PATH_BYTES = 4096, NAME_BYTES = 64, HASH_HEX = 2 * KAP_HASH_BYTES };

#define ENDING ".json"

/* --- where --- */

static void folder_path(char out[PATH_BYTES])
{
    const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    if (data && *data)
        snprintf(out, PATH_BYTES, "%s/kapula/frozen", data);
    else
        snprintf(out, PATH_BYTES, "%s/.local/share/kapula/frozen", home ? home : "");
}

static void file_path(const char *name, const char *ending, char out[PATH_BYTES])
{
    char folder[PATH_BYTES];
    folder_path(folder);
    if (snprintf(out, PATH_BYTES, "%s/%s%s", folder, name, ending) >= PATH_BYTES)
        out[0] = '\0';
}

/* Every folder of the path that is not there yet, for this user alone. */
static bool make_folders(const char *path)
{
    char part[PATH_BYTES];
    struct stat st;
    for (size_t i = 1; path[i]; i++)
        if (path[i] == '/') {
            snprintf(part, sizeof part, "%.*s", (int)i, path);
            if (mkdir(part, 0700) != 0 && errno != EEXIST)
                return false;
        }
    return (mkdir(path, 0700) == 0 || errno == EEXIST) && stat(path, &st) == 0 &&
           S_ISDIR(st.st_mode);
}

static bool is_name(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789._-";
    size_t n = strlen(name);
    return n > 0 && n <= NAME_BYTES && name[0] != '.' && strspn(name, allowed) == n;
}

static int bad_name(const char *name)
{
    return kap_cli_fail(KAP_EXIT_USAGE,
                        "%s: a name has 1 to %d letters, digits, `.`, `_` and `-`, and does not "
                        "begin with `.`",
                        name, NAME_BYTES);
}

int kap_frozen_check_name(const char *name)
{
    char path[PATH_BYTES];
    if (!is_name(name))
        return bad_name(name);
    file_path(name, ENDING, path);
    if (access(path, F_OK) == 0)
        return kap_cli_fail(KAP_EXIT_REFUSED,
                            "%s is frozen already: choose another name, or see it with "
                            "`kapula frozen show %s`",
                            name, name);
    return 0;
}

/* --- writing --- */

static void put_file_map(kap_shown_list_t *map, const kap_asking_t *asking, const char *name,
                         const kap_mp_t *report)
{
    const kap_mp_t *first = asking->kept.used ? &asking->kept.items[0] : NULL;
    const kap_mp_t *answer = kap_mp_get(first, "answer");
    kap_mp_t mesh = {.kind = KAP_MP_BIN,
                     .s = kap_span(asking->cli->mesh, sizeof asking->cli->mesh)};
    const kap_mp_t questions = kap_shown_array(&asking->kept);
    kap_shown_set_text(map, "name", kap_span_str(name));
    kap_shown_set_int(map, "frozen_at", kap_clock_now_ms(kap_clock_system()));
    kap_shown_set(map, "mesh", &mesh);
    kap_shown_set_int(map, "as_of_seq", kap_mp_get_int(answer, "as_of_seq", 0));
    kap_shown_set_int(map, "as_of_time", kap_mp_get_int(answer, "as_of_time", 0));
    kap_shown_set(map, "questions", &questions);
    if (report)
        kap_shown_set(map, "report", report);
}

static bool hash_of(const kap_mp_t *map, char out[HASH_HEX + 1])
{
    uint8_t hash[KAP_HASH_BYTES];
    kap_buf_t text;
    kap_buf_init(&text);
    kap_cli_json_sorted(map, "hash", &text);
    kap_span_t part = kap_buf_span(&text);
    kap_hash256(hash, &part, 1);
    kap_hex_encode(hash, sizeof hash, out);
    bool ok = text.err == KAP_OK;
    kap_buf_fini(&text);
    return ok;
}

/* Written beside, synced, renamed: what stands under the name is whole. link() refuses a name that
 * somebody took in between. */
static int write_beside(const char *path, const char *beside, kap_span_t text)
{
    int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool ok = fd >= 0;
    for (size_t at = 0; ok && at < text.size;) {
        ssize_t n = write(fd, text.data + at, text.size - at);
        ok = n > 0;
        at += n > 0 ? (size_t)n : 0;
    }
    ok = ok && fsync(fd) == 0;
    if (fd >= 0 && close(fd) != 0)
        ok = false;
    ok = ok && link(beside, path) == 0;
    int error = errno;
    unlink(beside);
    return ok ? 0
              : kap_cli_fail(KAP_EXIT_REFUSED, "%s: %s; nothing was frozen", path, strerror(error));
}

int kap_frozen_write(const kap_asking_t *asking, const char *name, const kap_mp_t *report)
{
    char folder[PATH_BYTES], path[PATH_BYTES], beside[PATH_BYTES], hash[HASH_HEX + 1], tail[64];
    kap_shown_list_t map = {.arena = asking->arena};
    kap_buf_t text;
    int code = kap_frozen_check_name(name);
    if (code != 0)
        return code;
    folder_path(folder);
    if (!make_folders(folder))
        return kap_cli_fail(KAP_EXIT_REFUSED, "%s: %s; set XDG_DATA_HOME to a folder of yours",
                            folder, strerror(errno));
    snprintf(tail, sizeof tail, ".%ld.part", (long)getpid());
    file_path(name, ENDING, path);
    file_path(name, tail, beside);
    put_file_map(&map, asking, name, report);
    kap_mp_t whole = kap_shown_map(&map);
    kap_buf_init(&text);
    if (hash_of(&whole, hash)) {
        kap_shown_set_text(&map, "hash", kap_span_str(hash));
        whole = kap_shown_map(&map);
        kap_cli_json_sorted(&whole, NULL, &text);
        kap_buf_u8(&text, '\n');
    }
    code = text.err || text.size == 0 ? kap_cli_fail(KAP_EXIT_REFUSED, "out of memory")
                                      : write_beside(path, beside, kap_buf_span(&text));
    if (code == 0)
        fprintf(stderr, "kapula: frozen as %s in %s, hash %.16s...\n", name, path, hash);
    kap_buf_fini(&text);
    return code;
}

/* --- reading --- */

/* Times are RFC 3339 in the file, integers in answers. */
static void restore_times(kap_mp_t *node)
{
    if (node->kind != KAP_MP_ARRAY && node->kind != KAP_MP_MAP)
        return;
    for (uint32_t i = 0; i < node->count; i++) {
        bool map = node->kind == KAP_MP_MAP;
        kap_mp_t *value = (kap_mp_t *)(map ? kap_mp_value(node, i) : kap_mp_item(node, i));
        kap_span_t key = map ? kap_mp_key(node, i)->s : kap_span_str("");
        bool at = (key.size >= 3 && memcmp(key.data + key.size - 3, "_at", 3) == 0) ||
                  (key.size >= 5 && memcmp(key.data + key.size - 5, "_time", 5) == 0);
        int64_t ms;
        if (at && value->kind == KAP_MP_STR &&
            kap_time_parse(value->s, KAP_ZONE_UTC, &ms, NULL) == KAP_OK)
            *value = (kap_mp_t){.kind = KAP_MP_INT, .i = ms};
        else
            restore_times(value);
    }
}

static void take_questions(kap_asking_t *asking, const kap_mp_t *file)
{
    const kap_mp_t *questions = kap_mp_get(file, "questions");
    asking->frozen = true;
    asking->kept.used = 0;
    for (uint32_t i = 0; questions && i < questions->count && kap_mp_item(questions, i); i++)
        kap_shown_add(&asking->kept, kap_mp_item(questions, i));
}

int kap_frozen_read(kap_asking_t *asking, const char *name, const kap_mp_t **file, bool *fits)
{
    char path[PATH_BYTES], hash[HASH_HEX + 1];
    kap_mp_t *root = kap_arena_alloc(asking->arena, sizeof *root);
    kap_buf_t text;
    if (!is_name(name))
        return bad_name(name);
    file_path(name, ENDING, path);
    kap_buf_init(&text);
    int rc = root ? kap_cli_read_file(path, &text) : KAP_E_NOMEM;
    if (rc == KAP_OK)
        rc = kap_cli_read_json(asking->arena, kap_buf_span(&text), root);
    kap_buf_fini(&text);
    if (rc == KAP_E_NOTFOUND)
        return kap_cli_fail(KAP_EXIT_REFUSED,
                            "nothing is frozen as %s; `kapula frozen list` shows what is", name);
    if (rc != KAP_OK || root->kind != KAP_MP_MAP)
        return kap_cli_fail(KAP_EXIT_REFUSED, "%s: it is no frozen answer any more: %s", path,
                            rc != KAP_OK ? kap_err_text(rc) : "no map");
    *fits = hash_of(root, hash) && kap_span_eq_str(kap_mp_get_str(root, "hash"), hash);
    restore_times(root);
    take_questions(asking, root);
    *file = root;
    return 0;
}

static int by_text(const void *a, const void *b)
{
    return kap_span_cmp(((const kap_mp_t *)a)->s, ((const kap_mp_t *)b)->s);
}

int kap_frozen_names(kap_arena_t *arena, kap_shown_list_t *names)
{
    char folder[PATH_BYTES];
    const struct dirent *entry;
    folder_path(folder);
    DIR *dir = opendir(folder);
    *names = (kap_shown_list_t){.arena = arena};
    if (!dir)
        return errno == ENOENT ? 0
                               : kap_cli_fail(KAP_EXIT_REFUSED, "%s: %s", folder, strerror(errno));
    while ((entry = readdir(dir))) {
        size_t n = strlen(entry->d_name), end = strlen(ENDING);
        if (n <= end || strcmp(entry->d_name + n - end, ENDING) != 0)
            continue;
        kap_mp_t name = {.kind = KAP_MP_STR,
                         .s = kap_span_str(kap_arena_str(arena, kap_span(entry->d_name, n - end)))};
        if (name.s.data && is_name((const char *)name.s.data))
            kap_shown_add(names, &name);
    }
    closedir(dir);
    if (names->used)
        qsort(names->items, names->used, sizeof *names->items, by_text);
    return 0;
}
