/* SPDX-License-Identifier: MPL-2.0 */
#include "folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "crypto.h"
#include "err.h"
#include "idcheck.h"
#include "ids.h"

struct kap_folder {
    int fd;
    char *path;
};

static int code_of_errno(int number)
{
    switch (number) {
    case ENOENT:
    case ENOTDIR:
        return KAP_E_NOTFOUND;
    case EEXIST:
        return KAP_E_EXISTS;
    case EACCES:
    case EPERM:
    case ELOOP:
    case EXDEV:
        return KAP_E_DENIED;
    case ENOSPC:
    case EDQUOT:
        return KAP_E_DISK;
    case ENOMEM:
        return KAP_E_NOMEM;
    default:
        return KAP_E_IO;
    }
}

/* One name beneath the folder, no link on the way. Kernels and sandboxes without openat2 get the
 * same from O_NOFOLLOW, because a name has no '/'. */
static int open_beneath(int folder, const char *name, int flags, mode_t mode)
{
    struct open_how how = {.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
                           .mode = mode,
                           .resolve =
                               RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    if (strchr(name, '/') || strcmp(name, "..") == 0) {
        errno = ELOOP;
        return -1;
    }
    long fd = syscall(SYS_openat2, folder, name, &how, sizeof how);
    if (fd < 0 && (errno == ENOSYS || errno == EPERM))
        fd = openat(folder, name, flags | O_CLOEXEC | O_NOFOLLOW, mode);
    return (int)fd;
}

int kap_folder_open(const kap_folder_t *parent, const char *path, unsigned mode, kap_folder_t **out)
{
    int at = parent ? parent->fd : AT_FDCWD;
    if (mkdirat(at, path, (mode_t)mode) != 0 && errno != EEXIST)
        return code_of_errno(errno);
    int fd = parent ? open_beneath(at, path, O_RDONLY | O_DIRECTORY, 0)
                    : open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return code_of_errno(errno);
    kap_folder_t *folder = calloc(1, sizeof *folder);
    int n = !folder  ? -1
            : parent ? asprintf(&folder->path, "%s/%s", parent->path, path)
                     : asprintf(&folder->path, "%s", path);
    if (n < 0) {
        free(folder);
        close(fd);
        return KAP_E_NOMEM;
    }
    folder->fd = fd;
    *out = folder;
    return KAP_OK;
}

void kap_folder_close(kap_folder_t **folder)
{
    if (!*folder)
        return;
    close((*folder)->fd);
    free((*folder)->path);
    free(*folder);
    *folder = NULL;
}

const char *kap_folder_path(const kap_folder_t *folder)
{
    return folder->path;
}

/* --- names --- */

static bool is_ascii_word(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* The second byte of å ä ö Å Ä Ö behind 0xc3. */
static bool is_nordic(uint8_t c)
{
    return c == 0xa5 || c == 0xa4 || c == 0xb6 || c == 0x85 || c == 0x84 || c == 0x96;
}

bool kap_folder_name_ok(kap_span_t name)
{
    if (name.size == 0 || name.size >= KAP_FOLDER_NAME_BYTES)
        return false;
    for (size_t i = 0; i < name.size; i++) {
        uint8_t c = name.data[i];
        if (c == 0xc3 && i + 1 < name.size && is_nordic(name.data[i + 1]))
            i++;
        else if (!is_ascii_word(c) && (i == 0 || !c || !strchr("._- ", c)))
            return false;
    }
    return !kap_personal_code_in(name, NULL);
}

static bool ends_with(kap_span_t name, const char *end)
{
    size_t n = strlen(end);
    return name.size >= n && kap_span_eq_str(kap_span_sub(name, name.size - n, n), end);
}

bool kap_folder_name_unfinished(kap_span_t name)
{
    return (name.size && name.data[0] == '.') || ends_with(name, ".part") ||
           ends_with(name, ".tmp") || ends_with(name, "~");
}

void kap_folder_name_of(kap_span_t id, const char *ending, char out[KAP_FOLDER_NAME_BYTES])
{
    uint8_t hash[KAP_HASH_BYTES];
    char hex[2 * 16 + 1];
    if (kap_folder_name_ok(id) && id.size < 100) {
        snprintf(out, KAP_FOLDER_NAME_BYTES, "%.*s%s", KAP_SPAN_ARGS(id), ending);
        return;
    }
    kap_hash256(hash, &id, 1);
    kap_hex_encode(hash, 16, hex);
    snprintf(out, KAP_FOLDER_NAME_BYTES, "id-%s%s", hex, ending);
}

/* --- looking --- */

typedef struct {
    int64_t modified_ns;
    char name[KAP_FOLDER_NAME_BYTES + 140];
} entry_t;

static int64_t modified_ns(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

static int entry_cmp(const void *a, const void *b)
{
    const entry_t *x = a, *y = b;
    if (x->modified_ns != y->modified_ns)
        return x->modified_ns < y->modified_ns ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* Every entry that is no folder, in any order. */
static int entries_read(DIR *dir, int fd, size_t max, entry_t *entries, size_t *count)
{
    struct dirent *item;
    struct stat st;
    while (*count < max && (item = readdir(dir))) {
        entry_t *entry = &entries[*count];
        if (fstatat(fd, item->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 || S_ISDIR(st.st_mode))
            continue;
        snprintf(entry->name, sizeof entry->name, "%s", item->d_name);
        entry->modified_ns = modified_ns(&st);
        ++*count;
    }
    return KAP_OK;
}

int kap_folder_list(const kap_folder_t *folder, char (*out)[KAP_FOLDER_NAME_BYTES + 140],
                    size_t max, size_t *count)
{
    *count = 0;
    int fd = open_beneath(folder->fd, ".", O_RDONLY | O_DIRECTORY, 0);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        int rc = code_of_errno(errno);
        if (fd >= 0)
            close(fd);
        return rc;
    }
    entry_t *entries = calloc(max, sizeof *entries);
    int rc = entries ? entries_read(dir, fd, max, entries, count) : KAP_E_NOMEM;
    if (rc == KAP_OK)
        qsort(entries, *count, sizeof *entries, entry_cmp);
    for (size_t i = 0; i < *count; i++)
        memcpy(out[i], entries[i].name, sizeof entries[i].name);
    free(entries);
    closedir(dir);
    return rc;
}

bool kap_folder_has(const kap_folder_t *folder, const char *name)
{
    struct stat st;
    return fstatat(folder->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

int64_t kap_folder_size(const kap_folder_t *folder, const char *name)
{
    struct stat st;
    if (fstatat(folder->fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
        return -1;
    return (int64_t)st.st_size;
}

static kap_folder_id_t id_of(const struct stat *st)
{
    return (kap_folder_id_t){.device = st->st_dev,
                             .inode = st->st_ino,
                             .size = (uint64_t)st->st_size,
                             .modified_ns = modified_ns(st)};
}

static bool same_id(const kap_folder_id_t *a, const kap_folder_id_t *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->modified_ns == b->modified_ns;
}

bool kap_folder_is(const kap_folder_t *folder, const char *name, const kap_folder_id_t *id)
{
    struct stat st;
    if (fstatat(folder->fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
        return false;
    kap_folder_id_t now = id_of(&st);
    return same_id(&now, id);
}

/* --- reading --- */

/* A plain file with one name only. */
static const char *not_plain(const struct stat *st)
{
    if (S_ISLNK(st->st_mode))
        return "is a link; put the file itself here";
    if (!S_ISREG(st->st_mode))
        return "is no plain file";
    if (st->st_nlink > 1)
        return "has a second name elsewhere (hard link); put a copy here";
    return NULL;
}

/* A read lease is given only while nobody has the file open for writing. Where it cannot be had
 * (another's file, another file system) the settling time has to do. */
static bool is_being_written(int fd)
{
    /* Should somebody open it right now: a signal that is ignored, in the place of SIGIO. */
    fcntl(fd, F_SETSIG, SIGURG);
    if (fcntl(fd, F_SETLEASE, F_RDLCK) == 0) {
        fcntl(fd, F_SETLEASE, F_UNLCK);
        return false;
    }
    return errno == EAGAIN;
}

static int64_t age_ms(const struct timespec *then)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)(now.tv_sec - then->tv_sec) * 1000 + (now.tv_nsec - then->tv_nsec) / 1000000;
}

/* A time far in the future says nothing: then only the lease does. */
static bool is_settled(const struct stat *st, int64_t settle_ms)
{
    int64_t age = age_ms(&st->st_mtim);
    return age >= settle_ms || age < -settle_ms;
}

static int read_all(int fd, size_t size, kap_buf_t *bytes)
{
    size_t got = 0;
    uint8_t *to = kap_buf_reserve(bytes, size + 1);
    if (!to)
        return KAP_E_NOMEM;
    while (got <= size) {
        ssize_t n = read(fd, to + got, size + 1 - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return KAP_E_IO;
        if (n == 0)
            break;
        got += (size_t)n;
    }
    bytes->size += got;
    return got == size ? KAP_OK : KAP_E_AGAIN;
}

static int read_open(int fd, size_t max_bytes, int64_t settle_ms, kap_buf_t *bytes,
                     kap_folder_id_t *id, const char **why)
{
    struct stat st, after;
    if (fstat(fd, &st) != 0)
        return KAP_E_IO;
    *id = id_of(&st);
    *why = not_plain(&st);
    if (*why)
        return KAP_E_DENIED;
    if (!is_settled(&st, settle_ms) || is_being_written(fd))
        return KAP_E_AGAIN;
    if ((uint64_t)st.st_size > max_bytes)
        return KAP_E_LIMIT;
    int rc = read_all(fd, (size_t)st.st_size, bytes);
    if (rc != KAP_OK)
        return rc;
    if (fstat(fd, &after) != 0)
        return KAP_E_IO;
    kap_folder_id_t now = id_of(&after);
    return same_id(&now, id) ? KAP_OK : KAP_E_AGAIN;
}

int kap_folder_read(const kap_folder_t *folder, const char *name, size_t max_bytes,
                    int64_t settle_ms, kap_buf_t *bytes, kap_folder_id_t *id, const char **why)
{
    struct stat st;
    *why = NULL;
    *id = (kap_folder_id_t){0};
    if (fstatat(folder->fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return code_of_errno(errno);
    *id = id_of(&st);
    *why = not_plain(&st); /* before it is opened: opening a device may do things */
    if (*why)
        return KAP_E_DENIED;
    int fd = open_beneath(folder->fd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
    if (fd < 0) {
        *why = "cannot be opened; the daemon's user must be able to read it";
        return code_of_errno(errno);
    }
    int rc = read_open(fd, max_bytes, settle_ms, bytes, id, why);
    close(fd);
    return rc;
}

/* --- changing --- */

static int sync_folder(const kap_folder_t *folder)
{
    return fsync(folder->fd) == 0 ? KAP_OK : code_of_errno(errno);
}

int kap_folder_move(const kap_folder_t *from, const char *name, const kap_folder_t *to,
                    const char *new_name)
{
    int fd = open_beneath(from->fd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
    if (fd >= 0) {
        if (fchmod(fd, 0600) != 0)
            errno = 0; /* another's file: its mode is not ours to give */
        close(fd);
    }
    if (renameat2(from->fd, name, to->fd, new_name, RENAME_NOREPLACE) != 0) {
        if (errno != EINVAL && errno != ENOSYS)
            return code_of_errno(errno);
        if (kap_folder_has(to, new_name))
            return KAP_E_EXISTS;
        if (renameat(from->fd, name, to->fd, new_name) != 0)
            return code_of_errno(errno);
    }
    int rc = sync_folder(to);
    return rc == KAP_OK ? sync_folder(from) : rc;
}

static int write_all(int fd, kap_span_t bytes)
{
    while (bytes.size) {
        ssize_t n = write(fd, bytes.data, bytes.size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? code_of_errno(errno) : KAP_E_IO;
        bytes = kap_span_sub(bytes, (size_t)n, bytes.size);
    }
    return fsync(fd) == 0 ? KAP_OK : code_of_errno(errno);
}

int kap_folder_append(const kap_folder_t *folder, const char *name, uint64_t at, kap_span_t bytes)
{
    struct stat st;
    int fd = open_beneath(folder->fd, name, O_WRONLY | O_CREAT | O_NONBLOCK, 0600);
    if (fd < 0)
        return code_of_errno(errno);
    int rc = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? KAP_OK : KAP_E_DENIED;
    if (rc == KAP_OK && (uint64_t)st.st_size < at)
        rc = KAP_E_CORRUPT;
    if (rc == KAP_OK && (ftruncate(fd, (off_t)at) != 0 || lseek(fd, 0, SEEK_END) < 0))
        rc = code_of_errno(errno);
    if (rc == KAP_OK)
        rc = write_all(fd, bytes);
    close(fd);
    return rc == KAP_OK ? sync_folder(folder) : rc;
}

int kap_folder_write(const kap_folder_t *folder, const char *name, kap_span_t bytes)
{
    char part[KAP_FOLDER_NAME_BYTES + 16];
    snprintf(part, sizeof part, ".%s.part", name);
    unlinkat(folder->fd, part, 0);
    int rc = kap_folder_append(folder, part, 0, bytes);
    if (rc == KAP_OK && renameat(folder->fd, part, folder->fd, name) != 0)
        rc = code_of_errno(errno);
    if (rc == KAP_OK)
        rc = sync_folder(folder);
    else
        unlinkat(folder->fd, part, 0);
    return rc;
}

int kap_folder_remove(const kap_folder_t *folder, const char *name)
{
    if (unlinkat(folder->fd, name, 0) != 0)
        return errno == ENOENT ? KAP_OK : code_of_errno(errno);
    return sync_folder(folder);
}

size_t kap_folder_sweep(const kap_folder_t *folder, int64_t keep_ms)
{
    enum { SWEEP_MAX = 256 }; /* the next sweep takes the rest */
    char(*names)[KAP_FOLDER_NAME_BYTES + 140] = malloc(SWEEP_MAX * sizeof *names);
    size_t count = 0, removed = 0;
    struct stat st;
    if (!names || kap_folder_list(folder, names, SWEEP_MAX, &count) != KAP_OK)
        count = 0;
    for (size_t i = 0; i < count; i++)
        if (names[i][0] != '.' && fstatat(folder->fd, names[i], &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(st.st_mode) && age_ms(&st.st_ctim) >= keep_ms &&
            unlinkat(folder->fd, names[i], 0) == 0)
            removed++;
    free(names);
    return removed;
}
