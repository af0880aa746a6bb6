/* See verify_expect.h. An expectation judges compiled code directly only if that code computes with the original's
 * numbers. Once weights are stored in fewer bits, or inputs of products are rounded, they are those of another model:
 * then the expectation judges the interpreter, which uses the checkpoint's own weights in double precision, and the
 * interpreter with the stored weights judges compiled code (verify_code.h). */
#include "verify_expect.h"

#include "formats/arithmetic.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- what can be expected ---- */

typedef struct Names {
    const char **items;
    int n, cap;
} Names;

static void add_name(Arena *a, Names *l, const char *name) {
    ARENA_PUSH(a, l->items, l->n, l->cap, name);
}

static int count_calls(const Func *f) {
    int n = 0;
    OPS_OF (f->body, op) n += op->def->pattern == PAT_CALL;
    return n;
}

static Names names_of(Arena *a, const Session *s) {
    Names l = {0};
    const Func *f = ir_func_find(s->model.module, "main");
    int calls = count_calls(f);
    for (int i = 0; calls && i <= calls; i++) add_name(a, &l, arena_printf(a, "hidden.%d", i));
    add_name(a, &l, f->result_names[0]);
    for (int i = 0; i < s->exposed.n; i++) add_name(a, &l, s->exposed.items[i].name);
    for (int i = 0; i < f->nstates; i++) add_name(a, &l, arena_printf(a, "state.%s", f->states[i].name));
    OPS_OF (f->body, op) {
        if (op->def->pattern != PAT_CALL) continue;
        const Func *g = ir_func_find(s->model.module, attr_str(op, "func", ""));
        for (int i = 0; i < g->nstates; i++)
            add_name(
                a, &l,
                arena_printf(a, "state.%lld.%s", (long long)attr_int(op, "index", 0), g->states[i].name));
    }
    if (f->params[0]->type.dt == DT_I32) add_name(a, &l, "greedy.ids"), add_name(a, &l, "greedy.prompt");
    return l;
}

static bool is_input(const char *name) {
    return !strcmp(name, "input_ids") || !strcmp(name, "input");
}

static bool is_greedy(const char *name) {
    return !strncmp(name, "greedy.", 7);
}

static bool check_name(Diag *d, Arena *a, const Names *l, const char *file, const char *name, const Func *f) {
    bool layers = !strncmp(name, "state.", 6); /* of all together */
    for (int i = 0; i < l->n; i++)
        if (!strcmp(l->items[i], name) ||
            (layers && !strcmp(l->items[i], arena_printf(a, "state.0.%s", name + 6))))
            return true;
    Loc loc = {.file = file, .path = name};
    int calls = count_calls(f);
    if (!strncmp(name, "hidden.", 7) && calls)
        return diag_error(d, loc, "the model gives no such tensor: it has %d blocks, hidden.0 to hidden.%d",
                          calls, calls);
    const char *nearest = diag_did_you_mean(a, name, l->items, l->n);
    if (*nearest) return diag_error(d, loc, "the model gives no such tensor%s", nearest);
    Text all = text_new(a);
    for (int i = 0; i < l->n; i++) text_add(&all, "%s%s", i ? ", " : "", l->items[i]);
    return diag_error(d, loc, "the model gives no such tensor; there are: %s", all.s);
}

/* Tokens and sequences must be those of the input; the rest of the shape shows when it is compared. */
static bool check_shape(Diag *d, Arena *a, const RawTensor *t, const RawTensor *input, const Func *f) {
    Loc loc = {.file = t->file, .path = t->name};
    if (!raw_tensor_count(t)) return diag_error(d, loc, "is empty: %s", raw_tensor_type(a, t));
    bool rows = !strncmp(t->name, "hidden.", 7) || !strcmp(t->name, f->result_names[0]);
    if (!rows || (t->rank >= 2 && t->dim[0] == input->dim[0] && t->dim[1] == input->dim[1])) return true;
    return diag_error(d, loc,
                      "is %s, but the input has %lld sequences of %lld tokens: [%lld,%lld,..] is needed",
                      raw_tensor_type(a, t), (long long)input->dim[0], (long long)input->dim[1],
                      (long long)input->dim[0], (long long)input->dim[1]);
}

static bool check_ids(Diag *d, const Session *s, const RawTensor *t) {
    const Attr *vocab = attr_find(s->model.module->attrs, "vocab");
    Loc loc = {.file = t->file, .path = t->name};
    if (t->rank != 1) return diag_error(d, loc, "must be [tokens], is %s", raw_tensor_type(s->a, t));
    for (int64_t i = 0; i < raw_tensor_count(t); i++) {
        double id = dtype_load(t->dt, t->data, i);
        if (!(id >= 0 && (!vocab || id < (double)vocab->i)))
            return diag_error(d, loc, "id %.0f of token %lld is not below the vocabulary's size %lld", id,
                              (long long)i, vocab ? (long long)vocab->i : 0);
        if (id != floor(id))
            return diag_error(d, loc, "id %g of token %lld is not a whole number", id, (long long)i);
    }
    return true;
}

static bool check_greedy(Diag *d, const Session *s, const char *file, const Expectation *e) {
    if (!e->prompt && !e->ids) return true;
    if (!e->prompt || !e->ids)
        return diag_error(d, (Loc){.file = file}, "has %s but no %s: one needs the other",
                          e->ids ? "greedy.ids" : "greedy.prompt", e->ids ? "greedy.prompt" : "greedy.ids");
    return check_ids(d, s, e->prompt) && check_ids(d, s, e->ids);
}

static bool check_all(Diag *d, Arena *a, const Session *s, const char *file, const RawTensor *input,
                      const Expectation *e) {
    const Func *f = ir_func_find(s->model.module, "main");
    Names names = names_of(a, s);
    int some = 0;
    for (int i = 0; i < e->file.n; i++) {
        const RawTensor *t = &e->file.tensors[i];
        if (is_input(t->name)) continue;
        if (!raw_tensor_readable(d, t) || !check_name(d, a, &names, t->file, t->name, f) ||
            !check_shape(d, a, t, input, f))
            return false;
        some++;
    }
    if (some) return check_greedy(d, s, file, e);
    Text all = text_new(a);
    for (int i = 0; i < names.n; i++) text_add(&all, "%s%s", i ? ", " : "", names.items[i]);
    return diag_error(d, (Loc){.file = file}, "holds nothing to compare; it can hold %s", all.s);
}

/* What comes out is expected of the input that the file holds, if it holds one. */
static bool check_input(Diag *d, const WeightSet *file, const RawTensor *input) {
    const RawTensor *own = weights_find(file, input->name);
    bool same = own && own->rank == input->rank && own->dt != DT_COUNT && input->dt != DT_COUNT;
    for (int i = 0; same && i < own->rank; i++) same = own->dim[i] == input->dim[i];
    for (int64_t i = 0, n = same ? raw_tensor_count(own) : 0; same && i < n; i++)
        same = dtype_load(own->dt, own->data, i) == dtype_load(input->dt, input->data, i);
    return !own || same ||
           diag_error(d, (Loc){.file = file->name, .path = own->name},
                      "is not that of %s: what is expected here belongs to another input; leave --input out, "
                      "or give the file's own",
                      input->file);
}

bool expect_open(Diag *d, Arena *a, const char *file, const char *path, const VerifyOptions *o,
                 const RawTensor *input, Expectation *e) {
    *e = (Expectation){0};
    if (file && (!weights_open(d, a, file, &e->file) || !check_input(d, &e->file, input))) return false;
    if (file)
        e->prompt = weights_find(&e->file, "greedy.prompt"), e->ids = weights_find(&e->file, "greedy.ids");
    VerifyOptions interpreted = *o;
    interpreted.form = "interpret";
    Session s;
    Batch b;
    bool ok = session_open(&s, d, a, path, &interpreted, PROBES_NONE) && session_batch(&s, input, &b) &&
              (!file || check_all(d, a, &s, file, input, e));
    session_close(&s);
    return ok;
}

bool expect_names(Diag *d, Arena *a, const char *path, const VerifyOptions *o, const char *file,
                  const char *const *names, int n) {
    VerifyOptions interpreted = *o;
    interpreted.form = "interpret";
    Session s;
    bool ok = session_open(&s, d, a, path, &interpreted, PROBES_NONE);
    if (ok) {
        Names all = names_of(a, &s);
        const Func *f = ir_func_find(s.model.module, "main");
        for (int i = 0; i < n && ok; i++) ok = check_name(d, a, &all, file, names[i], f);
    }
    session_close(&s);
    return ok;
}

/* ---- the interpreter's own numbers ---- */

/* Whether what is computed here is not what the original computes, but for roundings of f32. */
static bool rounds_anything(const Session *s, const Compiled *c) {
    if (c->lower.state_dt != DT_F32 || s->o.compile.passes.distill_filters) return true;
    for (const Func *f = s->model.module->first; f; f = f->next)
        OPS_OF (f->body, op) {
            const NumberFormat *stored = attr_format(op, "storage");
            if (arithmetic_rounds(attr_arithmetic(op, "math"))) return true;
            if (op->def != OP_TABLE[OP_weight]) continue;
            if (stored->quantize || (s->o.model.dtype && stored != &format_f32)) return true;
        }
    return false;
}

static bool is_rounded(const Session *s, bool *rounded) {
    Compiled c;
    return compile_machine(s->d, &s->model, &s->o.compile, &c) && (*rounded = rounds_anything(s, &c), true);
}

/* The model as the checkpoint has it. */
static VerifyOptions original_options(const VerifyOptions *o) {
    VerifyOptions v = *o;
    v.form = "interpret";
    v.model.dtype = NULL, v.model.quant = "none", v.model.calibration = NULL;
    v.compile.math = "f32", v.compile.state = NULL, v.compile.passes.distill_filters = 0;
    return v;
}

/* Its numbers, and how far roundings of f32 may lead. */
static bool run_interpreter(Session *s, Arena *a, const RawTensor *input, int pairs, TensorList *exact,
                            TensorList *off) {
    ProbeList probes = {0};
    Names names = {0};
    const Func *f = ir_func_find(s->model.module, "main");
    int k = 0;
    OPS_OF (f->body, op) {
        if (op->def->pattern != PAT_CALL) continue;
        const Value *v[] = {op->in[0], op->out[0]};
        for (int i = k ? 1 : 0; i < 2; i++) {
            Probe t = {-1, v[i]->name};
            ARENA_PUSH(a, probes.items, probes.n, probes.cap, t);
            add_name(a, &names, arena_printf(a, "hidden.%d", i ? k + 1 : 0));
        }
        k++;
    }
    JudgeOptions o = {.arena = a, .probes = &probes, .pairs = pairs};
    *exact = *off = (TensorList){0};
    return judge_run(s, &o, names.items, input, exact, off);
}

/* ---- comparing ---- */

/* Every number may be off by `most`. */
static Agreement agreement_within(const RawTensor *got, const RawTensor *want, double most) {
    Difference e = tensor_difference(got, want);
    Agreement g = {.error = e.max_error, .allowed = most, .largest = e.max_value, .at = e.at};
    g.other_shape = e.other_shape, g.count = raw_tensor_count(want);
    g.ratio = e.other_shape ? INFINITY : e.max_error / most;
    return g;
}

static Agreement compare_one(Arena *a, const RawTensor *got, const RawTensor *want, const RawTensor *off,
                             double tolerance) {
    if (tolerance > 0) return agreement_within(got, want, tolerance);
    if (off) return agreement_of(got, want, off, want->dt, AGREE_ROUNDINGS);
    RawTensor *none = arena_copy(a, want, sizeof *want); /* a constant, computed in double precision */
    double *x = ARENA_ARRAY(a, double, raw_tensor_count(want)), most = 0;
    for (int64_t i = 0; i < raw_tensor_count(want); i++)
        most = fmax(most, fabs(dtype_load(want->dt, want->data, i)));
    for (int64_t i = 0; i < raw_tensor_count(want); i++) x[i] = most * 0x1p-22; /* of f32, in the original */
    none->dt = DT_F64, none->data = (const uint8_t *)x;
    return agreement_of(got, want, none, want->dt, AGREE_ROUNDINGS);
}

static bool is_exposed(const Session *s, const char *name) {
    return tensor_find(&s->exposed, name) != NULL;
}

static void note_block(ExpectReport *r, const Session *s, const char *name) {
    int block, k = 0;
    if (sscanf(name, "hidden.%d", &block) != 1 || (r->first_block >= 0 && block >= r->first_block)) return;
    r->first_block = block, r->first_name = NULL;
    OPS_OF (ir_func_find(s->model.module, "main")->body, op)
        if (op->def->pattern == PAT_CALL && ++k == block) r->first_name = attr_str(op, "func", "");
}

static const char *shape_note(Arena *a, const RawTensor *got, const RawTensor *want) {
    return arena_printf(a, "  (got %s, expected %s)", raw_tensor_type(a, got), raw_tensor_type(a, want));
}

static void compare_tensors(Arena *a, const Session *s, const Expectation *e, const TensorList *got,
                            const TensorList *compiled, const TensorList *off, ExpectReport *r) {
    *r = (ExpectReport){.first_block = -1, .rounded = r->rounded};
    r->lines = ARENA_ARRAY(a, ExpectLine, e->file.n);
    for (int i = 0; i < e->file.n; i++) {
        const RawTensor *want = &e->file.tensors[i], *g = tensor_find_all(a, got, want->name);
        if (is_input(want->name) || is_greedy(want->name)) continue;
        double tolerance = e->tolerance ? e->tolerance[i] : 0;
        if (tolerance > 0 || !g) g = tensor_find_all(a, compiled, want->name);
        ExpectLine *line = &r->lines[r->n++];
        *line = (ExpectLine){want->name, "", {.error = INFINITY, .ratio = INFINITY}};
        if (!g) {
            line->note = "  missing: compiled code does not keep it", r->off++;
            continue;
        }
        if (is_exposed(s, want->name)) g = tensor_cut(a, g, want);
        line->g = compare_one(a, g, want, tensor_find_all(a, off, want->name), tolerance);
        const RawTensor *c = tensor_find_all(a, compiled, want->name);
        if (line->g.other_shape)
            line->note = shape_note(a, g, want);
        else if (r->rounded && c && g != c && tolerance <= 0)
            line->note = arena_printf(
                a, "  with what is rounded %.3g",
                tensor_difference(is_exposed(s, want->name) ? tensor_cut(a, c, want) : c, want).max_error);
        r->numbers += line->g.count;
        if (line->g.ratio <= 1) continue;
        r->off++, note_block(r, s, want->name);
    }
}

/* Whether more runs of the interpreter may explain all that is off. */
static bool in_doubt(const ExpectReport *r) {
    double worst = 0;
    for (int i = 0; i < r->n; i++) worst = fmax(worst, r->lines[i].g.ratio);
    return worst > 1 && worst <= AGREE_DOUBT;
}

/* ---- greedy decoding ---- */

static int64_t count_same(const int64_t *ids, const RawTensor *want) {
    int64_t n = raw_tensor_count(want), same = 0;
    while (same < n && (double)ids[same] == dtype_load(want->dt, want->data, same)) same++;
    return same;
}

/* Compiled code chose another token than the interpreter with the same weights, after `same` equal ones:
 * whether the two were as good as equal, by the roundings on the way. */
static bool is_toss_up(Session *s, Arena *a, const RawTensor *prompt, const int64_t *ids, int64_t same,
                       int64_t other) {
    int64_t np = raw_tensor_count(prompt), n = np + same, *x = ARENA_ARRAY(a, int64_t, n);
    for (int64_t i = 0; i < n; i++)
        x[i] = i < np ? (int64_t)dtype_load(prompt->dt, prompt->data, i) : ids[i - np];
    RawTensor in = {.name = "greedy", .dt = DT_I64, .rank = 2, .dim = {1, n}, .file = "computed"};
    in.data = (const uint8_t *)x, in.bytes = sizeof *x * (size_t)n;
    TensorList exact = {0}, off = {0};
    JudgeOptions o = {.arena = a};
    if (!judge_run(s, &o, NULL, &in, &exact, &off)) return false;
    const RawTensor *logits = &exact.items[0], *by = &off.items[0];
    int64_t V = logits->dim[2], row = (n - 1) * V;
    double gap = dtype_load(logits->dt, logits->data, row + ids[same]) -
                 dtype_load(logits->dt, logits->data, row + other),
           worst = 0;
    for (int64_t i = 0; i < V; i++) worst = fmax(worst, dtype_load(by->dt, by->data, row + i));
    return gap <= 8 * worst;
}

static bool compare_greedy(Diag *d, Arena *a, Session *own, Session *original, const Expectation *e,
                           const int64_t *greedy, ExpectReport *r) {
    if (!e->ids) return true;
    int64_t n = raw_tensor_count(e->ids), *ids = ARENA_ARRAY(a, int64_t, n), k = 0;
    (void)d;
    r->has_greedy = true;
    if (!r->rounded) {
        r->same = count_same(greedy, e->ids);
        return r->greedy_ok = r->same == n, true;
    }
    if (!session_greedy(original, "interpret", 1, e->prompt, n, ids)) return false;
    r->same = count_same(ids, e->ids), r->greedy_ok = r->same == n;
    if (!session_greedy(own, "interpret", 1, e->prompt, n, ids)) return false;
    while (k < n && ids[k] == greedy[k]) k++;
    if (k < n && !is_toss_up(own, a, e->prompt, ids, k, greedy[k])) r->greedy_ok = false;
    return true;
}

bool expect_compare(Diag *d, Arena *a, const char *path, const VerifyOptions *o, const RawTensor *input,
                    const Expectation *e, const TensorList *got, const int64_t *greedy, ExpectReport *r) {
    *r = (ExpectReport){.first_block = -1};
    VerifyOptions interpreted = *o, plain = original_options(o);
    interpreted.form = "interpret";
    Session own, original = {0};
    TensorList exact = {0}, off = {0};
    bool ok = session_open(&own, d, a, path, &interpreted, PROBES_NONE);
    ok = ok && is_rounded(&own, &r->rounded);
    if (ok && r->rounded) {
        ok = session_open(&original, d, a, path, &plain, PROBES_NONE);
        original.as_in_checkpoint = true;
    }
    for (int pairs = 1; ok; pairs = AGREE_PAIRS) {
        ok = run_interpreter(r->rounded ? &original : &own, a, input, pairs, &exact, &off);
        if (ok) compare_tensors(a, &own, e, r->rounded ? &exact : got, got, &off, r);
        if (pairs > 1 || !in_doubt(r)) break;
    }
    ok = ok && compare_greedy(d, a, &own, &original, e, greedy, r);
    session_close(&own);
    if (r->rounded) session_close(&original);
    return ok;
}
