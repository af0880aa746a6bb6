#include "format.h"

const NumberFormat format_bf16 = {
    .name = "bf16",
    .doc = "16 bits, the exponents of f32",
    .dt = DT_BF16,
    .dot = DT_BF16,
    .lowest = 0x1p-126,
    .highest = 0x1.fefffep127,
};
