/* The promise of every row of plan/tuning.def: whether it may change bits.
 *     test_tuned_bits [BTC [CONFORMANCE]]      defaults: build/btc and tests/conformance */
#include "emulated_tuning.h"

/* Chunks that are longer than every prompt by far only take memory: of every value, since all are shown. */
enum { LONG_CHUNK = 1 << 12 };

/* All rows of one effect at once, at one end of their range; the others as usual. */
static Tuning moved(const Tuning *usual, TuningEffect effect, bool most) {
    Tuning t = *usual;
    for (int i = 0; i < TUNING_COUNT; i++) {
        const TuningField *f = &TUNING_FIELDS[i];
        if (f->effect == effect)
            *tuning_at(&t, i) = !most ? f->least : f->most < LONG_CHUNK ? f->most : LONG_CHUNK;
    }
    return t;
}

/* Rows that promise so leave every bit of every result as it is; the others stay within the tolerance. */
static void check_bits(const char *name, const char *form) {
    const char *m = model(name), *cpu, *ids = arena_printf(arena, "%s/expected.safetensors", m);
    int lanes;
    Tuning usual;
    if (!this_machine(m, &cpu, &lanes, &usual)) return;
    const char *args = arena_printf(
        arena, "'%s' --input='%s' --expect='%s' --tolerance='%s/case.json' --form=%s", m, ids, ids, m, form);
    CHECK(run("verify %s --tuning=none --write='%s'", args, at("usual")).status == 0);
    for (int most = 0; most < 2; most++) {
        Tuning t = moved(&usual, TUNING_SAME, most);
        const char *file = tuning_file("row.json", cpu, lanes, &t, -1);
        CHECK(run("verify %s --tuning='%s' --write='%s'", args, file, at("tuned")).status == 0);
        if (!CHECK(same_files(at("usual"), at("tuned"))))
            fprintf(stderr, "    %s, %s, at the %s\n", name, form, most ? "most" : "least");
        t = moved(&usual, TUNING_CUTS, most);
        file = tuning_file("row.json", cpu, lanes, &t, -1);
        CHECK(run("verify %s --tuning='%s'", args, file).status == 0);
    }
}

/* The same on a machine with other vectors. */
static void check_emulated(const char *name) {
    const char *m = model(name), *options = "--quant=q8 --form=chunk";
    Machine there = {0};
    if (!have_emulator() || !CHECK(machine_of(m, EMULATED, &there))) return;
    CHECK(emulated_agrees(&there, m, options, &there.usual, "usual"));
    for (int most = 0; most < 2; most++) {
        Tuning t = moved(&there.usual, TUNING_SAME, most);
        CHECK(emulated_agrees(&there, m, options, &t, "tuned") && same_files(at("usual"), at("tuned")));
    }
}

int main(int argc, char **argv) {
    if (!begin(argc, argv)) return 2;
    if (have("hf-llama")) check_bits("hf-llama", "chunk");
    if (have("rwkv7")) check_bits("rwkv7", "step");
    if (have("hf-qwen3")) check_emulated("hf-qwen3");
    return finish("tuned bits");
}
