/* SPDX-License-Identifier: MPL-2.0 */
/*
 * record: loaded into a daemon (LD_PRELOAD), it stands between LMDB and the disk. It notes every
 * write and sync of a data.mdb in a file, and fails the n-th of them on request. Whoever promised
 * something adds a mark to the same file, so that promises and writes stand in one order.
 *
 *   KAP_RECORD=FILE      records are appended: {op, offset, size} as three int64 of the host, then
 *                        the bytes. Ops: w write, d write that is durable at once (O_DSYNC),
 *                        s everything before is durable, n the file got its name,
 *                        m mark (written by the tests).
 *   KAP_RECORD_SLOW_MS   a sync takes this long: a promise that does not wait for it is seen
 *   KAP_RECORD_NOSYNC    syncs are neither done nor noted: the negative control
 *   KAP_FAIL=WHAT:N:HOW  the N-th call (from 1) of WHAT (write, sync) on a data.mdb fails;
 *                        HOW is a number of errno, or `short`: half of it is written
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FDS = 1024, ORDINARY = 1, DURABLE = 2 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static unsigned char kind_of[FDS];
static long writes, syncs;

/* Prototypes are LMDB's and glibc's; the 64-bit names are the same functions here. */
int open64(const char *path, int flags, ...);
ssize_t pwrite64(int fd, const void *bytes, size_t size, off_t offset);
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t offset);

static void *next_of(const char *name)
{
    void *function = dlsym(RTLD_NEXT, name);
    if (!function)
        abort();
    return function;
}

static int kind(int fd)
{
    return fd >= 0 && fd < FDS ? kind_of[fd] : 0;
}

/* One record in one write, so that marks of another process fall between records. */
static void note(char op, off_t offset, const void *bytes, size_t size)
{
    static int file = -1;
    static ssize_t (*real)(int, const struct iovec *, int);
    const char *name = getenv("KAP_RECORD");
    int64_t head[3] = {op, offset, (int64_t)size};
    struct iovec parts[2] = {{head, sizeof head}, {(void *)(uintptr_t)bytes, size}};
    if (!name)
        return;
    pthread_mutex_lock(&mutex);
    if (file < 0) {
        int (*opener)(const char *, int, ...) = next_of("open");
        file = opener(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        real = next_of("writev");
    }
    if (real(file, parts, size ? 2 : 1) != (ssize_t)(sizeof head + size))
        abort();
    pthread_mutex_unlock(&mutex);
}

static void note_write(int fd, off_t offset, const void *bytes, size_t size)
{
    note(kind(fd) == DURABLE && !getenv("KAP_RECORD_NOSYNC") ? 'd' : 'w', offset, bytes, size);
}

/* 0: go on; -1: errno is set; 1: only half of it. */
static int failing(const char *what, long *count)
{
    const char *fail = getenv("KAP_FAIL");
    size_t size = strlen(what);
    long now = __atomic_add_fetch(count, 1, __ATOMIC_SEQ_CST);
    char *how;
    if (!fail || strncmp(fail, what, size) != 0 || strtol(fail + size + 1, &how, 10) != now)
        return 0;
    fprintf(stderr, "{\"event\":\"injected\",\"what\":\"%s\"}\n", fail);
    if (strcmp(how, ":short") == 0)
        return 1;
    errno = atoi(how + 1);
    return -1;
}

static int opened(int fd, const char *path, int flags)
{
    size_t size = strlen(path);
    if (fd >= 0 && fd < FDS)
        kind_of[fd] = size < 8 || strcmp(path + size - 8, "data.mdb") != 0 ? 0
                      : flags & O_DSYNC                                    ? DURABLE
                                                                           : ORDINARY;
    return fd;
}

int open(const char *path, int flags, ...)
{
    static int (*real)(const char *, int, ...);
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    if (!real)
        real = next_of("open");
    return opened(real(path, flags, mode), path, flags);
}

int open64(const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    return open(path, flags, mode);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    static ssize_t (*real)(int, const void *, size_t, off_t);
    if (!real)
        real = next_of("pwrite");
    if (!kind(fd))
        return real(fd, bytes, size, offset);
    int fail = failing("write", &writes);
    if (fail < 0)
        return -1;
    ssize_t done = real(fd, bytes, fail ? size / 2 : size, offset);
    if (done > 0)
        note_write(fd, offset, bytes, (size_t)done);
    return done;
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off_t offset)
{
    return pwrite(fd, bytes, size, offset);
}

static void note_parts(int fd, off_t offset, const struct iovec *parts, ssize_t done)
{
    for (int i = 0; done > 0; i++) {
        size_t size = parts[i].iov_len < (size_t)done ? parts[i].iov_len : (size_t)done;
        note_write(fd, offset, parts[i].iov_base, size);
        offset += (off_t)size;
        done -= (ssize_t)size;
    }
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    static ssize_t (*real)(int, const struct iovec *, int, off_t);
    if (!real)
        real = next_of("pwritev");
    int fail = kind(fd) ? failing("write", &writes) : 0;
    if (fail < 0)
        return -1;
    ssize_t done = real(fd, parts, fail ? (count + 1) / 2 : count, offset);
    if (kind(fd))
        note_parts(fd, offset, parts, done);
    return done;
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t offset)
{
    return pwritev(fd, parts, count, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    static ssize_t (*real)(int, const struct iovec *, int);
    if (!real)
        real = next_of("writev");
    if (!kind(fd))
        return real(fd, parts, count);
    off_t offset = lseek(fd, 0, SEEK_CUR);
    int fail = failing("write", &writes);
    if (fail < 0)
        return -1;
    ssize_t done = real(fd, parts, fail ? (count + 1) / 2 : count);
    note_parts(fd, offset, parts, done);
    return done;
}

ssize_t write(int fd, const void *bytes, size_t size)
{
    static ssize_t (*real)(int, const void *, size_t);
    if (!real)
        real = next_of("write");
    if (!kind(fd))
        return real(fd, bytes, size);
    off_t offset = lseek(fd, 0, SEEK_CUR);
    int fail = failing("write", &writes);
    if (fail < 0)
        return -1;
    ssize_t done = real(fd, bytes, fail ? size / 2 : size);
    if (done > 0)
        note_write(fd, offset, bytes, (size_t)done);
    return done;
}

int rename(const char *from, const char *to)
{
    static int (*real)(const char *, const char *);
    size_t size = strlen(to);
    if (!real)
        real = next_of("rename");
    int rc = real(from, to);
    if (rc == 0 && size >= 8 && strcmp(to + size - 8, "data.mdb") == 0)
        note('n', 0, NULL, 0);
    return rc;
}

static int sync_as(int fd, int (*real)(int))
{
    const char *slow = getenv("KAP_RECORD_SLOW_MS");
    if (!kind(fd))
        return real(fd);
    if (failing("sync", &syncs) != 0)
        return -1;
    if (slow)
        usleep((useconds_t)atoi(slow) * 1000);
    if (getenv("KAP_RECORD_NOSYNC"))
        return 0;
    int rc = real(fd);
    if (rc == 0)
        note('s', 0, NULL, 0);
    return rc;
}

int fdatasync(int fd)
{
    static int (*real)(int);
    if (!real)
        real = next_of("fdatasync");
    return sync_as(fd, real);
}

int fsync(int fd)
{
    static int (*real)(int);
    if (!real)
        real = next_of("fsync");
    return sync_as(fd, real);
}
