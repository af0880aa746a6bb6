/* Machines without an operating system: a few conformance cases on each, under QEMU; thorough_bare.c has all of
 * them. Programs of the 64-bit ones are static and call the kernel themselves; those of Cortex-M run on emulated
 * boards. */
#include "emulated.h"

int main(int argc, char **argv) {
    const char *root = argc > 1 ? argv[1] : "tests/conformance";
    static const struct {
        const char *name, *cpu;
        const Target *target;
    } rows[] = {
        {"hf-mamba", "cortex-m4", &target_thumbv7em_none_eabi},
        {"hf-qwen3", "cortex-m4", &target_thumbv7em_none_eabi},
        {"hyena-order2", "cortex-m7", &target_thumbv7em_none_eabi},
        {"hf-mamba2", "cortex-m55", &target_thumbv8m_main_none_eabi},
        {"hf-mamba", NULL, &target_x86_64_none},
        {"hf-mamba", NULL, &target_aarch64_none},
        {"hf-mamba", NULL, &target_riscv64_none},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (emulated_here(rows[i].target))
            emulated_case(root, rows[i].name, rows[i].target, rows[i].cpu, 1, i == 0);
    return check_report("e2e/bare");
}
