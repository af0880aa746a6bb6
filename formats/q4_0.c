#include "gguf_blocks.h"

static void read(const uint8_t *in, FormatBlock *out) {
    out->scale = gguf_half(in);
    gguf_nibbles(in + 2, 16, out->code);
}

const NumberFormat format_q4_0 = {
    .name = "q4_0",
    .doc = "GGUF: blocks of 32 in 4 bits, scale f16",
    .dt = DT_COUNT,
    .dot = DT_I8,
    .block = 32,
    .sub = 32,
    .bits = 4,
    .zero = 8,
    .scale = SCALE_F16,
    .gguf = 2,
    .bytes = 18,
    .read = read,
};
