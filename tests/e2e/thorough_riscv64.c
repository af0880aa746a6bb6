/* Every conformance case for RISC-V under QEMU, with vectors and without. */
#include "emulated.h"

int main(int argc, char **argv) {
    const char *root = argc > 1 ? argv[1] : "tests/conformance";
    static const char *const cpus[] = {"rv64gc", "rv64gcv"};
    if (!emulated_here(&target_riscv64)) return check_report("e2e/riscv64 (all cases)");
    Arena *a = arena_new();
    for (const char **name = case_list(a, root); *name; name++)
        for (int i = 0; i < 2; i++) emulated_case(root, *name, &target_riscv64, cpus[i], 1 + i, i == 0);
    arena_free(a);
    return check_report("e2e/riscv64 (all cases)");
}
