/* See panel.h. */
#include "panel.h"

#include <string.h>

#include "pack_move.h"
#include "squeeze.h"

int panel_group(Storage s) {
    return s.quant ? QUANT_BLOCK : s.squeezed ? SQUEEZE_GROUP : s.dt == DT_BF16 ? 2 : 1;
}

int64_t panel_group_bytes(Storage s, int64_t width) {
    if (s.quant) return width * (s.quant->bits * QUANT_BLOCK / 8 + 2);
    if (s.squeezed) return squeeze_group_bytes(width);
    return width * panel_group(s) * (int64_t)dtype_size(s.dt);
}

int64_t panel_head(Storage s, int64_t width) {
    return s.squeezed ? squeeze_table_bytes(width) : 0;
}

int64_t panel_bytes(Storage s, int64_t k, int64_t width) {
    int64_t group = panel_group(s), groups = (k + group - 1) / group * panel_group_bytes(s, width);
    return panel_head(s, width) + groups + (s.squeezed ? squeeze_list_bytes(k, width) : 0);
}

/* ---- quantised ---- */

/* Codes of one row's block into the bytes of its lane. */
static void write_codes(const QuantFormat *f, const uint8_t *codes, int64_t lane, int64_t width,
                        uint8_t *out) {
    uint8_t *upper = out + 16 * width;
    for (int j = 0; j < QUANT_BLOCK; j++) {
        int64_t byte = lane * 4 + j % 4, g = j / 4;
        if (f->bits == 8) {
            out[g * 4 * width + byte] = codes[j];
            continue;
        }
        out[g % 4 * 4 * width + byte] |= (uint8_t)((codes[j] & 15) << (j < 16 ? 0 : 4));
        if (f->bits == 6) upper[g / 4 * 4 * width + byte] |= (uint8_t)(codes[j] >> 4 << (2 * (g % 4)));
    }
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
    float x[QUANT_BLOCK] = {0};
    uint8_t codes[QUANT_BLOCK];
    for (int64_t i = 0; i < k; i += QUANT_BLOCK, out += size)
        for (int64_t c = 0; c < width; c++) {
            int n = c >= outputs ? 0 : k - i < QUANT_BLOCK ? (int)(k - i) : QUANT_BLOCK;
            if (n) read_inputs(s, c, i, n, x);
            uint16_t scale = quant_block(f, x, n, s->importance ? s->importance + i : NULL, codes);
            write_codes(f, codes, c, width, out);
            memcpy(out + size - 2 * width + 2 * c, &scale, 2);
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
