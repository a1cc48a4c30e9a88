/* SPDX-License-Identifier: MPL-2.0 */
/* kapula keygen: key files of every kind. Secrets go to files only, never to the screen. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "args.h"
#include "err.h"
#include "ids.h"

static void mesh_id(const uint8_t authority[32], char out[65])
{
    uint8_t hash[32];
    kap_span_t part = kap_span(authority, 32);
    kap_hash256(hash, &part, 1);
    kap_hex_encode(hash, sizeof hash, out);
}

/* Random bytes as one line of hex, in a file of its owner's only. */
static int write_secret(const char *path)
{
    uint8_t secret[32];
    char hex[66];
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0)
        return errno == EEXIST ? KAP_E_EXISTS : errno == ENOENT ? KAP_E_NOTFOUND : KAP_E_IO;
    kap_random(secret, sizeof secret);
    kap_hex_encode(secret, sizeof secret, hex);
    hex[64] = '\n';
    int rc = write(file, hex, 65) == 65 && fsync(file) == 0 ? KAP_OK : KAP_E_IO;
    explicit_bzero(hex, sizeof hex);
    explicit_bzero(secret, sizeof secret);
    close(file);
    return rc;
}

/* Makes the file; `public` gets the public part as the directory wants it. */
static int make(const char *kind, const char *path, char public[65], char mesh[65])
{
    int rc = KAP_E_NOMEM;
    if (strcmp(kind, "secret") == 0)
        return write_secret(path);
    if (strcmp(kind, "curve") == 0) {
        kap_curve_t *keys = kap_curve_new();
        if (keys && (rc = kap_curve_write(path, keys)) == KAP_OK)
            kap_z85_encode(public, keys->public, 32);
        kap_curve_destroy(&keys);
    } else if (strcmp(kind, "sealing") == 0) {
        kap_seal_keys_t *keys = kap_seal_keys_new();
        if (keys && (rc = kap_seal_keys_write(path, keys)) == KAP_OK)
            kap_hex_encode(keys->public, 32, public);
        kap_seal_keys_destroy(&keys);
    } else {
        kap_sign_keys_t *keys = kap_sign_keys_new();
        if (keys && (rc = kap_sign_keys_write(path, keys)) == KAP_OK)
            kap_hex_encode(keys->public, 32, public);
        if (rc == KAP_OK && strcmp(kind, "authority") == 0)
            mesh_id(keys->public, mesh);
        kap_sign_keys_destroy(&keys);
    }
    return rc;
}

static int print_mesh_of(const char *authority)
{
    uint8_t key[32];
    char mesh[65];
    if (kap_hex_decode(kap_span_str(authority), key, sizeof key) != KAP_OK)
        return kap_cli_fail(KAP_EXIT_USAGE, "--mesh-of %s: not 64 hex digits", authority);
    mesh_id(key, mesh);
    puts(mesh);
    return KAP_EXIT_DONE;
}

int kap_cmd_keygen(kap_cli_t *cli, int argc, char **argv)
{
    static const char *const kinds[] = {"curve", "sealing", "signing", "authority", "secret"};
    static const kap_usage_t usage = {
        "keygen", "KIND FILE", 0, 2,
        "Makes a key file (mode 0600, never over an old one) and prints its public part.\v"
        "KIND: curve (who connects), sealing (who reads), signing (who said it), authority (of a "
        "mesh), secret (of the members, for pseudonyms)."};
    kap_args_t args;
    bool known = false;
    char public[65] = "", mesh[65] = "";
    kap_args_parse(cli, &usage, argc, argv, &args);
    const char *authority = kap_args_option(&args, "mesh-of"), *kind = args.words[0];
    if (authority)
        return print_mesh_of(authority);
    if (args.word_count < 2)
        return kap_cli_fail(KAP_EXIT_USAGE, "keygen: say a kind and a file; see --help");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        known |= strcmp(kinds[i], kind) == 0;
    if (!known)
        return kap_cli_fail(KAP_EXIT_USAGE,
                            "keygen %s: say curve, sealing, signing, authority or secret", kind);
    int rc = make(kind, args.words[1], public, mesh);
    if (rc != KAP_OK)
        return kap_cli_fail(KAP_EXIT_USAGE, "%s: %s", args.words[1], kap_err_text(rc));
    if (cli->format == KAP_FORMAT_JSON)
        printf("{\"kind\": \"%s\", \"public\": \"%s\"%s%s%s}\n", kind, public,
               mesh[0] ? ", \"mesh\": \"" : "", mesh, mesh[0] ? "\"" : "");
    else if (public[0])
        puts(public);
    return KAP_EXIT_DONE;
}
