/* SPDX-License-Identifier: MPL-2.0 */
#include "access.h"

#include "crypto.h"
#include "err.h"
#include "seeded.h"

/* The sets of access.def and transitions.def in bits. */
enum {
    SENDER = KAP_AS_SENDER,
    RECIPIENT = KAP_AS_RECIPIENT,
    EITHER = KAP_AS_SENDER | KAP_AS_RECIPIENT,
    OPERATOR = KAP_AS_OPERATOR,
    SENDER_OR_OPERATOR = KAP_AS_SENDER | KAP_AS_OPERATOR,
    COORDINATOR = KAP_AS_COORDINATOR,
    OWNER = KAP_AS_OWNER,
    PARTY = KAP_AS_PARTY,
    NAMED = KAP_AS_NAMED,
    BROKER = KAP_AS_BROKER,
    EVERYBODY = KAP_AS_SENDER | KAP_AS_RECIPIENT | KAP_AS_COORDINATOR | KAP_AS_OWNER |
                KAP_AS_PARTY | KAP_AS_NAMED | KAP_AS_SPEAKER,
};

const kap_member_t *kap_access_who(const kap_directory_t *dir, const char *key, int64_t now)
{
    uint8_t curve[KAP_KEY_BYTES];
    if (kap_z85_decode(curve, sizeof curve, kap_span_str(key)) != KAP_OK)
        return NULL;
    const kap_member_t *who = kap_directory_by_key(dir, curve);
    return who && (kap_member_valid(who, now) || KAP_SEEDED_BUG("member_for_ever")) ? who : NULL;
}

bool kap_may_source(const kap_member_t *who, kap_span_t source)
{
    return who && source.size > who->id.size + 1 && kap_span_starts(source, who->id) &&
           source.data[who->id.size] == '/';
}

static unsigned allowed(kap_event_type_t type)
{
    switch (type) {
#define KAP_TRANSITION(event, by, from, to, milestone, implies, repeat, answer)                    \
    case KAP_EV_##event:                                                                           \
        return (by);
#include "transitions.def"
#undef KAP_TRANSITION
#define KAP_MAY_PUBLISH(event, by)                                                                 \
    case KAP_EV_##event:                                                                           \
        return (by);
#include "access.def"
#undef KAP_MAY_PUBLISH
    default:
        return 0;
    }
}

/* A speaker speaks for those of a bench region; the operator for the actors of an archive. */
static bool speaks(const kap_member_t *who, const kap_region_t *region, bool archive)
{
    if (!region)
        return archive && (who->roles & KAP_ROLE_OPERATOR) != 0;
    return region->kind == KAP_REGION_KIND_BENCH && kap_member_speaks(who, region);
}

static unsigned as_of(const kap_directory_t *dir, const kap_member_t *who,
                      const kap_access_facts_t *facts)
{
    const kap_region_t *region = kap_directory_region(dir, facts->region);
    unsigned as = who->roles & KAP_ROLE_OPERATOR ? KAP_AS_OPERATOR : 0;
    if (speaks(who, region, facts->archive))
        return as | EVERYBODY;
    if (region && kap_member_coordinates(who, region))
        as |= KAP_AS_COORDINATOR;
    if (!(who->roles & KAP_ROLE_NODE))
        return as;
    if (kap_span_eq(who->id, facts->from))
        as |= KAP_AS_SENDER;
    if (kap_span_eq(who->id, facts->to))
        as |= KAP_AS_RECIPIENT;
    if (kap_span_eq(who->id, facts->owner))
        as |= KAP_AS_OWNER;
    if (kap_span_eq(who->id, facts->named))
        as |= KAP_AS_NAMED;
    if (region && kap_member_serves_region(who, region))
        as |= KAP_AS_PARTY;
    return as;
}

/* The sentence that helps most: who may, of those who may not. */
static int refusal_of(unsigned by)
{
    if (by & KAP_AS_BROKER)
        return KAP_REFUSAL_NOT_ALLOWED_BROKER;
    if (by & KAP_AS_PARTY)
        return KAP_REFUSAL_NOT_ALLOWED_REGION;
    if (by & KAP_AS_NAMED)
        return KAP_REFUSAL_NOT_ALLOWED_MEMBER;
    if ((by & EITHER) == EITHER)
        return KAP_REFUSAL_NOT_ALLOWED_ENDS;
    if (by & KAP_AS_SENDER)
        return KAP_REFUSAL_NOT_ALLOWED_SENDER;
    if (by & KAP_AS_RECIPIENT)
        return KAP_REFUSAL_NOT_ALLOWED_RECIPIENT;
    if (by & KAP_AS_OPERATOR)
        return KAP_REFUSAL_NOT_ALLOWED_OPERATOR;
    return KAP_REFUSAL_NOT_ALLOWED_COORDINATOR;
}

int kap_may_publish(const kap_directory_t *dir, const kap_member_t *who, const kap_event_t *ev,
                    const kap_access_facts_t *facts, unsigned *as)
{
    *as = 0;
    if (!who)
        return KAP_REFUSAL_NOT_ALLOWED_KEY;
    *as = as_of(dir, who, facts);
    unsigned by = allowed(ev->type);
    return *as & by || KAP_SEEDED_BUG("publish_unchecked") ? 0 : refusal_of(by);
}

/* Is the stream that of `kind` ("region/", "member/")? *id gets what follows. */
static bool stream_is(kap_span_t stream, kap_span_t kind, kap_span_t *id)
{
    if (stream.size <= kind.size || !kap_span_starts(stream, kind))
        return false;
    *id = kap_span_sub(stream, kind.size, stream.size - kind.size);
    return true;
}

static bool reads_region(const kap_directory_t *dir, const kap_member_t *who,
                         const kap_region_t *region)
{
    enum { PARTIES = KAP_ROLE_PARTY | KAP_ROLE_STEERING | KAP_ROLE_GATEWAY };
    if (kap_member_coordinates(who, region) || speaks(who, region, false))
        return true;
    if (who->roles & KAP_ROLE_OPERATOR &&
        (region->kind == KAP_REGION_KIND_BENCH || kap_directory_rehearsal(dir)))
        return true;
    if (who->roles & PARTIES && region->visibility >= KAP_VISIBILITY_PARTIES &&
        kap_member_in_region(who, region))
        return true;
    return region->visibility >= KAP_VISIBILITY_AREA && kap_member_covers(who, region);
}

unsigned kap_may_read(const kap_directory_t *dir, const kap_member_t *who, kap_span_t stream,
                      bool archive)
{
    kap_span_t id;
    if (!who)
        return 0;
    if (stream_is(stream, KAP_SPAN("member/"), &id))
        return who->roles & KAP_ROLE_NODE && kap_span_eq(id, who->id)
                   ? KAP_READ_OPEN | KAP_READ_ENDS | KAP_READ_SEALED
                   : 0;
    if (!stream_is(stream, KAP_SPAN("region/"), &id))
        return 0;
    const kap_region_t *region = kap_directory_region(dir, id);
    if (!region)
        return archive && kap_may_operate(who) ? KAP_READ_OPEN : 0;
    return reads_region(dir, who, region) ? KAP_READ_OPEN : 0;
}

unsigned kap_read_cut(unsigned parts, kap_span_t stream, kap_span_t from, kap_span_t to)
{
    kap_span_t id;
    if (!stream_is(stream, KAP_SPAN("member/"), &id))
        return parts & KAP_READ_OPEN;
    if (kap_span_eq(id, from) || kap_span_eq(id, to) || (!from.size && !to.size) ||
        KAP_SEEDED_BUG("ends_uncut"))
        return parts;
    return parts & ~(unsigned)KAP_READ_ENDS;
}

kap_see_t kap_may_see(const kap_directory_t *dir, const kap_member_t *who, kap_span_t region,
                      bool archive)
{
    if (!who)
        return KAP_SEE_NOTHING;
    const kap_region_t *known = kap_directory_region(dir, region);
    if (!known)
        return archive ? KAP_SEE_FULL : KAP_SEE_NOTHING;
    if (reads_region(dir, who, known))
        return KAP_SEE_FULL;
    return known->visibility >= KAP_VISIBILITY_NATION ? KAP_SEE_EDGES : KAP_SEE_TOTALS;
}

kap_see_t kap_may_see_nation(const kap_member_t *who)
{
    enum { WIDE = KAP_ROLE_MINISTRY | KAP_ROLE_OPERATOR | KAP_ROLE_GATEWAY };

    if (!who)
        return KAP_SEE_NOTHING;
    return who->roles & WIDE ? KAP_SEE_FULL : KAP_SEE_TOTALS;
}

kap_see_t kap_may_see_area(const kap_member_t *who, kap_span_t area)
{
    for (uint32_t i = 0; who && who->roles & KAP_ROLE_AREA && i < who->role_area_count; i++) {
        if (kap_span_eq(who->role_areas[i], area))
            return KAP_SEE_FULL;
    }
    return kap_may_see_nation(who);
}

/* The least of what is seen of the member's regions. */
static kap_see_t see_everywhere(const kap_directory_t *dir, const kap_member_t *who,
                                const kap_member_t *of)
{
    kap_see_t least = of->region_count ? KAP_SEE_FULL : KAP_SEE_NOTHING;
    for (uint32_t i = 0; i < of->region_count; i++) {
        kap_span_t region = kap_directory_region_at(dir, of->regions[i])->id;
        kap_see_t see = kap_may_see(dir, who, region, false);
        least = see < least ? see : least;
    }
    return least == KAP_SEE_TOTALS ? KAP_SEE_NOTHING : least;
}

kap_see_t kap_may_see_member(const kap_directory_t *dir, const kap_member_t *who, kap_span_t member)
{
    const kap_member_t *of = kap_directory_member(dir, member);
    if (who && kap_span_eq(who->id, member))
        return KAP_SEE_FULL;
    return who && of ? see_everywhere(dir, who, of) : KAP_SEE_NOTHING;
}

kap_see_t kap_may_see_organisation(const kap_directory_t *dir, const kap_member_t *who,
                                   kap_span_t organisation)
{
    kap_see_t least = KAP_SEE_FULL;
    if (!who)
        return KAP_SEE_NOTHING;
    if (kap_span_eq(who->organisation, organisation))
        return KAP_SEE_FULL;
    for (uint32_t i = 0; i < kap_directory_member_count(dir); i++) {
        const kap_member_t *of = kap_directory_member_at(dir, i);
        if (!kap_span_eq(of->organisation, organisation))
            continue;
        kap_see_t see = see_everywhere(dir, who, of);
        least = see < least ? see : least;
    }
    return least;
}

bool kap_may_operate(const kap_member_t *who)
{
    return who && (who->roles & KAP_ROLE_OPERATOR) != 0;
}
