/* Every conformance case compiled for aarch64 and run under QEMU: chunks and steps, all tensors, and one case
 * as code for an old machine on just that machine. Without an emulator or that machine's libc it is a printed
 * skip. */
#include "case.h"

enum { CHUNK = 16 };
static const char TARGET[] = "aarch64-linux-gnu";

static VerifyOptions options(const char *cpu, int threads) {
    return (VerifyOptions){
        .form = "chunk", .threads = threads, .compile = {.target = TARGET, .cpu = cpu, .chunk = CHUNK}};
}

static void run(Case *c, Session *s, const char *form) {
    TensorList got = {0};
    if (CHECK(session_run(s, form, s->o.threads, c->input, &got)))
        printf("  %-6s %8.2g   %s\n", form, case_compare(c, form, &got, 1, s->taps),
               s->o.threads > 1 ? "2 threads" : "1 thread");
}

static void test_case(const char *root, const char *name, const char *cpu, int threads, bool greedy) {
    Case c;
    Session s;
    VerifyOptions o = options(cpu, threads);
    double started = case_seconds();
    printf("%s%s%s: largest error as a share of its tolerance\n", name, cpu ? " for " : "", cpu ? cpu : "");
    if (case_open(&c, root, name)) {
        if (CHECK(session_open(&s, &c.diag, c.arena, c.model, &o, TAPS_HIDDEN))) {
            run(&c, &s, "chunk");
            run(&c, &s, "step");
        }
        session_close(&s);
        if (greedy && CHECK(session_open(&s, &c.diag, c.arena, c.model, &o, TAPS_NONE)))
            case_greedy(&c, &s, "chunk", threads);
        if (greedy) session_close(&s);
    }
    case_close(&c);
    printf("  %.1f s\n", case_seconds() - started);
    fflush(stdout);
}

int main(int argc, char **argv) {
    const char *root = argc > 1 ? argv[1] : "tests/conformance";
    Arena *a = arena_new();
    Diag quiet = diag_new(a, NULL);
    if (target_host() != &target_aarch64 && !away_check(&quiet, a, &target_aarch64)) {
        printf("aarch64: skipped, it needs qemu-aarch64-static and /usr/%s\n", TARGET);
        return check_report("e2e/aarch64");
    }
    /* the emulator takes its model of CPU from the environment */
    setenv("QEMU_CPU", "cortex-a72", 1);
    test_case(root, "hf-mamba", "cortex-a72", 2, true);
    unsetenv("QEMU_CPU");
    for (const char **name = case_list(a, root); *name; name++) {
        bool greedy = !strcmp(*name, "hf-mamba2") || !strcmp(*name, "hf-llama");
        test_case(root, *name, NULL, 1, greedy);
    }
    arena_free(a);
    return check_report("e2e/aarch64");
}
