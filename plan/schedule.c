/* See schedule.h. */
#include "schedule.h"

#include <string.h>

#include "state_slots.h"

static int64_t max(int64_t x, int64_t y) {
    return x > y ? x : y;
}

static int64_t round_up(int64_t x, int64_t to) {
    return (x + to - 1) / to * to;
}

static bool is_main(const Func *f) {
    return attr_find(f->attrs, "main") != NULL;
}

PackList *schedule_packs(Schedule *s, const char *block) {
    for (int i = 0; i < s->npacks; i++)
        if (!strcmp(s->packs[i]->block, block)) return s->packs[i];
    PackList *l = ARENA_NEW(s->arena, PackList);
    l->arena = s->arena, l->block = block, l->target = s->machine;
    ARENA_PUSH(s->arena, s->packs, s->npacks, s->packs_cap, l);
    return l;
}

/* ---- functions ---- */

/* A C identifier: "mamba_step__03_xi", or of a whole function "mamba_step". */
static const char *symbol(Arena *a, const char *func, const char *stage, int k) {
    char *s = stage ? arena_printf(a, "%s__%02d_%s", func, k, stage) : arena_strdup(a, func);
    for (char *c = s; *c; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || *c == '_'))
            *c = '_';
    return s;
}

static void name_functions(FuncPlan *p) {
    p->function = symbol(p->arena, p->f->name, NULL, 0);
    for (int k = 0; k < p->n; k++)
        if (!p->stages[k]->is_call)
            p->stages[k]->function = symbol(p->arena, p->f->name, p->stages[k]->name, k);
}

static void place_states(FuncPlan *p, const LowerTarget *t) {
    Func *f = p->f;
    p->state_offset = ARENA_ARRAY(p->arena, int64_t, f->nstates);
    for (int i = 0; i < f->nstates; i++) {
        int64_t bytes = state_slot_elements(p, i, t) * (int64_t)dtype_size(state_slot_dtype(p, i, t));
        p->state_offset[i] = p->state_bytes;
        p->state_bytes += round_up(bytes, 64);
    }
}

static bool add_plan(Diag *d, Schedule *s, Func *f) {
    FuncPlan *p = ARENA_NEW(s->arena, FuncPlan);
    p->f = f, p->arena = s->arena, p->module = &s->plans;
    ARENA_PUSH(s->arena, s->plans.plans, s->plans.n, s->plans.cap, p);
    if (!plan_function(d, p, s->machine)) return false;
    place_states(p, s->machine);
    name_functions(p);
    return true;
}

/* main's memory first, then one region that all blocks share: they run one after the other. */
static void place_regions(Schedule *s) {
    int64_t main_shared = 0, main_worker = 0;
    for (int i = 0; i < s->plans.n; i++) {
        FuncPlan *p = s->plans.plans[i];
        if (!is_main(p->f)) continue;
        main_shared = max(main_shared, p->shared_bytes);
        main_worker = max(main_worker, p->worker_bytes);
    }
    s->shared_bytes = main_shared;
    for (int i = 0; i < s->plans.n; i++) {
        FuncPlan *p = s->plans.plans[i];
        if (is_main(p->f)) continue;
        p->shared_base = main_shared, p->worker_base = main_worker;
        s->shared_bytes = max(s->shared_bytes, main_shared + p->shared_bytes);
    }
    s->shared_bytes = round_up(s->shared_bytes, 64);
}

/* ---- calls ---- */

static void add_call(Schedule *s, BlockCall call, const FuncPlan *plan) {
    call.state = s->state_bytes, call.packs = schedule_packs(s, call.block), call.plan = plan;
    s->state_bytes += plan->state_bytes;
    ARENA_PUSH(s->arena, s->calls, s->ncalls, s->calls_cap, call);
}

static void add_calls(Schedule *s, const FuncPlan *p) {
    add_call(s, (BlockCall){.block = form_base_name(s->arena, p->f), .layer = -1, .prefix = ""}, p);
    OPS_OF (p->f->body, op) {
        if (op->def->pattern != PAT_CALL) continue;
        const Func *callee = ir_func_find(p->f->module, attr_str(op, "func", ""));
        BlockCall call = {.block = form_base_name(s->arena, callee),
                          .layer = attr_int(op, "index", 0),
                          .prefix = attr_str(op, "prefix", "")};
        add_call(s, call, plan_find(&s->plans, callee));
    }
}

/* Tells main's stages which calls they make. */
static void link_calls(const Schedule *s, const FuncPlan *p) {
    for (int k = 0; k < p->n; k++) {
        Stage *stage = p->stages[k];
        if (!stage->is_call) continue;
        const Func *callee = ir_func_find(p->f->module, attr_str(stage->anchor, "func", ""));
        const char *block = form_base_name(s->arena, callee);
        int64_t layer = attr_int(stage->anchor, "index", 0);
        stage->callee = plan_find(&s->plans, callee), stage->call = 0;
        for (int i = 1; i < s->ncalls; i++)
            if (s->calls[i].layer == layer && !strcmp(s->calls[i].block, block)) stage->call = i;
        if (!stage->call) BTC_BUG("no call %lld of @%s", (long long)layer, block);
    }
}

bool schedule_plan(Diag *d, Module *m, const OpLowering *const *lowerings, const LowerTarget *t,
                   Schedule *out) {
    *out = (Schedule){.arena = m->arena, .machine = t, .plans = {.lowerings = lowerings}};
    for (int pass = 0; pass < 2; pass++) /* blocks before main, which asks for their plans */
        for (Func *f = m->first; f; f = f->next)
            if (f->form != FORM_SEQUENCE && is_main(f) == (pass == 1))
                if (!add_plan(d, out, f)) return false;
    place_regions(out);
    for (int i = 0; i < out->plans.n; i++) {
        const FuncPlan *p = out->plans.plans[i];
        if (!is_main(p->f)) continue;
        if (!out->ncalls) add_calls(out, p);
        link_calls(out, p);
        out->noutputs = p->f->nresults;
    }
    return true;
}

void schedule_place(Schedule *s) {
    for (int i = 0; i < s->plans.n; i++) {
        FuncPlan *p = s->plans.plans[i];
        int64_t scratch = 0;
        for (int k = 0; k < p->n; k++) scratch = max(scratch, p->stages[k]->scratch_bytes);
        s->worker_bytes = max(s->worker_bytes, p->worker_base + p->worker_bytes + scratch);
    }
    for (int i = 0; i < s->plans.n && s->machine->profile; i++) {
        FuncPlan *p = s->plans.plans[i];
        p->profile_offset = s->worker_bytes;
        s->worker_bytes += (int64_t)sizeof(int64_t) * PROFILE_FIELDS * p->n;
    }
    s->worker_bytes = round_up(s->worker_bytes, 128);
    for (int i = 0; i < s->ncalls; i++) {
        enum { ALIGN = 256 }; /* of each call's weights */
        s->calls[i].weights = s->weight_bytes;
        s->weight_bytes += round_up(s->calls[i].packs->bytes, ALIGN);
    }
}

/* ---- reading ---- */

FuncPlan *schedule_plan_of(const Schedule *s, const BlockCall *call, Form form) {
    for (int i = 0; i < s->plans.n; i++) {
        FuncPlan *p = s->plans.plans[i];
        if (p->f->form == form && !strcmp(form_base_name(s->arena, p->f), call->block)) return p;
    }
    return NULL;
}

FuncPlan *schedule_main(const Schedule *s, Form form) {
    return schedule_plan_of(s, &s->calls[0], form);
}

Sharing stage_sharing(const Stage *s) {
    if (s->axis == AXIS_REPLICATED) return SHARE_REPLICATED;
    if (s->axis == AXIS_ROWS) return SHARE_ROWS;
    return s->shares > 1 ? SHARE_UNITS : SHARE_ONE;
}

const char *sharing_name(Sharing s) {
    static const char *const names[] = {"units", "rows", "replicated", "one"};
    return names[s];
}
