#include "quantize.h"

const NumberFormat format_q4 = {
    .name = "q4",
    .doc = "blocks of 128 in 4 bits, scale bf16, a factor of 4 bits per 32",
    .dt = DT_COUNT,
    .dot = DT_I8,
    .block = 128,
    .sub = 32,
    .bits = 4,
    .zero = 8,
    .scale = SCALE_BF16,
    .factor_bits = 4,
    .factor_zero = 8,
    .fold = true,
    .quantize = quantize_block,
    .lowest = QUANTIZE_LOWEST,
    .highest = QUANTIZE_HIGHEST,
};
