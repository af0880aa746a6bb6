/* See identity.h. */
#include "identity.h"

#include <string.h>

#include "base/hash.h"
#include "runtime/artifact.h"

/* What is computed before it is packed. */
static void add_computed(Text *t, const Module *m, const PackList *l) {
    for (int i = 0; i < l->n; i++) {
        const char *func = attr_str(l->items[i].leaf, "func", NULL);
        if (func && l->items[i].leaf->def == OP_TABLE[OP_derived])
            text_add(t, "%s", ir_print_func(t->arena, ir_func_find(m, func)));
    }
}

void identity_weights_layout(Text *t, const Module *m, const Lowered *l) {
    text_add(t, "weights %d\n", BTC_WEIGHTS_VERSION);
    for (int i = 0; i < l->npacks; i++) {
        pack_layout(t, l->packs[i]);
        add_computed(t, m, l->packs[i]);
    }
    for (int i = 0; i < l->ninstances; i++)
        text_add(t, "%s %s %lld\n", l->instances[i].block, l->instances[i].prefix,
                 (long long)l->instances[i].weights);
}

/* A slot is its owner's business, so the owner's attributes and the machine belong to its layout. */
static void add_slot(Text *t, const Compiled *c, const Instance *inst, int k) {
    const FuncPlan *p = inst->plan;
    const State *s = &p->f->states[k];
    int slot = 0;
    const Op *owner = state_slot_owner(p->f, k, &slot);
    text_add(t, "%lld %s %d %s %.17g %lld %lld", (long long)inst->index, s->name, slot,
             dtype_name(state_slot_dtype(p->f, k, &c->lower)), s->init,
             (long long)(inst->state + p->state_offset[k]),
             (long long)state_slot_elements(p->f, k, &c->lower));
    for (int i = 0; i < s->type.rank; i++) text_add(t, " %lld", (long long)s->type.dim[i]);
    StateUse use;
    if (state_slot_use(p->f, k, &c->lower, &use))
        text_add(t, " grows %lld x %lld for %lld of %lld%s", (long long)use.pieces, (long long)use.elements,
                 (long long)use.tokens, (long long)use.most, use.ahead ? " ahead" : "");
    text_add(t, "\n%s", owner ? ir_print_op(t->arena, owner) : "");
}

void identity_states_layout(Text *t, const Compiled *c) {
    const Lowered *l = &c->lowered;
    text_add(t, "states %d, %d lanes, panels of %d, %lld bytes\n", BTC_STATE_VERSION, c->lower.lanes,
             c->lower.panel, (long long)l->state_bytes);
    for (int i = 0; i < l->ninstances; i++)
        for (int k = 0; k < l->instances[i].plan->f->nstates; k++) add_slot(t, c, &l->instances[i], k);
}

Identity identity_of(const Model *m, const Compiled *c) {
    Text weights = text_new(m->arena), states = text_new(m->arena);
    identity_weights_layout(&weights, m->module, &c->lowered);
    identity_states_layout(&states, c);
    Identity id = {.weights = hash_text(model_contents(m), weights.s)};
    id.states = hash_text(id.weights, states.s);
    return id;
}
