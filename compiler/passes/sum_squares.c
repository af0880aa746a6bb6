/* In a chunk, the squares that norm.rms sums are summed where its input is made, part by part: behind a
 * product that splits by channels the numbers are still near, while the norm, which goes by rows, has them
 * from other threads and would go over them twice. A norm at the beginning of a block keeps its own sum: what
 * it reads is made by the block before.
 *
 *     %y = norm.rms %x, @w    ->    %parts = reshape %x {shape=[64,32]}
 *                                   %sums = reduce %parts {kind="squares"}
 *                                   %y = norm.rms %x, @w, _, %sums */
#include "pass.h"

/* Parts are units of whoever makes x, so there must be many, and whole panels in each. */
enum { PART = 32, LEAST = 32 };

static bool is_made_here(const Value *v) {
    if (!v->def) return false;
    Pattern p = v->def->def->pattern;
    return p == PAT_ELEMENTWISE || p == PAT_CONTRACT || p == PAT_SCAN;
}

/* Named for its op: it is the one that takes sums. */
static bool gains(const Op *op) {
    if (op->def != OP_TABLE[OP_norm_rms] || op->nin < 4 || op->in[3] || attr_int(op, "groups", 1) != 1)
        return false;
    Type x = op->in[0]->type;
    return x.rank == 1 && x.dim[0] % PART == 0 && x.dim[0] / PART >= LEAST && is_made_here(op->in[0]);
}

static bool sum_before(PassCtx *cx, Func *f, Op *norm) {
    Arena *a = f->module->arena;
    const int64_t shape[] = {norm->in[0]->type.dim[0] / PART, PART};
    Attr *view = NULL, *kind = NULL;
    attr_set(a, &view,
             (Attr){.name = "shape", .kind = AT_INTS, .n = 2, .ints = arena_copy(a, shape, sizeof shape)});
    attr_set(a, &kind, (Attr){.name = "kind", .kind = AT_STR, .s = "squares"});
    Op *parts = build_before(cx, f, norm, "reshape", norm->in, 1, view);
    Op *sums = parts ? build_before(cx, f, norm, "reduce", parts->out, 1, kind) : NULL;
    if (!sums) return false;
    use_result(cx, f, norm, 3, sums, "squares");
    return true;
}

static bool run(PassCtx *cx, Module *m) {
    for (Func *f = m->first; f; f = f->next)
        OPS_OF (f->body, op)
            if (f->form == FORM_CHUNK && gains(op) && !sum_before(cx, f, op)) return false;
    return true;
}

const Pass pass_sum_squares = {"sum-squares", "lets norms have their sums from where their input is made",
                               run};
