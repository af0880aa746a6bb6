/* Replaces long convolutions by modes (compiler/modes/), with --distill-filters=ORDER: each filter becomes
 * ORDER / 2 complex modes, so a sequence keeps ORDER numbers of state instead of its whole past. Decoding then
 * costs the same at every position, and sequences may be longer than the filter. No other pass changes what the
 * model computes; this one reports by how much.
 *
 *     %y, .. = conv.long %x, %h, %skip, %past   ->   %y, .. = scan.modal %x, @re, @im, @gre, @gim, tap + %skip, ..
 *
 * A block has other filters in every call. They are fitted call by call and added to the checkpoint under the
 * call's prefix, where packer and interpreter find them. */
#include "formats/format.h"
#include "modes/modes.h"
#include "ops/scan_modal.h"
#include "pass.h"
#include "weight_name.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PARTS = 5 };
static const char *const PART[PARTS] = {"re", "im", "gre", "gim", "tap"};

static int64_t taps_of(const Op *op) {
    return op->in[1]->type.dim[1];
}

/* Type and name, from the call's prefix on, of one part of what replaces the op. */
static Type part_type(const Op *op, int part, int n) {
    return type_tensor(DT_F32, false, part == PARTS - 1 ? 1 : 2, (int64_t[]){op->in[1]->type.dim[0], n});
}

static const char *part_name(Arena *a, const Func *f, const Op *op, int part) {
    return arena_printf(a, "distilled.%s.%s.%s", f->name, op->out[0]->name, PART[part]);
}

/* ---- fitting: every op in every call ---- */

static void tell(PassCtx *cx, const Func *f, const Op *op, const char *prefix, const Modes *m, int64_t c) {
    double sum = 0;
    int64_t worst = 0;
    for (int64_t i = 0; i < c; i++) {
        sum += m[i].error;
        if (m[i].error > m[worst].error) worst = i;
    }
    diag_note(
        cx->diag, (Loc){0},
        "distilled %s%s: %lld filters of %lld taps, order %d; off by %.2g of their size in the mean, %.2g in "
        "channel %lld",
        *prefix ? prefix : arena_printf(f->module->arena, "%s.", f->name), op->out[0]->name, (long long)c,
        (long long)taps_of(op), 2 * m->n, sum / (double)c, m[worst].error, (long long)worst);
}

/* Row-major [channels, n], or [channels] for the tap. */
static float *part_of(const Modes *m, const double *h, int64_t channels, int64_t taps, int part) {
    int n = part == PARTS - 1 ? 1 : m->n;
    float *out = xmalloc(sizeof *out * (size_t)(channels * n));
    for (int64_t i = 0; i < channels; i++) {
        const float *const from[] = {m[i].re, m[i].im, m[i].gre, m[i].gim};
        for (int k = 0; k < n; k++) out[i * n + k] = part < 4 ? from[part][k] : (float)h[i * taps];
    }
    return out;
}

static bool put_parts(PassCtx *cx, const Func *f, const Op *op, const char *prefix, const double *h,
                      const Modes *m) {
    const PassWeights *w = cx->options->weights;
    Arena *a = f->module->arena;
    bool ok = true;
    for (int part = 0; part < PARTS && ok; part++) {
        float *data = part_of(m, h, op->in[1]->type.dim[0], taps_of(op), part);
        const char *name = weight_name(a, prefix, part_name(a, f, op, part));
        ok = w->add(w->env.user, cx->diag, name, part_type(op, part, m->n), data);
        free(data);
    }
    return ok;
}

static bool fit_op(PassCtx *cx, const Func *f, const Op *op, const char *prefix) {
    int64_t channels = op->in[1]->type.dim[0];
    Arena *tmp = arena_new();
    Tensor h;
    bool ok = interp_constant(cx->diag, tmp, &cx->options->weights->env, f, op->in[1], prefix, &h);
    if (ok) {
        Modes *m = ARENA_ARRAY(tmp, Modes, channels);
        int64_t bad = modes_fit_all(h.data, channels, taps_of(op), cx->options->distill_filters / 2, m);
        if (bad >= 0)
            ok = diag_error(cx->diag, op->loc,
                            "--distill-filters: filter %lld of %s%s has taps that are not finite numbers",
                            (long long)bad, prefix, op->out[0]->name);
        ok = ok && put_parts(cx, f, op, prefix, h.data, m);
        if (ok && !cx->options->distill_quietly) tell(cx, f, op, prefix, m, channels);
    }
    arena_free(tmp);
    return ok;
}

/* prefixes: of the calls met so far of functions with filters; a block called twice with one prefix has one
 * set of weights. */
typedef struct Seen {
    const Func *f;
    const char *prefix;
} Seen;
typedef struct Visit {
    PassCtx *cx;
    Arena *a;
    Seen *seen;
    int n, cap;
} Visit;

static bool visit(Visit *v, const Func *f, const char *prefix) {
    for (int i = 0; i < v->n; i++)
        if (v->seen[i].f == f && !strcmp(v->seen[i].prefix, prefix)) return true;
    ARENA_PUSH(v->a, v->seen, v->n, v->cap, ((Seen){f, prefix}));
    OPS_OF (f->body, op) {
        if (op->def == OP_TABLE[OP_conv_long] && !fit_op(v->cx, f, op, prefix)) return false;
        if (op->def->pattern != PAT_CALL) continue;
        const Func *callee = ir_func_find(f->module, attr_str(op, "func", ""));
        const char *inner = arena_printf(v->a, "%s%s", prefix, attr_str(op, "prefix", ""));
        if (!visit(v, callee, inner)) return false;
    }
    return true;
}

/* ---- rewriting ---- */

static Value *part_weight(PassCtx *cx, Func *f, Op *op, int part, int n) {
    Arena *a = f->module->arena;
    Type t = part_type(op, part, n);
    Attr *at = NULL;
    attr_set(a, &at, (Attr){.name = "name", .kind = AT_STR, .s = part_name(a, f, op, part)});
    attr_set(
        a, &at,
        (Attr){.name = "shape", .kind = AT_INTS, .n = t.rank, .ints = arena_copy(a, t.dim, sizeof t.dim)});
    Op *w = build_before(cx, f, op, "weight", NULL, 0, at);
    if (!w) return NULL;
    op_set_format(f, w, "storage", &format_f32);
    return w->out[0];
}

static bool rewrite(PassCtx *cx, Func *f, Op *op) {
    Value *in[IN_STATE_RE] = {op->in[0]};
    for (int part = 0; part < PARTS; part++)
        if (!(in[part + 1] = part_weight(cx, f, op, part, cx->options->distill_filters / 2))) return false;
    if (op->in[2]) {
        Op *sum = build_before(cx, f, op, "add", (Value *[]){in[PARTS], op->in[2]}, 2, NULL);
        if (!sum) return false;
        in[PARTS] = sum->out[0];
    }
    const char *past = ir_state_of(f, op->in[op->nin - 1])->name;
    const char *slots[] = {arena_printf(f->module->arena, "%s.re", past),
                           arena_printf(f->module->arena, "%s.im", past)};
    Op *scan = ir_build(cx->diag, f, f->body, "scan.modal", in, IN_STATE_RE, NULL, NULL, 1, slots, op->loc);
    if (!scan) return false;
    ir_remove(scan);
    ir_insert_before(op, scan);
    ir_replace_uses(f, op->out[0], scan->out[0]);
    drop_states(f, op);
    ir_remove(op);
    scan->out[0]->name = op->out[0]->name;
    cx->changed++;
    return true;
}

/* n modes have 4 n numbers to choose, which must be fewer than the taps behind the first. */
static bool check_order(PassCtx *cx, const Op *op) {
    int order = cx->options->distill_filters;
    int64_t most = (taps_of(op) - 1) / 4 * 2;
    if (most > 2 * MODES_MAX) most = 2 * MODES_MAX;
    if (order >= 2 && order <= most && order % 2 == 0) return true;
    if (most < 2)
        return diag_error(cx->diag, op->loc, "--distill-filters: a filter of %lld taps is too short",
                          (long long)taps_of(op));
    return diag_error(cx->diag, op->loc,
                      "--distill-filters=%d: must be even and from 2 to %lld, for filters of %lld taps",
                      order, (long long)most, (long long)taps_of(op));
}

static bool run(PassCtx *cx, Module *m) {
    if (!cx->options || !cx->options->distill_filters) return true;
    int found = 0;
    for (Func *f = m->first; f; f = f->next)
        OPS_OF (f->body, op) {
            if (op->def != OP_TABLE[OP_conv_long]) continue;
            if (!check_order(cx, op)) return false;
            found++;
        }
    if (!found)
        return diag_usage(cx->diag, (Loc){0},
                          "--distill-filters: the model has no long filters (op conv.long)");
    Visit v = {.cx = cx, .a = m->arena};
    if (!visit(&v, ir_func_find(m, "main"), "")) return false;
    for (Func *f = m->first; f; f = f->next)
        for (Op *op = f->body->first, *next; op; op = next) {
            next = op->next;
            if (op->def == OP_TABLE[OP_conv_long] && !rewrite(cx, f, op)) return false;
        }
    return true;
}

const Pass pass_distill_filters = {"distill-filters",
                                   "turns long filters into modes, where --distill-filters asks", run};
