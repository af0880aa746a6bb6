/* Every parameter of plan/tuning.def alone, at both ends of its range, on aarch64, in step and chunk.
 *     thorough_tuned_emulated [BTC [CONFORMANCE]] */
#include "emulated_tuning.h"

static void check_model(const char *name, const char *options) {
    static const char *const forms[] = {"--form=step", "--form=chunk"};
    const char *m = model(name);
    Machine there = {0};
    if (!CHECK(machine_of(m, EMULATED, &there))) return;
    for (int f = 0; f < 2; f++)
        for (int i = 0; i < TUNING_COUNT; i++)
            for (int most = 0; most < 2; most++) {
                Tuning t = there.usual;
                const TuningField *field = &TUNING_FIELDS[i];
                *tuning_at(&t, i) = most ? field->most : field->least;
                const char *all = arena_printf(arena, "%s %s", options, forms[f]);
                if (!CHECK(emulated_holds(&there, m, all, &t, field->effect == TUNING_SAME)))
                    fprintf(stderr, "    %s: %s\n", field->name, most ? "most" : "least");
            }
}

int main(int argc, char **argv) {
    static const char *const options[] = {"", "--quant=q8", "--quant=q4", "--dtype=bf16 --compress=no"};
    if (!begin(argc, argv)) return 2;
    if (have_emulator() && have("hf-qwen3") && have("rwkv7") && have("hf-mixtral"))
        for (int i = 0; i < 4; i++)
            check_model("hf-qwen3", options[i]), check_model("rwkv7", options[i]),
                check_model("hf-mixtral", options[i]);
    return finish("tuned parameters on aarch64");
}
