/* SPDX-License-Identifier: MPL-2.0 */
/* kapula tally --file: a tally sheet, row by row. */
#include <stdio.h>
#include <string.h>

#include "crypto.h"
#include "csv.h"
#include "err.h"
#include "ids.h"
#include "saying.h"

enum { COLUMNS_MAX = 32, DIGEST = 16 };

typedef struct {
    kap_cli_t *cli;
    const char *path;
    char digest[2 * DIGEST + 1];
    const char *names[COLUMNS_MAX];
    size_t columns;
    long rows, said, refused;
    int code; /* not 0: the node is silent, nothing more is said */
} sheet_t;

static int read_header(sheet_t *sheet, const kap_span_t fields[], size_t n)
{
    if (n > COLUMNS_MAX)
        return KAP_E_LIMIT;
    for (size_t i = 0; i < n; i++) {
        sheet->names[i] = kap_arena_str(sheet->cli->arena, kap_span_trim(fields[i]));
        if (!sheet->names[i])
            return KAP_E_NOMEM;
    }
    sheet->columns = n;
    return KAP_OK;
}

static int say_row(sheet_t *sheet, const char *const values[], int64_t line)
{
    char key[64];
    const kap_mp_t *answer;
    kap_buf_t map;
    snprintf(key, sizeof key, "tally/%s/%lld", sheet->digest, (long long)line);
    kap_cli_say_t say = {.verb = "tally",
                         .key = key,
                         .names = sheet->names,
                         .values = values,
                         .count = (int)sheet->columns};
    kap_buf_init(&map);
    kap_cli_put_act(&map, &say);
    sheet->code = kap_cli_ask_quietly(sheet->cli, KAP_VERB_ACT, kap_buf_span(&map), 0, &answer);
    kap_buf_fini(&map);
    if (sheet->code != 0) {
        kap_cli_fail(0,
                     "%s:%lld: the node does not answer; say the file again, what it has is "
                     "not said twice",
                     sheet->path, (long long)line);
        return KAP_E_CLOSED;
    }
    const kap_mp_t *error = kap_mp_get(answer, "error");
    if (error) {
        kap_span_t sentence = kap_mp_get_str(error, "sentence");
        kap_span_t field = kap_mp_get_str(error, "field");
        kap_cli_fail(0, "%s:%lld: %.*s%s%.*s", sheet->path, (long long)line, KAP_SPAN_ARGS(field),
                     field.size ? ": " : "", KAP_SPAN_ARGS(sentence));
    }
    sheet->refused += error != NULL;
    sheet->said += error == NULL;
    return KAP_OK;
}

static int on_row(void *arg, const kap_span_t fields[], size_t n, int64_t line)
{
    sheet_t *sheet = arg;
    const char *values[COLUMNS_MAX];
    if (sheet->columns == 0)
        return read_header(sheet, fields, n);
    sheet->rows++;
    if (n != sheet->columns) {
        kap_cli_fail(0, "%s:%lld: %zu fields; the header has %zu", sheet->path, (long long)line, n,
                     sheet->columns);
        sheet->refused++;
        return KAP_OK;
    }
    for (size_t i = 0; i < n; i++)
        if (!(values[i] = kap_arena_str(sheet->cli->arena, kap_span_trim(fields[i]))))
            return KAP_E_NOMEM;
    return say_row(sheet, values, line);
}

static int say_sheet(sheet_t *sheet, kap_span_t text)
{
    uint8_t hash[KAP_HASH_BYTES];
    kap_csv_t *csv = NULL;
    /* A sheet saved in Finland has semicolons. */
    const uint8_t *end = text.size ? memchr(text.data, '\n', text.size) : NULL;
    size_t head = end ? (size_t)(end - text.data) : text.size;
    bool semicolons = text.size && memchr(text.data, ';', head) && !memchr(text.data, ',', head);
    kap_csv_opts_t opts = {.delimiter = semicolons ? ';' : ',', .on_row = on_row, .arg = sheet};
    kap_hash256(hash, &text, 1);
    kap_hex_encode(hash, DIGEST, sheet->digest);
    int rc = kap_csv_new(&opts, &csv);
    if (rc == KAP_OK)
        rc = kap_csv_feed(csv, text);
    if (rc == KAP_OK)
        rc = kap_csv_finish(csv);
    if (rc != KAP_OK && sheet->code == 0)
        sheet->code = kap_cli_fail(KAP_EXIT_REFUSED, "%s: %s", sheet->path,
                                   csv && *kap_csv_why(csv) ? kap_csv_why(csv) : kap_err_text(rc));
    kap_csv_destroy(&csv);
    return sheet->code;
}

int kap_cli_tally_file(kap_cli_t *cli, const char *path)
{
    sheet_t sheet = {.cli = cli, .path = path};
    kap_buf_t text;
    int code = kap_cli_needs_node(cli, "can say");
    if (code != 0)
        return code;
    kap_buf_init(&text);
    int rc = kap_cli_read_file(path, &text);
    code = rc == KAP_OK ? say_sheet(&sheet, kap_buf_span(&text))
                        : kap_cli_fail(KAP_EXIT_USAGE, "%s: %s", path, kap_err_text(rc));
    kap_buf_fini(&text);
    if (rc != KAP_OK)
        return code;
    if (cli->format == KAP_FORMAT_JSON)
        printf("{\"rows\": %ld, \"said\": %ld, \"refused\": %ld}\n", sheet.rows, sheet.said,
               sheet.refused);
    else
        printf("%ld rows: %ld said, %ld refused. `kapula acts` shows their fate.\n", sheet.rows,
               sheet.said, sheet.refused);
    fflush(stdout);
    if (code == 0 && (sheet.refused > 0 || sheet.said == 0))
        code = KAP_EXIT_REFUSED;
    return code;
}
