/* Writing SVG: rectangles, lines and text, from top to bottom. */
#ifndef BTC_BENCH_SVG_H
#define BTC_BENCH_SVG_H

#include <stdbool.h>

#include "base/arena.h"

typedef struct Svg {
    Arena *a;
    Text body;
    double width;
} Svg;

typedef enum SvgAnchor { SVG_LEFT, SVG_MIDDLE, SVG_RIGHT } SvgAnchor;

Svg svg_new(Arena *a, double width);
/* fill: a CSS colour. Nothing is drawn when the width is not positive. */
void svg_rect(Svg *s, double x, double y, double w, double h, const char *fill);
void svg_line(Svg *s, double x1, double y1, double x2, double y2, const char *stroke, double width);
/* y: the baseline; size in pixels; bold: of headings. Any characters. */
void svg_text(Svg *s, double x, double y, SvgAnchor anchor, double size, bool bold, const char *text);
/* The whole document, that high. */
char *svg_finish(Svg *s, double height);

#endif
