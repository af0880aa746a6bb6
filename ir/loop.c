/* The loop builder: see loop.h. */
#include "loop.h"

#include <string.h>

LB lb_new(Func *f, int lanes) {
    return (LB){.f = f, .lanes = lanes, .at = f->body};
}

static Op *emit(LB *b, OpId id, Value *const *in, int nin, int nout, Type t) {
    Op *op = ir_op_new(b->f, OP_TABLE[id], in, nin, nout, b->loc);
    if (nout) op->out[0]->type = t;
    ir_append(b->at, op);
    return op;
}

static Value *emit1(LB *b, OpId id, Value *const *in, int nin, Type t) {
    return emit(b, id, in, nin, 1, t)->out[0];
}

static Value *constant(LB *b, Type t, bool is_float, int64_t i, double f) {
    Op *op = emit(b, OP_loop_const, NULL, 0, 1, t);
    if (is_float)
        op_set_float(b->f, op, "v", f);
    else
        op_set_int(b->f, op, "v", i);
    return op->out[0];
}

Value *lb_i64(LB *b, int64_t v) {
    return constant(b, type_scalar(DT_I64, 0), false, v, 0);
}
Value *lb_i32(LB *b, int32_t v) {
    return constant(b, type_scalar(DT_I32, 0), false, v, 0);
}
Value *lb_f32(LB *b, double v) {
    return constant(b, type_scalar(DT_F32, 0), true, 0, v);
}
Value *lb_f64(LB *b, double v) {
    return constant(b, type_scalar(DT_F64, 0), true, 0, v);
}

Value *lb_splat(LB *b, Value *s) {
    if (s->type.lanes) return s;
    return emit1(b, OP_loop_splat, &s, 1, type_scalar(s->type.dt, b->lanes));
}

Value *lb_iota(LB *b) {
    return emit1(b, OP_loop_iota, NULL, 0, type_scalar(DT_I32, b->lanes));
}

/* Splats whichever operand is scalar when another is a vector. */
static void level_lanes(LB *b, Value **in, int n) {
    bool vec = false;
    for (int i = 0; i < n; i++) vec |= in[i]->type.lanes > 0;
    for (int i = 0; i < n && vec; i++) in[i] = lb_splat(b, in[i]);
}

static Value *binary(LB *b, OpId id, Value *x, Value *y) {
    if (x->type.dt != y->type.dt || x->type.kind != TY_SCALAR)
        BTC_BUG("%s of %s and %s", OP_TABLE[id]->name, dtype_name(x->type.dt), dtype_name(y->type.dt));
    Value *in[2] = {x, y};
    level_lanes(b, in, 2);
    return emit1(b, id, in, 2, in[0]->type);
}

#define X(name)                                                                                              \
    Value *lb_##name(LB *b, Value *x, Value *y) {                                                            \
        return binary(b, OP_loop_##name, x, y);                                                              \
    }
LB_BINARY(X)
#undef X
#define X(name)                                                                                              \
    Value *lb_##name(LB *b, Value *x) {                                                                      \
        return emit1(b, OP_loop_##name, &x, 1, x->type);                                                     \
    }
LB_UNARY(X)
#undef X

Value *lb_fma(LB *b, Value *x, Value *y, Value *z) {
    Value *in[3] = {x, y, z};
    level_lanes(b, in, 3);
    return emit1(b, OP_loop_fma, in, 3, in[0]->type);
}

static Value *dot(LB *b, OpId id, Value *acc, Value *x, Value *y) {
    Value *in[3] = {acc, x, y};
    level_lanes(b, in, 3);
    return emit1(b, id, in, 3, in[0]->type);
}

Value *lb_dot4(LB *b, Value *acc, Value *x, Value *y) {
    return dot(b, OP_loop_dot4, acc, x, y);
}
Value *lb_dot2(LB *b, Value *acc, Value *x, Value *y) {
    return dot(b, OP_loop_dot2, acc, x, y);
}

Value *lb_pair(LB *b, Value *x, Value *y) {
    Value *in[2] = {x, y};
    level_lanes(b, in, 2);
    Type t = in[0]->type;
    t.dt = DT_I32;
    return emit1(b, OP_loop_pair, in, 2, t);
}

#define X(name)                                                                                              \
    Value *lb_##name(LB *b, Value *x, Value *y) {                                                            \
        return binary(b, OP_loop_##name, x, y);                                                              \
    }
X(lookup)
X(zip_low)
X(zip_high)
#undef X

Value *lb_cmp(LB *b, const char *pred, Value *x, Value *y) {
    Value *in[2] = {x, y};
    level_lanes(b, in, 2);
    Value *v = emit1(b, OP_loop_cmp, in, 2, type_scalar(DT_BOOL, in[0]->type.lanes));
    op_set_str(b->f, v->def, "pred", pred);
    return v;
}

Value *lb_select(LB *b, Value *cond, Value *x, Value *y) {
    Value *in[3] = {cond, x, y};
    level_lanes(b, in, 3);
    return emit1(b, OP_loop_select, in, 3, in[1]->type);
}

Value *lb_keep_nan(LB *b, Value *x, Value *y) {
    return lb_select(b, lb_cmp(b, "eq", x, x), y, x);
}

static Value *convert(LB *b, OpId id, Value *x, DType to) {
    if (x->type.dt == to) return x;
    Value *v = emit1(b, id, &x, 1, type_scalar(to, x->type.lanes));
    op_set_str(b->f, v->def, "to", dtype_name(to));
    return v;
}

Value *lb_cast(LB *b, Value *x, DType to) {
    return convert(b, OP_loop_cast, x, to);
}
Value *lb_bits(LB *b, Value *x, DType to) {
    return convert(b, OP_loop_bits, x, to);
}

Value *lb_reduce(LB *b, const char *kind, Value *vec) {
    Value *v = emit1(b, OP_loop_reduce, &vec, 1, type_scalar(vec->type.dt, 0));
    op_set_str(b->f, v->def, "kind", kind);
    return v;
}

bool lb_const(const Value *v, int64_t *out) {
    if (!v->def || v->def->def != OP_TABLE[OP_loop_const]) return false;
    const Attr *t = attr_find(v->def->attrs, "v");
    if (!t || t->kind != AT_INT) return false;
    return *out = t->i, true;
}

Value *lb_addi(LB *b, Value *x, int64_t c) {
    int64_t k;
    if (c == 0) return x;
    if (lb_const(x, &k)) return lb_i64(b, k + c);
    return lb_add(b, x, lb_i64(b, c));
}

Value *lb_muli(LB *b, Value *x, int64_t c) {
    int64_t k;
    if (c == 1) return x;
    if (lb_const(x, &k)) return lb_i64(b, k * c);
    return lb_mul(b, x, lb_i64(b, c));
}

Value *lb_offset(LB *b, Value *ptr, Value *bytes) {
    Value *in[2] = {ptr, bytes};
    return emit1(b, OP_loop_offset, in, 2, type_ptr());
}

Value *lb_offseti(LB *b, Value *ptr, int64_t bytes) {
    return bytes ? lb_offset(b, ptr, lb_i64(b, bytes)) : ptr;
}

Value *lb_loadp(LB *b, Value *table, Value *index) {
    Value *in[2] = {table, index};
    return emit1(b, OP_loop_loadp, in, 2, type_ptr());
}

/* What a number of storage type dt is when computed with. */
static DType compute_type(DType dt) {
    switch (dt) {
    case DT_BF16:
    case DT_F16:
        return DT_F32;
    case DT_I8:
    case DT_U8:
    case DT_I16:
        return DT_I32;
    default:
        return dt;
    }
}

static void set_access(LB *b, Op *op, DType dt, int n) {
    op_set_str(b->f, op, "dt", dtype_name(dt));
    if (n) op_set_int(b->f, op, "n", n);
}

Value *lb_load(LB *b, DType dt, int lanes, Value *ptr, Value *index, int n) {
    Value *in[2] = {ptr, index};
    Value *v = emit1(b, OP_loop_load, in, 2, type_scalar(compute_type(dt), lanes));
    set_access(b, v->def, dt, lanes && n < lanes ? n : 0);
    return v;
}

void lb_store(LB *b, DType dt, Value *ptr, Value *index, Value *v, int n) {
    Value *in[3] = {ptr, index, v};
    Op *op = emit(b, OP_loop_store, in, 3, 0, (Type){0});
    set_access(b, op, dt, v->type.lanes && n < v->type.lanes ? n : 0);
}

void lb_prefetch(LB *b, Value *ptr, Value *index, DType dt) {
    Value *in[2] = {ptr, index};
    set_access(b, emit(b, OP_loop_prefetch, in, 2, 0, (Type){0}), dt, 0);
}

Value *lb_var(LB *b, Value *init) {
    return emit1(b, OP_loop_var, &init, 1, init->type);
}
Value *lb_get(LB *b, Value *var) {
    return emit1(b, OP_loop_get, &var, 1, var->type);
}

void lb_set(LB *b, Value *var, Value *v) {
    if (var->type.lanes && !v->type.lanes) v = lb_splat(b, v);
    if (!type_equal(var->type, v->type)) BTC_BUG("variable of another type");
    Value *in[2] = {var, v};
    emit(b, OP_loop_set, in, 2, 0, (Type){0});
}

static void push(LB *b, Block *into) {
    if (b->depth == LB_MAX_DEPTH) BTC_BUG("loops nested too deeply");
    b->stack[b->depth++] = b->at;
    b->at = into;
}

static void pop(LB *b) {
    b->at = b->stack[--b->depth];
}

Value *lb_for_begin(LB *b, Value *lo, Value *hi, int64_t step) {
    Value *in[2] = {lo, hi};
    Op *op = emit(b, OP_loop_for, in, 2, 0, (Type){0});
    op_set_int(b->f, op, "step", step);
    Block *body = op->body[0] = ir_block_new(b->f, op);
    body->nargs = 1;
    body->args = ARENA_ARRAY(b->f->module->arena, Value *, 1);
    body->args[0] = ir_value_new(b->f, "i", type_scalar(DT_I64, 0));
    push(b, body);
    return body->args[0];
}

Value *lb_for_end(LB *b) {
    pop(b);
    return NULL;
}

void lb_if_begin(LB *b, Value *cond) {
    Op *op = emit(b, OP_loop_if, &cond, 1, 0, (Type){0});
    op->body[0] = ir_block_new(b->f, op);
    push(b, op->body[0]);
}

void lb_else(LB *b) {
    Op *op = b->at->owner;
    pop(b);
    op->body[1] = ir_block_new(b->f, op);
    push(b, op->body[1]);
}

void lb_if_end(LB *b) {
    pop(b);
}

void lb_invoke(LB *b, const char *func, Value *const *args, int n) {
    op_set_str(b->f, emit(b, OP_loop_invoke, args, n, 0, (Type){0}), "func", func);
}

void lb_barrier(LB *b, Value *call, Value *nthreads) {
    Value *in[2] = {call, nthreads};
    emit(b, OP_loop_barrier, in, 2, 0, (Type){0});
}

Value *lb_clock(LB *b) {
    return emit1(b, OP_loop_clock, NULL, 0, type_scalar(DT_I64, 0));
}

const char *execution_name(Execution e) {
    static const char *const names[] = {"threads", "single", "grid"};
    return names[e];
}
