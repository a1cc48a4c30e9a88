/* SPDX-License-Identifier: MPL-2.0 */
/* Metric 18: the follow-up model, and the least that every contract follows. Answers of surveys are
 * told from KAP_OWN_LEAST on; an area adds up what its regions may tell. */
#include "clock.h"
#include "codes.h"
#include "err.h"
#include "followup.h"
#include "metric_own.h"
#include "mp.h"

enum { SCALES = 2, ALL_SEGMENTS = -2 };

static const int scales[SCALES] = {4, 5};

/* What is gathered over the regions of a scope. */
typedef struct {
    const kap_metric_at_t *at;
    const kap_metric_query_t *query;
    kap_metric_values_t *values;
    int first, last; /* years of the window */
    kap_tallies_t plans, surveys, customers, advice, channels, origins, indicators;
    uint64_t feedback[SCALES][KAP_OWN_SEGMENTS];
    int64_t feedback_sum[SCALES][KAP_OWN_SEGMENTS];
    uint64_t n, ways[KAP_WAY_COUNT];
    kap_tallies_t regions; /* what each reports of the least */
    /* of the region in hand */
    kap_tallies_t answers;
    bool reports[KAP_MINIMUM_COUNT];
} follow_t;

static const kap_span_t no_text = {(const uint8_t *)"", 0};

static int done(const kap_tallies_t *tallies)
{
    return tallies->err;
}

/* --- plans --- */

enum { ITEMS, REACHED, UNREPORTED, DROPPED };

static void count_item(follow_t *f, const kap_followed_item_t *item, int year)
{
    kap_tally_t *row = kap_tally(&f->plans, no_text, no_text, year, item->plan, 0, 0);

    if (row == NULL)
        return;
    row->v[ITEMS]++;
    row->v[REACHED] += kap_plan_reached(item->progress, item->status);
    row->v[UNREPORTED] += !item->reported;
    row->v[DROPPED] += item->status == KAP_PLAN_STATUS_DROPPED;
}

static int add_item(void *arg, const kap_followed_item_t *item)
{
    follow_t *f = arg;
    int first = item->first_year > f->first ? item->first_year : f->first;
    int last = item->last_year < f->last ? item->last_year : f->last;

    if (!kap_own_is_segment(f->query, item->segment) || (item->first_year != 0 && first > last))
        return KAP_OK;
    f->n++;
    if (item->first_year == 0)
        first = last = 0;
    for (int year = first; year <= last; year++)
        count_item(f, item, year);
    return done(&f->plans);
}

static void put_year(kap_buf_t *item, int year)
{
    if (year != 0)
        kap_metric_number(item, "year", (uint64_t)year);
    else
        kap_own_nil(item, "year");
}

static void put_plans(follow_t *f)
{
    kap_metric_list_t list = {0};

    kap_tally_sort(&f->plans);
    for (size_t i = 0; i < f->plans.count; i++) {
        const kap_tally_t *row = f->plans.rows[i];
        kap_buf_t *item = kap_metric_item(&list, 7);
        if (item == NULL)
            continue;
        kap_own_code(item, "plan", KAP_LIST_PLAN, row->k[1]);
        put_year(item, row->k[0]);
        kap_metric_number(item, "items", (uint64_t)row->v[ITEMS]);
        kap_metric_number(item, "reached", (uint64_t)row->v[REACHED]);
        kap_metric_rate(item, "share", (uint64_t)row->v[REACHED], (uint64_t)row->v[ITEMS]);
        kap_metric_number(item, "unreported", (uint64_t)row->v[UNREPORTED]);
        kap_metric_number(item, "dropped", (uint64_t)row->v[DROPPED]);
    }
    kap_metric_put_list(f->values, "plans", &list);
}

/* --- surveys --- */

enum { ANSWERS, SUM, TEXTS, LEFT_OUT, SHOWN };

static int add_survey(void *arg, const kap_followed_survey_t *survey)
{
    follow_t *f = arg;
    kap_tally_t *row = kap_tally(&f->answers, survey->survey, survey->question, survey->year,
                                 survey->scale, survey->segment, 0);

    for (int s = 0; s < SCALES && kap_own_is_feedback(survey); s++) {
        if (survey->scale == scales[s]) {
            f->feedback[s][survey->segment + 1] += survey->n;
            f->feedback_sum[s][survey->segment + 1] += survey->sum_milli;
            f->reports[KAP_MINIMUM_FEEDBACK] |= survey->n > 0;
        }
    }
    if (row == NULL)
        return KAP_E_NOMEM;
    row->v[ANSWERS] += (int64_t)survey->n;
    row->v[SUM] += survey->sum_milli;
    row->v[TEXTS] += (int64_t)survey->texts;
    return KAP_OK;
}

static bool is_same_question(const kap_tally_t *a, const kap_tally_t *b)
{
    return kap_span_eq(a->a, b->a) && kap_span_eq(a->b, b->b) && a->k[0] == b->k[0] &&
           a->k[1] == b->k[1];
}

static uint64_t answers_of(const kap_tally_t *row)
{
    return (uint64_t)(row->v[ANSWERS] > row->v[TEXTS] ? row->v[ANSWERS] : row->v[TEXTS]);
}

/* One question of the region, by segments: rows[0 .. count - 1]. */
static int add_question(follow_t *f, kap_tally_t *const *rows, size_t count)
{
    uint64_t n[KAP_OWN_SEGMENTS] = {0}, all = 0, asked = 0;
    bool hidden[KAP_OWN_SEGMENTS], hide = false;
    int64_t sums[SHOWN] = {0};

    for (size_t i = 0; i < count; i++)
        n[rows[i]->k[2] + 1] = answers_of(rows[i]);
    kap_own_hide(n, KAP_OWN_SEGMENTS, hidden);
    for (size_t i = 0; i < count; i++) {
        all += answers_of(rows[i]);
        if (!kap_own_is_segment(f->query, rows[i]->k[2]))
            continue;
        asked += answers_of(rows[i]);
        hide |= hidden[rows[i]->k[2] + 1];
        for (int v = ANSWERS; v <= TEXTS; v++)
            sums[v] += rows[i]->v[v];
    }
    if (asked == 0)
        return KAP_OK;
    f->n += asked;
    hide = asked < all ? hide : all < KAP_OWN_LEAST; /* a part, or the whole */
    kap_tally_t *row =
        kap_tally(&f->surveys, rows[0]->a, rows[0]->b, rows[0]->k[0], rows[0]->k[1], 0, 0);
    if (row == NULL)
        return KAP_E_NOMEM;
    row->v[LEFT_OUT] += hide;
    row->v[SHOWN] += !hide;
    for (int v = ANSWERS; v <= TEXTS && !hide; v++)
        row->v[v] += sums[v];
    return KAP_OK;
}

/* What a region may tell of its surveys. */
static int add_surveys(follow_t *f, uint32_t region)
{
    f->answers = (kap_tallies_t){.arena = f->at->arena};
    int rc = kap_followed_surveys(f->at->txn, region, f->first, f->last, add_survey, f);
    kap_tally_sort(&f->answers);
    for (size_t i = 0, next; rc == KAP_OK && i < f->answers.count; i = next) {
        for (next = i + 1;
             next < f->answers.count && is_same_question(f->answers.rows[i], f->answers.rows[next]);
             next++)
            ;
        rc = add_question(f, f->answers.rows + i, next - i);
    }
    return rc;
}

/* n and mean of answers, nil where they are hidden: two pairs, and a third that says so. */
static void put_mean(kap_buf_t *item, uint64_t n, int64_t sum, uint64_t values, bool hidden)
{
    if (hidden)
        kap_own_nil(item, "n");
    else
        kap_metric_number(item, "n", n);
    kap_own_mean(item, "mean", sum, hidden ? 0 : values);
    if (hidden)
        kap_own_flag(item, "hidden", true);
}

static void put_question(kap_metric_list_t *list, const kap_tally_t *row, bool own)
{
    bool hidden = row->v[SHOWN] == 0, less = !hidden && row->v[LEFT_OUT] > 0;
    kap_buf_t *item = kap_metric_item(list, (own ? 5u : 7u) + less);

    if (item == NULL)
        return;
    if (!own)
        kap_metric_text(item, "survey", row->a);
    kap_metric_text(item, "question", row->b);
    kap_metric_number(item, "year", (uint64_t)row->k[0]);
    if (!own && row->k[1] != 0)
        kap_metric_number(item, "scale", (uint64_t)row->k[1]);
    else if (!own)
        kap_own_nil(item, "scale");
    put_mean(item, answers_of(row), row->v[SUM], (uint64_t)row->v[ANSWERS], hidden);
    if (!hidden)
        kap_metric_number(item, "texts", (uint64_t)row->v[TEXTS]);
    if (less)
        kap_metric_number(item, "left_out", (uint64_t)row->v[LEFT_OUT]);
}

static void put_surveys(follow_t *f)
{
    kap_metric_list_t own = {0}, others = {0};

    kap_tally_sort(&f->surveys);
    for (size_t i = 0; i < f->surveys.count; i++) {
        const kap_tally_t *row = f->surveys.rows[i];
        bool is_own = kap_code_parse(KAP_LIST_SURVEY, row->a) == KAP_SURVEY_SELF_EVALUATION;
        put_question(is_own ? &own : &others, row, is_own);
    }
    kap_metric_put_list(f->values, "evaluation", &own);
    kap_metric_put_list(f->values, "surveys", &others);
}

/* --- customers' feedback --- */

/* Of referrals, by segment, over the whole scope. */
static int add_feedback(follow_t *f)
{
    kap_sum_query_t what = f->query->what;
    int rc = KAP_OK;

    what.breakdown = KAP_BREAKDOWN_SEGMENT;
    for (uint16_t segment = 0; rc == KAP_OK && segment < KAP_OWN_SEGMENTS; segment++) {
        what.value = segment;
        for (int s = 0; rc == KAP_OK && s < SCALES; s++)
            rc = kap_own_feedback(f->at, &what, scales[s], &f->feedback[s][segment],
                                  &f->feedback_sum[s][segment]);
    }
    return rc;
}

static void put_answers(kap_metric_list_t *list, int scale, int segment, uint64_t n, int64_t sum,
                        bool hidden)
{
    kap_buf_t *item = n == 0 ? NULL : kap_metric_item(list, 4u + hidden);

    if (item == NULL)
        return;
    if (segment != ALL_SEGMENTS)
        kap_own_code(item, "segment", KAP_LIST_SEGMENT, segment);
    else
        kap_own_nil(item, "segment");
    kap_metric_number(item, "scale", (uint64_t)scale);
    put_mean(item, n, sum, n, hidden);
}

static void put_feedback(follow_t *f)
{
    kap_metric_list_t list = {0};
    bool part = f->query->what.breakdown == KAP_BREAKDOWN_SEGMENT;

    for (int s = 0; s < SCALES; s++) {
        bool hidden[KAP_OWN_SEGMENTS];
        uint64_t n = 0;
        int64_t sum = 0;
        kap_own_hide(f->feedback[s], KAP_OWN_SEGMENTS, hidden);
        for (int i = 0; i < KAP_OWN_SEGMENTS; i++) {
            n += f->feedback[s][i];
            sum += f->feedback_sum[s][i];
        }
        if (!part)
            put_answers(&list, scales[s], ALL_SEGMENTS, n, sum, n < KAP_OWN_LEAST);
        for (int i = 0; i < KAP_OWN_SEGMENTS; i++) {
            if (kap_own_is_segment(f->query, i - 1))
                put_answers(&list, scales[s], i - 1, f->feedback[s][i], f->feedback_sum[s][i],
                            hidden[i]);
        }
    }
    kap_metric_put_list(f->values, "feedback", &list);
}

/* --- customers a year --- */

enum { TOTAL, NEW, REPORTS };

static void count_customers(follow_t *f, const kap_followed_customers_t *row, int segment)
{
    kap_tally_t *sum = kap_tally(&f->customers, no_text, no_text, row->year, segment, 0, 0);

    if (sum == NULL)
        return;
    sum->v[TOTAL] += (int64_t)row->total;
    sum->v[NEW] += (int64_t)row->new_ones;
    sum->v[REPORTS]++;
}

static int add_customers(void *arg, const kap_followed_customers_t *row)
{
    follow_t *f = arg;

    if (!kap_own_is_segment(f->query, row->segment))
        return KAP_OK;
    count_customers(f, row, row->segment);
    if (f->query->what.breakdown != KAP_BREAKDOWN_SEGMENT)
        count_customers(f, row, ALL_SEGMENTS);
    if (row->year >= f->first) {
        f->n++;
        f->reports[KAP_MINIMUM_CUSTOMERS] = true;
    }
    return done(&f->customers);
}

/* The same of the year before; NULL: nothing was reported. */
static const kap_tally_t *year_before(const follow_t *f, const kap_tally_t *row)
{
    for (size_t i = 0; i < f->customers.count; i++) {
        const kap_tally_t *other = f->customers.rows[i];
        if (other->k[0] == row->k[0] - 1 && other->k[1] == row->k[1])
            return other;
    }
    return NULL;
}

static void put_number(kap_buf_t *buf, const char *key, int64_t number)
{
    kap_mp_put_cstr(buf, key);
    kap_mp_put_int(buf, number);
}

static void put_customers(follow_t *f)
{
    kap_metric_list_t list = {0};

    kap_tally_sort(&f->customers);
    for (size_t i = 0; i < f->customers.count; i++) {
        const kap_tally_t *row = f->customers.rows[i], *before = year_before(f, row);
        kap_buf_t *item = row->k[0] < f->first ? NULL : kap_metric_item(&list, 6);
        if (item == NULL)
            continue;
        kap_metric_number(item, "year", (uint64_t)row->k[0]);
        if (row->k[1] != ALL_SEGMENTS)
            kap_own_code(item, "segment", KAP_LIST_SEGMENT, row->k[1]);
        else
            kap_own_nil(item, "segment");
        kap_metric_number(item, "total", (uint64_t)row->v[TOTAL]);
        kap_metric_number(item, "new", (uint64_t)row->v[NEW]);
        if (before != NULL)
            put_number(item, "change", row->v[TOTAL] - before->v[TOTAL]);
        else
            kap_own_nil(item, "change");
        kap_metric_number(item, "reports", (uint64_t)row->v[REPORTS]);
    }
    kap_metric_put_list(f->values, "customers", &list);
}

/* --- advice and new customers --- */

static int add_advice(void *arg, const kap_followed_count_t *count)
{
    follow_t *f = arg;

    if (!kap_own_is_segment(f->query, count->segment))
        return KAP_OK;
    kap_tally_t *row =
        kap_tally(&f->advice, no_text, no_text, count->service, count->segment, count->channel, 0);
    kap_tally_t *channel = kap_tally(&f->channels, no_text, no_text, count->channel, 0, 0, 0);
    if (row == NULL || channel == NULL)
        return KAP_E_NOMEM;
    row->v[0] += (int64_t)count->count;
    channel->v[0] += (int64_t)count->count;
    f->ways[kap_channel_way(count->channel)] += count->count;
    f->n += count->count;
    f->reports[KAP_MINIMUM_ADVICE] = true;
    return KAP_OK;
}

static int add_new_customers(void *arg, const kap_followed_count_t *count)
{
    follow_t *f = arg;

    if (!kap_own_is_segment(f->query, count->segment))
        return KAP_OK;
    kap_tally_t *row = kap_tally(&f->origins, no_text, no_text, count->origin, 0, 0, 0);
    if (row == NULL)
        return KAP_E_NOMEM;
    row->v[0] += (int64_t)count->count;
    f->n += count->count;
    return KAP_OK;
}

static void put_advice(follow_t *f)
{
    kap_metric_list_t list = {0};

    kap_tally_sort(&f->advice);
    for (size_t i = 0; i < f->advice.count; i++) {
        const kap_tally_t *row = f->advice.rows[i];
        kap_buf_t *item = kap_metric_item(&list, 4);
        if (item == NULL)
            continue;
        kap_own_code(item, "service", KAP_LIST_SERVICE, row->k[0]);
        kap_own_code(item, "segment", KAP_LIST_SEGMENT, row->k[1]);
        kap_own_code(item, "channel", KAP_LIST_CHANNEL, row->k[2]);
        kap_metric_number(item, "n", (uint64_t)row->v[0]);
    }
    kap_metric_put_list(f->values, "advice", &list);
}

static void put_channels(follow_t *f)
{
    kap_metric_list_t list = {0};
    uint64_t all = 0;

    kap_tally_sort(&f->channels);
    for (size_t i = 0; i < f->channels.count; i++) {
        const kap_tally_t *row = f->channels.rows[i];
        kap_buf_t *item = kap_metric_item(&list, 3);
        all += (uint64_t)row->v[0];
        if (item == NULL)
            continue;
        kap_own_code(item, "channel", KAP_LIST_CHANNEL, row->k[0]);
        kap_own_code(item, "way", KAP_LIST_WAY, kap_channel_way(row->k[0]));
        kap_metric_number(item, "n", (uint64_t)row->v[0]);
    }
    kap_metric_put_list(f->values, "channels", &list);
    kap_metric_put_rate(f->values, "electronic", f->ways[KAP_WAY_ELECTRONIC], all);
    kap_metric_put_rate(f->values, "phone", f->ways[KAP_WAY_PHONE], all);
}

static void put_origins(follow_t *f)
{
    kap_metric_list_t list = {0};

    kap_tally_sort(&f->origins);
    for (size_t i = 0; i < f->origins.count; i++) {
        kap_buf_t *item = kap_metric_item(&list, 2);
        if (item == NULL)
            continue;
        kap_own_code(item, "origin", KAP_LIST_ORIGIN, f->origins.rows[i]->k[0]);
        kap_metric_number(item, "n", (uint64_t)f->origins.rows[i]->v[0]);
    }
    kap_metric_put_list(f->values, "new_customers", &list);
}

/* --- indicators --- */

enum { VALUE, REGIONS, BEFORE, UNSUMMED }; /* sums */
enum { PERIOD_TEXT, VALUE_TEXT, UNIT_TEXT, SOURCE_TEXT };

/* 2026, 2026-03 and 2026-03-01 in the order of time among those of their kind. */
static int32_t period_number(kap_span_t period)
{
    int32_t number = 0;

    for (size_t i = 0; i < period.size; i++)
        number = period.data[i] == '-' ? number : number * 10 + (period.data[i] - '0');
    return number;
}

/* May it be added up over regions? Suggested ones in their own unit may. */
static bool adds_up(const kap_followed_indicator_t *row)
{
    int code = kap_code_parse(KAP_LIST_INDICATOR, row->indicator);

    return code >= 0 && kap_code_parse(KAP_LIST_UNIT, row->unit) == kap_indicator_unit(code);
}

static int add_indicator(void *arg, const kap_followed_indicator_t *row)
{
    follow_t *f = arg;
    int64_t milli = 0;

    if (!kap_own_is_segment(f->query, row->segment))
        return KAP_OK;
    kap_tally_t *sum = kap_tally(&f->indicators, row->indicator, no_text, row->segment,
                                 (int)row->period.size, period_number(row->period), 0);
    if (sum == NULL)
        return KAP_E_NOMEM;
    bool number = kap_decimal_milli(row->value, &milli);
    sum->v[VALUE] += milli;
    sum->v[REGIONS]++;
    sum->v[BEFORE] = row->before;
    sum->v[UNSUMMED] |= !number || (sum->v[REGIONS] > 1 && !adds_up(row));
    sum->text[PERIOD_TEXT] = row->period;
    sum->text[VALUE_TEXT] = row->value;
    sum->text[UNIT_TEXT] = row->unit;
    sum->text[SOURCE_TEXT] = row->source;
    f->n += !row->before;
    return KAP_OK;
}

/* Told of as many regions in the period before it: then the difference says something. */
static bool has_change(const kap_tally_t *before, const kap_tally_t *row)
{
    return before != NULL && kap_span_eq(before->a, row->a) && before->k[0] == row->k[0] &&
           before->k[1] == row->k[1] && before->v[REGIONS] == row->v[REGIONS] &&
           !before->v[UNSUMMED] && !row->v[UNSUMMED];
}

static void put_indicator(kap_metric_list_t *list, const kap_tally_t *row,
                          const kap_tally_t *before)
{
    bool changed = has_change(before, row), single = row->v[REGIONS] == 1;
    kap_buf_t *item = kap_metric_item(list, 8);

    if (item == NULL)
        return;
    kap_metric_text(item, "indicator", row->a);
    if (row->k[0] >= 0)
        kap_own_code(item, "segment", KAP_LIST_SEGMENT, row->k[0]);
    else
        kap_own_nil(item, "segment");
    kap_metric_text(item, "period", row->text[PERIOD_TEXT]);
    if (single)
        kap_metric_text(item, "value", row->text[VALUE_TEXT]);
    else if (!row->v[UNSUMMED])
        kap_own_decimal(item, "value", row->v[VALUE]);
    else
        kap_own_nil(item, "value");
    if (changed)
        kap_own_decimal(item, "change", row->v[VALUE] - before->v[VALUE]);
    else
        kap_own_nil(item, "change");
    kap_metric_text(item, "unit", row->text[UNIT_TEXT]);
    kap_metric_text(item, "info_source", row->text[SOURCE_TEXT]);
    kap_metric_number(item, "regions", (uint64_t)row->v[REGIONS]);
}

static void put_indicators(follow_t *f)
{
    kap_metric_list_t list = {0};

    kap_tally_sort(&f->indicators);
    for (size_t i = 0; i < f->indicators.count; i++) {
        if (!f->indicators.rows[i]->v[BEFORE])
            put_indicator(&list, f->indicators.rows[i], i > 0 ? f->indicators.rows[i - 1] : NULL);
    }
    kap_metric_put_list(f->values, "indicators", &list);
}

/* --- the least that every contract follows --- */

/* What the cells of a region say of it. */
static int add_cells(follow_t *f, const kap_own_region_t *region)
{
    kap_sum_query_t what = f->query->what;
    kap_vector_t sum = {0};

    what.scope = (kap_scope_t){
        .kind = KAP_SCOPE_REGION, .region = region->id, .region_number = region->number};
    int rc = region->number == 0 ? KAP_OK : kap_sum_counts(f->at->summer, &what, &sum);
    f->reports[KAP_MINIMUM_FEEDBACK] |=
        sum.counts[KAP_FIGURE_FEEDBACK_4] + sum.counts[KAP_FIGURE_FEEDBACK_5] > 0;
    f->reports[KAP_MINIMUM_REFERRALS] =
        sum.counts[KAP_FIGURE_REFERRALS] + sum.counts[KAP_FIGURE_GUIDANCE] +
            sum.counts[KAP_FIGURE_LEADS] + sum.counts[KAP_FIGURE_REPORTED] >
        0;
    return rc;
}

static void put_minimum(follow_t *f)
{
    kap_metric_list_t list = {0};

    for (int i = 0; i < KAP_MINIMUM_COUNT; i++) {
        kap_buf_t *item = kap_metric_item(&list, 4);
        uint64_t with = 0;
        for (size_t r = 0; r < f->regions.count; r++)
            with += f->regions.rows[r]->v[i] != 0;
        kap_own_code(item, "minimum", KAP_LIST_MINIMUM, i);
        kap_own_flag(item, "there", f->regions.count > 0 && with == f->regions.count);
        kap_metric_number(item, "with", with);
        kap_metric_number(item, "regions", f->regions.count);
    }
    kap_metric_put_list(f->values, "minimum", &list);
}

/* --- all of it --- */

static int add_region(follow_t *f, const kap_own_region_t *region,
                      const kap_followed_range_t *range)
{
    kap_tally_t *row = kap_tally(&f->regions, region->id, no_text, 0, 0, 0, 0);
    int rc = row == NULL ? KAP_E_NOMEM : add_surveys(f, range->region);

    if (rc == KAP_OK)
        rc = kap_followed_indicators(f->at->txn, range, add_indicator, f);
    if (rc == KAP_OK)
        rc = add_cells(f, region);
    for (int i = 0; rc == KAP_OK && i < KAP_MINIMUM_COUNT; i++)
        row->v[i] |= f->reports[i];
    return rc;
}

/* A region, or a member's part of it: surveys and indicators are of no member. */
static int add_range(void *arg, const kap_own_region_t *region, const kap_followed_range_t *range)
{
    follow_t *f = arg;
    kap_followed_range_t years = kap_own_years_range(range, f->first - 1, f->last);

    memset(f->reports, 0, sizeof f->reports);
    int rc = kap_followed_items(f->at->txn, &years, add_item, f);
    if (rc == KAP_OK)
        rc = kap_followed_customers(f->at->txn, &years, add_customers, f);
    if (rc == KAP_OK)
        rc = kap_followed_counts(f->at->txn, KAP_FOLLOWED_ADVICE, range, add_advice, f);
    if (rc == KAP_OK)
        rc =
            kap_followed_counts(f->at->txn, KAP_FOLLOWED_NEW_CUSTOMER, range, add_new_customers, f);
    return rc != KAP_OK || range->member != 0 ? rc : add_region(f, region, range);
}

static void put_all(follow_t *f)
{
    bool region = f->query->what.scope.kind != KAP_SCOPE_MEMBER &&
                  f->query->what.scope.kind != KAP_SCOPE_ORGANISATION;

    put_plans(f);
    if (region) {
        put_surveys(f);
        put_feedback(f);
    }
    put_customers(f);
    put_advice(f);
    put_channels(f);
    put_origins(f);
    if (region)
        put_indicators(f);
    if (region && f->query->what.breakdown == KAP_BREAKDOWN_NONE)
        put_minimum(f);
}

int kap_metric_follow(const kap_metric_at_t *at, const kap_metric_query_t *query,
                      const kap_vector_t *sum, kap_metric_values_t *values)
{
    kap_tallies_t none = {.arena = at->arena};
    follow_t f = {.at = at,
                  .query = query,
                  .values = values,
                  .plans = none,
                  .surveys = none,
                  .customers = none,
                  .advice = none,
                  .channels = none,
                  .origins = none,
                  .indicators = none,
                  .regions = none};
    int rc = KAP_OK;

    (void)sum;
    kap_own_years(query, &f.first, &f.last);
    if (query->what.scope.kind != KAP_SCOPE_EDGE) /* nothing of it is between two members */
        rc = kap_own_ranges(at, query, add_range, &f);
    if (rc == KAP_OK && query->what.scope.kind != KAP_SCOPE_EDGE)
        rc = add_feedback(&f);
    if (rc != KAP_OK)
        return rc;
    put_all(&f);
    values->n = values->decided = f.n;
    values->pending = 0;
    return values->pairs.err;
}
