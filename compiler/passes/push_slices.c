/* Moves slices of the last dimension up, through elementwise ops and short convolutions, into the products that make
 * the sliced value. Each slice then is a product of its own, whose channels stay with one thread all the way down;
 * a slice taken afterwards would have to be shared between threads first.
 *
 *     %xz = linear %u, @in_proj                %x = linear %u, slice(@in_proj, 0..E)
 *     %x = slice %xz {start=0, size=E}    ->   %z = linear %u, slice(@in_proj, E..2E)
 *     %z = slice %xz {start=E, size=E}
 *
 * Legal when all users of the whole value are slices. The packer takes the slices of the weights. */
#include "pass.h"

#include <string.h>

static bool is_slice_of_last(const Op *op) {
    if (op->def != OP_TABLE[OP_slice] || !op->in[0]->type.seq) return false;
    return op->in[0]->type.rank == 1;
}

static bool only_sliced(const Func *f, const Value *v) {
    int uses = 0;
    OPS_OF (f->body, op) {
        if (is_slice_of_last(op) && op->in[0] == v) uses++;
    }
    return uses > 0 && uses == ir_count_uses(f, v);
}

static Attr *slice_attrs(Func *f, int64_t axis, const Op *like) {
    Arena *a = f->module->arena;
    Attr *t = NULL;
    attr_set(a, &t, (Attr){.name = "axis", .kind = AT_INT, .i = axis});
    attr_set(a, &t, (Attr){.name = "start", .kind = AT_INT, .i = attr_int(like, "start", 0)});
    attr_set(a, &t, (Attr){.name = "size", .kind = AT_INT, .i = attr_int(like, "size", 0)});
    return t;
}

/* The part of `v` that `slice` cuts, along `axis`. */
static Value *sliced(PassCtx *cx, Func *f, Op *slice, Value *v, int64_t axis) {
    Op *op = build_before(cx, f, slice, "slice", &v, 1, slice_attrs(f, axis, slice));
    return op ? op->out[0] : NULL;
}

static Attr *copy_attrs(Func *f, const Op *op) {
    Attr *t = NULL;
    for (const Attr *p = op->attrs; p; p = p->next) attr_set(f->module->arena, &t, *p);
    return t;
}

/* The states of `slice` are slices of the states of `whole`, along the channels. */
static void note_slices(Func *f, const Op *slice, const Op *whole, int64_t start) {
    int n = whole->def->state ? op_state_count(whole->def) : 0;
    for (int k = 1; k <= n; k++) {
        const State *from = ir_state_of(f, whole->in[whole->nin - k]);
        State *to = ir_state_of(f, slice->in[slice->nin - k]);
        if (!from || !to) continue;
        to->slice_at = from->slice_at + start;
        to->slice_of = from->slice_of ? from->slice_of : arena_copy(f->module->arena, from, sizeof *from);
    }
}

/* Rebuilds `whole` on sliced operands; per_channel(k): which axis of operand k follows the channels, -2:
 * none. */
static Value *rebuild(PassCtx *cx, Func *f, Op *slice, Op *whole, const int64_t *axis, int nin) {
    Value *in[16];
    for (int k = 0; k < nin; k++) {
        in[k] = whole->in[k];
        if (!in[k] || axis[k] == -2) continue;
        if (!(in[k] = sliced(cx, f, slice, in[k], axis[k]))) return NULL;
    }
    Op *op = build_before(cx, f, slice, whole->def->name, in, nin, copy_attrs(f, whole));
    if (op) note_slices(f, op, whole, attr_int(slice, "start", 0));
    return op ? op->out[0] : NULL;
}

static bool movable(const Op *whole, int64_t *axis, int *nin) {
    int64_t n = type_count(whole->out[0]->type);
    *nin = whole->nin - (whole->def->state ? op_state_count(whole->def) : 0);
    if (*nin > 8) return false;
    if (whole->def == OP_TABLE[OP_linear] && whole->in[0]->type.rank == 1) {
        axis[0] = -2, axis[1] = axis[2] = 0;
        return true;
    }
    if (whole->def->pattern == PAT_CONV && whole->in[0]->type.rank == 1 && whole->def->infer == NULL) {
        /* per channel: x[t,c], then constants that begin with c */
        axis[0] = -1;
        for (int k = 1; k < *nin; k++) axis[k] = 0;
        return whole->def != OP_TABLE[OP_shift] && whole->in[1] && whole->in[1]->type.dim[0] == n;
    }
    if (whole->def->pattern != PAT_ELEMENTWISE) return false;
    for (int k = 0; k < *nin; k++) {
        int64_t c = type_count(whole->in[k]->type);
        if (c != 1 && (c != n || whole->in[k]->type.rank != 1)) return false;
        axis[k] = c == 1 ? -2 : -1;
    }
    return whole->out[0]->type.rank == 1;
}

/* Moves all slices of `whole` above it. */
static bool move(PassCtx *cx, Func *f, Op *whole) {
    int64_t axis[8];
    int nin;
    if (!whole->nout || !whole->out[0]->type.seq || !movable(whole, axis, &nin)) return true;
    if (!only_sliced(f, whole->out[0])) return true;
    for (Op *op = f->body->first, *next; op; op = next) {
        next = op->next;
        if (!is_slice_of_last(op) || op->in[0] != whole->out[0]) continue;
        Value *v = rebuild(cx, f, op, whole, axis, nin);
        if (!v) return false;
        ir_replace_uses(f, op->out[0], v);
        ir_remove(op);
        cx->changed++;
    }
    if (whole->def->state) drop_states(f, whole);
    ir_remove(whole);
    return true;
}

static bool run(PassCtx *cx, Module *m) {
    for (Func *f = m->first; f; f = f->next)
        for (Op *op = f->body->last, *prev; op; op = prev) { /* users first: slices move step by step */
            prev = op->prev;
            int before = cx->changed;
            if (!move(cx, f, op)) return false;
            if (cx->changed != before) prev = f->body->last;
        }
    return true;
}

const Pass pass_push_slices = {"push-slices", "moves slices up into the products that make what they cut",
                               run};
