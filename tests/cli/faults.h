/* Faults of a compiler, seeded one at a time into what is compiled, while the interpreter has the model as it
 * is: into the ops behind the passes, into the loops before machine code, into the tensors that are packed,
 * and into the packed bytes. `btc verify`'s own code (verify_code.h) has to find each, and to name the block
 * and the op.
 *
 * The compiler knows nothing of this: its functions lower_module, expand_math and packer_write are wrapped by
 * the linker (tests/CMakeLists.txt). */
#ifndef BTC_TESTS_FAULTS_H
#define BTC_TESTS_FAULTS_H

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "pack/packer.h"
#include "passes/passes.h"
#include "run/verify_code.h"

typedef struct Fault {
    const char *name, *model; /* a conformance case */
    const char *form;
    int block;                   /* the first that it is in; 0: outside of the blocks */
    const char *ops;             /* what may be named: " scan.expand mul " */
    bool (*op)(Func *f, Op *op); /* seeds it into an op; whether it did */
    void (*loops)(Func *f);      /* into a loop function */
    const char *tensor;          /* into this tensor, */
    void (*numbers)(float *x, int64_t rows, int64_t cols); /* whose numbers are x */
    bool bytes;                                            /* into packed bytes of block 2 */
} Fault;

static const Fault *seeded; /* NULL: none */
static int seeds;           /* how often */

/* ---- into ops ---- */

static inline bool is_op(const Op *op, const char *name) {
    return !strcmp(op->def->name, name);
}

static inline bool other_eps(Func *f, Op *op) {
    double eps = attr_float(op, "eps", 0);
    if (!is_op(op, "norm.rms")) return false;
    return op_set_float(f, op, "eps", eps == 1e-5 ? 1e-6 : 1e-5), true;
}

static inline bool swapped_halves(Func *f, Op *op) {
    return is_op(op, "rope") && (op_set_str(f, op, "layout", "pairs"), true);
}

/* Takes an op out of the way: who reads it reads its operand. */
static inline bool bypass(Func *f, Op *op, const char *name) {
    if (!is_op(op, name)) return false;
    op->def = OP_TABLE[OP_copy], op->nin = 1, op->attrs = NULL;
    (void)f;
    return true;
}

static inline bool lost_sign(Func *f, Op *op) {
    return bypass(f, op, "neg");
}

static inline bool lost_bias(Func *f, Op *op) {
    (void)f;
    if (!is_op(op, "linear") || !op->in[2]) return false;
    return op->in[2] = NULL, true;
}

static inline bool narrow_window(Func *f, Op *op) {
    int64_t window = attr_int(op, "window", 0);
    return is_op(op, "attend") && window && (op_set_int(f, op, "window", window - 1), true);
}

/* x + f(x) becomes f(x). */
static inline bool lost_residual(Func *f, Op *op) {
    if (!is_op(op, "add") || !strcmp(f->name, "main") || type_count(op->out[0]->type) < 8) return false;
    op->in[0] = op->in[1];
    return bypass(f, op, "add");
}

static inline bool other_activation(Func *f, Op *op) {
    (void)f;
    if (!is_op(op, "silu")) return false;
    return op->def = OP_TABLE[OP_gelu], true;
}

static inline bool other_scale(Func *f, Op *op) {
    if (!is_op(op, "attend")) return false;
    double d = (double)op->in[0]->type.dim[1], scale = attr_float(op, "scale", 0);
    return op_set_float(f, op, "scale", 1.02 * (scale != 0 ? scale : 1 / sqrt(d))), true;
}

static inline bool is_shown(const Func *f, const Value *v) {
    for (int i = 0; i < f->nresults; i++)
        if (f->results[i] == v) return true;
    return false;
}

/* Only in the fused epilogue of a product, whose value is not an output. */
static inline bool lost_epilogue(Func *f, Op *op) {
    return is_op(op, "silu") && !is_shown(f, op->out[0]) && bypass(f, op, "silu");
}

static inline Attr *slice_of(Func *f, int64_t start, int64_t size) {
    Arena *a = f->module->arena;
    Attr *t = NULL;
    attr_set(a, &t, (Attr){.name = "axis", .kind = AT_INT, .i = 0});
    attr_set(a, &t, (Attr){.name = "start", .kind = AT_INT, .i = start});
    attr_set(a, &t, (Attr){.name = "size", .kind = AT_INT, .i = size});
    return t;
}

static inline Value *before(Func *f, Op *at, const char *name, Value **in, int nin, Attr *attrs) {
    Arena *a = arena_new();
    Diag d = diag_new(a, stderr);
    Op *op = ir_build(&d, f, at->parent, name, in, nin, attrs, NULL, 1, NULL, at->loc);
    if (!op) abort();
    ir_remove(op);
    ir_insert_before(at, op);
    return op->out[0];
}

/* Query heads read the keys of their neighbours. */
static inline bool other_heads(Func *f, Op *op) {
    if (!is_op(op, "attend")) return false;
    int64_t h = op->in[0]->type.dim[0];
    Value *rest = before(f, op, "slice", &op->in[0], 1, slice_of(f, 1, h - 1));
    Value *first = before(f, op, "slice", &op->in[0], 1, slice_of(f, 0, 1));
    Value *both[] = {rest, first};
    Attr *axis = NULL;
    attr_set(f->module->arena, &axis, (Attr){.name = "axis", .kind = AT_INT, .i = 0});
    return op->in[0] = before(f, op, "concat", both, 2, axis), true;
}

bool __real_lower_module(Diag *d, Module *m, const LowerTarget *t, Lowered *out);
bool __wrap_lower_module(Diag *d, Module *m, const LowerTarget *t, Lowered *out);
bool __wrap_lower_module(Diag *d, Module *m, const LowerTarget *t, Lowered *out) {
    if (seeded && seeded->op && !attr_find(m->attrs, "seeded")) {
        attr_set(m->arena, &m->attrs, (Attr){.name = "seeded", .kind = AT_BOOL, .i = 1});
        for (Func *f = m->first; f; f = f->next)
            for (Op *op = f->body->first, *next; op; op = next) {
                next = op->next;
                seeds += seeded->op(f, op);
            }
    }
    return __real_lower_module(d, m, t, out);
}

/* ---- into loops ---- */

static inline Value *loop_const(Func *f, Op *at, int64_t v) {
    Op *op = ir_op_new(f, OP_TABLE[OP_loop_const], NULL, 0, 1, at->loc);
    op_set_int(f, op, "v", v);
    op->out[0]->type = type_scalar(DT_I64, 0);
    ir_insert_before(at, op);
    return op->out[0];
}

static inline Value *loop_op(Func *f, Op *at, OpId which, Value *x, Value *y) {
    Value *in[] = {x, y};
    Op *op = ir_op_new(f, OP_TABLE[which], in, 2, 1, at->loc);
    op->out[0]->type = type_scalar(DT_I64, 0);
    ir_insert_before(at, op);
    return op->out[0];
}

static inline int64_t constant_of(const Value *v) {
    return v->def ? attr_int(v->def, "v", -1) : -1;
}

/* Pointer number `index` of the call's struct, whose fields take 8 bytes each. */
static inline bool loads_field(const Func *f, const Value *v, int64_t index) {
    const Op *load = v->def, *field = load && load->nin > 1 ? load->in[0]->def : NULL;
    return field && !strcmp(load->def->name, "loadp") && !strcmp(field->def->name, "offset") &&
           field->in[0] == f->params[0] && constant_of(field->in[1]) == 8 * index;
}

/* The rows of a norm go to the last but one. */
static inline void last_row(Func *f) {
    if (!strstr(f->name, "_chunk__00_u")) return;
    OPS_OF (f->body, op) {
        if (strcmp(op->def->name, "for")) continue;
        op->in[1] = loop_op(f, op, OP_loop_sub, op->in[1], loop_const(f, op, 1));
        seeds++;
        return;
    }
}

/* Every sequence has the state of the first. */
static inline void stale_state_in(Func *f, Block *b) {
    OPS_OF (b, op) {
        for (int i = 0; i < 2; i++)
            if (op->body[i]) stale_state_in(f, op->body[i]);
        if (strcmp(op->def->name, "loadp") || !op->in[0]->def || !loads_field(f, op->in[0], 1)) continue;
        op->in[1] = loop_const(f, op, 0);
        seeds++;
    }
}

static inline void stale_state(Func *f) {
    if (strstr(f->name, "_step__") && strstr(f->name, "_y")) stale_state_in(f, f->body);
}

/* Positions behind 0 are one more. */
static inline void late_position_in(Func *f, Block *b) {
    for (Op *op = b->first, *next; op; op = next) {
        next = op->next;
        for (int i = 0; i < 2; i++)
            if (op->body[i]) late_position_in(f, op->body[i]);
        const Op *block = op->nin > 1 ? op->in[0]->def : NULL;
        if (strcmp(op->def->name, "load") || !block || strcmp(block->def->name, "loadp") ||
            !loads_field(f, block->in[0], 1) || constant_of(op->in[1]) != 2)
            continue;
        Value *more = loop_op(f, next, OP_loop_add, op->out[0], loop_const(f, next, 1 << 20));
        more = loop_op(f, next, OP_loop_sub, more, loop_const(f, next, 1));
        more = loop_op(f, next, OP_loop_div, more, loop_const(f, next, 1 << 20));
        Value *late = loop_op(f, next, OP_loop_add, op->out[0], more);
        for (Op *user = next; user; user = user->next)
            for (int i = 0; i < user->nin; i++)
                if (user->in[i] == op->out[0] && user->out[0] != late) user->in[i] = late;
        seeds++;
    }
}

static inline void late_position(Func *f) {
    if (strstr(f->name, "_chunk__") && strstr(f->name, "_q_")) late_position_in(f, f->body);
}

void __real_expand_math(Func *f);
void __wrap_expand_math(Func *f);
void __wrap_expand_math(Func *f) {
    if (seeded && seeded->loops) seeded->loops(f);
    __real_expand_math(f);
}

/* ---- into weights ---- */

static inline void stale_scale(float *x, int64_t rows, int64_t cols) {
    int64_t n = cols < 128 ? cols : 128;
    for (int64_t i = 0; i < n; i++) x[rows / 2 * cols + i] *= 1.25f;
}

static inline void other_row(float *x, int64_t rows, int64_t cols) {
    memcpy(x + rows / 2 * cols, x + (rows / 2 + 1) * cols, sizeof *x * (size_t)cols);
}

static inline void transposed(float *x, int64_t rows, int64_t cols) {
    for (int64_t i = 0; i < rows && rows == cols; i++)
        for (int64_t j = 0; j < i; j++) {
            float t = x[i * cols + j];
            x[i * cols + j] = x[j * cols + i], x[j * cols + i] = t;
        }
}

static inline void one_further(float *x, int64_t rows, int64_t cols) {
    float first = x[0];
    memmove(x, x + 1, sizeof *x * (size_t)(rows * cols - 1));
    x[rows * cols - 1] = first;
}

static inline void lost_tap(float *x, int64_t rows, int64_t cols) {
    x[rows / 2 * cols + 1] = 0;
}

/* A byte in the middle of what block 2 has: its fourth highest bit, where numbers have four bytes. */
static inline bool flip_byte(const Packer *p, OutFile *o, int64_t at) {
    const Schedule *l = p->schedule;
    for (int i = 0; i < l->ncalls; i++) {
        const BlockCall *call = &l->calls[i];
        if (call->layer != 1) continue;
        const PackItem *largest = &call->packs->items[0];
        for (int k = 0; k < call->packs->n; k++)
            if (call->packs->items[k].bytes > largest->bytes) largest = &call->packs->items[k];
        int64_t where = at + call->weights + largest->offset + largest->bytes / 3 / 4 * 4 + 2;
        unsigned char byte;
        if (fflush(o->f) || pread(fileno(o->f), &byte, 1, where) != 1) return false;
        byte ^= 0x10;
        if (pwrite(fileno(o->f), &byte, 1, where) != 1) return false;
        seeds++;
    }
    return true;
}

bool __real_packer_write(void *user, OutFile *o, int64_t at, btc_checksum *sum);
bool __wrap_packer_write(void *user, OutFile *o, int64_t at, btc_checksum *sum);
bool __wrap_packer_write(void *user, OutFile *o, int64_t at, btc_checksum *sum) {
    const Packer *p = user;
    WeightSet *w = &p->model->weights;
    for (int i = 0; seeded && seeded->tensor && i < w->n; i++) {
        RawTensor *t = &w->tensors[i];
        if (strcmp(t->name, seeded->tensor)) continue;
        int64_t n = raw_tensor_count(t), rows = t->rank > 1 ? t->dim[0] : 1;
        char *copy = arena_copy(p->model->arena, t->data, t->bytes);
        float *x = ARENA_ARRAY(p->model->arena, float, n);
        for (int64_t k = 0; k < n; k++) x[k] = (float)dtype_load(t->dt, t->data, k);
        seeded->numbers(x, rows, n / rows);
        for (int64_t k = 0; k < n; k++) dtype_store(t->dt, copy, k, x[k]);
        t->data = (const uint8_t *)copy;
        seeds++;
    }
    if (!__real_packer_write(user, o, at, sum)) return false;
    return !seeded || !seeded->bytes || flip_byte(p, o, at);
}

/* ---- the faults ---- */

#define LAYER "model.layers.1."
static const Fault FAULTS[] = {
    {"another eps", "hf-llama", "chunk", 1, " norm.rms ", .op = other_eps},
    {"halves of rope swapped", "hf-llama", "step", 1, " rope ", .op = swapped_halves},
    {"sign of a decay", "hf-mamba", "chunk", 1, " scan.expand ", .op = lost_sign},
    {"one stale scale", "hf-llama", "step", 2, " linear ", .tensor = LAYER "self_attn.q_proj.weight",
     .numbers = stale_scale},
    {"one row of a panel", "hf-llama", "chunk", 2, " linear ", .tensor = LAYER "mlp.down_proj.weight",
     .numbers = other_row},
    {"a bias dropped", "hf-qwen2", "chunk", 1, " linear ", .op = lost_bias},
    {"a window off by one", "hf-mistral-swa", "chunk", 1, " attend ", .op = narrow_window},
    {"an expert's weight", "hf-mixtral", "chunk", 2, " linear.experts ",
     .tensor = LAYER "block_sparse_moe.experts.3.w2.weight", .numbers = stale_scale},
    {"a residual missing", "hf-llama", "step", 1, " add ", .op = lost_residual},
    {"another activation", "hf-mamba", "step", 1, " silu ", .op = other_activation},
    {"stale state in a row", "hf-mamba", "step", 1, " scan.expand ", .loops = stale_state},
    {"last row of a chunk skipped", "hf-llama", "chunk", 1, " norm.rms ", .loops = last_row},
    {"scale of a softmax", "hf-mistral-swa", "step", 1, " attend ", .op = other_scale},
    {"a small matrix transposed", "hf-llama", "chunk", 2, " linear ",
     .tensor = LAYER "self_attn.q_proj.weight", .numbers = transposed},
    {"one byte of the weights", "hf-llama", "chunk", 2, " linear ", .bytes = true},
    {"a norm one channel off", "hf-qwen2", "step", 2, " norm.rms ", .tensor = LAYER "input_layernorm.weight",
     .numbers = one_further},
    {"a tap lost", "hf-mamba", "chunk", 2, " conv.short ", .tensor = "backbone.layers.1.mixer.conv1d.weight",
     .numbers = lost_tap},
    {"positions late behind the first chunk", "hf-llama", "chunk", 1, " rope ", .loops = late_position},
    {"heads of other keys", "hf-llama", "chunk", 1, " attend ", .op = other_heads},
    {"an epilogue lost", "hf-llama", "chunk", 1, " silu mul ", .op = lost_epilogue},
};
enum { FAULT_COUNT = sizeof FAULTS / sizeof *FAULTS };

/* How numbers are stored and multiplied. */
typedef struct Variant {
    const char *name, *dtype, *quant, *math;
} Variant;
static const Variant VARIANTS[] = {
    {"f32", NULL, "none", "f32"},
    {"bf16", "bf16", "none", NULL},
    {"bytes, q8", NULL, "q8", NULL},
    {"bytes, q4", NULL, "q4", NULL},
};
enum { VARIANT_COUNT = sizeof VARIANTS / sizeof *VARIANTS };

typedef struct Outcome {
    bool seeded, found, named;
    const char *said; /* where it is off, or "" */
} Outcome;

/* Verifies the model with the fault in it (NULL: without). */
static inline Outcome verify_with(Arena *a, const char *cases, const Fault *f, const char *model,
                                  const char *form, const Variant *w) {
    Diag d = diag_new(a, stderr);
    VerifyOptions o = {.form = form, .threads = 1};
    o.compile.math = w->math, o.model.dtype = w->dtype, o.model.quant = w->quant;
    o.compile.chunk = 8;
    WeightSet in = {0};
    CodeReport r = {0};
    Outcome x = {.said = ""};
    const char *path = arena_printf(a, "%s/%s", cases, model);
    bool ok = weights_open(&d, a, arena_printf(a, "%s/expected.safetensors", path), &in);
    seeded = f, seeds = 0;
    ok = ok && verify_code(&d, a, path, &o, weights_find(&in, "input_ids"), NULL, &r);
    seeded = NULL;
    weights_close(&in);
    if (!ok) return x.said = "verify failed", x;
    x.seeded = seeds > 0, x.found = r.off > 0;
    if (r.where) x.said = r.where;
    if (!f || !r.where) return x;
    const char *block = f->block ? arena_printf(a, "block %d ", f->block) : "outside",
               *op = strstr(r.where, " = ");
    if (!op) return x;
    const char *name = arena_printf(a, " %.*s ", (int)strcspn(op + 3, " :,("), op + 3);
    x.named = !strncmp(r.where, block, strlen(block)) && strstr(f->ops, name);
    return x;
}

#endif
