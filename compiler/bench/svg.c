#include "svg.h"

Svg svg_new(Arena *a, double width) {
    return (Svg){a, text_new(a), width};
}

void svg_rect(Svg *s, double x, double y, double w, double h, const char *fill) {
    if (!(w > 0)) return;
    text_add(&s->body, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\"/>\n", x, y, w,
             h, fill);
}

void svg_line(Svg *s, double x1, double y1, double x2, double y2, const char *stroke, double width) {
    text_add(&s->body,
             "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" stroke-width=\"%.1f\"/>\n",
             x1, y1, x2, y2, stroke, width);
}

static void add_escaped(Text *t, const char *s) {
    for (; *s; s++) {
        const char *name = *s == '<' ? "&lt;" : *s == '>' ? "&gt;" : *s == '&' ? "&amp;" : NULL;
        if (name)
            text_add(t, "%s", name);
        else if ((unsigned char)*s >= ' ')
            text_add_n(t, s, 1);
    }
}

void svg_text(Svg *s, double x, double y, SvgAnchor anchor, double size, bool bold, const char *text) {
    static const char *const anchors[] = {"start", "middle", "end"};
    text_add(&s->body, "<text x=\"%.1f\" y=\"%.1f\" font-size=\"%.0f\" text-anchor=\"%s\"%s>", x, y, size,
             anchors[anchor], bold ? " font-weight=\"bold\"" : "");
    add_escaped(&s->body, text);
    text_add(&s->body, "</text>\n");
}

char *svg_finish(Svg *s, double height) {
    Text t = text_new(s->a);
    text_add(
        &t,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\" "
        "font-family=\"DejaVu Sans, Helvetica, Arial, sans-serif\">\n",
        s->width, height, s->width, height);
    text_add(&t, "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n");
    text_add_n(&t, s->body.s, s->body.n);
    text_add(&t, "</svg>\n");
    return t.s;
}
