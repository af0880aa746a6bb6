/* Conformance cases for RISC-V under QEMU, with vectors and without, in turn; with --thorough every case in
 * both ways. Always a recurrence with vectors and two threads, and attention without. */
#include "emulated.h"

int main(int argc, char **argv) {
    static const struct {
        const char *cpu;
        int threads;
    } MACHINES[] = {{"rv64gcv", 2}, {"rv64gc", 1}};
    const char *root = argc > 1 ? argv[1] : "tests/conformance";
    if (!emulated_here(&target_riscv64)) return check_report("e2e/riscv64");
    Arena *a = arena_new();
    const char **names = case_list(a, root);
    for (int i = 0; names[i]; i++)
        for (int k = 0; k < 2; k++) {
            bool always = !strcmp(names[i], k ? "hf-qwen3" : "hf-mamba");
            if (always || check_meets(i + 8 * k, 16, 48))
                emulated_case(root, names[i], &target_riscv64, MACHINES[k].cpu, MACHINES[k].threads, k == 0);
        }
    arena_free(a);
    return check_report("e2e/riscv64");
}
