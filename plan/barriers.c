/* Where the threads meet. A barrier stands before a stage that reads what another thread may have written
 * since the last one; nothing else needs one, because memory is not used again for something new without a
 * barrier in between (place.c) and updates of state that others may still be reading are deferred: they
 * become stages of their own behind the next barrier. */
#include "stage.h"

/* Whether `to` may read v (made by stage k) without meeting first. */
static bool at_hand(const FuncPlan *p, int k, const Stage *to, bool all) {
    const Stage *from = p->stages[k];
    if (from->axis == AXIS_REPLICATED && !from->is_call) return true;
    /* what is split by rows never looks at another row */
    return (!all || to->axis == AXIS_ROWS) && stage_same_split(from, to);
}

static bool is_input(const FuncPlan *p, const Value *v) {
    return attr_find(p->f->attrs, "main") && !v->def;
}

static Stage *deferred_store_stage(FuncPlan *p, const Stage *of) {
    Stage *c = ARENA_NEW(p->arena, Stage);
    *c = *of;
    c->deferred_store = true, c->nepilogue = 0, c->barrier = false;
    c->name = arena_printf(p->arena, "%s_store", of->name);
    if (c->axis == AXIS_REPLICATED) { /* only one thread may write: by channels, reading its own copy */
        c->axis = AXIS_CHANNELS;
        if (c->access.split == SPLIT_NONE) c->axis = AXIS_ROWS;
    }
    return c;
}

/* Whether stage s writes a result that may take the memory of a parameter which other threads may still be
 * reading in this epoch. */
static bool overwrites_live(FuncPlan *p, const Stage *s, Stage *const *done, int ndone, int epoch) {
    for (int r = 0; r < p->f->nresults; r++) {
        Value *v = value_base(p->f->results[r], NULL);
        bool writes = false;
        for (int i = 0; s->anchor && i < s->anchor->nout; i++) writes |= s->anchor->out[i] == v;
        for (int i = 0; i < s->nepilogue; i++) writes |= s->epilogue[i]->out[0] == v;
        for (int j = 0; writes && j < p->f->nparams; j++) {
            if (!plan_may_alias(p, r, j)) continue;
            for (int i = 0; i < ndone; i++) {
                Read *reads;
                int n = done[i]->epoch == epoch ? stage_reads(p, done[i], &reads) : 0;
                for (int k = 0; k < n; k++)
                    if (reads[k].v == p->f->params[j] && (reads[k].all || !stage_same_split(done[i], s)))
                        return true;
            }
        }
    }
    return false;
}

/* Orders the stages by the epoch at which their operands can be at hand, keeping the order within an epoch:
 * what can run before a barrier does, so that independent chains share barriers. */
static void schedule(FuncPlan *p) {
    int *level = ARENA_ARRAY(p->arena, int, p->n), deepest = 0, at = 0;
    bool is_main = attr_find(p->f->attrs, "main") != NULL;
    if (is_main) return; /* calls stay in order: they meet by themselves */
    for (int k = 0; k < p->n; k++) {
        Read *r;
        int n = stage_reads(p, p->stages[k], &r);
        for (int i = 0; i < n; i++) {
            int m = value_info(r[i].v)->stage;
            if (m < 0 || m == k) continue;
            int l = level[m] + !at_hand(p, m, p->stages[k], r[i].all);
            if (l > level[k]) level[k] = l;
        }
        if (level[k] > deepest) deepest = level[k];
    }
    Stage **sorted = ARENA_ARRAY(p->arena, Stage *, p->n);
    int *place = ARENA_ARRAY(p->arena, int, p->n);
    for (int l = 0; l <= deepest; l++)
        for (int k = 0; k < p->n; k++)
            if (level[k] == l) place[k] = at, sorted[at++] = p->stages[k];
    for (int k = 0; k < p->n; k++) {
        const Stage *s = p->stages[k];
        for (int i = 0; s->anchor && i < s->anchor->nout; i++)
            if (value_info(s->anchor->out[i])) value_info(s->anchor->out[i])->stage = place[k];
        for (int i = 0; i < s->nepilogue; i++) value_info(s->epilogue[i]->out[0])->stage = place[k];
    }
    p->stages = sorted;
}

void plan_barriers(FuncPlan *p) {
    schedule(p);
    Stage **old = p->stages;
    int n = p->n, ndone = 0, cap = 0, npending = 0, pcap = 0, epoch = 0;
    Stage **done = NULL, **pending = NULL;
    bool is_main = attr_find(p->f->attrs, "main") != NULL;
    for (int k = 0; k < n; k++) {
        Stage *s = old[k];
        bool meet = !is_main && k == 0;
        Read *r;
        int nr = stage_reads(p, s, &r);
        for (int i = 0; i < nr && !meet && !s->is_call; i++) {
            int m = value_info(r[i].v)->stage;
            if (m < 0 || m == k) continue; /* parameters: the barrier at entry */
            if (is_input(p, r[i].v) || old[m]->epoch < epoch) continue;
            meet = !at_hand(p, m, s, r[i].all);
        }
        if (!meet && k && !is_main) meet = overwrites_live(p, s, done, ndone, epoch);
        if (meet) {
            s->barrier = true;
            epoch++;
            if (npending) { /* the barrier goes before the first deferred update */
                s->barrier = false;
                for (int i = 0; i < npending; i++) {
                    pending[i]->barrier = i == 0, pending[i]->epoch = epoch;
                    ARENA_PUSH(p->arena, done, ndone, cap, pending[i]);
                }
                npending = 0;
                /* what s overwrites may be what these updates still read */
                if (!is_main && overwrites_live(p, s, done, ndone, epoch)) s->barrier = true, epoch++;
            }
        }
        if (s->is_call) epoch++; /* a block meets at its entry, not at its end */
        s->epoch = epoch;
        ARENA_PUSH(p->arena, done, ndone, cap, s);
        if (s->anchor && plan_lowering(p, s->anchor)->store_state && !s->deferred_store)
            ARENA_PUSH(p->arena, pending, npending, pcap, deferred_store_stage(p, s));
    }
    for (int i = 0; i < npending; i++) {
        pending[i]->barrier = i == 0;
        epoch += i == 0;
        pending[i]->epoch = epoch;
        ARENA_PUSH(p->arena, done, ndone, cap, pending[i]);
    }
    p->stages = done, p->n = ndone;
    for (int i = 0; i < ndone; i++) {
        p->barriers += done[i]->barrier;
        if (done[i]->deferred_store) continue;
        for (int k = 0; done[i]->anchor && k < done[i]->anchor->nout; k++)
            if (value_info(done[i]->anchor->out[k])) value_info(done[i]->anchor->out[k])->stage = i;
        for (int k = 0; k < done[i]->nepilogue; k++) value_info(done[i]->epilogue[k]->out[0])->stage = i;
    }
}
