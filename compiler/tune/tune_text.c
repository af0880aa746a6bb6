/* What btc tune prints, and the measurements in the file. */
#include "tune/tune.h"

#include "base/units.h"

static const char *const KINDS[RUN_KINDS] = {"decode", "prefill"};

const char *tune_move_text(Arena *a, const TuneMove *m) {
    return arena_printf(a, "%s %d -> %d", TUNING_FIELDS[m->field].name, m->from, m->to);
}

static const char *gain(Arena *a, const Trial *v, RunKind k) {
    if (!v->ran[k]) return arena_printf(a, "%s       -", KINDS[k]);
    return arena_printf(a, "%s %+6.1f %%", KINDS[k], 100 * (v->ratio[k] - 1));
}

/* Columns: the move 55, decode 18, prefill 19, and what becomes of it. */
const char *tune_line(Arena *a, const TuneMove *m, const Trial *v) {
    const char *end = v->faster ? "kept" : v->slower ? "slower" : "no clear gain";
    const char *bits =
        v->same_bits ? "" : arena_printf(a, "; outputs differ by %.1e of the largest", v->difference);
    return arena_printf(a, "  %-52s %-18s%-19s%s%s", tune_move_text(a, m), gain(a, v, RUN_DECODE),
                        gain(a, v, RUN_PREFILL), end, v->faster ? bits : "");
}

static bool last_bits_differ(const TuneResult *r) {
    Tuning x = r->best, y = r->cost_model;
    for (int i = 0; i < TUNING_COUNT; i++)
        if (TUNING_FIELDS[i].effect == TUNING_CUTS && *tuning_at(&x, i) != *tuning_at(&y, i)) return true;
    return false;
}

const char *tune_total_text(Arena *a, const Tuner *w, const TuneResult *r) {
    Text t = text_new(a);
    text_add(&t, "%d candidates%s\n", r->tried,
             r->complete ? "" : "; the time was up: --minutes=N gives more");
    if (r->wrong) text_add(&t, "%d left out, with wrong results: a bug in btc, please report it\n", r->wrong);
    if (!r->compared || !r->total.faster) {
        text_add(&t, "Nothing was found that is faster than the cost model's parameters.\n");
        return t.s;
    }
    text_add(&t, "tokens/s, %d thread%s        cost model       tuned\n", w->threads,
             w->threads > 1 ? "s" : "");
    for (RunKind k = 0; k < RUN_KINDS; k++)
        if (r->total.ran[k])
            text_add(&t, "  %-22s%14s%12s   %+.1f %%\n", KINDS[k], units_count(a, r->total.rate[k][0]),
                     units_count(a, r->total.rate[k][1]), 100 * (r->total.ratio[k] - 1));
    if (last_bits_differ(r))
        text_add(&t,
                 "Long sums are cut elsewhere: results differ from the cost model's in their last bits.\n");
    else
        text_add(&t, "All results have the same bits as with the cost model's parameters.\n");
    return t.s;
}

/* ---- for the file ---- */

/* Four digits: more were not measured. */
static double rounded(double x) {
    char s[32];
    double v = x;
    snprintf(s, sizeof s, "%.4g", x);
    sscanf(s, "%lf", &v);
    return v;
}

static void add_kept(cJSON *list, Arena *a, const TuneKept *k) {
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "change", tune_move_text(a, &k->move));
    for (RunKind r = 0; r < RUN_KINDS; r++)
        if (k->trial.ran[r]) cJSON_AddNumberToObject(o, KINDS[r], rounded(k->trial.ratio[r]));
    cJSON_AddItemToArray(list, o);
}

cJSON *tune_measured_json(const Tuner *w, const TuneResult *r, const char *model) {
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "model", model);
    cJSON_AddNumberToObject(o, "threads", w->threads);
    cJSON_AddNumberToObject(o, "candidates", r->tried);
    cJSON_AddBoolToObject(o, "complete", r->complete);
    bool better = r->compared && r->total.faster;
    for (RunKind k = 0; better && k < RUN_KINDS; k++) {
        if (!r->total.ran[k]) continue;
        cJSON *x = cJSON_AddObjectToObject(o, KINDS[k]);
        cJSON_AddNumberToObject(x, "cost_model", rounded(r->total.rate[k][0]));
        cJSON_AddNumberToObject(x, "tuned", rounded(r->total.rate[k][1]));
        cJSON_AddNumberToObject(x, "ratio", rounded(r->total.ratio[k]));
    }
    cJSON *kept = cJSON_AddArrayToObject(o, "kept");
    for (int i = 0; better && i < r->nkept; i++) add_kept(kept, w->a, &r->kept[i]);
    return o;
}
