/* SPDX-License-Identifier: MPL-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "err.h"
#include "loginput.h"
#include "logread.h"
#include "logs.h"

static char folder[] = "/tmp/kapula-logread-XXXXXX";
static char path[128];

static void make_folder(void)
{
    cr_assert(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/log", folder);
}

static void remove_folder(void)
{
    unlink(path);
    rmdir(folder);
}

TestSuite(logread, .init = make_folder, .fini = remove_folder);

static void write_file(kap_span_t bytes)
{
    FILE *file = fopen(path, "wb");

    cr_assert(file);
    cr_assert_eq(fwrite(bytes.data, 1, bytes.size, file), bytes.size);
    cr_assert_eq(fclose(file), 0);
}

static kap_buf_t worked_xes(void)
{
    kap_buf_t xes = {0};

    kap_buf_str(&xes, "<?xml version=\"1.0\"?>\n<log>");
    kap_logs_worked_example(&xes);
    kap_buf_str(&xes, "</log>\n");
    return xes;
}

/* The same bytes as one gzip member. */
static kap_buf_t packed(kap_span_t bytes)
{
    kap_buf_t out = {0};
    z_stream zip = {0};

    cr_assert_eq(deflateInit2(&zip, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    size_t room = deflateBound(&zip, bytes.size);
    zip.next_out = kap_buf_reserve(&out, room);
    zip.avail_out = (uInt)room;
    zip.next_in = (Bytef *)(uintptr_t)bytes.data;
    zip.avail_in = (uInt)bytes.size;
    cr_assert_eq(deflate(&zip, Z_FINISH), Z_STREAM_END);
    out.size = room - zip.avail_out;
    deflateEnd(&zip);
    return out;
}

static int read_file(kap_logread_t *read, kap_buf_t *why)
{
    kap_logread_opts_t opts = {
        .path = path, .keys = {NULL, NULL, "org:resource"}, .rules = kap_logs_rules};

    memset(read, 0, sizeof *read);
    return kap_logread(&opts, why, read);
}

/* The file is refused and the sentence holds `word`. */
static void expect_refused(int code, const char *word)
{
    kap_logread_t read;
    kap_buf_t why = {0};

    cr_expect_eq(read_file(&read, &why), code);
    cr_expect(strstr(kap_buf_cstr(&why), word), "\"%s\" lacks \"%s\"", kap_buf_cstr(&why), word);
    cr_expect_null(read.log);
    kap_buf_fini(&why);
}

Test(logread, a_file_and_its_gzip_are_the_same_log)
{
    kap_buf_t xes = worked_xes(), zip = packed(kap_buf_span(&xes)), why = {0};
    kap_logread_t plain, gzip;

    write_file(kap_buf_span(&xes));
    cr_assert_eq(read_file(&plain, &why), KAP_OK, "%s", kap_buf_cstr(&why));
    write_file(kap_buf_span(&zip));
    cr_assert_eq(read_file(&gzip, &why), KAP_OK, "%s", kap_buf_cstr(&why));
    cr_expect_eq(gzip.kind, KAP_LOGKIND_XES);
    cr_expect_eq(kap_eventlog_totals(gzip.log)->handovers, 6);
    cr_expect_eq(kap_eventlog_totals(plain.log)->handovers, 6);
    cr_expect_arr_eq(plain.digest, gzip.digest, 32);
    kap_eventlog_destroy(&plain.log);
    kap_eventlog_destroy(&gzip.log);
    kap_buf_fini(&xes);
    kap_buf_fini(&zip);
    kap_buf_fini(&why);
}

Test(logread, gzip_members_follow_each_other)
{
    kap_buf_t xes = worked_xes(), why = {0}, both = {0};
    kap_logread_t read;
    size_t half = xes.size / 2;
    kap_buf_t first = packed(kap_span_sub(kap_buf_span(&xes), 0, half));
    kap_buf_t second = packed(kap_span_sub(kap_buf_span(&xes), half, xes.size));

    kap_buf_append(&both, kap_buf_span(&first));
    kap_buf_append(&both, kap_buf_span(&second));
    write_file(kap_buf_span(&both));
    cr_assert_eq(read_file(&read, &why), KAP_OK, "%s", kap_buf_cstr(&why));
    cr_expect_eq(kap_eventlog_totals(read.log)->handovers, 6);
    kap_eventlog_destroy(&read.log);
    kap_buf_str(&both, "garbage");
    write_file(kap_buf_span(&both));
    expect_refused(KAP_E_INVALID, "followed by something else");
    kap_buf_fini(&xes);
    kap_buf_fini(&first);
    kap_buf_fini(&second);
    kap_buf_fini(&both);
    kap_buf_fini(&why);
}

Test(logread, a_gzip_file_cut_anywhere_is_refused)
{
    kap_buf_t xes = worked_xes(), zip = packed(kap_buf_span(&xes));

    for (size_t size = 2; size < zip.size; size += size < 20 || size + 20 > zip.size ? 1 : 37) {
        write_file(kap_span(zip.data, size));
        expect_refused(KAP_E_INVALID, "cut short");
    }
    kap_buf_fini(&xes);
    kap_buf_fini(&zip);
}

Test(logread, a_damaged_gzip_file_is_refused)
{
    kap_buf_t xes = worked_xes(), zip = packed(kap_buf_span(&xes));

    zip.data[zip.size - 6] ^= 1; /* in its checksum */
    write_file(kap_buf_span(&zip));
    expect_refused(KAP_E_INVALID, "damaged");
    kap_buf_fini(&xes);
    kap_buf_fini(&zip);
}

Test(logread, a_cut_xml_file_is_refused_with_its_byte)
{
    kap_buf_t xes = worked_xes();

    write_file(kap_span(xes.data, xes.size - 8));
    expect_refused(KAP_E_INVALID, "the file ends in the middle");
    kap_buf_fini(&xes);
}

Test(logread, what_is_no_regular_file_is_refused_without_waiting, .timeout = 5)
{
    expect_refused(KAP_E_NOTFOUND, "cannot open the file");
    cr_assert_eq(mkfifo(path, 0600), 0);
    expect_refused(KAP_E_INVALID, "not a regular file");
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(mkdir(path, 0700), 0);
    expect_refused(KAP_E_INVALID, "not a regular file");
    cr_assert_eq(rmdir(path), 0);
}

Test(logread, the_first_bytes_tell_the_kind)
{
    kap_logread_t read;
    kap_buf_t why = {0};

    write_file(KAP_SPAN("case:concept:name,time:timestamp,org:resource\n"
                        "c,2020-01-01T00:00:00Z,A\n"));
    cr_assert_eq(read_file(&read, &why), KAP_OK, "%s", kap_buf_cstr(&why));
    cr_expect_eq(read.kind, KAP_LOGKIND_CSV);
    cr_expect_str_eq(read.keys.case_key, "case:concept:name");
    kap_eventlog_destroy(&read.log);
    write_file(KAP_SPAN("\xef\xbb\xbf \n<log/>"));
    cr_assert_eq(read_file(&read, &why), KAP_OK, "%s", kap_buf_cstr(&why));
    cr_expect_eq(read.kind, KAP_LOGKIND_XES);
    cr_expect_str_eq(read.keys.case_key, "concept:name");
    kap_eventlog_destroy(&read.log);
    kap_buf_fini(&why);
    write_file(KAP_SPAN("\xff\xfe<\0l\0o\0g\0/\0>\0"));
    expect_refused(KAP_E_INVALID, "encoding UTF-16");
    write_file(KAP_SPAN(""));
    expect_refused(KAP_E_INVALID, "empty");
}

Test(logread, a_packed_table_is_read_too)
{
    kap_buf_t zip = packed(KAP_SPAN("case:concept:name,time:timestamp,org:resource\n"
                                    "c,2020-01-01T00:00:00Z,A\nc,2020-01-01T00:00:01Z,B\n"));
    kap_buf_t why = {0};
    kap_logread_t read;

    write_file(kap_buf_span(&zip));
    cr_assert_eq(read_file(&read, &why), KAP_OK, "%s", kap_buf_cstr(&why));
    cr_expect_eq(kap_eventlog_totals(read.log)->handovers, 1);
    kap_eventlog_destroy(&read.log);
    kap_buf_fini(&zip);
    kap_buf_fini(&why);
}
