/* SPDX-License-Identifier: MPL-2.0 */
/* Tables as organisations keep them: what is found in them, and what is left alone. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "err.h"
#include "sheet.h"

static kap_arena_t *arena;
static kap_sheet_t sheet;
static kap_buf_t why;

static void begin(void)
{
    arena = kap_arena_new(65536);
    kap_buf_init(&why);
}

static void end(void)
{
    kap_buf_fini(&why);
    kap_arena_destroy(&arena);
}

TestSuite(sheet, .init = begin, .fini = end);

static const kap_sheet_want_t plan = {KAP_SHEET_PLAN, "what", NULL, NULL};

static int reads_bytes(const kap_sheet_want_t *want, const char *bytes, size_t size)
{
    kap_buf_reset(&why);
    return kap_sheet_read(kap_span(bytes, size), want, arena, &sheet, &why);
}

static void reads(const kap_sheet_want_t *want, const char *text)
{
    int rc = reads_bytes(want, text, strlen(text));
    cr_assert_eq(rc, KAP_OK, "%s", kap_buf_cstr(&why));
}

static void refuses(const kap_sheet_want_t *want, const char *text, const char *part)
{
    cr_assert_eq(reads_bytes(want, text, strlen(text)), KAP_E_INVALID);
    cr_expect(strstr(kap_buf_cstr(&why), part), "no %s in: %s", part, kap_buf_cstr(&why));
}

static void has(uint32_t row, const char *field, const char *text)
{
    cr_assert_lt(row, sheet.row_count);
    kap_span_t cell = kap_sheet_cell(&sheet, &sheet.rows[row], field);
    cr_expect(kap_span_eq_str(cell, text), "row %u: %s is '%.*s'", row, field, KAP_SPAN_ARGS(cell));
}

Test(sheet, headers_are_understood_in_three_languages_and_by_the_fields_own_names)
{
    static const char *const headers[] = {
        "Mitä;Kuka;Mittari;Aikataulu;Vastuu;Tavoite;Kärki",
        "Vad;Vem;Mätare;Tidtabell;Ansvarig;Mål;Prioritet",
        "What;Who;Meter;Schedule;Responsible;Goal;Priority",
        "TOIMENPIDE:;Kohderyhmä;MITTARIT (kpl);Aikataulu / toteutus;Vastuutahot *;Tavoitteet;"
        "PAINOPISTE",
        "what;who;meter;schedule;responsible;goal;priority"};
    static const char *const fields[] = {"what",        "who",  "meter",   "schedule",
                                         "responsible", "goal", "priority"};
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        char text[400];
        snprintf(text, sizeof text, "%s\na;b;c;d;e;f;g\n", headers[i]);
        reads(&plan, text);
        for (int k = 0; k < 7; k++) {
            char letter[2] = {(char)('a' + k), '\0'};
            has(0, fields[k], letter);
        }
    }
}

Test(sheet, delimiters_and_codings_are_found_out)
{
    reads(&plan, "Toimenpide,Vastuu\n\"Neuvonta, koulutus; muu\",Kunta\n");
    cr_expect_eq(sheet.delimiter, ',');
    cr_expect_eq(sheet.coding, KAP_SHEET_UTF8);
    has(0, "what", "Neuvonta, koulutus; muu");
    reads(&plan, "\xef\xbb\xbfToimenpide;Vastuu\nNeuvonta, koulutus;Kunta\n");
    cr_expect_eq(sheet.delimiter, ';');
    cr_expect_eq(sheet.coding, KAP_SHEET_UTF8_MARK);
    has(0, "what", "Neuvonta, koulutus");
    reads(&plan, "Toimenpide\tVastuu\r\nYrityskäynnit\tKunta\r\n");
    cr_expect_eq(sheet.delimiter, '\t');
    reads(&plan, "Mit\xe4;Vastuu\nK\xe4ynnit \x96 20 \x80;\xc5"
                 "bo\n");
    cr_expect_eq(sheet.coding, KAP_SHEET_WINDOWS);
    has(0, "what", "Käynnit – 20 €");
    has(0, "responsible", "Åbo");
}

Test(sheet, titles_above_the_header_and_empty_rows_are_passed_over)
{
    reads(&plan, "Toimintasuunnitelma 2026;;\n;;\nHyväksytty 12.12.2025;;\n\nToimenpide;Vastuu;\n"
                 ";;\nInfo;Kunta;\n\n;;\nKirje;;\n");
    cr_expect_eq(sheet.header_line, 5);
    cr_expect_eq(sheet.passed_over, 2);
    cr_assert_eq(sheet.row_count, 2);
    cr_expect_eq(sheet.rows[0].line, 7);
    cr_expect_eq(sheet.rows[1].line, 10);
    has(1, "what", "Kirje");
    has(1, "responsible", "");
}

Test(sheet, a_title_that_is_a_known_word_is_not_taken_for_the_header)
{
    reads(&plan, "Toimenpiteet;;\nTavoite;Toimenpide;Vastuu\nKasvu;Info;Kunta\n");
    cr_expect_eq(sheet.header_line, 2);
    cr_assert_eq(sheet.row_count, 1);
}

Test(sheet, merged_cells_are_carried_down_until_something_new_stands_there_or_to_their_left)
{
    reads(&plan, "Kärki;Tavoite;Mitä;Vastuu\nA;A1;x;Kunta\n;;y;\n;A2;z;\nB;;w;\n;B1;v;\n");
    has(1, "priority", "A");
    has(1, "goal", "A1");
    has(1, "responsible", "");
    has(2, "priority", "A");
    has(2, "goal", "A2");
    has(3, "priority", "B");
    has(3, "goal", "");
    has(4, "goal", "B1");
}

Test(sheet, rows_of_carried_cells_alone_are_headings)
{
    reads(&plan, "Tavoite;Mitä;Vastuu\nKasvu;;\n;Info;Kunta\n;;Kunta\n");
    cr_assert_eq(sheet.row_count, 3);
    cr_expect(sheet.rows[0].is_heading);
    cr_expect_not(sheet.rows[1].is_heading);
    cr_expect_not(sheet.rows[2].is_heading, "it says something of its own");
    has(1, "goal", "Kasvu");
}

Test(sheet, unknown_and_doubled_columns_are_told_apart)
{
    reads(&plan, "Toimenpide;Vastuu;Toteuttaja;Budjetti;\nInfo;Kunta;Yhtiö;100;x\n");
    cr_assert_eq(sheet.column_count, 5);
    cr_expect_str_eq(sheet.columns[1].field, "responsible");
    cr_expect_null(sheet.columns[2].field, "the first one counts");
    cr_expect_null(sheet.columns[3].field);
    has(0, "responsible", "Kunta");
}

Test(sheet, a_header_repeated_on_every_page_and_rows_of_totals_are_left_out)
{
    static const kap_sheet_want_t customers = {KAP_SHEET_CUSTOMERS, "total", NULL, NULL};
    reads(&customers, "Asiakasryhmä;Kaikki;Yhteensä;Uusia\nalkavat;;10;2\n"
                      "Asiakasryhmä;Kaikki;Yhteensä;Uusia\nmuut;;5;1\nYhteensä;;15;3\n");
    cr_expect_eq(sheet.row_count, 2);
    cr_expect_eq(sheet.totals, 1);
}

Test(sheet, line_ends_in_a_cell_become_one_blank)
{
    reads(&plan, "Mitä;Vastuu\r\n\"Kevään\r\nkirje\";Kunta\r\nInfo;Yhtiö\r\n");
    has(0, "what", "Kevään kirje");
    cr_expect_eq(sheet.rows[1].line, 4);
}

Test(sheet, columns_of_periods_say_their_period)
{
    static const kap_sheet_want_t want = {KAP_SHEET_INDICATOR, "indicator", "period", "value"};
    reads(&want, "Tunnusluku;Yksikkö;2024;1/2025;Huomio\nYritykset;kpl;3,5;4;x\n");
    cr_expect_str_eq(sheet.columns[2].spread, "period");
    cr_expect(kap_span_eq_str(sheet.columns[2].said, "2024"));
    cr_expect(kap_span_eq_str(sheet.columns[3].said, "2025-01"));
    cr_expect_null(sheet.columns[4].field);
    reads(&want, "Tunnusluku;Vuosi;Arvo;2024\nYritykset;2024;3;4\n");
    cr_expect_null(sheet.columns[3].spread, "there is a column for it");
}

Test(sheet, questions_across_are_spread_and_who_answered_is_left_out)
{
    static const kap_sheet_want_t want = {KAP_SHEET_SURVEY, NULL, "question", "value"};
    reads(&want, "Vastaaja;Aikaleima;Yhteistyö toimii;Palvelut tunnetaan\nMaija;1.2.2026;4;3\n");
    cr_expect(sheet.columns[0].is_left_out);
    cr_expect_null(sheet.columns[0].field);
    cr_expect(sheet.columns[1].is_left_out);
    cr_expect_str_eq(sheet.columns[2].spread, "question");
    cr_expect(kap_span_eq_str(sheet.columns[3].said, "Palvelut tunnetaan"));
}

Test(sheet, what_cannot_be_read_says_what_would_be_right)
{
    refuses(&plan, "a;b\n1;2\n", "it needs a column what (mitä, vad, what)");
    refuses(&plan, "", "it needs a column what");
    refuses(&plan, "Toimenpide;Vastuu\n\"auki;Kunta\n", "line 2");
    cr_expect_eq(reads_bytes(&plan, "\xff\xfeT\0o\0", 6), KAP_E_INVALID);
    cr_expect(strstr(kap_buf_cstr(&why), "CSV UTF-8"));
}

Test(sheet, as_many_columns_as_there_may_be_and_no_more)
{
    static const kap_sheet_want_t want = {KAP_SHEET_SURVEY, NULL, "question", "value"};
    for (int columns = KAP_SHEET_COLUMNS; columns <= KAP_SHEET_COLUMNS + 1; columns++) {
        kap_buf_t text;
        kap_buf_init(&text);
        for (int i = 1; i <= columns; i++)
            kap_buf_printf(&text, "k%d%c", i, i < columns ? ';' : '\n');
        for (int i = 1; i <= columns; i++)
            kap_buf_printf(&text, "%d%c", i, i < columns ? ';' : '\n');
        kap_buf_reset(&why);
        int rc = kap_sheet_read(kap_buf_span(&text), &want, arena, &sheet, &why);
        cr_expect_eq(rc, columns > KAP_SHEET_COLUMNS ? KAP_E_LIMIT : KAP_OK, "%d", columns);
        if (rc == KAP_OK)
            cr_expect(kap_span_eq_str(sheet.rows[0].cells[columns - 1], "256"));
        kap_buf_fini(&text);
    }
    cr_expect(strstr(kap_buf_cstr(&why), "line 1: more than 256 columns"));
}

static void period(const char *text, const char *want)
{
    char out[11] = "";
    bool is = kap_sheet_period(kap_span_str(text), out);
    cr_expect_eq(is, want != NULL, "%s", text);
    if (is && want)
        cr_expect_str_eq(out, want);
}

Test(sheet, periods_are_read_as_people_write_them)
{
    period("2025", "2025");
    period(" 2025-10 ", "2025-10");
    period("10/2025", "2025-10");
    period("1/2025", "2025-01");
    period("31.10.2025", "2025-10-31");
    period("1.2.2025", "2025-02-01");
    period("2025-10-31", "2025-10-31");
    period("30.2.2025", NULL);
    period("13/2025", NULL);
    period("0/2025", NULL);
    period("2025-13", NULL);
    period("20255", NULL);
    period("Q1 2025", NULL);
    period("", NULL);
}
