#include "quantize.h"

const NumberFormat format_q6 = {
    .name = "q6",
    .doc = "blocks of 32 in 6 bits, scale bf16",
    .dt = DT_COUNT,
    .dot = DT_I8,
    .block = 32,
    .sub = 32,
    .bits = 6,
    .zero = 32,
    .scale = SCALE_BF16,
    .quantize = quantize_block,
    .lowest = QUANTIZE_LOWEST,
    .highest = QUANTIZE_HIGHEST,
};
