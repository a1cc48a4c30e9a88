/* SPDX-License-Identifier: MPL-2.0 */
#include "page.h"

#include <string.h>

void kap_page_init(kap_page_t *page, kap_arena_t *arena, const char *lang)
{
    *page = (kap_page_t){.arena = arena, .lang = lang, .kicker = "", .title = "", .subtitle = ""};
}

static const char *copy(kap_page_t *page, const char *text)
{
    const char *kept = text ? kap_arena_str(page->arena, kap_span_str(text)) : NULL;
    page->err |= text && !kept;
    return kept;
}

static kap_page_block_t *add_block(kap_page_t *page, kap_page_kind_t kind, const char *text)
{
    kap_page_block_t *block = kap_arena_calloc(page->arena, 1, sizeof *block);
    if (!block) {
        page->err = true;
        return NULL;
    }
    block->kind = kind;
    block->text = copy(page, text);
    if (page->last)
        page->last->next = block;
    else
        page->first = block;
    page->last = block;
    return block;
}

void kap_page_say(kap_page_t *page, kap_page_kind_t kind, const char *text)
{
    if (text && *text)
        add_block(page, kind, text);
}

void kap_page_cell(kap_page_t *page, const kap_page_cell_t *cell)
{
    kap_page_block_t *block = page->last;
    if (!block)
        return;
    if (block->used == block->cap) {
        int cap = block->cap ? block->cap * 2 : 16;
        kap_page_cell_t *cells = kap_arena_calloc(page->arena, (size_t)cap, sizeof *cells);
        if (!cells) {
            page->err = true;
            return;
        }
        if (block->used)
            memcpy(cells, block->cells, (size_t)block->used * sizeof *cells);
        block->cells = cells;
        block->cap = cap;
    }
    block->cells[block->used++] =
        (kap_page_cell_t){.text = copy(page, cell->text ? cell->text : ""),
                          .label = copy(page, cell->label),
                          .detail = copy(page, cell->detail),
                          .share = cell->share,
                          .tone = cell->tone};
}

void kap_page_tile(kap_page_t *page, const char *label, const char *value, const char *detail,
                   kap_page_tone_t tone)
{
    const kap_page_cell_t cell = {value, label, detail, -1, tone};
    if (!page->last || page->last->kind != KAP_PAGE_TILES)
        add_block(page, KAP_PAGE_TILES, NULL);
    kap_page_cell(page, &cell);
}

void kap_page_item(kap_page_t *page, const char *text, kap_page_tone_t tone)
{
    const kap_page_cell_t cell = {text, NULL, NULL, -1, tone};
    if (!page->last || page->last->kind != KAP_PAGE_LIST)
        add_block(page, KAP_PAGE_LIST, NULL);
    kap_page_cell(page, &cell);
}

static void set_titles(kap_page_t *page, kap_page_block_t *block, int columns,
                       const char *const titles[])
{
    block->columns = columns < KAP_PAGE_COLUMNS ? columns : KAP_PAGE_COLUMNS;
    for (int i = 0; i < block->columns; i++)
        block->titles[i] = copy(page, titles[i]);
}

void kap_page_table(kap_page_t *page, int columns, const char *const titles[], uint32_t right)
{
    kap_page_block_t *block = add_block(page, KAP_PAGE_TABLE, NULL);
    if (block) {
        block->right = right;
        set_titles(page, block, columns, titles);
    }
}

void kap_page_row(kap_page_t *page, const kap_page_cell_t cells[])
{
    for (int i = 0; page->last && i < page->last->columns; i++)
        kap_page_cell(page, &cells[i]);
}

void kap_page_group(kap_page_t *page, const char *text)
{
    kap_page_cell_t cells[KAP_PAGE_COLUMNS] = {{.label = text, .share = -1}};
    kap_page_row(page, cells);
}

void kap_page_remark(kap_page_t *page, const char *text)
{
    kap_page_cell_t cells[KAP_PAGE_COLUMNS] = {{.detail = text, .share = -1}};
    kap_page_row(page, cells);
}

void kap_page_matrix(kap_page_t *page, const char *text, int names, const char *const titles[])
{
    kap_page_block_t *block = add_block(page, KAP_PAGE_MATRIX, text);
    if (block)
        set_titles(page, block, names, titles);
}

void kap_page_bars(kap_page_t *page, const char *text)
{
    add_block(page, KAP_PAGE_BARS, text);
}
