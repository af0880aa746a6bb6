/* Weights in few bits: blocks of numbers along the inputs of a matrix, each with one bf16 scale. A number is
 * scale * (code - zero), with codes of `bits` bits; or, where a block has factors, scale * factor * (code -
 * zero) with a factor of -8 .. 7 for each part of 32 numbers, which is a block's own scale in 4 bits instead
 * of 16. Scale and the rest fit together in an f32 without rounding, so "the quantised weight" is an exact
 * number; factor and code - zero fit in a byte, so a block is one sum of products of bytes either way. The
 * scale has the exponents of f32, so tiny and huge blocks keep as many digits as others. */
#ifndef BTC_BASE_QUANT_H
#define BTC_BASE_QUANT_H

#include "base/dtype.h"

enum { QUANT_PART = 32, QUANT_PARTS = 4, QUANT_MOST = QUANT_PART * QUANT_PARTS, QUANT_FACTOR = 8 };

typedef struct QuantFormat {
    const char *name; /* "q8" */
    int bits, zero;
    int least;    /* smallest code in use */
    int block;    /* numbers that share a scale: QUANT_PART, or QUANT_MOST */
    bool factors; /* each part has one, -QUANT_FACTOR .. QUANT_FACTOR - 1 */
} QuantFormat;
extern const QuantFormat QUANT_FORMATS[];
extern const int QUANT_COUNT;
static const DType QUANT_SCALE = DT_BF16;
/* What the largest magnitude of a block must lie within, if it is not 0: beyond, its scale, or what a product
 * makes of it, has no room in an f32. */
#define QUANT_LOWEST 0x1p-100
#define QUANT_HIGHEST 0x1p126
/* What has blocks as large as those of f, in bytes without factors: products of factor and code of f fit in
 * it. NULL: there is none. */
const QuantFormat *quant_in_bytes(const QuantFormat *f);

/* How the numbers of a weight lie in memory: as plain numbers of type dt, or quantised. */
typedef struct Storage {
    DType dt;
    const QuantFormat *quant; /* or NULL */
    bool squeezed;            /* bf16 that takes 12 bits in panels, without loss: formats/squeeze.h */
} Storage;
bool storage_parse(const char *text, Storage *out); /* "f32", "bf16", "f16", "bf12", "q8", .. */
const char *storage_name(Storage s);
double storage_bits(Storage s); /* per number, scales included */

typedef struct QuantBlock {
    uint16_t scale;             /* bits of QUANT_SCALE */
    int8_t factor[QUANT_PARTS]; /* 1 where the format has none */
    uint8_t code[QUANT_MOST];
} QuantBlock;

/* x[0..n), n <= block, the rest of the block with the code of 0: the scale, and factors, that make the sum of
 * importance * error^2 smallest among some candidates (importance: n positive weights, or NULL for ones). x
 * must be finite, importance too, and the largest magnitude 0 or from QUANT_LOWEST to QUANT_HIGHEST. Scaling
 * x by a power of two scales the result. Deterministic on every machine. */
void quant_block(const QuantFormat *f, const float *x, int n, const float *importance, QuantBlock *out);
double quant_value(const QuantFormat *f, const QuantBlock *b, int i);
/* x[0..n) becomes what quantising makes of it, block by block; importance: n weights, or NULL. */
void quant_round(const QuantFormat *f, double *x, int64_t n, const float *importance);

#endif
