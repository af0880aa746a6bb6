/* The interpreter of the loop level: the meaning of each op in plain C, one lane at a time. Favours being
 * obviously right over speed. A value is an array of cells, one per lane, kept in Value.aux while its
 * function runs; a variable is a value that `set` writes. Op.mark is the op's number in the table.
 *
 * C must not fuse x*y+z behind our back here; ISO mode of the compiler (-std=c11) sees to that. */
#include "interp_loop.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "loop.h"

typedef union Cell {
    float f;
    double d;
    int64_t i; /* i32 is kept sign-extended; bool is 0 or 1 */
    char *p;
} Cell;

typedef struct Machine {
    Diag *d;
    const LoopRun *run;
    Arena *arena;
    const Func *f;
} Machine;

static bool fail(const Machine *m, const Op *op, const char *what) {
    return diag_error(m->d, op->loc, "@%s: %s%s%s: %s", m->f->name, op->nout ? "%" : "",
                      op->nout ? op->out[0]->name : "", op->def->name, what);
}

static int lanes_of(Type t) {
    return t.kind == TY_SCALAR && t.lanes ? t.lanes : 1;
}
static Cell *cells(const Value *v) {
    return v->aux;
}
static int64_t wrap(DType dt, int64_t v) {
    return dt == DT_I32 ? (int64_t)(int32_t)(uint32_t)v : v;
}

/* ---- denormals ---- */

static Cell flush(DType dt, Cell x) {
    if (dt == DT_F32 && fabsf(x.f) < FLT_MIN) x.f = copysignf(0, x.f);
    if (dt == DT_F64 && fabs(x.d) < DBL_MIN) x.d = copysign(0, x.d);
    return x;
}

static Cell operand(const Machine *m, DType dt, Cell x) {
    return m->run->denormals == DENORMALS_KEPT ? x : flush(dt, x);
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
static Cell result(const Machine *m, DType dt, Cell r, Exact exact) {
    if (m->run->denormals == DENORMALS_KEPT) return r;
    bool single = dt == DT_F32;
    double least = single ? FLT_MIN : DBL_MIN, size = fabs(single ? (double)r.f : r.d);
    if (size == least) {
        double limit = single ? least : least * WIDER, sign = exact.hi < 0 ? -1 : 1;
        double half_a_place = limit * (single ? 0x1p-25 : 0x1p-54);
        double slack = m->run->denormals == DENORMALS_FLUSHED_ROUNDED ? half_a_place : 0;
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

static Cell binary_float(const Machine *m, int id, DType dt, Cell x, Cell y) {
    x = operand(m, dt, x), y = operand(m, dt, y);
    if (dt == DT_F32) {
        Cell r = {.f = binary_f32(id, x.f, y.f)};
        if (fabsf(r.f) > FLT_MIN || id == OP_loop_min || id == OP_loop_max) return r;
        return result(m, dt, r, exact_binary(id, (double)x.f, (double)y.f, 1));
    }
    Cell r = {.d = binary_f64(id, x.d, y.d)};
    if (fabs(r.d) > DBL_MIN || id == OP_loop_min || id == OP_loop_max) return r;
    return result(m, dt, r, exact_binary(id, x.d, y.d, WIDER));
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

static bool binary(const Machine *m, int id, DType dt, Cell x, Cell y, Cell *r) {
    if (dt == DT_F32 || dt == DT_F64) return *r = binary_float(m, id, dt, x, y), true;
    int64_t v = 0;
    if (!binary_int(id, dt, x.i, y.i, &v)) return false;
    return r->i = wrap(dt, v), true;
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

static Cell unary(const Machine *m, int id, DType dt, Cell x) {
    Cell r = {.i = 0};
    bool copies = id == OP_loop_neg || id == OP_loop_abs;
    if (!copies) x = operand(m, dt, x);
    if (dt == DT_F32) {
        double y = unary_float(id, (double)x.f);
        r.f = (float)y;
        return copies ? r : result(m, dt, r, (Exact){y, 0});
    }
    if (dt == DT_F64)
        r.d = unary_float(id, x.d); /* never tiny: exp and its like are of f32 */
    else
        r.i = wrap(dt, id == OP_loop_abs && x.i >= 0 ? x.i : (int64_t)(0 - (uint64_t)x.i));
    return r;
}

static Cell fma_lane(const Machine *m, DType dt, Cell x, Cell y, Cell z) {
    if (!m->run->fused) return binary_float(m, OP_loop_add, dt, binary_float(m, OP_loop_mul, dt, x, y), z);
    x = operand(m, dt, x), y = operand(m, dt, y), z = operand(m, dt, z);
    if (dt == DT_F32) {
        Cell r = {.f = fmaf(x.f, y.f, z.f)};
        return result(m, dt, r, exact_sum(exact_product((double)x.f, (double)y.f), (double)z.f));
    }
    Cell r = {.d = fma(x.d, y.d, z.d)};
    return result(m, dt, r, exact_sum(exact_product(x.d * WIDER, y.d), z.d * WIDER));
}

static Cell dot4_lane(Cell acc, Cell x, Cell y) {
    int64_t sum = acc.i;
    for (int j = 0; j < 4; j++)
        sum += (int64_t)(uint8_t)((uint64_t)x.i >> (8 * j)) * (int8_t)((uint64_t)y.i >> (8 * j));
    return (Cell){.i = wrap(DT_I32, sum)};
}

/* Half j of a packed pair of bf16. */
static Cell bf16_half(Cell x, int j) {
    uint32_t u = (uint32_t)x.i >> (16 * j) << 16;
    Cell r;
    memcpy(&r.f, &u, 4);
    return flush(DT_F32, r);
}

static Cell dot2_lane(const Machine *m, Cell acc, Cell x, Cell y) {
    Cell sum = flush(DT_F32, acc);
    for (int j = 1; j >= 0; j--)
        sum = flush(DT_F32, fma_lane(m, DT_F32, bf16_half(x, j), bf16_half(y, j), sum));
    return sum;
}

static Cell pair_lane(Cell x, Cell y) {
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

static Cell lookup_lane(const Cell *x, const Cell *table, int l) {
    uint32_t byte[4];
    for (int j = 0; j < 4; j++) byte[j] = byte_beside(table, l, (int)(byte_beside(x, l, l % 4 * 4 + j) & 15));
    return from_bytes(byte);
}

/* from: the byte of the four lanes that comes first. */
static Cell zip_lane(const Cell *x, const Cell *y, int l, int from) {
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

static bool holds(const char *pred, int order) {
    if (!strcmp(pred, "lt")) return order == -1;
    if (!strcmp(pred, "le")) return order == -1 || order == 0;
    if (!strcmp(pred, "eq")) return order == 0;
    if (!strcmp(pred, "ne")) return order != 0;
    if (!strcmp(pred, "gt")) return order == 1;
    return order == 1 || order == 0;
}

static int64_t saturate(double v, DType to) {
    if (isnan(v)) return 0;
    if (to == DT_I32) return v <= INT32_MIN ? INT32_MIN : v >= INT32_MAX ? INT32_MAX : (int64_t)v;
    return v <= -0x1p63 ? INT64_MIN : v >= 0x1p63 ? INT64_MAX : (int64_t)v;
}

static Cell cast(const Machine *m, DType from, DType to, Cell x) {
    Cell r = {.i = 0};
    if (from == to) return x;
    bool flt = from == DT_F32 || from == DT_F64;
    x = operand(m, from, x);
    double v = from == DT_F32 ? (double)x.f : from == DT_F64 ? x.d : 0;
    if (to == DT_F32) {
        r.f = flt ? (float)v : (float)x.i;
        if (flt) r = result(m, to, r, (Exact){v, 0});
    } else if (to == DT_F64) {
        r.d = flt ? v : (double)x.i; /* an f32 is far above the denormals of f64 */
    } else if (to == DT_BOOL) {
        r.i = flt ? v != 0 : x.i != 0;
    } else {
        r.i = flt ? saturate(v, to) : wrap(to, x.i);
    }
    return r;
}

static Cell bits(DType from, DType to, Cell x) {
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

/* ---- memory ---- */

static bool may_touch(const Machine *m, const Op *op, const char *at, size_t size) {
    if (!m->run->regions) return true;
    const LoopRegion *near = NULL;
    intptr_t a = (intptr_t)at, off = 0;
    for (int i = 0; i < m->run->nregions; i++) {
        const LoopRegion *r = &m->run->regions[i];
        intptr_t base = (intptr_t)r->base, end = base + (intptr_t)r->bytes;
        if (a >= base && a + (intptr_t)size <= end) return true;
        if (!near || imaxabs(a - base) < imaxabs(off)) near = r, off = a - base;
    }
    return diag_error(m->d, op->loc, "@%s: %s: %zu bytes at %s%+lld are outside of its %zu bytes", m->f->name,
                      op->def->name, size, near ? near->name : "nothing", (long long)off,
                      near ? near->bytes : 0);
}

static Cell load_cell(DType dt, const char *at) {
    Cell r = {.i = 0};
    if (dt == DT_F64 || dt == DT_I64)
        memcpy(&r, at, 8);
    else if (dt == DT_F32 || dt == DT_BF16 || dt == DT_F16)
        r.f = (float)dtype_load(dt, at, 0);
    else
        r.i = (int64_t)dtype_load(dt, at, 0);
    if (dt == DT_F32) memcpy(&r.f, at, 4); /* a NaN keeps its bits */
    if (dt == DT_BOOL) r.i = r.i != 0;
    return r;
}

static void store_cell(DType dt, char *at, Cell v) {
    switch (dt) {
    case DT_F32:
        memcpy(at, &v.f, 4);
        break;
    case DT_BF16:
    case DT_F16:
        dtype_store(dt, at, 0, (double)v.f);
        break;
    case DT_F64:
    case DT_I64:
        memcpy(at, &v, 8);
        break;
    default: { /* the low bits of an integer; the bytes of memory are little-endian, as all targets are */
        for (size_t k = 0; k < dtype_size(dt); k++) at[k] = (char)(uint8_t)((uint64_t)v.i >> (8 * k));
    }
    }
}

static bool run_access(const Machine *m, const Op *op, bool store) {
    DType dt;
    if (!dtype_parse(attr_str(op, "dt", ""), &dt)) return fail(m, op, "unknown dt");
    Value *v = store ? op->in[2] : op->out[0];
    int lanes = lanes_of(v->type), n = (int)attr_int(op, "n", 0);
    int64_t size = (int64_t)dtype_size(dt);
    char *at = cells(op->in[0])->p + cells(op->in[1])->i * size;
    for (int l = 0; l < lanes; l++) {
        bool active = n == 0 || l < n;
        if (active && !may_touch(m, op, at + l * size, (size_t)size)) return false;
        if (store && active) store_cell(dt, at + l * size, cells(v)[l]);
        if (!store) cells(v)[l] = active ? load_cell(dt, at + l * size) : (Cell){.i = 0};
    }
    return true;
}

static bool run_loadp(const Machine *m, const Op *op) {
    char *at = cells(op->in[0])->p + 8 * cells(op->in[1])->i;
    if (!may_touch(m, op, at, sizeof(char *))) return false;
    memcpy(&cells(op->out[0])->p, at, sizeof(char *));
    return true;
}

/* ---- control ---- */

static bool run_block(const Machine *m, const Block *b);
static bool run_func(const Machine *caller, Func *f, const Cell *args);

static bool run_for(const Machine *m, const Op *op) {
    int64_t hi = cells(op->in[1])->i, step = attr_int(op, "step", 1);
    for (int64_t i = cells(op->in[0])->i; i < hi; i += step) {
        cells(op->body[0]->args[0])->i = i;
        if (!run_block(m, op->body[0])) return false;
    }
    return true;
}

static bool run_invoke(const Machine *m, const Op *op) {
    Func *g = ir_func_find(m->f->module, attr_str(op, "func", ""));
    if (!g) return fail(m, op, "unknown function");
    Cell *args = ARENA_ARRAY(m->arena, Cell, op->nin);
    for (int i = 0; i < op->nin; i++) args[i] = cells(op->in[i])[0];
    return run_func(m, g, args);
}

static void run_reduce(const Machine *m, const Op *op) {
    int n = lanes_of(op->in[0]->type);
    DType dt = op->in[0]->type.dt;
    int id = strcmp(attr_str(op, "kind", ""), "max") ? OP_loop_add : OP_loop_max;
    Cell v[256];
    memcpy(v, cells(op->in[0]), sizeof(Cell) * (size_t)n);
    for (n /= 2; n; n /= 2)
        for (int l = 0; l < n; l++) binary(m, id, dt, v[l], v[l + n], &v[l]);
    *cells(op->out[0]) = v[0];
}

static Cell constant(const Op *op) {
    Cell r = {.i = attr_int(op, "v", 0)};
    if (op->out[0]->type.dt == DT_F32) r.f = (float)attr_float(op, "v", 0);
    if (op->out[0]->type.dt == DT_F64) r.d = attr_float(op, "v", 0);
    return r;
}

/* Ops that treat each lane alike. */
static bool run_lanes(const Machine *m, const Op *op) {
    const Value *o = op->out[0];
    Cell *out = cells(o), *x = op->nin > 0 ? cells(op->in[0]) : NULL;
    Cell *y = op->nin > 1 ? cells(op->in[1]) : NULL, *z = op->nin > 2 ? cells(op->in[2]) : NULL;
    DType dt = o->type.dt, from = op->nin ? op->in[0]->type.dt : dt;
    for (int l = 0; l < lanes_of(o->type); l++) {
        switch (op->mark) {
        case OP_loop_const:
            out[l] = constant(op);
            break;
        case OP_loop_splat:
            out[l] = x[0];
            break;
        case OP_loop_iota:
            out[l].i = l;
            break;
        case OP_loop_fma:
            out[l] = fma_lane(m, dt, x[l], y[l], z[l]);
            break;
        case OP_loop_dot4:
            out[l] = dot4_lane(x[l], y[l], z[l]);
            break;
        case OP_loop_dot2:
            out[l] = dot2_lane(m, x[l], y[l], z[l]);
            break;
        case OP_loop_pair:
            out[l] = pair_lane(x[l], y[l]);
            break;
        case OP_loop_lookup:
            out[l] = lookup_lane(x, y, l);
            break;
        case OP_loop_zip_low:
        case OP_loop_zip_high:
            out[l] = zip_lane(x, y, l, op->mark == OP_loop_zip_low ? 0 : 8);
            break;
        case OP_loop_cmp:
            out[l].i =
                holds(attr_str(op, "pred", ""), order(from, operand(m, from, x[l]), operand(m, from, y[l])));
            break;
        case OP_loop_select:
            out[l] = x[l].i ? y[l] : z[l];
            break;
        case OP_loop_cast:
            out[l] = cast(m, from, dt, x[l]);
            break;
        case OP_loop_bits:
            out[l] = bits(from, dt, x[l]);
            break;
        case OP_loop_get:
        case OP_loop_var:
            out[l] = x[l];
            break;
        default:
            if (op->nin == 1)
                out[l] = unary(m, op->mark, dt, x[l]);
            else if (!binary(m, op->mark, dt, x[l], y[l], &out[l]))
                return fail(m, op, "undefined for these numbers");
        }
    }
    return true;
}

static bool run_op(const Machine *m, const Op *op) {
    switch (op->mark) {
    case OP_loop_reduce:
        return run_reduce(m, op), true;
    case OP_loop_offset:
        return cells(op->out[0])->p = cells(op->in[0])->p + cells(op->in[1])->i, true;
    case OP_loop_loadp:
        return run_loadp(m, op);
    case OP_loop_load:
        return run_access(m, op, false);
    case OP_loop_store:
        return run_access(m, op, true);
    case OP_loop_set:
        memcpy(cells(op->in[0]), cells(op->in[1]), sizeof(Cell) * (size_t)lanes_of(op->in[1]->type));
        return true;
    case OP_loop_for:
        return run_for(m, op);
    case OP_loop_if: {
        const Block *b = op->body[cells(op->in[0])->i ? 0 : 1];
        return !b || run_block(m, b);
    }
    case OP_loop_invoke:
        return run_invoke(m, op);
    case OP_loop_clock:
        return cells(op->out[0])->i = 0, true;
    case OP_loop_prefetch:
    case OP_loop_barrier:
        return true;
    default:
        return run_lanes(m, op);
    }
}

static bool run_block(const Machine *m, const Block *b) {
    OPS_OF (b, op)
        if (!run_op(m, op)) return false;
    return true;
}

/* ---- functions ---- */

static void make_cells(Arena *a, Value *v) {
    v->aux = ARENA_ARRAY(a, Cell, lanes_of(v->type));
}

static void prepare(Arena *a, Block *b) {
    for (int i = 0; i < b->nargs; i++) make_cells(a, b->args[i]);
    OPS_OF (b, op) {
        op->mark = (int)loop_op_id(op->def);
        for (int i = 0; i < op->nout; i++) make_cells(a, op->out[i]);
        for (int i = 0; i < 2; i++)
            if (op->body[i]) prepare(a, op->body[i]);
    }
}

/* A function's cells live for one run of it, so no function may run inside itself (nor can lowering write
 * that). */
static bool run_func(const Machine *caller, Func *f, const Cell *args) {
    Machine m = *caller;
    m.f = f, m.arena = arena_new();
    for (int i = 0; i < f->nparams; i++) {
        make_cells(m.arena, f->params[i]);
        *cells(f->params[i]) = args[i];
    }
    prepare(m.arena, f->body);
    bool ok = run_block(&m, f->body);
    arena_free(m.arena);
    return ok;
}

bool interp_loop(Diag *d, Func *f, const LoopArg *args, const LoopRun *run) {
    Machine m = {.d = d, .run = run, .f = f};
    Cell *cells_of_args = ARENA_ARRAY(d->arena, Cell, f->nparams + 1);
    for (int i = 0; i < f->nparams; i++) {
        Type t = f->params[i]->type;
        if (t.kind == TY_PTR)
            cells_of_args[i].p = args[i].p;
        else if (t.dt == DT_F32)
            cells_of_args[i].f = (float)args[i].f;
        else if (t.dt == DT_F64)
            cells_of_args[i].d = args[i].f;
        else
            cells_of_args[i].i = wrap(t.dt, args[i].i);
    }
    return run_func(&m, f, cells_of_args);
}
