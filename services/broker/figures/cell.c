/* SPDX-License-Identifier: MPL-2.0 */
#include "cell.h"

#include <stdlib.h>
#include <string.h>

#include "be.h"
#include "err.h"
#include "limit.h"
#include "seeded.h"
#include "sketch.h"

enum {
    YEAR = 1 << KAP_PERIOD_YEAR,
    MONTH = 1 << KAP_PERIOD_MONTH,
    DAY = 1 << KAP_PERIOD_DAY,
    SIZE_BYTES = 4,
    PARTS_MAX = 2 * KAP_LIMIT_CASE_REFERRALS, /* of a case of the mesh */
};

/* Which rows are kept: periods of the counts and of the sketches, of NONE and of each breakdown.
 * Rows can be saved here and nowhere else: what is not kept is answered from the cohort. */
static const struct {
    uint8_t counts, sketches, broken_counts, broken_sketches;
} kept[KAP_LEVEL_COUNT] = {
    [KAP_LEVEL_EDGE] = {YEAR | MONTH, YEAR | MONTH, MONTH, 0},
    [KAP_LEVEL_SENDS] = {YEAR | MONTH | DAY, YEAR | MONTH, MONTH, 0},
    [KAP_LEVEL_GETS] = {YEAR | MONTH | DAY, YEAR | MONTH, MONTH, 0},
    [KAP_LEVEL_MEMBER] = {YEAR | MONTH | DAY, YEAR | MONTH, 0, 0},
    [KAP_LEVEL_PAIR] = {YEAR | MONTH | DAY, 0, 0, 0},
    [KAP_LEVEL_ORGANISATION] = {YEAR | MONTH | DAY, YEAR | MONTH, 0, 0},
    [KAP_LEVEL_REGION] = {YEAR | MONTH | DAY, YEAR | MONTH, YEAR | MONTH, YEAR | MONTH},
    [KAP_LEVEL_AREA] = {YEAR | MONTH | DAY, YEAR | MONTH, YEAR | MONTH, YEAR | MONTH},
    [KAP_LEVEL_NATION] = {YEAR | MONTH | DAY, YEAR | MONTH, YEAR | MONTH, YEAR | MONTH},
};

/* --- keys --- */

/* Signed numbers in order of bytes. */
static uint32_t ordered(int32_t at)
{
    return (uint32_t)at ^ UINT32_C(1) << 31;
}

void kap_cell_key(uint8_t key[KAP_CELL_KEY], const kap_cell_t *cell)
{
    key[0] = cell->level;
    kap_be_put_u32(key + 1, cell->region);
    kap_be_put_u32(key + 5, cell->a);
    kap_be_put_u32(key + 9, cell->b);
    key[13] = cell->breakdown;
    key[14] = cell->period;
    kap_be_put_u32(key + 15, ordered(cell->at));
}

bool kap_cell_split(kap_span_t key, kap_cell_t *cell)
{
    if (key.size != KAP_CELL_KEY || key.data[0] == 0 || key.data[0] >= KAP_LEVEL_COUNT ||
        key.data[13] >= KAP_BREAKDOWN_COUNT || key.data[14] > KAP_PERIOD_DAY)
        return false;
    *cell = (kap_cell_t){.level = key.data[0],
                         .region = kap_be_get_u32(key.data + 1),
                         .a = kap_be_get_u32(key.data + 5),
                         .b = kap_be_get_u32(key.data + 9),
                         .breakdown = key.data[13],
                         .period = key.data[14],
                         .at = (int32_t)ordered((int32_t)kap_be_get_u32(key.data + 15))};
    return true;
}

bool kap_cell_kept(kap_level_t level, kap_breakdown_t breakdown, kap_period_t period, bool counts)
{
    uint8_t periods = breakdown == KAP_BREAKDOWN_NONE
                          ? (counts ? kept[level].counts : kept[level].sketches)
                          : (counts ? kept[level].broken_counts : kept[level].broken_sketches);

    return periods >> period & 1;
}

void kap_cohort_key(uint8_t bytes[KAP_COHORT_KEY], const kap_cohort_key_t *key)
{
    kap_be_put_u32(bytes, key->region);
    kap_be_put_u32(bytes + 4, key->from);
    kap_be_put_u32(bytes + 8, key->to);
    kap_be_put_u64(bytes + 12, (uint64_t)key->at ^ UINT64_C(1) << 63);
    kap_be_put_u64(bytes + 20, key->seq);
}

bool kap_cohort_split(kap_span_t bytes, kap_cohort_key_t *key)
{
    if (bytes.size != KAP_COHORT_KEY)
        return false;
    key->region = kap_be_get_u32(bytes.data);
    key->from = kap_be_get_u32(bytes.data + 4);
    key->to = kap_be_get_u32(bytes.data + 8);
    key->at = (int64_t)(kap_be_get_u64(bytes.data + 12) ^ UINT64_C(1) << 63);
    key->seq = kap_be_get_u64(bytes.data + 20);
    return true;
}

/* --- periods --- */

static int32_t period_of(kap_period_t period, int32_t days)
{
    if (period == KAP_PERIOD_DAY)
        return days;
    kap_date_t date = kap_date_of_days(days);
    return period == KAP_PERIOD_YEAR ? date.year : date.year * 12 + date.month - 1;
}

int32_t kap_cell_at(kap_period_t period, kap_zone_t zone, int64_t at_ms)
{
    return period_of(period,
                     kap_days_of(KAP_SEEDED_BUG("days_of_utc") ? KAP_ZONE_UTC : zone, at_ms));
}

int64_t kap_cell_start(kap_period_t period, kap_zone_t zone, int32_t at)
{
    kap_date_t first = {1, 1, 1};
    int32_t year = period == KAP_PERIOD_YEAR ? at : at / 12;

    if (period == KAP_PERIOD_DAY)
        return kap_days_start_ms(zone, at);
    if (at < (period == KAP_PERIOD_YEAR ? 1 : 12))
        return kap_day_start_ms(zone, first);
    if (year > 9999)
        return kap_day_end_ms(zone, (kap_date_t){9999, 12, 31});
    first.year = (int16_t)year;
    first.month = (int8_t)(period == KAP_PERIOD_YEAR ? 1 : at % 12 + 1);
    return kap_day_start_ms(zone, first);
}

/* --- values: pairs (distance to the next figure, count), the first from -1; of a breakdown:
 * distance to the next value, size, and its pairs or sketches --- */

/* Reads the pairs of a vector. */
typedef struct {
    kap_span_t rest;
    int64_t figure;
    uint64_t count;
    bool there, broken;
} pairs_t;

static void pairs_next(pairs_t *p)
{
    uint64_t distance;

    p->there = p->rest.size > 0;
    if (!p->there)
        return;
    p->broken = !kap_get_varint(&p->rest, &distance) || !kap_get_varint(&p->rest, &p->count) ||
                distance == 0 || distance > KAP_FIGURE_COUNT;
    if (!p->broken)
        p->figure += (int64_t)distance;
    p->broken = p->broken || p->figure >= KAP_FIGURE_COUNT;
    p->there = !p->broken;
}

static pairs_t pairs_of(kap_span_t vector)
{
    pairs_t p = {.rest = vector, .figure = -1};

    pairs_next(&p);
    return p;
}

static int add_vector(kap_span_t bytes, kap_vector_t *to)
{
    pairs_t p = pairs_of(bytes);

    for (; p.there; pairs_next(&p))
        to->counts[p.figure] += p.count;
    return p.broken ? KAP_E_CORRUPT : KAP_OK;
}

/* Takes the next value of a breakdown's row; *last is that of the one before, -1 at first. */
static bool take_value(kap_span_t *rest, int32_t *last, kap_span_t *bytes, int *rc)
{
    uint64_t distance;

    *rc = KAP_OK;
    if (rest->size == 0)
        return false;
    *rc = KAP_E_CORRUPT;
    if (!kap_get_varint(rest, &distance) || distance == 0 || distance > UINT16_MAX ||
        rest->size < SIZE_BYTES || *last + (int32_t)distance > UINT16_MAX)
        return false;
    size_t size = kap_be_get_u32(rest->data);
    if (size == 0 || size > rest->size - SIZE_BYTES)
        return false;
    *last += (int32_t)distance;
    *bytes = kap_span(rest->data + SIZE_BYTES, size);
    *rest = kap_span_sub(*rest, SIZE_BYTES + size, SIZE_MAX);
    *rc = KAP_OK;
    return true;
}

int kap_cell_add(kap_span_t row, kap_breakdown_t breakdown, int32_t value, kap_vector_t *to)
{
    kap_span_t vector;
    int32_t at = -1;
    int rc = KAP_OK;

    if (breakdown == KAP_BREAKDOWN_NONE)
        return add_vector(row, to);
    while (rc == KAP_OK && take_value(&row, &at, &vector, &rc)) {
        if (value < 0 || at == value)
            rc = add_vector(vector, to);
    }
    return rc;
}

int kap_cell_add_times(kap_span_t row, kap_breakdown_t breakdown, int32_t value, unsigned which,
                       uint64_t counts[KAP_SKETCH_BUCKETS])
{
    kap_span_t sketch;
    int32_t at = -1;
    int rc = KAP_OK;

    if (breakdown == KAP_BREAKDOWN_NONE)
        return kap_sketch_add(row, which, counts);
    while (rc == KAP_OK && take_value(&row, &at, &sketch, &rc)) {
        if (value < 0 || at == value)
            rc = kap_sketch_add(sketch, which, counts);
    }
    return rc;
}

bool kap_cell_next(kap_cell_walk_t *walk, uint16_t *value, kap_vector_t *vector, int *rc)
{
    kap_span_t bytes;

    if (!take_value(&walk->rest, &walk->last, &bytes, rc))
        return false;
    *value = (uint16_t)walk->last;
    memset(vector, 0, sizeof *vector);
    *rc = add_vector(bytes, vector);
    return *rc == KAP_OK;
}

static int by_place(const void *a, const void *b)
{
    const kap_cell_change_t *x = a, *y = b;

    if (x->value != y->value)
        return x->value < y->value ? -1 : 1;
    return (x->figure > y->figure) - (x->figure < y->figure);
}

static bool is_sorted(const kap_cell_change_t *changes, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        if (by_place(&changes[i - 1], &changes[i]) > 0)
            return false;
    }
    return true;
}

/* Appends the vector that follows from another and changes of one value. */
static int merge_vector(kap_span_t vector, const kap_cell_change_t *changes, size_t count,
                        kap_buf_t *out)
{
    pairs_t old = pairs_of(vector);
    int64_t last = -1;
    size_t i = 0;

    while (old.there || i < count) {
        int64_t figure = old.there && (i == count || old.figure <= changes[i].figure)
                             ? old.figure
                             : changes[i].figure;
        int64_t sum = 0;
        if (old.there && old.figure == figure) {
            sum = (int64_t)old.count;
            pairs_next(&old);
        }
        for (; i < count && changes[i].figure == figure; i++)
            sum += changes[i].by;
        if (sum < 0)
            return KAP_E_CORRUPT; /* rows and sums contradict each other */
        if (sum == 0)
            continue;
        kap_put_varint(out, (uint64_t)(figure - last));
        kap_put_varint(out, (uint64_t)sum);
        last = figure;
    }
    return old.broken ? KAP_E_CORRUPT : out->err;
}

/* Begins a value in a breakdown's row, and ends it: it is not there when nothing is left of it. */
typedef struct {
    int32_t last; /* the value before, -1 at first */
    size_t begun, at;
} values_t;

static void begin_value(values_t *v, int32_t value, kap_buf_t *out)
{
    v->begun = out->size;
    kap_put_varint(out, (uint64_t)(value - v->last));
    v->at = out->size;
    kap_buf_u32be(out, 0);
}

static void end_value(values_t *v, int32_t value, kap_buf_t *out)
{
    if (out->err != KAP_OK)
        return;
    size_t size = out->size - v->at - SIZE_BYTES;
    if (size == 0) {
        out->size = v->begun;
        return;
    }
    kap_be_put_u32(out->data + v->at, (uint32_t)size);
    v->last = value;
}

/* The values of a row, and changes of values, side by side. */
typedef struct {
    kap_span_t rest, bytes; /* bytes: of `value` as it was, or empty */
    int32_t old, value;
    bool there;
    int rc;
} merging_t;

static merging_t merging_of(kap_span_t row)
{
    merging_t m = {.rest = row, .old = -1};

    m.there = take_value(&m.rest, &m.old, &m.bytes, &m.rc);
    return m;
}

/* The bytes of the lowest value, which the caller's next change may have too; `next` is that one's,
 * INT32_MAX: there is no more. False at the end. */
static bool next_value(merging_t *m, int32_t next, kap_span_t *bytes)
{
    if (m->rc != KAP_OK || (!m->there && next == INT32_MAX))
        return false;
    m->value = m->there && m->old <= next ? m->old : next;
    *bytes = kap_span(NULL, 0);
    if (m->there && m->old == m->value) {
        *bytes = m->bytes;
        m->there = take_value(&m->rest, &m->old, &m->bytes, &m->rc);
    }
    return true;
}

int kap_cell_merge(kap_span_t row, kap_breakdown_t breakdown, kap_cell_change_t *changes,
                   size_t count, kap_buf_t *out)
{
    values_t values = {.last = -1};
    kap_span_t bytes;
    int rc = KAP_OK;

    if (!is_sorted(changes, count)) /* the writer's are */
        qsort(changes, count, sizeof *changes, by_place);
    if (breakdown == KAP_BREAKDOWN_NONE)
        return merge_vector(row, changes, count, out);
    merging_t m = merging_of(row);
    for (size_t i = 0, end; next_value(&m, i < count ? changes[i].value : INT32_MAX, &bytes);
         i = end) {
        for (end = i; end < count && changes[end].value == m.value;)
            end++;
        begin_value(&values, m.value, out);
        rc = merge_vector(bytes, changes + i, end - i, out);
        if (rc != KAP_OK)
            return rc;
        end_value(&values, m.value, out);
    }
    return m.rc != KAP_OK ? m.rc : out->err;
}

static int by_value(const void *a, const void *b)
{
    const kap_sketch_change_t *x = a, *y = b;

    return (x->value > y->value) - (x->value < y->value);
}

int kap_cell_merge_times(kap_span_t row, kap_breakdown_t breakdown, kap_sketch_change_t *changes,
                         size_t count, kap_buf_t *out)
{
    values_t values = {.last = -1};
    kap_span_t bytes;
    int rc = KAP_OK;

    if (breakdown == KAP_BREAKDOWN_NONE)
        return kap_sketch_merge(row, changes, count, out);
    if (count > 0)
        qsort(changes, count, sizeof *changes, by_value);
    merging_t m = merging_of(row);
    for (size_t i = 0, end; next_value(&m, i < count ? changes[i].value : INT32_MAX, &bytes);
         i = end) {
        for (end = i; end < count && changes[end].value == m.value;)
            end++;
        begin_value(&values, m.value, out);
        rc = kap_sketch_merge(bytes, changes + i, end - i, out);
        if (rc != KAP_OK)
            return rc;
        end_value(&values, m.value, out);
    }
    return m.rc != KAP_OK ? m.rc : out->err;
}

/* --- where a fact counts --- */

/* The periods of one scope. */
static int each_period(kap_cell_t cell, int32_t day, kap_cell_fn fn, void *arg)
{
    kap_level_t level = (kap_level_t)cell.level;
    kap_breakdown_t breakdown = (kap_breakdown_t)cell.breakdown;
    int rc = KAP_OK;

    for (kap_period_t p = KAP_PERIOD_YEAR; rc == KAP_OK && p <= KAP_PERIOD_DAY; p++) {
        bool counts = kap_cell_kept(level, breakdown, p, true);
        bool times = kap_cell_kept(level, breakdown, p, false);
        if (!counts && !times)
            continue;
        cell.period = (uint8_t)p;
        cell.at = period_of(p, day);
        rc = fn(arg, &cell, counts, times);
    }
    return rc;
}

int kap_cell_each(uint32_t region, uint32_t from, uint32_t to, uint32_t area, int32_t day,
                  kap_breakdown_t breakdown, kap_cell_fn fn, void *arg)
{
    const kap_cell_t cells[] = {
        {.level = KAP_LEVEL_EDGE, .region = region, .a = from, .b = to},
        {.level = KAP_LEVEL_SENDS, .region = region, .a = from},
        {.level = KAP_LEVEL_GETS, .region = region, .a = to},
        {.level = KAP_LEVEL_REGION, .region = region},
        {.level = KAP_LEVEL_AREA, .region = area},
        {.level = KAP_LEVEL_NATION},
    };
    size_t count = area == 0 ? 4 : 6;
    int rc = KAP_OK;

    for (size_t i = 0; rc == KAP_OK && i < count; i++) {
        kap_cell_t cell = cells[i];
        cell.breakdown = (uint8_t)breakdown;
        rc = each_period(cell, day, fn, arg);
    }
    return rc;
}

/* Cells of a case are told one after the other. */
typedef struct {
    const kap_path_part_t *parts;
    uint32_t count;
    int32_t day;
    kap_cell_fn fn;
    void *arg;
    int rc;
} telling_t;

static void tell(telling_t *t, kap_level_t level, uint32_t region, uint32_t a, uint32_t b)
{
    kap_cell_t cell = {.level = (uint8_t)level,
                       .region = region,
                       .a = a < b || b == 0 ? a : b,
                       .b = a < b || b == 0 ? b : a};

    if (t->rc == KAP_OK)
        t->rc = each_period(cell, t->day, t->fn, t->arg);
}

/* Regions, members in them, and pairs: parts lie in order of region. */
static void tell_regions(telling_t *t)
{
    const kap_path_part_t *p = t->parts;

    for (uint32_t i = 0; i < t->count; i++) {
        if (i == 0 || p[i].region != p[i - 1].region)
            tell(t, KAP_LEVEL_REGION, p[i].region, 0, 0);
        tell(t, KAP_LEVEL_MEMBER, p[i].region, p[i].member, 0);
        for (uint32_t j = i + 1; j < t->count && p[j].region == p[i].region; j++)
            tell(t, KAP_LEVEL_PAIR, p[i].region, p[i].member, p[j].member);
    }
}

static bool is_first_area(const kap_path_part_t *parts, uint32_t i)
{
    for (uint32_t j = 0; j < i; j++) {
        if (parts[j].area == parts[i].area)
            return false;
    }
    return parts[i].area != 0;
}

static bool is_first_organisation(const kap_path_part_t *parts, uint32_t i)
{
    for (uint32_t j = 0; j < i; j++) {
        if (parts[j].organisation == parts[i].organisation)
            return false;
    }
    return parts[i].organisation != 0;
}

static bool is_first_member(const kap_path_part_t *parts, uint32_t i)
{
    for (uint32_t j = 0; j < i; j++) {
        if (parts[j].member == parts[i].member)
            return false;
    }
    return true;
}

/* Areas, organisations and members, each once, whatever the region. */
static void tell_mesh(telling_t *t)
{
    uint32_t members[PARTS_MAX], count = 0;
    bool nation = false;

    for (uint32_t i = 0; i < t->count; i++) {
        if (is_first_area(t->parts, i))
            tell(t, KAP_LEVEL_AREA, t->parts[i].area, 0, 0);
        if (is_first_organisation(t->parts, i))
            tell(t, KAP_LEVEL_ORGANISATION, 0, t->parts[i].organisation, 0);
        nation = nation || t->parts[i].area != 0;
        if (!is_first_member(t->parts, i))
            continue;
        tell(t, KAP_LEVEL_MEMBER, 0, t->parts[i].member, 0);
        for (uint32_t j = 0; j < count; j++)
            tell(t, KAP_LEVEL_PAIR, 0, members[j], t->parts[i].member);
        members[count++] = t->parts[i].member;
    }
    if (nation)
        tell(t, KAP_LEVEL_NATION, 0, 0, 0);
}

int kap_cell_each_path(const kap_path_part_t *parts, uint32_t count, bool utc, int32_t day,
                       kap_cell_fn fn, void *arg)
{
    telling_t t = {parts, count, day, fn, arg, KAP_OK};

    if (!utc && count > PARTS_MAX)
        return KAP_E_CORRUPT;
    tell_regions(&t);
    if (!utc)
        tell_mesh(&t);
    return t.rc;
}

/* --- what a fact counts there --- */

static void add_share(kap_cell_share_t *shares, uint32_t *count, int32_t day, kap_figure_t figure)
{
    uint32_t i = 0;

    while (i < *count && shares[i].day != day)
        i++;
    if (i == *count)
        shares[(*count)++] = (kap_cell_share_t){.day = day};
    kap_figure_add(&shares[i].figures, figure);
}

uint32_t kap_cell_shares(const kap_cohort_key_t *key, const kap_fact_t *fact,
                         kap_cell_share_t shares[KAP_CELL_SHARES])
{
    const struct {
        kap_figure_t figure;
        int64_t at;
    } flows[] = {
        {KAP_FIGURE_FLOW_DELIVERED, fact->delivered_at},
        {KAP_FIGURE_FLOW_ACCEPTED, fact->accepted_at},
        {KAP_FIGURE_FLOW_CONTACTED, fact->contact_at},
        {KAP_FIGURE_FLOW_COMPLETED, fact->ended_at},
        {KAP_FIGURE_FLOW_TURNED_AWAY, fact->ended_at},
        {KAP_FIGURE_FLOW_WITHDRAWN, fact->ended_at},
    };
    kap_zone_t zone = kap_cell_zone(key->utc);
    uint32_t count = 1;

    shares[0] = (kap_cell_share_t){.day = kap_days_of(zone, key->at), .figures = fact->figures};
    for (size_t i = 0; i < sizeof flows / sizeof flows[0]; i++) {
        if (!kap_figure_in(&fact->figures, flows[i].figure))
            continue;
        shares[0].figures.bits[flows[i].figure / 64] &= ~(UINT64_C(1) << (flows[i].figure % 64));
        if (flows[i].at != KAP_REFERRAL_NO_TIME)
            add_share(shares, &count, kap_days_of(zone, flows[i].at), flows[i].figure);
    }
    return count;
}

static uint32_t add_time(kap_cell_time_t *times, uint32_t count, kap_figure_time_t time,
                         const kap_spent_t *spent)
{
    if (spent->working_ms != KAP_REFERRAL_NO_SPAN_MS)
        times[count++] = (kap_cell_time_t){(uint16_t)kap_cell_which(time, false),
                                           (uint16_t)kap_sketch_bucket(spent->working_ms)};
    if (spent->elapsed_ms != KAP_REFERRAL_NO_SPAN_MS)
        times[count++] = (kap_cell_time_t){(uint16_t)kap_cell_which(time, true),
                                           (uint16_t)kap_sketch_bucket(spent->elapsed_ms)};
    return count;
}

uint32_t kap_cell_times(const kap_fact_t *fact, kap_cell_time_t times[KAP_CELL_TIMES])
{
    uint32_t count = 0;

    for (unsigned i = 0; i < KAP_FIGURE_TIME_COUNT; i++)
        count = add_time(times, count, (kap_figure_time_t)i, &fact->times[i]);
    return count;
}

uint32_t kap_cell_path_times(const kap_path_t *path, kap_cell_time_t times[KAP_CELL_TIMES])
{
    uint32_t count = add_time(times, 0, KAP_FIGURE_TIME_COMPLETE_CASE, &path->complete);

    if (path->chain > 0)
        times[count++] = (kap_cell_time_t){
            (uint16_t)kap_cell_which(KAP_FIGURE_TIME_CHAIN, false),
            path->chain < KAP_SKETCH_BUCKETS ? (uint16_t)path->chain : KAP_SKETCH_BUCKETS - 1};
    return count;
}

/* A fact, or a path, on its way to every cell. */
typedef struct {
    const kap_fact_t *fact; /* NULL: a path; each figure counts 1 */
    kap_figure_set_t figures;
    const kap_cell_time_t *times;
    uint32_t time_count;
    int sign;
    uint16_t value;
    kap_cell_count_fn count;
    kap_cell_time_fn time;
    void *arg;
} spread_t;

static int spread_figure(spread_t *s, const kap_cell_t *cell, kap_figure_t figure)
{
    uint64_t by = s->fact == NULL ? 1 : kap_fact_count(s->fact, figure);

    if (by == 0)
        return KAP_OK;
    return s->count(s->arg, cell, s->value, figure, s->sign * (int64_t)by);
}

static int spread_cell(void *arg, const kap_cell_t *cell, bool counts, bool times)
{
    spread_t *s = arg;
    int rc = KAP_OK;

    for (unsigned i = 0; counts && rc == KAP_OK && i < KAP_FIGURE_COUNT; i++) {
        if (kap_figure_in(&s->figures, (kap_figure_t)i))
            rc = spread_figure(s, cell, (kap_figure_t)i);
    }
    for (uint32_t i = 0; times && rc == KAP_OK && i < s->time_count; i++)
        rc = s->time(s->arg, cell, s->value, s->times[i].which, s->times[i].bucket, s->sign);
    return rc;
}

int kap_cell_spread(const kap_cohort_key_t *key, const kap_fact_t *fact, int sign,
                    kap_cell_count_fn count, kap_cell_time_fn time, void *arg)
{
    kap_cell_share_t shares[KAP_CELL_SHARES];
    kap_cell_time_t times[KAP_CELL_TIMES];
    spread_t s = {.fact = fact, .times = times, .sign = sign, .count = count, .time = time};
    uint32_t share_count = kap_cell_shares(key, fact, shares);
    uint32_t time_count = kap_cell_times(fact, times);
    int rc = KAP_OK;

    s.arg = arg;
    for (uint32_t i = 0; rc == KAP_OK && i < share_count * KAP_BREAKDOWN_COUNT; i++) {
        const kap_cell_share_t *share = &shares[i / KAP_BREAKDOWN_COUNT];
        kap_breakdown_t breakdown = (kap_breakdown_t)(i % KAP_BREAKDOWN_COUNT);
        s.figures = share->figures;
        s.time_count = share == shares ? time_count : 0;
        s.value = fact->breakdown[breakdown];
        rc = kap_cell_each(key->region, key->from, key->to, fact->area, share->day, breakdown,
                           spread_cell, &s);
    }
    return rc;
}

int kap_cell_spread_path(const kap_path_t *path, int sign, kap_cell_count_fn count,
                         kap_cell_time_fn time, void *arg)
{
    kap_cell_time_t times[KAP_CELL_TIMES];
    spread_t s = {.figures = path->figures,
                  .times = times,
                  .time_count = kap_cell_path_times(path, times),
                  .sign = sign,
                  .count = count,
                  .time = time,
                  .arg = arg};

    if (path->figures.bits[0] == 0 && path->figures.bits[1] == 0)
        return KAP_OK;
    return kap_cell_each_path(path->parts, path->part_count, path->utc,
                              kap_days_of(kap_cell_zone(path->utc), path->started_at), spread_cell,
                              &s);
}
