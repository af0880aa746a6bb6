/* Element types of tensors in files and in memory. */
#ifndef BTC_BASE_DTYPE_H
#define BTC_BASE_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*         enum   text    safetensors  bytes */
#define DTYPES(X)                                                                                            \
    X(F32, "f32", "F32", 4)                                                                                  \
    X(F64, "f64", "F64", 8)                                                                                  \
    X(F16, "f16", "F16", 2)                                                                                  \
    X(BF16, "bf16", "BF16", 2)                                                                               \
    X(I64, "i64", "I64", 8)                                                                                  \
    X(I32, "i32", "I32", 4)                                                                                  \
    X(I16, "i16", "I16", 2)                                                                                  \
    X(I8, "i8", "I8", 1)                                                                                     \
    X(U8, "u8", "U8", 1)                                                                                     \
    X(BOOL, "bool", "BOOL", 1)

typedef enum DType {
#define X(id, text, st, bytes) DT_##id,
    DTYPES(X)
#undef X
        DT_COUNT /* also a type that is none of these; its numbers cannot be read: size 0, NaN */
} DType;

const char *dtype_name(DType t);             /* "bf16" */
const char *dtype_safetensors_name(DType t); /* "BF16" */
size_t dtype_size(DType t);
bool dtype_parse(const char *text, DType *out);                 /* from "bf16" */
bool dtype_parse_safetensors(const char *text, DType *out);     /* from "BF16" */
double dtype_load(DType t, const void *data, int64_t index);    /* element as double; data may be unaligned */
void dtype_store(DType t, void *data, int64_t index, double v); /* rounds to nearest even; saturates ints */
double dtype_round(DType t, double v);                          /* what is loaded once v has been stored */
/* n elements in a row from one type to another, as dtype_load and dtype_store would do it one by one, but at
 * the speed of memory between bf16, f32 and f64. Neither side need be aligned; they may not overlap. */
void dtype_convert(DType to, void *out, DType from, const void *in, int64_t n);

#endif
