#include "format.h"

const NumberFormat format_f32 = {
    .name = "f32",
    .doc = "32 bits (IEEE 754)",
    .dt = DT_F32,
    .dot = DT_F32,
    .lowest = 0x1p-126,
    .highest = 0x1.fffffe8p127,
};
