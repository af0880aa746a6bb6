/* See interp_lanes.h. The compiler must not fuse x*y+z here; ISO mode (-std=c11) forbids it. */
#include "interp_lanes.h"

#include <float.h>
#include <math.h>
#include <string.h>

int64_t lane_wrap(DType dt, int64_t v) {
    return dt == DT_I32 ? (int64_t)(int32_t)(uint32_t)v : v;
}

/* ---- denormals ---- */

static Cell flush(DType dt, Cell x) {
    if (dt == DT_F32 && fabsf(x.f) < FLT_MIN) x.f = copysignf(0, x.f);
    if (dt == DT_F64 && fabs(x.d) < DBL_MIN) x.d = copysign(0, x.d);
    return x;
}

static Cell operand(const LoopRun *run, DType dt, Cell x) {
    return run->denormals == DENORMALS_KEPT ? x : flush(dt, x);
}

/* A result with all of its digits: hi + lo, where lo is less than the last place of hi. */
typedef struct Exact {
    double hi, lo;
} Exact;

static Exact exact_sum(Exact x, double y) {
    double s = x.hi + y, back = s - x.hi;
    return (Exact){s, (x.hi - (s - back)) + (y - back) + x.lo};
}

static Exact exact_product(double x, double y) {
    double p = x * y;
    return (Exact){p, fma(x, y, -p)};
}

/* Digits of f64 results are found 2^200 times as large as they are, so that none is lost. */
static const double WIDER = 0x1p200;

/* r is `exact` rounded. What comes out as the smallest normal number may have been rounded up to it: whether
 * it was below when it had all digits, or as many as a normal number. */
static Cell result(const LoopRun *run, DType dt, Cell r, Exact exact) {
    if (run->denormals == DENORMALS_KEPT) return r;
    bool single = dt == DT_F32;
    double least = single ? FLT_MIN : DBL_MIN, size = fabs(single ? (double)r.f : r.d);
    if (size == least) {
        double limit = single ? least : least * WIDER, sign = exact.hi < 0 ? -1 : 1;
        double half_a_place = limit * (single ? 0x1p-25 : 0x1p-54);
        double slack = run->denormals == DENORMALS_FLUSHED_ROUNDED ? half_a_place : 0;
        if (sign * exact.hi - limit + slack + sign * exact.lo >= 0) return r;
    } else if (!(size < least)) {
        return r;
    }
    return single ? (Cell){.f = copysignf(0, r.f)} : (Cell){.d = copysign(0, r.d)};
}

/* ---- arithmetic on one lane ---- */

/* Of floats in double, where a product and a quotient of f32 are as good as exact. wide: what x is multiplied
 * by to keep the digits of a small result. */
static Exact exact_binary(int id, double x, double y, double wide) {
    switch (id) {
    case OP_loop_add:
        return exact_sum((Exact){x * wide, 0}, y * wide);
    case OP_loop_sub:
        return exact_sum((Exact){x * wide, 0}, -y * wide);
    case OP_loop_mul:
        return exact_product(x * wide, y);
    case OP_loop_div: {
        double q = x * wide / y;
        return (Exact){q, -fma(q, y, -x * wide) / y};
    }
    default: /* scale */
        return (Exact){ldexp(x, (int)y), 0};
    }
}

#define FLOAT_BINARY(T, name)                                                                                \
    static T name(int id, T x, T y) {                                                                        \
        switch (id) {                                                                                        \
        case OP_loop_add:                                                                                    \
            return x + y;                                                                                    \
        case OP_loop_sub:                                                                                    \
            return x - y;                                                                                    \
        case OP_loop_mul:                                                                                    \
            return x * y;                                                                                    \
        case OP_loop_div:                                                                                    \
            return x / y;                                                                                    \
        case OP_loop_min:                                                                                    \
            return x < y ? x : y;                                                                            \
        case OP_loop_scale:                                                                                  \
            return y == y ? (T)ldexp((double)x, (int)y) : y;                                                 \
        default:                                                                                             \
            return x > y ? x : y; /* max */                                                                  \
        }                                                                                                    \
    }
FLOAT_BINARY(float, binary_f32)
FLOAT_BINARY(double, binary_f64)

static Cell binary_float(const LoopRun *run, int id, DType dt, Cell x, Cell y) {
    x = operand(run, dt, x), y = operand(run, dt, y);
    if (dt == DT_F32) {
        Cell r = {.f = binary_f32(id, x.f, y.f)};
        if (fabsf(r.f) > FLT_MIN || id == OP_loop_min || id == OP_loop_max) return r;
        return result(run, dt, r, exact_binary(id, (double)x.f, (double)y.f, 1));
    }
    Cell r = {.d = binary_f64(id, x.d, y.d)};
    if (fabs(r.d) > DBL_MIN || id == OP_loop_min || id == OP_loop_max) return r;
    return result(run, dt, r, exact_binary(id, x.d, y.d, WIDER));
}

/* Sums wrap, so they are done unsigned. */
static bool binary_int(int id, DType dt, int64_t x, int64_t y, int64_t *r) {
    uint64_t ux = (uint64_t)x, uy = (uint64_t)y;
    int width = dt == DT_I32 ? 32 : 64;
    switch (id) {
    case OP_loop_add:
        return *r = (int64_t)(ux + uy), true;
    case OP_loop_sub:
        return *r = (int64_t)(ux - uy), true;
    case OP_loop_mul:
        return *r = (int64_t)(ux * uy), true;
    case OP_loop_div:
        return y != 0 && !(y == -1 && x == INT64_MIN) && (*r = x / y, true);
    case OP_loop_rem:
        return y != 0 && !(y == -1 && x == INT64_MIN) && (*r = x % y, true);
    case OP_loop_min:
        return *r = x < y ? x : y, true;
    case OP_loop_max:
        return *r = x > y ? x : y, true;
    case OP_loop_and:
        return *r = x & y, true;
    case OP_loop_or:
        return *r = x | y, true;
    case OP_loop_xor:
        return *r = x ^ y, true;
    case OP_loop_shl:
        return y >= 0 && y < width && (*r = (int64_t)(ux << uy), true);
    default: /* shr */
        if (dt == DT_I32) ux = (uint32_t)ux;
        return y >= 0 && y < width && (*r = (int64_t)(ux >> uy), true);
    }
}

bool lane_binary(const LoopRun *run, int id, DType dt, Cell x, Cell y, Cell *r) {
    if (dt == DT_F32 || dt == DT_F64) return *r = binary_float(run, id, dt, x, y), true;
    int64_t v = 0;
    if (!binary_int(id, dt, x.i, y.i, &v)) return false;
    return r->i = lane_wrap(dt, v), true;
}

static double unary_float(int id, double x) {
    switch (id) {
    case OP_loop_neg:
        return -x;
    case OP_loop_abs:
        return fabs(x);
    case OP_loop_floor:
        return floor(x);
    case OP_loop_round:
        return nearbyint(x);
    case OP_loop_sqrt:
        return sqrt(x); /* of a float, in double, then rounded: as good as sqrtf */
    case OP_loop_exp:
        return exp(x);
    case OP_loop_exp2:
        return exp2(x);
    case OP_loop_log:
        return log(x);
    case OP_loop_log1p:
        return log1p(x);
    case OP_loop_sin:
        return sin(x);
    case OP_loop_cos:
        return cos(x);
    case OP_loop_tanh:
        return tanh(x);
    case OP_loop_softplus:
        return fmax(x, 0) + log1p(exp(-fabs(x)));
    default:
        return erf(x);
    }
}

Cell lane_unary(const LoopRun *run, int id, DType dt, Cell x) {
    Cell r = {.i = 0};
    bool copies = id == OP_loop_neg || id == OP_loop_abs;
    if (!copies) x = operand(run, dt, x);
    if (dt == DT_F32) {
        double y = unary_float(id, (double)x.f);
        r.f = (float)y;
        return copies ? r : result(run, dt, r, (Exact){y, 0});
    }
    if (dt == DT_F64)
        r.d = unary_float(id, x.d); /* never tiny: exp and its like are of f32 */
    else
        r.i = lane_wrap(dt, id == OP_loop_abs && x.i >= 0 ? x.i : (int64_t)(0 - (uint64_t)x.i));
    return r;
}

Cell lane_fma(const LoopRun *run, DType dt, Cell x, Cell y, Cell z) {
    if (!run->fused) return binary_float(run, OP_loop_add, dt, binary_float(run, OP_loop_mul, dt, x, y), z);
    x = operand(run, dt, x), y = operand(run, dt, y), z = operand(run, dt, z);
    if (dt == DT_F32) {
        Cell r = {.f = fmaf(x.f, y.f, z.f)};
        return result(run, dt, r, exact_sum(exact_product((double)x.f, (double)y.f), (double)z.f));
    }
    Cell r = {.d = fma(x.d, y.d, z.d)};
    return result(run, dt, r, exact_sum(exact_product(x.d * WIDER, y.d), z.d * WIDER));
}

Cell lane_dot4(Cell acc, Cell x, Cell y) {
    int64_t sum = acc.i;
    for (int j = 0; j < 4; j++)
        sum += (int64_t)(uint8_t)((uint64_t)x.i >> (8 * j)) * (int8_t)((uint64_t)y.i >> (8 * j));
    return (Cell){.i = lane_wrap(DT_I32, sum)};
}

/* Half j of a packed pair of bf16. */
static Cell bf16_half(Cell x, int j) {
    uint32_t u = (uint32_t)x.i >> (16 * j) << 16;
    Cell r;
    memcpy(&r.f, &u, 4);
    return flush(DT_F32, r);
}

Cell lane_dot2(const LoopRun *run, Cell acc, Cell x, Cell y) {
    Cell sum = flush(DT_F32, acc);
    for (int j = 1; j >= 0; j--)
        sum = flush(DT_F32, lane_fma(run, DT_F32, bf16_half(x, j), bf16_half(y, j), sum));
    return sum;
}

Cell lane_pair(Cell x, Cell y) {
    uint16_t half[2];
    dtype_store(DT_BF16, half, 0, (double)flush(DT_F32, x).f);
    dtype_store(DT_BF16, half, 1, (double)flush(DT_F32, y).f);
    return (Cell){.i = (int32_t)(half[0] | (uint32_t)half[1] << 16)};
}

/* Byte j of the four lanes that lane l belongs to. */
static uint32_t byte_beside(const Cell *x, int l, int j) {
    return (uint8_t)((uint64_t)x[l / 4 * 4 + j / 4].i >> (8 * (j % 4)));
}

static Cell from_bytes(const uint32_t byte[4]) {
    return (Cell){.i = (int32_t)(byte[0] | byte[1] << 8 | byte[2] << 16 | byte[3] << 24)};
}

Cell lane_lookup(const Cell *x, const Cell *table, int l) {
    uint32_t byte[4];
    for (int j = 0; j < 4; j++) byte[j] = byte_beside(table, l, (int)(byte_beside(x, l, l % 4 * 4 + j) & 15));
    return from_bytes(byte);
}

/* from: the byte of the four lanes that comes first. */
Cell lane_zip(const Cell *x, const Cell *y, int l, int from) {
    uint32_t byte[4];
    for (int j = 0; j < 4; j++) byte[j] = byte_beside(j % 2 ? y : x, l, from + l % 4 * 2 + j / 2);
    return from_bytes(byte);
}

/* -1, 0, 1, or 2 when a NaN makes them unordered. */
static int order(DType dt, Cell x, Cell y) {
    if (dt == DT_F32) return x.f < y.f ? -1 : x.f > y.f ? 1 : x.f == y.f ? 0 : 2;
    if (dt == DT_F64) return x.d < y.d ? -1 : x.d > y.d ? 1 : x.d == y.d ? 0 : 2;
    return x.i < y.i ? -1 : x.i > y.i;
}

static bool order_holds(const char *pred, int order) {
    if (!strcmp(pred, "lt")) return order == -1;
    if (!strcmp(pred, "le")) return order == -1 || order == 0;
    if (!strcmp(pred, "eq")) return order == 0;
    if (!strcmp(pred, "ne")) return order != 0;
    if (!strcmp(pred, "gt")) return order == 1;
    return order == 1 || order == 0;
}

bool lane_holds(const LoopRun *run, const char *pred, DType dt, Cell x, Cell y) {
    return order_holds(pred, order(dt, operand(run, dt, x), operand(run, dt, y)));
}

static int64_t saturate(double v, DType to) {
    if (isnan(v)) return 0;
    if (to == DT_I32) return v <= INT32_MIN ? INT32_MIN : v >= INT32_MAX ? INT32_MAX : (int64_t)v;
    return v <= -0x1p63 ? INT64_MIN : v >= 0x1p63 ? INT64_MAX : (int64_t)v;
}

Cell lane_cast(const LoopRun *run, DType from, DType to, Cell x) {
    Cell r = {.i = 0};
    if (from == to) return x;
    bool flt = from == DT_F32 || from == DT_F64;
    x = operand(run, from, x);
    double v = from == DT_F32 ? (double)x.f : from == DT_F64 ? x.d : 0;
    if (to == DT_F32) {
        r.f = flt ? (float)v : (float)x.i;
        if (flt) r = result(run, to, r, (Exact){v, 0});
    } else if (to == DT_F64) {
        r.d = flt ? v : (double)x.i; /* an f32 is far above the denormals of f64 */
    } else if (to == DT_BOOL) {
        r.i = flt ? v != 0 : x.i != 0;
    } else {
        r.i = flt ? saturate(v, to) : lane_wrap(to, x.i);
    }
    return r;
}

Cell lane_bits(DType from, DType to, Cell x) {
    Cell r = {.i = 0};
    int32_t i32;
    if (from == DT_F32)
        memcpy(&i32, &x.f, 4), r.i = i32;
    else if (to == DT_F32)
        i32 = (int32_t)x.i, memcpy(&r.f, &i32, 4);
    else
        r = x; /* 64 bits share the cell */
    return r;
}
