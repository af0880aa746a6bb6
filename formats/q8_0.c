#include "gguf_blocks.h"

static void read(const uint8_t *in, FormatBlock *out) {
    out->scale = gguf_half(in);
    for (int i = 0; i < 32; i++) out->code[i] = in[2 + i] ^ 128;
}

const NumberFormat format_q8_0 = {
    .name = "q8_0",
    .doc = "GGUF: blocks of 32 in 8 bits, scale f16",
    .dt = DT_COUNT,
    .dot = DT_I8,
    .block = 32,
    .sub = 32,
    .bits = 8,
    .zero = 128,
    .scale = SCALE_F16,
    .gguf = 8,
    .bytes = 34,
    .read = read,
};
