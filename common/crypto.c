/* SPDX-License-Identifier: MPL-2.0 */
#include "crypto.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "be.h"
#include "err.h"
#include "log.h"

_Static_assert(sizeof(kap_hash_t) >= sizeof(crypto_generichash_state), "kap_hash_t is too small");
_Static_assert(offsetof(kap_curve_t, secret) == KAP_KEY_BYTES, "public || secret");
_Static_assert(offsetof(kap_sign_keys_t, secret) == KAP_KEY_BYTES, "public || secret");
_Static_assert(KAP_SIPHASH_BYTES == crypto_shorthash_siphashx24_KEYBYTES, "a hash is no key");

int kap_crypto_init(void)
{
    return sodium_init() < 0 ? KAP_E_INTERNAL : KAP_OK;
}

/* --- hashes --- */

static crypto_generichash_state *state(kap_hash_t *hash)
{
    return (crypto_generichash_state *)(void *)hash->opaque;
}

void kap_hash_init(kap_hash_t *hash)
{
    crypto_generichash_init(state(hash), NULL, 0, KAP_HASH_BYTES);
}

void kap_hash_update(kap_hash_t *hash, kap_span_t part)
{
    crypto_generichash_update(state(hash), part.data, part.size);
}

void kap_hash_final(kap_hash_t *hash, uint8_t out[KAP_HASH_BYTES])
{
    crypto_generichash_final(state(hash), out, KAP_HASH_BYTES);
}

void kap_hash256(uint8_t out[KAP_HASH_BYTES], const kap_span_t parts[], size_t n)
{
    if (n == 1) {
        crypto_generichash(out, KAP_HASH_BYTES, parts[0].data, parts[0].size, NULL, 0);
        return;
    }
    kap_hash_t hash;
    kap_hash_init(&hash);
    for (size_t i = 0; i < n; i++)
        kap_hash_update(&hash, parts[i]);
    kap_hash_final(&hash, out);
}

void kap_siphash128(uint8_t out[KAP_SIPHASH_BYTES], const uint8_t key[16], const kap_span_t parts[],
                    size_t n)
{
    uint8_t now[KAP_SIPHASH_BYTES], next[KAP_SIPHASH_BYTES];
    memcpy(now, key, sizeof now);
    for (size_t i = 0; i < n; i++) {
        crypto_shorthash_siphashx24(next, parts[i].data, parts[i].size, now);
        memcpy(now, next, sizeof now);
    }
    memcpy(out, now, sizeof now);
}

bool kap_crypto_equal(const void *a, const void *b, size_t n)
{
    return sodium_memcmp(a, b, n) == 0;
}

/* --- key pairs --- */

kap_curve_t *kap_curve_new(void)
{
    kap_curve_t *keys = sodium_malloc(sizeof *keys);
    if (keys)
        crypto_box_keypair(keys->public, keys->secret);
    return keys;
}

kap_curve_t *kap_curve_copy(const kap_curve_t *from)
{
    kap_curve_t *keys = sodium_malloc(sizeof *keys);
    if (keys)
        memcpy(keys, from, sizeof *keys);
    return keys;
}

kap_seal_keys_t *kap_seal_keys_new(void)
{
    kap_seal_keys_t *keys = sodium_malloc(sizeof *keys);
    if (keys)
        crypto_box_keypair(keys->public, keys->secret);
    return keys;
}

kap_sign_keys_t *kap_sign_keys_new(void)
{
    kap_sign_keys_t *keys = sodium_malloc(sizeof *keys);
    if (keys)
        crypto_sign_keypair(keys->public, keys->secret);
    return keys;
}

void kap_curve_destroy(kap_curve_t **keys)
{
    sodium_free(*keys); /* wipes */
    *keys = NULL;
}

void kap_seal_keys_destroy(kap_seal_keys_t **keys)
{
    sodium_free(*keys);
    *keys = NULL;
}

void kap_sign_keys_destroy(kap_sign_keys_t **keys)
{
    sodium_free(*keys);
    *keys = NULL;
}

/* --- key files --- */

typedef struct {
    const char *kind;
    size_t secret_size;
    bool z85; /* else hex */
} form_t;

static const form_t curve_form = {"curve", 32, true};
static const form_t seal_form = {"seal", 32, false};
static const form_t sign_form = {"sign", 64, false};

#define FILE_MAX 1024 /* the longest, Ed25519 in hex, has about 250 */
#define TEXT_MAX 129

static void encode(const form_t *form, char text[TEXT_MAX], const uint8_t *data, size_t size)
{
    if (form->z85)
        kap_z85_encode(text, data, size);
    else
        sodium_bin2hex(text, TEXT_MAX, data, size);
}

static int decode(const form_t *form, uint8_t *out, size_t size, kap_span_t text)
{
    if (form->z85)
        return kap_z85_decode(out, size, text);
    size_t got = 0;
    const char *end = NULL;
    int rc = sodium_hex2bin(out, size, (const char *)text.data, text.size, NULL, &got, &end);
    return rc == 0 && got == size && text.size == 2 * size ? KAP_OK : KAP_E_INVALID;
}

static int sync_folder(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t size = slash ? (size_t)(slash - path) : 0;
    if (size >= sizeof folder)
        return KAP_E_INVALID;
    memcpy(folder, path, size);
    folder[size] = '\0';
    int fd = open(size ? folder : slash ? "/" : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return kap_err_of_errno(errno);
    int rc = fsync(fd) == 0 ? KAP_OK : kap_err_of_errno(errno);
    close(fd);
    return rc;
}

static int write_new(const char *path, const char *text, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return kap_err_of_errno(errno);
    ssize_t written = write(fd, text, size); /* below a block: whole or failed */
    int rc = KAP_OK;
    if (written < 0)
        rc = kap_err_of_errno(errno);
    else if ((size_t)written != size)
        rc = KAP_E_DISK;
    else if (fsync(fd) != 0)
        rc = kap_err_of_errno(errno);
    close(fd);
    if (rc == KAP_OK)
        rc = sync_folder(path);
    if (rc != KAP_OK)
        unlink(path);
    return rc;
}

static int write_keys(const form_t *form, const char *path, const uint8_t *public,
                      const uint8_t *secret)
{
    char *text = sodium_malloc(FILE_MAX);
    char *secret_text = sodium_malloc(TEXT_MAX);
    int rc = KAP_E_NOMEM;
    if (text && secret_text) {
        char public_text[TEXT_MAX];
        encode(form, public_text, public, KAP_KEY_BYTES);
        encode(form, secret_text, secret, form->secret_size);
        int size = snprintf(text, FILE_MAX, "kind = \"%s\";\npublic = \"%s\";\nsecret = \"%s\";\n",
                            form->kind, public_text, secret_text);
        KAP_CHECK(size > 0 && size < FILE_MAX);
        rc = write_new(path, text, (size_t)size);
    }
    sodium_free(text);
    sodium_free(secret_text);
    return rc;
}

static void say(kap_buf_t *messages, const char *path, const char *what)
{
    if (messages)
        kap_buf_printf(messages, "%s: %s\n", path, what);
}

static int check_mode(int fd, const char *path, kap_buf_t *messages)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return kap_err_of_errno(errno);
    if (!S_ISREG(st.st_mode)) {
        say(messages, path, "not a plain file");
        return KAP_E_INVALID;
    }
    if (st.st_mode & (S_IWGRP | S_IWOTH)) {
        say(messages, path, "others may write this key file; chmod 0600 would be right");
        return KAP_E_DENIED;
    }
    if (st.st_mode & (S_IRGRP | S_IROTH)) {
        say(messages, path, "warning: others may read this key file; chmod 0600 would be right");
        KAP_LOG(KAP_LOG_WARN, "key_file_readable", KAP_S("path", path));
    }
    return KAP_OK;
}

/* The whole file into text, *size of it. */
static int read_text(const char *path, char *text, size_t *size, kap_buf_t *messages)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        int rc = kap_err_of_errno(errno);
        say(messages, path, kap_err_text(rc));
        return rc;
    }
    int rc = check_mode(fd, path, messages);
    if (rc == KAP_OK) {
        ssize_t got = read(fd, text, FILE_MAX);
        if (got < 0)
            rc = kap_err_of_errno(errno);
        else if (got == FILE_MAX)
            rc = KAP_E_INVALID;
        if (rc != KAP_OK)
            say(messages, path, got < 0 ? kap_err_text(rc) : "too long for a key file");
        else
            *size = (size_t)got;
    }
    close(fd);
    return rc;
}

typedef struct {
    kap_span_t kind, public, secret;
} fields_t;

/* name = "value";  An empty line and a comment are fine. */
static bool take_line(kap_span_t line, fields_t *fields)
{
    line = kap_span_trim(line);
    if (line.size == 0 || line.data[0] == '#')
        return true;
    const uint8_t *equals = memchr(line.data, '=', line.size);
    if (!equals)
        return false;
    size_t at = (size_t)(equals - line.data);
    kap_span_t name = kap_span_trim(kap_span_sub(line, 0, at));
    kap_span_t value = kap_span_trim(kap_span_sub(line, at + 1, line.size));
    if (value.size > 0 && value.data[value.size - 1] == ';')
        value = kap_span_trim(kap_span_sub(value, 0, value.size - 1));
    if (value.size < 2 || value.data[0] != '"' || value.data[value.size - 1] != '"')
        return false;
    value = kap_span_sub(value, 1, value.size - 2);
    kap_span_t *field = kap_span_eq_str(name, "kind")     ? &fields->kind
                        : kap_span_eq_str(name, "public") ? &fields->public
                        : kap_span_eq_str(name, "secret") ? &fields->secret
                                                          : NULL;
    if (!field || field->data)
        return false;
    *field = value;
    return true;
}

static bool parse(kap_span_t text, fields_t *fields)
{
    while (text.size > 0) {
        const uint8_t *newline = memchr(text.data, '\n', text.size);
        size_t size = newline ? (size_t)(newline - text.data) : text.size;
        if (!take_line(kap_span_sub(text, 0, size), fields))
            return false;
        text = kap_span_sub(text, size + 1, text.size);
    }
    return fields->kind.data && fields->public.data && fields->secret.data;
}

static bool halves_fit(const form_t *form, const uint8_t *public, const uint8_t *secret)
{
    uint8_t derived[KAP_KEY_BYTES];
    if (form != &sign_form)
        return crypto_scalarmult_base(derived, secret) == 0 &&
               kap_crypto_equal(derived, public, KAP_KEY_BYTES);
    uint8_t again[64];
    crypto_sign_seed_keypair(derived, again, secret);
    bool fit = kap_crypto_equal(derived, public, KAP_KEY_BYTES) &&
               kap_crypto_equal(again, secret, sizeof again);
    sodium_memzero(again, sizeof again);
    return fit;
}

static int decode_fields(const form_t *form, const char *path, const fields_t *fields,
                         uint8_t *public, uint8_t *secret, kap_buf_t *messages)
{
    const char *wrong = NULL;
    if (!kap_span_eq_str(fields->kind, form->kind))
        wrong = "another kind of key than is wanted here";
    else if (decode(form, public, KAP_KEY_BYTES, fields->public) != KAP_OK)
        wrong = "the public key is not what its kind says";
    else if (decode(form, secret, form->secret_size, fields->secret) != KAP_OK)
        wrong = "the secret key is not what its kind says";
    else if (!halves_fit(form, public, secret))
        wrong = "public and secret key do not belong together";
    if (!wrong)
        return KAP_OK;
    if (messages)
        kap_buf_printf(messages, "%s: %s; kind = \"%s\" would be right\n", path, wrong, form->kind);
    return KAP_E_INVALID;
}

/* The pair as public || secret in locked memory. */
static int read_keys(const form_t *form, const char *path, void **out, kap_buf_t *messages)
{
    char *text = sodium_malloc(FILE_MAX);
    uint8_t *keys = sodium_malloc(KAP_KEY_BYTES + form->secret_size);
    fields_t fields = {0};
    size_t size = 0;
    int rc = text && keys ? KAP_OK : KAP_E_NOMEM;
    if (rc == KAP_OK)
        rc = read_text(path, text, &size, messages);
    if (rc == KAP_OK && !parse(kap_span(text, size), &fields)) {
        say(messages, path, "not a key file; lines kind, public and secret would be right");
        rc = KAP_E_INVALID;
    }
    if (rc == KAP_OK)
        rc = decode_fields(form, path, &fields, keys, keys + KAP_KEY_BYTES, messages);
    if (rc == KAP_OK) {
        *out = keys;
        keys = NULL;
    }
    sodium_free(text);
    sodium_free(keys);
    return rc;
}

int kap_curve_write(const char *path, const kap_curve_t *keys)
{
    return write_keys(&curve_form, path, keys->public, keys->secret);
}

int kap_seal_keys_write(const char *path, const kap_seal_keys_t *keys)
{
    return write_keys(&seal_form, path, keys->public, keys->secret);
}

int kap_sign_keys_write(const char *path, const kap_sign_keys_t *keys)
{
    return write_keys(&sign_form, path, keys->public, keys->secret);
}

int kap_curve_read(const char *path, kap_curve_t **keys, kap_buf_t *messages)
{
    void *pair = NULL;
    int rc = read_keys(&curve_form, path, &pair, messages);
    if (rc == KAP_OK)
        *keys = pair;
    return rc;
}

int kap_seal_keys_read(const char *path, kap_seal_keys_t **keys, kap_buf_t *messages)
{
    void *pair = NULL;
    int rc = read_keys(&seal_form, path, &pair, messages);
    if (rc == KAP_OK)
        *keys = pair;
    return rc;
}

int kap_sign_keys_read(const char *path, kap_sign_keys_t **keys, kap_buf_t *messages)
{
    void *pair = NULL;
    int rc = read_keys(&sign_form, path, &pair, messages);
    if (rc == KAP_OK)
        *keys = pair;
    return rc;
}

/* --- Z85 --- */

static const char alphabet[] =
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

void kap_z85_encode(char *out, const uint8_t *data, size_t size)
{
    KAP_CHECK(size % 4 == 0);
    for (size_t i = 0; i < size; i += 4, out += 5) {
        uint32_t value = kap_be_get_u32(data + i);
        for (int digit = 4; digit >= 0; digit--, value /= 85)
            out[digit] = alphabet[value % 85];
    }
    *out = '\0';
}

int kap_z85_decode(uint8_t *out, size_t size, kap_span_t text)
{
    KAP_CHECK(size % 4 == 0);
    if (text.size != size / 4 * 5)
        return KAP_E_INVALID;
    for (size_t i = 0; i < text.size; i += 5, out += 4) {
        uint64_t value = 0;
        for (size_t digit = 0; digit < 5; digit++) {
            uint8_t c = text.data[i + digit];
            const char *at = c ? strchr(alphabet, c) : NULL;
            if (!at)
                return KAP_E_INVALID;
            value = value * 85 + (uint64_t)(at - alphabet);
        }
        if (value > UINT32_MAX)
            return KAP_E_INVALID;
        kap_be_put_u32(out, (uint32_t)value);
    }
    return KAP_OK;
}
