/* See state_slots.h. */
#include "state_slots.h"

const Op *state_slot_owner(const Func *f, int k, int *slot) {
    OPS_OF (f->body, op) {
        int n = op->def->state ? op_state_count(op->def) : 0;
        for (int i = 0; i < n; i++)
            if (op->in[op->nin - n + i] == f->states[k].in) return *slot = i, op;
    }
    return NULL;
}

int64_t state_slot_elements(const FuncPlan *p, int k, const LowerTarget *t) {
    int slot;
    const Op *op = state_slot_owner(p->f, k, &slot);
    const OpLowering *l = op ? plan_lowering(p, op) : NULL;
    if (l && l->state_elements) return l->state_elements(op, slot, t);
    return type_count(p->f->states[k].type);
}

DType state_slot_dtype(const FuncPlan *p, int k, const LowerTarget *t) {
    int slot;
    const Op *op = state_slot_owner(p->f, k, &slot);
    return op ? op_state_dtype(op, t->state_dt) : t->state_dt;
}

bool state_slot_use(const FuncPlan *p, int k, const LowerTarget *t, StateUse *out) {
    int slot;
    const Op *op = state_slot_owner(p->f, k, &slot);
    const OpLowering *l = op ? plan_lowering(p, op) : NULL;
    return l && l->state_use && l->state_use(op, slot, t, out);
}

int64_t state_used(const StateUse *u, int64_t position) {
    int64_t n = u->ahead ? 1 : position;
    while (u->ahead && n <= position && n < u->most) n *= 2;
    if (n > u->most) n = u->most;
    return (n + u->tokens - 1) / u->tokens * u->elements;
}
