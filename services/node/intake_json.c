/* SPDX-License-Identifier: MPL-2.0 */
#include "intake_json.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "buf.h"
#include "err.h"
#include "intake.h"

enum { LEVELS = 3, NAME_BYTES = 200 };

typedef struct {
    kap_arena_t *arena;
    kap_span_t *names, *cells;
    size_t count;
    const char *bad;
} flat_t;

/* Text of a scalar into the arena; data NULL when out of memory. */
static kap_span_t scalar_text(flat_t *flat, const json_t *value)
{
    char text[40] = "";
    if (json_is_string(value))
        return kap_arena_dup(flat->arena,
                             kap_span(json_string_value(value), json_string_length(value)));
    if (json_is_integer(value))
        snprintf(text, sizeof text, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        snprintf(text, sizeof text, "%.15g", json_real_value(value));
    else if (json_is_boolean(value))
        snprintf(text, sizeof text, "%s", json_is_true(value) ? "true" : "false");
    return kap_arena_dup(flat->arena, kap_span_str(text));
}

static kap_span_t list_text(flat_t *flat, const json_t *list)
{
    kap_buf_t buf;
    kap_buf_init(&buf);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        if (json_is_object(item) || json_is_array(item))
            flat->bad = "a list may hold texts and numbers only";
        if (i)
            kap_buf_str(&buf, ",");
        kap_buf_append(&buf, scalar_text(flat, item));
    }
    kap_span_t text = buf.err ? kap_span(NULL, 0) : kap_arena_dup(flat->arena, kap_buf_span(&buf));
    kap_buf_fini(&buf);
    return text;
}

static int flatten(flat_t *flat, json_t *object, kap_span_t front, int level)
{
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        char name[NAME_BYTES];
        int n = snprintf(name, sizeof name, "%.*s%s%s", KAP_SPAN_ARGS(front), front.size ? "." : "",
                         key);
        if (n >= (int)sizeof name || flat->count == KAP_INTAKE_COLUMNS || level == LEVELS) {
            flat->bad = "the object has too many names, too long ones, or too many levels";
            return KAP_OK;
        }
        kap_span_t kept = kap_arena_dup(flat->arena, kap_span(name, (size_t)n));
        if (!kept.data)
            return KAP_E_NOMEM;
        if (json_is_object(value)) {
            int rc = flatten(flat, value, kept, level + 1);
            if (rc != KAP_OK || flat->bad)
                return rc;
            continue;
        }
        flat->names[flat->count] = kept;
        flat->cells[flat->count] =
            json_is_array(value) ? list_text(flat, value) : scalar_text(flat, value);
        if (!flat->cells[flat->count++].data)
            return KAP_E_NOMEM;
    }
    return KAP_OK;
}

static int whole_line(flat_t *flat, kap_span_t line)
{
    flat->names[0] = KAP_SPAN("text");
    flat->cells[0] = kap_arena_dup(flat->arena, line);
    flat->count = 1;
    return flat->cells[0].data ? KAP_OK : KAP_E_NOMEM;
}

int kap_intake_json_row(kap_span_t line, size_t max_bytes, kap_arena_t *arena, kap_span_t **names,
                        kap_span_t **cells, size_t *count, const char **bad)
{
    kap_span_t name_of[KAP_INTAKE_COLUMNS], cell_of[KAP_INTAKE_COLUMNS];
    flat_t flat = {.arena = arena, .names = name_of, .cells = cell_of};
    json_t *root = NULL;
    int rc = KAP_OK;
    if (line.size > max_bytes)
        flat.bad = "the line is longer than 1 MiB";
    else if (!(root = json_loadb((const char *)line.data, line.size, JSON_REJECT_DUPLICATES, NULL)))
        flat.bad = "is not JSON in UTF-8; each line is one object: {\"Palvelu\": \"...\", ...}";
    else if (!json_is_object(root))
        flat.bad = "is no object; each line is one object: {\"Palvelu\": \"...\", ...}";
    else
        rc = flatten(&flat, root, kap_span(NULL, 0), 0);
    if (rc == KAP_OK && flat.bad)
        rc = whole_line(&flat, kap_span_sub(line, 0, 4000));
    json_decref(root);
    *names = kap_arena_alloc(arena, (flat.count + 1) * sizeof **names);
    *cells = kap_arena_alloc(arena, (flat.count + 1) * sizeof **cells);
    if (rc != KAP_OK || !*names || !*cells)
        return KAP_E_NOMEM;
    memcpy(*names, name_of, flat.count * sizeof **names);
    memcpy(*cells, cell_of, flat.count * sizeof **cells);
    *count = flat.count;
    *bad = flat.bad;
    return KAP_OK;
}
