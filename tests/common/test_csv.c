/* SPDX-License-Identifier: MPL-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "csv.h"
#include "err.h"

/* Rows as text: fields in <>, the line in front. */
typedef struct {
    kap_buf_t seen;
    int stop; /* returned from the row with this number */
    int rows;
} sink_t;

static int on_row(void *arg, const kap_span_t fields[], size_t n, int64_t line)
{
    sink_t *sink = arg;
    kap_buf_printf(&sink->seen, "%lld", (long long)line);
    for (size_t i = 0; i < n; i++)
        kap_buf_printf(&sink->seen, "<%.*s>", KAP_SPAN_ARGS(fields[i]));
    kap_buf_str(&sink->seen, " ");
    return ++sink->rows == sink->stop ? KAP_E_CLOSED : KAP_OK;
}

static int parse(kap_span_t text, size_t piece, kap_csv_opts_t opts, sink_t *sink, char why[160])
{
    kap_csv_t *csv = NULL;
    opts.on_row = on_row;
    opts.arg = sink;
    cr_assert_eq(kap_csv_new(&opts, &csv), KAP_OK);
    int err = KAP_OK;
    for (size_t at = 0; at < text.size && err == KAP_OK; at += piece)
        err = kap_csv_feed(csv, kap_span_sub(text, at, piece));
    if (err == KAP_OK)
        err = kap_csv_finish(csv);
    snprintf(why, 160, "%s", kap_csv_why(csv));
    kap_csv_destroy(&csv);
    cr_assert_null(csv);
    return err;
}

/* The same rows whatever the pieces. */
static void gives(const char *text, const char *expected)
{
    for (size_t piece = 1; piece <= strlen(text) + 1; piece++) {
        sink_t sink = {0};
        char why[160];
        int err = parse(kap_span_str(text), piece, (kap_csv_opts_t){0}, &sink, why);
        cr_assert_eq(err, KAP_OK, "%s: %s", text, why);
        cr_assert_str_eq(kap_buf_cstr(&sink.seen), expected, "pieces of %zu", piece);
        kap_buf_fini(&sink.seen);
    }
}

static void refuses(kap_span_t text, const char *expected)
{
    for (size_t piece = 1; piece <= text.size; piece++) {
        sink_t sink = {0};
        char why[160];
        int err = parse(text, piece, (kap_csv_opts_t){0}, &sink, why);
        cr_assert_eq(err, KAP_E_INVALID);
        cr_assert(strncmp(why, expected, strlen(expected)) == 0, "%s, not %s", why, expected);
        kap_buf_fini(&sink.seen);
    }
}

Test(csv, reads_rows_in_pieces_of_any_size)
{
    gives("a,b\r\nc,d\r\n", "1<a><b> 2<c><d> ");
    gives("a,b\nc,d", "1<a><b> 2<c><d> ");
    gives("a,b\rc,d\r", "1<a><b> 2<c><d> ");
    gives("", "");
    gives("\r\n\n", "");
    gives("a\r\n\r\n\nb\n", "1<a> 4<b> ");
    gives(",\n,,\n", "1<><> 2<><><> ");
}

Test(csv, keeps_blanks_and_quoted_line_ends)
{
    gives(" a , b\t\n", "1< a >< b\t> ");
    gives("\"a,b\",\"c\"\"d\",\"\"\n", "1<a,b><c\"d><> ");
    gives("\"a\nb\r\nc\",x\ny,z\n", "1<a\nb\r\nc><x> 4<y><z> ");
    gives("test,TEST,?\n", "1<test><TEST><?> ");
}

Test(csv, skips_a_byte_order_mark_at_the_start_only)
{
    gives("\xef\xbb\xbf"
          "a,b\n",
          "1<a><b> ");
    gives("\xef\xbb\xbf\"a\",b\n", "1<a><b> ");
    gives("a\xef\xbb\xbf\n", "1<a\xef\xbb\xbf> ");
    gives("\xef\xbb\xbf", "");
    gives("\xef\xbb\xbd\n", "1<\xef\xbb\xbd> ");
}

Test(csv, refuses_bytes_that_are_not_utf_8_with_their_line)
{
    refuses(KAP_SPAN("a,b\nc,\xe4\n"), "line 2: bytes that are not UTF-8");
    refuses(KAP_SPAN("a,b\n\"x\ny\xff\",d\n"), "line 3: bytes that are not UTF-8");
    refuses(KAP_SPAN("\xef\xbb"), "line 1: bytes that are not UTF-8");
}

Test(csv, refuses_half_rows_and_stray_quotes_with_their_line)
{
    refuses(KAP_SPAN("a,b\nc,\"d\n\ne,f\n"), "line 2: a quote is opened here and never closed");
    refuses(KAP_SPAN("a,\""), "line 1: a quote is opened here");
    refuses(KAP_SPAN("a\nb\"c\n"), "line 2: a quote in the middle");
    refuses(KAP_SPAN("a\n\"b\"c\n"), "line 2: a quote in the middle");
}

Test(csv, limits_hold_at_their_edge)
{
    sink_t sink = {0};
    char why[160];
    kap_csv_opts_t opts = {.max_field_bytes = 4, .max_row_bytes = 6, .max_fields = 3};
    cr_assert_eq(parse(KAP_SPAN("1234,56\n1,2,3\n"), 3, opts, &sink, why), KAP_OK);
    cr_assert_eq(parse(KAP_SPAN("a\n12345\n"), 3, opts, &sink, why), KAP_E_LIMIT);
    cr_assert_str_eq(why, "line 2: a field is too long");
    cr_assert_eq(parse(KAP_SPAN("1234,567\n"), 3, opts, &sink, why), KAP_E_LIMIT);
    cr_assert_str_eq(why, "line 1: the row is too long");
    cr_assert_eq(parse(KAP_SPAN("1,2,3,4\n"), 3, opts, &sink, why), KAP_E_LIMIT);
    cr_assert_str_eq(why, "line 1: the row has too many fields");
    cr_assert_eq(parse(KAP_SPAN("\"123456789"), 1, opts, &sink, why), KAP_E_LIMIT);
    kap_buf_fini(&sink.seen);
}

Test(csv, other_delimiters_and_a_reader_that_stops)
{
    sink_t sink = {.stop = 2};
    char why[160];
    kap_csv_opts_t opts = {.delimiter = ';'};
    cr_assert_eq(parse(KAP_SPAN("a;b,c\nd\ne\n"), 100, opts, &sink, why), KAP_E_CLOSED);
    cr_assert_str_eq(kap_buf_cstr(&sink.seen), "1<a><b,c> 2<d> ");
    kap_buf_reset(&sink.seen);
    opts.delimiter = '\t';
    cr_assert_eq(parse(KAP_SPAN("a\t\tb \n"), 100, opts, &sink, why), KAP_OK);
    cr_assert_str_eq(kap_buf_cstr(&sink.seen), "1<a><><b > ");
    kap_buf_fini(&sink.seen);
    kap_csv_t *csv = NULL;
    opts.delimiter = '"';
    cr_assert_eq(kap_csv_new(&opts, &csv), KAP_E_INVALID);
}

Test(csv, what_is_written_reads_back)
{
    const kap_span_t fields[] = {KAP_SPAN("plain"), KAP_SPAN("a,b"), KAP_SPAN("say \"hei\""),
                                 KAP_SPAN("two\nlines"), KAP_SPAN("")};
    const kap_span_t empty[] = {KAP_SPAN("")};
    kap_buf_t text = {0};
    kap_csv_write_row(&text, ',', fields, 5);
    kap_csv_write_row(&text, ',', empty, 1);
    cr_assert_str_eq(kap_buf_cstr(&text),
                     "plain,\"a,b\",\"say \"\"hei\"\"\",\"two\nlines\",\r\n\"\"\r\n");
    gives(kap_buf_cstr(&text), "1<plain><a,b><say \"hei\"><two\nlines><> 3<> ");
    kap_buf_fini(&text);
}
