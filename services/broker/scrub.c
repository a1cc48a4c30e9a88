/* SPDX-License-Identifier: MPL-2.0 */
#include "scrub.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "be.h"
#include "err.h"
#include "hash.h"

#include "ids.h"
#include "rows.h"
#include "sound.h"
#include "seeded.h"

enum {
    SLICE = 1000,
    WORDS_BYTES = 400,
    KEY_BYTES = 200, /* of a key in words */
};

typedef enum { LOG, RECORDS, NAMES } phase_t;

struct kap_scrub {
    kap_scrub_fn *on_damage;
    void *arg;
    phase_t phase;
    bool names;
    bool begun, gap; /* gap: the chain passed something unreadable */
    uint64_t done;   /* position of the log read so far */
    uint8_t chain[KAP_LIMIT_HASH_BYTES];
    uint64_t bad_from, bad_why; /* damaged positions not told yet */
    kap_scrub_place_t place;
    kap_scrub_report_t report;
};

int kap_scrub_new(bool names, kap_scrub_fn *on_damage, void *arg, kap_scrub_t **out)
{
    kap_scrub_t *s = calloc(1, sizeof *s);

    if (s == NULL)
        return KAP_E_NOMEM;
    s->names = names;
    s->on_damage = on_damage;
    s->arg = arg;
    *out = s;
    return KAP_OK;
}

void kap_scrub_destroy(kap_scrub_t **scrub)
{
    free(*scrub);
    *scrub = NULL;
}

void kap_scrub_report(const kap_scrub_t *s, kap_scrub_report_t *report)
{
    *report = s->report;
}

static void tell(kap_scrub_t *s, const char *words)
{
    s->report.damages++;
    if (s->on_damage != NULL)
        s->on_damage(s->arg, words);
}

/* --- the log --- */

static void log_damaged(kap_scrub_t *s, uint64_t from)
{
    if (s->report.log_from == 0 || from < s->report.log_from)
        s->report.log_from = from;
}

/* Tells the positions that could not be read, once something can again. */
static void tell_bad(kap_scrub_t *s)
{
    char words[WORDS_BYTES];

    if (s->bad_from == 0)
        return;
    snprintf(words, sizeof words, "log, positions %" PRIu64 " to %" PRIu64 ": cannot be read",
             s->bad_from, s->done);
    log_damaged(s, s->bad_from);
    s->bad_from = 0;
    tell(s, words);
}

static bool is_part(kap_span_t part, const uint8_t hash[KAP_LIMIT_HASH_BYTES])
{
    uint8_t anew[KAP_LIMIT_HASH_BYTES];

    if (part.size == 0)
        return true;
    kap_part_hash(part, anew);
    return memcmp(anew, hash, sizeof anew) == 0;
}

/* Reads the position after what is done. Damage is remembered, and ends the snapshot: its error
 * sticks to it. */
static int read_one(kap_scrub_t *s, kap_log_walk_t *walk)
{
    kap_logged_t e;
    int rc = kap_log_walk_get(walk, s->done + 1, KAP_LOGGED_ENDS | KAP_LOGGED_SEALED, &e);

    if (rc == KAP_OK && !KAP_SEEDED_BUG("scrub_trusts_parts") &&
        !(is_part(e.ends, e.ends_hash) && is_part(e.sealed, e.sealed_hash)))
        rc = KAP_E_CORRUPT;
    if (rc != KAP_OK && rc != KAP_E_CORRUPT && rc != KAP_E_NOTFOUND)
        return rc;
    if (rc == KAP_OK) {
        tell_bad(s);
        kap_chain(s->chain, e.leaf, s->chain);
        s->done++;
        return KAP_OK;
    }
    if (s->bad_from == 0)
        s->bad_from = s->done + 1;
    s->gap = true;
    s->done++;
    return KAP_E_AGAIN;
}

/* Where the log begins: chain(0). */
static int begin(kap_scrub_t *s, kap_txn_t *txn, const kap_head_t *head)
{
    uint8_t epoch[KAP_LIMIT_EPOCH_BYTES];
    int rc = kap_rows_first_epoch(txn, head, epoch);

    if (rc != KAP_OK)
        return rc;
    s->done = s->bad_from = 0;
    s->gap = false;
    kap_chain_start(head->mesh, epoch, s->chain);
    s->begun = true;
    return KAP_OK;
}

/* The log is over as of this snapshot: the chain must end where the head says. */
static void end_log(kap_scrub_t *s, const kap_head_t *head)
{
    tell_bad(s);
    s->report.position = head->seq;
    if (!s->gap && memcmp(s->chain, head->chain, sizeof s->chain) != 0) {
        log_damaged(s, 1);
        tell(s, "log: its chain does not end where the head says; something was changed");
    }
    s->phase = RECORDS;
}

static int read_log(kap_scrub_t *s, kap_txn_t *txn, uint32_t most)
{
    kap_head_t head;
    kap_log_walk_t walk;
    int rc = kap_rows_head(txn, &head);

    if (!s->begun)
        s->report = (kap_scrub_report_t){0};
    if (rc == KAP_OK && !s->begun)
        rc = begin(s, txn, &head);
    if (rc == KAP_E_NOTFOUND || rc == KAP_E_CORRUPT) {
        tell(s, "meta, head: cannot be read; nothing says where the log ends");
        log_damaged(s, 1);
        s->phase = RECORDS;
        return KAP_E_AGAIN;
    }
    if (rc == KAP_OK)
        rc = kap_log_walk_open(txn, &walk);
    if (rc != KAP_OK)
        return rc;
    while (rc == KAP_OK && most-- > 0 && s->done < head.seq)
        rc = read_one(s, &walk);
    kap_log_walk_close(&walk);
    if (rc == KAP_OK && s->done >= head.seq)
        end_log(s, &head);
    return rc == KAP_OK ? KAP_E_AGAIN : rc;
}

/* --- the records --- */

typedef enum { AS_TEXT, AS_POSITION, AS_NUMBER, AS_NUMBER_AND_POSITION, AS_SCOPED, AS_BYTES } as_t;

static as_t key_is(int table)
{
    switch (table) {
    case KAP_ROWS_META:
    case KAP_ROWS_NAMES:
    case KAP_ROWS_FORUMS:
    case KAP_ROWS_MEETINGS:
    case KAP_ROWS_ACTIONS:
    case KAP_ROWS_ARCHIVES:
        return AS_TEXT;
    case KAP_ROWS_LOG:
    case KAP_ROWS_ENDS:
    case KAP_ROWS_SEALED:
    case KAP_ROWS_TAIL:
    case KAP_ROWS_DIRECTORIES:
        return AS_POSITION;
    case KAP_ROWS_TEXTS:
        return AS_NUMBER;
    case KAP_ROWS_STREAMS:
    case KAP_ROWS_RECEIPTS:
        return AS_NUMBER_AND_POSITION;
    case KAP_ROWS_REFERRALS:
    case KAP_ROWS_CASES:
    case KAP_ROWS_TITLES:
        return AS_SCOPED;
    default:
        return AS_BYTES;
    }
}

static bool is_readable(kap_span_t text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < 0x20 || text.data[i] > 0x7e)
            return false;
    }
    return text.size < KEY_BYTES;
}

static void bytes_in_words(kap_span_t key, char *out)
{
    if (is_readable(key))
        snprintf(out, KEY_BYTES, "%.*s", (int)key.size, (const char *)key.data);
    else
        kap_hex_encode(key.data, key.size < 64 ? key.size : 64, out);
}

static void key_in_words(int table, kap_span_t key, char out[KEY_BYTES])
{
    char rest[KEY_BYTES];
    as_t as = key_is(table);

    if (as == AS_TEXT && key.size > 1 && key.data[0] == KAP_ROWS_STREAM_MARK[0]) {
        bytes_in_words(kap_span_sub(key, 1, SIZE_MAX), rest);
        snprintf(out, KEY_BYTES, "stream %.180s", rest);
    } else if (as == AS_POSITION && key.size == 8) {
        snprintf(out, KEY_BYTES, "from position %" PRIu64, kap_be_get_u64(key.data));
    } else if (as == AS_NUMBER && key.size == 4) {
        snprintf(out, KEY_BYTES, "number %" PRIu32, kap_be_get_u32(key.data));
    } else if (as == AS_NUMBER_AND_POSITION && key.size == 12) {
        snprintf(out, KEY_BYTES, "number %" PRIu32 " from %" PRIu64, kap_be_get_u32(key.data),
                 kap_be_get_u64(key.data + 4));
    } else if (as == AS_SCOPED && key.size > 4) {
        bytes_in_words(kap_span_sub(key, 4, SIZE_MAX), rest);
        snprintf(out, KEY_BYTES, "%.180s", rest);
    } else {
        bytes_in_words(key, out);
    }
}

/* What cannot be made again from the log. */
static bool is_source(int table)
{
    return table < 0 || table == KAP_ROWS_META || table == KAP_ROWS_LOG || table == KAP_ROWS_ENDS ||
           table == KAP_ROWS_SEALED || table == KAP_ROWS_TEXTS || table == KAP_ROWS_DIRECTORIES;
}

static void on_damaged(void *arg, const kap_damaged_t *damaged)
{
    kap_scrub_t *s = arg;
    char key[KEY_BYTES] = "", words[WORDS_BYTES];
    const char *table = damaged->table < 0 ? "identity" : kap_rows_tables[damaged->table];

    key_in_words(damaged->table, damaged->key, key);
    if (damaged->beyond && damaged->key.size == 0)
        snprintf(words, sizeof words, "%s: no record of it can be reached", table);
    else
        snprintf(words, sizeof words, "%s, %s: %s", table, key,
                 damaged->beyond ? "what follows cannot be reached" : "the record is damaged");
    if (is_source(damaged->table)) {
        bool at = key_is(damaged->table) == AS_POSITION && damaged->key.size == 8;
        log_damaged(s, at && !damaged->beyond ? kap_be_get_u64(damaged->key.data) : 1);
    }
    tell(s, words);
}

/* Rows that a damaged page hides show where two tables must agree (sound.h). */
static int read_names(kap_scrub_t *s, kap_txn_t *txn)
{
    int rc = s->names ? kap_sound_check(txn, false) : KAP_OK;

    s->phase = LOG;
    s->begun = false;
    if (rc != KAP_E_CORRUPT)
        return rc;
    if (s->report.damages == 0)
        tell(s, "names, texts or receipts: a row is missing");
    return KAP_OK;
}

int kap_scrub_step(kap_scrub_t *s, kap_txn_t *txn, uint32_t most)
{
    if (s->phase == LOG)
        return read_log(s, txn, most);
    if (s->phase == NAMES)
        return read_names(s, txn);
    int rc = kap_txn_scrub(txn, &s->place, most, on_damaged, s);
    if (rc == KAP_OK)
        s->phase = NAMES;
    return rc == KAP_OK ? KAP_E_AGAIN : rc;
}

int kap_scrub_all(kap_store_t *store, kap_scrub_fn *on_damage, void *arg,
                  kap_scrub_report_t *report)
{
    kap_scrub_t *s = NULL;
    kap_txn_t *txn = NULL;
    int rc = kap_scrub_new(true, on_damage, arg, &s);

    if (rc == KAP_OK)
        rc = kap_txn_begin(store, KAP_TXN_READ, &txn);
    while (rc == KAP_OK && (rc = kap_scrub_step(s, txn, SLICE)) == KAP_E_AGAIN) {
        kap_txn_reset(txn);
        rc = kap_txn_renew(txn);
    }
    kap_txn_abort(&txn);
    if (rc == KAP_OK)
        kap_scrub_report(s, report);
    kap_scrub_destroy(&s);
    return rc;
}
