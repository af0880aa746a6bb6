/* Weights in few bits: blocks of 32 numbers along the inputs of a matrix, each block with one f16 scale.
 * A number is scale * (code - zero), with codes of `bits` bits; scale and code - zero fit together in an f32
 * without rounding, so "the quantised weight" is an exact number. The same bits per weight as GGUF's Q8_0,
 * Q6 and Q4_0 blocks: 8.5, 6.5 and 4.5. */
#ifndef BTC_BASE_QUANT_H
#define BTC_BASE_QUANT_H

#include "dtype.h"

enum { QUANT_BLOCK = 32 };

typedef struct QuantFormat {
    const char *name; /* "q8" */
    int bits, zero;
    int least; /* smallest code in use */
} QuantFormat;
extern const QuantFormat QUANT_FORMATS[];
extern const int QUANT_COUNT;

/* How the numbers of a weight lie in memory: as plain numbers of type dt, or quantised. */
typedef struct Storage {
    DType dt;
    const QuantFormat *quant; /* or NULL */
    bool squeezed;            /* bf16 that takes 12 bits in panels, without loss: lower/squeeze.h */
} Storage;
bool storage_parse(const char *text, Storage *out); /* "f32", "bf16", "f16", "bf12", "q8", .. */
const char *storage_name(Storage s);
double storage_bits(Storage s); /* per number, scales included */

/* Codes of x[0..n), n <= 32, the rest of the block with the code of 0, and its scale as f16 bits: the scale
 * that makes the sum of importance * error^2 smallest among some candidates (importance: n positive
 * weights, or NULL for ones). x must be finite and not beyond quant_limit in magnitude. Deterministic on
 * every machine. */
uint16_t quant_block(const QuantFormat *f, const float *x, int n, const float *importance,
                     uint8_t codes[QUANT_BLOCK]);
double quant_value(const QuantFormat *f, uint16_t scale, uint8_t code);
double quant_limit(const QuantFormat *f);
/* x[0..n) becomes what quantising makes of it, block by block; importance: n weights, or NULL. */
void quant_round(const QuantFormat *f, double *x, int64_t n, const float *importance);

#endif
