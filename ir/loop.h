/* LB, the loop builder: how lowering writes loop-level IR. One C call adds one op; scalars are splat by
 * themselves where a vector is wanted; KFOR reads like the loop that it writes:
 *
 *     Value *acc = lb_var(b, lb_splat(b, lb_f32(b, 0)));
 *     KFOR(b, k, lb_i64(b, 0), n, 1) {
 *         Value *x = lb_load(b, DT_F32, 0, xp, k, 0);            a scalar
 *         Value *w = lb_load(b, DT_BF16, b->lanes, wp, lb_mul(b, k, lb_i64(b, 16)), 0);
 *         lb_set(b, acc, lb_fma(b, x, w, lb_get(b, acc)));
 *     }
 *
 * A vector has b->lanes elements: a register (or several) on a CPU, one warp on a GPU, where scalars are
 * uniform over the warp. Compute types are f32, f64, i32, i64; the dtype of a load or store is how the number
 * lies in memory (bf16 and f16 widen to f32 and round back). */
#ifndef BTC_LOOP_H
#define BTC_LOOP_H

#include "op.h"

enum { LB_MAX_DEPTH = 32 };

/* What a machine makes of denormals in arithmetic (the settings are those of runtime/float_env.h). Flushed, a
 * denormal operand is a zero of its sign, and so is a result that is too small to be normal: judged with its
 * digits rounded (x86) or before (ARM). */
typedef enum Denormals { DENORMALS_KEPT, DENORMALS_FLUSHED_ROUNDED, DENORMALS_FLUSHED_EXACT } Denormals;

/* How a machine shares out the work of a call. */
typedef enum Execution {
    EXECUTION_THREADS, /* threads take part in every stage and meet at barriers */
    EXECUTION_SINGLE,  /* one thread, which shares with nobody and waits for nobody */
    EXECUTION_GRID,    /* each stage is a kernel, for a grid of warps; a vector is a warp */
} Execution;
const char *execution_name(Execution e);

typedef struct LB {
    Func *f;
    int lanes; /* vector width of the target in f32 */
    Block *at; /* ops are appended here */
    Block *stack[LB_MAX_DEPTH];
    int depth;
    Loc loc; /* put on every op: the model op that is being lowered */
} LB;

LB lb_new(Func *f, int lanes);

/* ---- constants ---- */
Value *lb_i64(LB *b, int64_t v);
Value *lb_i32(LB *b, int32_t v);
Value *lb_f32(LB *b, double v);
Value *lb_f64(LB *b, double v);
Value *lb_splat(LB *b, Value *scalar); /* a vector is returned as it is */
Value *lb_iota(LB *b);                 /* i32: 0 .. lanes-1 */

/* ---- arithmetic: both operands of one element type; a scalar beside a vector is splat ---- */
#define LB_BINARY(X)                                                                                         \
    X(add) X(sub) X(mul) X(div) X(rem) X(min) X(max) X(and) X(or) X(xor) X(shl) X(shr) X(scale)
#define LB_UNARY(X)                                                                                          \
    X(neg)                                                                                                   \
    X(abs) X(sqrt) X(floor) X(round) X(exp) X(exp2) X(log) X(log1p) X(sin) X(cos) X(tanh) X(erf) X(softplus)
#define X(name) Value *lb_##name(LB *b, Value *x, Value *y);
LB_BINARY(X)
#undef X
#define X(name) Value *lb_##name(LB *b, Value *x);
LB_UNARY(X)
#undef X
Value *lb_fma(LB *b, Value *x, Value *y, Value *z); /* x*y + z */
/* Dot products of the packed parts of an i32: acc i32, x four unsigned and y four signed bytes; acc f32, x and y
 * two bf16 each (the target must have `bf16_dots`, or it is slow). */
Value *lb_dot4(LB *b, Value *acc, Value *x, Value *y);
Value *lb_dot2(LB *b, Value *acc, Value *x, Value *y);
Value *lb_pair(LB *b, Value *x, Value *y); /* what lb_dot2 takes: bf16 of x below, of y above */
/* Bytes within every four lanes (128 bits) of i32 vectors, which must have a multiple of four lanes. */
Value *lb_lookup(LB *b, Value *x, Value *table);
Value *lb_zip_low(LB *b, Value *x, Value *y);
Value *lb_zip_high(LB *b, Value *x, Value *y);
Value *lb_cmp(LB *b, const char *pred, Value *x, Value *y); /* lt le eq ne gt ge */
Value *lb_select(LB *b, Value *cond, Value *x, Value *y);
Value *lb_keep_nan(LB *b, Value *x, Value *y); /* y, but where x is NaN, x: comparisons lose it */
Value *lb_cast(LB *b, Value *x, DType to);
Value *lb_bits(LB *b, Value *x, DType to);
Value *lb_reduce(LB *b, const char *kind, Value *vec); /* "add", "max" -> scalar; pairwise, fixed order */
/* i64 index arithmetic with small constants, folded when known */
Value *lb_addi(LB *b, Value *x, int64_t c);
Value *lb_muli(LB *b, Value *x, int64_t c);
bool lb_const(const Value *v, int64_t *out); /* whether v is an integer constant */

/* ---- memory ---- */
Value *lb_offset(LB *b, Value *ptr, Value *bytes);
Value *lb_offseti(LB *b, Value *ptr, int64_t bytes);
Value *lb_loadp(LB *b, Value *table, Value *index);
/* lanes 0: a scalar. index counts elements of dt. n: active lanes of a vector, 0 = all; inactive lanes are
 * read as 0 and not written. */
Value *lb_load(LB *b, DType dt, int lanes, Value *ptr, Value *index, int n);
void lb_store(LB *b, DType dt, Value *ptr, Value *index, Value *v, int n);
void lb_prefetch(LB *b, Value *ptr, Value *index, DType dt);

/* ---- variables, control ---- */
Value *lb_var(LB *b, Value *init);
Value *lb_get(LB *b, Value *var);
void lb_set(LB *b, Value *var, Value *v);
Value *lb_for_begin(LB *b, Value *lo, Value *hi, int64_t step);
Value *lb_for_end(LB *b); /* NULL */
#define KFOR(b, i, lo, hi, step) for (Value *i = lb_for_begin((b), (lo), (hi), (step)); i; i = lb_for_end(b))
void lb_if_begin(LB *b, Value *cond);
void lb_else(LB *b);
void lb_if_end(LB *b);
void lb_invoke(LB *b, const char *func, Value *const *args, int n);
void lb_barrier(LB *b, Value *call, Value *nthreads);
Value *lb_clock(LB *b); /* i64: ticks of a steady clock; in the interpreter it stands still */

/* ---- ops/loop.c ---- */
/* Which loop op this is, for a switch; OP_COUNT for an op of the model level. */
OpId loop_op_id(const OpDef *def);

/* ---- verify_loop.c ---- */
/* Operand counts, types, attributes, and that variables are only touched by get and set. */
bool ir_verify_loop(Diag *d, Func *f);

#endif
