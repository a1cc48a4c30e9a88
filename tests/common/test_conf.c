/* SPDX-License-Identifier: MPL-2.0 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf.h"
#include "err.h"

static const char *const levels[] = {"error", "warn", "info", NULL};

static const kap_conf_key_t common_keys[] = {
    {"log.level", KAP_CONF_ENUM, "info", 0, 0, NULL, "How much is logged.", levels, false},
    {"name", KAP_CONF_STRING, "kapula", 2, 8, NULL, "What the program is called.", NULL, false},
    {NULL}};

static const kap_conf_key_t own_keys[] = {
    {"store", KAP_CONF_PATH, "data/store", 0, 0, NULL, "Where the store lies.", NULL, false},
    {"listen.backlog", KAP_CONF_INT, "100", 1, 4096, "connections", "Waiting.", NULL, false},
    {"listen.big", KAP_CONF_INT, "5000000000", 0, 0, NULL, "No bounds.", NULL, false},
    {"verbose", KAP_CONF_BOOL, "false", 0, 0, NULL, "Say more.", NULL, false},
    {"log.keep", KAP_CONF_DURATION_MS, "90s", 1000, 864000000, NULL, "How long.", NULL, false},
    {"listen.frame", KAP_CONF_BYTES, "64KiB", 1024, 1048576, NULL, "A frame.", NULL, false},
    {"peers", KAP_CONF_LIST, "a,b", 1, 3, NULL, "Who is there.", NULL, false},
    {"codes", KAP_CONF_MAP, "x=1,y=2", 1, 3, NULL, "What means what.", NULL, false},
    {"note", KAP_CONF_STRING, NULL, 0, 0, NULL, "Optional.", NULL, false},
    {NULL}};

static const kap_conf_key_t *const tables[] = {common_keys, own_keys, NULL};

static kap_conf_t *taken(const char *text)
{
    kap_conf_t *conf = NULL;
    kap_buf_t messages = {0};
    int err = kap_conf_parse("/etc/kapula/a.conf", kap_span_str(text), tables, &conf, &messages);
    cr_assert_eq(err, KAP_OK, "%s\n%s", text, kap_buf_cstr(&messages));
    cr_assert_eq(messages.size, 0u);
    kap_buf_fini(&messages);
    return conf;
}

static void refused_span(kap_span_t text, const char *expected)
{
    kap_conf_t *conf = NULL;
    kap_buf_t messages = {0};
    int err = kap_conf_parse("a.conf", text, tables, &conf, &messages);
    cr_assert_eq(err, KAP_E_CONFIG, "%s", (const char *)text.data);
    cr_assert_null(conf);
    cr_assert_str_eq(kap_buf_cstr(&messages), expected);
    kap_buf_fini(&messages);
}

static void refused(const char *text, const char *expected)
{
    refused_span(kap_span_str(text), expected);
}

static int64_t int_of(const char *text, const char *key)
{
    kap_conf_t *conf = taken(text);
    int64_t value = kap_conf_int(conf, key);
    kap_conf_close(&conf);
    return value;
}

Test(conf, an_empty_file_gives_the_defaults)
{
    kap_conf_t *conf = taken("");
    cr_assert_str_eq(kap_conf_str(conf, "name"), "kapula");
    cr_assert_str_eq(kap_conf_str(conf, "log.level"), "info");
    cr_assert_eq(kap_conf_int(conf, "log.level"), 2);
    cr_assert_eq(kap_conf_int(conf, "listen.backlog"), 100);
    cr_assert_eq(kap_conf_int(conf, "log.keep"), 90000);
    cr_assert_eq(kap_conf_int(conf, "listen.frame"), 65536);
    cr_assert_eq(kap_conf_int(conf, "listen.big"), INT64_C(5000000000));
    cr_assert_not(kap_conf_bool(conf, "verbose"));
    cr_assert_eq(kap_conf_list_count(conf, "peers"), 2u);
    cr_assert_str_eq(kap_conf_list_item(conf, "peers", 1), "b");
    cr_assert_null(kap_conf_list_item(conf, "peers", 2));
    cr_assert_str_eq(kap_conf_map_get(conf, "codes", "y"), "2");
    cr_assert_null(kap_conf_map_get(conf, "codes", "z"));
    cr_assert_null(kap_conf_str(conf, "note"));
    cr_assert_not(kap_conf_given(conf, "name"));
    kap_conf_close(&conf);
    cr_assert_null(conf);
}

Test(conf, reads_every_type_from_both_tables)
{
    kap_conf_t *conf = taken("name = \"mesh\";\nlog: { level = \"warn\"; keep = \"2min\"; };\n"
                             "store = \"/var/x\";\nverbose = true;\n"
                             "listen: { backlog = 7; frame = \"1MiB\"; big = -6000000000L; };\n"
                             "peers = [\"c\"];\ncodes = ((\"a key, with = signs\", \"1\"));\n");
    cr_assert(kap_conf_given(conf, "name"));
    cr_assert_str_eq(kap_conf_str(conf, "name"), "mesh");
    cr_assert_eq(kap_conf_int(conf, "log.level"), 1);
    cr_assert_eq(kap_conf_int(conf, "log.keep"), 120000);
    cr_assert_str_eq(kap_conf_str(conf, "store"), "/var/x");
    cr_assert(kap_conf_bool(conf, "verbose"));
    cr_assert_eq(kap_conf_int(conf, "listen.frame"), 1048576);
    cr_assert_eq(kap_conf_int(conf, "listen.big"), INT64_C(-6000000000));
    cr_assert_eq(kap_conf_list_count(conf, "peers"), 1u);
    const char *entry, *value;
    cr_assert_eq(kap_conf_map_item(conf, "codes", 0, &entry, &value), KAP_OK);
    cr_assert_str_eq(entry, "a key, with = signs");
    cr_assert_str_eq(value, "1");
    cr_assert_eq(kap_conf_map_item(conf, "codes", 1, &entry, &value), KAP_E_NOTFOUND);
    kap_conf_close(&conf);
    conf = taken("codes: { a = \"1\"; b-c = \"2\"; };");
    cr_assert_eq(kap_conf_map_count(conf, "codes"), 2u);
    cr_assert_str_eq(kap_conf_map_get(conf, "codes", "b-c"), "2");
    kap_conf_close(&conf);
}

Test(conf, whole_numbers_hold_their_bounds)
{
    cr_assert_eq(int_of("listen: { backlog = 1; };", "listen.backlog"), 1);
    cr_assert_eq(int_of("listen: { backlog = 4096; };", "listen.backlog"), 4096);
    refused("\nlisten: { backlog = 0; };",
            "a.conf:2: listen.backlog: 0 is too small, write 1 to 4096 connections\n");
    refused("listen: {\n backlog = 4097; };",
            "a.conf:2: listen.backlog: 4097 is too large, write 1 to 4096 connections\n");
    refused("listen: { backlog = \"7\"; };",
            "a.conf:1: listen.backlog: not the right kind of value, "
            "write a whole number, 1 to 4096 connections\n");
    refused("listen: { backlog = 7.0; };", "a.conf:1: listen.backlog: not the right kind of value, "
                                           "write a whole number, 1 to 4096 connections\n");
}

Test(conf, durations_hold_their_bounds)
{
    cr_assert_eq(int_of("log: { keep = \"1000ms\"; };", "log.keep"), 1000);
    cr_assert_eq(int_of("log: { keep = \"10d\"; };", "log.keep"), 864000000);
    cr_assert_eq(int_of("log: { keep = \"8h\"; };", "log.keep"), 28800000);
    refused("log: { keep = \"999ms\"; };",
            "a.conf:1: log.keep: 999ms is too small, write 1s to 10d\n");
    refused("log: { keep = \"864000001ms\"; };",
            "a.conf:1: log.keep: 864000001ms is too large, write 1s to 10d\n");
    static const char *const wrong[] = {"5", "s", "-5s", "5 s", "1.5s", "5S", "99999999999999999d"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char text[64], expected[256];
        snprintf(text, sizeof text, "log: { keep = \"%s\"; };", wrong[i]);
        snprintf(expected, sizeof expected,
                 "a.conf:1: log.keep: \"%s\" is not right, write a duration in quotes like "
                 "\"250ms\", \"5s\", \"2min\", \"8h\" or \"10d\", 1s to 10d\n",
                 wrong[i]);
        refused(text, expected);
    }
}

Test(conf, sizes_hold_their_bounds)
{
    cr_assert_eq(int_of("listen: { frame = \"1024B\"; };", "listen.frame"), 1024);
    cr_assert_eq(int_of("listen: { frame = \"1MiB\"; };", "listen.frame"), 1048576);
    refused("listen: { frame = \"1023B\"; };",
            "a.conf:1: listen.frame: 1023B is too small, write 1KiB to 1MiB\n");
    refused("listen: { frame = \"1048577B\"; };",
            "a.conf:1: listen.frame: 1048577B is too large, write 1KiB to 1MiB\n");
    refused("listen: { frame = \"1MB\"; };",
            "a.conf:1: listen.frame: \"1MB\" is not right, write a size in quotes like \"512B\", "
            "\"64KiB\", \"64MiB\" or \"2GiB\", 1KiB to 1MiB\n");
}

Test(conf, texts_lists_and_maps_hold_their_bounds)
{
    kap_conf_t *conf = taken("name = \"ab\"; peers = [\"1\"]; codes: { a = \"1\"; };");
    kap_conf_close(&conf);
    conf = taken("name = \"12345678\"; peers = (\"1\", \"2\", \"3\"); "
                 "codes = ((\"a\", \"1\"), (\"b\", \"2\"), (\"c\", \"3\"));");
    kap_conf_close(&conf);
    refused("name = \"a\";", "a.conf:1: name: too few bytes (1), write 2 to 8 bytes\n");
    refused("name = \"123456789\";", "a.conf:1: name: too many bytes (9), write 2 to 8 bytes\n");
    refused("peers = [];", "a.conf:1: peers: too few items (0), write 1 to 3 items\n");
    refused("peers = [\"1\", \"2\", \"3\", \"4\"];",
            "a.conf:1: peers: too many items (4), write 1 to 3 items\n");
    refused("codes: { };", "a.conf:1: codes: too few entries (0), write 1 to 3 entries\n");
    refused("codes: { a = \"\"; b = \"\"; c = \"\"; d = \"\"; };",
            "a.conf:1: codes: too many entries (4), write 1 to 3 entries\n");
    refused("codes = ((\"a\", \"1\"),\n (\"a\", \"2\"));",
            "a.conf:2: codes: \"a\" is there twice, write it once\n");
    refused("codes = ((\"a\"));",
            "a.conf:1: codes: not the right kind of value, write a map like { a = \"b\"; } or "
            "((\"a\", \"b\"), (\"c\", \"d\")), 1 to 3 entries\n");
    refused("peers = [1];", "a.conf:1: peers: not the right kind of value, write a list like "
                            "[\"a\", \"b\"], 1 to 3 items\n");
    refused("verbose = 1;",
            "a.conf:1: verbose: not the right kind of value, write true or false\n");
    refused("log: { level = \"loud\"; };",
            "a.conf:1: log.level: \"loud\" is not right, write one of error, warn, info\n");
}

Test(conf, a_path_is_relative_to_its_file)
{
    kap_conf_t *conf = taken("");
    cr_assert_str_eq(kap_conf_str(conf, "store"), "/etc/kapula/data/store");
    kap_conf_close(&conf);
    refused("store = \"\";", "a.conf:1: store: 0 bytes of text, write 1 to 4096\n");
    char text[5000] = "note = \"";
    memset(text + 8, 'x', 4097);
    strcpy(text + 8 + 4097, "\";");
    refused(text, "a.conf:1: note: 4097 bytes of text, write 1 to 4096\n");
    strcpy(text + 8 + 4096, "\";");
    conf = taken(text);
    cr_assert_eq(strlen(kap_conf_str(conf, "note")), 4096u);
    kap_conf_close(&conf);
}

Test(conf, unknown_keys_are_refused_and_the_nearest_is_named)
{
    refused("nmae = \"x\";", "a.conf:1: nmae: unknown key, perhaps name is meant\n");
    refused("log: {\n  levle = \"info\";\n};",
            "a.conf:2: log.levle: unknown key, perhaps log.level is meant\n");
    refused("something_else = 1;", "a.conf:1: something_else: unknown key, take it out\n");
    refused("log = 1;", "a.conf:1: log: is a group, write log: { ... }\n");
    refused("name: { x = 1; };",
            "a.conf:1: name: not the right kind of value, write text in quotes, "
            "2 to 8 bytes\n");
}

Test(conf, all_complaints_come_at_once)
{
    refused("name = 1;\nverbose = \"no\";\nwhat = 2;\n",
            "a.conf:1: name: not the right kind of value, write text in quotes, 2 to 8 bytes\n"
            "a.conf:2: verbose: not the right kind of value, write true or false\n"
            "a.conf:3: what: unknown key, take it out\n");
}

Test(conf, a_required_key_must_be_there)
{
    static const kap_conf_key_t keys[] = {
        {"id", KAP_CONF_STRING, NULL, 1, 200, NULL, "Who we are.", NULL, true}, {NULL}};
    const kap_conf_key_t *const required[] = {keys, NULL};
    kap_conf_t *conf = NULL;
    kap_buf_t messages = {0};
    cr_assert_eq(kap_conf_parse("b.conf", KAP_SPAN(""), required, &conf, &messages), KAP_E_CONFIG);
    cr_assert_str_eq(kap_buf_cstr(&messages),
                     "b.conf: id: is missing, write text in quotes, 1 to 200 bytes\n");
    kap_buf_fini(&messages);
}

Test(conf, syntax_and_encoding_are_refused_with_their_line)
{
    refused("name = \"mesh\";\nlog: {", "a.conf:2: syntax error\n");
    refused("name = \"a\";\nname = \"b\";", "a.conf:2: duplicate setting name\n");
    refused("\n\nname = \"\xe4\xe4\";",
            "a.conf:3: bytes that are not UTF-8, save the file as UTF-8\n");
    refused("\n@include \"x\"\n",
            "a.conf:2: @include is not taken, write everything into this file\n");
    refused("name = \"ab\\x00\";", "a.conf:1: \\x00 in a text, take it out\n");
    refused_span(KAP_SPAN("\n\0name = \"ab\";"), "a.conf:2: a NUL byte, take it out\n");
}

Test(conf, what_is_printed_parses_again_to_the_same)
{
    kap_conf_t *conf =
        taken("name = \"a\\\"\\\\\\tä\";\nlog: { keep = \"1500ms\"; };\n"
              "peers = [\"x y\", \"\"];\ncodes = ((\"Asiakkaan nimi\", \"a=b,c\"));\n"
              "listen: { big = 9223372036854775807L; };");
    char *first = NULL, *second = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&first, &size);
    cr_assert_eq(kap_conf_print(conf, out), KAP_OK);
    fclose(out);
    kap_conf_close(&conf);
    cr_assert_not_null(strstr(first, "# Waiting. (1 to 4096 connections)\n"), "%s", first);
    cr_assert_not_null(strstr(first, "keep = \"1500ms\";\n"), "%s", first);
    conf = taken(first);
    cr_assert_str_eq(kap_conf_str(conf, "name"), "a\"\\\tä");
    cr_assert_str_eq(kap_conf_map_get(conf, "codes", "Asiakkaan nimi"), "a=b,c");
    cr_assert_eq(kap_conf_list_count(conf, "peers"), 2u);
    cr_assert_eq(kap_conf_int(conf, "listen.big"), INT64_MAX);
    cr_assert_null(kap_conf_str(conf, "note"));
    out = open_memstream(&second, &size);
    cr_assert_eq(kap_conf_print(conf, out), KAP_OK);
    fclose(out);
    cr_assert_str_eq(first, second);
    kap_conf_close(&conf);
    free(first);
    free(second);
}

Test(conf, the_help_names_every_key)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    cr_assert_eq(kap_conf_help(tables, out), KAP_OK);
    fclose(out);
    for (size_t i = 0; own_keys[i].key; i++)
        cr_assert_not_null(strstr(text, own_keys[i].key));
    cr_assert_not_null(strstr(text, "log.level\n    How much is logged.\n    one of error, warn, "
                                    "info; default: info\n"),
                       "%s", text);
    free(text);
}

Test(conf, files_are_read_and_missing_ones_are_an_error)
{
    char path[] = "/tmp/kapula-conf-XXXXXX", expected[128];
    int fd = mkstemp(path);
    cr_assert_eq(write(fd, "name = \"file\";\n", 15), 15);
    kap_conf_t *conf = NULL;
    kap_buf_t messages = {0};
    cr_assert_eq(kap_conf_load(path, tables, &conf, &messages), KAP_OK);
    cr_assert_str_eq(kap_conf_str(conf, "name"), "file");
    cr_assert_str_eq(kap_conf_str(conf, "store"), "/tmp/data/store");
    kap_conf_close(&conf);
    close(fd);
    unlink(path);
    cr_assert_eq(kap_conf_load(path, tables, &conf, &messages), KAP_E_CONFIG);
    snprintf(expected, sizeof expected, "%s: cannot be read: No such file or directory\n", path);
    cr_assert_str_eq(kap_buf_cstr(&messages), expected);
    kap_buf_reset(&messages);
    cr_assert_eq(mkfifo(path, 0600), 0);
    cr_assert_eq(kap_conf_load(path, tables, &conf, &messages), KAP_E_CONFIG, "and no hang");
    unlink(path);
    kap_buf_fini(&messages);
}

Test(conf, asking_for_a_key_of_no_table_is_our_bug, .signal = SIGABRT)
{
    kap_conf_t *conf = taken("");
    kap_conf_str(conf, "nothing");
}
