#include "tune/candidate.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "formats/arithmetic.h"
#include "pack/identity.h"

enum { USUAL_PROMPT = 256 };
static const double LEAST_SECONDS = 0.05; /* of a timed run: many short ones in turn see the same machine */

bool tuner_open(Tuner *w) {
    const char *base = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
    w->compile.max_batch = w->batch > DEFAULT_BATCH ? w->batch : DEFAULT_BATCH;
    w->compile.quiet = w->compile.weights_in_file = true;
    return link_folder_open(w->d, w->a, arena_printf(w->a, "%s/btc-tune", base), &w->folder);
}

void tuner_close(Tuner *w) {
    link_folder_remove(&w->folder);
}

static const char *weights_file(Arena *a, const Tuner *w, uint64_t layout) {
    return arena_printf(a, "%s/%016llx.weights", w->folder.path, (unsigned long long)layout);
}

void tuner_forget(Tuner *w, uint64_t layout) {
    unlink(weights_file(w->a, w, layout));
}

/* ---- looking ---- */

/* Functions are named after their form; one that is of neither counts for both. */
static void hash_code(Arena *a, const Compiled *c, CandidateKey *out) {
    out->code[RUN_DECODE] = out->code[RUN_PREFILL] = HASH_START;
    for (const Func *f = c->lowered.loops->first; f; f = f->next) {
        const char *text = ir_print_func(a, f);
        bool step = strstr(f->name, "_step"), chunk = strstr(f->name, "_chunk");
        if (step || !chunk) out->code[RUN_DECODE] = hash_text(out->code[RUN_DECODE], text);
        if (chunk || !step) out->code[RUN_PREFILL] = hash_text(out->code[RUN_PREFILL], text);
    }
    const char *size = arena_printf(a, "%d", c->lower.chunk);
    out->code[RUN_PREFILL] = hash_text(out->code[RUN_PREFILL], size);
}

static void hash_layout(Arena *a, const Model *m, const Schedule *s, CandidateKey *out) {
    Text t = text_new(a);
    identity_weights_layout(&t, m->module, s);
    out->layout = hash_text(HASH_START, t.s);
}

/* What a model says about itself is said once; later only when it leads to an error. */
static Diag diag_for(const Tuner *w, Arena *a) {
    Diag d = diag_new(a, w->described ? NULL : w->d->out);
    d.progress = w->d->progress;
    return d;
}

static bool pass_on(Tuner *w, const Diag *d, bool ok) {
    if (!ok && !d->out && d->log.n && w->d->out) fputs(d->log.s, w->d->out);
    w->d->errors += d->errors;
    return ok;
}

/* Lowers with the parameters. The caller closes *m and frees its arena. */
static bool lower_with(Tuner *w, const Tuning *parameters, Diag *d, Model *m, Compiled *c) {
    CompileOptions o = w->compile;
    o.tuning = parameters;
    return model_open(d, d->arena, w->path, &w->model, m) && compile_lower(d, m, &o, c);
}

bool candidate_key(Tuner *w, const Tuning *parameters, CandidateKey *out) {
    Arena *a = arena_new();
    Diag d = diag_for(w, a);
    Model m = {0};
    Compiled c;
    bool ok = pass_on(w, &d, lower_with(w, parameters, &d, &m, &c));
    if (ok) hash_code(a, &c, out), hash_layout(a, &m, &c.lowered.schedule, out);
    if (ok && !w->described) w->of = (TuneModel){w->path, arena_strdup(w->a, m.module->name), m.shape};
    w->described |= ok;
    model_close(&m);
    arena_free(a);
    return ok;
}

bool tuner_parameters(Tuner *w, Tuning *cost_model, TargetInfo *target) {
    Compiled c;
    if (!compile_machine(w->d, NULL, &w->compile, &c)) return false;
    *cost_model = c.lower.tuning, *target = c.target;
    return true;
}

/* ---- making ---- */

static bool open_runner(Tuner *w, Candidate *c) {
    int64_t prompt = w->prompt ? w->prompt : USUAL_PROMPT, context = c->subject.api->info->context;
    if (!w->prompt && context && prompt > context - w->tokens)
        prompt = context > w->tokens ? context - w->tokens : 1;
    if (!runner_open(&c->runner, &c->subject, prompt, prompt, w->tokens, w->batch, w->threads)) return false;
    c->runner.least_seconds = LEAST_SECONDS;
    return true;
}

Candidate *candidate_open(Tuner *w, const Tuning *parameters, const CandidateKey *key) {
    Arena *a = arena_new();
    Candidate *c = ARENA_NEW(a, Candidate);
    *c = (Candidate){.a = a, .parameters = *parameters, .key = *key};
    c->d = diag_for(w, a);
    CompileOptions o = w->compile;
    o.tuning = &c->parameters, o.weights_file = weights_file(a, w, key->layout);
    bool ok = subject_open(&c->subject, &c->d, a, w->path, &o, &w->model, w->prompt + w->tokens) &&
              open_runner(w, c);
    if (pass_on(w, &c->d, ok)) return c;
    candidate_close(c);
    return NULL;
}

bool candidate_is_exact(const Candidate *c) {
    for (const Func *f = c->subject.session.model.module->first; f; f = f->next)
        OPS_OF (f->body, op)
            if (arithmetic_rounds(attr_arithmetic(op, "math"))) return false;
    return true;
}

void candidate_close(Candidate *c) {
    if (!c) return;
    runner_close(&c->runner);
    subject_close(&c->subject);
    arena_free(c->a);
}
