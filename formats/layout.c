/* See layout.h; panels are in panel.c. */
#include "layout.h"

#include <stdlib.h>
#include <string.h>

#include "pack_fft.h"
#include "pack_move.h"

const char *pack_kind_name(PackKind kind) {
    static const char *const names[] = {"rows",       "transposed", "panels", "panels of columns",
                                        "f32 panels", "table",      "fft"};
    return names[kind];
}

/* Rows are the outputs, or columns are. */
static bool by_rows(const Layout *l) {
    return l->kind != PACK_PANELS_IO;
}

static int64_t outputs_of(const Layout *l) {
    return by_rows(l) ? l->rows : l->cols;
}

static int64_t inputs_of(const Layout *l) {
    return by_rows(l) ? l->cols : l->rows;
}

static int64_t panels_of_matrix(const Layout *l) {
    return (outputs_of(l) + l->panel - 1) / l->panel;
}

int64_t layout_bytes(const Layout *l) {
    switch (l->kind) {
    case PACK_ROWS:
    case PACK_TRANSPOSED:
    case PACK_TABLE:
        return l->lead * l->rows * l->cols * (int64_t)dtype_size(l->format->dt);
    case PACK_PANELS:
    case PACK_PANELS_F32:
    case PACK_PANELS_IO:
        return l->lead * panels_of_matrix(l) * panel_bytes(l->format, inputs_of(l), l->panel);
    case PACK_FFT:
        return pack_fft_bytes(l->rows, l->cols, l->lanes);
    }
    return 0;
}

int64_t layout_slices(const Layout *l) {
    switch (l->kind) {
    case PACK_ROWS:
    case PACK_TABLE:
        return l->lead * l->rows;
    case PACK_TRANSPOSED:
        return l->lead;
    case PACK_PANELS:
    case PACK_PANELS_F32:
    case PACK_PANELS_IO:
        return l->lead * panels_of_matrix(l);
    case PACK_FFT:
        return 1;
    }
    return 0;
}

/* Panel number `panel`, counted over all matrices; *count: the outputs in it. */
static PanelSource panel_source(const Layout *l, const LayoutSource *s, int64_t panel, int64_t *count) {
    int64_t each = panels_of_matrix(l), from = panel % each * l->panel, left = outputs_of(l) - from;
    *count = left < l->panel ? left : l->panel;
    PanelSource v = {
        .dt = s->dt, .blocks = s->blocks, .data = s->data, .stride = l->cols, .by_rows = by_rows(l)};
    if (s->importance) v.importance = s->importance + panel / each * inputs_of(l);
    v.start = panel / each * l->rows * l->cols + (v.by_rows ? from * l->cols : from);
    return v;
}

static void write_panels(const Layout *l, const LayoutSource *s, int64_t first, int64_t n, char *out) {
    int64_t bytes = panel_bytes(l->format, inputs_of(l), l->panel), count;
    for (int64_t i = first; i < first + n; i++, out += bytes) {
        PanelSource v = panel_source(l, s, i, &count);
        panel_write(&v, l->format, count, inputs_of(l), l->panel, out);
    }
}

bool layout_fits(const Layout *l, const LayoutSource *s, int64_t first, int64_t n) {
    bool fits = true;
    for (int64_t i = first, count; i < first + n && fits; i++) {
        PanelSource v = panel_source(l, s, i, &count);
        fits = l->format->panels->fits(&v, count, inputs_of(l), l->panel);
    }
    return fits;
}

static void write_fft(const Layout *l, const LayoutSource *s, void *out) {
    int64_t n = l->rows * l->cols;
    double *h = xmalloc(sizeof *h * (size_t)n);
    dtype_convert(DT_F64, h, s->dt, s->data, n);
    pack_fft_write(h, l->rows, l->cols, l->lanes, out);
    free(h);
}

void layout_write(const Layout *l, const LayoutSource *s, int64_t first, int64_t n, void *out) {
    int64_t slices = layout_slices(l), each = l->rows * l->cols;
    if (!slices) return;
    memset(out, 0, (size_t)(layout_bytes(l) / slices * n));
    switch (l->kind) {
    case PACK_ROWS:
    case PACK_TABLE:
        dtype_convert(l->format->dt, out, s->dt, pack_element(s->dt, s->data, first * l->cols), n * l->cols);
        break;
    case PACK_TRANSPOSED:
        for (int64_t i = 0; i < n; i++) {
            PackMove v = {s->dt, l->format->dt, s->data, (first + i) * each, l->cols, l->rows, 1};
            pack_move_transposed(&v, l->rows, l->cols,
                                 (char *)out + i * each * (int64_t)dtype_size(l->format->dt));
        }
        break;
    case PACK_PANELS:
    case PACK_PANELS_F32:
    case PACK_PANELS_IO:
        write_panels(l, s, first, n, out);
        break;
    case PACK_FFT:
        write_fft(l, s, out);
        break;
    }
}
