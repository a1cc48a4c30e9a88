/* SPDX-License-Identifier: MPL-2.0 */
/* Log: one JSON object a line on stderr: time, level, program, event, then the fields.
 *
 *   KAP_LOG(KAP_LOG_WARN, "store_slow", KAP_S("path", path), KAP_I("sync_ms", took));
 *   {"time":"2026-11-21T20:24:01.123Z","level":"warn","program":"broker","event":"store_slow",...}
 *
 * Event and field names are fixed words in snake case, the same word as in specification and
 * metrics; what varies goes into fields. Never log customer contents. Any thread.
 * A storm cannot stall a daemon: of one event name and level at most KAP_LOG_BURST lines a second
 * are written, the next line that is says how many were not ("suppressed"); a line is at most
 * 4 KiB (longer field values are cut); when stderr is a pipe nobody empties, lines are dropped
 * and counted ("dropped" in the next line that gets through). */
#ifndef KAP_LOG_H
#define KAP_LOG_H

#include "span.h"

enum { KAP_LOG_BURST = 20 };

typedef enum { KAP_LOG_ERROR, KAP_LOG_WARN, KAP_LOG_INFO, KAP_LOG_DEBUG } kap_log_level_t;

typedef struct {
    const char *key; /* NULL ends the list */
    kap_span_t text;
    int64_t number;
    enum { KAP_LOG_TEXT, KAP_LOG_NUMBER } kind;
} kap_log_field_t;

/* Field makers. KAP_S: a C string (NULL is logged as ""); KAP_SP: a span; KAP_I: an int64. */
#define KAP_S(name, string)                                                                        \
    ((kap_log_field_t){.key = (name), .text = kap_span_str(string), .kind = KAP_LOG_TEXT})
#define KAP_SP(name, span) ((kap_log_field_t){.key = (name), .text = (span), .kind = KAP_LOG_TEXT})
#define KAP_I(name, value)                                                                         \
    ((kap_log_field_t){.key = (name), .number = (int64_t)(value), .kind = KAP_LOG_NUMBER})

/* KAP_LOG(level, "event", fields...): fields are evaluated only when the level is on. */
#define KAP_LOG(level, ...)                                                                        \
    do {                                                                                           \
        if (kap_log_on(level))                                                                     \
            kap_log_write((level), __VA_ARGS__, (kap_log_field_t){.key = NULL});                   \
    } while (0)

/* The program's name (copied, at most 31 bytes) and the highest level written. Before this call:
 * program "kapula", level INFO. */
void kap_log_init(const char *program, kap_log_level_t level);

/* Lines go to this descriptor instead of stderr (tests). Not closed. */
void kap_log_to(int fd);

/* "error", "warn", "info", "debug" -> level; KAP_E_INVALID for another word. */
int kap_log_level_parse(const char *word, kap_log_level_t *level);

bool kap_log_on(kap_log_level_t level);

/* Behind KAP_LOG: fields ended by one with key NULL. */
void kap_log_write(kap_log_level_t level, const char *event, ...);

/* Says now what is still suppressed or dropped; call it before exit. */
void kap_log_flush(void);

#endif
