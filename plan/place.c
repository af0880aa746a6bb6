/* Where every value lies. A value that no other stage needs stays in registers. Replicated stages write to
 * memory of their thread, all others to the shared part of the work block. Shared memory is used again only
 * behind a barrier: lifetimes are counted in epochs, not in stages, unless one thread is alone. */
#include <stdlib.h>
#include <string.h>

#include "stage.h"

static int64_t round_up(int64_t x, int64_t to) {
    return (x + to - 1) / to * to;
}

/* Numbers from row to row of a value with `count` in each. Rows a power of two apart would all lie in a few
 * places of the nearest cache, and push each other out when outputs are written to all of them in turn. */
static int64_t row_stride(const LowerTarget *t, int64_t count) {
    enum { FEW = 4, LEAST = 16 };
    int64_t line = t->cache_line / 4 > LEAST ? t->cache_line / 4 : LEAST, stride = round_up(count, LEAST);
    bool crowded = t->cache_way && stride % (t->cache_way / 4 / FEW) == 0;
    return crowded ? stride + line : stride;
}

/* Words of 4 bytes that a row of v takes. */
static int64_t row_words(const FuncPlan *p, const Value *v) {
    const OpLowering *l = v->def ? plan_lowering(p, v->def) : NULL;
    return l && l->row_bytes ? (l->row_bytes(v->def) + 3) / 4 : type_count(v->type);
}

static void touch(ValueInfo *i, const Stage *s, int index) {
    i->stored = true;
    if (s->epoch > i->last_epoch) i->last_epoch = s->epoch;
    if (index > i->last_stage) i->last_stage = index;
}

void plan_lifetimes(FuncPlan *p) {
    for (int k = 0; k < p->n; k++) {
        const Stage *s = p->stages[k];
        if (!s->deferred_store) {
            for (int i = 0; s->anchor && i < s->anchor->nout; i++) {
                ValueInfo *v = value_info(s->anchor->out[i]);
                if (v) v->first_epoch = v->last_epoch = s->epoch, v->first_stage = v->last_stage = k;
            }
            for (int i = 0; i < s->nepilogue; i++) {
                ValueInfo *v = value_info(s->epilogue[i]->out[0]);
                v->first_epoch = v->last_epoch = s->epoch, v->first_stage = v->last_stage = k;
            }
        }
        Read *r;
        int n = stage_reads(p, s, &r);
        for (int i = 0; i < n; i++)
            if (value_info(r[i].v)->stage != k || s->deferred_store) touch(value_info(r[i].v), s, k);
        /* an anchor's own later results (top-k's index) are stored by definition of having readers */
    }
    for (int i = 0; i < p->f->nresults; i++) {
        ValueInfo *v = value_info(value_base(p->f->results[i], NULL));
        if (v) v->stored = true, v->last_epoch = 1 << 30, v->last_stage = 1 << 30;
    }
}

/* Whether an anchor reads v itself: it may look at other rows, heads or channels of v after it has written
 * some of its own results. Its epilogue reads v at the very place that it then writes. */
static bool anchor_reads(const Stage *s, const Value *v) {
    for (int i = 0; s->anchor && i < s->anchor->nin; i++)
        if (s->anchor->in[i] && value_base(s->anchor->in[i], NULL) == v) return true;
    return false;
}

/* Whether stage s stores its value v at a place before its epilogue reads param there. */
static bool reads_behind(const Stage *s, const Value *v, const Value *param) {
    bool stored = s->anchor && v->def == s->anchor;
    for (int k = 0; k < s->nepilogue; k++) {
        const Op *op = s->epilogue[k];
        for (int i = 0; i < op->nin && stored; i++)
            if (op->in[i] && value_base(op->in[i], NULL) == param) return true;
        stored |= v->def == op;
    }
    return false;
}

/* May result r lie in the memory of parameter j? Not if j is read after r's writing began, except by the same
 * thread at the same place, before it is written. (Same epoch: plan_barriers has put a barrier where needed.) */
bool plan_may_alias(FuncPlan *p, int r, int j) {
    Value *v = value_base(p->f->results[r], NULL), *param = p->f->params[j];
    ValueInfo *i = value_info(v);
    if (!i || i->stage < 0 || !type_equal(v->type, param->type) ||
        !type_equal(p->f->results[r]->type, v->type))
        return false;
    for (int q = 0; q < p->f->nresults; q++) /* the parameter itself is returned, too */
        if (q != r && value_base(p->f->results[q], NULL) == param) return false;
    if (anchor_reads(p->stages[i->stage], param) || reads_behind(p->stages[i->stage], v, param)) return false;
    for (int k = i->stage; k < p->n; k++) {
        Read *reads;
        int n = stage_reads(p, p->stages[k], &reads);
        for (int q = 0; q < n; q++)
            if (reads[q].v == param && (k > i->stage || reads[q].all || p->stages[k]->deferred_store))
                return false;
    }
    /* the writing stage itself may read it at the same index only: `all` is false there */
    return true;
}

static void place_io(FuncPlan *p, const LowerTarget *t, bool is_main) {
    Func *f = p->f;
    for (int j = 0; j < f->nparams; j++) {
        ValueInfo *i = value_info(f->params[j]);
        i->stored = true;
        i->space = is_main ? SPACE_INPUT : SPACE_ARGUMENT;
        i->io = j;
        i->stride = is_main ? type_count(f->params[j]->type) : row_stride(t, type_count(f->params[j]->type));
    }
    p->alias = ARENA_ARRAY(p->arena, int, f->nresults);
    for (int r = 0; r < f->nresults; r++) {
        p->alias[r] = -1;
        Value *v = value_base(f->results[r], NULL);
        ValueInfo *i = value_info(v);
        if (!i || i->space == SPACE_ARGUMENT || i->space == SPACE_OUTPUT || i->space == SPACE_INPUT)
            BTC_BUG("result %d of @%s was not made its own value", r, f->name);
        i->space = is_main ? SPACE_OUTPUT : SPACE_ARGUMENT;
        i->io = is_main ? r : f->nparams + r;
        int64_t count = type_count(v->type);
        i->stride = is_main ? count : row_stride(t, count);
        for (int j = 0; j < f->nparams && !is_main && p->alias[r] < 0; j++) {
            bool taken = false;
            for (int q = 0; q < r; q++) taken |= p->alias[q] == j;
            if (!taken && plan_may_alias(p, r, j)) p->alias[r] = j;
        }
    }
}

typedef struct Room {
    int64_t offset, bytes;
    int first, last;
} Room;

/* The memory of all workers, or that of each, while values find room in it. */
typedef struct Region {
    const LowerTarget *t;
    int64_t rows;
    bool worker; /* of each */
    bool
        by_stage; /* values live from stage to stage, not from barrier to barrier: nobody else is still behind */
    Room *rooms;
    int n, cap;
} Region;

/* First fit among the rooms that live at the same time. */
static int64_t find_room(const Region *g, int64_t bytes, int first, int last) {
    int64_t at = 0;
    for (bool moved = true; moved;) {
        moved = false;
        for (int i = 0; i < g->n; i++) {
            const Room *r = &g->rooms[i];
            if (r->last < first || r->first > last) continue;
            if (at + bytes <= r->offset || at >= r->offset + r->bytes) continue;
            at = r->offset + r->bytes;
            moved = true;
        }
    }
    return at;
}

/* The first and the last stage of the tile loop that stage k is in, or itself: the stages of a loop take turns. */
static int loop_begin(const FuncPlan *p, int k) {
    for (int j = 0; j <= k && j < p->n; j++)
        if (k < j + p->stages[j]->tile_stages) return j;
    return k;
}
static int loop_end(const FuncPlan *p, int k) {
    if (k >= p->n) return k;
    int begin = loop_begin(p, k), stages = p->stages[begin]->tile_stages;
    return stages ? begin + stages - 1 : k;
}

static void place_value(FuncPlan *p, Value *v, Region *g) {
    ValueInfo *i = value_info(v);
    if (!i || !i->stored || i->space != SPACE_NONE) return;
    if ((p->stages[i->stage]->axis == AXIS_REPLICATED && !p->stages[i->stage]->is_call) != g->worker) return;
    i->space = g->worker ? SPACE_WORKER : SPACE_SHARED;
    int64_t stride = row_stride(g->t, row_words(p, v));
    bool once = p->stages[i->stage]->once;
    i->stride = once ? 0 : stride; /* every row is the first one */
    Room r = {.bytes = round_up(stride * 4 * (once ? 1 : g->rows), 64),
              .first = g->by_stage ? loop_begin(p, i->first_stage) : i->first_epoch,
              .last = g->by_stage ? loop_end(p, i->last_stage) : i->last_epoch};
    r.offset = i->offset = find_room(g, r.bytes, r.first, r.last);
    ARENA_PUSH(p->arena, g->rooms, g->n, g->cap, r);
    int64_t *total = g->worker ? &p->worker_bytes : &p->shared_bytes;
    if (r.offset + r.bytes > *total) *total = r.offset + r.bytes;
}

/* Values of the most bytes first where they live from stage to stage: the small ones then fit in between. */
static int larger_first(const void *x, const void *y) {
    Value *const *a = x, *const *b = y;
    int64_t n = type_count((*a)->type), m = type_count((*b)->type);
    if (n != m) return n < m ? 1 : -1;
    int first = value_info(*a)->first_stage, other = value_info(*b)->first_stage;
    return first != other ? first - other : strcmp((*a)->name, (*b)->name);
}

static void place_stages(FuncPlan *p, Region *g) {
    Value **values = NULL;
    int n = 0, cap = 0;
    for (int k = 0; k < p->n; k++) {
        const Stage *s = p->stages[k];
        if (s->deferred_store) continue;
        for (int i = 0; s->anchor && i < s->anchor->nout; i++)
            if (value_info(s->anchor->out[i])) ARENA_PUSH(p->arena, values, n, cap, s->anchor->out[i]);
        for (int i = 0; i < s->nepilogue; i++) ARENA_PUSH(p->arena, values, n, cap, s->epilogue[i]->out[0]);
    }
    if (g->by_stage && !g->worker && n) qsort(values, (size_t)n, sizeof *values, larger_first);
    for (int i = 0; i < n; i++) place_value(p, values[i], g);
}

/* A call's result takes the memory of the parameter that it may alias, when that parameter dies there: so the
 * residual stream stays in one buffer through all layers. */
static bool alias_call_result(FuncPlan *p, int k, int r) {
    const Op *op = p->stages[k]->anchor;
    const FuncPlan *callee = plan_find(p->module, ir_func_find(p->f->module, attr_str(op, "func", "")));
    int j = callee->alias[r];
    if (j < 0) return false;
    const Value *param = value_base(op->in[j], NULL);
    const ValueInfo *in = value_info(param);
    if (in->space != SPACE_SHARED || in->last_stage > k) return false;
    for (int q = 0; q < op->nin; q++) /* given twice: the callee knows it as two parameters */
        if (q != j && value_base(op->in[q], NULL) == param) return false;
    ValueInfo *out = value_info(op->out[r]);
    out->space = SPACE_SHARED, out->offset = in->offset, out->stride = in->stride;
    return true;
}

/* main: values live in rooms of their own, in order, as calls may hand rooms on. */
static void place_main(FuncPlan *p, Region *g) {
    for (int k = 0; k < p->n; k++) {
        const Stage *s = p->stages[k];
        for (int i = 0; s->anchor && !s->deferred_store && i < s->anchor->nout; i++) {
            ValueInfo *v = value_info(s->anchor->out[i]);
            if (!v) continue;
            if (s->is_call) v->stored = true;
            if (v->space == SPACE_NONE && s->is_call && alias_call_result(p, k, i)) continue;
            v->last_epoch = 1 << 30;
            place_value(p, s->anchor->out[i], g);
        }
        for (int i = 0; i < s->nepilogue && !s->deferred_store; i++) {
            value_info(s->epilogue[i]->out[0])->last_epoch = 1 << 30;
            place_value(p, s->epilogue[i]->out[0], g);
        }
    }
}

void plan_place(FuncPlan *p, const LowerTarget *t, int64_t rows, bool is_main) {
    bool alone = t->execution == EXECUTION_SINGLE;
    Region shared = {.t = t, .rows = rows, .by_stage = alone && !is_main},
           worker = {.t = t, .rows = rows, .worker = true, .by_stage = true};
    place_io(p, t, is_main);
    if (is_main)
        place_main(p, &shared);
    else
        place_stages(p, &shared);
    place_stages(p, &worker);
}
