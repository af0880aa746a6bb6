#include "compressed.h"

/* See compressed.h. */
const NumberFormat format_bf16_12 = {
    .name = "bf16_12",
    .doc = "bf16 in 12 bits, without loss, where the exponents of a matrix lie near one another",
    .dt = DT_BF16,
    .dot = DT_BF16,
    .panels = &compressed_panels,
    .lowest = 0x1p-126,
    .highest = 0x1.fefffep127,
};
