/* SPDX-License-Identifier: MPL-2.0 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"
#include "log.h"

static int ends[2];
static char text[1 << 17];

static void open_pipe(void)
{
    cr_assert_eq(pipe2(ends, O_NONBLOCK), 0);
    kap_log_to(ends[1]);
    kap_log_init("tester", KAP_LOG_INFO);
}

static const char *written(void)
{
    size_t size = 0;
    ssize_t got;
    while ((got = read(ends[0], text + size, sizeof text - 1 - size)) > 0)
        size += (size_t)got;
    text[size] = '\0';
    return text;
}

static int lines_of(const char *at)
{
    int lines = 0;
    while ((at = strchr(at, '\n'))) {
        lines++;
        at++;
    }
    return lines;
}

Test(log, a_line_is_one_json_object, .init = open_pipe)
{
    KAP_LOG(KAP_LOG_WARN, "store_slow", KAP_S("path", "a\"b\n"), KAP_I("sync_ms", -12),
            KAP_SP("id", KAP_SPAN("ä\xff")), KAP_S("none", NULL));
    const char *line = written();
    cr_assert_eq(lines_of(line), 1);
    cr_assert_eq(strncmp(line, "{\"time\":\"20", 11), 0);
    cr_assert_not_null(strstr(line, "Z\",\"level\":\"warn\",\"program\":\"tester\","
                                    "\"event\":\"store_slow\",\"path\":\"a\\\"b\\n\","
                                    "\"sync_ms\":-12,\"id\":\"ä\\ufffd\",\"none\":\"\"}\n"),
                       "%s", line);
}

Test(log, levels_below_are_not_written_nor_their_fields_evaluated, .init = open_pipe)
{
    int evaluated = 0;
    KAP_LOG(KAP_LOG_DEBUG, "detail", KAP_I("n", ++evaluated));
    cr_assert_eq(evaluated, 0);
    cr_assert_str_eq(written(), "");
    kap_log_level_t level;
    cr_assert_eq(kap_log_level_parse("debug", &level), KAP_OK);
    cr_assert_eq(level, KAP_LOG_DEBUG);
    cr_assert_eq(kap_log_level_parse("loud", &level), KAP_E_INVALID);
    kap_log_init("tester", level);
    KAP_LOG(KAP_LOG_DEBUG, "detail");
    cr_assert_eq(lines_of(written()), 1);
}

Test(log, a_storm_is_limited_and_counted, .init = open_pipe)
{
    for (int i = 0; i < 100000; i++)
        KAP_LOG(KAP_LOG_WARN, "peer_refused", KAP_I("i", i));
    KAP_LOG(KAP_LOG_WARN, "something_else");
    KAP_LOG(KAP_LOG_ERROR, "peer_refused");
    kap_log_flush();
    const char *seen = written();
    cr_assert_leq(lines_of(seen), 4 * KAP_LOG_BURST, "a slow machine may pass a second's end");
    cr_assert_not_null(strstr(seen, "\"suppressed\":"));
    cr_assert_not_null(strstr(seen, "something_else"));
    cr_assert_not_null(strstr(seen, "\"level\":\"error\""), "each level has its own budget");
}

Test(log, a_full_pipe_drops_lines_and_never_blocks, .init = open_pipe, .timeout = 20)
{
    cr_assert_eq(fcntl(ends[1], F_SETFL, 0), 0); /* a write would block now */
    char event[32];
    for (int i = 0; i < 5000; i++) {
        snprintf(event, sizeof event, "event_%d", i);
        KAP_LOG(KAP_LOG_INFO, event, KAP_S("filler", "012345678901234567890123456789"));
    }
    cr_assert_gt(lines_of(written()), 100);
    KAP_LOG(KAP_LOG_INFO, "after");
    cr_assert_not_null(strstr(written(), "\"event\":\"after\",\"dropped\":"));
}

Test(log, a_reader_that_left_does_no_harm, .init = open_pipe)
{
    close(ends[0]);
    KAP_LOG(KAP_LOG_INFO, "nobody_reads");
    kap_log_to(-1);
    KAP_LOG(KAP_LOG_INFO, "nobody_reads");
    int again[2];
    cr_assert_eq(pipe2(again, O_NONBLOCK), 0);
    ends[0] = again[0];
    kap_log_to(again[1]);
    KAP_LOG(KAP_LOG_INFO, "read_again");
    cr_assert_not_null(strstr(written(), "\"event\":\"read_again\",\"dropped\":2}"));
}

Test(log, long_values_are_cut_at_a_character, .init = open_pipe)
{
    static char longest[20000], control[5000];
    for (size_t i = 0; i + 2 < sizeof longest; i += 2)
        memcpy(longest + i, "ä", 3);
    memset(control, 1, sizeof control - 1);
    KAP_LOG(KAP_LOG_INFO, "long", KAP_S("a", longest), KAP_S("b", control), KAP_I("c", 5));
    KAP_LOG(KAP_LOG_INFO, "escaped", KAP_S("b", control), KAP_I("c", 5));
    const char *seen = written();
    cr_assert_eq(lines_of(seen), 2);
    cr_assert_leq(strlen(seen), 2u * 4096);
    cr_assert_null(strstr(seen, "\\ufffd"));
}
