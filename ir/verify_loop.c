/* Checks a loop-level function: everything that the builder guarantees and a text may violate. verify.c checks for both
 * levels that operands are defined before their use. */
#include "loop.h"

#include <string.h>

typedef struct Check {
    Diag *d;
    const Func *f;
    const Op *op;
} Check;

static bool fail(const Check *c, const char *what) {
    return diag_error(c->d, c->op->loc, "@%s: %s: %s", c->f->name, c->op->def->name, what);
}

static bool is_int(Type t) {
    return t.dt == DT_I32 || t.dt == DT_I64;
}
static bool is_float(Type t) {
    return t.dt == DT_F32 || t.dt == DT_F64;
}

static bool is_scalar_of(const Value *v, DType dt) {
    return v->type.kind == TY_SCALAR && v->type.dt == dt && v->type.lanes == 0;
}

/* A type that numbers are computed in. */
static bool is_compute(Type t) {
    if (t.kind != TY_SCALAR || t.lanes < 0 || (t.lanes & (t.lanes - 1))) return false;
    return is_int(t) || is_float(t) || t.dt == DT_BOOL;
}

static bool counts(const Check *c, int nin, int nout) {
    if (c->op->nin == nin && c->op->nout == nout) return true;
    return diag_error(c->d, c->op->loc, "@%s: %s: expected %d operands and %d results, found %d and %d",
                      c->f->name, c->op->def->name, nin, nout, c->op->nin, c->op->nout);
}

/* nin operands and one result of one compute type. */
static bool same_types(const Check *c, int nin) {
    if (!counts(c, nin, 1)) return false;
    for (int i = 0; i < nin; i++)
        if (!type_equal(c->op->in[i]->type, c->op->out[0]->type)) return fail(c, "operand of another type");
    return is_compute(c->op->out[0]->type) || fail(c, "not a type to compute with");
}

static bool check_arith(const Check *c, int nin, bool ints, bool floats, bool bools) {
    if (!same_types(c, nin)) return false;
    Type t = c->op->out[0]->type;
    if ((ints && is_int(t)) || (floats && is_float(t)) || (bools && t.dt == DT_BOOL)) return true;
    return fail(c, "not defined for this element type");
}

static bool word_is(const Check *c, const char *attr, const char *words) {
    const char *s = attr_str(c->op, attr, "");
    size_t n = strlen(s);
    for (const char *w = words; n && *w; w += strcspn(w, "|"), w += *w == '|')
        if (strcspn(w, "|") == n && !strncmp(w, s, n)) return true;
    return diag_error(c->d, c->op->loc, "@%s: %s: %s must be one of %s, got \"%s\"", c->f->name,
                      c->op->def->name, attr, words, s);
}

static bool check_const(const Check *c) {
    if (!counts(c, 0, 1)) return false;
    Type t = c->op->out[0]->type;
    if (!is_compute(t) || t.lanes) return fail(c, "a constant is a scalar");
    const Attr *v = attr_find(c->op->attrs, "v");
    if (!v || v->kind > AT_BOOL) return fail(c, "the value v is missing");
    return v->kind != AT_FLOAT || is_float(t) || fail(c, "an integer constant with a fraction");
}

static bool check_splat(const Check *c) {
    if (!counts(c, 1, 1)) return false;
    Type x = c->op->in[0]->type, t = c->op->out[0]->type;
    return (is_compute(x) && is_compute(t) && !x.lanes && t.lanes && x.dt == t.dt) ||
           fail(c, "takes a scalar and gives a vector of the same element type");
}

/* acc and the result alike, beside packed i32. */
static bool check_dot(const Check *c, DType acc) {
    if (!counts(c, 3, 1)) return false;
    Type t = c->op->out[0]->type, packed = type_scalar(DT_I32, t.lanes);
    return (t.dt == acc && is_compute(t) && type_equal(c->op->in[0]->type, t) &&
            type_equal(c->op->in[1]->type, packed) && type_equal(c->op->in[2]->type, packed)) ||
           fail(c, "takes a sum and two packed i32 of as many lanes");
}

static bool check_pair(const Check *c) {
    if (!counts(c, 2, 1)) return false;
    Type t = c->op->out[0]->type, floats = type_scalar(DT_F32, t.lanes);
    return (type_equal(t, type_scalar(DT_I32, t.lanes)) && type_equal(c->op->in[0]->type, floats) &&
            type_equal(c->op->in[1]->type, floats)) ||
           fail(c, "makes i32 of two f32, all of as many lanes");
}

static bool check_bytes(const Check *c) {
    if (!counts(c, 2, 1)) return false;
    Type t = c->op->out[0]->type;
    return (t.dt == DT_I32 && t.lanes && t.lanes % 4 == 0 && type_equal(c->op->in[0]->type, t) &&
            type_equal(c->op->in[1]->type, t)) ||
           fail(c, "takes two i32 vectors of a multiple of four lanes");
}

static bool check_cmp(const Check *c) {
    if (!counts(c, 2, 1) || !word_is(c, "pred", "lt|le|eq|ne|gt|ge")) return false;
    Type x = c->op->in[0]->type, t = c->op->out[0]->type;
    if (!is_compute(x) || !type_equal(x, c->op->in[1]->type)) return fail(c, "operands of two types");
    return type_equal(t, type_scalar(DT_BOOL, x.lanes)) || fail(c, "gives a bool of as many lanes");
}

static bool check_select(const Check *c) {
    if (!counts(c, 3, 1)) return false;
    Type t = c->op->out[0]->type;
    if (!is_compute(t) || !type_equal(c->op->in[1]->type, t) || !type_equal(c->op->in[2]->type, t))
        return fail(c, "both choices have the type of the result");
    return type_equal(c->op->in[0]->type, type_scalar(DT_BOOL, t.lanes)) ||
           fail(c, "the condition is a bool of as many lanes");
}

static bool check_convert(const Check *c, bool bits) {
    if (!counts(c, 1, 1) || !word_is(c, "to", "f32|f64|i32|i64|bool")) return false;
    Type x = c->op->in[0]->type, t = c->op->out[0]->type;
    if (!is_compute(x) || !is_compute(t) || x.lanes != t.lanes) return fail(c, "lanes differ");
    if (strcmp(attr_str(c->op, "to", ""), dtype_name(t.dt))) return fail(c, "result is not of the type `to`");
    return !bits || (dtype_size(x.dt) == dtype_size(t.dt) && t.dt != DT_BOOL && x.dt != DT_BOOL) ||
           fail(c, "types of different width");
}

static bool check_reduce(const Check *c) {
    if (!counts(c, 1, 1) || !word_is(c, "kind", "add|max")) return false;
    Type x = c->op->in[0]->type;
    return (is_compute(x) && x.dt != DT_BOOL && x.lanes > 0 &&
            type_equal(c->op->out[0]->type, type_scalar(x.dt, 0))) ||
           fail(c, "takes a vector of numbers and gives a scalar");
}

/* ptr and an i64 beside it. */
static bool check_address(const Check *c, int nin, int nout) {
    if (!counts(c, nin, nout)) return false;
    if (c->op->in[0]->type.kind != TY_PTR) return fail(c, "the first operand is an address");
    return is_scalar_of(c->op->in[1], DT_I64) || fail(c, "the second operand is a scalar i64");
}

static DType compute_type(DType dt) {
    if (dt == DT_BF16 || dt == DT_F16) return DT_F32;
    return dt == DT_I8 || dt == DT_U8 || dt == DT_I16 ? DT_I32 : dt;
}

static bool is_readonly(const Value *address) {
    while (address->def && address->def->def == &op_loop_offset) address = address->def->in[0];
    return !address->def && address->role == PARAM_READONLY;
}

static bool check_access(const Check *c, bool store) {
    DType dt;
    if (!check_address(c, store ? 3 : 2, store ? 0 : 1)) return false;
    if (!dtype_parse(attr_str(c->op, "dt", ""), &dt)) return fail(c, "unknown dt");
    Type t = store ? c->op->in[2]->type : c->op->out[0]->type;
    if (!is_compute(t) || t.dt != compute_type(dt)) return fail(c, "value does not fit dt");
    int64_t n = attr_int(c->op, "n", 0);
    if (store && is_readonly(c->op->in[0])) return fail(c, "stores through a parameter that is readonly");
    return (n >= 0 && n <= t.lanes) || fail(c, "n is more than the lanes");
}

static bool check_var(const Check *c) {
    if (!counts(c, 1, 1)) return false;
    return type_equal(c->op->in[0]->type, c->op->out[0]->type) || fail(c, "another type than its start");
}

static bool is_var(const Value *v) {
    return v->def && v->def->def == &op_loop_var;
}

static bool check_get_set(const Check *c, bool set) {
    if (!counts(c, set ? 2 : 1, set ? 0 : 1)) return false;
    if (!is_var(c->op->in[0])) return fail(c, "the first operand is a variable");
    Type t = set ? c->op->in[1]->type : c->op->out[0]->type;
    return type_equal(c->op->in[0]->type, t) || fail(c, "another type than the variable");
}

static bool check_for(const Check *c) {
    if (!counts(c, 2, 0)) return false;
    if (!is_scalar_of(c->op->in[0], DT_I64) || !is_scalar_of(c->op->in[1], DT_I64))
        return fail(c, "bounds are scalars i64");
    if (attr_int(c->op, "step", 1) < 1) return fail(c, "step must be positive");
    const Block *b = c->op->body[0];
    return (b && !c->op->body[1] && b->nargs == 1 && is_scalar_of(b->args[0], DT_I64)) ||
           fail(c, "one body with one i64 argument");
}

static bool check_if(const Check *c) {
    if (!counts(c, 1, 0)) return false;
    if (!is_scalar_of(c->op->in[0], DT_BOOL)) return fail(c, "the condition is a scalar bool");
    return (c->op->body[0] && !c->op->body[0]->nargs) || fail(c, "the body is missing or has arguments");
}

static bool check_invoke(const Check *c) {
    const char *name = attr_str(c->op, "func", "");
    const Func *g = ir_func_find(c->f->module, name);
    if (!g || g->level != LEVEL_LOOP)
        return diag_error(c->d, c->op->loc, "@%s: invoke of unknown loop function \"%s\"", c->f->name, name);
    if (!counts(c, g->nparams, 0)) return false;
    for (int i = 0; i < g->nparams; i++)
        if (!type_equal(g->params[i]->type, c->op->in[i]->type)) return fail(c, "argument of another type");
    return true;
}

static bool check_barrier(const Check *c) {
    if (!counts(c, 2, 0)) return false;
    return (c->op->in[0]->type.kind == TY_PTR && is_scalar_of(c->op->in[1], DT_I64)) ||
           fail(c, "takes the call's address and the number of threads");
}

static bool check_clock(const Check *c) {
    return counts(c, 0, 1) && (is_scalar_of(c->op->out[0], DT_I64) || fail(c, "the result is an i64"));
}

static bool check_op(const Check *c) {
    switch (loop_op_id(c->op->def)) {
    case OP_loop_const:
        return check_const(c);
    case OP_loop_splat:
        return check_splat(c);
    case OP_loop_iota:
        return counts(c, 0, 1) && ((is_compute(c->op->out[0]->type) && c->op->out[0]->type.dt == DT_I32 &&
                                    c->op->out[0]->type.lanes) ||
                                   fail(c, "gives a vector of i32"));
    case OP_loop_add:
    case OP_loop_sub:
    case OP_loop_mul:
    case OP_loop_div:
    case OP_loop_min:
    case OP_loop_max:
        return check_arith(c, 2, true, true, false);
    case OP_loop_rem:
    case OP_loop_shl:
    case OP_loop_shr:
        return check_arith(c, 2, true, false, false);
    case OP_loop_and:
    case OP_loop_or:
    case OP_loop_xor:
        return check_arith(c, 2, true, false, true);
    case OP_loop_scale:
        return check_arith(c, 2, false, true, false) &&
               (c->op->out[0]->type.dt == DT_F32 || fail(c, "is for f32"));
    case OP_loop_fma:
        return check_arith(c, 3, false, true, false);
    case OP_loop_dot4:
        return check_dot(c, DT_I32);
    case OP_loop_dot2:
        return check_dot(c, DT_F32);
    case OP_loop_pair:
        return check_pair(c);
    case OP_loop_lookup:
    case OP_loop_zip_low:
    case OP_loop_zip_high:
        return check_bytes(c);
    case OP_loop_neg:
    case OP_loop_abs:
        return check_arith(c, 1, true, true, false);
    case OP_loop_sqrt:
    case OP_loop_floor:
    case OP_loop_round:
    case OP_loop_exp:
    case OP_loop_exp2:
    case OP_loop_log:
    case OP_loop_log1p:
    case OP_loop_sin:
    case OP_loop_cos:
    case OP_loop_tanh:
    case OP_loop_erf:
    case OP_loop_softplus:
        return check_arith(c, 1, false, true, false);
    case OP_loop_cmp:
        return check_cmp(c);
    case OP_loop_select:
        return check_select(c);
    case OP_loop_cast:
        return check_convert(c, false);
    case OP_loop_bits:
        return check_convert(c, true);
    case OP_loop_reduce:
        return check_reduce(c);
    case OP_loop_offset:
    case OP_loop_loadp:
        return check_address(c, 2, 1) &&
               (c->op->out[0]->type.kind == TY_PTR || fail(c, "the result is an address"));
    case OP_loop_load:
        return check_access(c, false);
    case OP_loop_store:
        return check_access(c, true);
    case OP_loop_prefetch:
        return check_address(c, 2, 0);
    case OP_loop_var:
        return check_var(c);
    case OP_loop_get:
        return check_get_set(c, false);
    case OP_loop_set:
        return check_get_set(c, true);
    case OP_loop_for:
        return check_for(c);
    case OP_loop_if:
        return check_if(c);
    case OP_loop_invoke:
        return check_invoke(c);
    case OP_loop_barrier:
        return check_barrier(c);
    case OP_loop_clock:
        return check_clock(c);
    default:
        return fail(c, "not an op of the loop level");
    }
}

/* A variable is a place, not a value: only get and set may name it. */
static bool check_var_use(const Check *c) {
    bool access = c->op->def == &op_loop_get || c->op->def == &op_loop_set;
    for (int i = 0; i < c->op->nin; i++) {
        if (!c->op->in[i]) return fail(c, "operand is missing");
        if (is_var(c->op->in[i]) && !(access && i == 0)) return fail(c, "a variable is read by get");
    }
    return true;
}

/* Roles are for parameters of their type. */
static bool check_role(const Value *v) {
    bool number = v->type.kind == TY_SCALAR && v->type.dt == DT_I64 && !v->type.lanes;
    return v->role == PARAM_PLAIN || (v->role == PARAM_READONLY ? v->type.kind == TY_PTR : number);
}

static bool check_block(Diag *d, const Func *f, const Block *b) {
    bool ok = true;
    for (int i = 0; i < b->nargs; i++)
        if (b->args[i]->role) return diag_error(d, f->loc, "@%s: only parameters have roles", f->name);
    OPS_OF (b, op) {
        Check c = {d, f, op};
        if (!check_var_use(&c) || !check_op(&c)) ok = false;
        for (int i = 0; i < 2; i++)
            if (op->body[i] && !check_block(d, f, op->body[i])) ok = false;
    }
    return ok;
}

bool ir_verify_loop(Diag *d, Func *f) {
    for (int i = 0; i < f->nparams; i++) {
        Type t = f->params[i]->type;
        if (t.kind != TY_PTR && !(t.kind == TY_SCALAR && !t.lanes && is_compute(t)))
            return diag_error(d, f->loc, "@%s: parameter %s is neither an address nor a scalar", f->name,
                              f->params[i]->name);
        if (!check_role(f->params[i]))
            return diag_error(d, f->loc, "@%s: parameter %s is %s and cannot be %s", f->name,
                              f->params[i]->name, type_text(f->module->arena, t),
                              ir_role_name(f->params[i]->role));
    }
    if (f->nstates || f->nresults)
        return diag_error(d, f->loc, "@%s: a loop function has no states and no results", f->name);
    return check_block(d, f, f->body);
}
