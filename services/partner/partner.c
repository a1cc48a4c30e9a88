/* SPDX-License-Identifier: MPL-2.0 */
#include "partner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "act_value.h"
#include "err.h"
#include "log.h"
#include "spool.h"

typedef struct {
    const char *type, *services, *origin;
} row_t;

static const row_t rows[] = {
#define KAP_PARTNER(TYPE, SERVICES, ORIGIN) {TYPE, SERVICES, ORIGIN},
#define KAP_PARTNER_COLUMN(TYPE, COLUMN, FIELD, HELP)
#include "partner_types.def"
#undef KAP_PARTNER
#undef KAP_PARTNER_COLUMN
};

static const struct {
    const char *type;
    kap_actor_column_t column;
} all_columns[] = {
#define KAP_PARTNER(TYPE, SERVICES, ORIGIN)
#define KAP_PARTNER_COLUMN(TYPE, COLUMN, FIELD, HELP) {TYPE, {COLUMN, FIELD, NULL, HELP}},
#include "partner_types.def"
#undef KAP_PARTNER
#undef KAP_PARTNER_COLUMN
};
enum { COLUMNS = sizeof all_columns / sizeof all_columns[0] };

typedef struct {
    kap_spool_t *spool;
    const row_t *row; /* NULL: a type without one */
    kap_actor_column_t columns[COLUMNS + 1];
} drop_t;

static const row_t *row_of(const kap_member_t *self)
{
    for (size_t i = 0; self && i < sizeof rows / sizeof rows[0]; i++)
        if (kap_span_eq_str(self->type_id, rows[i].type))
            return &rows[i];
    return NULL;
}

/* --- rules: by the flags of the type, as the directory has it now --- */

static int refuse(kap_act_result_t *result, const char *field, const char *sentence)
{
    snprintf(result->code, sizeof result->code, "partner.basis");
    snprintf(result->field, sizeof result->field, "%s", field);
    snprintf(result->sentence, sizeof result->sentence, "%s", sentence);
    return KAP_E_DENIED;
}

static int basis_rule(const kap_member_t *self, const kap_act_t *act, const char *prefix,
                      kap_act_result_t *result)
{
    kap_span_t disclosure = kap_act_field(act, prefix, "basis.disclosure");
    kap_span_t gdpr = kap_act_field(act, prefix, "basis.gdpr");
    if (!self->is_authority && kap_span_eq_str(disclosure, "statute"))
        return refuse(result, "basis.disclosure",
                      "only an authority discloses by statute; say customer_consent or not_secret");
    if (!self->is_authority && (kap_span_eq_str(gdpr, "6.1.e") || kap_span_eq_str(gdpr, "6.1.c")))
        return refuse(result, "basis.gdpr",
                      "a public task or legal duty (6.1.c, 6.1.e) is an authority's ground; say "
                      "6.1.a, 6.1.b or 6.1.f");
    if (self->is_private && kap_span_eq_str(act->verb, *prefix ? "redirect" : "refer") &&
        !(*prefix && kap_span_empty(disclosure)) && /* a child has its parent's basis */
        !kap_span_eq_str(disclosure, "customer_consent"))
        return refuse(result, "basis.disclosure",
                      "a private service provider hands a customer on only with the customer's "
                      "consent; say customer_consent and the day of it");
    return KAP_OK;
}

static int rule(void *state, kap_node_t *node, const kap_act_t *act, kap_act_result_t *result)
{
    const kap_member_t *self = kap_node_self(node);
    (void)state;
    if (!self)
        return KAP_OK;
    int rc = basis_rule(self, act, "", result);
    return rc == KAP_OK ? basis_rule(self, act, "next.", result) : rc;
}

/* --- intake by type --- */

static int adapt(void *arg, kap_intake_act_t *act, kap_arena_t *arena, kap_intake_why_t *why)
{
    const drop_t *drop = arg;
    (void)arena;
    (void)why;
    if (!drop->row || !*drop->row->origin || !kap_span_eq_str(act->verb, "refer") ||
        !kap_span_empty(kap_intake_act_get(act, "origin")))
        return KAP_OK;
    return kap_intake_act_set(act, "origin", kap_span_str(drop->row->origin));
}

static void columns_fill(drop_t *drop)
{
    size_t n = 0;
    for (size_t i = 0; drop->row && i < COLUMNS; i++)
        if (strcmp(all_columns[i].type, drop->row->type) == 0)
            drop->columns[n++] = all_columns[i].column;
}

static int spool_start(kap_node_t *node, void **state)
{
    const char *directory = kap_conf_str(kap_node_conf(node), "spool.directory");
    *state = NULL;
    if (!directory)
        return KAP_OK;
    drop_t *drop = calloc(1, sizeof *drop);
    if (!drop)
        return KAP_E_NOMEM;
    drop->row = row_of(kap_node_self(node));
    columns_fill(drop);
    kap_spool_opts_t opts = {.name = "spool",
                             .directory = directory,
                             .kind = -1,
                             .kinds = KAP_SPOOL_KINDS,
                             .columns = drop->columns,
                             .adapt = adapt,
                             .adapt_arg = drop};
    int rc = kap_spool_open(node, &opts, &drop->spool);
    if (rc != KAP_OK)
        free(drop);
    else
        *state = drop;
    return rc;
}

static void spool_stop(void **state)
{
    drop_t *drop = *state;
    *state = NULL;
    if (!drop)
        return;
    kap_spool_close(&drop->spool);
    free(drop);
}

/* --- services by type --- */

static bool usual(const row_t *row, const char *service)
{
    size_t n = strlen(service);
    for (const char *at = row->services; *at;) {
        size_t m = strcspn(at, " ");
        if (m == n && strncmp(at, service, n) == 0)
            return true;
        at += m + (at[m] == ' ');
    }
    return false;
}

/* Says which services of the directory are not usual for the type: a slip of the service map is
 * seen here first. Nothing is refused for it. */
static int opened(kap_node_t *node, void **state)
{
    const kap_member_t *self = kap_node_self(node);
    const row_t *row = row_of(self);
    *state = NULL;
    if (!self || !row)
        return KAP_OK;
    for (int code = 0; code < KAP_SERVICE_COUNT; code++) {
        const char *service = kap_code_name(KAP_LIST_SERVICE, code);
        if (kap_member_offers(self, code) && !usual(row, service))
            KAP_LOG(KAP_LOG_WARN, "service_unusual", KAP_S("type", row->type),
                    KAP_S("service", service), KAP_S("usual", row->services));
    }
    return KAP_OK;
}

static const kap_node_extra_t spool = {
    .name = "spool", .keys = kap_spool_keys, .start = spool_start, .stop = spool_stop};
static const kap_node_extra_t *const extras[] = {&spool, NULL};

const kap_actor_t kap_partner = {
    .program = "kapula-partner",
    .summary = "the node of any other actor, by its type",
    .extras = extras,
    .opened = opened,
    .rule = rule,
};
