/* See profile.h. */
#include "profile.h"

#include "btc_call.h"

ProfileClock profile_begin(Lower *l) {
    ProfileClock c = {.l = l};
    if (!l->t->profile) return c;
    LB *b = &l->b;
    c.records = lb_offseti(b, lw_worker_memory(l), l->plan->profile_offset);
    c.last = lb_var(b, lb_clock(b));
    return c;
}

void profile_note(ProfileClock *c, int stage, int field) {
    if (!c->last) return;
    LB *b = &c->l->b;
    Value *at = lb_i64(b, stage * PROFILE_FIELDS + field), *now = lb_clock(b);
    Value *sum = lb_add(b, lb_load(b, DT_I64, 0, c->records, at, 0), lb_sub(b, now, lb_get(b, c->last)));
    lb_store(b, DT_I64, c->records, at, sum, 0);
    lb_set(b, c->last, now);
}

void profile_skip(ProfileClock *c) {
    if (c->last) lb_set(&c->l->b, c->last, lb_clock(&c->l->b));
}
