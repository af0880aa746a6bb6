/* Loops of attend. Queries that share a kv head are multiplied with its keys together: in a step all heads of the
 * group, in a chunk all tokens and as many heads as fit into the second-level cache. They go through the keys
 * block by block, in tiles: first the keys of the call itself, which are operands and not in the cache yet, then
 * the cache as it was before the call. The cache is written behind the next barrier (store_state), when all
 * threads have read it. */
#include "attend.h"
#include "ops/attend.h"

#include <math.h>
#include <string.h>

#include "attend_block.h"
#include "attend_cache.h"
#include "formats/arithmetic.h"

static bool is_chunk(const Attend *a) {
    return a->l->form != FORM_STEP;
}

/* Of a tile. In a step, where each walks the cache in memory: all heads of a group, or an even part of them.
 */
static int most_queries(const Lower *l, int64_t heads) {
    if (l->form != FORM_STEP) return l->t->tuning.inner_rows;
    int most = l->t->vregs / 4 < TILE_MAX ? l->t->vregs / 4 : TILE_MAX;
    int64_t tiles = (heads + most - 1) / most;
    return (int)((heads + tiles - 1) / tiles);
}

static Attend attend_new(Lower *l, Op *op) {
    Type q = op->in[0]->type, v = op->in[2]->type;
    Attend a = {.l = l, .b = &l->b, .op = op, .h = q.dim[0], .g = v.dim[0], .d = q.dim[1], .p = v.dim[1]};
    a.context = attr_int(op, "context", 0), a.window = attr_int(op, "window", 0);
    a.scale = attend_scale(op), a.softcap = attr_float(op, "softcap", 0);
    a.bf16 = attend_in_bf16(op);
    a.depth = a.bf16 ? (a.d + 1) / 2 : a.d;
    a.width = attend_round_up(a.p, l->b.lanes);
    if (op->in[IN_RECENT]) {
        a.e = op->in[IN_RECENT]->type.dim[1];
        a.recent_row = a.e + 2 * l->b.lanes;
    }
    if (a.bf16) a.key = lw_scratch(l, a.depth * 4);
    a.queries = most_queries(l, a.h / a.g);
    return a;
}

/* Units are kv heads when there are enough to keep the threads busy: then q, k and v are split alike. Else
 * query heads, for which k and v are needed whole. */
static bool units_are_groups(int64_t h, int64_t g) {
    return g >= 4 || g == h;
}

void attend_access(const Op *op, Form form, Access *a) {
    int64_t h = op->in[0]->type.dim[0], g = op->in[1]->type.dim[0];
    bool groups = units_are_groups(h, g);
    *a = (Access){.split = SPLIT_FLAT, .units = groups ? g : h, .rows = form == FORM_STEP};
    a->all[1] = a->all[2] = !groups;
    a->at_once = !groups; /* the keys of a kv head are brought into form for each share of its heads */
}

/* The query heads and, touched by them, the kv heads of this thread. */
typedef struct Share {
    Value *head_lo, *head_hi, *kv_lo, *kv_hi;
} Share;

static Share share_of(const Attend *a) {
    LB *b = a->b;
    Value *lo = a->l->unit_lo, *hi = a->l->unit_hi, *each = lb_i64(b, a->h / a->g);
    if (units_are_groups(a->h, a->g)) return (Share){lb_mul(b, lo, each), lb_mul(b, hi, each), lo, hi};
    return (Share){lo, hi, lb_div(b, lo, each), lb_div(b, lb_addi(b, hi, a->h / a->g - 1), each)};
}

/* ---- a run: queries that walk the keys of a kv head together ---- */

typedef struct Run {
    const Attend *a;
    Value *kv, *head_lo, *head_hi, *row_lo, *row_hi;
    int64_t rows;  /* most: slots of a head */
    KeyValues own; /* the call's */
} Run;

static Value *slot_of(const Run *r, Value *head, Value *row) {
    LB *b = r->a->b;
    return lb_add(b, lb_muli(b, lb_sub(b, head, r->head_lo), r->rows), lb_sub(b, row, r->row_lo));
}

static Value *query_ptr(const Run *r, Value *head, Value *row) {
    LB *b = r->a->b;
    return lb_offset(b, lw_row_ptr(r->a->l, r->a->op->in[0], row), lb_muli(b, head, r->a->d * 4));
}

static void begin_all(const Run *r) {
    LB *b = r->a->b;
    KFOR (b, head, r->head_lo, r->head_hi, 1)
        KFOR (b, row, r->row_lo, r->row_hi, 1)
            attend_begin(r->a, slot_of(r, head, row), head, row, query_ptr(r, head, row));
}

static void meet(const Run *r, const Keys *block, int n, Value *head, Value *row) {
    const Attend *a = r->a;
    bool tokens = is_chunk(a);
    Queries q = {.n = n, .slot = slot_of(r, head, row), .head = head, .tokens = tokens};
    q.own = tokens ? row : lb_i64(a->b, 0);
    q.q = mat_fixed(a->l, query_ptr(r, head, row), tokens ? lw_row_stride(a->l, a->op->in[0]) : a->d);
    attend_meet(a, &q, block);
}

/* All queries, or those of tokens [row_lo, row_hi), which are all that see the block. */
static void meet_all(const Run *r, const Keys *block, Value *row_lo, Value *row_hi) {
    const Attend *a = r->a;
    if (is_chunk(a)) {
        KFOR (a->b, head, r->head_lo, r->head_hi, 1)
            TILES (a->l, t, row_lo, row_hi, NO_END, 1, a->queries) meet(r, block, t.count, head, t.at);
    } else {
        TILES (a->l, t, r->head_lo, r->head_hi, NO_END, 1, a->queries)
            meet(r, block, t.count, t.at, r->row_lo);
    }
}

static void meet_own(const Run *r) {
    const Attend *a = r->a;
    LB *b = a->b;
    Lower *l = a->l;
    Value *zero = lb_i64(b, 0), *lo = zero;
    Value *end = is_chunk(a) ? r->row_hi : lb_i64(b, 1);
    if (a->window > 0 && is_chunk(a)) {
        lo = lb_max(b, lb_addi(b, r->row_lo, 1 - a->window), zero);
        lo = lb_and(b, lo, lb_i64(b, -ATTEND_KEYS));
    }
    KFOR (b, from, lo, end, ATTEND_KEYS) {
        Keys k = {.from = from, .end = lw_min_i64(l, end, lb_addi(b, from, ATTEND_KEYS))};
        k.kv = attend_from(a, &r->own, from);
        Value *row_lo = lb_max(b, r->row_lo, from), *row_hi = r->row_hi;
        if (a->window > 0) row_hi = lw_min_i64(l, row_hi, lb_addi(b, k.end, a->window - 1));
        meet_all(r, &k, row_lo, row_hi);
    }
}

static void meet_cache(const Run *r) {
    const Attend *a = r->a;
    LB *b = a->b;
    Lower *l = a->l;
    Value *row = is_chunk(a) ? lb_i64(b, 0) : r->row_lo;
    KeyValues cache = attend_cached(a, row, r->kv);
    Value *before = lw_position(l, row), *hi = lw_min_i64(l, before, lb_i64(b, a->context));
    KFOR (b, from, lb_i64(b, 0), hi, ATTEND_KEYS) {
        Keys k = {.from = from, .cached = true, .before = before, .hi = hi};
        k.end = lw_min_i64(l, hi, lb_addi(b, from, ATTEND_KEYS));
        k.kv = attend_from(a, &cache, from);
        meet_all(r, &k, r->row_lo, r->row_hi);
    }
}

static void write_all(const Run *r) {
    const Attend *a = r->a;
    LB *b = a->b;
    Lower *l = a->l;
    KFOR (b, head, r->head_lo, r->head_hi, 1) {
        KFOR (b, row, r->row_lo, r->row_hi, 1) {
            Value *slot = slot_of(r, head, row), *from = lb_muli(b, slot, a->width);
            Value *factor = lb_div(b, lb_f32(b, 1), lb_load(b, DT_F32, 0, a->sum, slot, 0));
            LW_SPAN (l, row, NULL, 1, a->p, span) {
                Ix ix = {
                    .row = row, .o = a->h > 1 ? head : NULL, .i = span.i, .n = span.n, .O = a->h, .I = a->p};
                Value *x = lb_load(b, DT_F32, b->lanes, a->acc, lb_add(b, from, span.i), span.n);
                lw_write(l, a->op->out[0], &ix, lb_mul(b, x, factor));
            }
        }
    }
}

/* Not 0 where some query's sums are not finite. */
static Value *is_spoilt(const Run *r) {
    const Attend *a = r->a;
    LB *b = a->b;
    Value *sum = lb_var(b, lw_zero(a->l)), *rows = lb_sub(b, r->row_hi, r->row_lo);
    KFOR (b, head, r->head_lo, r->head_hi, 1) attend_look(a, slot_of(r, head, r->row_lo), rows, sum);
    Value *all = lb_reduce(b, "add", lb_get(b, sum));
    return lb_select(b, lb_cmp(b, "eq", all, all), lb_i64(b, 0), lb_i64(b, 1));
}

static void attend_run(const Run *r) {
    Attend a = *r->a;
    LB *b = a.b;
    Value *zero = lb_i64(b, 0), *go = lb_var(b, lb_i64(b, 1));
    Run again = *r;
    again.a = &a;
    KFOR (b, attempt, zero, lb_i64(b, 2), 1) {
        lb_if_begin(b, lb_cmp(b, "ne", lb_get(b, go), zero));
        a.careful = attempt;
        begin_all(&again);
        meet_own(&again);
        meet_cache(&again);
        lb_set(b, go, is_spoilt(&again));
        lb_if_end(b);
    }
    write_all(r);
}

/* ---- all of this thread's queries ---- */

/* Most heads and rows of a run: those of a group, but in a chunk no more than have room in the second cache,
 * and on a GPU, where scratch is per warp, no more than a tile. */
static void run_size(const Attend *a, int64_t *heads, int64_t *rows) {
    const LowerTarget *t = a->l->t;
    *heads = a->h / a->g, *rows = 1;
    if (!is_chunk(a)) return;
    *rows = t->execution == EXECUTION_GRID ? a->queries : t->chunk;
    int64_t bytes = 4 * (a->width + (a->bf16 ? a->depth : 0) + a->recent_row) * *rows,
            room = t->execution == EXECUTION_GRID ? 1 : t->value_room / bytes;
    if (*heads > room) *heads = room < 1 ? 1 : room;
}

static void chunk_head(const Attend *a, Run *r, Value *lo, Value *hi, int64_t heads) {
    LB *b = a->b;
    Lower *l = a->l;
    KFOR (b, head, lo, hi, heads) {
        r->head_lo = head, r->head_hi = lw_min_i64(l, hi, lb_addi(b, head, heads));
        KFOR (b, row, l->row_lo, l->row_hi, r->rows) {
            r->row_lo = row, r->row_hi = lw_min_i64(l, l->row_hi, lb_addi(b, row, r->rows));
            attend_run(r);
        }
    }
}

static void step_head(const Attend *a, Run *r, Value *row, Value *lo, Value *hi) {
    LB *b = a->b;
    r->head_lo = lo, r->head_hi = hi, r->row_lo = row, r->row_hi = lb_addi(b, row, 1);
    attend_run(r);
}

void attend_lower(Lower *l, Op *op) {
    LB *b = &l->b;
    Attend a = attend_new(l, op);
    if (a.bf16 && b->lanes > ATTEND_HALF) {
        if (l->form == FORM_STEP) /* said once: the chunk is the same op */
            diag_error(l->diag, op->loc,
                       "attend: math bf16 is for vectors of up to %d numbers, not %d; take f32", ATTEND_HALF,
                       b->lanes);
        return;
    }
    Share s = share_of(&a);
    Run r = {.a = &a};
    int64_t heads, each = a.h / a.g;
    run_size(&a, &heads, &r.rows);
    attend_scratch(&a, heads * r.rows);
    KeyValues own = attend_own_scratch(&a, is_chunk(&a) ? l->t->chunk : 1);
    KFOR (b, kv, s.kv_lo, s.kv_hi, 1) {
        Value *lo = lb_max(b, s.head_lo, lb_muli(b, kv, each));
        Value *hi = lw_min_i64(l, s.head_hi, lb_muli(b, lb_addi(b, kv, 1), each));
        r.kv = kv;
        if (is_chunk(&a)) {
            r.own = attend_own(&a, &own, lb_i64(b, 0), l->row_hi, kv);
            chunk_head(&a, &r, lo, hi, heads);
        } else {
            LW_ROWS (l, row) {
                r.own = attend_own(&a, &own, row, lb_addi(b, row, 1), kv);
                step_head(&a, &r, row, lo, hi);
            }
        }
    }
}

/* A kv head belongs to the thread of its first query head. */
void attend_store_state(Lower *l, Op *op) {
    LB *b = &l->b;
    Attend a = attend_new(l, op);
    Share s = share_of(&a);
    if (!units_are_groups(a.h, a.g))
        s.kv_lo = lb_div(b, lb_addi(b, s.head_lo, a.h / a.g - 1), lb_i64(b, a.h / a.g));
    attend_keep(&a, s.kv_lo, s.kv_hi);
}

const OpLowering lowering_attend = {
    .lower = attend_lower,
    .access = attend_access,
    .store_state = attend_store_state,
    .state_elements = attend_state_elements,
    .state_use = attend_state_use,
    .state_unpack = attend_state_unpack,
};
