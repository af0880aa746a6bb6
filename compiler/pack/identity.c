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

void identity_weights_layout(Text *t, const Module *m, const Schedule *l) {
    text_add(t, "weights %d\n", BTC_WEIGHTS_VERSION);
    for (int i = 0; i < l->npacks; i++) {
        pack_layout(t, l->packs[i]);
        add_computed(t, m, l->packs[i]);
    }
    for (int i = 0; i < l->ncalls; i++)
        text_add(t, "%s %s %lld\n", l->calls[i].block, l->calls[i].prefix, (long long)l->calls[i].weights);
}

/* A slot is its owner's business, so the owner's attributes and the machine belong to its layout. */
static void add_slot(Text *t, const Compiled *c, const BlockCall *call, int k) {
    const FuncPlan *p = call->plan;
    const State *s = &p->f->states[k];
    int slot = 0;
    const Op *owner = state_slot_owner(p->f, k, &slot);
    text_add(t, "%lld %s %d %s %.17g %lld %lld", (long long)call->layer, s->name, slot,
             dtype_name(state_slot_dtype(p, k, &c->lower)), s->init,
             (long long)(call->state + p->state_offset[k]), (long long)state_slot_elements(p, k, &c->lower));
    for (int i = 0; i < s->type.rank; i++) text_add(t, " %lld", (long long)s->type.dim[i]);
    StateUse use;
    if (state_slot_use(p, k, &c->lower, &use))
        text_add(t, " grows %lld x %lld for %lld of %lld%s", (long long)use.pieces, (long long)use.elements,
                 (long long)use.tokens, (long long)use.most, use.ahead ? " ahead" : "");
    text_add(t, "\n%s", owner ? ir_print_op(t->arena, owner) : "");
}

void identity_states_layout(Text *t, const Compiled *c) {
    const Schedule *l = &c->lowered.schedule;
    text_add(t, "states %d, %d lanes, panels of %d, %lld bytes\n", BTC_STATE_VERSION, c->lower.lanes,
             c->lower.panel, (long long)l->state_bytes);
    for (int i = 0; i < l->ncalls; i++)
        for (int k = 0; k < l->calls[i].plan->f->nstates; k++) add_slot(t, c, &l->calls[i], k);
}

Identity identity_of(const Model *m, const Compiled *c) {
    Text weights = text_new(m->arena), states = text_new(m->arena);
    identity_weights_layout(&weights, m->module, &c->lowered.schedule);
    identity_states_layout(&states, c);
    Identity id = {.weights = hash_text(model_contents(m), weights.s)};
    id.states = hash_text(id.weights, states.s);
    return id;
}
