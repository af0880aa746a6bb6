#include "gguf_blocks.h"

static void read(const uint8_t *in, FormatBlock *out) {
    out->scale = gguf_half(in);
    gguf_nibbles(in + 6, 16, out->code);
    gguf_fifth_bits(in + 2, 32, out->code);
}

const NumberFormat format_q5_0 = {
    .name = "q5_0",
    .doc = "GGUF: blocks of 32 in 5 bits, scale f16",
    .dt = DT_COUNT,
    .dot = DT_I8,
    .block = 32,
    .sub = 32,
    .bits = 5,
    .zero = 16,
    .scale = SCALE_F16,
    .gguf = 6,
    .bytes = 22,
    .read = read,
};
