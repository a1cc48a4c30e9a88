/* SPDX-License-Identifier: MPL-2.0 */
/* The access matrix, derived from the tables: who may publish what, who may read which parts. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "access.h"
#include "clock.h"
#include "err.h"
#include "world.h"

static world_t world;
static kap_directory_t *dir;

static void setup(void)
{
    world_init(&world);
    dir = world_directory(&world);
}

static void teardown(void)
{
    kap_directory_unref(&dir);
    world_fini(&world);
}

TestSuite(access, .init = setup, .fini = teardown);

/* Every row of the two tables as words. */
typedef struct {
    kap_event_type_t type;
    const char *name, *by;
} rule_t;

static const rule_t rules[] = {
#define KAP_TRANSITION(event, by, ...) {KAP_EV_##event, #event, " " #by " "},
#include "transitions.def"
#undef KAP_TRANSITION
#define KAP_MAY_PUBLISH(event, by) {KAP_EV_##event, #event, " " #by " "},
#include "access.def"
#undef KAP_MAY_PUBLISH
};

/* Who somebody is towards an event from kunta to te in mikkeli; owner finnvera, named ely. */
typedef struct {
    const char *id, *is;
} towards_t;

static const towards_t towards[] = {
    {"kunta", " SENDER EITHER SENDER_OR_OPERATOR COORDINATOR PARTY "},
    {"te", " RECIPIENT EITHER PARTY "},
    {"finnvera", " OWNER PARTY "},
    {"ely", " NAMED PARTY "},
    {"other", " "},
    {"reader", " "},
    {"steer", " "},
    {"gate", " "},
    {"tem", " "},
    {"driver", " "},
    {"op", " OPERATOR SENDER_OR_OPERATOR "},
};

/* Do the two lists of words, set between blanks, have one in common? */
static bool meet(const char *a, const char *b)
{
    char word[64];
    for (const char *at = a; *at; at++) {
        size_t n = strcspn(at + 1, " ");
        if (*at != ' ' || n == 0 || at[1] == '|')
            continue;
        snprintf(word, sizeof word, " %.*s ", (int)n, at + 1);
        if (strstr(b, word))
            return true;
    }
    return false;
}

static int publish(const char *id, kap_event_type_t type, const kap_access_facts_t *facts)
{
    kap_event_t ev = {.type = type};
    unsigned as = 0;
    return kap_may_publish(dir, id ? world_who(dir, id) : NULL, &ev, facts, &as);
}

Test(access, every_event_is_published_by_whom_its_row_names)
{
    kap_access_facts_t facts = {.from = KAP_SPAN("kunta"),
                                .to = KAP_SPAN("te"),
                                .region = KAP_SPAN("mikkeli"),
                                .owner = KAP_SPAN("finnvera"),
                                .named = KAP_SPAN("ely")};
    size_t cells = 0;
    for (size_t r = 0; r < sizeof rules / sizeof *rules; r++) {
        for (size_t t = 0; t < sizeof towards / sizeof *towards; t++) {
            bool expected = meet(rules[r].by, towards[t].is);
            int refusal = publish(towards[t].id, rules[r].type, &facts);
            cr_expect_eq(refusal == 0, expected, "%s by %s: %d, its row says%s", rules[r].name,
                         towards[t].id, refusal, rules[r].by);
            cells++;
        }
        cr_expect_eq(publish(NULL, rules[r].type, &facts), KAP_REFUSAL_NOT_ALLOWED_KEY);
    }
    cr_expect_geq(cells, 400);
}

Test(access, every_event_type_has_a_row)
{
    for (int type = KAP_EV_NONE + 1; type < KAP_EVENT_COUNT; type++) {
        int found = 0;
        for (size_t r = 0; r < sizeof rules / sizeof *rules; r++)
            found += (int)rules[r].type == type;
        cr_expect_eq(found, 1, "%s has %d rows", kap_event_type_name((kap_event_type_t)type),
                     found);
    }
}

Test(access, the_broker_alone_lets_referrals_expire)
{
    kap_access_facts_t facts = {
        .from = KAP_SPAN("b1"), .to = KAP_SPAN("b2"), .region = KAP_SPAN("bench")};
    cr_expect_eq(publish("driver", KAP_EV_REFERRAL_EXPIRED, &facts),
                 KAP_REFUSAL_NOT_ALLOWED_BROKER);
    cr_expect_eq(publish("op", KAP_EV_REFERRAL_EXPIRED, &facts), KAP_REFUSAL_NOT_ALLOWED_BROKER);
}

Test(access, a_speaker_speaks_in_its_bench_region_only)
{
    kap_access_facts_t facts = {
        .from = KAP_SPAN("b1"), .to = KAP_SPAN("b2"), .region = KAP_SPAN("bench")};
    cr_expect_eq(publish("driver", KAP_EV_REFERRAL_CREATED, &facts), 0);
    cr_expect_eq(publish("driver", KAP_EV_REFERRAL_ACCEPTED, &facts), 0);
    cr_expect_neq(publish("driver", KAP_EV_ARCHIVE_OPENED, &facts), 0);
    cr_expect_neq(publish("b2", KAP_EV_REFERRAL_CREATED, &facts), 0);
    facts = (kap_access_facts_t){
        .from = KAP_SPAN("kunta"), .to = KAP_SPAN("te"), .region = KAP_SPAN("mikkeli")};
    cr_expect_neq(publish("driver", KAP_EV_REFERRAL_CREATED, &facts), 0);
}

Test(access, the_operator_speaks_for_the_actors_of_an_archive)
{
    kap_access_facts_t facts = {.from = KAP_SPAN("Resource01"),
                                .to = KAP_SPAN("Resource02"),
                                .region = KAP_SPAN("receipt"),
                                .archive = true};
    cr_expect_eq(publish("op", KAP_EV_REFERRAL_CREATED, &facts), 0);
    cr_expect_eq(publish("op", KAP_EV_REFERRAL_COMPLETED, &facts), 0);
    cr_expect_neq(publish("kunta", KAP_EV_REFERRAL_CREATED, &facts), 0);
    facts.archive = false;
    cr_expect_neq(publish("op", KAP_EV_REFERRAL_CREATED, &facts), 0);
    facts.region = KAP_SPAN("mikkeli");
    facts.archive = true;
    cr_expect_neq(publish("op", KAP_EV_REFERRAL_CREATED, &facts), 0, "a region is no archive");
}

Test(access, a_source_is_the_members_own)
{
    const kap_member_t *te = world_who(dir, "te");
    cr_expect(kap_may_source(te, KAP_SPAN("te/0123456789abcdef")));
    cr_expect_not(kap_may_source(te, KAP_SPAN("te/")));
    cr_expect_not(kap_may_source(te, KAP_SPAN("te")));
    cr_expect_not(kap_may_source(te, KAP_SPAN("tem/0123456789abcdef")));
    cr_expect_not(kap_may_source(te, KAP_SPAN("t/e/1")));
    cr_expect_not(kap_may_source(te, KAP_SPAN("kunta/0123456789abcdef")));
    cr_expect_not(kap_may_source(te, KAP_SPAN("")));
    cr_expect_not(kap_may_source(NULL, KAP_SPAN("te/0123456789abcdef")));
}

Test(access, a_key_is_looked_up_anew_and_only_while_valid)
{
    cr_expect_eq(kap_access_who(dir, world_member(&world, "te")->z85, 0), world_who(dir, "te"));
    cr_expect_null(kap_access_who(dir, "", 0));
    cr_expect_null(kap_access_who(dir, "0000000000000000000000000000000000000000", 0));
    cr_expect_null(kap_access_who(dir, "too short", 0));
}

Test(access, a_key_is_somebodys_from_its_first_day_to_its_last)
{
    kap_directory_t *guests = NULL;
    kap_buf_t json = {0}, messages = {0};
    const char *key = world_member(&world, "te")->z85;
    kap_buf_printf(&json,
                   "{\"mesh\": \"%064d\", \"regions\": [], \"members\": [{\"id\": \"guest\", "
                   "\"type\": \"other\", \"name\": {\"fi\": \"V\"}, \"roles\": [\"ministry\"], "
                   "\"valid_from\": \"2026-03-29\", \"valid_to\": \"2026-03-29\", \"curve\": \"",
                   1);
    kap_buf_json_text(&json, kap_span_str(key));
    kap_buf_str(&json, "\"}]}");
    cr_assert_eq(kap_directory_parse(kap_buf_span(&json), &guests, &messages), KAP_OK, "%s",
                 kap_buf_cstr(&messages));
    kap_date_t day = {2026, 3, 29}; /* of 23 hours */
    int64_t first = kap_day_start_ms(KAP_ZONE_HELSINKI, day), end = first + 23 * KAP_HOUR_MS;
    cr_expect_null(kap_access_who(guests, key, first - 1));
    cr_expect_not_null(kap_access_who(guests, key, first));
    cr_expect_not_null(kap_access_who(guests, key, end - 1));
    cr_expect_null(kap_access_who(guests, key, end));
    kap_directory_unref(&guests);
    kap_buf_fini(&json);
    kap_buf_fini(&messages);
}

typedef struct {
    const char *id, *stream;
    unsigned parts;
} reading_t;

enum { O = KAP_READ_OPEN, ALL = KAP_READ_OPEN | KAP_READ_ENDS | KAP_READ_SEALED };

/* What stands here may be read; every other cell of {member} x {stream} is nothing. */
static const reading_t readings[] = {
    {"kunta", "member/kunta", ALL},    {"te", "member/te", ALL},
    {"ely", "member/ely", ALL},        {"other", "member/other", ALL},
    {"b1", "member/b1", ALL},          {"b2", "member/b2", ALL},
    {"kunta", "region/mikkeli", O},    {"te", "region/mikkeli", O},
    {"finnvera", "region/mikkeli", O}, {"reader", "region/mikkeli", O},
    {"steer", "region/mikkeli", O},    {"gate", "region/mikkeli", O},
    {"ely", "region/wide", O},         {"driver", "region/bench", O},
    {"op", "region/bench", O},         {"op", "region/receipt", O},
    {"driver", "member/driver", ALL},  {"finnvera", "member/finnvera", ALL},
};

static const char *const streams[] = {
    "member/kunta",
    "member/te",
    "member/finnvera",
    "member/other",
    "member/ely",
    "member/reader",
    "member/op",
    "member/driver",
    "member/b1",
    "member/b2",
    "region/mikkeli",
    "region/shut",
    "region/wide",
    "region/bench",
    "region/receipt",
    "region/",
    "member/",
    "region",
    "member/te/",
    "member/t",
    "member/te\\0",
    "Member/te",
    "member/%74e",
    "region/mikkel",
    "region/mikkelii",
    "",
    "/te",
    "te",
    "member//te",
    "member/te ",
};

Test(access, every_stream_is_read_by_whom_the_roles_name)
{
    for (size_t m = 0; m < world.count; m++) {
        for (size_t s = 0; s < sizeof streams / sizeof *streams; s++) {
            unsigned expected = 0;
            for (size_t r = 0; r < sizeof readings / sizeof *readings; r++) {
                if (strcmp(readings[r].id, world.members[m].id) == 0 &&
                    strcmp(readings[r].stream, streams[s]) == 0)
                    expected = readings[r].parts;
            }
            bool unknown = strncmp(streams[s], "region/mikkel", 13) == 0 ||
                           strcmp(streams[s], "region/receipt") == 0;
            bool archive = unknown && strcmp(streams[s], "region/receipt") == 0;
            unsigned parts = kap_may_read(dir, world_who(dir, world.members[m].id),
                                          kap_span_str(streams[s]), archive);
            cr_expect_eq(parts, expected, "%s reads %s: %u, not %u", world.members[m].id,
                         streams[s], parts, expected);
        }
    }
    cr_expect_eq(kap_may_read(dir, NULL, KAP_SPAN("member/te"), false), 0);
}

Test(access, a_region_reader_never_gets_more_than_the_open_part)
{
    kap_span_t from = KAP_SPAN("kunta"), to = KAP_SPAN("te");
    cr_expect_eq(kap_read_cut(ALL, KAP_SPAN("region/mikkeli"), from, to), O);
    cr_expect_eq(kap_read_cut(ALL, KAP_SPAN("region/kunta"), from, to), O);
    cr_expect_eq(kap_read_cut(ALL, KAP_SPAN("member/kunta"), from, to), ALL);
    cr_expect_eq(kap_read_cut(ALL, KAP_SPAN("member/te"), from, to), ALL);
    cr_expect_eq(kap_read_cut(ALL, KAP_SPAN("member/finnvera"), from, to),
                 KAP_READ_OPEN | KAP_READ_SEALED);
    cr_expect_eq(kap_read_cut(O, KAP_SPAN("member/te"), from, to), O);
}

typedef struct {
    const char *id, *region;
    bool archive;
    kap_see_t see;
} seeing_t;

Test(access, figures_are_seen_by_the_widest_circle_allowed)
{
    static const seeing_t seen[] = {
        {"kunta", "mikkeli", false, KAP_SEE_FULL},   {"te", "mikkeli", false, KAP_SEE_FULL},
        {"steer", "mikkeli", false, KAP_SEE_FULL},   {"tem", "mikkeli", false, KAP_SEE_TOTALS},
        {"other", "mikkeli", false, KAP_SEE_TOTALS}, {"op", "mikkeli", false, KAP_SEE_TOTALS},
        {"te", "shut", false, KAP_SEE_TOTALS},       {"ely", "wide", false, KAP_SEE_FULL},
        {"ely", "mikkeli", false, KAP_SEE_TOTALS},   {"te", "receipt", true, KAP_SEE_FULL},
        {"tem", "receipt", true, KAP_SEE_FULL},      {"te", "nowhere", false, KAP_SEE_NOTHING},
    };
    for (size_t i = 0; i < sizeof seen / sizeof *seen; i++)
        cr_expect_eq(kap_may_see(dir, world_who(dir, seen[i].id), kap_span_str(seen[i].region),
                                 seen[i].archive),
                     seen[i].see, "%s of %s", seen[i].id, seen[i].region);
    cr_expect_eq(kap_may_see(dir, NULL, KAP_SPAN("mikkeli"), false), KAP_SEE_NOTHING);
}
