/* Every op of the table, compiled, against the interpreter: random shapes with remainders of the vector
 * width, in main and in blocks, fused and alone, for several vector widths and storage types, of weights and
 * of states. A case is one module with many instances of an op (or of all elementwise ops); agree.h says how
 * it is run, follow.h how with states in 16 bits.
 *
 * BTC_OPS=NAME runs one case only; BTC_SEED=N draws others. */
#include "follow.h"
#include "wide.h"

/* The chunked forms of scan.matrix are for large states only. */
static int64_t draw_large(Rng *r, const char *name) {
    static const int64_t widths[] = {64, 72, 100, 128};
    if (one_of(name, " h g ")) return rng_int(r, 1, 2);
    if (one_of(name, " writes reads ")) return rng_int(r, 0, 2) ? 1 : 2;
    return widths[rng_int(r, 0, 3)];
}

/* Inputs in whole blocks of quantised weights, and with one of 1 to 3 parts behind them. */
static int64_t draw_blocks(Rng *r, const char *name) {
    static const int64_t inputs[] = {100, 128, 129, 190, 256, 300, 384};
    return one_of(name, " i ") ? inputs[rng_int(r, 0, 6)] : draw_size(r, name);
}

static void draw_case(Case *c, const OpDef *def, const Variant *v) {
    bool blocks = def->pattern == PAT_CONTRACT && v->quant && strcmp(v->quant, "bf16_12");
    DrawSize *other = def == &op_scan_matrix ? draw_large : blocks ? draw_blocks : draw_size;
    for (int got = 0, draw = 0; got < v->instances && draw < 100 * v->instances; draw++)
        got += kit_draw(&c->k, def, got % 2 ? other : draw_size);
}

static void (*const followed[])(Case *) = {follow_chunks, follow_steps, NULL};

static bool case_agrees(const OpDef *const *defs, int n, const Variant *v) {
    Case c = {.k = kit_new(arena_new(), seed_of(v), v->storage, defs[0] == &op_embed), .slack = 1};
    for (int i = 0; i < n; i++) draw_case(&c, defs[i], v);
    if (!CHECK(c.k.main->nresults > 0)) return false; /* nothing was drawn */
    return agrees(&c, v, v->state ? followed : compared);
}

/* A recurrence far beyond the range of f16, up and down: its state becomes infinite, and what depends on it
 * is not finite; no other number stands in its place. */
static bool beyond_f16_agrees(const Variant *v) {
    Case c = {.k = kit_new(arena_new(), seed_of(v), v->storage, false), .slack = 1};
    Kit *k = &c.k;
    for (int i = 0; i < 2; i++) {
        Type t = type_tensor(DT_F32, true, 1, (int64_t[]){37});
        Value *x = kit_activation(k, t, WIDE, 0), *b = kit_op(k, k->main, "exp", &x, 1, NULL)->out[0];
        if (i) b = kit_op(k, k->main, "neg", &b, 1, NULL)->out[0];
        Value *in[] = {kit_activation(k, t, GATE, 0), b};
        add_results(k, &op_scan_diag, kit_op(k, k->main, "scan.diag", in, 2, NULL), "scan.diag#");
    }
    return agrees(&c, v, followed);
}

static void run_wide(void) {
    static const Variant variants[] = {
        {NULL, DT_F32, 16, 0, 1, NULL, NULL, NULL, NULL},
        {NULL, DT_F32, 61, 0, 2, NULL, "q8", "int8", NULL},
        {"x86-64-v3", DT_F32, 24, 0, 3, NULL, "q4", "int8", NULL},
        {"x86-64-v2", DT_F32, 9, 0, 4, NULL, "q6", "int8", NULL},
    };
    for (size_t k = 0; k < sizeof variants / sizeof *variants; k++) {
        bool ok;
        if (in_child(&ok)) _exit(wide_rows_agree(&variants[k]) ? 0 : 1);
        if (!CHECK(ok)) fprintf(stderr, "    wide rows, variant %d\n", (int)k);
    }
}

static void run_case(const char *name, const OpDef *const *defs, int n, const Variant *v) {
    bool ok;
    if (getenv("BTC_OPS") && strcmp(getenv("BTC_OPS"), name)) return;
    if (in_child(&ok)) _exit(case_agrees(defs, n, v) ? 0 : 1);
    if (!CHECK(ok))
        fprintf(stderr, "    %s, cpu %s, weights %s, arithmetic %s, states %s, chunk %d\n", name,
                v->cpu ? v->cpu : "native", v->quant ? v->quant : dtype_name(v->storage),
                v->math ? v->math : "f32", v->state ? v->state : "f32", v->chunk);
}

static bool is_drawn(const OpDef *def) {
    return def->level == LEVEL_MODEL && def->sig && !(def->flags & OPF_INTERNAL);
}

/* Narrow states are of ops that have states; quantised are matrices only. */
static bool concerns(const Variant *v, const OpDef *def) {
    if (v->state) return def->state != NULL;
    return !v->quant || def->pattern == PAT_CONTRACT || def->pattern == PAT_GATHER;
}

int main(void) {
    static const Variant variants[] = {
        {NULL, DT_F32, 16, 6, 1, NULL, NULL, NULL, NULL},
        {"x86-64-v3", DT_BF16, 24, 2, 2, NULL, NULL, NULL, NULL},
        {"x86-64-v2", DT_F16, 5, 2, 3, NULL, NULL, NULL, NULL},
        {NULL, DT_BF16, 1, 2, 4, NULL, NULL, NULL, NULL},
        {NULL, DT_F32, 16, 6, 5, "bf16", NULL, NULL, NULL},
        {NULL, DT_F32, 7, 4, 6, "f16", NULL, NULL, NULL},
        {"x86-64-v3", DT_BF16, 24, 2, 7, "bf16", NULL, NULL, NULL},
        {"x86-64-v2", DT_F16, 5, 2, 8, "f16", NULL, NULL, NULL},
        {"x86-64-v2", DT_F32, 1, 2, 9, "bf16", NULL, NULL, NULL},
        {NULL, DT_F32, 16, 6, 5, NULL, "q8", NULL, NULL},
        {NULL, DT_BF16, 9, 4, 6, NULL, "q4", NULL, NULL},
        {"x86-64-v3", DT_F32, 24, 3, 7, NULL, "q6", NULL, NULL},
        {"x86-64-v2", DT_F32, 1, 3, 8, NULL, "q4", NULL, NULL},
        {NULL, DT_F32, 16, 6, 5, NULL, "bf16_12", NULL, NULL},
        {"x86-64-v3", DT_BF16, 9, 4, 6, NULL, "bf16_12", NULL, NULL},
        {"x86-64-v2", DT_F16, 24, 3, 7, NULL, "bf16_12", NULL, NULL},
        {NULL, DT_F32, 16, 6, 5, NULL, "q4", "int8", NULL},
        {NULL, DT_BF16, 9, 4, 6, NULL, "q8", "int8", NULL},
        {NULL, DT_F32, 1, 4, 6, NULL, "q6", "int8", NULL},
        {"x86-64-v3", DT_BF16, 24, 3, 7, NULL, "q4", "int8", NULL},
        {"x86-64-v2", DT_F32, 9, 3, 8, NULL, "q8", "int8", NULL},
    };
    for (size_t k = 0; k < sizeof variants / sizeof *variants; k++) {
        bool ok;
        if (!variants[k].state || strcmp(variants[k].state, "f16") || getenv("BTC_OPS")) continue;
        if (in_child(&ok)) _exit(beyond_f16_agrees(&variants[k]) ? 0 : 1);
        if (!CHECK(ok))
            fprintf(stderr, "    beyond f16, cpu %s\n", variants[k].cpu ? variants[k].cpu : "native");
    }
    if (!getenv("BTC_OPS") || !strcmp(getenv("BTC_OPS"), "wide")) run_wide();
    for (size_t k = 0; k < sizeof variants / sizeof *variants; k++) {
        const OpDef *elementwise[OP_COUNT];
        int n = 0;
        for (int i = 0; i < OP_COUNT; i++)
            if (is_drawn(OP_TABLE[i]) && concerns(&variants[k], OP_TABLE[i])) {
                if (OP_TABLE[i]->pattern == PAT_ELEMENTWISE)
                    elementwise[n++] = OP_TABLE[i];
                else if (!k || check_meets((int)k + i, 2, 4))
                    run_case(OP_TABLE[i]->name, &OP_TABLE[i], 1, &variants[k]);
            }
        if (n) run_case("elementwise", elementwise, n, &variants[k]);
    }
    return check_report("ops");
}
