/* SPDX-License-Identifier: MPL-2.0 */
#include "importargs.h"

#include <string.h>

#include "err.h"
#include "tables.h"
#include "utf8.h"

#define NAME_BYTES 100

const kap_usage_t kap_importargs_usage = {
    "import", "FILE", 0, 2,
    "Reads an event log (XES or CSV, plain or gzip) into an archive region.\v"
    "--into and --actor are needed. The usual case column of CSV is case:concept:name. After an "
    "interruption run it again: it goes on; a repeated import changes nothing."};

static int parse_name(const char *name, kap_buf_t *why)
{
    kap_span_t span = kap_span_str(name);
    bool plain = span.size > 0 && span.size <= NAME_BYTES && kap_utf8_valid(span, NULL);

    for (size_t i = 0; plain && i < span.size; i++)
        plain = span.data[i] > ' ' && span.data[i] != 0x7f && span.data[i] != '/';
    if (!plain) {
        kap_buf_printf(why,
                       "--into: 1 to %d bytes of UTF-8 without blanks, slashes and control "
                       "characters",
                       NAME_BYTES);
        return KAP_E_INVALID;
    }
    if (kap_region_find(span) >= 0) {
        kap_buf_printf(why, "--into: \"%s\" is the id of a region; choose another name", name);
        return KAP_E_INVALID;
    }
    return KAP_OK;
}

static int parse_delimiter(const char *text, char *delimiter, kap_buf_t *why)
{
    if (!strcmp(text, "tab") || !strcmp(text, "\\t"))
        text = "\t";
    if (strlen(text) != 1 || strchr("\"\r\n", *text) || (unsigned char)*text > 0x7e) {
        kap_buf_str(why, "--delimiter: one ASCII character, or `tab`; not a quote");
        return KAP_E_INVALID;
    }
    *delimiter = *text;
    return KAP_OK;
}

/* "+hh:mm" or "-hh:mm", up to 14 hours: minutes; false when it is something else. */
static bool parse_offset(const char *text, int *minutes)
{
    if (strlen(text) != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':')
        return false;
    for (int i = 1; i < 6; i++)
        if (i != 3 && (text[i] < '0' || text[i] > '9'))
            return false;
    int hour = (text[1] - '0') * 10 + text[2] - '0', minute = (text[4] - '0') * 10 + text[5] - '0';
    *minutes = (hour * 60 + minute) * (text[0] == '-' ? -1 : 1);
    return minute < 60 && hour * 60 + minute <= 14 * 60;
}

static int parse_zone(const char *text, kap_importargs_t *args, kap_buf_t *why)
{
    int minutes = 0;

    args->read.rules.zone = KAP_ZONE_UTC;
    args->read.rules.offset_ms = 0;
    if (!strcmp(text, "Europe/Helsinki"))
        args->read.rules.zone = KAP_ZONE_HELSINKI;
    else if (parse_offset(text, &minutes))
        args->read.rules.offset_ms = -minutes * KAP_MINUTE_MS;
    else if (strcmp(text, "UTC") != 0) {
        kap_buf_printf(why, "--zone: UTC, Europe/Helsinki or an offset such as +02:00; not \"%s\"",
                       text);
        return KAP_E_INVALID;
    }
    memcpy(args->zone, text, strlen(text) + 1);
    return KAP_OK;
}

static int parse_limit(const char *text, int64_t *limit, kap_buf_t *why)
{
    if (kap_span_int(kap_span_str(text), limit) && *limit >= 0)
        return KAP_OK;
    kap_buf_str(why, "--max-skipped: a number from 0");
    return KAP_E_INVALID;
}

/* Keeps the list sorted and each value once: the order they are given in means nothing. */
static int add_missing(kap_importargs_t *args, const char *value, kap_buf_t *why)
{
    size_t *n = &args->read.rules.missing_count;
    size_t at = 0;

    while (at < *n && strcmp(args->missing[at], value) < 0)
        at++;
    if (at < *n && !strcmp(args->missing[at], value))
        return KAP_OK;
    if (*n == KAP_IMPORT_MISSING) {
        kap_buf_printf(why, "--missing: at most %d values", KAP_IMPORT_MISSING);
        return KAP_E_INVALID;
    }
    if (!kap_utf8_valid(kap_span_str(value), NULL)) {
        kap_buf_str(why, "--missing: not UTF-8");
        return KAP_E_INVALID;
    }
    memmove(args->missing + at + 1, args->missing + at, (*n - at) * sizeof *args->missing);
    args->missing[at] = value;
    ++*n;
    return KAP_OK;
}

static int parse_key(const char *option, const char *value, const char **key, kap_buf_t *why)
{
    kap_span_t span = kap_span_str(value);

    if (span.size == 0 || span.size > KAP_LIMIT_STR_BYTES || !kap_utf8_valid(span, NULL)) {
        kap_buf_printf(why, "--%s: 1 to %d bytes of UTF-8", option, KAP_LIMIT_STR_BYTES);
        return KAP_E_INVALID;
    }
    *key = value;
    return KAP_OK;
}

static int parse_option(const kap_arg_t *said, kap_importargs_t *args, kap_buf_t *why)
{
    kap_logkeys_t *keys = &args->read.keys;
    if (strcmp(said->option, "into") == 0) {
        args->into = said->value;
        return parse_name(said->value, why);
    }
    if (strcmp(said->option, "actor") == 0)
        return parse_key("actor", said->value, &keys->actor_key, why);
    if (strcmp(said->option, "case") == 0)
        return parse_key("case", said->value, &keys->case_key, why);
    if (strcmp(said->option, "time") == 0)
        return parse_key("time", said->value, &keys->time_key, why);
    if (strcmp(said->option, "missing") == 0)
        return add_missing(args, said->value, why);
    if (strcmp(said->option, "delimiter") == 0) {
        args->read.kind = KAP_LOGKIND_CSV;
        return parse_delimiter(said->value, &args->read.delimiter, why);
    }
    if (strcmp(said->option, "zone") == 0)
        return parse_zone(said->value, args, why);
    if (strcmp(said->option, "max-skipped") == 0)
        return parse_limit(said->value, &args->read.rules.max_skipped, why);
    return KAP_OK; /* strict */
}

static int check_whole(const kap_args_t *said, kap_importargs_t *args, kap_buf_t *why)
{
    bool strict = kap_args_option(said, "strict");

    if (!args->into)
        kap_buf_str(why, "--into NAME is needed: the archive's name");
    else if (!args->read.keys.actor_key)
        kap_buf_str(why, "--actor KEY is needed: the attribute or column that names who acted, "
                         "such as org:resource");
    else if (said->word_count != 1)
        kap_buf_str(why, said->word_count == 0 ? "which FILE?" : "one FILE at a time");
    else if (strict && args->read.rules.max_skipped > 0)
        kap_buf_str(why, "--strict and --max-skipped contradict each other");
    if (why->size)
        return KAP_E_INVALID;
    args->read.path = said->words[0];
    if (strict)
        args->read.rules.max_skipped = 0;
    return KAP_OK;
}

int kap_importargs_check(const kap_args_t *said, kap_importargs_t *args, kap_buf_t *why)
{
    int rc = KAP_OK;

    memset(args, 0, sizeof *args);
    args->read.rules.zone = KAP_ZONE_UTC;
    args->read.rules.max_skipped = -1;
    args->read.progress = true;
    args->read.rules.missing = args->missing;
    strcpy(args->zone, "UTC");
    for (int i = 0; rc == KAP_OK && i < said->count; i++)
        rc = parse_option(&said->said[i], args, why);
    return rc ? rc : check_whole(said, args, why);
}

static void put_text(kap_buf_t *out, const char *key, const char *value)
{
    kap_buf_printf(out, "%s\"%s\":\"", out->size > 1 ? "," : "", key);
    kap_buf_json_text(out, kap_span_str(value));
    kap_buf_str(out, "\"");
}

void kap_importargs_options(const kap_importargs_t *args, kap_logkind_t kind,
                            const kap_logkeys_t *keys, kap_buf_t *out)
{
    char delimiter[2] = {args->read.delimiter ? args->read.delimiter : ',', '\0'};

    kap_buf_str(out, "{");
    put_text(out, "case", keys->case_key);
    if (kind == KAP_LOGKIND_CSV)
        put_text(out, "delimiter", delimiter);
    kap_buf_str(out, ",\"missing\":[");
    for (size_t i = 0; i < args->read.rules.missing_count; i++) {
        kap_buf_str(out, i ? ",\"" : "\"");
        kap_buf_json_text(out, kap_span_str(args->missing[i]));
        kap_buf_str(out, "\"");
    }
    kap_buf_str(out, "]");
    put_text(out, "time", keys->time_key);
    put_text(out, "zone", args->zone);
    kap_buf_str(out, "}");
}
