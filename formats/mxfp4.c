/* OCP Microscaling Formats (MX) Specification v1.0, sec. 5.3.3: elements of 4 bits, E2M1, doubled here. */
#include <math.h>

#include "gguf_blocks.h"

/* What a code stands for, plus 128. */
static const uint8_t values[16] = {128, 129, 130, 131, 132, 134, 136, 140,
                                   128, 127, 126, 125, 124, 122, 120, 116};

static void read(const uint8_t *in, FormatBlock *out) {
    out->scale = ldexpf(1, in[0] - 128); /* values are doubled */
    gguf_nibbles(in + 1, 16, out->code);
}

const NumberFormat format_mxfp4 = {
    .name = "mxfp4",
    .doc = "GGUF: blocks of 32 in fp4 (e2m1), the scale a power of two",
    .dt = DT_COUNT,
    .dot = DT_I8,
    .block = 32,
    .sub = 32,
    .bits = 4,
    .zero = 128,
    .table = values,
    .scale = SCALE_EXPONENT,
    .lowest = 0x1p-120,
    .highest = 0x1.fffffep127,
    .gguf = 39,
    .bytes = 17,
    .read = read,
};
