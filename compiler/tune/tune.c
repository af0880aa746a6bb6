#include "tune/tune.h"

#include <stdlib.h>
#include <string.h>

#include "bench/limits.h"

enum { SMALL = 16, MAX_NEIGHBOURS = 4, MAX_ROUNDS = 4 };

typedef struct Search {
    Tuner *w;
    const TuneOptions *o;
    TuneResult *r;
    Candidate *best;
    Results right;       /* the cost model's: what all others are held against */
    CandidateKey *tried; /* all that ran, or is the best */
    int ntried, tried_cap;
    bool *changes_code; /* [TUNING_COUNT] */
    double deadline;
    bool ok;
} Search;

static bool time_is_up(const Search *s) {
    return limits_now() >= s->deadline;
}

/* ---- one candidate ---- */

static bool same_code(const CandidateKey *a, const CandidateKey *b) {
    return !memcmp(a->code, b->code, sizeof a->code);
}

/* Slower than an earlier best is slower than today's: nothing needs to run twice. */
static bool known(const Search *s, const CandidateKey *key) {
    for (int i = 0; i < s->ntried; i++)
        if (same_code(&s->tried[i], key)) return true;
    return false;
}

static void drop(Search *s, Candidate *c) {
    if (!c) return;
    uint64_t layout = c->key.layout;
    candidate_close(c);
    if (layout != s->best->key.layout) tuner_forget(s->w, layout);
}

/* Whether parameters differ in one that may move last bits. */
static bool may_cut(const Search *s, const Tuning *parameters) {
    Tuning x = *parameters, y = s->r->cost_model;
    bool cuts = false;
    for (int i = 0; i < TUNING_COUNT; i++)
        cuts |= TUNING_FIELDS[i].effect == TUNING_CUTS && *tuning_at(&x, i) != *tuning_at(&y, i);
    return cuts;
}

/* Before it is timed, a candidate must compute what the cost model's parameters do. *right: it does; if not, it
 * was said. false: it could not run. */
static bool check_results(Search *s, Candidate *c, const char *what, bool *right) {
    Results r;
    if (!results_of(s->w, c, &r)) return false;
    ResultsVerdict v = results_compare(&s->right, &r, may_cut(s, &c->parameters), candidate_is_exact(c));
    *right = v.right;
    if (v.right) return true;
    s->r->wrong++;
    diag_warning(s->w->d, (Loc){.file = s->w->path},
                 "%s: results are wrong, by %.1e of the largest, and so it is left out: a bug in btc, please "
                 "report it",
                 what, v.difference);
    return true;
}

/* Of the cost model's parameters. */
static bool note_right_results(Search *s) {
    CandidateKey key;
    if (!candidate_key(s->w, &s->r->cost_model, &key)) return false;
    Candidate *c = candidate_open(s->w, &s->r->cost_model, &key);
    bool ok = c && results_of(s->w, c, &s->right);
    candidate_close(c);
    return ok;
}

/* On stdout, where the progress stands. */
static void print_line(Progress *p, const char *line) {
    progress_pause(p);
    puts(line);
    fflush(stdout);
    progress_resume(p);
}

static bool run_candidate(Search *s, const TuneMove *m, const Tuning *parameters, const CandidateKey *key,
                          bool *won) {
    TuneKept k = {.move = *m};
    progress_note(s->w->d->progress, tune_move_text(s->w->a, m));
    Candidate *c = candidate_open(s->w, parameters, key);
    bool right = false, ok = c && check_results(s, c, tune_move_text(s->w->a, m), &right);
    if (ok) ARENA_PUSH(s->w->a, s->tried, s->ntried, s->tried_cap, *key);
    ok = ok && (!right || trial_run(s->w, s->o->goal, s->best, c, false, &k.trial));
    if (ok && right) {
        s->r->tried++;
        print_line(s->w->d->progress, tune_line(s->w->a, m, &k.trial));
        if (k.trial.faster) {
            Candidate *old = s->best;
            s->best = c, c = old, *won = true;
            ARENA_PUSH(s->w->a, s->r->kept, s->r->nkept, s->r->kept_cap, k);
        }
    }
    drop(s, c);
    return ok;
}

/* Moves the best parameters, if that makes other code. *won: it was faster, and is the best now. false: an
 * error, or no time. */
static bool try_move(Search *s, TuneMove m, bool *won) {
    Tuning parameters = s->best->parameters;
    CandidateKey key;
    *won = false;
    if (!s->ok || time_is_up(s)) return false;
    int *at = tuning_at(&parameters, m.field);
    m.from = *at, *at = m.to;
    if (!(s->ok = candidate_key(s->w, &parameters, &key))) return false;
    if (same_code(&key, &s->best->key)) return true;
    s->changes_code[m.field] = true;
    if (known(s, &key)) return true;
    return s->ok = run_candidate(s, &m, &parameters, &key, won);
}

/* ---- where to go ---- */

/* The next number above or below v; v itself at the end of the range. */
static int step_from(const TuningField *f, int v, bool up) {
    int to = f->most <= SMALL ? v + (up ? 1 : -1) : up ? (v ? 2 * v : f->most / SMALL) : v / 2;
    return to < f->least || to > f->most ? v : to;
}

static int neighbours(const TuningField *f, int v, int *out) {
    int near[MAX_NEIGHBOURS] = {step_from(f, v, true), step_from(f, v, false)}, n = 2, kept = 0;
    if (f->most <= SMALL) near[n++] = 2 * v, near[n++] = v / 2;
    if (f->most > SMALL && f->least == 0) near[n++] = 0;
    for (int i = 0; i < n; i++) {
        bool again = near[i] == v || near[i] < f->least || near[i] > f->most;
        for (int k = 0; k < kept; k++) again |= out[k] == near[i];
        if (!again) out[kept++] = near[i];
    }
    return kept;
}

/* Follows one number as far as it helps. */
static void move_field(Search *s, int field, bool *won) {
    bool again = true;
    while (again) {
        int to[MAX_NEIGHBOURS],
            n = neighbours(&TUNING_FIELDS[field], *tuning_at(&s->best->parameters, field), to);
        again = false;
        for (int i = 0; i < n && !again; i++)
            if (!try_move(s, (TuneMove){.field = field, .to = to[i]}, &again)) return;
        *won |= again;
    }
}

/* Numbers of one effect on bits, over and over until none helps. */
static void settle(Search *s, TuningEffect effect) {
    int rows = 0;
    for (int i = 0; i < TUNING_COUNT; i++) rows += s->o->rows[i] && TUNING_FIELDS[i].effect == effect;
    for (int round = 0; rows && round < MAX_ROUNDS && s->ok && !time_is_up(s); round++) {
        bool won = false;
        progress_phase(s->w->d->progress, effect == TUNING_CUTS ? "tuning (last bits)" : "tuning", rows);
        for (int i = 0; i < TUNING_COUNT; i++) {
            if (!s->o->rows[i] || TUNING_FIELDS[i].effect != effect) continue;
            move_field(s, i, &won);
            progress_step(s->w->d->progress);
        }
        progress_done(s->w->d->progress);
        if (!won) break;
    }
}

/* ---- the whole ---- */

static void say_what_did_nothing(const Search *s) {
    Text t = text_new(s->w->a);
    for (int i = 0; i < TUNING_COUNT; i++)
        if (s->o->rows[i] && !s->changes_code[i])
            text_add(&t, "%s%s", t.n ? ", " : "", TUNING_FIELDS[i].name);
    if (t.n && s->r->complete) printf("without effect on this model: %s\n", t.s);
}

/* The best against the cost model, once more and from the start: gains of single steps are chosen as the best
 * of many measurements, and so key better than they are. */
static bool compare_total(Search *s) {
    TuneResult *r = s->r;
    CandidateKey key;
    r->best = s->best->parameters;
    if (!candidate_key(s->w, &r->cost_model, &key)) return false;
    if (same_code(&key, &s->best->key)) return true;
    progress_phase(s->w->d->progress, "comparing with the cost model", 0);
    Candidate *model = candidate_open(s->w, &r->cost_model, &key);
    bool ok = model && trial_run(s->w, s->o->goal, model, s->best, true, &r->total);
    progress_done(s->w->d->progress);
    drop(s, model);
    r->compared = ok;
    if (ok && !r->total.faster) r->best = r->cost_model;
    return ok;
}

/* With the cost model's parameters instead of those that were given. */
static bool begin_anew(Search *s, CandidateKey *key) {
    candidate_close(s->best);
    s->best = NULL;
    return candidate_key(s->w, &s->r->cost_model, key) &&
           (s->best = candidate_open(s->w, &s->r->cost_model, key));
}

bool tune_run(Tuner *w, const TuneOptions *o, TuneResult *out) {
    Search s = {.w = w, .o = o, .r = out, .ok = true};
    CandidateKey key;
    s.changes_code = ARENA_ARRAY(w->a, bool, TUNING_COUNT);
    s.deadline = limits_now() + o->seconds;
    progress_phase(w->d->progress, "compiling", 0);
    bool right = false;
    s.ok = note_right_results(&s) && candidate_key(w, &o->from, &key) &&
           (s.best = candidate_open(w, &o->from, &key)) &&
           check_results(&s, s.best, "the parameters to begin with", &right);
    if (s.ok && !right) s.ok = begin_anew(&s, &key);
    progress_done(w->d->progress);
    if (s.ok) {
        ARENA_PUSH(w->a, s.tried, s.ntried, s.tried_cap, key);
        settle(&s, TUNING_SAME);
        settle(&s, TUNING_CUTS);
        out->complete = !time_is_up(&s);
        say_what_did_nothing(&s);
        s.ok = s.ok && compare_total(&s);
    }
    candidate_close(s.best);
    return s.ok;
}
