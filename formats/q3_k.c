#include "gguf_blocks.h"

static void read(const uint8_t *in, FormatBlock *out) {
    const uint8_t *high = in, *factors = in + 96;
    out->scale = gguf_half(in + 108);
    for (int i = 0; i < 16; i++) {
        int low = factors[i % 8] >> (i / 8 * 4) & 15, upper = factors[8 + i % 4] >> (i / 4 * 2) & 3;
        out->factor[i] = (int16_t)((low | upper << 4) - 32);
    }
    gguf_two_bits(in + 32, out->code);
    for (int i = 0; i < 256; i++) out->code[i] |= (uint8_t)((high[i % 32] >> (i / 32) & 1) << 2);
}

const NumberFormat format_q3_k = {
    .name = "q3_k",
    .doc = "GGUF: blocks of 256 in 3 bits, scale f16, a factor of 6 bits per 16",
    .dt = DT_COUNT,
    .dot = DT_I8,
    .block = 256,
    .sub = 16,
    .bits = 3,
    .zero = 4,
    .scale = SCALE_F16,
    .factor_bits = 8,
    .factor_zero = 32,
    .gguf = 11,
    .bytes = 110,
    .read = read,
};
