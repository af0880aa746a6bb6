#include "format.h"

const NumberFormat format_f16 = {
    .name = "f16",
    .doc = "16 bits (IEEE 754)",
    .dt = DT_F16,
    .dot = DT_F32,
    .lowest = 0x1p-16, /* as many digits of the largest number of a row as bf16 would keep */
    .highest = 65519,
};
