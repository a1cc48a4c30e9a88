/* SPDX-License-Identifier: MPL-2.0 */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "err.h"
#include "table.h"
#include "utf8.h"

static char *printed(const kap_table_t *table, int width)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    cr_assert_eq(kap_table_print(table, out, width), KAP_OK);
    fclose(out);
    return text;
}

static const kap_table_column_t columns[] = {{"From", KAP_TABLE_LEFT, 0},
                                             {"To", KAP_TABLE_LEFT, 0},
                                             {"Referrals", KAP_TABLE_RIGHT, 0},
                                             {NULL, KAP_TABLE_LEFT, 0}};

#define ROW(...) ((const char *const[]){__VA_ARGS__})

Test(table, numbers_stand_right_and_text_left)
{
    kap_table_t *table = kap_table_new(columns);
    kap_table_row(table, ROW("municipality", "te-office", "120"));
    kap_table_row(table, ROW("Etelä-Savon ELY", NULL, "7"));
    kap_table_rule(table);
    kap_table_row(table, ROW("all", "", "127"));
    cr_assert_eq(kap_table_rows(table), 3u);
    char *text = printed(table, 0);
    cr_assert_str_eq(text, "From             To         Referrals\n"
                           "───────────────  ─────────  ─────────\n"
                           "municipality     te-office        120\n"
                           "Etelä-Savon ELY                     7\n"
                           "───────────────  ─────────  ─────────\n"
                           "all                               127\n");
    free(text);
    kap_table_destroy(&table);
    cr_assert_null(table);
}

Test(table, no_line_is_wider_than_asked)
{
    kap_table_t *table = kap_table_new(columns);
    kap_table_row(table, ROW("Järvi-Suomen yrityspalvelut ja kasvun tuki, Mikkelin toimipiste, äöå",
                             "漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字", "1234567"));
    kap_table_row(table, ROW("a", "b", "1"));
    for (int width = 80; width >= 21; width--) {
        char *text = printed(table, width);
        for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
            cr_assert_leq(kap_utf8_width(kap_span_str(line)), width, "%d: %s", width, line);
        free(text);
    }
    char *text = printed(table, 40);
    cr_assert_not_null(strstr(text, "…"));
    cr_assert_not_null(strstr(text, "1234567"), "numbers are the last to be cut");
    free(text);
    kap_table_destroy(&table);
}

Test(table, a_column_keeps_to_its_own_maximum)
{
    const kap_table_column_t narrow[] = {{"Id", KAP_TABLE_LEFT, 5}, {NULL, KAP_TABLE_LEFT, 0}};
    kap_table_t *table = kap_table_new(narrow);
    kap_table_row(table, ROW("12345"));
    kap_table_row(table, ROW("123456"));
    char *text = printed(table, 80);
    cr_assert_str_eq(text, "Id\n─────\n12345\n1234…\n");
    free(text);
    kap_table_destroy(&table);
}

Test(table, what_would_move_the_cursor_is_shown_as_a_question_mark)
{
    const kap_table_column_t one[] = {{"Name", KAP_TABLE_LEFT, 0}, {NULL, KAP_TABLE_LEFT, 0}};
    kap_table_t *table = kap_table_new(one);
    kap_table_row(table, ROW("a\x1b[2Jb\n\xff"
                             "c\xc2\x9b"
                             "d"));
    char *text = printed(table, 80);
    cr_assert_not_null(strstr(text, "a?[2Jb??c?d\n"));
    free(text);
    kap_table_destroy(&table);
}
