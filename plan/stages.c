/* Cutting a function into stages. An op that is not elementwise anchors a stage of its own. An elementwise op
 * joins the epilogue of the stage of its latest operand when it can be computed there, vector by vector, from
 * what is at hand or stored before; else it begins a stage without an anchor, which others may join.
 *
 * Before:  %g = linear ..   %a = silu %g   %u = linear ..   %m = mul %a, %u
 * After:   stage 0: linear + silu          stage 1: linear + mul            (m needs u; a is read back) */
#include <string.h>

#include "stage.h"

static ValueInfo *info_new(FuncPlan *p, Value *v, int stage) {
    ValueInfo *i = ARENA_NEW(p->arena, ValueInfo);
    i->stage = stage, i->first_epoch = i->last_epoch = -1, i->first_stage = i->last_stage = stage, i->io = -1;
    v->aux = i;
    return i;
}

static Stage *stage_new(FuncPlan *p, Op *anchor, const char *name) {
    Stage *s = ARENA_NEW(p->arena, Stage);
    s->anchor = anchor, s->name = name, s->cls = -1;
    ARENA_PUSH(p->arena, p->stages, p->n, p->cap, s);
    return s;
}

/* The shape [O, I] of an anchor's first result. */
static void anchor_shape(Stage *s, const Op *op) {
    Type t = op->out[0]->type;
    s->I = t.rank ? t.dim[t.rank - 1] : 1;
    s->O = s->I ? type_count(t) / s->I : 1;
    if (op->def == OP_TABLE[OP_concat]) s->I *= s->O, s->O = 1; /* its pieces end anywhere in a row */
    int64_t groups = attr_int(op, "groups", 1);
    if (op->def->pattern == PAT_ROW && groups > 1) s->O *= groups, s->I /= groups;
}

/* Whether t, broadcast to y, is y's first dimensions (then ones), or its last ones (after ones). */
static bool is_front(Type t, Type y) {
    int k = 0, skip = y.rank - t.rank;
    while (k < t.rank && t.dim[k] == y.dim[k + skip]) k++;
    while (k < t.rank && t.dim[k] == 1) k++;
    for (int i = 0; i < skip; i++)
        if (y.dim[i] != 1) return false;
    return k == t.rank;
}
static bool is_back(Type t, Type y) {
    int k = t.rank, skip = y.rank - t.rank;
    while (k > 0 && t.dim[k - 1] == y.dim[k - 1 + skip]) k--;
    while (k > 0 && t.dim[k - 1] == 1) k--;
    return k == 0;
}

/* Whether lw_read in a stage of shape [O, I] gives what broadcasting v to a result of type y means. */
static bool readable(const Value *v, Type y, int64_t O, int64_t I) {
    int64_t n = type_count(v->type);
    if (n == O * I || n == 1) return true;
    if (v->type.rank && v->type.dim[v->type.rank - 1] == 1 && n == O) return is_front(v->type, y);
    return n == I && is_back(v->type, y);
}

/* The finest [O, I] that an elementwise op needs: flat unless an operand is broadcast along the last axis. */
static void elementwise_shape(const Op *op, int64_t *O, int64_t *I) {
    Type t = op->out[0]->type;
    int64_t n = type_count(t), last = t.rank ? t.dim[t.rank - 1] : 1;
    *O = 1, *I = n;
    for (int k = 0; k < op->nin; k++) {
        int64_t c = type_count(op->in[k]->type);
        if (c != n && c != 1) *O = n / last, *I = last;
    }
}

static bool operands_readable(FuncPlan *p, const Op *op, int stage, int64_t O, int64_t I) {
    (void)p;
    for (int k = 0; k < op->nin; k++) {
        Value *v = op->in[k];
        if (!readable(v, op->out[0]->type, O, I)) return false;
        if (value_is_constant(v) || !v->def) continue;
        int64_t offset;
        Value *base = value_base(v, &offset);
        ValueInfo *i = value_info(base);
        bool here = i && i->stage == stage && stage >= 0;
        if (here && (offset || type_count(base->type) != O * I || type_count(v->type) != O * I)) return false;
    }
    return true;
}

static int latest_stage(const Op *op) {
    int s = -1;
    for (int k = 0; k < op->nin; k++) {
        if (!op->in[k] || value_is_constant(op->in[k])) continue;
        ValueInfo *i = value_info(value_base(op->in[k], NULL));
        if (i && i->stage > s) s = i->stage;
    }
    return s;
}

/* Whether v is the same for every token, since it is computed of such values alone. */
static bool is_same_for_all(const Value *v) {
    const Op *op = v->def;
    bool any = false;
    if (!op || op->def->state) return false;
    if (op->def->flags & OPF_SAME_ROWS) return true;
    Pattern of = op->def->pattern;
    if (of != PAT_ELEMENTWISE && of != PAT_ROW && of != PAT_VIEW && of != PAT_CONTRACT) return false;
    for (int i = 0; i < op->nin; i++) {
        if (!op->in[i] || value_is_constant(op->in[i])) continue;
        if (!is_same_for_all(op->in[i])) return false;
        any = true;
    }
    return any;
}

/* Whether all that the stage makes is the same for every token. */
static bool makes_same_rows(const FuncPlan *p, const Stage *s) {
    if (p->f->form != FORM_CHUNK || s->is_call) return false;
    if (s->anchor && !is_same_for_all(s->anchor->out[0])) return false;
    for (int i = 0; i < s->nepilogue; i++)
        if (!is_same_for_all(s->epilogue[i]->out[0])) return false;
    return true;
}

/* Adds `op` to the epilogue of stage number k if it fits there. */
static bool attach(FuncPlan *p, int k, Op *op) {
    if (k < 0) return false;
    Stage *s = p->stages[k];
    if (s->is_call || type_count(op->out[0]->type) != s->O * s->I) return false;
    if (s->anchor && (s->anchor->def->pattern == PAT_VIEW || s->anchor->out[0]->type.dt != DT_F32))
        return false;
    if (makes_same_rows(p, s) && !is_same_for_all(op->out[0])) return false;
    int64_t O, I;
    elementwise_shape(op, &O, &I);
    if (O > 1 && s->O == 1 && !s->anchor) { /* a flat stage may take the finer shape of its newcomer */
        for (int i = 0; i < s->nepilogue; i++)
            if (!operands_readable(p, s->epilogue[i], k, O, I)) return false;
        if (!operands_readable(p, op, k, O, I)) return false;
        s->O = O, s->I = I;
    } else if (!operands_readable(p, op, k, s->O, s->I)) {
        return false;
    }
    /* operands made in this stage must come through its first result or the epilogue */
    for (int i = 0; i < op->nin; i++) {
        if (!op->in[i] || value_is_constant(op->in[i])) continue;
        Value *b = value_base(op->in[i], NULL);
        ValueInfo *vi = value_info(b);
        if (vi && vi->stage == k && s->anchor && b->def == s->anchor && b != s->anchor->out[0]) return false;
    }
    ARENA_PUSH(p->arena, s->epilogue, s->nepilogue, s->epilogue_cap, op);
    info_new(p, op->out[0], k);
    return true;
}

static void default_access(const Op *op, const Stage *s, const LowerTarget *t, Access *a) {
    int64_t multiple = t->unit;
    switch (op->def->pattern) {
    case PAT_CONTRACT:
        *a = (Access){.split = SPLIT_FLAT, .multiple = t->panel, .rows = true, .all = {[0] = true}};
        break;
    case PAT_GATHER:
        *a = (Access){.split = SPLIT_FLAT, .multiple = multiple, .rows = true, .all = {[0] = true}};
        break;
    case PAT_ROW:
        if (s->O > 1)
            *a = (Access){.split = SPLIT_FLAT, .units = s->O, .rows = true};
        else
            *a = (Access){.split = SPLIT_NONE, .rows = true, .all = {[0] = true}};
        for (int k = 1; k < op->nin && k < ACCESS_OPERANDS; k++)
            a->all[k] = op->in[k] && !value_is_constant(op->in[k]);
        break;
    case PAT_SCAN:
    case PAT_CONV:
    case PAT_ATTEND:
        *a = (Access){.split = SPLIT_FLAT, .multiple = multiple};
        break;
    default:
        *a = (Access){.split = SPLIT_NONE, .rows = true, .all = {[0] = true, true, true, true}};
        break;
    }
}

static void set_access(const FuncPlan *p, Stage *s, const LowerTarget *t) {
    int64_t multiple = t->unit;
    if (!s->anchor) {
        s->access = (Access){.split = SPLIT_FLAT, .multiple = multiple, .rows = true};
        if (s->O > 1) s->access.units = s->O;
        return;
    }
    default_access(s->anchor, s, t, &s->access);
    const OpLowering *lowering = plan_lowering(p, s->anchor);
    if (lowering->access) {
        s->access = (Access){0};
        lowering->access(s->anchor, p->f->form, &s->access);
    }
    if (s->anchor->def->pattern == PAT_CONTRACT && t->panel > multiple) multiple = t->panel;
    if (!s->access.units && s->access.multiple < multiple) s->access.multiple = multiple;
}

/* What others read row by row, outside of this function, must lie there for every row. */
static bool is_read_outside(const FuncPlan *p, const Value *v) {
    for (int i = 0; i < p->f->nresults; i++)
        if (value_base(p->f->results[i], NULL) == v) return true;
    for (int k = 0; k < p->n; k++)
        for (int i = 0; p->stages[k]->is_call && i < p->stages[k]->anchor->nin; i++)
            if (value_base(p->stages[k]->anchor->in[i], NULL) == v) return true;
    return false;
}

static void mark_once(FuncPlan *p) {
    for (int k = 0; k < p->n; k++) {
        Stage *s = p->stages[k];
        s->once = makes_same_rows(p, s);
        for (int i = 0; s->anchor && i < s->anchor->nout; i++)
            if (is_read_outside(p, s->anchor->out[i])) s->once = false;
        for (int i = 0; i < s->nepilogue; i++)
            if (is_read_outside(p, s->epilogue[i]->out[0])) s->once = false;
    }
}

/* Whether v is needed only for the output: by main, after the last call. */
static void mark_out_rows(FuncPlan *p) {
    int last_call = -1;
    for (int i = 0; i < p->n; i++)
        if (p->stages[i]->is_call) last_call = i;
    if (last_call < 0) return;
    for (int i = last_call + 1; i < p->n; i++) {
        Stage *s = p->stages[i];
        /* these must see every row */
        bool stateful = s->anchor && (s->anchor->def->state || s->anchor->def->flags & OPF_WHOLE);
        if (stateful || s->deferred_store) {
            for (int j = last_call + 1; j <= i; j++) p->stages[j]->out_rows = false;
            last_call = i;
        } else {
            s->out_rows = !s->once;
        }
    }
}

bool plan_stages(Diag *d, FuncPlan *p, const LowerTarget *t) {
    Func *f = p->f;
    for (int i = 0; i < f->nparams; i++) info_new(p, f->params[i], -1);
    for (int i = 0; i < f->nstates; i++) f->states[i].in->aux = NULL;
    OPS_OF (f->body, op) {
        for (int i = 0; i < op->nout; i++) op->out[i]->aux = NULL;
        if (op->def->pattern == PAT_LEAF || is_view(op)) continue;
        if (value_is_constant(op->out[0])) BTC_BUG("constant op %s was not hoisted", op->def->name);
        if (op->def->pattern == PAT_ELEMENTWISE) {
            if (attach(p, latest_stage(op), op)) continue;
            Stage *s = stage_new(p, NULL, op->out[0]->name);
            elementwise_shape(op, &s->O, &s->I);
            if (!operands_readable(p, op, p->n - 1, s->O, s->I))
                return diag_error(d, op->loc, "%s: compiled code cannot broadcast these shapes; reshape them",
                                  op->def->name);
            ARENA_PUSH(p->arena, s->epilogue, s->nepilogue, s->epilogue_cap, op);
            info_new(p, op->out[0], p->n - 1);
            continue;
        }
        Stage *s = stage_new(p, op, op->nout ? op->out[0]->name : op->def->name);
        s->is_call = op->def->pattern == PAT_CALL;
        if (!s->is_call) anchor_shape(s, op);
        for (int i = 0; i < op->nout; i++) info_new(p, op->out[i], p->n - 1);
    }
    for (int i = 0; i < p->n; i++) set_access(p, p->stages[i], t);
    mark_once(p);
    mark_out_rows(p);
    return true;
}

char *plan_print(Arena *a, const FuncPlan *p) {
    static const char *const axes[] = {"channels", "rows", "replicated"};
    Text t = text_new(a);
    text_add(&t, "@%s (%s)\n", p->f->name, form_name(p->f->form));
    for (int i = 0; i < p->n; i++) {
        const Stage *s = p->stages[i];
        if (s->barrier) text_add(&t, "  -- barrier --\n");
        text_add(&t, "  %2d %-14s %s%s", i, s->name, s->deferred_store ? "deferred store of " : "",
                 s->anchor ? s->anchor->def->name : "elementwise");
        for (int k = 0; k < s->nepilogue && !s->deferred_store; k++)
            text_add(&t, " + %s", s->epilogue[k]->def->name);
        if (!s->is_call) {
            text_add(&t, "  [%lld,%lld] %s%s", (long long)s->O, (long long)s->I, s->once ? "once, " : "",
                     axes[s->axis]);
            if (s->axis == AXIS_CHANNELS)
                text_add(&t, " %lld x %lld", (long long)s->units, (long long)s->grain);
        }
        if (s->tile_stages)
            text_add(&t, "  tiles of %lld through %d stages", (long long)s->tile, s->tile_stages);
        text_add(&t, "\n");
    }
    return t.s;
}
