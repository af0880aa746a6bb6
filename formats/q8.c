#include "quantize.h"

const NumberFormat format_q8 = {
    .name = "q8",
    .doc = "blocks of 128 in 8 bits, scale bf16",
    .dt = DT_COUNT,
    .dot = DT_I8,
    .block = 128,
    .sub = 128,
    .bits = 8,
    .zero = 128,
    .scale = SCALE_BF16,
    .least = 1,
    .quantize = quantize_block,
    .lowest = QUANTIZE_LOWEST,
    .highest = QUANTIZE_HIGHEST,
};
