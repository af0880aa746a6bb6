/* Facts of values and stages that all of planning and lowering ask for. */
#include "stage.h"

ValueInfo *value_info(const Value *v) {
    return v->aux;
}

bool value_is_constant(const Value *v) {
    return v->def && v->type.kind == TY_TENSOR && !v->type.seq;
}

/* A slice is a view when its elements lie together in a row. */
static bool slice_offset(const Op *op, int64_t *offset) {
    const Type *t = &op->in[0]->type;
    int64_t axis = attr_int(op, "axis", -1), inner = 1;
    if (axis < 0) axis += t->rank;
    for (int i = 0; i < axis; i++)
        if (t->dim[i] != 1) return false;
    for (int i = (int)axis + 1; i < t->rank; i++) inner *= t->dim[i];
    *offset = attr_int(op, "start", 0) * inner;
    return true;
}

bool is_view(const Op *op) {
    int64_t offset;
    if (op->def == OP_TABLE[OP_reshape]) return true;
    return op->def == OP_TABLE[OP_slice] && slice_offset(op, &offset);
}

Value *value_base(Value *v, int64_t *offset) {
    int64_t sum = 0, part;
    while (v->def && v->type.seq && is_view(v->def)) {
        if (v->def->def == OP_TABLE[OP_slice] && slice_offset(v->def, &part)) sum += part;
        v = v->def->in[0];
    }
    if (offset) *offset = sum;
    return v;
}

static void add_read(FuncPlan *p, Read **reads, int *n, int *cap, Value *v, bool all) {
    if (!v || value_is_constant(v)) return;
    int64_t offset;
    Value *b = value_base(v, &offset);
    if (!value_info(b)) return; /* states, position */
    if (offset || type_count(b->type) != type_count(v->type)) all = true;
    Read r = {b, all};
    ARENA_PUSH(p->arena, *reads, *n, *cap, r);
}

int stage_reads(FuncPlan *p, const Stage *s, Read **reads) {
    int n = 0, cap = 0;
    *reads = NULL;
    if (s->anchor)
        for (int k = 0; k < s->anchor->nin; k++) {
            /* a deferred update runs behind a barrier, so nothing is `all` for it */
            bool all = s->deferred_store || s->is_call || k >= ACCESS_OPERANDS || s->access.all[k];
            add_read(p, reads, &n, &cap, s->anchor->in[k], all);
        }
    for (int i = 0; i < s->nepilogue && !s->deferred_store; i++)
        for (int k = 0; k < s->epilogue[i]->nin; k++) {
            Value *v = s->epilogue[i]->in[k];
            if (!v || value_is_constant(v)) continue;
            int64_t c = type_count(v->type);
            /* a value per head is at hand only if heads are the units of its maker, too (see split.c) */
            bool all = c != s->O * s->I && !(c == s->O && s->access.units == s->O);
            Value *b = value_base(v, NULL);
            if (value_info(b) && value_info(b)->stage >= 0 && p->stages[value_info(b)->stage] == s) continue;
            add_read(p, reads, &n, &cap, v, all);
        }
    return n;
}

bool stage_same_split(const Stage *from, const Stage *to) {
    if (from->is_call || to->is_call || from->axis != to->axis) return false;
    if (from->axis == AXIS_ROWS) return from->out_rows == to->out_rows && from->once == to->once;
    return from->axis == AXIS_CHANNELS && from->cls == to->cls && from->out_rows == to->out_rows;
}

FuncPlan *plan_find(const ModulePlan *m, const Func *f) {
    for (int i = 0; i < m->n; i++)
        if (m->plans[i]->f == f) return m->plans[i];
    return NULL;
}

const OpLowering *plan_lowering(const FuncPlan *p, const Op *op) {
    static const OpLowering none;
    const OpLowering *l = p->module->lowerings[op_id(op->def)];
    return l ? l : &none;
}

/* ---- blocks ---- */

const char *stage_ops(Arena *a, const Stage *s) {
    Text t = text_new(a);
    if (s->anchor) text_add(&t, "%s", s->anchor->def->name);
    for (int i = 0; i < s->nepilogue; i++) text_add(&t, "%s%s", t.n ? " + " : "", s->epilogue[i]->def->name);
    return t.s;
}
