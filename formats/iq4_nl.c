#include "gguf_blocks.h"

/* What a code stands for, plus 128. */
static const uint8_t values[16] = {1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241};

static void read(const uint8_t *in, FormatBlock *out) {
    out->scale = gguf_half(in);
    gguf_nibbles(in + 2, 16, out->code);
}

const NumberFormat format_iq4_nl = {
    .name = "iq4_nl",
    .doc = "GGUF: blocks of 32 in 4 bits, which stand for 16 values that lie closer near 0, scale f16",
    .dt = DT_COUNT,
    .dot = DT_I8,
    .block = 32,
    .sub = 32,
    .bits = 4,
    .zero = 128,
    .table = values,
    .scale = SCALE_F16,
    .gguf = 20,
    .bytes = 18,
    .read = read,
};
