/* SPDX-License-Identifier: MPL-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "err.h"
#include "intake_file.h"

/* A directory with some members, for names in a sheet. */
static kap_directory_t *directory(void)
{
    static const char json[] =
        "{\"mesh\":\"0101010101010101010101010101010101010101010101010101010101010101\","
        "\"regions\":[{\"id\":\"mikkeli\"}],\"members\":["
        "{\"id\":\"municipality\",\"organisation\":\"2617416-4\",\"name\":{\"fi\":\"Miksei\"},"
        "\"type\":\"municipality\",\"roles\":[],\"regions\":[\"mikkeli\"]},"
        "{\"id\":\"finnvera\",\"organisation\":\"1484332-4\",\"name\":{\"fi\":\"Finnvera Oyj\"},"
        "\"type\":\"finnvera\",\"roles\":[],\"regions\":[\"mikkeli\"]}]}";
    kap_directory_t *dir = NULL;
    kap_buf_t messages = {0};
    cr_assert_eq(kap_directory_parse(kap_span_str(json), &dir, &messages), KAP_OK, "%s",
                 kap_buf_cstr(&messages));
    kap_buf_fini(&messages);
    return dir;
}

typedef struct {
    kap_mapping_t *mapping;
    kap_directory_t *directory;
    kap_intake_file_t *file;
    kap_intake_row_t *rows;
    size_t count;
    int64_t line;
    kap_intake_why_t why;
    int rc;
} fix_t;

static void fix_begin(fix_t *fix, const kap_actor_column_t *own)
{
    *fix = (fix_t){.directory = directory()};
    cr_assert_eq(kap_mapping_new(own, &fix->mapping), KAP_OK);
}

static int fix_read(fix_t *fix, kap_intake_kind_t kind, kap_intake_format_t format,
                    const char *text)
{
    kap_intake_opts_t opts = {.mapping = fix->mapping, .kind = kind, .kinds = UINT32_MAX};
    kap_intake_file_close(&fix->file);
    fix->rc = kap_intake_file_open(kap_span_str(text), format, &opts, fix->directory, &fix->file,
                                   &fix->line, &fix->why);
    fix->count = 0;
    if (fix->rc == KAP_OK)
        fix->rc = kap_intake_file_next(fix->file, fix->directory, 1000, &fix->rows, &fix->count);
    return fix->rc;
}

static void fix_end(fix_t *fix)
{
    kap_intake_file_close(&fix->file);
    kap_mapping_destroy(&fix->mapping);
    kap_directory_unref(&fix->directory);
}

/* "verb name=value name=value" of an act, fields in order. */
static const char *shown(const kap_intake_act_t *act)
{
    static char text[2000];
    int at = snprintf(text, sizeof text, "%.*s", KAP_SPAN_ARGS(act->verb));
    for (size_t i = 0; i < act->count; i++)
        at += snprintf(text + at, sizeof text - (size_t)at, " %.*s=%.*s",
                       KAP_SPAN_ARGS(act->fields[i].name), KAP_SPAN_ARGS(act->fields[i].value));
    return text;
}

static void is_act(const fix_t *fix, size_t row, size_t act, const char *want)
{
    cr_assert_lt(row, fix->count);
    cr_assert_not(fix->rows[row].refused, "%s: %s", fix->rows[row].why.column,
                  fix->rows[row].why.reason);
    cr_assert_lt(act, fix->rows[row].act_count);
    cr_assert_str_eq(shown(&fix->rows[row].acts[act]), want);
}

Test(intake, a_crm_row_in_three_languages_is_the_same_act)
{
    static const char *const files[] = {
        "Y-tunnus;Yritys;Palvelu;Vastaanottaja;Lisätiedot\r\n"
        "2617416-4;Oy Esimerkki Ab;Starttiraha;finnvera;\"lainaa; pian\"\r\n",
        "FO-nummer,Företag,Tjänst,Mottagare,Tilläggsuppgifter\n"
        "2617416-4,Oy Esimerkki Ab,startpeng,FINNVERA OYJ,lainaa; pian\n",
        "\xef\xbb\xbf"
        "business id,COMPANY,service,to,details\n"
        "2617416-4,Oy Esimerkki Ab,start-up grant,Finnvera,lainaa; pian"};
    for (int i = 0; i < 3; i++) {
        fix_t fix;
        fix_begin(&fix, NULL);
        cr_assert_eq(fix_read(&fix, KAP_INTAKE_REFERRAL, KAP_INTAKE_CSV, files[i]), KAP_OK, "%s",
                     fix.why.reason);
        cr_assert_eq(fix.count, 1);
        is_act(&fix, 0, 0,
               "refer business_id=2617416-4 company=Oy Esimerkki Ab service=startup-grant "
               "to=finnvera need=lainaa; pian");
        fix_end(&fix);
    }
}

Test(intake, the_kind_comes_from_the_column_then_the_name_then_the_configuration)
{
    cr_assert_eq(kap_intake_kind_of_file(KAP_SPAN("liidit-2026-10.csv")), KAP_INTAKE_LEAD);
    cr_assert_eq(kap_intake_kind_of_file(KAP_SPAN("Tukkimiehen_kirjanpito.csv")), KAP_INTAKE_TALLY);
    cr_assert_eq(kap_intake_kind_of_file(KAP_SPAN("HÄNVISNING 3.csv")), KAP_INTAKE_GUIDANCE);
    cr_assert_eq(kap_intake_kind_of_file(KAP_SPAN("vienti.csv")), -1);
    fix_t fix;
    fix_begin(&fix, NULL);
    cr_assert_eq(fix_read(&fix, KAP_INTAKE_REFERRAL, KAP_INTAKE_CSV,
                          "Laji;Palvelu;Vastaanottaja;Siirto;Vastaus;Määrä;Kuukausi\n"
                          "ohjaus;tax;finnvera;;;;\n"
                          "vastaus;;;r1;otettu vastaan;;\n"
                          "tukkimies;;PRH;;;3;10/2026\n"
                          ";export;;;;;\n"
                          "hauki;export;;;;;\n"),
                 KAP_OK);
    is_act(&fix, 0, 0, "refer service=tax to=finnvera kind=guidance");
    is_act(&fix, 1, 0, "accept referral=r1");
    is_act(&fix, 2, 0, "tally to=external:prh count=3 period=2026-10");
    is_act(&fix, 3, 0, "refer service=export");
    cr_assert(fix.rows[4].refused);
    cr_assert_str_eq(fix.rows[4].why.column, "Laji");
    cr_assert(strstr(fix.rows[4].why.reason, "'hauki' is no kind of row; say siirto"));
    fix_end(&fix);
}

Test(intake, a_company_of_a_campaign_becomes_one_lead_for_each_need)
{
    fix_t fix;
    fix_begin(&fix, NULL);
    cr_assert_eq(fix_read(&fix, KAP_INTAKE_HARAVA, KAP_INTAKE_CSV,
                          "Y-tunnus;Yritys;Palvelutarpeet;Kampanja\n"
                          "2617416-4;Oy Esimerkki;\"Vienti, rekrytointi\";Harava 2026\n"
                          ";Tarpeeton Oy;;Harava 2026\n"),
                 KAP_OK);
    cr_assert_eq(fix.rows[0].act_count, 2);
    is_act(&fix, 0, 0,
           "refer business_id=2617416-4 company=Oy Esimerkki campaign=Harava 2026 "
           "service=export kind=lead origin=harava");
    is_act(&fix, 0, 1,
           "refer business_id=2617416-4 company=Oy Esimerkki campaign=Harava 2026 "
           "service=recruitment kind=lead origin=harava");
    cr_assert(fix.rows[1].refused);
    fix_end(&fix);
}

Test(intake, a_tally_sheet_is_rows_or_a_matrix_of_recipients_or_months)
{
    fix_t fix;
    fix_begin(&fix, NULL);
    cr_assert_eq(fix_read(&fix, KAP_INTAKE_TALLY, KAP_INTAKE_CSV,
                          "Lähettäjä;Vuosi;Kuukausi;Finnvera;ELY-keskus\n"
                          "Miksei;2026;lokakuu;4;\n;2026;marraskuu;-;2\n"),
                 KAP_OK, "%s", fix.why.reason);
    cr_assert_eq(fix.rows[0].act_count, 1);
    is_act(&fix, 0, 0, "tally from=municipality period=2026-10 to=finnvera count=4");
    is_act(&fix, 1, 0, "tally period=2026-11 to=external:ely count=2");
    cr_assert_eq(fix_read(&fix, KAP_INTAKE_TALLY, KAP_INTAKE_CSV,
                          "Mihin;Vuosi;tammikuu;helmikuu;2026-03\nfinnvera;2026;1;2;3\n"),
                 KAP_OK, "%s", fix.why.reason);
    cr_assert_eq(fix.rows[0].act_count, 3);
    is_act(&fix, 0, 1, "tally to=finnvera period=2026-02 count=2");
    is_act(&fix, 0, 2, "tally to=finnvera period=2026-03 count=3");
    cr_assert_eq(
        fix_read(&fix, KAP_INTAKE_TALLY, KAP_INTAKE_CSV, "Mihin;Vuosi;Kpl\nfinnvera;2019;120\n"),
        KAP_OK, "%s", fix.why.reason);
    is_act(&fix, 0, 0, "tally to=finnvera count=120 period=2019");
    fix_end(&fix);
}

Test(intake, months_and_days_are_read_as_people_write_them)
{
    static const struct {
        const char *text, *year, *want;
    } cases[] = {{"2026-10", "", "2026-10"},
                 {"10/2026", "", "2026-10"},
                 {"1.2026", "", "2026-01"},
                 {"lokakuu 2026", "", "2026-10"},
                 {"Oktober 2026", "", "2026-10"},
                 {"3", "2026", "2026-03"},
                 {"5.11.2026", "", "2026-11-05"},
                 {"2026", "", "2026"},
                 {"2026-11-05", "", "2026-11-05"},
                 {"13/2026", "", NULL},
                 {"31.2.2026", "", NULL},
                 {"1.11.26", "", NULL},
                 {"3", "", NULL},
                 {"hauki", "2026", NULL},
                 {"", "", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char out[16];
        bool ok = kap_intake_period(kap_span_str(cases[i].text), kap_span_str(cases[i].year), out);
        cr_assert_eq(ok, cases[i].want != NULL, "%s", cases[i].text);
        if (ok)
            cr_assert_str_eq(out, cases[i].want);
    }
}

Test(intake, a_consent_with_its_day_is_a_basis)
{
    fix_t fix;
    fix_begin(&fix, NULL);
    cr_assert_eq(
        fix_read(&fix, KAP_INTAKE_REFERRAL, KAP_INTAKE_CSV,
                 "Palvelu;Suostumuspäivä;Suostumuksen tapa\nvienti;5.11.2026;suullisesti\n"),
        KAP_OK);
    is_act(&fix, 0, 0,
           "refer service=export basis.consent_date=2026-11-05 basis.consent_how=spoken "
           "basis.disclosure=customer_consent basis.gdpr=6.1.a");
    fix_end(&fix);
}

Test(intake, own_words_are_mapped_by_the_configuration)
{
    fix_t fix;
    fix_begin(&fix, NULL);
    cr_assert_eq(
        kap_mapping_add_column(fix.mapping, KAP_SPAN("Asiakkaan tarve"), KAP_SPAN("service")),
        KAP_OK);
    cr_assert_eq(kap_mapping_add_column(fix.mapping, KAP_SPAN("Tikettinro"), KAP_SPAN("-")),
                 KAP_OK);
    cr_assert_eq(kap_mapping_add_column(fix.mapping, KAP_SPAN("x"), KAP_SPAN("hauki")),
                 KAP_E_INVALID);
    cr_assert_eq(
        kap_mapping_add_value(fix.mapping, KAP_SPAN("service=Yrityslaina"), KAP_SPAN("financing")),
        KAP_OK);
    cr_assert_eq(kap_mapping_add_value(fix.mapping, KAP_SPAN("to=FV"), KAP_SPAN("finnvera")),
                 KAP_OK);
    cr_assert_eq(kap_mapping_add_value(fix.mapping, KAP_SPAN("Yrityslaina"), KAP_SPAN("x")),
                 KAP_E_INVALID);
    cr_assert_eq(fix_read(&fix, KAP_INTAKE_REFERRAL, KAP_INTAKE_CSV,
                          "asiakkaan  TARVE:;Kenelle;Tikettinro\nyrityslaina;fv;17\n"),
                 KAP_OK, "%s", fix.why.reason);
    is_act(&fix, 0, 0, "refer service=financing to=finnvera");
    fix_end(&fix);
}

Test(intake, an_actors_own_columns_come_before_the_common_ones)
{
    static const kap_actor_column_t own[] = {{"Hakemuksen kohde|Kohde", "need", NULL, ""},
                                             {"Tuki", "service", "development-grant", ""},
                                             {NULL}};
    fix_t fix;
    fix_begin(&fix, own);
    cr_assert_eq(fix_read(&fix, KAP_INTAKE_REFERRAL, KAP_INTAKE_CSV, "Kohde;Tuki\nkone;\n"),
                 KAP_OK);
    is_act(&fix, 0, 0, "refer need=kone service=development-grant");
    fix_end(&fix);
}

Test(intake, a_wrong_header_refuses_the_file_and_says_what_would_be_right)
{
    fix_t fix;
    fix_begin(&fix, NULL);
    cr_assert_eq(fix_read(&fix, KAP_INTAKE_REFERRAL, KAP_INTAKE_CSV, "Palvlu;Yritys\nx;y\n"),
                 KAP_E_DENIED);
    cr_assert_str_eq(fix.why.column, "Palvlu");
    cr_assert(strstr(fix.why.reason, "no such column"), "%s", fix.why.reason);
    cr_assert(strstr(fix.why.reason, "Y-tunnus"), "%s", fix.why.reason);
    cr_assert_eq(fix_read(&fix, KAP_INTAKE_REFERRAL, KAP_INTAKE_CSV, "Palvelu;Service\nx;y\n"),
                 KAP_E_DENIED);
    cr_assert(strstr(fix.why.reason, "means the same as the column Palvelu"), "%s", fix.why.reason);
    cr_assert_eq(fix_read(&fix, KAP_INTAKE_REFERRAL, KAP_INTAKE_CSV, ""), KAP_E_DENIED);
    fix_end(&fix);
}

Test(intake, a_spreadsheets_line_before_the_header_is_passed_over)
{
    fix_t fix;
    fix_begin(&fix, NULL);
    cr_assert_eq(fix_read(&fix, KAP_INTAKE_TALLY, KAP_INTAKE_CSV,
                          "sep=;\r\nMihin;Kuukausi;Kpl\r\nfinnvera;2026-10;3\r\n"),
                 KAP_OK, "%s", fix.why.reason);
    is_act(&fix, 0, 0, "tally to=finnvera period=2026-10 count=3");
    cr_assert_eq(fix.rows[0].line, 3);
    cr_assert_eq(fix_read(&fix, KAP_INTAKE_TALLY, KAP_INTAKE_CSV, "sep=;\n"), KAP_E_DENIED);
    fix_end(&fix);
}

Test(intake, a_torn_csv_file_does_nothing)
{
    static const char *const torn[] = {"Palvelu\nvienti\n\"rekry", "Palvelu\nvienti\nre\"kry\n",
                                       "Palvelu\nvienti\n\xff\n"};
    for (int i = 0; i < 3; i++) {
        fix_t fix;
        fix_begin(&fix, NULL);
        cr_assert_eq(fix_read(&fix, KAP_INTAKE_REFERRAL, KAP_INTAKE_CSV, torn[i]), KAP_E_DENIED);
        cr_assert_not(strstr(fix.why.reason, "line"), "said beside: %s", fix.why.reason);
        cr_assert_eq(fix.line, 3);
        fix_end(&fix);
    }
}

Test(intake, json_lines_take_the_same_names_and_nested_ones)
{
    fix_t fix;
    fix_begin(&fix, NULL);
    cr_assert_eq(
        fix_read(
            &fix, KAP_INTAKE_REFERRAL, KAP_INTAKE_JSON,
            "{\"Palvelu\":\"vienti\",\"basis\":{\"disclosure\":\"not_secret\"},\"warm\":true}\n"
            "\n[1]\n{\"type\":\"answer\",\"answer\":\"complete\",\"referral\":\"r\","
            "\"results\":[\"recruited\",\"vienti alkanut\"],\"amount\":1200.5}\n"
            "{\"Palvelu\":\"vienti\",\"Palvelu\":\"x\"}\nhauki\n"),
        KAP_OK);
    cr_assert_eq(fix.count, 5);
    is_act(&fix, 0, 0, "refer service=export basis.disclosure=not_secret warm=true");
    cr_assert(fix.rows[1].refused);
    cr_assert_eq(fix.rows[1].line, 3);
    is_act(&fix, 2, 0, "complete referral=r results=recruited,exported amount=1200.5");
    cr_assert(fix.rows[3].refused);
    cr_assert(fix.rows[4].refused);
    fix_end(&fix);
}

Test(intake, a_personal_identity_code_refuses_the_row_and_is_masked)
{
    fix_t fix;
    kap_buf_t out = {0};
    fix_begin(&fix, NULL);
    cr_assert_eq(fix_read(&fix, KAP_INTAKE_REFERRAL, KAP_INTAKE_CSV,
                          "Palvelu;Lisätiedot\nvienti;hetu 131052-308T kai\n"),
                 KAP_OK);
    cr_assert(fix.rows[0].refused);
    cr_assert_str_eq(fix.rows[0].why.column, "Lisätiedot");
    kap_intake_refused_head(fix.file, &out);
    kap_intake_refused_row(fix.file, &fix.rows[0], NULL, KAP_SPAN("a.csv"), &fix.rows[0].why, &out);
    cr_assert_str_eq(kap_buf_cstr(&out),
                     "Palvelu;Lisätiedot;kapula_file;kapula_line;kapula_column;kapula_reason\r\n"
                     "vienti;hetu *********** kai;a.csv;2;Lisätiedot;\"holds a personal identity "
                     "code; it may not be given in any field, leave it out\"\r\n");
    kap_buf_reset(&out);
    cr_assert_eq(fix_read(&fix, KAP_INTAKE_REFERRAL, KAP_INTAKE_JSON,
                          "{\"need\":\"131052-308T\"}\nx 131052-308T\n"),
                 KAP_OK);
    for (size_t i = 0; i < 2; i++)
        kap_intake_refused_row(fix.file, &fix.rows[i], NULL, KAP_SPAN("a.jsonl"), &fix.rows[i].why,
                               &out);
    cr_assert_null(strstr(kap_buf_cstr(&out), "308T"));
    cr_assert_eq(fix_read(&fix, KAP_INTAKE_REFERRAL, KAP_INTAKE_CSV, "Palvelu;131052-308T\n"),
                 KAP_E_DENIED);
    cr_assert_null(strstr(fix.why.reason, "308T"));
    kap_buf_fini(&out);
    fix_end(&fix);
}

Test(intake, a_refused_file_may_be_mended_and_dropped_again)
{
    fix_t fix;
    fix_begin(&fix, NULL);
    cr_assert_eq(fix_read(&fix, KAP_INTAKE_REFERRAL, KAP_INTAKE_CSV,
                          "Palvelu;kapula_file;kapula_line;kapula_column;kapula_reason\n"
                          "vienti;a.csv;2;Palvelu;\"'vinti' is not one of\"\n"),
                 KAP_OK, "%s", fix.why.reason);
    is_act(&fix, 0, 0, "refer service=export");
    kap_buf_t out = {0};
    kap_intake_refused_head(fix.file, &out);
    cr_assert_str_eq(kap_buf_cstr(&out),
                     "Palvelu;kapula_file;kapula_line;kapula_column;kapula_reason\r\n");
    kap_buf_fini(&out);
    fix_end(&fix);
}

Test(intake, meetings_actions_and_statements_say_what_happened_in_one_column)
{
    fix_t fix;
    fix_begin(&fix, NULL);
    cr_assert_eq(fix_read(&fix, KAP_INTAKE_MEETING, KAP_INTAKE_CSV,
                          "Kokous;Ryhmä;Alkaa;Tila;Osallistujat\n"
                          "k1;tr;21.11.2026 klo 9.00;;\n"
                          "k1;;;pidetty;\"Miksei, finnvera oyj=remote\"\n"),
                 KAP_OK, "%s", fix.why.reason);
    is_act(&fix, 0, 0, "meeting-plan meeting=k1 forum=tr starts_at=21.11.2026 klo 9.00");
    is_act(&fix, 1, 0, "meeting-hold meeting=k1 attendance=municipality,finnvera=remote");
    cr_assert_eq(fix_read(&fix, KAP_INTAKE_STATEMENT, KAP_INTAKE_CSV,
                          "Lausunto;Lausunnon laji;Keneltä pyydetään;Kanta\n"
                          "l1;starttirahalausunto;Miksei;\nl2;;;puoltaa\n"),
                 KAP_OK, "%s", fix.why.reason);
    is_act(&fix, 0, 0, "statement-ask statement=l1 statement_kind=startup_grant to=municipality");
    is_act(&fix, 1, 0, "statement-give statement=l2 statement_result=for");
    cr_assert_eq(fix_read(&fix, KAP_INTAKE_ANSWER, KAP_INTAKE_CSV, "Siirto;Vastaus\nr;ehkä\n"),
                 KAP_OK);
    cr_assert(strstr(fix.rows[0].why.reason, "'ehkä' is no answer; say one of accept, decline"));
    fix_end(&fix);
}

Test(intake, the_delimiter_is_what_the_header_line_has_most_of)
{
    cr_assert_eq(kap_intake_delimiter(KAP_SPAN("a;b;c\nx,y,z,w,v\n")), ';');
    cr_assert_eq(kap_intake_delimiter(KAP_SPAN("\"a;b;c\",d\n")), ',');
    cr_assert_eq(kap_intake_delimiter(KAP_SPAN("a\tb\n")), '\t');
    cr_assert_eq(kap_intake_delimiter(KAP_SPAN("a")), ',');
}

Test(intake, every_alias_names_a_code_and_no_word_two)
{
    static const struct {
        kap_code_list_t list;
        const char *wire, *words;
    } aliases[] = {
#define KAP_ALIAS(LIST, WIRE, WORDS) {KAP_LIST_##LIST, WIRE, WORDS},
#include "aliases.def"
#undef KAP_ALIAS
    };
    size_t count = sizeof aliases / sizeof aliases[0];
    for (size_t i = 0; i < count; i++) {
        cr_assert_geq(kap_code_parse(aliases[i].list, kap_span_str(aliases[i].wire)), 0, "%s",
                      aliases[i].wire);
        for (const char *at = aliases[i].words; *at;) {
            size_t n = strcspn(at, "|");
            for (size_t j = 0; j < i; j++)
                cr_assert(aliases[j].list != aliases[i].list ||
                              !kap_mapping_is_word(kap_span(at, n), aliases[j].words),
                          "%.*s", (int)n, at);
            at += n + (at[n] == '|');
        }
    }
}

Test(intake, every_column_names_a_field)
{
    static const char *const fields[] = {
#define KAP_INTAKE_COLUMN(GROUP, FIELD, FI, SV, EN, HELP) FIELD,
#include "intake_columns.def"
#undef KAP_INTAKE_COLUMN
    };
    kap_mapping_t *mapping;
    cr_assert_eq(kap_mapping_new(NULL, &mapping), KAP_OK);
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        cr_assert_eq(kap_mapping_add_column(mapping, KAP_SPAN("x"), kap_span_str(fields[i])),
                     KAP_OK, "%s", fields[i]);
    kap_mapping_destroy(&mapping);
}
