/* SPDX-License-Identifier: MPL-2.0 */
#include "progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"

#define BAR_COLUMNS 40
#define REDRAW_MS   100

void kap_progress_begin(kap_progress_t *p, const char *label, uint64_t total)
{
    *p = (kap_progress_t){.label = label, .total = total, .on = total > 0 && isatty(2) == 1};
}

void kap_progress_text(const kap_progress_t *p, uint64_t done, char *out, int size)
{
    char bar[BAR_COLUMNS + 1];
    double part = p->total && done < p->total ? (double)done / (double)p->total : 1.0;

    memset(bar, ' ', BAR_COLUMNS);
    memset(bar, '#', (size_t)(part * BAR_COLUMNS));
    bar[BAR_COLUMNS] = '\0';
    snprintf(out, (size_t)size, "%-10s [%s] %3d %%", p->label, bar, (int)(part * 100));
}

void kap_progress_update(kap_progress_t *p, uint64_t done)
{
    char text[128];

    if (!p->on)
        return;
    int64_t now = kap_monotonic_ms();
    if (p->drawn && now - p->drawn_at < REDRAW_MS)
        return;
    kap_progress_text(p, done, text, sizeof text);
    fprintf(stderr, "\r%s", text);
    fflush(stderr);
    p->drawn = true;
    p->drawn_at = now;
}

void kap_progress_end(kap_progress_t *p)
{
    if (p->drawn)
        fprintf(stderr, "\r%*s\r", 79, "");
    p->drawn = false;
}
