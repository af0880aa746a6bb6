/* See panel.h. */
#include "panel.h"

#include <string.h>

#include "pack_move.h"
#include "squeeze.h"

int panel_group(Storage s) {
    return s.quant ? s.quant->block : panel_part(s);
}

int panel_part(Storage s) {
    return s.quant ? QUANT_PART : s.squeezed ? SQUEEZE_GROUP : s.dt == DT_BF16 ? 2 : 1;
}

int64_t panel_scales_bytes(Storage s, int64_t width) {
    return s.quant ? width * (2 + (s.quant->factors ? 2 : 0)) : 0;
}

int64_t panel_part_bytes(Storage s, int64_t width) {
    if (s.quant) return width * s.quant->bits * QUANT_PART / 8;
    if (s.squeezed) return squeeze_group_bytes(width);
    return width * panel_part(s) * (int64_t)dtype_size(s.dt);
}

int64_t panel_group_bytes(Storage s, int64_t width) {
    return panel_scales_bytes(s, width) + panel_group(s) / panel_part(s) * panel_part_bytes(s, width);
}

int64_t panel_head(Storage s, int64_t width) {
    return s.squeezed ? squeeze_table_bytes(width) : 0;
}

int64_t panel_bytes(Storage s, int64_t k, int64_t width) {
    int64_t part = panel_part(s), group = panel_group(s), parts = (k + part - 1) / part;
    int64_t groups =
        (k + group - 1) / group * panel_scales_bytes(s, width) + parts * panel_part_bytes(s, width);
    return panel_head(s, width) + groups + (s.squeezed ? squeeze_list_bytes(k, width) : 0);
}

/* ---- quantised ---- */

/* The codes of one output's part into the bytes of its lane. */
static void write_codes(const QuantFormat *f, const uint8_t *codes, int64_t lane, int64_t width,
                        uint8_t *out) {
    uint8_t *upper = out + 16 * width;
    for (int j = 0; j < QUANT_PART; j++) {
        int64_t byte = lane * 4 + j % 4, g = j / 4;
        if (f->bits == 8) {
            out[g * 4 * width + byte] = codes[j];
            continue;
        }
        out[g % 4 * 4 * width + byte] |= (uint8_t)((codes[j] & 15) << (j < 16 ? 0 : 4));
        if (f->bits == 6) upper[g / 4 * 4 * width + byte] |= (uint8_t)(codes[j] >> 4 << (2 * (g % 4)));
    }
}

/* One output's block of n inputs. */
static void write_block(const QuantFormat *f, const QuantBlock *q, int n, int64_t lane, int64_t width,
                        uint8_t *out) {
    Storage s = {.dt = DT_U8, .quant = f};
    uint8_t *parts = out + panel_scales_bytes(s, width);
    memcpy(out + 2 * lane, &q->scale, 2);
    for (int p = 0; p < QUANT_PARTS && f->factors; p++)
        out[(2 + p / 2) * width + lane] |= (uint8_t)((q->factor[p] + QUANT_FACTOR) << (p % 2 ? 4 : 0));
    for (int p = 0; p * QUANT_PART < n; p++)
        write_codes(f, q->code + p * QUANT_PART, lane, width, parts + p * panel_part_bytes(s, width));
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

static void write_quantised(const PanelSource *s, const QuantFormat *f, int64_t outputs, int64_t k,
                            int64_t width, uint8_t *out) {
    int64_t size = panel_group_bytes((Storage){.dt = DT_U8, .quant = f}, width);
    float x[QUANT_MOST] = {0};
    QuantBlock q;
    for (int64_t i = 0; i < k; i += f->block, out += size)
        for (int64_t c = 0; c < width; c++) {
            int n = k - i < f->block ? (int)(k - i) : f->block, there = c < outputs ? n : 0;
            if (there) read_inputs(s, c, i, n, x);
            quant_block(f, x, there, s->importance ? s->importance + i : NULL, &q);
            write_block(f, &q, n, c, width, out);
        }
}

void panel_write(const PanelSource *src, Storage s, int64_t outputs, int64_t k, int64_t width, void *out) {
    PackMove m = {src->dt, s.dt, src->data, src->start, src->stride, width, panel_group(s)};
    if (s.quant)
        write_quantised(src, s.quant, outputs, k, width, out);
    else if (s.squeezed)
        squeeze_write(src, outputs, k, width, out);
    else if (src->by_rows)
        pack_move_transposed(&m, outputs, k, out);
    else
        pack_move_straight(&m, outputs, k, out);
}
