/* See arithmetic.h. */
#include "arithmetic.h"

#include <string.h>

const Arithmetic arithmetic_f32 = {
    .name = "f32",
    .doc = "inputs as they are; weights are widened exactly",
    .input = DT_F32,
};
const Arithmetic arithmetic_bf16 = {
    .name = "bf16",
    .doc = "inputs rounded to bf16, whose products are added in f32",
    .input = DT_BF16,
};
const Arithmetic arithmetic_int8 = {
    .name = "int8",
    .doc = "inputs rounded to 8 bits, with a scale for each block of the weights; sums within a block are "
           "integers",
    .input = DT_I8,
    .scale_bytes = 8,
};

const Arithmetic *const ARITHMETICS[] = {
#define ARITHMETIC(name) &arithmetic_##name,
#include "arithmetics.def"
#undef ARITHMETIC
    NULL};

const Arithmetic *arithmetic_find(const char *name) {
    const Arithmetic *const *a = ARITHMETICS;
    while (*a && strcmp((*a)->name, name)) a++;
    return *a;
}
