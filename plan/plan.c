/* Planning a function. In a step, each thread may compute a small product whole (a router, a low-rank projection,
 * the keys of a single head). This saves a barrier, but all threads read its weights. The cost of a plan is the
 * number of bytes that a thread reads; a barrier costs LowerTarget.barrier_bytes. A plan is made for each limit on
 * the size of such products. In the best of these plans, products that save nothing are then shared again. */
#include "pack.h"
#include "stage.h"

static bool plan_once(Diag *d, FuncPlan *p, const LowerTarget *t) {
    p->stages = NULL, p->n = p->cap = p->barriers = p->nclasses = 0;
    p->whole_bytes = 0;
    if (!plan_stages(d, p, t)) return false;
    plan_split(p, t);
    plan_barriers(p);
    return true;
}

static int64_t cost_of(const FuncPlan *p, const LowerTarget *t) {
    return p->whole_bytes + p->barriers * t->barrier_bytes;
}

/* The smallest product larger than `size` that may be computed whole; 0: there is none. */
static int64_t next_size(const FuncPlan *p, const LowerTarget *t, int64_t size) {
    int64_t next = 0, most = t->barrier_bytes;
    OPS_OF (p->f->body, op) {
        if (op->def->pattern != PAT_CONTRACT || !op->out[0]->type.seq) continue;
        int64_t bytes = plan_product_bytes(op, t);
        if (bytes > size && bytes <= most && (!next || bytes < next)) next = bytes;
    }
    return next;
}

/* Shares out again what is computed whole for nothing. */
static bool spare_bytes(Diag *d, FuncPlan *p, const LowerTarget *t) {
    OPS_OF (p->f->body, op) {
        if (op->def->pattern != PAT_CONTRACT || plan_product_bytes(op, t) > p->whole_most) continue;
        int64_t before = cost_of(p, t);
        ARENA_PUSH(p->arena, p->shared_out, p->nshared_out, p->shared_out_cap, op);
        if (!plan_once(d, p, t)) return false;
        if (cost_of(p, t) < before) continue;
        p->nshared_out--;
        if (!plan_once(d, p, t)) return false;
    }
    return true;
}

static bool plan_step(Diag *d, FuncPlan *p, const LowerTarget *t) {
    int64_t best = 0, least = INT64_MAX, size = 0;
    do {
        p->whole_most = size;
        if (!plan_once(d, p, t)) return false;
        if (cost_of(p, t) < least) least = cost_of(p, t), best = size;
        size = next_size(p, t, size);
    } while (size);
    p->whole_most = best;
    return plan_once(d, p, t) && (!best || spare_bytes(d, p, t));
}

/* A worker that is alone waits for nobody. What the barriers have decided about memory and tile loops stands. */
static void drop_barriers(FuncPlan *p) {
    for (int i = 0; i < p->n; i++) p->stages[i]->barrier = false;
    p->barriers = 0;
}

bool plan_function(Diag *d, FuncPlan *p, const LowerTarget *t) {
    bool step = p->f->form == FORM_STEP;
    if (!(step ? plan_step(d, p, t) : plan_once(d, p, t))) return false;
    int64_t rows = step ? t->max_rows_step : t->chunk;
    plan_lifetimes(p);
    plan_tile_loops(p, t, rows);
    plan_place(p, t, rows, attr_find(p->f->attrs, "main") != NULL);
    if (t->execution == EXECUTION_SINGLE) drop_barriers(p);
    return true;
}
