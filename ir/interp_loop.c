/* The interpreter of the loop level: the meaning of each op in plain C, one lane at a time. Favours being
 * obviously right over speed; the arithmetic is in interp_lanes.c. A value is an array of cells, one per
 * lane, kept in Value.aux while its function runs; a variable is a value that `set` writes. Op.mark is the
 * op's number in the table. */
#include "interp_lanes.h"

#include <inttypes.h>
#include <string.h>

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
        for (int l = 0; l < n; l++) lane_binary(m->run, id, dt, v[l], v[l + n], &v[l]);
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
            out[l] = lane_fma(m->run, dt, x[l], y[l], z[l]);
            break;
        case OP_loop_dot4:
            out[l] = lane_dot4(x[l], y[l], z[l]);
            break;
        case OP_loop_dot2:
            out[l] = lane_dot2(m->run, x[l], y[l], z[l]);
            break;
        case OP_loop_pair:
            out[l] = lane_pair(x[l], y[l]);
            break;
        case OP_loop_lookup:
            out[l] = lane_lookup(x, y, l);
            break;
        case OP_loop_zip_low:
        case OP_loop_zip_high:
            out[l] = lane_zip(x, y, l, op->mark == OP_loop_zip_low ? 0 : 8);
            break;
        case OP_loop_cmp:
            out[l].i = lane_holds(m->run, attr_str(op, "pred", ""), from, x[l], y[l]);
            break;
        case OP_loop_select:
            out[l] = x[l].i ? y[l] : z[l];
            break;
        case OP_loop_cast:
            out[l] = lane_cast(m->run, from, dt, x[l]);
            break;
        case OP_loop_bits:
            out[l] = lane_bits(from, dt, x[l]);
            break;
        case OP_loop_get:
        case OP_loop_var:
            out[l] = x[l];
            break;
        default:
            if (op->nin == 1)
                out[l] = lane_unary(m->run, op->mark, dt, x[l]);
            else if (!lane_binary(m->run, op->mark, dt, x[l], y[l], &out[l]))
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
            cells_of_args[i].i = lane_wrap(t.dt, args[i].i);
    }
    return run_func(&m, f, cells_of_args);
}
