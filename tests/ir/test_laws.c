/* Laws that every op of the model level obeys, tested over the whole table on random shapes:
 *   - it says what it is (doc, formula, source), and its text reads back as itself;
 *   - a sequence cut anywhere, the state carried over, gives what the whole gives; so do single tokens;
 *   - a later token never moves an earlier output;
 *   - but an op that says it needs whole sequences (OPF_WHOLE) does need them: a later token moves earlier outputs,
 *     and to go on with a sequence is refused;
 *   - an attribute that f32 cannot hold, or outside of its range, is refused, at the ends of the range, too. */
#include "gen.h"
#include "tools/check.h"

enum { TOKENS = 9, DRAWS = 60, WANTED = 12 };

static bool no_weight(void *user, Diag *d, Loc loc, const char *name, Type type, double *data) {
    (void)user, (void)d, (void)loc;
    for (int64_t i = 0; i < type_count(type); i++) data[i] = (double)(i + (int64_t)strlen(name)) * 0.25;
    return true;
}

static const Env ENV = {.weight = no_weight};

static Tensor rows_of(const Tensor *t, int64_t from, int64_t n) {
    if (!t->type.seq) return *t;
    return (Tensor){.type = t->type, .rows = n, .data = t->data + from * type_count(t->type)};
}

/* Runs main on the tokens in pieces of the given sizes and puts the results behind each other. */
static bool run_pieces(Arena *a, const Module *m, const Tensor *in, const int *piece, Tensor *out, Diag *d) {
    const Func *f = m->first;
    InterpState *s = interp_state_new(a, m);
    for (int i = 0; i < f->nresults; i++) {
        Type t = f->results[i]->type;
        out[i] = (Tensor){.type = t, .rows = t.seq ? TOKENS : 1};
        out[i].data = ARENA_ARRAY(a, double, out[i].rows *type_count(t));
    }
    for (int64_t at = 0, k = 0; at < TOKENS; at += piece[k++]) {
        Tensor part[SIG_MAX], res[SIG_MAX];
        for (int i = 0; i < f->nparams; i++) part[i] = rows_of(&in[i], at, piece[k]);
        if (!interp_run(d, a, m, &ENV, s, part, piece[k], res, NULL, NULL)) return false;
        for (int i = 0; i < f->nresults; i++) {
            int64_t n = type_count(res[i].type);
            double *to = out[i].data + (res[i].type.seq ? at * n : 0);
            memcpy(to, res[i].data, sizeof(double) * (size_t)(res[i].rows * n));
        }
    }
    return interp_position(s) == TOKENS;
}

static bool near(double x, double y) {
    return (isnan(x) && isnan(y)) || x == y || fabs(x - y) <= 1e-12 * (1 + fabs(x));
}

/* The first `rows` rows of all results agree. */
static bool same_results(const Func *f, const Tensor *x, const Tensor *y, int64_t rows) {
    for (int i = 0; i < f->nresults; i++) {
        int64_t n = (x[i].type.seq ? rows : 1) * type_count(x[i].type);
        for (int64_t k = 0; k < n; k++)
            if (!near(x[i].data[k], y[i].data[k])) return false;
    }
    return true;
}

static bool text_is_stable(Arena *a, Module *m) {
    Diag d = diag_new(a, stderr);
    char *text = ir_print_module(a, m);
    Module *again = ir_parse(&d, a, "text", text);
    bool ok = again && !strcmp(ir_print_module(a, again), text) && ir_verify(&d, again) && ir_verify(&d, m);
    if (!ok) fprintf(stderr, "%s", text);
    return ok;
}

/* The laws of ops that need whole sequences. *moved: a later token has changed something earlier. */
static bool obeys_whole(Arena *a, const Module *m, const Tensor *in, const Tensor *later, const int *pieces,
                        int64_t cut, bool *moved) {
    static const int whole[] = {TOKENS}, with_empty[] = {0, TOKENS};
    Diag d = diag_new(a, NULL);
    Tensor y[3][SIG_MAX];
    if (!run_pieces(a, m, in, whole, y[0], &d) || !run_pieces(a, m, later, whole, y[1], &d)) return false;
    *moved |= !same_results(m->first, y[0], y[1], cut);
    return run_pieces(a, m, in, with_empty, y[2], &d) && same_results(m->first, y[0], y[2], TOKENS) &&
           !run_pieces(a, m, in, pieces, y[2], &d);
}

static bool obeys(Arena *a, Rng *r, const Instance *x, bool *moved) {
    static const int whole[] = {TOKENS}, steps[] = {1, 1, 1, 1, 1, 1, 1, 1, 1}, with_empty[] = {4, 0, 5};
    const Func *f = x->m->first;
    Diag d = diag_new(a, NULL);
    Tensor in[SIG_MAX], later[SIG_MAX], y[4][SIG_MAX];
    int64_t cut = rng_int(r, 1, TOKENS - 1);
    const int pieces[] = {(int)cut, TOKENS - (int)cut};
    for (int i = 0; i < f->nparams; i++) {
        in[i] = gen_tensor(a, r, f->params[i]->type, TOKENS);
        bool tokens = x->op->def->flags & OPF_WHOLE && in[i].type.dt == DT_I32;
        for (int64_t k = 0; tokens && k < TOKENS * type_count(in[i].type); k++)
            in[i].data[k] = (double)rng_int(r, -1, TOKENS - 1);
        later[i] = in[i];
        later[i].data =
            arena_copy(a, in[i].data, sizeof(double) * (size_t)(in[i].rows * type_count(in[i].type)));
        for (int64_t k = cut * type_count(in[i].type); in[i].type.seq && k < TOKENS * type_count(in[i].type);
             k++)
            if (in[i].type.dt == DT_F32) later[i].data[k] += 3;
    }
    if (x->op->def->flags & OPF_WHOLE) return obeys_whole(a, x->m, in, later, pieces, cut, moved);
    /* An op may refuse a sequence that is too long for it; then it refuses the pieces as well. */
    bool ran = run_pieces(a, x->m, in, whole, y[0], &d);
    if (run_pieces(a, x->m, in, pieces, y[1], &d) != ran) return false;
    if (!ran) return true;
    if (!same_results(f, y[0], y[1], TOKENS)) return false;
    if (!run_pieces(a, x->m, in, steps, y[1], &d) || !same_results(f, y[0], y[1], TOKENS)) return false;
    if (!run_pieces(a, x->m, in, with_empty, y[2], &d) || !same_results(f, y[0], y[2], TOKENS)) return false;
    return run_pieces(a, x->m, later, whole, y[3], &d) && same_results(f, y[0], y[3], cut);
}

static void test_op(const OpDef *def, uint64_t seed) {
    Rng r = {seed};
    int done = 0;
    bool moved = false;
    for (int draw = 0; draw < DRAWS * 8 && done < WANTED; draw++) {
        Arena *a = arena_new();
        Instance x;
        if (gen_instance(a, &r, def, &x)) {
            done++;
            bool ok = text_is_stable(a, x.m) && (!def->eval || obeys(a, &r, &x, &moved));
            if (!CHECK(ok)) fprintf(stderr, "    %s", ir_print_module(a, x.m));
            if (def->cost) CHECK(def->cost(x.op, 3).flops >= 0);
        }
        arena_free(a);
    }
    if (def->flags & OPF_WHOLE && !CHECK(moved))
        fprintf(stderr, "    %s: no earlier output depends on a later token\n", def->name);
    if (!CHECK(done == WANTED)) fprintf(stderr, "    %s: too few instances (%d)\n", def->name, done);
}

/* ---- attributes ---- */

/* Whether the instance is still valid with the attribute `ad` set to v. */
static bool takes(Instance *x, const AttrDef *ad, double v) {
    Func *f = x->m->first;
    Diag d = diag_new(x->m->arena, NULL);
    Attr t = {.name = ad->name, .kind = ad->kind, .f = v, .i = (int64_t)v, .n = 1, .floats = &v};
    Attr *was = x->op->attrs, *with = NULL;
    for (const Attr *o = was; o; o = o->next)
        if (strcmp(o->name, ad->name)) attr_set(x->m->arena, &with, *o);
    attr_set(x->m->arena, &with, t);
    x->op->attrs = with;
    bool ok = ir_infer_op(&d, f, x->op);
    x->op->attrs = was;
    return ok;
}

static void test_attr(Instance *x, const AttrDef *ad) {
    static const double beyond[] = {1e39, -1e300, 1e-40, -1e-60, INFINITY, NAN};
    if (ad->kind == AT_FLOAT || ad->kind == AT_FLOATS)
        for (size_t i = 0; i < sizeof beyond / sizeof *beyond; i++)
            if (!CHECK(!takes(x, ad, beyond[i])))
                fprintf(stderr, "    %s: %s = %g\n", x->op->def->name, ad->name, beyond[i]);
    if (ad->kind != AT_FLOAT && ad->kind != AT_INT) return;
    const char *range = ad->str;
    for (Bound b; range_next(&range, &b);) {
        double step = ad->kind == AT_INT ? 1 : fmax(1e-30, fabs(b.at) * 1e-6);
        bool ok = !takes(x, ad, b.above ? b.at - step : b.at + step) && (b.equal || !takes(x, ad, b.at));
        if (ad->kind == AT_FLOAT)
            ok = ok && takes(x, ad, b.equal ? b.at : b.above ? b.at + step : b.at - step);
        if (!CHECK(ok)) fprintf(stderr, "    %s: %s is to be %s\n", x->op->def->name, ad->name, ad->str);
    }
    bool shapes = x->op->def->sig && strstr(x->op->def->sig, arena_printf(x->m->arena, "*%s", ad->name));
    if (!ad->required && !shapes) CHECK(takes(x, ad, ad->otherwise)); /* else the operands say how many */
}

static void test_attrs(const OpDef *def, uint64_t seed) {
    Rng r = {seed};
    Arena *a = arena_new();
    Instance x;
    for (int draw = 0; draw < DRAWS * 8; draw++) {
        if (!gen_instance(a, &r, def, &x)) continue;
        for (const AttrDef *ad = def->attrs; ad && ad->name; ad++) test_attr(&x, ad);
        break;
    }
    arena_free(a);
}

static void test_docs(const OpDef *def) {
    bool ok = def->name && def->doc && *def->doc;
    if (def->level == LEVEL_MODEL) ok = ok && def->formula && *def->formula && def->source && *def->source;
    for (const AttrDef *t = def->attrs; t && t->name; t++) ok = ok && t->doc && *t->doc;
    if (!CHECK(ok)) fprintf(stderr, "    %s: doc, formula or source is missing\n", def->name);
}

int main(void) {
    for (int i = 0; i < OP_COUNT; i++) {
        test_docs(OP_TABLE[i]);
        bool drawn = OP_TABLE[i]->level == LEVEL_MODEL && OP_TABLE[i]->sig && OP_TABLE[i] != &op_derived;
        if (drawn) test_op(OP_TABLE[i], (uint64_t)i + 1), test_attrs(OP_TABLE[i], (uint64_t)i + 1);
    }
    return check_report("laws of ops");
}
