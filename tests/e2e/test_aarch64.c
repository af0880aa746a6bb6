/* Every third conformance case, with --thorough every one, compiled for aarch64 and run under QEMU: chunks and steps, all tensors, and one case
 * as code for an old machine on just that machine. Without an emulator or that machine's libc it is a printed
 * skip. */
#include "emulated.h"

int main(int argc, char **argv) {
    const char *root = argc > 1 ? argv[1] : "tests/conformance";
    const Target *t = &target_aarch64;
    if (!emulated_here(t)) return check_report("e2e/aarch64");
    /* the emulator takes its model of CPU from the environment */
    setenv("QEMU_CPU", "cortex-a72", 1);
    emulated_case(root, "hf-mamba", t, "cortex-a72", 2, true);
    unsetenv("QEMU_CPU");
    Arena *a = arena_new();
    const char **names = case_list(a, root);
    for (int i = 0; names[i]; i++) {
        bool greedy = !strcmp(names[i], "hf-mamba2") || !strcmp(names[i], "hf-llama");
        if (greedy || check_meets(i, 3, 9)) emulated_case(root, names[i], t, NULL, 1, greedy);
    }
    arena_free(a);
    return check_report("e2e/aarch64");
}
