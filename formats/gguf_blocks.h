/* What the block formats of GGUF have in common. ggml's ggml-common.h defines their bytes. */
#ifndef BTC_FORMATS_GGUF_BLOCKS_H
#define BTC_FORMATS_GGUF_BLOCKS_H

#include "format.h"

static inline float gguf_half(const uint8_t *in) {
    return (float)dtype_load(DT_F16, in, 0);
}

/* n bytes: codes 0 .. n-1 in their lower halves, n .. 2n-1 in their upper ones. */
static inline void gguf_nibbles(const uint8_t *in, int n, uint8_t *code) {
    for (int i = 0; i < n; i++) code[i] = in[i] & 15, code[n + i] = in[i] >> 4;
}

/* Bit i is the fifth of code i. */
static inline void gguf_fifth_bits(const uint8_t *in, int n, uint8_t *code) {
    for (int i = 0; i < n; i++) code[i] |= (uint8_t)((in[i / 8] >> (i % 8) & 1) << 4);
}

/* 256 codes of 2 bits: in each half, a byte holds codes i, i + 32, i + 64 and i + 96. */
static inline void gguf_two_bits(const uint8_t *in, uint8_t *code) {
    for (int i = 0; i < 256; i++) code[i] = in[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
}

/* Eight factors of a scale and eight of a minimum, 6 bits each, in 12 bytes. */
static inline void gguf_six_bit_factors(const uint8_t *in, FormatBlock *out) {
    for (int i = 0; i < 4; i++) {
        out->factor[i] = in[i] & 63, out->minimum_factor[i] = in[i + 4] & 63;
        out->factor[i + 4] = (int16_t)((in[i + 8] & 15) | in[i] >> 6 << 4);
        out->minimum_factor[i + 4] = (int16_t)(in[i + 8] >> 4 | in[i + 4] >> 6 << 4);
    }
}

#endif
