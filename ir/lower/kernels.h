/* The kernels of matrix products: small loop functions that all products of a module share, one for each way
 * of weights, arithmetic and tile that is asked for.
 *
 *     kernel(x, scales, x_stride, w, w_stride, from, groups, sums, more)
 *
 * computes sums[r][p][c] (+)= sum over `groups` groups of inputs of x[r] times those of panel p that begin
 * with group `from`, where rows of x are x_stride bytes apart and panels (ir/lower/panel.h) w_stride bytes;
 * sums are f32, [rows][panels][width],
 * read first when `more` is not 0. Each sum is one chain over the inputs in order, whatever the tile and
 * wherever the chain is interrupted, so results have the same bits.
 *
 * What x is depends on the arithmetic:
 *     MATH_F32    f32 numbers; weights are widened, exactly
 *     MATH_BF16   pairs of bf16, whose products are added in f32 (bf16 weights only)
 *     MATH_INT8   signed bytes in blocks of QUANT_BLOCK; scales: {f32 scale, i32 -zero * sum of the block's
 *                 bytes} for each block, rows x_stride bytes apart; integer products within a block
 *                 (quantised weights only) */
#ifndef BTC_KERNELS_H
#define BTC_KERNELS_H

#include "../lower.h"
#include "panel.h"

typedef enum Math { MATH_F32, MATH_BF16, MATH_INT8 } Math;
bool math_parse(const char *text, Math *out);
const char *math_name(Math m);
/* The arithmetic of a product with weight `w`: the op's attribute `math`, where w is stored in a way that
 * allows it, else MATH_F32. */
Math math_of(const Op *op, const Value *w);

typedef struct KernelSpec {
    Storage w;
    Math math;
    int rows, panels; /* of the tile: known when compiling */
    bool streams;     /* weights come from memory: ask for them ahead of time */
} KernelSpec;
/* Name of the kernel in l's module; written at the first call. */
const char *kernel_of(Lower *l, KernelSpec spec);

/* unpack(w, from, groups, out): those groups of the panel at w as a panel of kernel_unpacked(w): quantised
 * weights in f32, squeezed ones in bf16, both exactly. */
const char *kernel_unpack(Lower *l, Storage w);
Storage kernel_unpacked(Storage w);

/* Begins a function that all stages of l's module may call; not yet there. */
LB kernel_function(Lower *l, const char *name);

/* The largest tile that stays in registers. */
KernelSpec kernel_tile(const Lower *l, Storage w, Math math);

#endif
