/* See panel.h. */
#include "panel.h"

#include <string.h>

#include "pack_move.h"

int panel_group(const NumberFormat *f) {
    return f->block ? f->block : panel_part(f);
}

int panel_part(const NumberFormat *f) {
    return f->block ? PANEL_READ : f->panels ? f->panels->group : f->dt == DT_BF16 ? 2 : 1;
}

/* ---- sizes ---- */

static int64_t factor_rows(const NumberFormat *f) {
    int64_t factors = f->block && f->factor_bits ? f->block / f->sub * (f->minimum ? 2 : 1) : 0;
    return (factors * f->factor_bits + 7) / 8;
}

static int64_t scales_before_factors(const NumberFormat *f, int64_t width) {
    return width * (int64_t)format_scale_bytes(f->scale) * (f->minimum ? 2 : 1);
}

int64_t panel_scales_bytes(const NumberFormat *f, int64_t width) {
    return f->block ? scales_before_factors(f, width) + width * factor_rows(f) : 0;
}

int64_t panel_part_bytes(const NumberFormat *f, int64_t width) {
    if (f->block) return width * f->bits * PANEL_READ / 8;
    if (f->panels) return f->panels->group_bytes(width);
    return width * panel_part(f) * (int64_t)dtype_size(f->dt);
}

int64_t panel_group_bytes(const NumberFormat *f, int64_t width) {
    return panel_scales_bytes(f, width) + panel_group(f) / panel_part(f) * panel_part_bytes(f, width);
}

int64_t panel_head(const NumberFormat *f, int64_t width) {
    return f->panels ? f->panels->head(width) : 0;
}

int64_t panel_tail(const NumberFormat *f, int64_t k, int64_t width) {
    return f->panels ? f->panels->tail(k, width) : 0;
}

int64_t panel_bytes(const NumberFormat *f, int64_t k, int64_t width) {
    int64_t part = panel_part(f), group = panel_group(f), parts = (k + part - 1) / part;
    int64_t groups =
        (k + group - 1) / group * panel_scales_bytes(f, width) + parts * panel_part_bytes(f, width);
    return panel_head(f, width) + groups + panel_tail(f, k, width);
}

/* ---- blocks ---- */

FactorPlace panel_factor(const NumberFormat *f, int i, bool minimum, int64_t width) {
    int n = f->minimum ? 2 * i + minimum : i, each = 8 / f->factor_bits;
    return (FactorPlace){scales_before_factors(f, width) + n / each * width, n % each * f->factor_bits};
}

int panel_planes(const NumberFormat *f, Plane out[3]) {
    int n = 0, done = 0;
    for (int bits = 8; bits; bits /= 2) {
        if (!(f->bits & bits)) continue;
        out[n++] = (Plane){bits, done, done};
        done += bits;
    }
    return n;
}

/* The codes of one output's part into the bytes of its lane. */
static void write_codes(const NumberFormat *f, const uint8_t *codes, int64_t lane, int64_t width,
                        uint8_t *out) {
    Plane planes[3];
    for (int p = 0, n = panel_planes(f, planes); p < n; p++)
        for (int j = 0; j < PANEL_READ; j++) {
            int g = j / 4, bits = planes[p].bits, some = codes[j] >> planes[p].first & ((1 << bits) - 1);
            int64_t row = planes[p].row + g % bits;
            out[(row * width + lane) * 4 + j % 4] |= (uint8_t)(some << g / bits * bits);
        }
}

/* One output's block of n inputs. */
static void write_block(const NumberFormat *f, const FormatBlock *b, int n, int64_t lane, int64_t width,
                        uint8_t *out) {
    int64_t scale = (int64_t)format_scale_bytes(f->scale);
    uint8_t *parts = out + panel_scales_bytes(f, width);
    format_scale_store(f->scale, out + scale * lane, b->scale);
    if (f->minimum) format_scale_store(f->scale, out + scale * (width + lane), b->minimum);
    for (int i = 0; i < f->block / f->sub && f->factor_bits; i++)
        for (int m = 0; m < (f->minimum ? 2 : 1); m++) {
            FactorPlace at = panel_factor(f, i, m, width);
            int stored = (m ? b->minimum_factor[i] : b->factor[i]) + f->factor_zero;
            out[at.row + lane] |= (uint8_t)(stored << at.bit);
        }
    for (int p = 0; p * PANEL_READ < n; p++)
        write_codes(f, b->code + p * PANEL_READ, lane, width, parts + p * panel_part_bytes(f, width));
}

/* Inputs [i, i + n) of output c. */
static void read_inputs(const PanelSource *s, int64_t c, int64_t i, int64_t n, float *x) {
    int64_t row = s->by_rows ? s->start + c * s->stride + i : s->start + i * s->stride + c;
    if (s->by_rows) {
        dtype_convert(DT_F32, x, s->dt, pack_element(s->dt, s->data, row), n);
        return;
    }
    for (int64_t j = 0; j < n; j++) x[j] = (float)dtype_load(s->dt, s->data, row + j * s->stride);
}

/* The block of output c that begins with input i: as it is, or quantized. */
static void find_block(const PanelSource *s, const NumberFormat *f, int64_t c, int64_t i, int n,
                       FormatBlock *out) {
    float x[FORMAT_BLOCK_MOST] = {0};
    if (s->blocks) {
        int64_t block = (s->start + c * s->stride + i) / f->block;
        format_read(f, (const char *)s->data + block * (int64_t)f->bytes, out);
        return;
    }
    read_inputs(s, c, i, n, x);
    f->quantize(f, x, n, s->importance ? s->importance + i : NULL, out);
}

static void write_blocks(const PanelSource *s, const NumberFormat *f, int64_t outputs, int64_t k,
                         int64_t width, uint8_t *out) {
    int64_t size = panel_group_bytes(f, width);
    for (int64_t i = 0; i < k; i += f->block, out += size)
        for (int64_t c = 0; c < width; c++) {
            FormatBlock b = {0}; /* of an output that is not there */
            int n = k - i < f->block ? (int)(k - i) : f->block;
            if (c < outputs) find_block(s, f, c, i, n, &b);
            write_block(f, &b, n, c, width, out);
        }
}

void panel_write(const PanelSource *src, const NumberFormat *f, int64_t outputs, int64_t k, int64_t width,
                 void *out) {
    PackMove m = {src->dt, f->dt, src->data, src->start, src->stride, width, panel_group(f)};
    if (f->block)
        write_blocks(src, f, outputs, k, width, out);
    else if (f->panels)
        f->panels->write(src, outputs, k, width, out);
    else if (src->by_rows)
        pack_move_transposed(&m, outputs, k, out);
    else
        pack_move_straight(&m, outputs, k, out);
}
