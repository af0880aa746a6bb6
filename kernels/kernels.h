/* The kernels of matrix products: small loop functions that all products of a module share, one for each way
 * of weights, arithmetic and tile that is asked for.
 *
 *     kernel(x, scales, x_stride, w, w_stride, from, parts, sums, more)
 *
 * computes sums[r][p][c] (+)= sum over `parts` parts of inputs of x[r] times those of panel p that begin
 * with group `from`, where rows of x are x_stride bytes apart and panels (formats/panel.h) w_stride bytes;
 * sums are f32, [rows][panels][width], read first when `more` is not 0. Each sum is one chain over the inputs
 * in order, whatever the tile and wherever the chain is interrupted, so results have the same bits.
 *
 * What x is depends on the arithmetic:
 *     MATH_F32    f32 numbers; weights are widened, exactly
 *     MATH_BF16   pairs of bf16, whose products are added in f32 (bf16 weights only)
 *     MATH_INT8   signed bytes in the blocks of the weights; scales: {f32 scale, i32 -zero * sum of the
 *                 block's bytes} for each block, rows x_stride bytes apart; integer products within a block
 *                 (quantised weights only). The weights' bytes are codes, or factor * (code - zero) + 128;
 *                 kernel_zero is what stands for 0 */
#ifndef BTC_KERNELS_H
#define BTC_KERNELS_H

#include "arithmetic.h"
#include "formats/panel.h"
#include "lower.h"

int kernel_zero(Storage w);
/* Bytes of what belongs to each block of bytes of x. */
enum { MATH_SCALE_BYTES = 8 };

typedef struct KernelSpec {
    Storage w;
    Math math;
    int rows, panels; /* of the tile: known when compiling */
    bool streams;     /* weights come from memory: they are prefetched */
} KernelSpec;
/* Name of the kernel in l's module; written at the first call. */
const char *kernel_of(Lower *l, KernelSpec spec);

/* unpack(w, from, parts, out): parts of the panel at w, from group `from` on, as a panel of
 * kernel_unpacked(w, math), exactly: quantised weights in f32, or those with factors in bytes; squeezed ones
 * in bf16. */
const char *kernel_unpack(Lower *l, Storage w, Math math);
Storage kernel_unpacked(Storage w, Math math);

/* Begins a function that all stages of l's module may call; not yet there. */
LB kernel_function(Lower *l, const char *name);

/* The largest tile that stays in registers. */
KernelSpec kernel_tile(const Lower *l, Storage w, Math math);

#endif
