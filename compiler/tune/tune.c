#include "tune/tune.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/limits.h"

enum { SMALL = 16, MAX_NEIGHBOURS = 4, MAX_ROUNDS = 4 };
static const double FELT = 0.02; /* a change of speed that makes a number worth moving with another */

typedef struct Search {
    Workshop *w;
    const TuneOptions *o;
    TuneResult *r;
    Candidate *best;
    Results right; /* the cost model's: what all others are held against */
    Look *tried;   /* all that ran, or is the best */
    int ntried, tried_cap;
    bool (*felt)[RUN_KINDS]; /* [TUNING_COUNT] */
    bool *changes_code;      /* [TUNING_COUNT] */
    double deadline;
    bool ok;
} Search;

static bool time_is_up(const Search *s) {
    return limits_now() >= s->deadline;
}

/* ---- one candidate ---- */

static bool same_code(const Look *a, const Look *b) {
    return !memcmp(a->code, b->code, sizeof a->code);
}

/* Slower than an earlier best is slower than today's: nothing needs to run twice. */
static bool known(const Search *s, const Look *look) {
    for (int i = 0; i < s->ntried; i++)
        if (same_code(&s->tried[i], look)) return true;
    return false;
}

static void drop(Search *s, Candidate *c) {
    if (!c) return;
    uint64_t layout = c->look.layout;
    candidate_close(c);
    if (layout != s->best->look.layout) workshop_forget(s->w, layout);
}

/* Whether numbers differ in one that may move last bits. */
static bool may_cut(const Search *s, const Tuning *numbers) {
    Tuning x = *numbers, y = s->r->cost_model;
    bool cuts = false;
    for (int i = 0; i < TUNING_COUNT; i++)
        cuts |= TUNING_FIELDS[i].effect == TUNING_CUTS && *tuning_at(&x, i) != *tuning_at(&y, i);
    return cuts;
}

/* Before it is timed, a candidate must compute what the cost model's numbers do. *right: it does; if not, it
 * was said. false: it could not run. */
static bool check_results(Search *s, Candidate *c, const char *what, bool *right) {
    Results r;
    if (!trial_run(s->w, c, &r)) return false;
    TrialVerdict v = trial_compare(&s->right, &r, may_cut(s, &c->numbers), candidate_is_exact(c));
    *right = v.right;
    if (v.right) return true;
    s->r->wrong++;
    diag_warning(s->w->d, (Loc){.file = s->w->path},
                 "%s: results are wrong, by %.1e of the largest, and so it is left out: a bug in btc, please "
                 "report it",
                 what, v.difference);
    return true;
}

/* Of the cost model's numbers. */
static bool note_right_results(Search *s) {
    Look look;
    if (!candidate_look(s->w, &s->r->cost_model, &look)) return false;
    Candidate *c = candidate_open(s->w, &s->r->cost_model, &look);
    bool ok = c && trial_run(s->w, c, &s->right);
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

static bool run_candidate(Search *s, const TuneMove *m, const Tuning *numbers, const Look *look, bool *won) {
    TuneKept k = {.move = *m};
    progress_note(s->w->d->progress, tune_move_text(s->w->a, m));
    Candidate *c = candidate_open(s->w, numbers, look);
    bool right = false, ok = c && check_results(s, c, tune_move_text(s->w->a, m), &right);
    if (ok) ARENA_PUSH(s->w->a, s->tried, s->ntried, s->tried_cap, *look);
    ok = ok && (!right || contest_run(s->w, s->o->goal, s->best, c, false, &k.v));
    if (ok && right) {
        s->r->tried++;
        for (int i = 0; i < m->n; i++)
            for (RunKind r = 0; r < RUN_KINDS; r++) s->felt[m->field[i]][r] |= fabs(k.v.ratio[r] - 1) > FELT;
        print_line(s->w->d->progress, tune_line(s->w->a, m, &k.v));
        if (k.v.faster) {
            Candidate *old = s->best;
            s->best = c, c = old, *won = true;
            ARENA_PUSH(s->w->a, s->r->kept, s->r->nkept, s->r->kept_cap, k);
        }
    }
    drop(s, c);
    return ok;
}

/* Moves the best numbers, if that makes other code. *won: it was faster, and is the best now. false: an
 * error, or no time. */
static bool try_move(Search *s, TuneMove m, bool *won) {
    Tuning numbers = s->best->numbers;
    Look look;
    *won = false;
    if (!s->ok || time_is_up(s)) return false;
    for (int i = 0; i < m.n; i++) {
        int *at = tuning_at(&numbers, m.field[i]);
        m.from[i] = *at, *at = m.to[i];
    }
    if (!(s->ok = candidate_look(s->w, &numbers, &look))) return false;
    if (same_code(&look, &s->best->look)) return true;
    for (int i = 0; i < m.n; i++) s->changes_code[m.field[i]] = true;
    if (known(s, &look)) return true;
    return s->ok = run_candidate(s, &m, &numbers, &look, won);
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
            n = neighbours(&TUNING_FIELDS[field], *tuning_at(&s->best->numbers, field), to);
        again = false;
        for (int i = 0; i < n && !again; i++)
            if (!try_move(s, (TuneMove){.n = 1, .field = {field}, .to = {to[i]}}, &again)) return;
        *won |= again;
    }
}

static bool both_felt(const Search *s, int a, int b) {
    bool both = false;
    for (RunKind k = 0; k < RUN_KINDS; k++) both |= s->felt[a][k] && s->felt[b][k];
    return both;
}

/* One up, another down. */
static void move_pair(Search *s, int up, int down, bool *won) {
    bool again = s->o->rows[up] && s->o->rows[down] && up != down && both_felt(s, up, down);
    while (again) {
        Tuning *best = &s->best->numbers;
        TuneMove m = {.n = 2, .field = {up, down}};
        m.to[0] = step_from(&TUNING_FIELDS[up], *tuning_at(best, up), true);
        m.to[1] = step_from(&TUNING_FIELDS[down], *tuning_at(best, down), false);
        if (m.to[0] == *tuning_at(best, up) || m.to[1] == *tuning_at(best, down)) return;
        if (!try_move(s, m, &again)) return;
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
        for (int up = 0; !won && up < TUNING_COUNT; up++)
            for (int down = 0; !won && down < TUNING_COUNT; down++)
                if (TUNING_FIELDS[up].effect <= effect && TUNING_FIELDS[down].effect <= effect)
                    move_pair(s, up, down, &won);
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
 * of many measurements, and so look better than they are. */
static bool compare_total(Search *s) {
    TuneResult *r = s->r;
    Look look;
    r->best = s->best->numbers;
    if (!candidate_look(s->w, &r->cost_model, &look)) return false;
    if (same_code(&look, &s->best->look)) return true;
    progress_phase(s->w->d->progress, "comparing with the cost model", 0);
    Candidate *model = candidate_open(s->w, &r->cost_model, &look);
    bool ok = model && contest_run(s->w, s->o->goal, model, s->best, true, &r->total);
    progress_done(s->w->d->progress);
    drop(s, model);
    r->compared = ok;
    if (ok && !r->total.faster) r->best = r->cost_model;
    return ok;
}

/* With the cost model's numbers instead of those that were given. */
static bool begin_anew(Search *s, Look *look) {
    candidate_close(s->best);
    s->best = NULL;
    return candidate_look(s->w, &s->r->cost_model, look) &&
           (s->best = candidate_open(s->w, &s->r->cost_model, look));
}

bool tune_run(Workshop *w, const TuneOptions *o, TuneResult *out) {
    Search s = {.w = w, .o = o, .r = out, .ok = true};
    Look look;
    s.felt = arena_alloc(w->a, sizeof *s.felt * (size_t)TUNING_COUNT);
    s.changes_code = ARENA_ARRAY(w->a, bool, TUNING_COUNT);
    s.deadline = limits_now() + o->seconds;
    progress_phase(w->d->progress, "compiling", 0);
    bool right = false;
    s.ok = note_right_results(&s) && candidate_look(w, &o->from, &look) &&
           (s.best = candidate_open(w, &o->from, &look)) &&
           check_results(&s, s.best, "the numbers to begin with", &right);
    if (s.ok && !right) s.ok = begin_anew(&s, &look);
    progress_done(w->d->progress);
    if (s.ok) {
        ARENA_PUSH(w->a, s.tried, s.ntried, s.tried_cap, look);
        settle(&s, TUNING_SAME);
        settle(&s, TUNING_CUTS);
        out->complete = !time_is_up(&s);
        say_what_did_nothing(&s);
        s.ok = s.ok && compare_total(&s);
    }
    candidate_close(s.best);
    return s.ok;
}
