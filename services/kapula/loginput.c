/* SPDX-License-Identifier: MPL-2.0 */
#include "loginput.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "crypto.h"
#include "err.h"

#define CHUNK_BYTES (128 * 1024)

struct kap_loginput {
    kap_hash_t hash; /* first: it wants its own alignment */
    kap_buf_t *why;
    int fd;
    bool gzip, started;
    bool file_end;    /* nothing left to read */
    bool member_open; /* gzip: inside a member */
    uint64_t done, size;
    z_stream zip;
    uint8_t raw[CHUNK_BYTES];
    uint8_t unpacked[CHUNK_BYTES];
};

static int fail_errno(kap_buf_t *why, const char *what)
{
    int code = kap_err_of_errno(errno);

    kap_buf_printf(why, "%s: %s", what, strerror(errno));
    return code;
}

static int open_regular(const char *path, kap_buf_t *why, int *fd, uint64_t *size)
{
    struct stat st;

    /* O_NONBLOCK: a FIFO without a writer must not hang the open. */
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0)
        return fail_errno(why, "cannot open the file");
    if (fstat(*fd, &st)) {
        int rc = fail_errno(why, "cannot look at the file");
        close(*fd);
        return rc;
    }
    if (!S_ISREG(st.st_mode)) {
        kap_buf_printf(why, "not a regular file");
        close(*fd);
        return KAP_E_INVALID;
    }
    *size = (uint64_t)st.st_size;
    return KAP_OK;
}

int kap_loginput_open(const char *path, kap_buf_t *why, kap_loginput_t **in)
{
    int fd;
    uint64_t size;
    int rc = open_regular(path, why, &fd, &size);

    if (rc)
        return rc;
    size_t bytes = (sizeof(kap_loginput_t) + 63) / 64 * 64;
    kap_loginput_t *i = aligned_alloc(64, bytes);
    if (!i) {
        close(fd);
        return KAP_E_NOMEM;
    }
    memset(i, 0, offsetof(kap_loginput_t, raw));
    kap_hash_init(&i->hash);
    i->why = why;
    i->fd = fd;
    i->size = size;
    *in = i;
    return KAP_OK;
}

/* Fills raw from the file; *got is 0 at its end. */
static int read_raw(kap_loginput_t *in, size_t *got)
{
    ssize_t n;

    do
        n = read(in->fd, in->raw, sizeof in->raw);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return fail_errno(in->why, "cannot read the file");
    in->done += (uint64_t)n;
    in->file_end = n == 0;
    *got = (size_t)n;
    return KAP_OK;
}

static int begin_gzip(kap_loginput_t *in, size_t got)
{
    in->gzip = true;
    in->member_open = true;
    in->zip.next_in = in->raw;
    in->zip.avail_in = (uInt)got;
    /* 15 + 16: the largest window, gzip wrapping only. */
    return inflateInit2(&in->zip, 15 + 16) == Z_OK ? KAP_OK : KAP_E_NOMEM;
}

static int refuse_gzip(kap_loginput_t *in, const char *what)
{
    kap_buf_printf(in->why, "byte %llu of the file: gzip %s",
                   (unsigned long long)(in->done - in->zip.avail_in), what);
    return KAP_E_INVALID;
}

/* Between members: another one follows, the file ends, or there is garbage. */
static int next_member(kap_loginput_t *in)
{
    if (in->zip.avail_in == 0)
        return KAP_OK;
    if (in->zip.next_in[0] != 0x1f)
        return refuse_gzip(in, "data is followed by something else");
    in->member_open = true;
    return inflateReset(&in->zip) == Z_OK ? KAP_OK : KAP_E_INTERNAL;
}

static int inflate_some(kap_loginput_t *in, size_t *out)
{
    in->zip.next_out = in->unpacked;
    in->zip.avail_out = sizeof in->unpacked;
    int z = inflate(&in->zip, Z_NO_FLUSH);
    *out = sizeof in->unpacked - in->zip.avail_out;
    switch (z) {
    case Z_STREAM_END:
        in->member_open = false;
        return KAP_OK;
    case Z_OK:
    case Z_BUF_ERROR: /* wants more input */
        return KAP_OK;
    case Z_MEM_ERROR:
        return KAP_E_NOMEM;
    default:
        return refuse_gzip(in, "data is damaged");
    }
}

static int read_gzip(kap_loginput_t *in, kap_span_t *chunk)
{
    int rc = KAP_OK;
    size_t out = 0;

    while (!rc && !out) {
        if (in->zip.avail_in == 0 && !in->file_end) {
            size_t got;
            rc = read_raw(in, &got);
            if (rc)
                return rc;
            in->zip.next_in = in->raw;
            in->zip.avail_in = (uInt)got;
        }
        if (in->file_end && in->zip.avail_in == 0) {
            if (!in->member_open)
                break;
            /* What inflate still holds back may be all there is. */
            rc = inflate_some(in, &out);
            if (!rc && !out && in->member_open)
                rc = refuse_gzip(in, "data ends in the middle: the file was cut short");
        } else if (!in->member_open) {
            rc = next_member(in);
        } else {
            rc = inflate_some(in, &out);
        }
    }
    *chunk = kap_span(in->unpacked, rc ? 0 : out);
    return rc;
}

int kap_loginput_read(kap_loginput_t *in, kap_span_t *chunk)
{
    size_t got = 0;
    int rc = KAP_OK;

    if (!in->started || !in->gzip)
        rc = read_raw(in, &got);
    if (!rc && !in->started) {
        in->started = true;
        if (got >= 2 && in->raw[0] == 0x1f && in->raw[1] == 0x8b)
            rc = begin_gzip(in, got);
    }
    if (rc)
        return rc;
    kap_span_t bytes = kap_span(in->raw, got);
    if (in->gzip)
        rc = read_gzip(in, &bytes);
    if (rc)
        return rc;
    kap_hash_update(&in->hash, bytes);
    *chunk = bytes;
    return KAP_OK;
}

uint64_t kap_loginput_done_bytes(const kap_loginput_t *in)
{
    return in->done;
}

uint64_t kap_loginput_size_bytes(const kap_loginput_t *in)
{
    return in->size;
}

void kap_loginput_digest(kap_loginput_t *in, uint8_t digest[32])
{
    kap_hash_final(&in->hash, digest);
}

void kap_loginput_close(kap_loginput_t **in)
{
    if (!*in)
        return;
    if ((*in)->gzip)
        inflateEnd(&(*in)->zip);
    close((*in)->fd);
    free(*in);
    *in = NULL;
}
