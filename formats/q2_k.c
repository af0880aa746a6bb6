#include "gguf_blocks.h"

static void read(const uint8_t *in, FormatBlock *out) {
    out->scale = gguf_half(in + 80), out->minimum = -gguf_half(in + 82);
    for (int i = 0; i < 16; i++) out->factor[i] = in[i] & 15, out->minimum_factor[i] = in[i] >> 4;
    gguf_two_bits(in + 16, out->code);
}

const NumberFormat format_q2_k = {
    .name = "q2_k",
    .doc = "GGUF: blocks of 256 in 2 bits, scale and minimum f16, a factor of 4 bits for each per 16",
    .dt = DT_COUNT,
    .dot = DT_I8,
    .block = 256,
    .sub = 16,
    .bits = 2,
    .zero = 0,
    .scale = SCALE_F16,
    .minimum = true,
    .factor_bits = 4,
    .gguf = 10,
    .bytes = 84,
    .read = read,
};
