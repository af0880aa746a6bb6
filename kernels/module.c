/* Planning and lowering of whole modules: see module.h. */
#include "module.h"

#include <string.h>

#include "btc_call.h"
#include "lower.h"
#include "op_table.h"
#include "profile.h"

const char *form_base_name(Arena *a, const Func *f) {
    const char *dot = strrchr(f->name, '.');
    return dot ? arena_strndup(a, f->name, (size_t)(dot - f->name)) : f->name;
}

static PackList *packs_of(Lowered *o, Arena *a, const char *block, const LowerTarget *t) {
    for (int i = 0; i < o->npacks; i++)
        if (!strcmp(o->packs[i]->block, block)) return o->packs[i];
    PackList *l = ARENA_NEW(a, PackList);
    l->arena = a, l->block = block, l->target = t;
    ARENA_PUSH(a, o->packs, o->npacks, o->packs_cap, l);
    return l;
}

static void place_states(FuncPlan *p, const LowerTarget *t) {
    Func *f = p->f;
    p->state_offset = ARENA_ARRAY(p->arena, int64_t, f->nstates);
    for (int i = 0; i < f->nstates; i++) {
        int64_t bytes = state_slot_elements(f, i, t) * (int64_t)dtype_size(state_slot_dtype(f, i, t));
        p->state_offset[i] = p->state_bytes;
        p->state_bytes += (bytes + 63) / 64 * 64;
    }
}

static bool add_plan(Diag *d, Arena *a, Lowered *o, Func *f, const LowerTarget *t) {
    FuncPlan *p = ARENA_NEW(a, FuncPlan);
    p->f = f, p->arena = a, p->module = &o->plans;
    o->plans.lowerings = OP_LOWERINGS;
    ARENA_PUSH(a, o->plans.plans, o->plans.n, o->plans.cap, p);
    if (!plan_function(d, p, t)) return false;
    place_states(p, t);
    return true;
}

static bool is_main(const Func *f) {
    return attr_find(f->attrs, "main") != NULL;
}

static int64_t max(int64_t x, int64_t y) {
    return x > y ? x : y;
}

/* main's memory first, then one region that all blocks share: they run one after the other. */
static void place_regions(Lowered *o) {
    int64_t main_shared = 0, main_private = 0;
    for (int i = 0; i < o->plans.n; i++) {
        FuncPlan *p = o->plans.plans[i];
        if (!is_main(p->f)) continue;
        main_shared = max(main_shared, p->shared_bytes);
        main_private = max(main_private, p->private_bytes);
    }
    o->shared_bytes = main_shared;
    for (int i = 0; i < o->plans.n; i++) {
        FuncPlan *p = o->plans.plans[i];
        if (is_main(p->f)) continue;
        p->shared_base = main_shared, p->private_base = main_private;
        o->shared_bytes = max(o->shared_bytes, main_shared + p->shared_bytes);
    }
}

/* ---- loop functions ---- */

static void open_function(Lower *l, Func *lf, const FuncPlan *p) {
    Type i64 = type_scalar(DT_I64, 0);
    l->b = lb_new(lf, l->t->lanes);
    l->call = ir_param_add(lf, "call", type_ptr());
    l->w = ir_param_as(lf, PARAM_READONLY, "w", type_ptr());
    l->soff = ir_param_add(lf, "soff", i64);
    l->tid = ir_param_as(lf, PARAM_WORKER, "tid", i64);
    l->nt = ir_param_as(lf, PARAM_WORKERS, "nt", i64);
    int n = is_main(p->f) ? 0 : p->f->nparams + p->f->nresults;
    l->io = ARENA_ARRAY(l->arena, Value *, n + 1);
    for (int i = 0; i < n; i++) l->io[i] = ir_param_add(lf, "io", type_ptr());
}

static Value *share(Lower *l, Value *n, Value *k) {
    return lb_div(&l->b, lb_mul(&l->b, n, k), l->nt);
}

Value *lw_private_part(Lower *l) {
    LB *b = &l->b;
    Value *shared = lb_load(b, DT_I64, 0, l->call, lb_i64(b, BTC_CALL_SHARED_BYTES), 0);
    Value *private = lb_load(b, DT_I64, 0, l->call, lb_i64(b, BTC_CALL_PRIVATE_BYTES), 0);
    return lb_offset(b, l->work, lb_add(b, shared, lb_mul(b, private, l->tid)));
}

/* This thread's share of a stage: rows, or units as threads take them. */
typedef struct Share {
    Value *lo, *hi;
} Share;

static Share share_of(Lower *l, const Stage *s) {
    LB *b = &l->b;
    Value *lo = s->out_rows ? l->out_begin : lb_i64(b, 0), *next = lb_addi(b, l->tid, 1);
    if (s->axis == AXIS_CHANNELS) {
        Value *n = lb_i64(b, s->shares);
        return (Share){share(l, n, l->tid), share(l, n, next)};
    }
    if (s->axis == AXIS_REPLICATED) return (Share){lo, l->rows};
    Value *n = lb_sub(b, l->rows, lo);
    return (Share){lb_add(b, lo, share(l, n, l->tid)), lb_add(b, lo, share(l, n, next))};
}

static void load_call(Lower *l) {
    LB *b = &l->b;
    l->rows = lb_load(b, DT_I64, 0, l->call, lb_i64(b, BTC_CALL_ROWS), 0);
    l->out_begin = lb_load(b, DT_I64, 0, l->call, lb_i64(b, BTC_CALL_OUT_BEGIN), 0);
    l->work = lb_loadp(b, l->call, lb_i64(b, BTC_CALL_WORK));
}

/* Loads what the API hands out: rows, this thread's part of rows and units, memory. strip: which of them. */
static void open_stage(Lower *l, Value *strip) {
    LB *b = &l->b;
    const Stage *s = l->stage;
    load_call(l);
    l->private_work = lw_private_part(l);
    Share part = share_of(l, s);
    if (strip) {
        part.lo = lb_add(b, part.lo, lb_muli(b, strip, s->strip));
        part.hi = lw_min_i64(l, part.hi, lb_addi(b, part.lo, s->strip));
    }
    bool channels = s->axis == AXIS_CHANNELS;
    l->row_lo = channels ? s->out_rows ? l->out_begin : lb_i64(b, 0) : part.lo;
    l->row_hi = channels ? l->rows : part.hi;
    l->unit_lo = channels ? lb_muli(b, part.lo, s->units / s->shares) : lb_i64(b, 0);
    l->unit_hi = channels ? lb_muli(b, part.hi, s->units / s->shares)
                          : lb_i64(b, s->access.units ? s->access.units : 1);
}

static void lower_stage(Lower *l, Func *lf, const Stage *s) {
    l->stage = s;
    l->scratch_used = l->scratch_peak = 0;
    l->plan->gen++; /* vectors at hand belong to the function that was written before */
    open_function(l, lf, l->plan);
    open_stage(l, s->strip ? ir_param_add(lf, "strip", type_scalar(DT_I64, 0)) : NULL);
    l->b.loc = s->anchor ? s->anchor->loc : s->posts[0]->loc;
    if (s->commit) {
        op_lowering(s->anchor->def)->commit(l, s->anchor);
    } else if (s->anchor) {
        const char *form = attr_str(s->anchor, "form", NULL);
        const OpLowering *lowering = op_lowering(s->anchor->def);
        void (*lower)(Lower *, Op *) = lowering->lower;
        for (const OpForm *f = lowering->forms; f && f->name && form; f++)
            if (!strcmp(f->name, form)) lower = f->lower;
        if (!lower) BTC_BUG("op %s has no lowering", s->anchor->def->name);
        lower(l, s->anchor);
    } else {
        LW_ROWS (l, row)
            LW_EACH (l, row, ix) {
                l->plan->gen++;
                lower_posts(l, &ix);
            }
    }
    if (l->scratch_peak > l->plan->scratch_bytes) l->plan->scratch_bytes = l->scratch_peak;
}

/* C identifier of a stage's function: "mamba_step__xi". */
static const char *symbol(Arena *a, const char *func, const char *stage, int k) {
    char *s = stage ? arena_printf(a, "%s__%02d_%s", func, k, stage) : arena_strdup(a, func);
    for (char *c = s; *c; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || *c == '_'))
            *c = '_';
    return s;
}

/* The address of main's value that goes into or out of a call. */
static Value *main_value(Lower *l, Value *v) {
    int64_t offset;
    const ValueInfo *i = value_info(lw_base(v, &offset));
    if (i->place != PLACE_SHARED || offset) BTC_BUG("%%%s cannot be passed to a call", v->name);
    return lb_offseti(&l->b, l->work, i->offset);
}

static void call_block(Lower *l, const Op *op, const Instance *inst) {
    LB *b = &l->b;
    int n = 5 + op->nin + op->nout;
    Value **args = ARENA_ARRAY(l->arena, Value *, n);
    args[0] = l->call;
    args[1] = lb_offseti(b, l->w, inst->weights);
    args[2] = lb_addi(b, l->soff, inst->state);
    args[3] = l->tid, args[4] = l->nt;
    for (int i = 0; i < op->nin; i++) args[5 + i] = main_value(l, op->in[i]);
    for (int i = 0; i < op->nout; i++) args[5 + op->nin + i] = main_value(l, op->out[i]);
    const char *callee = attr_str(op, "func", "");
    lb_invoke(b, symbol(l->arena, callee, NULL, 0), args, n);
}

static const Instance *instance_find(const Lowered *o, const char *block, int64_t index) {
    for (int i = 0; i < o->ninstances; i++)
        if (o->instances[i].index == index && !strcmp(o->instances[i].block, block)) return &o->instances[i];
    BTC_BUG("no instance %lld of @%s", (long long)index, block);
}

static void invoke_stage(Lower *l, int k, Value *const *args, int nargs, ProfileClock *clock) {
    const char *stage = symbol(l->arena, l->plan->f->name, l->plan->stages[k]->name, k);
    lb_invoke(&l->b, stage, args, nargs);
    profile_note(clock, k, PROFILE_WORK);
}

/* The stages of a run take turns; the last argument says which strip. */
static void lower_strips(Lower *l, int first, Value **args, int nargs, ProfileClock *clock) {
    LB *b = &l->b;
    const Stage *s = l->plan->stages[first];
    Share part = share_of(l, s);
    Value *n = lb_addi(b, lb_sub(b, part.hi, part.lo), s->strip - 1);
    KFOR (b, strip, lb_i64(b, 0), lb_div(b, n, lb_i64(b, s->strip)), 1) {
        args[nargs] = strip;
        for (int k = first; k < first + s->run; k++) invoke_stage(l, k, args, nargs + 1, clock);
    }
}

/* The function that runs all stages of a block (or of main, which also calls the blocks). */
static void lower_body(Diag *d, Lowered *o, FuncPlan *p, const LowerTarget *t) {
    Arena *a = p->arena;
    Func *body = ir_func_new(o->loops, symbol(a, p->f->name, NULL, 0), LEVEL_LOOP);
    Lower l = {.diag = d, .arena = a, .t = t, .form = p->f->form, .plan = p};
    open_function(&l, body, p);
    load_call(&l);
    Value *own[] = {l.call, l.w, l.soff, l.tid, l.nt};
    int nargs = 5 + (is_main(p->f) ? 0 : p->f->nparams + p->f->nresults);
    Value **args = ARENA_ARRAY(a, Value *, nargs + 1);
    for (int i = 0; i < nargs; i++) args[i] = i < 5 ? own[i] : l.io[i - 5];
    ProfileClock clock = profile_begin(&l);
    for (int k = 0; k < p->n; k++) {
        const Stage *s = p->stages[k];
        if (s->barrier) {
            lb_barrier(&l.b, l.call, l.nt);
            profile_note(&clock, k, PROFILE_WAIT);
        }
        if (s->is_call) {
            const char *block =
                form_base_name(a, ir_func_find(p->f->module, attr_str(s->anchor, "func", "")));
            call_block(&l, s->anchor, instance_find(o, block, attr_int(s->anchor, "index", 0)));
            profile_skip(&clock);
        } else if (s->run) {
            lower_strips(&l, k, args, nargs, &clock);
            k += s->run - 1;
        } else {
            invoke_stage(&l, k, args, nargs, &clock);
        }
    }
}

static void lower_stages(Diag *d, Lowered *o, FuncPlan *p, const LowerTarget *t) {
    Arena *a = p->arena;
    Lower l = {.diag = d, .arena = a, .t = t, .form = p->f->form, .plan = p};
    l.packs = packs_of(o, a, form_base_name(a, p->f), t);
    for (int k = 0; k < p->n; k++) {
        const Stage *s = p->stages[k];
        if (s->is_call) continue;
        Func *lf = ir_func_new(o->loops, symbol(a, p->f->name, s->name, k), LEVEL_LOOP);
        attr_set(a, &lf->attrs, (Attr){.name = "stage", .kind = AT_BOOL, .i = 1});
        lower_stage(&l, lf, s);
    }
}

/* btc_entry_step(call, tid, nt): main with its bases. */
static void lower_entry(Lowered *o, const FuncPlan *p) {
    Arena *a = p->arena;
    const char *name = p->f->form == FORM_STEP ? "btc_entry_step" : "btc_entry_chunk";
    Func *f = ir_func_new(o->loops, name, LEVEL_LOOP);
    attr_set(a, &f->attrs, (Attr){.name = "export", .kind = AT_BOOL, .i = 1});
    LB b = lb_new(f, 4);
    Value *call = ir_param_add(f, "call", type_ptr());
    Value *tid = ir_param_as(f, PARAM_WORKER, "tid", type_scalar(DT_I64, 0));
    Value *nt = ir_param_as(f, PARAM_WORKERS, "nt", type_scalar(DT_I64, 0));
    Value *args[5] = {call, lb_loadp(&b, call, lb_i64(&b, BTC_CALL_WEIGHTS)), lb_i64(&b, 0), tid, nt};
    lb_invoke(&b, symbol(a, p->f->name, NULL, 0), args, 5);
}

static void add_instances(Lowered *o, Arena *a, const FuncPlan *main_plan, const LowerTarget *t) {
    Func *f = main_plan->f;
    Instance m = {form_base_name(a, f), -1, "", 0, 0, packs_of(o, a, form_base_name(a, f), t), main_plan};
    o->state_bytes = main_plan->state_bytes;
    ARENA_PUSH(a, o->instances, o->ninstances, o->instances_cap, m);
    OPS_OF (f->body, op) {
        if (op->def->pattern != PAT_CALL) continue;
        Func *callee = ir_func_find(f->module, attr_str(op, "func", ""));
        const FuncPlan *plan = plan_find(&o->plans, callee);
        const char *block = form_base_name(a, callee);
        Instance i = {block, attr_int(op, "index", 0), attr_str(op, "prefix", ""),
                      0,     o->state_bytes,           packs_of(o, a, block, t),
                      plan};
        o->state_bytes += plan->state_bytes;
        ARENA_PUSH(a, o->instances, o->ninstances, o->instances_cap, i);
    }
}

/* Weights of each instance one after the other, on cache lines of the page size of no machine in particular.
 */
static void place_weights(Lowered *o) {
    for (int i = 0; i < o->ninstances; i++) {
        o->instances[i].weights = o->weight_bytes;
        o->weight_bytes += (o->instances[i].packs->bytes + 255) / 256 * 256;
    }
}

bool lower_module(Diag *d, Module *m, const LowerTarget *t, Lowered *out) {
    Arena *a = m->arena;
    *out = (Lowered){.loops = ir_module_new(a, m->name)};
    for (int pass = 0; pass < 2; pass++) /* blocks before main, which asks for their plans */
        for (Func *f = m->first; f; f = f->next)
            if (f->form != FORM_SEQUENCE && is_main(f) == (pass == 1))
                if (!add_plan(d, a, out, f, t)) return false;
    place_regions(out);
    for (int i = 0; i < out->plans.n; i++) lower_stages(d, out, out->plans.plans[i], t);
    for (int i = 0; i < out->plans.n; i++) {
        FuncPlan *p = out->plans.plans[i];
        out->private_bytes = max(out->private_bytes, p->private_base + p->private_bytes + p->scratch_bytes);
        if (is_main(p->f) && !out->ninstances) add_instances(out, a, p, t);
        if (is_main(p->f)) out->noutputs = p->f->nresults;
    }
    out->shared_bytes = (out->shared_bytes + 63) / 64 * 64;
    if (t->profile) profile_place(out);
    out->private_bytes = (out->private_bytes + 127) / 128 * 128;
    place_weights(out);
    for (int i = 0; i < out->plans.n; i++) lower_body(d, out, out->plans.plans[i], t);
    for (int i = 0; i < out->plans.n; i++)
        if (is_main(out->plans.plans[i]->f)) lower_entry(out, out->plans.plans[i]);
    return d->errors == 0;
}
