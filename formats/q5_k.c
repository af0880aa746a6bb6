#include "gguf_blocks.h"

static void read(const uint8_t *in, FormatBlock *out) {
    out->scale = gguf_half(in), out->minimum = -gguf_half(in + 2);
    gguf_six_bit_factors(in + 4, out);
    for (int i = 0; i < 256; i += 64) gguf_nibbles(in + 48 + i / 2, 32, out->code + i);
    for (int i = 0; i < 256; i++) out->code[i] |= (uint8_t)((in[16 + i % 32] >> (i / 32) & 1) << 4);
}

const NumberFormat format_q5_k = {
    .name = "q5_k",
    .doc = "GGUF: blocks of 256 in 5 bits, scale and minimum f16, a factor of 6 bits for each per 32",
    .dt = DT_COUNT,
    .dot = DT_I8,
    .block = 256,
    .sub = 32,
    .bits = 5,
    .zero = 0,
    .scale = SCALE_F16,
    .minimum = true,
    .factor_bits = 8,
    .gguf = 13,
    .bytes = 176,
    .read = read,
};
