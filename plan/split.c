/* How each stage splits over threads.
 *
 * Products, scans, convolutions and attention split by channels (units: heads, or panels of channels). The
 * light stages between them split in the way that saves a barrier:
 *   step:  replicated, if their consumers need them whole, and if every thread has their operands or needs a
 *          barrier for them in any case (a norm before a product: each thread computes it for itself);
 *          else by channels, like the stage that makes their operands.
 *   chunk: by channels like the stage that makes their operands, if that needs no barrier; or like their
 *          consumer, if that needs only its own units; else by rows.
 * Stages that must have the same units form a class (union-find). In a step, tiny stages whose units do not fit
 * together (heads do not end where panels end) become one unit, which one thread computes. */
#include "pack.h"
#include "stage.h"

typedef struct Class {
    int parent;
    Split split;
    int64_t fixed;    /* units, 0: flexible */
    int64_t n;        /* elements, of the flexible members */
    int64_t multiple; /* of a unit, for the flexible members */
    int64_t most;     /* elements, of the largest member */
} Class;

typedef struct Splitter {
    FuncPlan *p;
    const LowerTarget *machine;
    Class *cls;
    /* of each stage: see follow_results */
    bool *whole, *feeds;
} Splitter;

static int find(Splitter *s, int c) {
    while (s->cls[c].parent != c) c = s->cls[c].parent;
    return c;
}

static int64_t split_count(const Stage *s) {
    return s->access.split == SPLIT_INNER ? s->I : s->O * s->I;
}

static bool fits(const Class *flexible, int64_t units) {
    return units == 1 || (flexible->n % units == 0 && flexible->n / units % flexible->multiple == 0);
}

static bool units_fit(const Class *x, const Class *y) {
    if (x->fixed && y->fixed) return x->fixed % y->fixed == 0 || y->fixed % x->fixed == 0;
    if (x->fixed) return !y->n || fits(y, x->fixed);
    if (y->fixed) return !x->n || fits(x, y->fixed);
    return x->n == y->n;
}

/* Whether both are so small that one thread has done them sooner than all have met. */
static bool are_tiny(const Splitter *s, const Class *x, const Class *y) {
    enum { FEW = 64 };
    return s->p->f->form == FORM_STEP && x->most <= FEW && y->most <= FEW && (x->fixed || y->fixed);
}

/* Whether classes a and b can be one; if so and `join`, makes them one. */
static bool unify(Splitter *s, int a, int b, bool join) {
    a = find(s, a), b = find(s, b);
    if (a == b) return true;
    Class *x = &s->cls[a], *y = &s->cls[b];
    bool fit = units_fit(x, y);
    if (x->split != y->split || (!fit && !are_tiny(s, x, y))) return false;
    if (!join) return true;
    if (!fit) x->fixed = y->fixed = 1; /* heads that do not end where panels do: one unit of all */
    /* query heads and their key heads share threads by the coarser of the two */
    if (y->fixed && (!x->fixed || y->fixed < x->fixed)) x->fixed = y->fixed;
    if (!x->n) x->n = y->n;
    if (y->multiple > x->multiple) x->multiple = y->multiple;
    if (y->most > x->most) x->most = y->most;
    y->parent = a;
    return true;
}

static void class_of(Splitter *s, Stage *st) {
    if (st->cls >= 0) return;
    FuncPlan *p = s->p;
    int c = st->cls = p->nclasses++;
    s->cls[c] = (Class){.parent = c, .split = st->access.split, .fixed = st->access.units};
    s->cls[c].most = split_count(st);
    if (!st->access.units) s->cls[c].n = split_count(st), s->cls[c].multiple = st->access.multiple;
}

static bool stage_private(const FuncPlan *p, int k) {
    return k >= 0 && p->stages[k]->axis == AXIS_REPLICATED;
}

/* Whether units as large as st's would leave a class too few to share among many threads. */
static bool coarsens(Splitter *s, int cls, const Stage *st) {
    enum {
        EACH = 8
    }; /* for each of the workers: shares differ by an eighth, and there may be more workers */
    const Class *c = &s->cls[find(s, cls)];
    return !c->fixed && st->access.multiple > c->multiple &&
           c->n / st->access.multiple < EACH * s->machine->workers;
}

/* Whether all operands that are not at hand in every thread are made by stages that split alike. */
static bool beside_makers(Splitter *s, Stage *st, bool join) {
    FuncPlan *p = s->p;
    Read *r;
    int n = stage_reads(p, st, &r);
    bool any = false;
    for (int i = 0; i < n; i++) {
        int k = value_info(r[i].v)->stage;
        if (stage_private(p, k)) continue;
        if (k < 0) return false; /* a parameter: nobody knows who made it */
        Stage *from = p->stages[k];
        if (from == st) continue;
        if (r[i].all || from->is_call || from->axis != AXIS_CHANNELS) return false;
        if (!unify(s, from->cls, st->cls, false) || coarsens(s, from->cls, st)) return false;
        if (join) unify(s, from->cls, st->cls, true);
        any = true;
    }
    return any;
}

static bool inputs_private(FuncPlan *p, const Stage *st) {
    Read *r;
    int n = stage_reads(p, st, &r);
    for (int i = 0; i < n; i++)
        if (!stage_private(p, value_info(r[i].v)->stage)) return false;
    return n > 0;
}

/* Whether v lies in memory that is not a thread's own: a result, or an argument of a call. */
static bool is_result(const FuncPlan *p, const Value *v) {
    for (int i = 0; i < p->f->nresults; i++)
        if (value_base(p->f->results[i], NULL) == v) return true;
    for (int k = 0; k < p->n; k++)
        for (int i = 0; p->stages[k]->is_call && i < p->stages[k]->anchor->nin; i++)
            if (p->stages[k]->anchor->in[i] == v) return true;
    return false;
}

static bool makes_result(const FuncPlan *p, const Stage *s) {
    for (int i = 0; s->anchor && i < s->anchor->nout; i++)
        if (is_result(p, s->anchor->out[i])) return true;
    for (int i = 0; i < s->nepilogue; i++)
        if (is_result(p, s->epilogue[i]->out[0])) return true;
    return false;
}

static bool is_light(const FuncPlan *p, const Stage *s) {
    if (!s->anchor) return true;
    if (s->anchor->def->contracted) return false;
    /* a shift: no work, and its state is updated later */
    if (plan_lowering(p, s->anchor)->store_state && s->anchor->def->pattern != PAT_ATTEND) return true;
    switch (s->anchor->def->pattern) {
    case PAT_CONTRACT:
    case PAT_GATHER:
    case PAT_SCAN:
    case PAT_ATTEND:
    case PAT_CALL:
        return false;
    case PAT_CONV:
        return plan_lowering(p, s->anchor)->store_state != NULL; /* a shift: no work, state deferred */
    default:
        return true;
    }
}

/* Where the results of stage k go, when that of all later ones is known.
 *   whole: a later stage needs more of them than its own unit: itself, or through a light stage, whose
 * results are needed whole feeds: they end, unit by unit, in a stage that surely splits by channels: in a
 * chunk k does so as well, and waits for its operands instead of letting the other wait, with everything on
 * its way from one thread's cache to another's */
static void follow_results(Splitter *s, int k) {
    FuncPlan *p = s->p;
    for (int j = k + 1; j < p->n; j++) {
        const Stage *to = p->stages[j];
        bool light = is_light(p, to), channels = !to->is_call && to->access.split != SPLIT_NONE;
        Read *r;
        int n = stage_reads(p, to, &r);
        for (int i = 0; i < n; i++) {
            if (value_info(r[i].v)->stage != k) continue;
            s->whole[k] |= r[i].all || (light && s->whole[j]);
            s->feeds[k] |= !r[i].all && channels && (!light || s->feeds[j]);
        }
    }
    s->feeds[k] &= !s->whole[k];
}

int64_t plan_product_bytes(const Op *op, const LowerTarget *t) {
    double bytes = 0;
    for (int i = 1; i < op->nin; i++) {
        const Value *v = op->in[i];
        while (v && v->def && v->def->def->pattern == PAT_VIEW) v = v->def->in[0];
        if (!v) continue;
        if (!value_is_constant(v)) return INT64_MAX;
        bytes += (double)type_count(v->type) * format_bits(pack_format(v->def, t)) / 8;
    }
    return (int64_t)bytes;
}

/* A product so small that every thread may as well compute it for itself. */
static bool is_computed_whole(const Splitter *s, int k, const LowerTarget *t) {
    FuncPlan *p = s->p;
    const Stage *st = p->stages[k];
    if (!st->anchor || st->anchor->def->pattern != PAT_CONTRACT || makes_result(p, st)) return false;
    if (!s->whole[k] || !inputs_private(p, st)) return false;
    for (int i = 0; i < p->nshared_out; i++)
        if (p->shared_out[i] == st->anchor) return false;
    return plan_product_bytes(st->anchor, t) <= p->whole_most;
}

static Axis step_axis(Splitter *s, int k, const LowerTarget *t) {
    FuncPlan *p = s->p;
    Stage *st = p->stages[k];
    bool can_split = st->access.split != SPLIT_NONE;
    if (is_computed_whole(s, k, t)) {
        p->whole_bytes += plan_product_bytes(st->anchor, t);
        return AXIS_REPLICATED;
    }
    if (!is_light(p, st)) return can_split ? AXIS_CHANNELS : AXIS_ROWS;
    if (makes_result(p, st)) return can_split ? AXIS_CHANNELS : AXIS_ROWS;
    if (!can_split) return AXIS_REPLICATED;
    if (!s->whole[k]) return AXIS_CHANNELS;
    if (inputs_private(p, st)) return AXIS_REPLICATED;
    return beside_makers(s, st, false) ? AXIS_CHANNELS : AXIS_REPLICATED;
}

static Axis chunk_axis(Splitter *s, int k) {
    Stage *st = s->p->stages[k];
    bool can_split = st->access.split != SPLIT_NONE, stateful = st->anchor && st->anchor->def->state;
    if (can_split && (!is_light(s->p, st) || stateful || !st->access.rows || beside_makers(s, st, false)))
        return AXIS_CHANNELS;
    return can_split && s->feeds[k] ? AXIS_CHANNELS : AXIS_ROWS;
}

void plan_split(FuncPlan *p, const LowerTarget *t) {
    Splitter s = {.p = p, .machine = t, .cls = ARENA_ARRAY(p->arena, Class, p->n)};
    s.whole = ARENA_ARRAY(p->arena, bool, p->n), s.feeds = ARENA_ARRAY(p->arena, bool, p->n);
    for (int k = p->n - 1; k >= 0; k--) follow_results(&s, k);
    for (int k = 0; k < p->n; k++) {
        Stage *st = p->stages[k];
        if (st->is_call) {
            st->axis = AXIS_CHANNELS;
            continue;
        }
        if (st->access.split != SPLIT_NONE) class_of(&s, st);
        st->axis = p->f->form == FORM_STEP ? step_axis(&s, k, t) : chunk_axis(&s, k);
        if (st->axis != AXIS_CHANNELS) continue;
        /* join every maker that can be joined, also when another operand needs a barrier */
        Read *r;
        int n = stage_reads(p, st, &r);
        for (int i = 0; i < n; i++) {
            int m = value_info(r[i].v)->stage;
            if (r[i].all || m < 0 || m == k || p->stages[m]->is_call) continue;
            if (p->stages[m]->axis == AXIS_CHANNELS) unify(&s, p->stages[m]->cls, st->cls, true);
        }
    }
    for (int k = 0; k < p->n; k++) {
        Stage *st = p->stages[k];
        if (st->cls < 0) continue;
        st->cls = find(&s, st->cls);
        const Class *c = &s.cls[st->cls];
        int64_t n = split_count(st);
        st->shares = c->fixed ? c->fixed : (n + c->multiple - 1) / c->multiple;
        st->units = st->access.units ? st->access.units : st->shares;
        st->grain = c->fixed ? n / st->units : c->multiple;
    }
}
