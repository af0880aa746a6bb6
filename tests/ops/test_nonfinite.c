/* NaN and infinities go the same way through compiled code as through the interpreter: what is not finite
 * there is not finite here, and nothing else is: not the tokens before, nor the other sequences of a step,
 * nor what lies outside of a window. Cases are drawn as in test_ops.c, with numbers of their inputs spoilt,
 * one here and one there.
 *
 * BTC_OPS=NAME runs one case only; BTC_SEED=N draws others. */
#include "agree.h"

/* The chunked forms of scan.matrix are for large states only. */
static int64_t draw_large(Rng *r, const char *name) {
    static const int64_t widths[] = {64, 72, 100};
    if (one_of(name, " h g ")) return rng_int(r, 1, 2);
    if (one_of(name, " s m ")) return 1;
    if (one_of(name, " writes reads ")) return rng_int(r, 0, 2) ? 1 : 2;
    return widths[rng_int(r, 0, 2)];
}

static bool case_agrees(const OpDef *const *defs, int n, const Variant *v) {
    Case c = {.k = kit_new(arena_new(), seed_of(v), v->storage, defs[0] == &op_embed), .slack = 1};
    c.k.spoilt = true;
    for (int i = 0; i < n; i++)
        for (int got = 0, draw = 0; got < v->instances && draw < 100 * v->instances; draw++)
            got += kit_draw(&c.k, defs[i], got % 2 && defs[i] == &op_scan_matrix ? draw_large : draw_size);
    if (!CHECK(c.k.main->nresults > 0)) return false; /* nothing was drawn */
    return agrees(&c, v, compared);
}

static void run_case(const char *name, const OpDef *const *defs, int n, const Variant *v) {
    bool ok;
    if (getenv("BTC_OPS") && strcmp(getenv("BTC_OPS"), name)) return;
    if (in_child(&ok)) _exit(case_agrees(defs, n, v) ? 0 : 1);
    if (!CHECK(ok))
        fprintf(stderr, "    %s, cpu %s, weights %s, arithmetic %s, chunk %d\n", name,
                v->cpu ? v->cpu : "native", v->quant ? v->quant : dtype_name(v->storage),
                v->math ? v->math : "f32", v->chunk);
}

/* Arithmetic other than f32 is of products and attention; all else is drawn for one kind of weight alone. */
static bool concerns(const Variant *v, const OpDef *def) {
    if (def->level != LEVEL_MODEL || !def->sig || (def->flags & OPF_INTERNAL)) return false;
    return !v->math || def->pattern == PAT_CONTRACT || (def == &op_attend && !v->quant);
}

int main(void) {
    static const Variant variants[] = {
        {NULL, DT_F32, 16, 5, 1, NULL, NULL, NULL, NULL},
        {"x86-64-v2", DT_F16, 24, 3, 2, NULL, NULL, NULL, NULL},
        {"x86-64-v3", DT_BF16, 9, 3, 3, NULL, NULL, NULL, NULL},
        {NULL, DT_BF16, 24, 4, 4, NULL, "bf16_12", "bf16", NULL},
        {NULL, DT_F32, 16, 4, 5, NULL, "q8", "int8", NULL},
        {"x86-64-v3", DT_F32, 9, 3, 6, NULL, "q4", "int8", NULL},
        {"x86-64-v2", DT_F32, 24, 3, 7, NULL, "q6", "int8", NULL},
        {NULL, DT_F32, 61, 3, 8, NULL, "q4", "f32", NULL},
    };
    for (size_t k = 0; k < sizeof variants / sizeof *variants; k++) {
        const OpDef *elementwise[OP_COUNT];
        int n = 0;
        for (int i = 0; i < OP_COUNT; i++) {
            if (!concerns(&variants[k], OP_TABLE[i])) continue;
            if (OP_TABLE[i]->pattern == PAT_ELEMENTWISE)
                elementwise[n++] = OP_TABLE[i];
            else if (!k || check_meets((int)k + i, 2, 4))
                run_case(OP_TABLE[i]->name, &OP_TABLE[i], 1, &variants[k]);
        }
        if (n) run_case("elementwise", elementwise, n, &variants[k]);
    }
    return check_report("nonfinite");
}
