/* Every op of the table, compiled, against the interpreter: random shapes with remainders of the vector
 * width, in main and in blocks, fused and alone, for several vector widths and storage types. A case is one
 * module with many instances of an op (or of all elementwise ops); agree.h says how it is run.
 *
 * BTC_OPS=NAME runs one case only; BTC_SEED=N draws others. */
#include "agree.h"

/* The chunked forms of scan.matrix are for large states only. */
static int64_t draw_large(Rng *r, const char *name) {
    static const int64_t widths[] = {64, 72, 100, 128};
    if (one_of(name, " h g ")) return rng_int(r, 1, 2);
    return widths[rng_int(r, 0, 3)];
}

static void draw_case(Case *c, const OpDef *def, int instances) {
    bool large = def == &op_scan_matrix;
    for (int got = 0, draw = 0; got < instances && draw < 100 * instances; draw++)
        got += kit_draw(&c->k, def, large && got % 2 ? draw_large : draw_size);
}

static bool case_agrees(const OpDef *const *defs, int n, const Variant *v) {
    Case c = {.k = kit_new(arena_new(), seed_of(v), v->storage, defs[0] == &op_embed), .slack = 1};
    for (int i = 0; i < n; i++) draw_case(&c, defs[i], v->instances);
    return agrees(&c, v);
}

static void run_case(const char *name, const OpDef *const *defs, int n, const Variant *v) {
    bool ok;
    if (getenv("BTC_OPS") && strcmp(getenv("BTC_OPS"), name)) return;
    if (in_child(&ok)) _exit(case_agrees(defs, n, v) ? 0 : 1);
    if (!CHECK(ok))
        fprintf(stderr, "    %s, cpu %s, weights %s, chunk %d\n", name, v->cpu ? v->cpu : "native",
                dtype_name(v->storage), v->chunk);
}

static bool is_drawn(const OpDef *def) {
    return def->level == LEVEL_MODEL && def->sig && def != &op_derived;
}

int main(void) {
    static const Variant variants[] = {
        {NULL, DT_F32, 16, 6, 1},
        {"x86-64-v3", DT_BF16, 24, 2, 2},
        {"x86-64-v2", DT_F16, 5, 2, 3},
        {NULL, DT_BF16, 1, 2, 4},
    };
    for (size_t k = 0; k < sizeof variants / sizeof *variants; k++) {
        const OpDef *elementwise[OP_COUNT];
        int n = 0;
        for (int i = 0; i < OP_COUNT; i++)
            if (is_drawn(OP_TABLE[i]) && OP_TABLE[i]->pattern == PAT_ELEMENTWISE)
                elementwise[n++] = OP_TABLE[i];
        run_case("elementwise", elementwise, n, &variants[k]);
        for (int i = 0; i < OP_COUNT; i++)
            if (is_drawn(OP_TABLE[i]) && OP_TABLE[i]->pattern != PAT_ELEMENTWISE)
                run_case(OP_TABLE[i]->name, &OP_TABLE[i], 1, &variants[k]);
    }
    return check_report("ops");
}
