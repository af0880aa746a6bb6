/* See verify_code.h. */
#include "verify_code.h"

#include "formats/arithmetic.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Numbers that are shown at a time: each lies about as a float and in doubles of three runs. */
static const int64_t MOST_SHOWN = (int64_t)1 << 24;

typedef struct Check {
    Diag *d;
    Arena *a;
    const char *path;
    VerifyOptions o;
    const RawTensor *input;
    Session oracle;
    int64_t cut;    /* of the prompt that is given in two calls; 0: it is not */
    Greedy *greedy; /* or NULL */
    CodeReport *to;
    int64_t first_at; /* of what `where` names: how far from the beginning of the model */
    double factor;    /* of agreement_of, where not every op is judged by itself */
    int whole;        /* it is the block of this call, as a whole; -1: an op */
} Check;

/* ---- runs ---- */

/* A compiled model and what came out of it. */
typedef struct CompiledRuns {
    Arena *a;
    Session session;
    TensorList whole, cut;
} CompiledRuns;

static bool run_compiled(Check *c, Arena *a, SessionProbes probes, const ProbeFilter *show, bool whole,
                         bool cut, CompiledRuns *r) {
    *r = (CompiledRuns){.a = a};
    VerifyOptions o = c->o;
    o.show = show;
    Session *s = &r->session;
    if (!session_open(s, c->d, a, c->path, &o, probes)) return false;
    if (whole && !session_run(s, o.form, o.threads, c->input, &r->whole)) return false;
    s->cut = c->cut;
    return !cut || session_run(s, o.form, o.threads, c->input, &r->cut);
}

/* ---- filters ---- */

static bool is_border(const void *user, int call, const Value *v) {
    const Func *f = user;
    if (call >= 0) return false;
    OPS_OF (f->body, op) {
        if (op->def->pattern != PAT_CALL) continue;
        for (int i = 0; i < op->nin; i++)
            if (!strcmp(op->in[i]->name, v->name)) return true;
        for (int i = 0; i < op->nout; i++)
            if (!strcmp(op->out[i]->name, v->name)) return true;
    }
    return false;
}

/* Calls [lo, hi), and main's values with the first. */
typedef struct Calls {
    int lo, hi;
} Calls;

static bool in_calls(const void *user, int call, const Value *v) {
    const Calls *k = user;
    (void)v;
    return call < 0 ? k->lo == 0 : call >= k->lo && call < k->hi;
}

/* ---- where something is ---- */

static const Func *main_of(const Check *c) {
    return ir_func_find(c->oracle.model.module, "main");
}

static const Op *call_number(const Check *c, int number) {
    int k = 0;
    OPS_OF (main_of(c)->body, op)
        if (op->def->pattern == PAT_CALL && k++ == number) return op;
    return NULL;
}

static const Func *func_of(const Check *c, int call) {
    return call < 0 ? main_of(c)
                    : ir_func_find(c->oracle.model.module, attr_str(call_number(c, call), "func", ""));
}

static int number_of(const Func *f, const Op *which) {
    int n = 0;
    OPS_OF (f->body, op) {
        if (op == which) return n;
        n += op->def->pattern != PAT_LEAF;
    }
    return n;
}

static const char *block_text(const Check *c, int call) {
    if (call < 0) return "outside of the blocks";
    return arena_printf(c->a, "block %d (%s, layer %d)", call + 1, func_of(c, call)->name, call);
}

static const char *op_text(const Check *c, const Func *f, const Op *op) {
    return arena_printf(c->a, "op %d: %%%s = %s", number_of(f, op), op->out[0]->name, op->def->name);
}

/* How far from the beginning of the model an op is. */
static int64_t place_of(const Check *c, int call, const Op *op) {
    int64_t n = 0, inside = 0;
    int k = 0;
    OPS_OF (main_of(c)->body, x) {
        n += 1 << 20;
        if (call < 0 && x == op) return n;
        if (x->def->pattern == PAT_CALL && k++ == call) break;
    }
    if (call >= 0)
        OPS_OF (func_of(c, call)->body, x) {
            inside++;
            if (x == op) break;
        }
    return n + inside;
}

/* whole: the call whose block is off as a whole, without an op; or -1. */
static void blame(Check *c, int64_t at, int whole, const char *where) {
    if (c->to->where && at >= c->first_at) return;
    c->to->where = where, c->first_at = at, c->whole = whole;
}

static int number_of_call(const Func *f, const Op *call) {
    int k = 0;
    OPS_OF (f->body, op) {
        if (op == call) break;
        k += op->def->pattern == PAT_CALL;
    }
    return k;
}

/* The op whose state a tensor is. */
static const Op *owner_of(const Check *c, const char *name, int *call) {
    int k = 0;
    OPS_OF (main_of(c)->body, op) {
        if (op->def->pattern != PAT_CALL) continue;
        const Func *f = func_of(c, *call = k);
        for (int i = 0, slot; i < f->nstates; i++)
            if (!strcmp(name, arena_printf(c->a, "state.%lld.%s", (long long)attr_int(op, "index", 0),
                                           f->states[i].name)))
                return state_slot_owner(f, i, &slot);
        k++;
    }
    const Func *f = main_of(c);
    *call = -1;
    for (int i = 0, slot; i < f->nstates; i++)
        if (!strcmp(name, arena_printf(c->a, "state.%s", f->states[i].name)))
            return state_slot_owner(f, i, &slot);
    return NULL;
}

/* ---- comparing ---- */

static DType stored_as(const Session *s, Arena *a, const char *name) {
    const Schedule *l = &s->compiled.lowered.schedule;
    for (int i = 0; i < l->ncalls; i++) {
        const BlockCall *call = &l->calls[i];
        const Func *f = call->plan->f;
        for (int k = 0; k < f->nstates; k++) {
            const State *st = f->states[k].slice_of ? f->states[k].slice_of : &f->states[k];
            const char *full = call->layer < 0
                                   ? arena_printf(a, "state.%s", st->name)
                                   : arena_printf(a, "state.%lld.%s", (long long)call->layer, st->name);
            if (!strcmp(full, name)) return state_slot_dtype(call->plan, k, &s->compiled.lower);
        }
    }
    return DT_F32;
}

static bool count(Check *c, const Agreement *g) {
    c->to->tensors++, c->to->numbers += g->count;
    c->to->off += !(g->ratio <= 1);
    return g->ratio <= 1;
}

static const char *off_text(const Check *c, const Agreement *g) {
    return arena_printf(c->a, "max error %.3g of %.3g, where rounding explains %.3g", g->error, g->largest,
                        g->allowed);
}

static Agreement agreement(const Check *c, const Session *s, const RawTensor *got, const RawTensor *want,
                           const RawTensor *off, double factor) {
    bool state = !strncmp(want->name, "state.", 6);
    return agreement_of(got, want, off, state ? stored_as(s, c->a, want->name) : DT_F32, factor);
}

/* judge_run; once more with more runs, where one pair leaves a doubt. */
static bool judge_surely(Check *c, JudgeOptions *o, const char *const *names, const Session *s,
                         const TensorList *got, double factor, TensorList *exact, TensorList *off) {
    *exact = *off = (TensorList){0};
    if (!judge_run(&c->oracle, o, names, c->input, exact, off)) return false;
    double worst = 0;
    for (int i = 0; i < exact->n; i++) {
        const RawTensor *g = tensor_find(got, exact->items[i].name);
        if (g) worst = fmax(worst, agreement(c, s, g, &exact->items[i], &off->items[i], factor).ratio);
    }
    if (worst <= 1 || worst > AGREE_DOUBT) return true;
    *exact = *off = (TensorList){0};
    o->pairs = AGREE_PAIRS;
    return judge_run(&c->oracle, o, names, c->input, exact, off);
}

/* Everything that the interpreter knows, against what was seen; lines for what has a name of its own. */
static void compare(Check *c, const Session *s, const TensorList *got, const TensorList *exact,
                    const TensorList *off, const ProbeList *probes, bool lines, const char *how,
                    double factor) {
    for (int i = 0; i < exact->n; i++) {
        const RawTensor *want = &exact->items[i], *g = tensor_find(got, want->name);
        bool state = !strncmp(want->name, "state.", 6);
        Agreement e = {.error = INFINITY, .ratio = INFINITY};
        if (g) e = agreement(c, s, g, want, &off->items[i], factor);
        bool ok = count(c, &e);
        if (lines || !ok) {
            CodeLine line = {arena_strdup(c->a, want->name),
                             g ? how : "  missing: compiled code does not keep it", e};
            if (lines || strncmp(want->name, "block ", 6))
                ARENA_PUSH(c->a, c->to->lines, c->to->nlines, c->to->lines_cap, line);
        }
        if (ok) continue;
        int call = -1;
        const Op *op = NULL;
        if (state)
            op = owner_of(c, want->name, &call);
        else if (probes && i < probes->n) {
            const Value *v = probe_find(c->oracle.model.module, &probes->items[i]);
            call = probes->items[i].call, op = v ? v->def : NULL;
        } else
            op = main_of(c)->results[0]->def;
        if (!op) continue;
        const Func *f = func_of(c, call);
        if (op->def->pattern == PAT_CALL) { /* behind what is inside, so that an op goes before its block */
            int k = number_of_call(f, op);
            blame(c, place_of(c, -1, op) + (1 << 19), k,
                  arena_printf(c->a, "%s, as a whole: %s%s", block_text(c, k), off_text(c, &e), how));
        } else {
            blame(c, place_of(c, call, op), -1,
                  arena_printf(c->a, "%s, %s%s: %s%s", block_text(c, call), op_text(c, f, op),
                               state ? arena_printf(c->a, " (%s)", want->name) : "", off_text(c, &e), how));
        }
    }
}

/* Led along what was seen in one run, and compared with it. */
static bool judge(Check *c, const CompiledRuns *r, bool cut, bool one_by_one, bool lines) {
    const TensorList *got = cut ? &r->cut : &r->whole;
    const ProbeList *probes = &r->session.shown;
    const Func *f = ir_func_find(r->session.model.module, "main");
    int first = r->session.exposed.n;
    JudgeOptions o = {.arena = r->a,
                      .probes = probes,
                      .shown = got,
                      .first = first,
                      .cut = cut ? c->cut : 0,
                      .step = !strcmp(c->o.form, "step"),
                      .one_by_one = one_by_one};
    TensorList exact, off;
    double factor = one_by_one ? AGREE_ROUNDINGS : c->factor;
    if (!judge_surely(c, &o, f->result_names + 1, &r->session, got, factor, &exact, &off)) return false;
    compare(c, &r->session, got, &exact, &off, probes, lines, cut ? " (prompt in two calls)" : "", factor);
    return true;
}

/* ---- as shipped ---- */

static bool same_bits(const RawTensor *x, const RawTensor *y) {
    return x->bytes == y->bytes && !memcmp(x->data, y->data, x->bytes);
}

/* Whether outputs and states of the shipped code are those of the code that shows its borders. */
static bool same_results(const TensorList *shipped, const TensorList *other) {
    for (int i = 0; i < shipped->n; i++) {
        const RawTensor *x = &shipped->items[i], *y = tensor_find(other, x->name);
        if (!y || !same_bits(x, y)) return false;
    }
    return true;
}

/* Where not, it is judged from the beginning to the end. */
static bool judge_shipped(Check *c, const CompiledRuns *r, bool cut) {
    JudgeOptions o = {.arena = r->a, .cut = cut ? c->cut : 0, .step = !strcmp(c->o.form, "step")};
    const TensorList *got = cut ? &r->cut : &r->whole;
    TensorList exact, off;
    if (!judge_surely(c, &o, NULL, &r->session, got, c->factor, &exact, &off)) return false;
    compare(c, &r->session, got, &exact, &off, NULL, false,
            cut ? " (as shipped, prompt in two calls)" : " (as shipped)", c->factor);
    return true;
}

static bool check_shipped(Check *c, const CompiledRuns *borders) {
    CompiledRuns r;
    Arena *tmp = arena_new();
    bool ok = run_compiled(c, tmp, PROBES_NONE, NULL, true, c->cut > 0, &r);
    if (ok && !same_results(&r.whole, &borders->whole)) ok = judge_shipped(c, &r, false);
    if (ok && c->cut && !same_results(&r.cut, &borders->cut)) ok = judge_shipped(c, &r, true);
    ok = ok && (!c->greedy || session_greedy(&r.session, c->o.form, c->o.threads, c->greedy->prompt,
                                             c->greedy->n, c->greedy->ids));
    session_close(&r.session);
    arena_free(tmp);
    return ok;
}

static bool check_borders(Check *c) {
    CompiledRuns r;
    ProbeFilter f = {is_border, main_of(c)};
    bool ok = run_compiled(c, c->a, PROBES_VALUES, &f, true, c->cut > 0, &r) &&
              judge(c, &r, false, false, true) && (!c->cut || judge(c, &r, true, false, false));
    ok = ok && check_shipped(c, &r);
    c->to->got = r.whole;
    session_close(&r.session);
    return ok;
}

/* ---- inside ---- */

static int64_t numbers_of(const Check *c, int call) {
    int64_t n = 0;
    OPS_OF (func_of(c, call)->body, op)
        for (int i = 0; i < op->nout; i++)
            if (probe_is_possible(op->out[i])) n += type_count(op->out[i]->type);
    return n * c->input->dim[0] * c->input->dim[1];
}

static bool check_inside(Check *c) {
    int calls = 0;
    OPS_OF (main_of(c)->body, op) calls += op->def->pattern == PAT_CALL;
    bool ok = true;
    for (int lo = 0, hi; (lo < calls || lo == 0) && ok; lo = hi) {
        int64_t n = lo == 0 ? numbers_of(c, -1) : 0;
        for (hi = lo; hi < calls && (hi == lo || n + numbers_of(c, hi) <= MOST_SHOWN); hi++)
            n += numbers_of(c, hi);
        if (hi == lo) hi++; /* a model without blocks */
        CompiledRuns r;
        Calls k = {lo, hi};
        ProbeFilter f = {in_calls, &k};
        Arena *tmp = arena_new();
        ok = run_compiled(c, tmp, PROBES_VALUES, &f, !c->cut, c->cut > 0, &r) &&
             judge(c, &r, c->cut > 0, true, false);
        session_close(&r.session);
        arena_free(tmp);
    }
    return ok;
}

/* ---- off in the shipped code alone ---- */

/* One value of one call. */
typedef struct One {
    int call;
    const char *value;
} One;

static bool is_one(const void *user, int call, const Value *v) {
    const One *o = user;
    return call == o->call && !strcmp(v->name, o->value);
}

/* With one value shown in a block that is off as a whole: whether what comes before it is off, and what comes
 * behind it. */
static bool split_at(Check *c, int call, const char *value, bool *front, bool *back) {
    CompiledRuns r;
    One one = {call, value};
    ProbeFilter f = {is_one, &one};
    CodeReport *to = c->to, unused = {0};
    Arena *tmp = arena_new();
    c->to = &unused;
    bool ok = run_compiled(c, tmp, PROBES_VALUES, &f, true, false, &r) && judge(c, &r, false, false, true);
    *front = *back = false;
    const char *shown = arena_printf(tmp, "block %d: %%%s", call + 1, value);
    const char *border = arena_printf(tmp, "hidden.%d", call + 1);
    for (int i = 0; i < unused.nlines; i++) {
        bool off = unused.lines[i].g.ratio > 1;
        *front |= off && !strcmp(unused.lines[i].name, shown);
        *back |= off && !strcmp(unused.lines[i].name, border);
    }
    session_close(&r.session);
    arena_free(tmp);
    c->to = to;
    return ok;
}

/* Every op is right by itself, but the fused block is wrong. Making one value an output splits the code
 * there, so halving finds the op; where nothing is off any more, it is the one that came apart. */
static bool name_fused(Check *c) {
    int call = c->whole, n = 0, cap = 0, first = 0;
    const Value **all = NULL;
    const Func *f = func_of(c, call);
    OPS_OF (f->body, op)
        for (int i = 0; i < op->nout; i++)
            if (probe_is_possible(op->out[i])) ARENA_PUSH(c->a, all, n, cap, op->out[i]);
    int64_t at = c->first_at;
    const char *said = c->to->where;
    for (int last = n - 1; first < last;) { /* it is in all[first .. last] */
        int middle = first + (last - first) / 2;
        bool front, back;
        if (!split_at(c, call, all[middle]->name, &front, &back)) return false;
        if (front)
            last = middle;
        else if (back)
            first = middle + 1;
        else
            first = last = middle;
    }
    c->to->where = said, c->first_at = at;
    if (n)
        c->to->where = arena_printf(c->a, "%s, %s, in the code as it is fused: %s", block_text(c, call),
                                    op_text(c, f, all[first]->def), strstr(said, "max error"));
    return true;
}

/* ---- the whole ---- */

/* The factor depends on whether numbers are rounded to few bits on the way: in products, or in states. */
static bool choose_factor(Check *c) {
    Compiled k;
    if (!compile_machine(c->d, &c->oracle.model, &c->o.compile, &k)) return false;
    bool steps = k.lower.state_dt != DT_F32;
    for (const Func *f = c->oracle.model.module->first; f; f = f->next)
        OPS_OF (f->body, op) steps |= arithmetic_rounds(attr_arithmetic(op, "math"));
    return c->factor = steps ? AGREE_STEPS : AGREE_ROUNDINGS, true;
}

/* A sequence twice: a step takes several, and a fault may be in how they are told apart. */
static RawTensor doubled(Arena *a, const RawTensor *t) {
    RawTensor two = *t;
    char *data = arena_alloc(a, 2 * t->bytes);
    memcpy(data, t->data, t->bytes), memcpy(data + t->bytes, t->data, t->bytes);
    two.dim[0] = 2, two.bytes = 2 * t->bytes, two.data = (const uint8_t *)data;
    return two;
}

/* The first sequence of the results. */
static void keep_first(TensorList *l, int exposed, int64_t batch) {
    for (int i = exposed; i < l->n; i++) { /* constants have no sequences */
        RawTensor *t = &l->items[i];
        t->dim[0] = 1, t->bytes /= (size_t)batch;
    }
}

bool verify_code(Diag *d, Arena *a, const char *path, const VerifyOptions *o, const RawTensor *input,
                 Greedy *greedy, CodeReport *out) {
    *out = (CodeReport){0};
    Check c = {
        .d = d, .a = a, .path = path, .o = *o, .input = input, .greedy = greedy, .to = out, .whole = -1};
    VerifyOptions interpreted = *o;
    bool step = !strcmp(o->form, "step");
    TargetInfo t;
    if (step) interpreted.compile.chunk = 1;
    interpreted.form = "interpret";
    int64_t batch = input->rank ? input->dim[0] : 0, T = input->rank > 1 ? input->dim[1] : 0;
    int64_t room = o->compile.max_batch ? o->compile.max_batch : DEFAULT_BATCH;
    if (batch > room && batch <= INT32_MAX) c.o.compile.max_batch = (int)batch; /* a step takes all of it */
    if (!compile_target(d, &o->compile, &t)) return false;
    bool here = t.target == target_host(), twice = step && here && batch == 1 && room > 1;
    RawTensor two;
    if (twice) two = doubled(a, input), c.input = &two;
    if (!step && here && T > 1) c.cut = (2 * T + 2) / 3 < T ? (2 * T + 2) / 3 : T - 1;
    bool ok = session_open(&c.oracle, d, a, path, &interpreted, PROBES_NONE);
    if (ok && whole_reader(c.oracle.model.module)) c.cut = 0;
    ok = ok && choose_factor(&c) && check_borders(&c) && check_inside(&c) && (c.whole < 0 || name_fused(&c));
    int exposed = c.oracle.exposed.n;
    session_close(&c.oracle);
    if (ok && twice) keep_first(&out->got, exposed, 2);
    return ok;
}
