/* SPDX-License-Identifier: MPL-2.0 */
#include "xes.h"

#include <expat.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "err.h"

/* Depths of the elements that count: log > trace > event > attribute. */
enum { AT_LOG = 1, AT_TRACE = 2, AT_EVENT = 3, AT_ATTRIBUTE = 4 };

/* The first bytes, kept until the encoding they are in is certain. */
#define HEAD_BYTES 4

struct kap_xes {
    kap_logkeys_t keys;
    kap_eventlog_t *log;
    kap_buf_t *why;
    XML_Parser parser;
    int rc; /* sticky: why the parser was stopped */
    uint64_t fed;
    uint8_t head[HEAD_BYTES];
    size_t head_size;
    unsigned depth;
    bool in_trace, in_event;
    kap_buf_t id, time, actor; /* of the open trace and event */
};

static uint64_t line_of(const kap_xes_t *xes)
{
    return (uint64_t)XML_GetCurrentLineNumber(xes->parser);
}

static void say_place(kap_xes_t *xes)
{
    kap_buf_printf(xes->why, "line %llu, byte %lld: ", (unsigned long long)line_of(xes),
                   (long long)XML_GetCurrentByteIndex(xes->parser));
}

/* Ends the parsing with an error that `why` already tells. */
static void stop(kap_xes_t *xes, int rc)
{
    if (xes->rc)
        return;
    xes->rc = rc;
    XML_StopParser(xes->parser, XML_FALSE);
}

static void refuse(kap_xes_t *xes, const char *sentence)
{
    if (xes->rc)
        return;
    say_place(xes);
    kap_buf_str(xes->why, sentence);
    stop(xes, KAP_E_INVALID);
}

/* A code of the eventlog: a refusal of its own lacks the place, a limit has it. */
static void settle(kap_xes_t *xes, int rc, kap_logfault_t fault)
{
    if (rc == KAP_E_INVALID) {
        kap_buf_printf(xes->why, " (line %llu, byte %lld)", (unsigned long long)line_of(xes),
                       (long long)XML_GetCurrentByteIndex(xes->parser));
    } else if (!rc && fault != KAP_LOGFAULT_NONE) {
        rc = kap_eventlog_fault(xes->log, fault, line_of(xes));
    }
    if (rc)
        stop(xes, rc);
}

/* The name without its prefix: any namespace or none is the same to us. */
static const char *local(const char *name)
{
    const char *colon = strrchr(name, ':');

    return colon ? colon + 1 : name;
}

/* Elements that carry one value; <list> and <container> carry others. */
static bool is_scalar(const char *element)
{
    static const char *const scalars[] = {"string", "date", "int", "float", "boolean", "id"};

    for (size_t i = 0; i < sizeof scalars / sizeof *scalars; i++)
        if (!strcmp(element, scalars[i]))
            return true;
    return false;
}

static const char *attribute(const char **attributes, const char *name)
{
    for (; *attributes; attributes += 2)
        if (!strcmp(attributes[0], name))
            return attributes[1];
    return NULL;
}

static void keep(kap_xes_t *xes, kap_buf_t *buf, const char *value)
{
    kap_buf_reset(buf);
    kap_buf_str(buf, value);
    if (buf->err)
        stop(xes, buf->err);
}

/* --- elements --- */

static void trace_attribute(kap_xes_t *xes, const char *element, const char **attributes)
{
    const char *key = attribute(attributes, "key");
    const char *value = attribute(attributes, "value");

    if (key && value && !strcmp(key, xes->keys.case_key) && is_scalar(element))
        keep(xes, &xes->id, value);
}

static void event_attribute(kap_xes_t *xes, const char *element, const char **attributes)
{
    const char *key = attribute(attributes, "key");
    const char *value = attribute(attributes, "value");

    if (!key || !value)
        return;
    bool is_time = !strcmp(key, xes->keys.time_key);
    bool is_actor = !strcmp(key, xes->keys.actor_key);
    if ((!is_time && !is_actor) || !is_scalar(element))
        return;
    if (is_time)
        keep(xes, &xes->time, value);
    if (is_actor)
        keep(xes, &xes->actor, value);
}

static void begin_trace(kap_xes_t *xes)
{
    xes->in_trace = true;
    kap_buf_reset(&xes->id);
    kap_eventlog_begin_trace(xes->log);
}

static void begin_event(kap_xes_t *xes)
{
    xes->in_event = true;
    kap_buf_reset(&xes->time);
    kap_buf_reset(&xes->actor);
}

static void end_event(kap_xes_t *xes)
{
    kap_logfault_t fault = KAP_LOGFAULT_NONE;

    xes->in_event = false;
    int rc =
        kap_eventlog_add(xes->log, kap_buf_span(&xes->time), kap_buf_span(&xes->actor), &fault);
    settle(xes, rc, fault);
}

static void end_trace(kap_xes_t *xes)
{
    kap_logfault_t fault = KAP_LOGFAULT_NONE;

    xes->in_trace = false;
    int rc = kap_eventlog_end_trace(xes->log, kap_buf_span(&xes->id), &fault);
    settle(xes, rc, fault);
}

static void on_start(void *arg, const char *name, const char **attributes)
{
    kap_xes_t *xes = arg;

    if (xes->rc)
        return;
    xes->depth++;
    if (xes->depth > KAP_XES_DEPTH) {
        refuse(xes, "elements nested too deep for an event log (at most 64)");
        return;
    }
    if (XML_GetCurrentByteCount(xes->parser) > KAP_XES_TAG_BYTES) {
        refuse(xes, "a tag of more than 1 MiB");
        return;
    }
    const char *element = local(name);
    if (xes->depth == AT_LOG && strcmp(element, "log"))
        refuse(xes, "not an XES log: its outermost element is not <log>");
    else if (xes->depth == AT_TRACE && !strcmp(element, "trace"))
        begin_trace(xes);
    else if (xes->depth == AT_TRACE && !strcmp(element, "event"))
        settle(xes, KAP_OK, KAP_LOGFAULT_OUTSIDE);
    else if (xes->depth == AT_EVENT && xes->in_trace && !strcmp(element, "event"))
        begin_event(xes);
    else if (xes->depth == AT_EVENT && xes->in_trace)
        trace_attribute(xes, element, attributes);
    else if (xes->depth == AT_ATTRIBUTE && xes->in_event)
        event_attribute(xes, element, attributes);
}

static void on_end(void *arg, const char *name)
{
    kap_xes_t *xes = arg;

    (void)name;
    if (xes->rc)
        return;
    if (xes->depth == AT_EVENT && xes->in_event)
        end_event(xes);
    else if (xes->depth == AT_TRACE && xes->in_trace)
        end_trace(xes);
    xes->depth--;
}

/* --- what is refused --- */

static void on_doctype(void *arg, const char *name, const char *system, const char *public,
                       int has_internal_subset)
{
    (void)name;
    (void)system;
    (void)public;
    (void)has_internal_subset;
    refuse(arg, "DOCTYPE is refused: it may declare entities and name other files");
}

static void on_declaration(void *arg, const char *version, const char *encoding, int standalone)
{
    kap_xes_t *xes = arg;

    (void)version;
    (void)standalone;
    if (!encoding || !strcasecmp(encoding, "UTF-8") || !strcasecmp(encoding, "UTF8") || xes->rc)
        return;
    say_place(xes);
    kap_buf_printf(xes->why, "encoding %.60s is refused: only UTF-8 is read (convert the file)",
                   encoding);
    stop(xes, KAP_E_INVALID);
}

/* The name of another encoding that the first bytes give away, or NULL. */
static const char *other_encoding(const uint8_t head[HEAD_BYTES])
{
    static const struct {
        const char *name;
        uint8_t size;
        uint8_t bytes[HEAD_BYTES];
    } marks[] = {
        {"UTF-32", 4, {0x00, 0x00, 0xfe, 0xff}},
        {"UTF-32", 4, {0xff, 0xfe, 0x00, 0x00}},
        {"UTF-32", 4, {0x00, 0x00, 0x00, '<'}},
        {"UTF-32", 4, {'<', 0x00, 0x00, 0x00}},
        {"UTF-16", 2, {0xfe, 0xff}},
        {"UTF-16", 2, {0xff, 0xfe}},
        {"UTF-16", 2, {0x00, '<'}},
        {"UTF-16", 2, {'<', 0x00}},
        {"EBCDIC", 4, {0x4c, 0x6f, 0xa7, 0x94}},
    };

    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        if (!memcmp(head, marks[i].bytes, marks[i].size))
            return marks[i].name;
    return NULL;
}

static int explain_parser(kap_xes_t *xes)
{
    enum XML_Error error = XML_GetErrorCode(xes->parser);
    int offset = 0, size = 0;
    const char *context = XML_GetInputContext(xes->parser, &offset, &size);

    if (error == XML_ERROR_NO_MEMORY)
        return KAP_E_NOMEM;
    say_place(xes);
    if (error == XML_ERROR_NO_ELEMENTS || error == XML_ERROR_UNCLOSED_TOKEN ||
        error == XML_ERROR_PARTIAL_CHAR || error == XML_ERROR_UNCLOSED_CDATA_SECTION)
        kap_buf_printf(xes->why, "the file ends in the middle of the XML (%s)",
                       XML_ErrorString(error));
    else if (error == XML_ERROR_INVALID_TOKEN && context && offset < size &&
             (context[offset] & 0x80))
        kap_buf_str(xes->why, "a byte that is not valid UTF-8");
    else
        kap_buf_printf(xes->why, "not well-formed XML (%s)", XML_ErrorString(error));
    return KAP_E_INVALID;
}

/* --- life --- */

int kap_xes_open(const kap_logkeys_t *keys, kap_eventlog_t *log, kap_buf_t *why, kap_xes_t **xes)
{
    kap_xes_t *x = calloc(1, sizeof *x);

    if (!x)
        return KAP_E_NOMEM;
    x->keys = *keys;
    x->log = log;
    x->why = why;
    /* Named here, UTF-8 holds whatever the file declares; what it declares is checked apart. */
    x->parser = XML_ParserCreate("UTF-8");
    if (!x->parser) {
        free(x);
        return KAP_E_NOMEM;
    }
    XML_SetUserData(x->parser, x);
    XML_SetElementHandler(x->parser, on_start, on_end);
    XML_SetXmlDeclHandler(x->parser, on_declaration);
    XML_SetStartDoctypeDeclHandler(x->parser, on_doctype);
    *xes = x;
    return KAP_OK;
}

static int parse(kap_xes_t *xes, kap_span_t bytes, bool last)
{
    enum XML_Status status =
        XML_Parse(xes->parser, (const char *)bytes.data, (int)bytes.size, last);

    xes->fed += bytes.size;
    if (xes->rc)
        return xes->rc;
    if (status != XML_STATUS_OK) {
        xes->rc = explain_parser(xes);
        return xes->rc;
    }
    XML_Index done = XML_GetCurrentByteIndex(xes->parser);
    if (!last && done >= 0 && xes->fed - (uint64_t)done > KAP_XES_TAG_BYTES) {
        say_place(xes);
        kap_buf_str(xes->why, "a tag or comment of more than 1 MiB");
        xes->rc = KAP_E_INVALID;
    }
    return xes->rc;
}

/* Hands over what was kept of the beginning, once its encoding is certain. */
static int parse_head(kap_xes_t *xes)
{
    uint8_t head[HEAD_BYTES] = {' ', ' ', ' ', ' '};

    memcpy(head, xes->head, xes->head_size);
    const char *encoding = other_encoding(head);
    if (encoding) {
        kap_buf_printf(xes->why,
                       "line 1, byte 0: encoding %s is refused: only UTF-8 is read (convert the "
                       "file)",
                       encoding);
        xes->rc = KAP_E_INVALID;
        return xes->rc;
    }
    return parse(xes, kap_span(xes->head, xes->head_size), false);
}

int kap_xes_feed(kap_xes_t *xes, kap_span_t bytes)
{
    while (!xes->rc && xes->head_size < HEAD_BYTES && bytes.size) {
        xes->head[xes->head_size++] = *bytes.data;
        bytes = kap_span_sub(bytes, 1, bytes.size);
        if (xes->head_size == HEAD_BYTES && parse_head(xes))
            return xes->rc;
    }
    while (!xes->rc && bytes.size) {
        /* In pieces, so that the limit of a tag is noticed in time. */
        kap_span_t piece = kap_span_sub(bytes, 0, KAP_XES_TAG_BYTES / 4);
        bytes = kap_span_sub(bytes, piece.size, bytes.size);
        parse(xes, piece, false);
    }
    return xes->rc;
}

int kap_xes_finish(kap_xes_t *xes)
{
    if (!xes->rc && xes->head_size < HEAD_BYTES && parse_head(xes))
        return xes->rc;
    return xes->rc ? xes->rc : parse(xes, kap_span("", 0), true);
}

void kap_xes_close(kap_xes_t **xes)
{
    kap_xes_t *x = *xes;

    if (!x)
        return;
    XML_ParserFree(x->parser);
    kap_buf_fini(&x->id);
    kap_buf_fini(&x->time);
    kap_buf_fini(&x->actor);
    free(x);
    *xes = NULL;
}
