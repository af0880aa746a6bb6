#include "gguf_blocks.h"

static void read(const uint8_t *in, FormatBlock *out) {
    const uint8_t *high = in + 128;
    out->scale = gguf_half(in + 208);
    for (int i = 0; i < 16; i++) out->factor[i] = (int8_t)in[192 + i];
    for (int i = 0; i < 256; i += 128) gguf_nibbles(in + i / 2, 64, out->code + i);
    for (int i = 0; i < 256; i++)
        out->code[i] |= (uint8_t)((high[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3) << 4);
}

const NumberFormat format_q6_k = {
    .name = "q6_k",
    .doc = "GGUF: blocks of 256 in 6 bits, scale f16, a factor of 8 bits per 16",
    .dt = DT_COUNT,
    .dot = DT_I8,
    .block = 256,
    .sub = 16,
    .bits = 6,
    .zero = 32,
    .scale = SCALE_F16,
    .factor_bits = 8,
    .factor_zero = 128,
    .gguf = 14,
    .bytes = 210,
    .read = read,
};
