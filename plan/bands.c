/* See bands.h. */
#include "bands.h"

#include <string.h>

#include "formats/squeeze.h"
#include "kernels/kernels.h"
#include "kernels/module.h"

/* ---- which products ---- */

static bool is_rounding(const Op *op) {
    return op && op->def == OP_TABLE[OP_round_rows];
}

/* Whether v goes nowhere but into elementwise ops, element by element. */
static bool only_elementwise(const FuncPlan *p, const Value *v) {
    bool any = false;
    OPS_OF (p->f->body, op)
        for (int i = 0; i < op->nin; i++) {
            if (!op->in[i] || lw_base(op->in[i], NULL) != v) continue;
            bool same = op->in[i] == v && type_equal(op->out[0]->type, v->type);
            if (op->def->pattern != PAT_ELEMENTWISE || !same) return false;
            any = true;
        }
    for (int i = 0; i < p->f->nresults; i++)
        if (lw_base(p->f->results[i], NULL) == v) return false;
    return any;
}

/* The weight that is constant v. */
static const Op *leaf_of(const Value *v) {
    while (v->def->def->pattern == PAT_VIEW) v = v->def->in[0];
    return v->def;
}

/* Whether nobody but `reader` reads v, or the weight that v is. */
static bool only_reader(const FuncPlan *p, const Value *v, const Op *reader) {
    bool constant = lw_is_constant(v);
    OPS_OF (p->f->body, op)
        for (int i = 0; i < op->nin; i++) {
            const Value *u = op->in[i];
            if (op == reader || !u || lw_is_constant(u) != constant || op->def->pattern == PAT_VIEW) continue;
            if (constant ? pack_same_leaf(leaf_of(u), leaf_of(v)) : u == v) return false;
        }
    return true;
}

bool bands_possible(const FuncPlan *p, const Op *op, int64_t n) {
    if (!(op->def->flags & OPF_BANDS) || op->in[0]->type.rank != 1) return false;
    const Value *x = op->in[0], *w = op->in[1];
    Storage stored = {0};
    int64_t least = math_of_product(op, &stored) == MATH_F32 ? SQUEEZE_GROUP : QUANT_PART;
    if (stored.quant) least = stored.quant->block;
    if (type_count(x->type) % (n * least)) return false;
    if (is_rounding(x->def) && !only_reader(p, x, op)) return false;
    return lw_is_constant(w) && only_reader(p, w, op) && only_elementwise(p, op->out[0]);
}

int64_t bands_of(const FuncPlan *p, const Op *op) {
    for (int i = 0; i < p->nbanded; i++)
        if (p->banded[i].product == op) return p->banded[i].bands;
    return 0;
}

int64_t bands_behind(const FuncPlan *p, const Op *op) {
    if (!is_rounding(op)) return 0;
    for (int i = 0; i < p->nbanded; i++)
        if (p->banded[i].product->in[0] == op->out[0]) return p->banded[i].bands;
    return 0;
}

int64_t bands_of_leaf(const FuncPlan *p, const Op *leaf) {
    Arena *a = p->arena;
    const char *block = form_base_name(a, p->f);
    for (int k = 0; k < p->module->n; k++) {
        const FuncPlan *q = p->module->plans[k];
        if (strcmp(form_base_name(a, q->f), block)) continue;
        for (int i = 0; i < q->nbanded; i++)
            if (pack_same_leaf(leaf_of(q->banded[i].product->in[1]), leaf)) return q->banded[i].bands;
    }
    return 0;
}

int64_t bands_bytes(const FuncPlan *p) {
    enum { MORE = 4 - 1 }; /* the sums of four threads, instead of one result */
    int64_t bytes = 0;
    for (int i = 0; i < p->nbanded; i++) bytes += MORE * 4 * type_count(p->banded[i].product->out[0]->type);
    return bytes;
}

/* ---- adding up ---- */

void bands_join(Lower *l, Value *sums, int64_t apart, Value *count) {
    LB *b = &l->b;
    int64_t bands = l->stage->bands;
    for (int64_t half = 1; half < bands; half *= 2) {
        Value *pair = lb_div(b, lb_addi(b, l->unit_lo, 2 * half - 1), lb_i64(b, 2 * half));
        KFOR (b, band, lb_muli(b, pair, 2 * half), lw_min_i64(l, l->unit_hi, lb_i64(b, bands - half)),
              2 * half) {
            Value *end = lw_min_i64(l, lb_addi(b, band, 2 * half), lb_i64(b, bands));
            lb_if_begin(b, lb_cmp(b, "le", end, l->unit_hi));
            Value *to = lb_offset(b, sums, lb_muli(b, lb_sub(b, band, l->unit_lo), apart));
            Value *from = lb_offseti(b, to, half * apart);
            KFOR (b, i, lb_i64(b, 0), count, b->lanes) {
                Value *x = lb_load(b, DT_F32, b->lanes, to, i, 0),
                      *y = lb_load(b, DT_F32, b->lanes, from, i, 0);
                lb_store(b, DT_F32, to, i, lb_add(b, x, y), 0);
            }
            lb_if_end(b);
        }
    }
}

/* Band i was added to the one `half` before it, half being its lowest bit, if all bands from there to the
 * last that was added to i are this thread's. */
Value *bands_is_sum(Lower *l, Value *band) {
    LB *b = &l->b;
    Value *half = lb_and(b, band, lb_sub(b, lb_i64(b, 0), band));
    Value *end = lw_min_i64(l, lb_add(b, band, half), lb_i64(b, l->stage->bands));
    Value *first = lb_cmp(b, "eq", half, lb_i64(b, 0));
    Value *cut =
        lb_or(b, lb_cmp(b, "lt", lb_sub(b, band, half), l->unit_lo), lb_cmp(b, "gt", end, l->unit_hi));
    return lb_or(b, first, cut);
}

/* Vectors of one value's sums. */
typedef struct Sums {
    Lower *l;
    const Stage *made;
    Value *row, *at; /* row: address */
    int n;
} Sums;

static Value *load(const Sums *s, int64_t band) {
    LB *b = &s->l->b;
    return lb_load(b, DT_F32, b->lanes, s->row, lb_addi(b, s->at, band * s->made->I), s->n);
}

/* Which thread made a band: the last one whose share (module.c) does not begin behind it. */
static Value *maker(const Sums *s, int64_t band) {
    LB *b = &s->l->b;
    int64_t share = band / (s->made->units / s->made->shares);
    return lb_div(b, lb_addi(b, lb_muli(b, s->l->nt, share + 1), -1), lb_i64(b, s->made->shares));
}

/* The sum of bands [first, first + count), count a power of two, as far as they exist. */
static Value *sum_of(const Sums *s, int64_t first, int64_t count) {
    LB *b = &s->l->b;
    int64_t half = count / 2, bands = s->made->bands, end = first + count < bands ? first + count : bands;
    if (end - first == 1) return load(s, first);
    if (first + half >= bands) return sum_of(s, first, half);
    Value *sum = lb_var(b, lw_zero(s->l));
    lb_if_begin(b, lb_cmp(b, "eq", maker(s, first), maker(s, end - 1)));
    lb_set(b, sum, load(s, first));
    lb_else(b);
    Value *x = sum_of(s, first, half), *y = sum_of(s, first + half, half);
    lb_set(b, sum, lb_add(b, x, y));
    lb_if_end(b);
    return lb_get(b, sum);
}

bool bands_made(const Lower *l, Value *v) {
    const ValueInfo *i = lw_is_constant(v) ? NULL : value_info(lw_base(v, NULL));
    return i && i->stage >= 0 && l->plan->stages[i->stage]->bands;
}

Value *bands_read(Lower *l, Value *v, const Ix *ix) {
    LB *b = &l->b;
    Value *at = ix->o ? lb_add(b, lb_muli(b, ix->o, ix->I), ix->i) : ix->i;
    Sums s = {l, l->plan->stages[value_info(v)->stage], lw_row_ptr(l, v, ix->row), at, ix->n};
    int64_t all = 1;
    while (all < s.made->bands) all *= 2;
    Value *sum = sum_of(&s, 0, all), *bias = s.made->anchor->in[2];
    return bias ? lb_add(b, sum, lw_read(l, bias, ix)) : sum;
}
