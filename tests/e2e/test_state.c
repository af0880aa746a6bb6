/* Conformance cases with states in bf16 or f16, in turn (every fourth; with --thorough every one): compiled,
 * in both forms, against an interpreter that rounds its states when compiled code does; for aarch64, too,
 * where it can be emulated. And what such a state is from outside: half as large, said to be of its type, and
 * refused by the same model with other states.
 *
 * A number between two of a narrow type may be rounded up by one side and down by the other, and enter what
 * follows so; hence two units of the last place on top of the ordinary tolerance. That each rounding is right
 * by itself is shown op by op in tests/ops/. */
#include "case.h"

#include "tools/compiled.h"

enum { CHUNK = 16 };

static const char *const STATES[] = {"bf16", "f16"};

static double tolerance_of(const char *state) {
    return 1e-4 + (!strcmp(state, "bf16") ? 0x1p-6 : 0x1p-9);
}

static bool is_output(const char *name) {
    return !strncmp(name, "hidden.", 7) || !strcmp(name, "logits") || !strcmp(name, "output");
}

/* Largest error of an output, as a share of what is allowed. */
static double compare(const Case *c, const char *how, const TensorList *got, const TensorList *want,
                      const char *state) {
    double worst = 0;
    int compared = 0;
    for (int i = 0; i < want->n; i++) {
        const RawTensor *w = &want->items[i], *g = tensor_find(got, w->name);
        if (!is_output(w->name) || !CHECK(g != NULL)) continue;
        Difference e = tensor_difference(g, w);
        double ratio = e.max_error / (tolerance_of(state) * fmax(e.max_value, 1));
        if (!CHECK(ratio <= 1))
            fprintf(stderr, "    %s, %s, %s: error %.3g of %.3g\n", c->name, how, w->name, e.max_error,
                    e.max_value);
        worst = fmax(worst, ratio), compared++;
    }
    CHECK(compared > 0);
    return worst;
}

static void test_form(Case *c, Session *s, const char *form) {
    VerifyOptions o = s->o;
    Session oracle;
    TensorList got = {0}, want = {0};
    o.form = "interpret", o.compile.target = NULL;
    if (!strcmp(form, "step")) o.compile.chunk = 1;
    bool ok = CHECK(session_open(&oracle, &c->diag, c->arena, c->model, &o, PROBES_HIDDEN) &&
                    session_run(&oracle, form, 1, c->input, &want));
    session_close(&oracle);
    if (!ok || !CHECK(session_run(s, form, 1, c->input, &got))) return;
    const char *state = s->o.compile.state;
    const char *how = arena_printf(c->arena, "%s %s%s", state, form, s->program ? " on aarch64" : "");
    printf("  %-22s %8.2g\n", how, compare(c, how, &got, &want, state));
}

/* target: NULL for this machine. */
static void test_forms(Case *c, const char *state, const char *target) {
    VerifyOptions o = {.form = "chunk", .threads = 1, .compile = {.chunk = CHUNK, .state = state}};
    Session s;
    o.compile.target = target;
    if (CHECK(session_open(&s, &c->diag, c->arena, c->model, &o, PROBES_HIDDEN))) {
        test_form(c, &s, "chunk");
        if (case_has_steps(&s)) test_form(c, &s, "step");
    }
    session_close(&s);
}

/* ---- from outside ---- */

typedef struct Made {
    Model model;
    Loaded l;
    void *state;
} Made;

static bool make(Case *c, const char *state, Made *m) {
    ModelOptions mo = {0};
    CompileOptions o = {.chunk = CHUNK, .state = state};
    bool ok = model_open(&c->diag, c->arena, c->model, &mo, &m->model) &&
              loaded_open(&c->diag, c->arena, &m->model, o, &m->l);
    m->state = ok ? new_state(c->arena, &m->l) : NULL;
    return CHECK(m->state != NULL);
}

static void test_outside(Case *c) {
    static const char *const all[] = {"f32", "bf16", "f16"};
    Made m[3] = {0};
    bool ok = true;
    for (int i = 0; i < 3; i++) ok = make(c, all[i], &m[i]) && ok;
    for (int i = 0; i < 3 && ok; i++) {
        const btc_info *info = m[i].l.api->info, *wide = m[0].l.api->info;
        void *block = aligned_block(c->arena, (size_t)info->state_bytes);
        for (int64_t k = 0; k < info->slot_count; k++) {
            CHECK(!strcmp(info->slots[k].dtype, all[i]));
            int64_t half = (wide->slots[k].bytes / 2 + 63) / 64 * 64;
            CHECK(info->slots[k].bytes == (i ? half : wide->slots[k].bytes));
        }
        CHECK(m[i].l.api->save(&m[i].l.handle, m[i].state, block, (size_t)info->state_bytes) == BTC_OK);
        for (int j = 0; j < 3; j++) { /* also where both have the same size */
            const btc_api *api = m[j].l.api;
            btc_status want = i == j ? BTC_OK : BTC_E_STATE;
            void *to = new_state(c->arena, &m[j].l);
            CHECK(api->restore(&m[j].l.handle, to, block, (size_t)info->state_bytes) == want);
            CHECK((api->position(&m[j].l.handle, m[i].state) == 0) == (i == j));
        }
    }
    for (int i = 0; i < 3; i++) loaded_close(&m[i].l), model_close(&m[i].model);
}

static bool is_always(const char *name) {
    return !strcmp(name, "hf-mamba") || !strcmp(name, "hf-recurrent-gemma");
}

static void test_case(const char *root, const char *name, const char *state, bool emulated) {
    Case c;
    double started = case_seconds();
    printf("%s: largest error as a share of what is allowed\n", name);
    if (case_open(&c, root, name)) {
        test_forms(&c, state, NULL);
        if (is_always(name) && emulated) test_forms(&c, state, "aarch64-linux-gnu");
        if (!strcmp(name, "hf-recurrent-gemma")) test_outside(&c);
    }
    case_close(&c);
    printf("  %.1f s\n", case_seconds() - started);
    fflush(stdout);
}

int main(int argc, char **argv) {
    const char *root = argc > 1 ? argv[1] : "tests/conformance";
    Arena *a = arena_new();
    Diag quiet = diag_new(a, NULL);
    bool emulated = target_host() != &target_aarch64 && emulated_check(&quiet, a, &target_aarch64);
    if (!emulated) printf("state: skipped aarch64, it needs an emulator\n");
    const char **names = case_list(a, root);
    for (int i = 0; names[i]; i++)
        if (is_always(names[i]) || check_meets(i, 4, 12))
            test_case(root, names[i], STATES[i / 4 % 2], emulated);
    arena_free(a);
    return check_report("e2e/state");
}
