/* SPDX-License-Identifier: MPL-2.0 */
#include "states.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "err.h"

enum { SECTOR = 512, SHOWN = 5, WHY = 4096 };

typedef struct {
    char op;
    size_t offset, size;
    const uint8_t *bytes; /* of the record */
} op_t;

typedef struct {
    uint8_t *bytes;
    size_t size, cap;
} image_t;

struct states {
    uint8_t *record;
    op_t *ops;
    size_t op_count, promise_count;
    char **promises;
    char folder[64], file[96];
    uint64_t dice;
    char *why; /* shared with the process that judges */
};

static void ended(const char *what)
{
    perror(what);
    exit(2);
}

static void *room(void *old, size_t bytes)
{
    void *p = realloc(old, bytes ? bytes : 1);
    if (!p)
        ended("memory");
    return p;
}

/* SplitMix64 (Steele, Lea, Flood 2014): the same states for the same seed everywhere. */
static uint64_t roll(states_t *s, uint64_t below)
{
    uint64_t z = s->dice += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (z ^ z >> 31) % below;
}

/* --- the record --- */

static size_t read_record(states_t *s, const char *name)
{
    struct stat st;
    int fd = open(name, O_RDONLY);
    if (fd < 0 || fstat(fd, &st) != 0)
        ended(name);
    s->record = room(NULL, (size_t)st.st_size);
    size_t size = 0;
    for (ssize_t n; size < (size_t)st.st_size; size += (size_t)n)
        if ((n = read(fd, s->record + size, (size_t)st.st_size - size)) <= 0)
            ended(name);
    close(fd);
    return size;
}

static void take_op(states_t *s, const op_t *op)
{
    if (op->op == 'm') {
        s->promises = room(s->promises, (s->promise_count + 1) * sizeof *s->promises);
        char *text = room(NULL, op->size + 1);
        memcpy(text, op->bytes, op->size);
        text[op->size] = '\0';
        s->promises[s->promise_count++] = text;
    }
    if ((s->op_count & (s->op_count - 1)) == 0)
        s->ops = room(s->ops, (s->op_count ? 2 * s->op_count : 1) * sizeof *s->ops);
    s->ops[s->op_count++] = *op;
}

states_t *states_open(const char *record)
{
    states_t *s = calloc(1, sizeof *s);
    int64_t head[3];
    if (!s)
        ended("memory");
    size_t size = read_record(s, record);
    s->why = mmap(NULL, WHY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (s->why == MAP_FAILED)
        ended("memory");
    for (size_t at = 0; at + sizeof head <= size;) {
        memcpy(head, s->record + at, sizeof head);
        at += sizeof head;
        op_t op = {(char)head[0], (size_t)head[1], (size_t)head[2], s->record + at};
        if (op.size > size - at)
            break; /* the daemon was killed while it noted this */
        at += op.size;
        take_op(s, &op);
    }
    snprintf(s->folder, sizeof s->folder, "/dev/shm/kapula-states-XXXXXX");
    if (!mkdtemp(s->folder))
        ended(s->folder);
    snprintf(s->file, sizeof s->file, "%s/data.mdb", s->folder);
    return s;
}

static void remove_files(const states_t *s)
{
    static const char *const names[] = {"data.mdb", "lock.mdb", "owner.lock"};
    char name[96];
    for (size_t i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "%s/%s", s->folder, names[i]);
        unlink(name);
    }
}

void states_close(states_t **states)
{
    states_t *s = *states;
    *states = NULL;
    remove_files(s);
    rmdir(s->folder);
    munmap(s->why, WHY);
    for (size_t i = 0; i < s->promise_count; i++)
        free(s->promises[i]);
    free(s->promises);
    free(s->ops);
    free(s->record);
    free(s);
}

const char *states_promise(const states_t *s, size_t i)
{
    return s->promises[i];
}

size_t states_promises(const states_t *s)
{
    return s->promise_count;
}

/* --- images --- */

static void apply(image_t *image, const op_t *op, size_t from, size_t to)
{
    size_t end = op->offset + to;
    if (end > image->cap) {
        image->cap = end * 2;
        image->bytes = room(image->bytes, image->cap);
    }
    if (end > image->size) {
        memset(image->bytes + image->size, 0, end - image->size);
        image->size = end;
    }
    memcpy(image->bytes + op->offset + from, op->bytes + from, to - from);
}

/* A store has its name from op `named` on; before it there is a folder without one. */
static void write_image(const states_t *s, const image_t *image, bool named)
{
    remove_files(s);
    if (!named)
        return;
    int fd = open(s->file, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (fd < 0)
        ended(s->file);
    for (size_t done = 0; done < image->size;) {
        ssize_t n = write(fd, image->bytes + done, image->size - done);
        if (n <= 0)
            ended(s->file);
        done += (size_t)n;
    }
    close(fd);
}

static void whole_image(const states_t *s, image_t *image)
{
    for (size_t i = 0; i < s->op_count; i++)
        if (s->ops[i].op == 'w' || s->ops[i].op == 'd')
            apply(image, &s->ops[i], 0, s->ops[i].size);
}

const char *states_end(states_t *s)
{
    image_t image = {0};
    whole_image(s, &image);
    write_image(s, &image, true);
    free(image.bytes);
    return s->folder;
}

/* --- a process of its own for what may die --- */

typedef struct {
    states_judge_t *judge; /* or */
    states_reader_t *reader;
    void *arg;
    size_t promises;
    uint64_t number;
} task_t;

static int run_task(const states_t *s, const task_t *task)
{
    kap_buf_t why;
    if (task->reader)
        return task->reader(task->arg, s->folder);
    kap_buf_init(&why);
    task->judge(task->arg, s->folder, task->promises, task->number, &why);
    snprintf(s->why, WHY, "%s", kap_buf_cstr(&why));
    return why.size ? 1 : 0;
}

static int run_apart(const states_t *s, const task_t *task)
{
    int status;
    fflush(stdout);
    pid_t child = fork();
    if (child < 0)
        ended("fork");
    if (child == 0) {
        int null = open("/dev/null", O_WRONLY);
        dup2(null, 2);
        alarm(60);
        _exit(run_task(s, task));
    }
    if (waitpid(child, &status, 0) != child)
        ended("waitpid");
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* --- crash states --- */

/* Some of an unsynced write: nothing, all, or a run of its sectors. */
static void maybe_apply(states_t *s, image_t *image, const op_t *op, unsigned percent)
{
    size_t sectors = (op->size + SECTOR - 1) / SECTOR;
    if (roll(s, 100) >= percent)
        return;
    if (sectors < 2 || roll(s, 4) != 0) {
        apply(image, op, 0, op->size);
        return;
    }
    size_t cut = SECTOR * roll(s, sectors);
    if (roll(s, 2))
        apply(image, op, 0, cut);
    else
        apply(image, op, cut, op->size);
}

static void build(states_t *s, const image_t *durable, const size_t *pending, size_t count,
                  image_t *image)
{
    static const unsigned chances[] = {0, 100, 50, 50, 85, 15};
    unsigned percent = chances[roll(s, sizeof chances / sizeof *chances)];
    if (durable->size > image->cap) {
        image->cap = durable->size * 2;
        image->bytes = room(image->bytes, image->cap);
    }
    image->size = durable->size;
    if (durable->size)
        memcpy(image->bytes, durable->bytes, durable->size);
    for (size_t i = 0; i < count; i++)
        maybe_apply(s, image, &s->ops[pending[i]], percent);
}

typedef struct {
    uint64_t states, wrong;
} tally_t;

/* In a process of its own: LMDB may die of what it reads. */
static void judge_one(states_t *s, size_t at, size_t promises, states_judge_t *judge, void *arg,
                      tally_t *tally)
{
    task_t task = {judge, NULL, arg, promises, tally->states};
    memset(s->why, 0, WHY);
    int code = run_apart(s, &task);
    tally->states++;
    tally->wrong += code != 0;
    if (code != 0 && tally->wrong <= SHOWN)
        printf("  at write %zu of %zu, %zu promises: %s\n", at, s->op_count, promises,
               s->why[0] ? s->why : "its reader died");
}

uint64_t states_explore(states_t *s, uint64_t seed, uint64_t count, states_judge_t *judge,
                        void *arg)
{
    image_t durable = {0}, image = {0};
    size_t *pending = room(NULL, s->op_count * sizeof *pending), waiting = 0, promises = 0;
    tally_t tally = {0};
    bool named = false;
    s->dice = seed;
    for (size_t i = 0; i < s->op_count; i++) {
        const op_t *op = &s->ops[i];
        promises += op->op == 'm';
        named |= op->op == 'n';
        if (op->op == 'w' || op->op == 'd')
            pending[waiting++] = i;
        for (uint64_t until = count * (i + 1) / s->op_count; tally.states < until;) {
            build(s, &durable, pending, waiting, &image);
            write_image(s, &image, named);
            judge_one(s, i, promises, judge, arg, &tally);
        }
        if (op->op == 'd') { /* this one alone reached the disk for sure */
            apply(&durable, op, 0, op->size);
            waiting--;
        } else if (op->op == 's') {
            for (size_t n = 0; n < waiting; n++)
                apply(&durable, &s->ops[pending[n]], 0, s->ops[pending[n]].size);
            waiting = 0;
        }
    }
    printf("states %llu writes %zu promises %zu wrong %llu seed %llu\n",
           (unsigned long long)tally.states, s->op_count, promises, (unsigned long long)tally.wrong,
           (unsigned long long)seed);
    free(pending);
    free(durable.bytes);
    free(image.bytes);
    return tally.wrong;
}

/* --- bit rot --- */

void states_rot(states_t *s, uint64_t seed, uint64_t count, states_reader_t *reader, void *arg,
                uint64_t *wrong, uint64_t *absent)
{
    uint64_t unharmed = 0, noticed = 0, died = 0;
    image_t image = {0};
    whole_image(s, &image);
    s->dice = seed;
    *wrong = *absent = 0;
    for (uint64_t i = 0; i < count; i++) {
        size_t at = roll(s, image.size);
        uint8_t bit = (uint8_t)(1u << roll(s, 8));
        image.bytes[at] ^= bit;
        write_image(s, &image, true);
        task_t task = {.reader = reader, .arg = arg};
        int code = run_apart(s, &task);
        image.bytes[at] ^= bit;
        unharmed += code == STATES_UNHARMED;
        noticed += code == STATES_NOTICED;
        *wrong += code == STATES_WRONG;
        *absent += code == STATES_ABSENT;
        died += code != STATES_UNHARMED && code != STATES_NOTICED && code != STATES_WRONG &&
                code != STATES_ABSENT;
        if (code == STATES_WRONG || code == STATES_ABSENT)
            printf("  byte %zu bit %u: %s\n", at, bit, code == STATES_WRONG ? "wrong" : "absent");
    }
    printf("flips %llu unharmed %llu noticed %llu died %llu absent %llu wrong %llu seed %llu\n",
           (unsigned long long)count, (unsigned long long)unharmed, (unsigned long long)noticed,
           (unsigned long long)died, (unsigned long long)*absent, (unsigned long long)*wrong,
           (unsigned long long)seed);
    free(image.bytes);
}
