/* SPDX-License-Identifier: MPL-2.0 */
/* A page as one HTML file: its style inside, pictures as SVG, no script, nothing from elsewhere.
 * Every text is escaped here, wherever it came from. */
#include <string.h>

#include "page.h"

enum { /* of pictures, in units of their viewBox */
       WIDE = 760,
       LETTER = 6,
       CELL_MAX = 88,
       CELL_HIGH = 32,
       BAR_MAX = 62,
       BARS_HIGH = 170,
       BARS_FOOT = 22,
       BARS_HEAD = 20,
       NAME_MAX = 190,
       SLANT_FOOT = 16
};
static const double SLANT_SINE = 0.53; /* of the 32 degrees that names of columns are turned by */

static void escaped(FILE *out, const char *text)
{
    for (; text && *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '&')
            fputs("&amp;", out);
        else if (c == '<')
            fputs("&lt;", out);
        else if (c == '>')
            fputs("&gt;", out);
        else if (c == '"')
            fputs("&quot;", out);
        else if (c == '\'')
            fputs("&#39;", out);
        else
            fputc(c < 0x20 || c == 0x7f ? ' ' : c, out);
    }
}

static void element(FILE *out, const char *tag, const char *class, const char *text)
{
    if (!text || !*text)
        return;
    fprintf(out, "<%s", tag);
    if (class)
        fprintf(out, " class=\"%s\"", class);
    fputc('>', out);
    escaped(out, text);
    fprintf(out, "</%s>\n", tag);
}

static int columns_of(const char *text)
{
    int n = 0;
    for (; text && *text; text++)
        n += (*text & 0xc0) != 0x80;
    return n;
}

static const char *tone_class(kap_page_tone_t tone)
{
    static const char *const names[] = {"", "good", "bad", "dim"};
    return names[tone];
}

static void put_tiles(const kap_page_block_t *block, FILE *out)
{
    fputs("<div class=\"tiles\">\n", out);
    for (int i = 0; i < block->used; i++) {
        const kap_page_cell_t *cell = &block->cells[i];
        fprintf(out, "<div class=\"tile %s\">\n", tone_class(cell->tone));
        element(out, "div", "label", cell->label);
        element(out, "div", "value", cell->text);
        element(out, "div", "detail", cell->detail);
        fputs("</div>\n", out);
    }
    fputs("</div>\n", out);
}

static void put_td(const kap_page_block_t *block, int column, const kap_page_cell_t *cell,
                   FILE *out)
{
    fprintf(out, "<td class=\"%s %s\">", block->right & (1U << column) ? "num" : "",
            tone_class(cell->tone));
    escaped(out, cell->text);
    if (cell->share >= 0 && cell->text && *cell->text)
        fprintf(out, "<span class=\"bar\"><i style=\"width:%.0f%%\"></i></span>",
                (cell->share > 1 ? 1 : cell->share) * 100);
    fputs("</td>", out);
}

static void put_table(const kap_page_block_t *block, FILE *out)
{
    fputs("<table>\n<thead><tr>", out);
    for (int i = 0; i < block->columns; i++) {
        fprintf(out, "<th scope=\"col\"%s>", block->right & (1U << i) ? " class=\"num\"" : "");
        escaped(out, block->titles[i]);
        fputs("</th>", out);
    }
    fputs("</tr></thead>\n<tbody>\n", out);
    for (int at = 0; at + block->columns <= block->used; at += block->columns) {
        const char *remark = block->cells[at].detail, *group = block->cells[at].label;
        if (remark || group) {
            fprintf(out, "<tr class=\"%s\"><td colspan=\"%d\">", remark ? "remark" : "group",
                    block->columns);
            escaped(out, remark ? remark : group);
            fputs("</td></tr>\n", out);
            continue;
        }
        fputs("<tr>", out);
        for (int i = 0; i < block->columns; i++)
            put_td(block, i, &block->cells[at + i], out);
        fputs("</tr>\n", out);
    }
    fputs("</tbody>\n</table>\n", out);
}

static void put_list(const kap_page_block_t *block, FILE *out)
{
    fputs("<ul>\n", out);
    for (int i = 0; i < block->used; i++)
        element(out, "li", tone_class(block->cells[i].tone), block->cells[i].text);
    fputs("</ul>\n", out);
}

/* --- pictures --- */

static void begin_picture(const kap_page_block_t *block, int high, FILE *out)
{
    fputs("<figure>\n", out);
    element(out, "figcaption", NULL, block->text);
    fprintf(out, "<svg class=\"picture\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", WIDE,
            high);
    escaped(out, block->text);
    fputs("\">\n", out);
}

static void put_label(FILE *out, double x, double y, const char *anchor, const char *more,
                      const char *text)
{
    fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" %s>", x, y, anchor, more);
    escaped(out, text);
    fputs("</text>\n", out);
}

/* From paper to deep, by how much. Dark cells have light letters. */
static void put_square(double x, double y, double wide, const kap_page_cell_t *cell, FILE *out)
{
    static const int light[] = {243, 240, 231}, deep[] = {15, 76, 87};
    double share = cell->share < 0 ? 0 : cell->share > 1 ? 1 : cell->share;
    int rgb[3];
    for (int i = 0; i < 3; i++)
        rgb[i] = (int)(light[i] + (deep[i] - light[i]) * share);
    bool empty = !cell->text || !*cell->text;
    fprintf(out,
            "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%d\" rx=\"2\" "
            "fill=\"rgb(%d,%d,%d)\"%s/>\n",
            x + 1, y + 1, wide - 2, CELL_HIGH - 2, rgb[0], rgb[1], rgb[2],
            empty ? " fill-opacity=\".35\"" : "");
    if (!empty)
        put_label(out, x + wide / 2, y + CELL_HIGH / 2.0 + 4, "middle",
                  share > 0.5 ? "style=\"fill:#fff\"" : "", cell->text);
}

static void put_matrix(const kap_page_block_t *block, FILE *out)
{
    int n = block->columns, name = 0;
    for (int i = 0; i < n; i++) {
        int wide = columns_of(block->titles[i]) * LETTER + 14;
        name = wide > name ? wide : name;
    }
    name = name > NAME_MAX ? NAME_MAX : name;
    int head = (int)(name * SLANT_SINE) + SLANT_FOOT;
    double cell = n > 0 ? (double)(WIDE - 2 * name) / n : 0;
    cell = cell > CELL_MAX ? CELL_MAX : cell;
    begin_picture(block, head + n * CELL_HIGH + 4, out);
    for (int i = 0; i < n; i++) {
        char turn[96];
        double x = name + cell * i + cell / 2 - 2, y = head - SLANT_FOOT / 2;
        snprintf(turn, sizeof turn, "class=\"soft\" transform=\"rotate(-32 %.1f %.1f)\"", x, y);
        put_label(out, x, y, "start", turn, block->titles[i]);
        put_label(out, name - 10, head + i * CELL_HIGH + CELL_HIGH / 2.0 + 4, "end", "",
                  block->titles[i]);
    }
    for (int at = 0; at < block->used && at < n * n; at++) {
        double x = name + cell * (at % n), y = head + CELL_HIGH * (at / n);
        if (at / n != at % n)
            put_square(x, y, cell, &block->cells[at], out);
    }
    fputs("</svg>\n</figure>\n", out);
}

static void put_bars(const kap_page_block_t *block, FILE *out)
{
    int n = block->used, room = BARS_HIGH - BARS_HEAD - BARS_FOOT;
    double step = n > 0 ? (double)WIDE / n : WIDE, wide = step * 0.62;
    wide = wide > BAR_MAX ? BAR_MAX : wide;
    begin_picture(block, BARS_HIGH, out);
    for (int i = 0; i < n; i++) {
        const kap_page_cell_t *cell = &block->cells[i];
        double high = (cell->share < 0 ? 0 : cell->share) * room, x = step * i + step / 2;
        fprintf(out,
                "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"1.5\" "
                "fill=\"%s\"/>\n",
                x - wide / 2, BARS_HEAD + room - high, wide, high,
                cell->tone == KAP_PAGE_DIM ? "#b9c6c4" : "#0f4c57");
        put_label(out, x, BARS_HEAD + room - high - 5, "middle", "", cell->text);
        put_label(out, x, BARS_HIGH - 6, "middle", "class=\"soft\"", cell->label);
    }
    fprintf(out, "<line x1=\"0\" x2=\"%d\" y1=\"%d\" y2=\"%d\" stroke=\"#1d2a2e\"/>\n", WIDE,
            BARS_HEAD + room, BARS_HEAD + room);
    fputs("</svg>\n</figure>\n", out);
}

/* --- the page --- */

static void put_block(const kap_page_block_t *block, FILE *out)
{
    switch (block->kind) {
    case KAP_PAGE_SECTION:
        element(out, "h2", NULL, block->text);
        break;
    case KAP_PAGE_HEADING:
        element(out, "h3", NULL, block->text);
        break;
    case KAP_PAGE_TEXT:
        element(out, "p", NULL, block->text);
        break;
    case KAP_PAGE_NOTE:
        element(out, "p", "note", block->text);
        break;
    case KAP_PAGE_TILES:
        put_tiles(block, out);
        break;
    case KAP_PAGE_TABLE:
        put_table(block, out);
        break;
    case KAP_PAGE_LIST:
        put_list(block, out);
        break;
    case KAP_PAGE_MATRIX:
        put_matrix(block, out);
        break;
    case KAP_PAGE_BARS:
        put_bars(block, out);
        break;
    }
}

void kap_page_html(const kap_page_t *page, FILE *out)
{
    static const char *const style[] = {
#define KAP_STYLE(line) line,
#include "pagestyle.def"
#undef KAP_STYLE
    };
    fprintf(out, "<!DOCTYPE html>\n<html lang=\"%s\">\n<head>\n<meta charset=\"utf-8\">\n",
            page->lang);
    fputs("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n", out);
    fputs("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
          "'unsafe-inline'\">\n<title>",
          out);
    escaped(out, page->title);
    fputs(", ", out);
    escaped(out, page->subtitle);
    fputs("</title>\n<style>\n", out);
    for (size_t i = 0; i < sizeof style / sizeof *style; i++)
        fprintf(out, "%s\n", style[i]);
    fputs("</style>\n</head>\n<body>\n<header>\n", out);
    element(out, "div", "kicker", page->kicker);
    element(out, "h1", NULL, page->title);
    element(out, "div", "subtitle", page->subtitle);
    fputs("</header>\n<main>\n", out);
    for (const kap_page_block_t *block = page->first; block; block = block->next)
        put_block(block, out);
    fputs("</main>\n", out);
    element(out, "footer", NULL, page->foot);
    fputs("</body>\n</html>\n", out);
}
