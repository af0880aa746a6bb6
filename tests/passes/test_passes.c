/* Each tests/passes/NAME.btir is one test of passes:
 *
 *     ; what is tested
 *     ; RUN: prune, merge-equal        (distill-filters=2: with this order)
 *     module ...
 *     ; ---- after
 *     module ...             what must come out, to the letter
 *
 * Besides the text, the module must be valid after every pass, and the interpreter must give the same numbers
 * before and after, for random inputs and weights. BTC_BLESS=1 rewrites what comes out; read the diff. */
#include <dirent.h>

#include "base/file.h"
#include "ir/gen.h"
#include "passes/pass.h"
#include "tools/check.h"

static const char AFTER[] = "; ---- after\n";
enum { TOKENS = 6 };

/* Tensors that a pass computed. */
typedef struct Computed {
    const char *name;
    const float *data;
} Computed;
typedef struct Weights {
    Arena *a;
    Computed *items;
    int n, cap;
} Weights;

static bool keep_computed(void *user, Diag *d, const char *name, Type t, const float *data) {
    Weights *w = user;
    (void)d;
    Computed c = {arena_strdup(w->a, name), arena_copy(w->a, data, sizeof *data * (size_t)type_count(t))};
    ARENA_PUSH(w->a, w->items, w->n, w->cap, c);
    return true;
}

/* What a pass computed, else lively numbers that depend on the tensor's name alone. */
static bool find_weight(void *user, Diag *d, Loc loc, const char *name, Type type, double *data) {
    (void)d, (void)loc;
    const Weights *w = user;
    for (int k = 0; k < w->n; k++)
        if (!strcmp(w->items[k].name, name)) {
            for (int64_t i = 0; i < type_count(type); i++) data[i] = (double)w->items[k].data[i];
            return true;
        }
    Rng r = {1};
    for (const char *p = name; *p; p++) r.s = r.s * 31 + (uint64_t)*p;
    for (int64_t i = 0; i < type_count(type); i++) data[i] = rng_float(&r, -1.5, 1.5);
    return true;
}

static bool run_module(Diag *d, Arena *a, const Module *m, Weights *w, Tensor **results) {
    const Env env = {.user = w, .weight = find_weight};
    const Func *f = ir_func_find(m, "main");
    Rng r = {7};
    Tensor *in = ARENA_ARRAY(a, Tensor, f->nparams);
    for (int i = 0; i < f->nparams; i++) in[i] = gen_tensor(a, &r, f->params[i]->type, TOKENS);
    *results = ARENA_ARRAY(a, Tensor, f->nresults);
    return interp_run(d, a, m, &env, interp_state_new(a, m), in, TOKENS, *results, NULL, NULL);
}

static bool same_numbers(const Module *before, const Tensor *x, const Module *after, const Tensor *y) {
    const Func *f = ir_func_find(before, "main"), *g = ir_func_find(after, "main");
    if (f->nresults != g->nresults) return false;
    for (int i = 0; i < f->nresults; i++) {
        if (!type_equal(x[i].type, y[i].type)) return false;
        for (int64_t k = 0; k < x[i].rows * type_count(x[i].type); k++) {
            double want = x[i].data[k], got = y[i].data[k];
            if (!(fabs(got - want) <= 1e-12 * (1 + fabs(want))) && !(isnan(got) && isnan(want))) return false;
        }
    }
    return true;
}

static const Pass *find_pass(const char *name, size_t n) {
    for (int i = 0; i < PASS_COUNT; i++)
        if (strlen(PASSES[i]->name) == n && !strncmp(PASSES[i]->name, name, n)) return PASSES[i];
    return NULL;
}

/* The passes of the RUN line; marks them in `seen`. */
static bool run_line(Diag *d, const char *text, Module *m, Weights *w, int *seen) {
    const char *p = strstr(text, "; RUN:");
    if (!p) return false;
    p += strlen("; RUN:");
    while (*p && *p != '\n') {
        size_t n = strcspn(p += strspn(p, " ,"), " ,=\n");
        const Pass *pass = find_pass(p, n);
        const PassWeights weights = {{.user = w, .weight = find_weight}, keep_computed};
        const LowerTarget machine = {.lanes = 16, .state_room = 16 << 10};
        PassOptions o = {.weights = &weights, .distill_quietly = true, .machine = &machine};
        PassCtx cx = {.diag = d, .options = &o};
        if (p[n] == '=') o.distill_filters = atoi(p + n + 1);
        if (!pass) fprintf(stderr, "    there is no pass %.*s\n", (int)n, p);
        if (!pass || !pass->run(&cx, m) || !ir_verify(d, m)) return false;
        for (int i = 0; i < PASS_COUNT; i++) seen[i] += PASSES[i] == pass;
        p += strcspn(p, " ,\n");
    }
    return true;
}

static void bless(const char *path, const char *head, const char *after) {
    FILE *f = fopen(path, "w");
    bool ok = f && fprintf(f, "%s%s%s", head, AFTER, after) > 0;
    ok = f && !fclose(f) && ok;
    CHECK(ok);
}

static void test_file(const char *path, int *seen) {
    Arena *a = arena_new();
    Diag d = diag_new(a, stderr);
    size_t size;
    char *text = file_read_text(&d, a, path, &size);
    const char *cut = text ? strstr(text, AFTER) : NULL;
    char *head = !text ? NULL : cut ? arena_strndup(a, text, (size_t)(cut - text)) : text;
    Module *before = head ? ir_parse(&d, a, path, head) : NULL;
    Module *after = head ? ir_parse(&d, a, path, head) : NULL;
    Tensor *x, *y;
    Weights w = {.a = a};
    bool ok = before && after && ir_verify(&d, before) && ir_verify(&d, after) &&
              run_line(&d, head, after, &w, seen);
    if (CHECK(ok)) {
        const char *got = ir_print_module(a, after), *want = cut ? cut + strlen(AFTER) : "";
        if (getenv("BTC_BLESS"))
            bless(path, head, got);
        else if (!CHECK(!strcmp(got, want)))
            fprintf(stderr, "    %s gives\n%s    in place of\n%s", path, got, want);
        bool ran = run_module(&d, a, before, &w, &x) && run_module(&d, a, after, &w, &y);
        if (!CHECK(ran && same_numbers(before, x, after, y)))
            fprintf(stderr, "    %s: other numbers after the passes\n", path);
    } else {
        fprintf(stderr, "    %s\n", path);
    }
    arena_free(a);
}

int main(void) {
    const char *folder = "tests/passes";
    struct dirent **entry;
    int seen[64] = {0}, n = scandir(folder, &entry, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        const char *name = entry[i]->d_name, *dot = strrchr(name, '.');
        char path[512];
        snprintf(path, sizeof path, "%s/%s", folder, name);
        if (dot && !strcmp(dot, ".btir")) test_file(path, seen);
    }
    for (int i = 0; i < PASS_COUNT; i++)
        if (!CHECK(seen[i] >= 2)) fprintf(stderr, "    pass %s has fewer than two tests\n", PASSES[i]->name);
    return check_report("passes");
}
