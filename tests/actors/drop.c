/* SPDX-License-Identifier: MPL-2.0 */
#include "drop.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "err.h"

const char *drop_path(const rig_t *rig, const char *name)
{
    static char paths[4][400];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", rig->dir, name);
    return path;
}

void drop_file(const rig_t *rig, const char *name, const char *text)
{
    FILE *file = fopen(drop_path(rig, "dropped.tmp"), "w");
    cr_assert(file);
    fputs(text, file);
    fclose(file);
    cr_assert_eq(rename(drop_path(rig, "dropped.tmp"), drop_path(rig, name)), 0, "%s", name);
}

bool drop_is_there(const rig_t *rig, const char *name)
{
    return access(drop_path(rig, name), F_OK) == 0;
}

static bool is_gone(rig_t *rig, void *name)
{
    return !drop_is_there(rig, name);
}

static bool is_there(rig_t *rig, void *name)
{
    return drop_is_there(rig, name);
}

void drop_until_gone(rig_t *rig, const char *name)
{
    rig_until(rig, is_gone, (void *)name, name);
}

void drop_until_there(rig_t *rig, const char *name)
{
    rig_until(rig, is_there, (void *)name, name);
}

char *drop_text(const rig_t *rig, const char *name)
{
    char *text = calloc(1, 1 << 20);
    FILE *file = fopen(drop_path(rig, name), "r");
    if (file) {
        text[fread(text, 1, (1 << 20) - 1, file)] = '\0';
        fclose(file);
    }
    return text;
}

size_t drop_count(const rig_t *rig, const char *folder)
{
    size_t n = 0;
    DIR *dir = opendir(drop_path(rig, folder));
    cr_assert(dir, "%s", folder);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n - 2;
}

uint64_t drop_waiting(kap_node_t *node)
{
    uint64_t waiting = 0;
    int64_t oldest_ms;
    cr_assert_eq(kap_node_waiting(node, &waiting, &oldest_ms), KAP_OK);
    return waiting;
}
