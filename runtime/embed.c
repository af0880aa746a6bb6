/* Build tool: puts files into a C source, so that btc carries its runtime inside.
 *     embed OUT.c header=btc.h x86_64-linux-gnu/core=core.o aarch64-linux-gnu/libc.so.6=libc.so.6 ...
 * The entry "header" becomes runtime_header_text, all others become rows of runtime_blobs, with the path
 * before the slash as the target; what has .so or .ld in its name is a library
 * or a linker script. See compiler/link/runtime_blob.h for the declarations. */
#include <stdio.h>
#include <string.h>

static int write_array(FILE *out, const char *type, const char *symbol, const char *file) {
    FILE *in = fopen(file, "rb");
    if (!in) {
        perror(file);
        return 0;
    }
    fprintf(out, "%s %s[] = {", type, symbol);
    long n = 0;
    for (int c; (c = getc(in)) != EOF; n++) fprintf(out, n % 24 ? "%d," : "\n%d,", c);
    fprintf(out, "\n0};\n"); /* ends texts, and keeps empty files legal */
    fclose(in);
    return 1;
}

int main(int argc, char **argv) {
    FILE *out = argc > 2 ? fopen(argv[1], "w") : NULL;
    if (!out) {
        fprintf(stderr, "usage: embed OUT.c NAME=FILE...\n");
        return 1;
    }
    char symbol[32];
    fprintf(out, "#include \"compiler/link/runtime_blob.h\"\n");
    for (int i = 2; i < argc; i++) {
        char *file = strchr(argv[i], '=');
        if (!file) {
            fprintf(stderr, "embed: %s: want NAME=FILE\n", argv[i]);
            return 1;
        }
        *file++ = 0;
        snprintf(symbol, sizeof symbol, "blob%d", i);
        int header = strcmp(argv[i], "header") == 0;
        if (!(header ? write_array(out, "const char", "runtime_header_text", file)
                     : write_array(out, "static const unsigned char", symbol, file)))
            return 1;
    }
    fprintf(out, "const RuntimeBlob runtime_blobs[] = {\n");
    for (int i = 2; i < argc; i++) {
        char *slash = strchr(argv[i], '/');
        if (!slash) continue;
        fprintf(out, "    {\"%.*s\", %s, {\"%s\", blob%d, sizeof blob%d - 1}},\n", (int)(slash - argv[i]),
                argv[i],
                strstr(slash, ".so")   ? "RUNTIME_LIBRARY"
                : strstr(slash, ".ld") ? "RUNTIME_SCRIPT"
                                       : "RUNTIME_OBJECT",
                slash + 1, i, i);
    }
    fprintf(out, "    {0, RUNTIME_OBJECT, {0, 0, 0}}};\n");
    if (fclose(out) != 0) {
        perror(argv[1]);
        return 1;
    }
    return 0;
}
