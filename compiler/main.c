/* The command line. Each command is a file under commands/ and a row in commands.def. */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/file.h"
#include "base/temp.h"
#include "commands/commands.h"

static int usage(FILE *out) {
    fputs("btc: compiles sequence models (Mamba, RWKV, Griffin, Hyena, Llama, Mixtral, your own) to native "
          "code\n"
          "\n"
          "  btc MODEL -o OUTPUT [options]     MODEL: a description (.json), a Hugging Face folder, or a "
          "weights\n"
          "                                    file (.safetensors, .pth; .gguf only as weights of a "
          "description)\n"
          "                                    OUTPUT: x.so x.a x.o x.h, or a name without a dot: a program\n"
          "\n"
          "Examples\n"
          "  btc model.json -o model.so        a shared library (btc model.json -o model.h: its C header)\n"
          "  btc mamba-130m-hf/ -o mamba       a standalone program: ./mamba --help\n"
          "  btc import mamba-130m-hf/ -o m.json   the checkpoint as a description, to read and edit\n"
          "  btc report model.json             its cost, layer by layer\n"
          "\n"
          "Commands (btc COMMAND --help tells more)\n",
          out);
    for (int i = 0; i < COMMAND_COUNT; i++) fprintf(out, "  %-10s %s\n", COMMANDS[i].name, COMMANDS[i].doc);
    return out == stdout ? 0 : 2;
}

/* A word that is no file but nearly a command was meant to be one. */
static bool known_or_file(const char *word) {
    Arena *a = arena_new();
    const char **names = ARENA_ARRAY(a, const char *, COMMAND_COUNT);
    for (int i = 0; i < COMMAND_COUNT; i++) names[i] = COMMANDS[i].name;
    const char *near = *word == '-' || file_exists(word) ? NULL : diag_nearest(word, names, COMMAND_COUNT);
    if (near) fprintf(stderr, "btc: error: no command or file \"%s\" (did you mean btc %s?)\n", word, near);
    arena_free(a);
    return !near;
}

/* What nobody would write who meant a model to compile: a word that is no path, alone or before another one. */
static bool meant_a_command(int argc, char **argv) {
    if (strpbrk(argv[1], "./") || *argv[1] == '-' || file_exists(argv[1]) || (argc > 2 && *argv[2] == '-'))
        return false;
    return fprintf(stderr, "btc: error: no command, file or folder \"%s\"; btc --help lists the commands\n",
                   argv[1]) > 0;
}

static int run(int argc, char **argv) {
    if (argc < 2) return usage(stderr);
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help"))
        return usage(stdout);
    if (!strcmp(argv[1], "--version")) return puts("btc 0.1.0 (LLVM 19)"), 0;
    for (int i = 0; i < COMMAND_COUNT; i++)
        if (!strcmp(argv[1], COMMANDS[i].name)) return command_run(i, argc - 1, argv + 1);
    return known_or_file(argv[1]) && !meant_a_command(argc, argv) ? command_compile(argc, argv) : 2;
}

/* Output that did not arrive (a full disk behind stdout) is a failure, whatever the command thinks. */
int main(int argc, char **argv) {
    temp_clean_on_signals();
    signal(SIGXFSZ, SIG_IGN); /* a file beyond the limit is a write that fails, with a message */
    int status = run(argc, argv);
    if (fflush(stdout) == 0 && !ferror(stdout)) return status;
    fprintf(stderr, "btc: error: cannot write to standard output: %s\n", strerror(errno));
    return status ? status : 1;
}
