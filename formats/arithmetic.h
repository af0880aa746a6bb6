/* Arithmetics of products: the type to which inputs are rounded before they are multiplied with weights. Each is a
 * record and a row of arithmetics.def. Sums are f32 in all of them. */
#ifndef BTC_FORMATS_ARITHMETIC_H
#define BTC_FORMATS_ARITHMETIC_H

#include "format.h"

typedef struct Arithmetic {
    const char *name, *doc;
    DType input; /* of a rounded input: DT_F32 (none is rounded), DT_BF16, DT_I8 */
    /* Bytes beside the inputs, for each sum of integers (format_sum inputs): {f32 scale, i32 where the sum begins};
     * 0: there is none. */
    int scale_bytes;
} Arithmetic;

#define ARITHMETIC(name) extern const Arithmetic arithmetic_##name;
#include "arithmetics.def"
#undef ARITHMETIC
extern const Arithmetic *const ARITHMETICS[]; /* NULL ends them */

const Arithmetic *arithmetic_find(const char *name); /* NULL: there is none */

static inline bool arithmetic_rounds(const Arithmetic *a) {
    return a->input != DT_F32;
}
/* Whether products are sums of integers, with scales. */
static inline bool arithmetic_in_bytes(const Arithmetic *a) {
    return a->input == DT_I8;
}
/* Whether products of weights in this format can be computed so. */
static inline bool arithmetic_takes(const Arithmetic *a, const NumberFormat *f) {
    return !arithmetic_rounds(a) || a->input == f->dot;
}

#endif
