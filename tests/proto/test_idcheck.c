/* SPDX-License-Identifier: MPL-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "idcheck.h"

static bool bid(const char *id)
{
    return kap_business_id_ok(kap_span_str(id));
}

static bool code_in(const char *text)
{
    return kap_personal_code_in(kap_span_str(text), NULL);
}

Test(idcheck, a_business_id_has_its_check_digit)
{
    cr_expect(bid("0737546-2"));
    cr_expect(bid("0112038-9"));
    cr_expect(bid("0165116-3"));
    cr_expect_not(bid("0737546-3"));
    cr_expect_not(bid("0737564-2"), "two digits swapped");
}

Test(idcheck, a_business_id_with_remainder_one_is_never_issued)
{
    /* 7 9 10 5 8 4 2 times 0 0 0 0 0 3 0 = 12, remainder 1 */
    for (char digit = '0'; digit <= '9'; digit++) {
        const uint8_t id[9] = {'0', '0', '0', '0', '0', '3', '0', '-', (uint8_t)digit};
        cr_expect_not(kap_business_id_ok(kap_span(id, 9)));
    }
}

Test(idcheck, a_business_id_has_one_form)
{
    cr_expect_not(bid(""));
    cr_expect_not(bid("737546-2"));
    cr_expect_not(bid("07375462"));
    cr_expect_not(bid("0737546-2 "));
    cr_expect_not(bid("FI07375462"));
    cr_expect_not(bid("073754a-2"));
    cr_expect_not(bid("0737546-"));
}

Test(idcheck, a_personal_code_is_found_anywhere_in_a_text)
{
    cr_expect(code_in("131052-308T"));
    cr_expect(code_in("131052-308t"));
    cr_expect(code_in("Asiakas 131052-308T soitti"));
    cr_expect(code_in("(131052-308T)"));
    cr_expect(code_in("hetu:131052-308T,muuta"));
    cr_expect(code_in("hetu=\"131052-308T\""));
    cr_expect(code_in("131052-308U 131052-308T"), "behind one that only looks like it");
    cr_expect(code_in("131052\xe2\x80\x93"
                      "308T"),
              "with the dash of a word processor");
    cr_expect(code_in("131052-308T\xe2\x80\x9d"), "before a closing quote");
    cr_expect(code_in("\xc3\xa4 131052-308T"));
}

Test(idcheck, every_sign_of_2023_is_known)
{
    const char signs[] = "-+YXWVUABCDEFyxwvuabcdef";
    for (const char *sign = signs; *sign; sign++) {
        char text[16];
        snprintf(text, sizeof(text), "131052%c308T", *sign);
        cr_expect(code_in(text), "%s", text);
    }
    for (const char *sign = "/*=GHZ0"; *sign; sign++) {
        char text[16];
        snprintf(text, sizeof(text), "131052%c308T", *sign);
        cr_expect_not(code_in(text), "%s", text);
    }
}

Test(idcheck, numbers_of_both_ends_and_temporary_ones_count)
{
    /* check characters: (DDMMYYNNN) modulo 31 */
    static const char checks[] = "0123456789ABCDEFHJKLMNPRSTUVWXY";
    static const struct {
        int number;
        bool found;
    } rows[] = {{0, false}, {1, false}, {2, true}, {899, true}, {900, true}, {999, true}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[16];
        snprintf(text, sizeof(text), "010199-%03d%c", rows[i].number,
                 checks[(10199L * 1000 + rows[i].number) % 31]);
        cr_expect_eq(code_in(text), rows[i].found, "%s", text);
    }
}

Test(idcheck, the_day_must_exist_in_its_century)
{
    static const char checks[] = "0123456789ABCDEFHJKLMNPRSTUVWXY";
    static const struct {
        const char *day;
        char sign;
        bool found;
    } rows[] = {{"290200", 'A', true},  {"290200", '-', false}, {"290200", '+', false},
                {"290201", 'A', false}, {"310499", '-', false}, {"320199", '-', false},
                {"000199", '-', false}, {"011399", '-', false}, {"290296", '-', true}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[16];
        long whole = strtol(rows[i].day, NULL, 10) * 1000 + 123;
        snprintf(text, sizeof(text), "%s%c123%c", rows[i].day, rows[i].sign, checks[whole % 31]);
        cr_expect_eq(code_in(text), rows[i].found, "%s", text);
    }
}

Test(idcheck, what_is_part_of_a_longer_word_is_none)
{
    cr_expect_not(code_in("1131052-308T"));
    cr_expect_not(code_in("131052-308TA"));
    cr_expect_not(code_in("131052-308T1"));
    cr_expect_not(code_in("x131052-308T"));
    cr_expect_not(code_in("131052-308T\xc3\xa4"));
    cr_expect_not(code_in("131052-308"));
    cr_expect_not(code_in("131052308T"));
    cr_expect_not(code_in(""));
}

Test(idcheck, only_about_one_in_31_of_what_looks_like_one_is_taken)
{
    unsigned found = 0, all = 0;
    for (int number = 2; number < 1000; number++) {
        char text[16];
        snprintf(text, sizeof(text), "131052-%03dT", number);
        found += code_in(text);
        all++;
    }
    cr_expect_lt(found * 25, all);
    cr_expect_gt(found * 40, all);
}

Test(idcheck, says_where_the_code_stands)
{
    kap_span_t where;
    cr_assert(kap_personal_code_in(KAP_SPAN("soita: 131052-308T."), &where));
    cr_expect(kap_span_eq_str(where, "131052-308T"));
}

Test(idcheck, an_event_is_searched_in_every_text)
{
    const kap_mp_t items[] = {{.kind = KAP_MP_STR, .s = KAP_SPAN("a")},
                              {.kind = KAP_MP_STR, .s = KAP_SPAN("131052-308T")}};
    const kap_mp_t list = {.kind = KAP_MP_ARRAY, .count = 2, .items = items};
    const kap_value_t clean[] = {{.field = KAP_F_TO, .kind = KAP_VALUE_SPAN, .s = KAP_SPAN("ely")},
                                 {.field = KAP_F_COUNT, .kind = KAP_VALUE_INT, .i = 131052308}};
    const kap_value_t bad[] = {{.field = KAP_F_TO, .kind = KAP_VALUE_SPAN, .s = KAP_SPAN("ely")},
                               {.field = KAP_F_ATTENDANCE, .kind = KAP_VALUE_NODE, .node = &list}};
    const kap_value_t binary[] = {
        {.field = KAP_F_CUSTOMER, .kind = KAP_VALUE_SPAN, .s = KAP_SPAN("131052-308T")}};
    kap_event_t ev = {.id = KAP_SPAN("e"), .values = clean, .value_count = 2};
    cr_expect_eq(kap_personal_code_in_event(&ev), -1);
    ev.values = bad;
    cr_expect_eq(kap_personal_code_in_event(&ev), KAP_F_ATTENDANCE);
    ev.values = binary;
    ev.value_count = 1;
    cr_expect_eq(kap_personal_code_in_event(&ev), -1, "a hash is no text");
    ev.subject = KAP_SPAN("131052-308T");
    cr_expect_eq(kap_personal_code_in_event(&ev), KAP_F_NONE, "in the envelope");
}
