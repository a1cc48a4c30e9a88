/* SPDX-License-Identifier: MPL-2.0 */
/* What each daemon does that no other does. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drop.h"
#include "ely.h"
#include "err.h"
#include "finnvera.h"
#include "intake_file.h"
#include "municipality.h"
#include "partner.h"
#include "te_office.h"

#define BASIS                                                                                      \
    "basis.disclosure", "customer_consent", "basis.gdpr", "6.1.a", "basis.consent_date",           \
        "2026-01-02"
#define FINNVERA_CONF                                                                              \
    "finnvera: { applications = \"applications\"; decisions = \"decisions\"; "                     \
    "codes = ((\"M1\", \"handled/funding_granted\"), (\"H9\", \"handled/funding_refused\"), "      \
    "(\"S2\", \"passed_on\")); };\nspool: { settle = \"0ms\"; };\n"

/* --- finnvera --- */

typedef struct {
    rig_t *rig;
    kap_node_t *sender, *bank;
    char referral[201], file[260];
} loan_t;

/* A referral that came to finnvera and lies there as an application. */
static void loan_begin(loan_t *loan, const char *more)
{
    loan->rig = rig_new();
    rig_broker_start(loan->rig);
    loan->sender = rig_node_open(loan->rig, MUNICIPALITY, &kap_municipality, NULL);
    loan->bank = rig_node_open(loan->rig, FINNVERA, &kap_finnvera, more);
    kap_act_result_t sent = rig_act(loan->sender, "refer", "to", "finnvera", "service", "financing",
                                    "company", "Kone \"ja\" Oy", "business_id", "2617416-4", "need",
                                    "laina koneeseen", BASIS, NULL);
    cr_assert(sent.accepted, "%s", sent.sentence);
    snprintf(loan->referral, sizeof loan->referral, "%s", sent.subject);
    snprintf(loan->file, sizeof loan->file, "applications/%s.json", sent.subject);
    drop_until_there(loan->rig, loan->file);
}

static kap_span_t detail_of(kap_node_t *node, const rig_event_t *event, kap_arena_t *arena)
{
    kap_event_t ev;
    (void)node;
    cr_assert_eq(kap_event_decode(event->open, event->ends, event->sealed, arena, &ev, NULL),
                 KAP_OK);
    int code = kap_event_code(&ev, KAP_F_DETAIL);
    return kap_span_str(code < 0 ? "" : kap_code_name(KAP_LIST_DETAIL, code));
}

static int outcome_of(const rig_event_t *event, kap_arena_t *arena)
{
    kap_event_t ev;
    cr_assert_eq(kap_event_decode(event->open, event->ends, event->sealed, arena, &ev, NULL),
                 KAP_OK);
    return kap_event_code(&ev, KAP_F_OUTCOME);
}

Test(finnvera, an_arrived_referral_is_an_application_file_with_its_contents, .timeout = 60)
{
    loan_t loan;
    loan_begin(&loan, FINNVERA_CONF);
    char *text = drop_text(loan.rig, loan.file);
    cr_assert(strstr(text, "\"company\":\"Kone \\\"ja\\\" Oy\""), "%s", text);
    cr_assert(strstr(text, "\"business_id\":\"2617416-4\""), "%s", text);
    cr_assert(strstr(text, "\"service\":\"financing\""), "%s", text);
    cr_assert(strstr(text, "\"from\":\"municipality\""), "%s", text);
    cr_assert(strstr(text, "\"basis.disclosure\":\"customer_consent\""), "%s", text);
    cr_assert_eq(text[strlen(text) - 1], '\n');
    free(text);
    rig_destroy(&loan.rig);
}

Test(finnvera, a_decision_file_ends_the_referral_and_its_detail_stays_sealed, .timeout = 60)
{
    loan_t loan;
    char csv[500];
    kap_arena_t *arena = kap_arena_new(4096);
    loan_begin(&loan, FINNVERA_CONF);
    snprintf(csv, sizeof csv, "Hakemus;Päätös;Summa;Perustelut\n%s;m1;12000,50;Myönnetty ehdoin\n",
             loan.referral);
    drop_file(loan.rig, "decisions/paatokset-1.csv", csv);
    drop_until_gone(loan.rig, "decisions/paatokset-1.csv");
    rig_until_state(loan.rig, loan.sender, loan.referral, "completed");
    drop_until_gone(loan.rig, loan.file);
    cr_assert_eq(drop_count(loan.rig, "decisions/refused"), 0);
    const rig_event_t *event = rig_find(loan.rig, "kapula.referral.completed.v1", 0);
    cr_assert(event);
    cr_assert_eq(outcome_of(event, arena), KAP_OUTCOME_HANDLED);
    cr_assert_eq(detail_of(loan.bank, event, arena).size, 0);
    cr_assert_gt(event->sealed.size, 0);
    kap_arena_destroy(&arena);
    rig_destroy(&loan.rig);
}

Test(finnvera, the_detail_is_seen_where_the_configuration_opens_it, .timeout = 60)
{
    loan_t loan;
    char csv[500];
    kap_arena_t *arena = kap_arena_new(4096);
    loan_begin(&loan, "finnvera: { applications = \"applications\"; decisions = \"decisions\"; "
                      "open_detail = true; };\nspool: { settle = \"0ms\"; };\n");
    snprintf(csv, sizeof csv, "{\"referral\":\"%s\",\"Päätös\":\"HYLÄTTY\"}\n", loan.referral);
    drop_file(loan.rig, "decisions/p.jsonl", csv);
    rig_until_state(loan.rig, loan.sender, loan.referral, "completed");
    const rig_event_t *event = rig_find(loan.rig, "kapula.referral.completed.v1", 0);
    cr_assert_eq(outcome_of(event, arena), KAP_OUTCOME_HANDLED);
    cr_assert(kap_span_eq_str(detail_of(loan.bank, event, arena), "funding_refused"));
    kap_arena_destroy(&arena);
    rig_destroy(&loan.rig);
}

Test(finnvera, an_unknown_code_or_application_is_refused_with_what_would_be_right, .timeout = 60)
{
    loan_t loan;
    char csv[500];
    loan_begin(&loan, FINNVERA_CONF);
    snprintf(csv, sizeof csv, "Hakemus;Päätös\n%s;X7\nhauki;M1\n", loan.referral);
    drop_file(loan.rig, "decisions/p.csv", csv);
    drop_until_there(loan.rig, "decisions/refused/p.csv");
    char *text = drop_text(loan.rig, "decisions/refused/p.csv");
    cr_assert(strstr(text, "'X7' is no decision code of finnvera.codes; they are M1, H9, S2"), "%s",
              text);
    cr_assert(strstr(text, "this node knows no referral 'hauki'"), "%s", text);
    free(text);
    cr_assert_str_eq(rig_state(loan.bank, loan.referral), "delivered");
    cr_assert(drop_is_there(loan.rig, loan.file));
    rig_destroy(&loan.rig);
}

Test(finnvera, a_detail_in_the_clear_is_refused_at_every_door, .timeout = 60)
{
    loan_t loan;
    loan_begin(&loan, FINNVERA_CONF);
    kap_act_result_t r = rig_act(loan.bank, "complete", "referral", loan.referral, "outcome",
                                 "handled", "detail", "funding_granted", NULL);
    cr_assert_not(r.accepted);
    cr_assert_str_eq(r.code, "finnvera.sealed_detail");
    r = rig_act(loan.bank, "complete", "referral", loan.referral, "outcome", "handled",
                "sealed.detail", "funding_granted", NULL);
    cr_assert(r.accepted, "%s", r.sentence);
    rig_destroy(&loan.rig);
}

/* --- te-office --- */

Test(te_office, a_statement_that_is_asked_for_lies_in_a_file, .timeout = 60)
{
    rig_t *rig = rig_new();
    rig_broker_start(rig);
    kap_node_t *asker = rig_node_open(rig, MUNICIPALITY, &kap_municipality, NULL);
    rig_node_open(rig, TE_OFFICE, &kap_te_office,
                  "te_office: { statements = \"statements\"; };\n" DROP_CONF);
    kap_act_result_t asked =
        rig_act(asker, "statement-ask", "to", "te-office", "statement_kind", "startup_grant",
                "statement", "lausunto-1", "person", "Maija Alkava", NULL);
    cr_assert(asked.accepted, "%s", asked.sentence);
    drop_until_there(rig, "statements/asked-lausunto-1.json");
    char *text = drop_text(rig, "statements/asked-lausunto-1.json");
    cr_assert(strstr(text, "\"statement_kind\":\"startup_grant\""), "%s", text);
    cr_assert(strstr(text, "\"person\":\"Maija Alkava\""), "%s", text);
    free(text);
    drop_file(rig, "spool/in/lausunnot.csv",
              "Lausunto;Lausunnon laji;Keneltä pyydetään;Hakija;Kanta;Huomautus\n"
              "l-2;hauki;municipality;Matti Alkava;;\n"
              "l-3;starttiraha;municipality;Matti Alkava;;\n"
              "lausunto-1;;;;puoltaa;hyvä suunnitelma\n");
    drop_until_gone(rig, "spool/in/lausunnot.csv");
    text = drop_text(rig, "spool/refused/lausunnot.csv");
    cr_assert(strstr(text, "'hauki' is not one of startup_grant, small_loan"), "%s", text);
    cr_assert_null(strstr(text, "lausunto-1"), "%s", text);
    cr_assert_null(strstr(text, "l-3"), "%s", text);
    free(text);
    rig_destroy(&rig);
}

Test(te_office, an_authority_that_declines_says_where_to_turn, .timeout = 60)
{
    rig_t *rig = rig_new();
    rig_broker_start(rig);
    kap_node_t *sender = rig_node_open(rig, MUNICIPALITY, &kap_municipality, NULL);
    kap_node_t *office = rig_node_open(rig, TE_OFFICE, &kap_te_office, NULL);
    kap_act_result_t sent = rig_act(sender, "refer", "to", "te-office", "service", "recruitment",
                                    "company", "Kone Oy", BASIS, NULL);
    rig_until_state(rig, office, sent.subject, "delivered");
    kap_act_result_t r =
        rig_act(office, "decline", "referral", sent.subject, "reason", "wrong_service", NULL);
    cr_assert_not(r.accepted);
    cr_assert_str_eq(r.field, "advised");
    cr_assert(strstr(r.sentence, "or redirects the referral"));
    r = rig_act(office, "decline", "referral", sent.subject, "reason", "wrong_service", "advised",
                "Finnvera", NULL);
    cr_assert(r.accepted, "%s", r.sentence);
    rig_destroy(&rig);
}

/* --- partner --- */

Test(partner, only_an_authority_discloses_by_statute, .timeout = 60)
{
    rig_t *rig = rig_new();
    kap_node_t *node = rig_node_open(rig, MENTOR, &kap_partner, DROP_CONF);
    kap_act_result_t r =
        rig_act(node, "refer", "to", "finnvera", "service", "financing", "basis.disclosure",
                "statute", "basis.statute", "laki 1", "basis.gdpr", "6.1.e", NULL);
    cr_assert_not(r.accepted);
    cr_assert_str_eq(r.code, "partner.basis");
    r = rig_act(node, "refer", "to", "finnvera", "service", "financing", "basis.disclosure",
                "not_secret", "basis.gdpr", "6.1.f", "company", "Kone Oy", NULL);
    cr_assert(r.accepted, "%s", r.sentence);
    rig_destroy(&rig);
}

Test(partner, a_private_provider_hands_on_with_the_customers_consent_only, .timeout = 60)
{
    rig_t *rig = rig_new();
    kap_node_t *node = rig_node_open(rig, ADVISER, &kap_partner, DROP_CONF);
    kap_act_result_t r =
        rig_act(node, "refer", "to", "finnvera", "service", "financing", "basis.disclosure",
                "not_secret", "basis.gdpr", "6.1.f", "company", "Kone Oy", NULL);
    cr_assert_not(r.accepted);
    cr_assert(strstr(r.sentence, "only with the customer's consent"));
    r = rig_act(node, "refer", "to", "finnvera", "service", "financing", "company", "Kone Oy",
                BASIS, NULL);
    cr_assert(r.accepted, "%s", r.sentence);
    rig_destroy(&rig);
}

Test(partner, columns_follow_the_type_of_the_directory, .timeout = 60)
{
    static const char file[] = "Kummiyritys;Palvelu;Vastaanottaja;Luovutusperuste;Suostumuspäivä\n"
                               "Kone Oy;vienti;finnvera;customer_consent;2.1.2026\n";
    rig_t *rig = rig_new();
    kap_node_t *mentor = rig_node_open(rig, MENTOR, &kap_partner, DROP_CONF);
    drop_file(rig, "spool/in/siirrot.csv", file);
    drop_until_gone(rig, "spool/in/siirrot.csv");
    cr_assert_eq(drop_waiting(mentor), 1);
    cr_assert_eq(drop_count(rig, "spool/refused"), 0);
    rig_node_close(rig, MENTOR);
    kap_node_t *adviser = rig_node_open(rig, ADVISER, &kap_partner, DROP_CONF);
    drop_file(rig, "spool/in/siirrot.csv", file);
    drop_until_gone(rig, "spool/in/siirrot.csv");
    cr_assert_eq(drop_waiting(adviser), 0);
    char *text = drop_text(rig, "spool/refused/siirrot.csv.reason.txt");
    cr_assert(strstr(text, "Kummiyritys: no such column"), "%s", text);
    free(text);
    rig_destroy(&rig);
}

/* --- all --- */

Test(actors, each_daemon_has_columns_that_no_other_knows)
{
    static const struct {
        const kap_actor_t *actor;
        const char *column, *field;
    } own[] = {{&kap_municipality, "Haravakierros", "campaign"},
               {&kap_te_office, "Suunniteltu yritystoiminta", "need"},
               {&kap_ely, "Avustuslaji", "service"},
               {&kap_finnvera, "Päätösnumero", "own_reference"}};
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < 4; j++) {
            kap_mapping_t *mapping;
            cr_assert_eq(kap_mapping_new(own[j].actor->columns, &mapping), KAP_OK);
            kap_mapped_column_t column =
                kap_mapping_column(mapping, KAP_GROUP_REFERRAL, kap_span_str(own[i].column));
            if (i == j)
                cr_assert_str_eq(column.field, own[i].field);
            else
                cr_assert_null(column.field, "%s knows %s", own[j].actor->program, own[i].column);
            kap_mapping_destroy(&mapping);
        }
}

static bool has_key(const kap_actor_t *actor, const char *key)
{
    const kap_conf_key_t *tables[KAP_NODE_CONF_TABLES];
    kap_node_conf_tables(actor, tables);
    for (size_t i = 0; tables[i]; i++)
        for (const kap_conf_key_t *row = tables[i]; row->key; row++)
            if (strcmp(row->key, key) == 0)
                return true;
    return false;
}

Test(actors, each_daemon_has_the_configuration_of_its_own_work)
{
    static const kap_actor_t *const actors[] = {&kap_municipality, &kap_te_office, &kap_ely,
                                                &kap_finnvera, &kap_partner};
    for (size_t i = 0; i < 5; i++) {
        cr_assert(has_key(actors[i], "spool.directory"), "%s", actors[i]->program);
        cr_assert_eq(has_key(actors[i], "te_office.statements"), actors[i] == &kap_te_office);
        cr_assert_eq(has_key(actors[i], "ely.feed"), actors[i] == &kap_ely);
        cr_assert_eq(has_key(actors[i], "finnvera.codes"), actors[i] == &kap_finnvera);
    }
}

Test(actors, a_daemon_does_not_serve_a_member_of_another_type, .timeout = 60)
{
    rig_t *rig = rig_new();
    kap_node_t *node = rig_node_open(rig, MENTOR, &kap_partner, NULL);
    kap_actor_t wrong = kap_finnvera;
    node->actor = &wrong;
    cr_assert_eq(kap_node_start(node), KAP_E_CONFIG);
    node->actor = &kap_partner;
    rig_destroy(&rig);
}

/* --- examples and manual --- */

static const struct {
    const char *folder;
    const kap_actor_t *actor;
    int member; /* of the rig, by which the examples are tried */
    const char *files[5];
} examples[] = {
    {"municipality",
     &kap_municipality,
     MUNICIPALITY,
     {"siirrot.csv", "harava-2026.csv", "tukkimiehen_kirjanpito.csv", "kokoukset.csv"}},
    {"te_office", &kap_te_office, TE_OFFICE, {"lausunnot.csv", "vastaukset.csv"}},
    {"ely", &kap_ely, TE_OFFICE, {"siirrot-kehittamisavustus.csv"}},
    {"partner", &kap_partner, MENTOR, {"neuvonta.csv"}},
};

static char *file_text(const char *path)
{
    char *text = calloc(1, 1 << 20);
    FILE *file = fopen(path, "r");
    cr_assert(file, "%s", path);
    cr_assert_gt(fread(text, 1, (1 << 20) - 1, file), 0);
    fclose(file);
    return text;
}

/* What an example cannot know in the small mesh of the tests: its referrals and some members. */
static bool is_of_the_rig(const char *code)
{
    static const char *const codes[] = {"act.unknown", "act.no_member", "act.nobody", "act.choose",
                                        "illegal.unknown_meeting"};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (strcmp(code, codes[i]) == 0)
            return true;
    return false;
}

static void try_row(kap_node_t *node, const char *file, const kap_intake_row_t *row)
{
    cr_assert_not(row->refused, "%s:%d: %s: %s", file, (int)row->line, row->why.column,
                  row->why.reason);
    cr_assert_gt(row->act_count, 0, "%s:%d", file, (int)row->line);
    for (size_t i = 0; i < row->act_count; i++) {
        kap_act_result_t result;
        kap_act_t act = {
            .verb = row->acts[i].verb, .fields = row->acts[i].fields, .count = row->acts[i].count};
        cr_assert_eq(kap_act_try(node, &act, &result), KAP_OK);
        cr_assert(result.accepted || is_of_the_rig(result.code), "%s:%d: %s: %s (%s)", file,
                  (int)row->line, result.field, result.sentence, result.code);
    }
}

static void try_file(kap_node_t *node, const kap_actor_column_t *columns, const char *path)
{
    kap_mapping_t *mapping;
    kap_intake_file_t *file;
    kap_intake_row_t *rows;
    kap_intake_why_t why;
    int64_t line;
    size_t count;
    const char *name = strrchr(path, '/') + 1;
    char *text = file_text(path);
    int kind = kap_intake_kind_of_file(kap_span_str(name));
    cr_assert_geq(kind, 0, "%s", name);
    cr_assert_eq(kap_mapping_new(columns, &mapping), KAP_OK);
    kap_intake_opts_t opts = {
        .mapping = mapping, .kind = (kap_intake_kind_t)kind, .kinds = UINT32_MAX};
    cr_assert_eq(kap_intake_file_open(kap_span_str(text),
                                      strstr(name, ".csv") ? KAP_INTAKE_CSV : KAP_INTAKE_JSON,
                                      &opts, kap_node_directory(node), &file, &line, &why),
                 KAP_OK, "%s: %s: %s", name, why.column, why.reason);
    cr_assert_eq(kap_intake_file_next(file, kap_node_directory(node), 1000, &rows, &count), KAP_OK);
    cr_assert_gt(count, 0, "%s", name);
    for (size_t i = 0; i < count; i++)
        try_row(node, name, &rows[i]);
    kap_intake_file_close(&file);
    kap_mapping_destroy(&mapping);
    free(text);
}

Test(examples, every_example_goes_through, .timeout = 60)
{
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
        rig_t *rig = rig_new();
        kap_actor_t actor = *examples[i].actor;
        actor.types = NULL; /* the rig has no member of each type */
        actor.closing = NULL;
        actor.rule = NULL;
        actor.received = NULL;
        kap_node_t *node = rig_node_open(rig, examples[i].member, &actor, NULL);
        for (size_t f = 0; examples[i].files[f]; f++) {
            char path[500];
            snprintf(path, sizeof path, "%s/services/%s/examples/%s", KAP_TEST_SOURCE_DIR,
                     examples[i].folder, examples[i].files[f]);
            try_file(node, actor.columns, path);
        }
        rig_destroy(&rig);
    }
}

Test(examples, the_decisions_end_their_referrals, .timeout = 60)
{
    rig_t *rig = rig_new();
    rig_broker_start(rig);
    kap_node_t *sender = rig_node_open(rig, MUNICIPALITY, &kap_municipality, NULL);
    kap_node_t *bank =
        rig_node_open(rig, FINNVERA, &kap_finnvera,
                      "finnvera: { decisions = \"decisions\"; };\nspool: { settle = \"0ms\"; };\n");
    static const char *const ids[] = {"referral-1", "referral-2", "referral-3"};
    for (int i = 0; i < 3; i++) {
        kap_act_result_t sent =
            rig_act(sender, "refer", "referral", ids[i], "to", "finnvera", "service", "financing",
                    "time", "2026-01-02", "company", "Kone Oy", BASIS, NULL);
        cr_assert(sent.accepted, "%s", sent.sentence);
        rig_until_state(rig, bank, ids[i], "delivered");
    }
    char *text = file_text(KAP_TEST_SOURCE_DIR "/services/finnvera/examples/paatokset.csv");
    drop_file(rig, "decisions/paatokset.csv", text);
    free(text);
    drop_until_gone(rig, "decisions/paatokset.csv");
    for (int i = 0; i < 3; i++)
        rig_until_state(rig, sender, ids[i], "completed");
    cr_assert_eq(drop_count(rig, "decisions/refused"), 0);
    rig_destroy(&rig);
}

Test(examples, a_new_enterprise_agencys_lines_have_its_columns)
{
    static const kap_actor_column_t agency[] = {{"Liikeidea", "need", NULL, ""},
                                                {"Perustettava yritys", "company", NULL, ""},
                                                {"Alkava yrittäjä", "person", NULL, ""},
                                                {NULL}};
    rig_t *rig = rig_new();
    kap_node_t *node = rig_node_open(rig, MENTOR, &kap_partner, NULL);
    try_file(node, agency,
             KAP_TEST_SOURCE_DIR "/services/partner/examples/siirrot-uusyrityskeskus.jsonl");
    rig_destroy(&rig);
}

Test(manual, columns_md_holds_every_column_and_kind)
{
    static const char *const rows[][4] = {
#define KAP_INTAKE_COLUMN(GROUP, FIELD, FI, SV, EN, HELP) {FIELD, FI, EN, HELP},
#include "intake_columns.def"
#undef KAP_INTAKE_COLUMN
    };
    static const char *const words[] = {
#define KAP_INTAKE_KIND(NAME, GROUP, VERB, PRESET, WORDS) WORDS,
#define KAP_INTAKE_ANSWER(GROUP, VERB, WORDS)
#include "intake_words.def"
#undef KAP_INTAKE_KIND
#undef KAP_INTAKE_ANSWER
    };
    char *manual = file_text(KAP_TEST_SOURCE_DIR "/services/node/COLUMNS.md");
    char want[400];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i][0][0] == '-')
            continue;
        snprintf(want, sizeof want, "\n| %s | %.*s", rows[i][0], (int)strcspn(rows[i][1], "|"),
                 rows[i][1]);
        cr_assert(strstr(manual, want), "COLUMNS.md lacks: %s", want);
        snprintf(want, sizeof want, "| %s |\n", rows[i][3]);
        cr_assert(strstr(manual, want), "COLUMNS.md lacks: %s", want);
    }
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        snprintf(want, sizeof want, " | %.*s", (int)strcspn(words[i], "|"), words[i]);
        cr_assert(strstr(manual, want), "COLUMNS.md lacks: %s", want);
    }
    free(manual);
}
