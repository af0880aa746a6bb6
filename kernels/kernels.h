/* The kernels of matrix products: small loop functions that all products of a module share. There is one for each
 * number format, arithmetic and tile in use.
 *
 *     kernel(x, scales, x_stride, w, w_stride, from, parts, sums, more)
 *
 * computes sums[r][p][c] (+)= sum over `parts` parts of inputs of x[r] times those of panel p that begin
 * with group `from`, where rows of x are x_stride bytes apart and panels (formats/panel.h) w_stride bytes;
 * sums are f32, [rows][panels][width], read first when `more` is not 0. Each sum adds the inputs in order, whatever the tile
 * and wherever the sum is interrupted, so results have the same bits.
 *
 * The arithmetic decides the form of x:
 *     f32    f32 numbers; weights are widened, exactly
 *     bf16   pairs of bf16, whose products are added in f32
 *     int8   signed bytes in the blocks of the weights; scales: {f32 scale, i32 -product_zero * sum of the
 *            bytes} for each sum of integers (format_sum inputs), rows x_stride bytes apart. The weights' bytes are
 *            codes, what they stand for in a table, or factor * (code - zero) + 128; product_zero stands for 0 */
#ifndef BTC_KERNELS_H
#define BTC_KERNELS_H

#include "formats/panel.h"
#include "lower.h"
#include "product.h"

typedef struct KernelSpec {
    const NumberFormat *w;
    const Arithmetic *math;
    int rows, panels; /* of the tile: known when compiling */
    bool streams;     /* weights come from memory: they are prefetched */
} KernelSpec;
/* Name of the kernel in l's module; written at the first call. */
const char *kernel_of(Lower *l, KernelSpec spec);

/* dequantize(w, from, parts, out): parts of the panel at w, from group `from` on, as a panel of
 * kernel_dequantized(w, math), exactly: blocks in f32, or those whose factors fold into bytes in q8; compressed bf16
 * in bf16. */
const char *kernel_dequantize(Lower *l, const NumberFormat *w, const Arithmetic *math);
const NumberFormat *kernel_dequantized(const NumberFormat *w, const Arithmetic *math);

/* Begins a function that all stages of l's module may call; not yet there. */
LB kernel_function(Lower *l, const char *name);

/* The largest tile that stays in registers. */
KernelSpec kernel_tile(const Lower *l, const NumberFormat *w, const Arithmetic *math);

#endif
