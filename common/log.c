/* SPDX-License-Identifier: MPL-2.0 */
#include "log.h"

#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "buf.h"
#include "clock.h"
#include "err.h"

/* LINE_BYTES is PIPE_BUF: a pipe that polls writable takes that much without blocking, in one
 * piece. */
enum {
    LINE_BYTES = 4096,
    TAIL_BYTES = 128,
    PROGRAM_BYTES = 32,
    SLOTS = 128,
    WAYS = 8,
    WINDOW_MS = 1000
};

static const char *const level_words[] = {"error", "warn", "info", "debug"};

/* What one event name and level did in the present window. Two names in one slot push each other
 * out, saying first what was suppressed. */
typedef struct {
    uint32_t hash;
    char event[48];
    kap_log_level_t level;
    int64_t window_at; /* monotonic */
    uint32_t written, suppressed;
} slot_t;

static struct {
    pthread_mutex_t lock;
    char program[PROGRAM_BYTES];
    _Atomic int level;
    int fd;
    uint64_t dropped;
    slot_t slots[SLOTS];
} state = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .program = "kapula",
    .level = KAP_LOG_INFO,
    .fd = STDERR_FILENO,
};

void kap_log_init(const char *program, kap_log_level_t level)
{
    pthread_mutex_lock(&state.lock);
    snprintf(state.program, sizeof state.program, "%s", program);
    pthread_mutex_unlock(&state.lock);
    atomic_store(&state.level, (int)level);
}

void kap_log_to(int fd)
{
    pthread_mutex_lock(&state.lock);
    state.fd = fd;
    pthread_mutex_unlock(&state.lock);
}

int kap_log_level_parse(const char *word, kap_log_level_t *level)
{
    for (int i = KAP_LOG_ERROR; i <= KAP_LOG_DEBUG; i++) {
        if (strcmp(word, level_words[i]) == 0) {
            *level = (kap_log_level_t)i;
            return KAP_OK;
        }
    }
    return KAP_E_INVALID;
}

bool kap_log_on(kap_log_level_t level)
{
    return (int)level <= atomic_load_explicit(&state.level, memory_order_relaxed);
}

static void put_head(kap_buf_t *line, kap_log_level_t level, const char *event)
{
    char time[KAP_TIME_TEXT];
    kap_time_format_utc(kap_clock_now_ms(kap_clock_system()), time);
    kap_buf_printf(line, "{\"time\":\"%s\",\"level\":\"%s\",\"program\":\"", time,
                   level_words[level]);
    kap_buf_json_text(line, kap_span_str(state.program));
    kap_buf_str(line, "\",\"event\":\"");
    kap_buf_json_text(line, kap_span_str(event));
    kap_buf_u8(line, '"');
}

/* The first `size` bytes of the text or a little less: never a part of a character. */
static kap_span_t cut(kap_span_t text, size_t size)
{
    if (size >= text.size)
        return text;
    while (size && (text.data[size] & 0xc0) == 0x80)
        size--;
    return kap_span(text.data, size);
}

/* A text that does not fit is cut; a field of which nothing fits is left out. */
static void put_field(kap_buf_t *line, const kap_log_field_t *field)
{
    size_t start = line->size, room = LINE_BYTES - TAIL_BYTES;
    kap_buf_str(line, ",\"");
    kap_buf_json_text(line, kap_span_str(field->key));
    if (field->kind == KAP_LOG_NUMBER) {
        kap_buf_printf(line, "\":%lld", (long long)field->number);
    } else {
        kap_buf_str(line, "\":\"");
        size_t before = line->size;
        kap_span_t text = cut(field->text, room);
        kap_buf_json_text(line, text);
        while (line->size > room && text.size) { /* escapes take up to six bytes each */
            line->size = before;
            text = cut(text, text.size / 2);
            kap_buf_json_text(line, text);
        }
        kap_buf_u8(line, '"');
    }
    if (line->size > room)
        line->size = start;
}

/* Under the lock. Never blocks: what the descriptor does not take now is dropped and counted. */
static void put_line(kap_buf_t *line, uint32_t suppressed)
{
    if (suppressed)
        kap_buf_printf(line, ",\"suppressed\":%u", suppressed);
    if (state.dropped)
        kap_buf_printf(line, ",\"dropped\":%llu", (unsigned long long)state.dropped);
    kap_buf_str(line, "}\n");
    struct pollfd ready = {.fd = state.fd, .events = POLLOUT};
    /* POLLERR: nobody reads any more, and a write would raise SIGPIPE. */
    if (line->err != KAP_OK || poll(&ready, 1, 0) != 1 || ready.revents != POLLOUT ||
        write(state.fd, line->data, line->size) != (ssize_t)line->size)
        state.dropped++;
    else
        state.dropped = 0;
}

static void say_suppressed(slot_t *slot)
{
    kap_buf_t line = {0};
    put_head(&line, slot->level, slot->event);
    put_line(&line, slot->suppressed);
    kap_buf_fini(&line);
    slot->suppressed = 0;
}

static uint32_t hash_of(const char *event, kap_log_level_t level)
{
    uint32_t hash = 2166136261u ^ (uint32_t)level; /* FNV-1a */
    for (; *event; event++)
        hash = (hash ^ (uint8_t)*event) * 16777619u;
    return hash;
}

static slot_t *slot_of(kap_log_level_t level, const char *event, int64_t now)
{
    uint32_t hash = hash_of(event, level);
    slot_t *ways = &state.slots[hash % (SLOTS / WAYS) * WAYS], *slot = ways;
    for (int i = 0; i < WAYS; i++) {
        if (ways[i].hash == hash)
            return &ways[i];
        if (ways[i].window_at < slot->window_at)
            slot = &ways[i];
    }
    if (slot->suppressed)
        say_suppressed(slot);
    *slot = (slot_t){.hash = hash, .level = level, .window_at = now};
    snprintf(slot->event, sizeof slot->event, "%s", event);
    return slot;
}

/* Under the lock: the slot of this event when the line may be written, else NULL. */
static slot_t *admit(kap_log_level_t level, const char *event)
{
    int64_t now = kap_monotonic_ms();
    slot_t *slot = slot_of(level, event, now);
    if (now - slot->window_at >= WINDOW_MS) {
        slot->window_at = now;
        slot->written = 0;
    }
    if (slot->written >= KAP_LOG_BURST) {
        slot->suppressed++;
        return NULL;
    }
    slot->written++;
    return slot;
}

void kap_log_write(kap_log_level_t level, const char *event, ...)
{
    va_list fields;
    va_start(fields, event);
    pthread_mutex_lock(&state.lock);
    slot_t *slot = admit(level, event);
    if (slot) {
        kap_buf_t line = {0};
        put_head(&line, level, event);
        for (;;) {
            kap_log_field_t field = va_arg(fields, kap_log_field_t);
            if (!field.key)
                break;
            put_field(&line, &field);
        }
        put_line(&line, slot->suppressed);
        slot->suppressed = 0;
        kap_buf_fini(&line);
    }
    pthread_mutex_unlock(&state.lock);
    va_end(fields);
}

void kap_log_flush(void)
{
    pthread_mutex_lock(&state.lock);
    for (int i = 0; i < SLOTS; i++) {
        if (state.slots[i].suppressed)
            say_suppressed(&state.slots[i]);
    }
    if (state.dropped) {
        kap_buf_t line = {0};
        put_head(&line, KAP_LOG_WARN, "log_dropped");
        put_line(&line, 0);
        kap_buf_fini(&line);
    }
    pthread_mutex_unlock(&state.lock);
}
