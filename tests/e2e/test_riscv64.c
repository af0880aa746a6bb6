/* A recurrence with vectors and two threads, and attention without, for RISC-V under QEMU;
 * thorough_riscv64.c has all cases. */
#include "emulated.h"

int main(int argc, char **argv) {
    const char *root = argc > 1 ? argv[1] : "tests/conformance";
    if (!emulated_here(&target_riscv64)) return check_report("e2e/riscv64");
    emulated_case(root, "hf-mamba", &target_riscv64, "rv64gcv", 2, true);
    emulated_case(root, "hf-qwen3", &target_riscv64, "rv64gc", 1, false);
    return check_report("e2e/riscv64");
}
