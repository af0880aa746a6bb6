/* Routers of mixtures of experts: what the part of importers writes, in the interpreter, against ten lines that choose one
 * by one; ties, groups, corrections below 0, one choice; and numbers that were computed by hand. */
#include <math.h>

#include "../ir/gen.h"
#include "import/parts/experts.h"
#include "kit.h"

enum { E = 12, ROWS = 50, MOST = E };

static double bias[E];

static bool give_bias(void *user, Diag *d, Loc loc, const char *name, Type type, double *data) {
    (void)user, (void)d, (void)loc, (void)name;
    memcpy(data, bias, sizeof *bias * (size_t)type_count(type));
    return true;
}

/* ---- the reference ---- */

static void softmax(const double *z, int n, double *p) {
    double sum = 0, max = z[0];
    for (int i = 1; i < n; i++) max = fmax(max, z[i]);
    for (int i = 0; i < n; i++) sum += p[i] = exp(z[i] - max);
    for (int i = 0; i < n; i++) p[i] /= sum;
}

/* The first of the largest that are neither taken nor forbidden. */
static int best_of(const double *v, int n, const bool *taken) {
    int best = -1;
    for (int i = 0; i < n; i++)
        if (!taken[i] && (best < 0 || v[i] > v[best])) best = i;
    return best;
}

static void forbid_groups(const Router *r, const double *v, bool *forbidden) {
    int groups = (int)r->groups, each = E / groups;
    double good[E];
    bool kept[E] = {false};
    for (int g = 0; g < groups; g++) {
        bool taken[E] = {false};
        int first = best_of(v + g * each, each, taken);
        taken[first] = true;
        good[g] = v[g * each + first];
        if (r->group == GROUP_BEST_TWO) good[g] += v[g * each + best_of(v + g * each, each, taken)];
    }
    for (int64_t k = 0; k < r->kept; k++) kept[best_of(good, groups, kept)] = true;
    for (int i = 0; i < E; i++) forbidden[i] = !kept[i / each];
}

static void route(const Router *r, const double *z, int n, double *w, int *index) {
    double s[E], by[E], sum = r->floor;
    bool taken[E] = {false};
    for (int i = 0; i < E; i++) s[i] = r->scores == SCORES_SIGMOID ? 1 / (1 + exp(-z[i])) : z[i];
    if (r->scores == SCORES_SOFTMAX) softmax(z, E, s);
    for (int i = 0; i < E; i++) by[i] = s[i] + (r->correction ? bias[i] : 0);
    if (r->groups > 1) forbid_groups(r, by, taken);
    for (int k = 0; k < n; k++) {
        index[k] = best_of(by, E, taken);
        taken[index[k]] = true, sum += w[k] = s[index[k]];
    }
    if (r->scores == SCORES_CHOSEN) softmax(w, n, w);
    for (int k = 0; k < n; k++) w[k] *= (r->scale ? r->scale : 1) / (r->normalize ? sum : 1);
}

/* ---- the part ---- */

/* Weights and indices of each row: [rows, 2 C]; NULL: filed. */
static const double *run_part(Diag *d, const Experts *e, double *z, int64_t rows) {
    ImportCtx x = {.d = d, .a = a, .arch = "", .path = "router"};
    cJSON *m = model_new(&x, "features"), *ops = model_ops(m);
    x.model = m;
    model_dim(m, "D", e->count);
    st_router(&x, ops, "input", e);
    st(ops, "{'out':'index','map':'1 * expert'}");
    st(ops, "{'out':'y','op':'concat','in':['p','index']}");
    model_finish(m, "");
    cJSON_DeleteItemFromObjectCaseSensitive(m, "weights");
    char *text = cJSON_Print(m);
    Module *module = desc_load(d, a, "router.json", text, strlen(text), NULL);
    cJSON_free(text), cJSON_Delete(m);
    if (!module) return NULL;
    Env env = {.weight = give_bias};
    Tensor in = {.type = type_tensor(DT_F32, true, 1, &e->count), .rows = rows, .data = z}, out;
    return interp_run(d, a, module, &env, interp_state_new(a, module), &in, rows, &out, NULL, NULL) ? out.data
                                                                                                    : NULL;
}

static bool agrees(const Router *r, int chosen, uint64_t seed) {
    Diag d = diag_new(a, stderr);
    Rng rng = {seed};
    double *z = ARENA_ARRAY(a, double, ROWS *E), w[MOST];
    int index[MOST];
    for (int i = 0; i < E; i++) bias[i] = rng_float(&rng, -2, 0.3);
    for (int i = 0; i < ROWS * E; i++) z[i] = rng_float(&rng, -3, 3);
    for (int i = 0; i < ROWS * E; i += 3) z[i] = (double)rng_int(&rng, -1, 1); /* ties */
    Experts e = {.count = E, .chosen = chosen, .router = *r};
    e.router.logits = "input";
    const double *y = run_part(&d, &e, z, ROWS);
    for (int t = 0; y && t < ROWS; t++) {
        route(r, z + t * E, chosen, w, index);
        for (int k = 0; k < chosen; k++) {
            const double *row = y + 2 * t * chosen;
            if (!(fabs(row[k] - w[k]) < 1e-12) || row[chosen + k] != index[k]) return false;
        }
    }
    return y != NULL;
}

static void test_kinds(void) {
    static const struct {
        const char *name;
        Router router;
    } kinds[] = {
        {"Mixtral", {.normalize = true}},
        {"Jamba", {0}},
        {"Granite", {.scores = SCORES_CHOSEN}},
        {"DeepSeek-V2", {.groups = 4, .kept = 3, .scale = 16}},
        {"DeepSeek-V3",
         {.scores = SCORES_SIGMOID,
          .correction = "b",
          .groups = 4,
          .kept = 2,
          .group = GROUP_BEST_TWO,
          .normalize = true,
          .floor = 1e-20,
          .scale = 2.5}},
        {"two groups", {.groups = 2, .kept = 1, .group = GROUP_BEST_TWO, .normalize = true}},
        {"LFM2",
         {.scores = SCORES_SIGMOID, .correction = "b", .normalize = true, .floor = 1e-6, .scale = 1.6}},
        {"no correction", {.scores = SCORES_SIGMOID}},
    };
    static const int chosen[] = {1, 2, 5};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        for (int k = 0; k < 3; k++)
            if (!CHECK(agrees(&kinds[i].router, chosen[k], 17 * i + (uint64_t)k)))
                fprintf(stderr, "    %s, %d chosen\n", kinds[i].name, chosen[k]);
}

/* ---- numbers ---- */

static void test_numbers(void) {
    static double z[] = {1, 2, 0.5, -1, 1.5, 0, -0.5, 0.25};
    static const double b[] = {0, -0.5, 0.3, 0.1, -0.2, 0.2, 0, 0.05};
    static const struct {
        Router router;
        double want[4];
    } rows[] = {
        {{0}, {0.379000, 0.229875, 1, 4}},
        {{.normalize = true}, {0.622459, 0.377541, 1, 4}},
        {{.scores = SCORES_CHOSEN}, {0.622459, 0.377541, 1, 4}},
        {{.scores = SCORES_SIGMOID,
          .correction = "b",
          .groups = 4,
          .kept = 2,
          .group = GROUP_BEST_TWO,
          .normalize = true,
          .floor = 1e-20,
          .scale = 2.5},
         {1.386374, 1.113626, 2, 5}},
    };
    memcpy(bias, b, sizeof b);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Diag d = diag_new(a, stderr);
        Experts e = {.count = 8, .chosen = 2, .router = rows[i].router};
        e.router.logits = "input";
        const double *y = run_part(&d, &e, z, 1);
        bool ok = y != NULL;
        for (int k = 0; ok && k < 4; k++) ok = fabs(y[k] - rows[i].want[k]) < 1e-6;
        if (!CHECK(ok) && y) fprintf(stderr, "    %g %g %g %g\n", y[0], y[1], y[2], y[3]);
    }
}

int main(void) {
    a = arena_new();
    test_kinds();
    test_numbers();
    arena_free(a);
    return check_report("import/routers");
}
