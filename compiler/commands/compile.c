/* btc MODEL -o OUTPUT */
#include "commands.h"

#include <string.h>

#include "desc/name.h"

static const char USAGE[] =
    "btc MODEL -o OUTPUT [options]: compiles a model\n"
    "\n"
    "  MODEL   a description (.json), a Hugging Face folder, or a weights file (.safetensors, .pth)\n"
    "          (.gguf files only hold weights of a description: its \"weights\" names them)\n"
    "  OUTPUT  x.so: shared library   x.a, x.o: to link yourself   x.h: the C header   x: a program\n"
    "\n"
    "  btc mamba/ -o mamba.so --cpu=x86-64-v3            for any CPU with AVX2\n"
    "  btc mamba/ -o mamba --target=aarch64-linux-gnu    a program for 64-bit ARM\n"
    "  btc mamba/ --emit=ir --stop-after=hoist-constants the IR in the middle of the pipeline\n";

static const char *const EMITS[] = {"description", "ir",   "stages", "schedule",
                                    "loops",       "llvm", "asm",    "object"};

static bool check(Diag *d, const Args *a, const char *weights) {
    enum { N = sizeof EMITS / sizeof *EMITS };
    bool known = !a->compile.emit;
    for (int i = 0; i < N && !known; i++) known = !strcmp(a->compile.emit, EMITS[i]);
    if (!known)
        return diag_usage(
            d, (Loc){0}, "--emit=%s: must be description, ir, stages, schedule, loops, llvm, asm or object%s",
            a->compile.emit, diag_did_you_mean(d->arena, a->compile.emit, EMITS, N));
    const char *problem = a->compile.name ? name_problem(a->compile.name) : NULL;
    if (problem) return diag_usage(d, (Loc){0}, "--name=%s: must be %s", a->compile.name, problem);
    if (strcmp(weights, "embed") && strcmp(weights, "file"))
        return diag_usage(d, (Loc){0}, "--weights=%s: must be embed or file", weights);
    if (!a->compile.output && !a->compile.emit && !a->compile.passes.stop_after)
        return diag_usage(d, (Loc){0}, "where to? add -o OUTPUT (x.so, x.a, x.o, x.h, or a program's name)");
    return true;
}

int command_compile(int argc, char **argv) {
    Args a = {0};
    const char *weights = "embed", *threads = "openmp";
    Option options[MAX_OPTIONS];
    int n = shared_options(&a, options);
    options[n++] =
        (Option){"o", "FILE", "the output; its ending says what is made", &a.compile.output, OPT_STR, 0};
    options[n++] =
        (Option){"name", "NAME", "of the model, in symbols and in the header", &a.compile.name, OPT_STR, 0};
    options[n++] =
        (Option){"weights", "embed|file", "weights inside the artefact, or in OUTPUT.weights beside it",
                 &weights,  OPT_STR,      0};
    options[n++] = (Option){"threads", "openmp|none", "with OpenMP (default), or for one thread only",
                            &threads,  OPT_STR,       0};
    options[n++] = (Option){
        "emit",
        "WHAT",
        "print description, ir, stages, schedule, loops, llvm, asm or object instead (to -o or stdout)",
        &a.compile.emit,
        OPT_STR,
        0};
    options[n++] = (Option){"quiet", NULL, "no progress", &a.compile.quiet, OPT_ON, 0};
    options[n] = (Option){0};
    int status = parse_options(argc, argv, USAGE, options, &a.input);
    if (status >= 0) return status;

    Arena *arena = arena_new();
    Diag d = diag_new(arena, stderr);
    d.progress = progress_new(a.compile.quiet);
    Model m = {0};
    Compiled c;
    bool ok = a.input != NULL ||
              diag_usage(&d, (Loc){0}, "which model? give a description, a folder or a weights file");
    ok = ok && check(&d, &a, weights);
    if (ok && strcmp(threads, "openmp") && strcmp(threads, "none"))
        ok = diag_usage(&d, (Loc){0}, "--threads=%s: must be openmp or none", threads);
    a.compile.threads = !strcmp(threads, "openmp");
    a.compile.weights_in_file = !strcmp(weights, "file");
    a.model.unread = a.compile.emit && !strcmp(a.compile.emit, "description");
    ok = ok && compile_check(&d, &a.compile) && model_open(&d, arena, a.input, &a.model, &m) &&
         compile_artifact(&d, &m, &a.compile, &c);
    model_close(&m);
    progress_free(d.progress);
    arena_free(arena);
    return diag_status(&d, ok);
}
