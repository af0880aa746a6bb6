#include "gguf_blocks.h"

static void read(const uint8_t *in, FormatBlock *out) {
    out->scale = gguf_half(in), out->minimum = gguf_half(in + 2);
    gguf_nibbles(in + 8, 16, out->code);
    gguf_fifth_bits(in + 4, 32, out->code);
}

const NumberFormat format_q5_1 = {
    .name = "q5_1",
    .doc = "GGUF: blocks of 32 in 5 bits, scale and minimum f16",
    .dt = DT_COUNT,
    .dot = DT_I8,
    .block = 32,
    .sub = 32,
    .bits = 5,
    .zero = 0,
    .scale = SCALE_F16,
    .minimum = true,
    .gguf = 7,
    .bytes = 24,
    .read = read,
};
