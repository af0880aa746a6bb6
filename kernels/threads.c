/* See threads.h. */
#include "threads.h"

#include "btc_call.h"
#include "profile.h"
#include "worker.h"

/* The function that runs a plan, while it is written. */
typedef struct Runner {
    Lower l;
    const Schedule *s;
    Value **args; /* of its stages */
    int nargs;
    ProfileClock clock;
} Runner;

/* The address of main's value that goes into or out of a call. */
static Value *main_value(Lower *l, Value *v) {
    int64_t offset;
    const ValueInfo *i = value_info(value_base(v, &offset));
    if (i->space != SPACE_SHARED || offset) BTC_BUG("%%%s cannot be passed to a call", v->name);
    return lb_offseti(&l->b, l->work, i->offset);
}

static void call_block(Runner *r, const Stage *stage) {
    Lower *l = &r->l;
    LB *b = &l->b;
    const Op *op = stage->anchor;
    const BlockCall *call = &r->s->calls[stage->call];
    Value **args;
    int n = worker_arguments(l, op->nin + op->nout, &args);
    args[1] = lb_offseti(b, l->w, call->weights);
    args[2] = lb_addi(b, l->state_base, call->state);
    for (int i = 0; i < op->nin; i++) args[n++] = main_value(l, op->in[i]);
    for (int i = 0; i < op->nout; i++) args[n++] = main_value(l, op->out[i]);
    lb_invoke(b, stage->callee->function, args, n);
    profile_skip(&r->clock);
}

static void run_stage(Runner *r, int k, int nargs) {
    lb_invoke(&r->l.b, r->l.plan->stages[k]->function, r->args, nargs);
    profile_note(&r->clock, k, PROFILE_WORK);
}

/* The stages of a tile loop take turns; the last argument says which tile. */
static void run_tiles(Runner *r, int first) {
    Lower *l = &r->l;
    LB *b = &l->b;
    const Stage *s = l->plan->stages[first];
    Share part = worker_share(l, s);
    Value *n = lb_addi(b, lb_sub(b, part.hi, part.lo), s->tile - 1);
    KFOR (b, tile, lb_i64(b, 0), lb_div(b, n, lb_i64(b, s->tile)), 1) {
        r->args[r->nargs] = tile;
        for (int k = first; k < first + s->tile_stages; k++) run_stage(r, k, r->nargs + 1);
    }
}

static void lower_plan(Diag *d, const Schedule *s, FuncPlan *p, Module *loops) {
    Func *f = ir_func_new(loops, p->function, LEVEL_LOOP);
    Runner r = {.l = {.diag = d, .arena = p->arena, .t = s->machine, .form = p->f->form, .plan = p}, .s = s};
    worker_open(&r.l, f);
    worker_load_call(&r.l);
    r.nargs = worker_arguments(&r.l, 1, &r.args);
    r.clock = profile_begin(&r.l);
    for (int k = 0; k < p->n; k++) {
        const Stage *stage = p->stages[k];
        if (stage->barrier) {
            lb_barrier(&r.l.b, r.l.call, r.l.workers);
            profile_note(&r.clock, k, PROFILE_WAIT);
        }
        if (stage->is_call) {
            call_block(&r, stage);
        } else if (stage->tile_stages) {
            run_tiles(&r, k);
            k += stage->tile_stages - 1;
        } else {
            run_stage(&r, k, r.nargs);
        }
    }
}

/* btc_entry_step(call, worker, workers): main with its bases. */
static void lower_entry(const LowerTarget *t, const FuncPlan *p, Module *loops) {
    const char *name = p->f->form == FORM_STEP ? "btc_entry_step" : "btc_entry_chunk";
    Func *f = ir_func_new(loops, name, LEVEL_LOOP);
    attr_set(p->arena, &f->attrs, (Attr){.name = "export", .kind = AT_BOOL, .i = 1});
    LB b = lb_new(f, 4);
    Value *call = ir_param_add(f, "call", type_ptr());
    Value *worker = ir_param_as(f, PARAM_WORKER, "worker", type_scalar(DT_I64, 0));
    Value *workers = ir_param_as(f, PARAM_WORKERS, "workers", type_scalar(DT_I64, 0));
    Value *args[] = {call, lw_call_pointer(&b, call, BTC_CALL_WEIGHTS), lb_i64(&b, 0), worker, workers};
    if (t->execution == EXECUTION_SINGLE)
        args[3] = lb_i64(&b, 0), args[4] = lb_i64(&b, 1); /* known to all that it calls */
    lb_invoke(&b, p->function, args, 5);
}

void threads_lower(Diag *d, const Schedule *s, Module *loops) {
    for (int i = 0; i < s->plans.n; i++) lower_plan(d, s, s->plans.plans[i], loops);
    for (Form form = FORM_STEP; form <= FORM_CHUNK; form++) {
        const FuncPlan *p = schedule_main(s, form);
        if (p) lower_entry(s->machine, p, loops);
    }
}
