/* See worker.h. */
#include "worker.h"

#include "btc_call.h"

enum { CONTEXT = 5 }; /* call, weights, state, worker, workers */

static int io_count(const FuncPlan *p) {
    return attr_find(p->f->attrs, "main") ? 0 : p->f->nparams + p->f->nresults;
}

void worker_open(Lower *l, Func *f) {
    Type i64 = type_scalar(DT_I64, 0);
    l->b = lb_new(f, l->t->lanes);
    l->call = ir_param_add(f, "call", type_ptr());
    l->w = ir_param_as(f, PARAM_READONLY, "w", type_ptr());
    l->state_base = ir_param_add(f, "state", i64);
    l->worker = ir_param_as(f, PARAM_WORKER, "worker", i64);
    l->workers = ir_param_as(f, PARAM_WORKERS, "workers", i64);
    int n = io_count(l->plan);
    l->io = ARENA_ARRAY(l->arena, Value *, n + 1);
    for (int i = 0; i < n; i++) l->io[i] = ir_param_add(f, "io", type_ptr());
}

int worker_arguments(Lower *l, int room, Value ***args) {
    Value *own[CONTEXT] = {l->call, l->w, l->state_base, l->worker, l->workers};
    int n = io_count(l->plan);
    *args = ARENA_ARRAY(l->arena, Value *, CONTEXT + n + room);
    for (int i = 0; i < CONTEXT; i++) (*args)[i] = own[i];
    for (int i = 0; i < n; i++) (*args)[CONTEXT + i] = l->io[i];
    return CONTEXT + n;
}

void worker_load_call(Lower *l) {
    LB *b = &l->b;
    l->rows = lb_load(b, DT_I64, 0, l->call, lb_i64(b, BTC_CALL_ROWS), 0);
    l->out_begin = lb_load(b, DT_I64, 0, l->call, lb_i64(b, BTC_CALL_OUT_BEGIN), 0);
    l->work = lw_call_pointer(b, l->call, BTC_CALL_WORK);
}

Value *lw_worker_memory(Lower *l) {
    LB *b = &l->b;
    Value *shared = lb_load(b, DT_I64, 0, l->call, lb_i64(b, BTC_CALL_SHARED_BYTES), 0);
    Value *private = lb_load(b, DT_I64, 0, l->call, lb_i64(b, BTC_CALL_PRIVATE_BYTES), 0);
    return lb_offset(b, l->work, lb_add(b, shared, lb_mul(b, private, l->worker)));
}

static Value *share(Lower *l, Value *n, Value *k) {
    return lb_div(&l->b, lb_mul(&l->b, n, k), l->workers);
}

Value *stage_rows(Lower *l, const Stage *s) {
    return s->once ? lw_min_i64(l, l->rows, lb_i64(&l->b, 1)) : l->rows;
}

Share worker_share(Lower *l, const Stage *s) {
    LB *b = &l->b;
    Value *lo = s->out_rows ? l->out_begin : lb_i64(b, 0), *next = lb_addi(b, l->worker, 1);
    if (s->axis == AXIS_CHANNELS) {
        Value *n = lb_i64(b, s->shares);
        return (Share){share(l, n, l->worker), share(l, n, next)};
    }
    if (s->axis == AXIS_REPLICATED) return (Share){lo, l->rows};
    Value *n = lb_sub(b, stage_rows(l, s), lo);
    return (Share){lb_add(b, lo, share(l, n, l->worker)), lb_add(b, lo, share(l, n, next))};
}
