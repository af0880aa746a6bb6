#include "pack_move.h"

#include <string.h>

enum { BLOCK = 64 }; /* columns of a row at a time: the rows of a panel of them fit the first cache */

/* in[k] to out[k * panel], units of `size` bytes, which is a constant where this is called. */
static inline void scatter(size_t size, const char *in, char *out, int64_t panel, int64_t n) {
    int64_t step = panel * (int64_t)size;
    for (int64_t k = 0; k < n; k++) memcpy(out + k * step, in + k * (int64_t)size, size);
}

static void scatter_row(size_t size, const char *in, char *out, int64_t panel, int64_t n) {
    switch (size) {
    case 2:
        scatter(2, in, out, panel, n);
        break;
    case 4:
        scatter(4, in, out, panel, n);
        break;
    default:
        scatter(size, in, out, panel, n);
    }
}

void pack_move_transposed(const PackMove *m, int64_t channels, int64_t depth, void *out) {
    char converted[BLOCK * sizeof(double)];
    size_t size = dtype_size(m->to), unit = size * (size_t)m->group;
    for (int64_t k = 0; k < depth; k += BLOCK) {
        int64_t n = depth - k < BLOCK ? depth - k : BLOCK, units = (n + m->group - 1) / m->group;
        for (int64_t c = 0; c < channels; c++) {
            const void *in = pack_element(m->from, m->data, m->start + c * m->stride + k);
            if (m->from != m->to || units * m->group != n) {
                memset(converted, 0, (size_t)units * unit);
                dtype_convert(m->to, converted, m->from, in, n);
                in = converted;
            }
            char *to = (char *)out + k * m->panel * (int64_t)size + c * (int64_t)unit;
            scatter_row(unit, in, to, m->panel, units);
        }
    }
}

/* Rows k and k + 1 by turns; one of them may be missing. */
static void interleave(const PackMove *m, int64_t channels, int64_t k, int64_t depth, char *out) {
    size_t size = dtype_size(m->to);
    for (int64_t c = 0; c < channels; c++)
        for (int64_t j = 0; j < m->group && k + j < depth; j++)
            dtype_convert(m->to, out + (c * m->group + j) * (int64_t)size, m->from,
                          pack_element(m->from, m->data, m->start + (k + j) * m->stride + c), 1);
}

void pack_move_straight(const PackMove *m, int64_t channels, int64_t depth, void *out) {
    int64_t row = m->panel * (int64_t)dtype_size(m->to);
    for (int64_t k = 0; k < depth; k += m->group)
        if (m->group == 1)
            dtype_convert(m->to, (char *)out + k * row, m->from,
                          pack_element(m->from, m->data, m->start + k * m->stride), channels);
        else
            interleave(m, channels, k, depth, (char *)out + k * row);
}
