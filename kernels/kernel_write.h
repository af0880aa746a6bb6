/* A kernel (kernels.h) that is being written: its pointers and variables, and the code that kernels of all number
 * formats share. Vectors are numbered through all panels of the tile. */
#ifndef BTC_KERNEL_WRITE_H
#define BTC_KERNEL_WRITE_H

#include "kernels.h"
#include "register_tile.h"

enum { MAX_ROWS = 8, MAX_VECTORS = 64 };

typedef struct Kernel Kernel;

typedef struct Vectors {
    Value *v[MAX_VECTORS];
} Vectors;

/* Uses vectors of weights, f32 or pairs of bf16: multiplies with them, or stores them. input: the number of the
 * input, or of the pair. */
typedef void KernelUse(Kernel *k, const Vectors *w, Value *input);

struct Kernel {
    LB b;
    const LowerTarget *t;
    KernelSpec s;
    int vectors; /* of a panel */
    Value *x, *scales, *x_stride, *w, *w_stride, *from, *parts, *sums, *more;
    Value *xp[MAX_ROWS], *sp[MAX_ROWS], *wp[MAX_VECTORS];
    Value *table[MAX_VECTORS];           /* of compressed panels; or the values of the codes of a block */
    Value *acc[MAX_ROWS * MAX_VECTORS];  /* variables */
    Value *ints[MAX_ROWS * MAX_VECTORS]; /* variables: sums of a block of bytes */
    KernelUse *use;                      /* of weights in f32 */
};

Kernel kernel_begin(Lower *l, KernelSpec s, const char *name);
/* Once k->wp is known. */
void kernel_load_tables(Kernel *k);
int kernel_columns(const Kernel *k);
/* The sums of the tile; in MATH_INT8, those of a block of integers. */
RegisterTile kernel_sums(Kernel *k);
RegisterTile kernel_ints(Kernel *k);
/* Byte i behind offset `at` of vector c's panel, as a vector of dt. */
Value *kernel_load(Kernel *k, DType dt, int c, Value *at, int64_t i);
/* Offset in its panel of group g, counted from k->from. */
Value *kernel_group_at(Kernel *k, Value *g);
/* Prefetches weights that come from memory, into the second cache: the buffers of the first one are for what is
 * read now. */
void kernel_prefetch(Kernel *k, Value *at, int64_t bytes);

/* acc[r] = add(acc[r], w, x[r][i]) for all rows and vectors, i: the number of an element of dt */
void kernel_accumulate(Kernel *k, DType dt, const Vectors *w, Value *i, Accumulate *add);
/* acc += x[r][i] * w, i: the number of an f32 input */
KernelUse kernel_multiply;

/* ---- kernel_bf16.c: plain and compressed ---- */

/* Calls `use` for the pairs of a group of inputs. */
void bf16_group(Kernel *k, Value *group, Value *at, KernelUse *use);
KernelUse bf16_multiply; /* widened to f32 */
KernelUse bf16_dot;      /* bf16 dot products */

/* ---- kernel_blocks.c: blocks with scales; kernel_int8.c: and products of bytes ---- */

/* Of some numbers of a block: x = code * scale + low. */
typedef struct Scales {
    Vectors scale, low;
} Scales;

/* Where a kernel is within a block. */
typedef struct Part {
    Value *index;           /* number of the block */
    Value *block;           /* offset of the block */
    int u;                  /* of its parts, known */
    Value *at;              /* offset of the part */
    Value *input;           /* number of its first input */
    const Scales *of_block; /* its scale, and its minimum as low */
} Part;

/* What is done with a part of a block. */
typedef void PartUse(Kernel *k, const Part *p);
/* What is done with block g, of which all parts are there or the first `left` (an i64 above 0; else NULL). */
typedef void BlockUse(Kernel *k, Value *g, Value *left);

/* All blocks of k->parts. */
void blocks_each(Kernel *k, BlockUse *each);
void block_parts(Kernel *k, Value *g, Value *left, const Scales *of_block, PartUse *use);
/* Scale and minimum of the block at offset `block`. */
void block_scales(Kernel *k, Value *block, Scales *s);
/* Factor i of the block, integers. */
void block_factors(Kernel *k, Value *block, int i, bool minimum, Vectors *f);
/* Those of input `first` of a part, with factors: low is the minimum, or 0. */
void part_scales(Kernel *k, const Part *p, int first, Scales *s);
/* Bytes of inputs 4g .. 4g+3 of a part: codes, or what they stand for in the table. `at`: offset of the part; g is
 * known. */
Value *block_codes(Kernel *k, int c, Value *at, int g);
/* The numbers of a block in f32, for k->use. */
BlockUse block_numbers;

BlockUse int8_dot;        /* products */
BlockUse int8_dequantize; /* as a panel of a format of 8 bits without factors at k->sums */

#endif
