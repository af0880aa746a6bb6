#include "dtype.h"

#include <math.h>
#include <string.h>

static const struct {
    const char *text, *safetensors;
    size_t size;
} TABLE[DT_COUNT + 1] = {
#define X(id, text, st, bytes) {text, st, bytes},
    DTYPES(X)
#undef X
        [DT_COUNT] = {"unknown", "unknown", 0},
};

const char *dtype_name(DType t) {
    return TABLE[t].text;
}
const char *dtype_safetensors_name(DType t) {
    return TABLE[t].safetensors;
}
size_t dtype_size(DType t) {
    return TABLE[t].size;
}

bool dtype_parse(const char *text, DType *out) {
    for (int i = 0; i < DT_COUNT; i++)
        if (!strcmp(TABLE[i].text, text)) return *out = (DType)i, true;
    return false;
}

bool dtype_parse_safetensors(const char *text, DType *out) {
    for (int i = 0; i < DT_COUNT; i++)
        if (!strcmp(TABLE[i].safetensors, text)) return *out = (DType)i, true;
    return false;
}

static double half_to_double(uint16_t h) {
    int e = (h >> 10) & 31, m = h & 1023;
    double v = e == 31 ? (m ? NAN : INFINITY) : e ? ldexp(1024 + m, e - 25) : ldexp(m, -24);
    return h & 0x8000 ? -v : v;
}

static uint16_t double_to_half(double v) {
    uint16_t sign = signbit(v) ? 0x8000 : 0;
    v = fabs(v);
    if (isnan(v)) return (uint16_t)(sign | 0x7e00);
    if (v >= 65520.0) return (uint16_t)(sign | 0x7c00);
    if (v < ldexp(1, -14)) return (uint16_t)(sign | (uint16_t)nearbyint(ldexp(v, 24)));
    int e;
    double m = frexp(v, &e); /* v = m * 2^e, m in [0.5, 1) */
    long q = (long)nearbyint(ldexp(m, 11));
    if (q == 2048) q = 1024, e++;
    return (uint16_t)(sign | (uint16_t)((e + 14) << 10) | (uint16_t)(q - 1024));
}

static uint16_t float_to_bf16(float f) {
    uint32_t u;
    memcpy(&u, &f, 4);
    if ((u & 0x7fffffff) > 0x7f800000) return (uint16_t)(u >> 16 | 0x40);
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

double dtype_load(DType t, const void *data, int64_t i) {
    const char *p = (const char *)data + i * (int64_t)TABLE[t].size;
    uint16_t u16;
    uint32_t u32;
    float f;
    double d;
    int64_t i64;
    int32_t i32;
    int16_t i16;
    switch (t) {
    case DT_F32:
        return memcpy(&f, p, 4), (double)f;
    case DT_F64:
        return memcpy(&d, p, 8), d;
    case DT_F16:
        return memcpy(&u16, p, 2), half_to_double(u16);
    case DT_BF16:
        return memcpy(&u16, p, 2), u32 = (uint32_t)u16 << 16, memcpy(&f, &u32, 4), (double)f;
    case DT_I64:
        return memcpy(&i64, p, 8), (double)i64;
    case DT_I32:
        return memcpy(&i32, p, 4), (double)i32;
    case DT_I16:
        return memcpy(&i16, p, 2), (double)i16;
    case DT_I8:
        return (double)*(const int8_t *)p;
    case DT_U8:
    case DT_BOOL:
        return (double)*(const uint8_t *)p;
    case DT_COUNT:
        break;
    }
    return NAN;
}

static double saturate(double v, double lo, double hi) {
    return isnan(v) ? 0 : v < lo ? lo : v > hi ? hi : nearbyint(v);
}

void dtype_store(DType t, void *data, int64_t i, double v) {
    char *p = (char *)data + i * (int64_t)TABLE[t].size;
    float f = (float)v;
    uint16_t u16;
    int64_t i64;
    int32_t i32;
    int16_t i16;
    switch (t) {
    case DT_F32:
        memcpy(p, &f, 4);
        break;
    case DT_F64:
        memcpy(p, &v, 8);
        break;
    case DT_F16:
        u16 = double_to_half(v), memcpy(p, &u16, 2);
        break;
    case DT_BF16:
        u16 = float_to_bf16(f), memcpy(p, &u16, 2);
        break;
    case DT_I64:
        i64 = (int64_t)saturate(v, -9.2e18, 9.2e18), memcpy(p, &i64, 8);
        break;
    case DT_I32:
        i32 = (int32_t)saturate(v, INT32_MIN, INT32_MAX), memcpy(p, &i32, 4);
        break;
    case DT_I16:
        i16 = (int16_t)saturate(v, INT16_MIN, INT16_MAX), memcpy(p, &i16, 2);
        break;
    case DT_I8:
        *(int8_t *)p = (int8_t)saturate(v, INT8_MIN, INT8_MAX);
        break;
    case DT_U8:
        *(uint8_t *)p = (uint8_t)saturate(v, 0, UINT8_MAX);
        break;
    case DT_BOOL:
        *(uint8_t *)p = v != 0;
        break;
    case DT_COUNT:
        break;
    }
}

/* The pairs of types that large tensors come in; `one` maps an element x of type From. */
#define CONVERT_LOOP(To, From, one)                                                                          \
    for (int64_t i = 0; i < n; i++) {                                                                        \
        From x;                                                                                              \
        memcpy(&x, (const char *)in + i * (int64_t)sizeof x, sizeof x);                                      \
        To y = one;                                                                                          \
        memcpy((char *)out + i * (int64_t)sizeof y, &y, sizeof y);                                           \
    }

void dtype_convert(DType to, void *out, DType from, const void *in, int64_t n) {
    if (to == from) {
        if (n) memcpy(out, in, (size_t)n * dtype_size(to));
    } else if (to == DT_BF16 && from == DT_F32) {
        CONVERT_LOOP(uint16_t, float, float_to_bf16(x))
    } else if (to == DT_F32 && from == DT_BF16) {
        CONVERT_LOOP(uint32_t, uint16_t, (uint32_t)x << 16)
    } else if (to == DT_F32 && from == DT_F64) {
        CONVERT_LOOP(float, double, (float)x)
    } else if (to == DT_F64 && from == DT_F32) {
        CONVERT_LOOP(double, float, (double)x)
    } else {
        for (int64_t i = 0; i < n; i++) dtype_store(to, out, i, dtype_load(from, in, i));
    }
}

double dtype_round(DType t, double v) {
    char bytes[8];
    dtype_store(t, bytes, 0, v);
    return dtype_load(t, bytes, 0);
}
