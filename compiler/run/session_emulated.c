/* A session for another machine: the model as a program that QEMU runs. The program writes all
 * results into a file (--dump, runtime/dump.c and runtime/bare_program.c). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "session.h"

/* QEMU's name for the emulator that is there, or NULL. */
static const char *find_emulator(Arena *a, const Target *t) {
    static const char *const endings[] = {"-static", ""};
    for (int i = 0; i < 2; i++) {
        const char *name = arena_printf(a, "%s%s", t->emulator, endings[i]);
        const char *argv[] = {name, "--version", NULL};
        char *said;
        if (spawn_and_wait(a, NULL, argv, &said) == 0) return name;
    }
    return NULL;
}

bool emulated_check(Diag *d, Arena *a, const Target *t) {
    if (!t->emulator)
        return diag_usage(d, (Loc){0}, "--target=%s: there is no way to run a model for it here", t->name);
    if (!find_emulator(a, t))
        return diag_error(d, (Loc){0}, "--target=%s: needs QEMU to run: there is no %s-static or %s on PATH",
                          t->name, t->emulator, t->emulator);
    if (!t->sysroot) return true;
    const char *lib = arena_printf(a, "%s/lib", t->sysroot);
    if (!file_exists(lib))
        return diag_error(
            d, (Loc){0},
            "--target=%s: needs that machine's libc to run: there is no %s (Debian: libc6-*-cross)", t->name,
            lib);
    return true;
}

/* A board gets its command line from the emulator, in whose options a comma is written twice. */
static const char *board_options(Arena *a, const char *program, const char *const *arguments) {
    Text t = text_new(a);
    text_add(&t, "enable=on,target=native,arg=%s", program);
    for (; *arguments; arguments++) {
        text_add(&t, ",arg=");
        for (const char *c = *arguments; *c; c++) text_add(&t, *c == ',' ? ",," : "%c", *c);
    }
    return t.s;
}

/* Runs the program with the arguments given (up to NULL). */
static bool run_program(Session *s, const char *const *arguments, char **said) {
    const TargetInfo *info = &s->compiled.target;
    const Target *t = info->target;
    const char *cpu = t->isa->emulated_cpu ? t->isa->emulated_cpu(info) : NULL;
    const char *argv[24] = {find_emulator(s->a, t)};
    int n = 1;
    if (t->isa->board) {
        const char *const board[] = {"-M",
                                     t->isa->board(info)->name,
                                     "-display",
                                     "none",
                                     "-serial",
                                     "none",
                                     "-monitor",
                                     "none",
                                     "-kernel",
                                     s->program,
                                     "-semihosting-config",
                                     board_options(s->a, s->program, arguments)};
        for (size_t i = 0; i < sizeof board / sizeof *board; i++) argv[n++] = board[i];
    } else {
        if (t->sysroot) argv[n++] = "-L", argv[n++] = t->sysroot;
        if (cpu) argv[n++] = "-cpu", argv[n++] = cpu;
        for (argv[n++] = s->program; n < 23 && *arguments;) argv[n++] = *arguments++;
    }
    int status = argv[0] ? spawn_and_wait(s->a, NULL, argv, said) : -1;
    if (status == 0) return true;
    if (status == -1) return diag_error(s->d, (Loc){0}, "cannot start the emulator: %s", strerror(errno));
    if (status == -2) return diag_error(s->d, (Loc){0}, "the emulator crashed: %s", *said);
    return diag_error(s->d, (Loc){0}, "the compiled program failed: %s", *said);
}

static const char *ids_option(Session *s, const int32_t *ids, int64_t n) {
    Text t = text_new(s->a);
    for (int64_t i = 0; i < n; i++) text_add(&t, i ? ",%d" : "--ids=%d", ids[i]);
    return t.s;
}

/* Where the program finds the rows of a sequence: in an option, or in a file. */
static const char *input_option(Session *s, const Batch *b, int64_t row) {
    const void *x = session_rows(s, b, row, 0, b->T);
    if (!b->width) return ids_option(s, x, b->T);
    const char *file = arena_printf(s->a, "%s/input", s->folder.path);
    OutFile o;
    if (!out_open(s->d, s->a, file, &o)) return NULL;
    out_write(&o, x, (size_t)(b->T * b->width) * sizeof(float));
    return out_commit(&o, false) ? arena_printf(s->a, "--input=%s", file) : NULL;
}

/* NULL, the end of all options, for programs that know neither threads nor chance. */
static const char *threads_option(Session *s, int threads) {
    bool single = s->compiled.target.target->execution == EXECUTION_SINGLE;
    return single ? NULL : arena_printf(s->a, "--threads=%d", threads);
}

bool emulated_run(Session *s, bool step, int threads, const Batch *b, TensorList *list) {
    Outputs out = session_outputs(s, b, list);
    const char *dump = arena_printf(s->a, "%s/dump", s->folder.path);
    size_t floats = 0;
    for (int i = 0; i < out.n; i++) floats += (size_t)(b->T * out.width[i]);
    for (int64_t row = 0; row < b->B; row++) {
        const char *input = input_option(s, b, row);
        const char *arguments[] = {input, arena_printf(s->a, "--dump=%s", dump),
                                   step ? "--form=step" : "--form=chunk", threads_option(s, threads), NULL};
        char *said;
        if (!input || !run_program(s, arguments, &said)) return false;
        size_t size;
        const char *data = file_read_text(s->d, s->a, dump, &size);
        if (!data) return false;
        if (size <
            floats * sizeof(float) + (size_t)(BTC_STATE_HEADER + s->compiled.lowered.schedule.state_bytes))
            return diag_error(s->d, (Loc){.file = dump}, "is too short: %zu bytes", size);
        const float *f = (const float *)(const void *)data;
        for (int i = 0; i < out.n; f += b->T * out.width[i], i++)
            session_take(s, i, out.data[i] + row * b->T * out.width[i], f, b->T * out.width[i]);
        session_states(s, (const char *)f, b->B, row, list);
        unlink(dump);
    }
    return true;
}

bool emulated_greedy(Session *s, int threads, const int32_t *prompt, int64_t np, int64_t n, int64_t *ids) {
    if (s->probes != PROBES_NONE) BTC_BUG("a program with probes cannot generate");
    const char *arguments[] = {ids_option(s, prompt, np),
                               arena_printf(s->a, "--tokens=%lld", (long long)n),
                               threads_option(s, threads),
                               "--temperature=0",
                               "--quiet",
                               NULL};
    char *said;
    if (!run_program(s, arguments, &said)) return false;
    int64_t got = 0;
    for (char *p = said, *end; got < n; p = end + 1) {
        ids[got] = strtoll(p, &end, 10);
        if (end == p) break;
        got++;
        if (*end != ',') break;
    }
    return got == n || diag_error(s->d, (Loc){0}, "the compiled program gave %lld of %lld tokens: %s",
                                  (long long)got, (long long)n, said);
}
