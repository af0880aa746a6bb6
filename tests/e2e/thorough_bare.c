/* Every conformance case on every machine without an operating system, under QEMU. */
#include "emulated.h"

int main(int argc, char **argv) {
    const char *root = argc > 1 ? argv[1] : "tests/conformance";
    static const struct {
        const Target *target;
        const char *cpu;
    } machines[] = {
        {&target_thumbv7em_none_eabi, "cortex-m4"},
        {&target_thumbv7em_none_eabi, "cortex-m7"},
        {&target_thumbv8m_main_none_eabi, "cortex-m55"},
        {&target_x86_64_none, NULL},
        {&target_aarch64_none, NULL},
        {&target_riscv64_none, "rv64gc"},
        {&target_riscv64_none, "rv64gcv"},
    };
    Arena *a = arena_new();
    for (size_t i = 0; i < sizeof machines / sizeof *machines; i++) {
        if (!emulated_here(machines[i].target)) continue;
        printf("%s\n", machines[i].target->name);
        for (const char **name = case_list(a, root); *name; name++) {
            bool greedy = !strcmp(*name, "hf-mamba2") || !strcmp(*name, "hf-llama");
            emulated_case(root, *name, machines[i].target, machines[i].cpu, 1, greedy);
        }
    }
    arena_free(a);
    return check_report("e2e/bare (all cases)");
}
