/* Every conformance case compiled for aarch64 and run under QEMU: chunks and steps, all tensors, and one case
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
    for (const char **name = case_list(a, root); *name; name++) {
        bool greedy = !strcmp(*name, "hf-mamba2") || !strcmp(*name, "hf-llama");
        emulated_case(root, *name, t, NULL, 1, greedy);
    }
    arena_free(a);
    return check_report("e2e/aarch64");
}
