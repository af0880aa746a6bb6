/* A call of a block function: one layer. The block is written once and its parameter types come from the
 * first call. The interpreter and the entry points run calls themselves, so there is no eval. */
#include "../op.h"

typedef struct Seen {
    const Func **items;
    int n, cap;
} Seen;

/* Whether calls lead from `from` to `target`; every function is entered once. */
static bool reaches(Arena *tmp, Seen *seen, const Func *from, const Func *target) {
    if (from == target) return true;
    for (int i = 0; i < seen->n; i++)
        if (seen->items[i] == from) return false;
    ARENA_PUSH(tmp, seen->items, seen->n, seen->cap, from);
    OPS_OF (from->body, op) {
        if (op->def->pattern != PAT_CALL) continue;
        const Func *g = ir_func_find(from->module, attr_str(op, "func", ""));
        if (g && reaches(tmp, seen, g, target)) return true;
    }
    return false;
}

static bool is_recursive(const Func *caller, const Func *callee) {
    Arena *tmp = arena_new();
    Seen seen = {0};
    bool yes = reaches(tmp, &seen, callee, caller);
    arena_free(tmp);
    return yes;
}

/* The first call decides the parameter types of a block; later ones must agree. */
static bool bind_params(Diag *d, Func *callee, const Op *op, bool *fresh) {
    Arena *a = callee->module->arena;
    if (op->nin != callee->nparams)
        return diag_error(d, op->loc, "call: @%s takes %d values, has %d", callee->name, callee->nparams,
                          op->nin);
    for (int i = 0; i < op->nin; i++) {
        Value *p = callee->params[i];
        if (!op->in[i] || op->in[i]->type.kind == TY_NONE)
            return diag_error(d, op->loc, "call: value for %s of @%s has no type", p->name, callee->name);
        if (!op->in[i]->type.seq)
            return diag_error(
                d, op->loc,
                "call: value for %s of @%s is %s, the same for all tokens; compute it in the block (a "
                "weight of the whole model is \"@/NAME\" there), or give it T by per_token",
                p->name, callee->name, type_text(a, op->in[i]->type));
        if (p->type.kind == TY_NONE) p->type = op->in[i]->type, *fresh = true;
        if (!type_equal(p->type, op->in[i]->type))
            return diag_error(d, op->loc, "call: %s of @%s is %s here but %s in an earlier call", p->name,
                              callee->name, type_text(a, op->in[i]->type), type_text(a, p->type));
    }
    return true;
}

static bool infer_call(Diag *d, Func *f, Op *op) {
    const char *name = attr_str(op, "func", "");
    Func *callee = ir_func_find(f->module, name);
    if (!callee) return diag_error(d, op->loc, "call: there is no function @%s", name);
    if (callee->level != LEVEL_MODEL) return diag_error(d, op->loc, "call: @%s is a loop function", name);
    if (is_recursive(f, callee)) return diag_error(d, op->loc, "call: @%s calls itself", name);
    bool fresh = false;
    if (!bind_params(d, callee, op, &fresh)) return false;
    for (int i = 0; i < callee->nresults; i++) fresh = fresh || callee->results[i]->type.kind == TY_NONE;
    if (fresh && !ir_infer_func(d, callee)) return false;
    if (op->nout != callee->nresults)
        return diag_error(d, op->loc, "call: @%s gives %d results, %d are named", name, callee->nresults,
                          op->nout);
    for (int i = 0; i < op->nout; i++)
        if (!callee->results[i]->type.seq)
            return diag_error(
                d, op->loc,
                "call: result %s of @%s is %s, the same for all tokens; compute it where it is used, "
                "or give it T by per_token",
                callee->result_names[i] ? callee->result_names[i] : "?", name,
                type_text(f->module->arena, callee->results[i]->type));
        else
            op->out[i]->type = callee->results[i]->type;
    return true;
}

static const AttrDef attrs[] = {
    {"func", AT_STR, true, 0, NULL, "the block function"},
    {"index", AT_INT, false, 0, NULL, "number of the layer"},
    {"prefix", AT_STR, false, 0, "", "put before the weight names of the block"},
    {0},
};

const OpDef op_call = {
    .name = "call",
    .pattern = PAT_CALL,
    .doc = "One layer: a block function with the weights of a prefix and a state of its own.",
    .formula = "results = func(operands)",
    .source = "structure of the module",
    .attrs = attrs,
    .infer = infer_call,
};
