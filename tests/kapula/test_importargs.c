/* SPDX-License-Identifier: MPL-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "importargs.h"
#include "progress.h"

#define PARSE(args, why, ...) parse(args, why, (const char *[]){"import", __VA_ARGS__, NULL})

/* argp wants to move the pointers about; it does not write what they point to. */
static int parse(kap_importargs_t *args, kap_buf_t *why, const char *const words[])
{
    kap_cli_t cli = {0};
    kap_args_t said;
    char *argv[40];
    int argc = 0;

    for (; words[argc]; argc++)
        argv[argc] = (char *)(uintptr_t)words[argc];
    argv[argc] = NULL;
    kap_buf_reset(why);
    kap_args_parse(&cli, &kap_importargs_usage, argc, argv, &said);
    return kap_importargs_check(&said, args, why);
}

static void expect_refused(const char *const argv[], const char *word)
{
    kap_importargs_t args;
    kap_buf_t why = {0};

    cr_expect_eq(parse(&args, &why, argv), KAP_E_INVALID);
    cr_expect(strstr(kap_buf_cstr(&why), word), "\"%s\" lacks \"%s\"", kap_buf_cstr(&why), word);
    kap_buf_fini(&why);
}
#define REFUSED(word, ...) expect_refused((const char *[]){"import", __VA_ARGS__, NULL}, word)

Test(importargs, takes_everything_in_any_order)
{
    kap_importargs_t args;
    kap_buf_t why = {0};

    cr_assert_eq(PARSE(&args, &why, "log.csv", "--missing", "b", "--actor", "who", "--into=x.1",
                       "--missing", "a", "--missing", "b", "--case", "k", "--time", "t",
                       "--delimiter", "tab", "--zone", "-03:30", "--max-skipped", "7"),
                 KAP_OK, "%s", kap_buf_cstr(&why));
    cr_expect_str_eq(args.into, "x.1");
    cr_expect_str_eq(args.read.path, "log.csv");
    cr_expect_str_eq(args.read.keys.actor_key, "who");
    cr_expect_str_eq(args.read.keys.case_key, "k");
    cr_expect_str_eq(args.read.keys.time_key, "t");
    cr_expect_eq(args.read.delimiter, '\t');
    cr_expect_eq(args.read.kind, KAP_LOGKIND_CSV);
    cr_expect_eq(args.read.rules.max_skipped, 7);
    cr_expect_eq(args.read.rules.offset_ms, 210 * KAP_MINUTE_MS);
    cr_assert_eq(args.read.rules.missing_count, 2);
    cr_expect_str_eq(args.read.rules.missing[0], "a");
    cr_expect_str_eq(args.read.rules.missing[1], "b");
    kap_buf_fini(&why);
}

Test(importargs, has_its_defaults)
{
    kap_importargs_t args;
    kap_buf_t why = {0};

    cr_assert_eq(PARSE(&args, &why, "--into", "n", "--actor", "a", "f"), KAP_OK);
    cr_expect_eq(args.read.rules.max_skipped, -1);
    cr_expect_eq(args.read.rules.zone, KAP_ZONE_UTC);
    cr_expect_eq(args.read.kind, KAP_LOGKIND_BY_FILE);
    cr_expect_null(args.read.keys.case_key);
    cr_assert_eq(PARSE(&args, &why, "--into", "n", "--actor", "a", "--strict", "f"), KAP_OK);
    cr_expect_eq(args.read.rules.max_skipped, 0);
    cr_assert_eq(
        PARSE(&args, &why, "--into", "n", "--actor", "a", "--zone", "Europe/Helsinki", "f"),
        KAP_OK);
    cr_expect_eq(args.read.rules.zone, KAP_ZONE_HELSINKI);
    kap_buf_fini(&why);
}

Test(importargs, says_what_would_be_right)
{
    REFUSED("--into NAME", "--actor", "a", "f");
    REFUSED("--actor KEY", "--into", "n", "f");
    REFUSED("which FILE", "--into", "n", "--actor", "a");
    REFUSED("one FILE", "--into", "n", "--actor", "a", "f", "g");
    REFUSED("is the id of a region", "--into", "mikkeli", "--actor", "a", "f");
    REFUSED("without blanks", "--into", "a b", "--actor", "a", "f");
    REFUSED("without blanks", "--into", "", "--actor", "a", "f");
    REFUSED("without blanks", "--into", "a/b", "--actor", "a", "f");
    REFUSED("UTF-8", "--into", "caf\xe9", "--actor", "a", "f");
    REFUSED("--actor: 1 to", "--into", "n", "--actor", "", "f");
    REFUSED("--delimiter", "--into", "n", "--actor", "a", "--delimiter", ";;", "f");
    REFUSED("--delimiter", "--into", "n", "--actor", "a", "--delimiter", "\"", "f");
    REFUSED("--zone", "--into", "n", "--actor", "a", "--zone", "Mars", "f");
    REFUSED("--zone", "--into", "n", "--actor", "a", "--zone", "+15:00", "f");
    REFUSED("--max-skipped", "--into", "n", "--actor", "a", "--max-skipped", "-1", "f");
    REFUSED("--max-skipped", "--into", "n", "--actor", "a", "--max-skipped", "many", "f");
    REFUSED("contradict", "--into", "n", "--actor", "a", "--max-skipped", "3", "--strict", "f");
}

Test(importargs, the_options_are_the_same_for_the_same_import)
{
    kap_importargs_t a, b;
    kap_buf_t why = {0}, first = {0}, second = {0};
    kap_logkeys_t keys = {"c\"k", "t", "a"};

    cr_assert_eq(PARSE(&a, &why, "--into", "n", "--actor", "a", "--missing", "x", "--missing", "?",
                       "--strict", "f"),
                 KAP_OK);
    cr_assert_eq(PARSE(&b, &why, "--missing", "?", "--into", "n", "--missing", "x", "--missing",
                       "?", "--actor", "a", "--zone", "UTC", "g"),
                 KAP_OK);
    kap_importargs_options(&a, KAP_LOGKIND_XES, &keys, &first);
    kap_importargs_options(&b, KAP_LOGKIND_XES, &keys, &second);
    cr_expect_str_eq(kap_buf_cstr(&first), kap_buf_cstr(&second));
    cr_expect_str_eq(kap_buf_cstr(&first),
                     "{\"case\":\"c\\\"k\",\"missing\":[\"?\",\"x\"],\"time\":\"t\","
                     "\"zone\":\"UTC\"}");
    kap_buf_reset(&second);
    kap_importargs_options(&b, KAP_LOGKIND_CSV, &keys, &second);
    cr_expect(strstr(kap_buf_cstr(&second), "\"delimiter\":\",\""));
    kap_buf_fini(&why);
    kap_buf_fini(&first);
    kap_buf_fini(&second);
}

Test(progress, shows_its_part_as_a_bar)
{
    kap_progress_t p = {.label = "reading", .total = 200};
    char text[128];

    kap_progress_text(&p, 0, text, sizeof text);
    cr_expect_str_eq(text, "reading    [                                        ]   0 %");
    kap_progress_text(&p, 100, text, sizeof text);
    cr_expect_str_eq(text, "reading    [####################                    ]  50 %");
    kap_progress_text(&p, 300, text, sizeof text);
    cr_expect_str_eq(text, "reading    [########################################] 100 %");
}
