/* btc import PATH: a checkpoint as a description, to read and to edit. The result is read back and checked
 * against the checkpoint before anything is written. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"

static const char USAGE[] =
    "btc import PATH [-o FILE] [--arch=NAME]: writes a checkpoint's description\n"
    "\n"
    "  PATH    a Hugging Face folder, or a weights file (.safetensors, .pth)\n"
    "          (.gguf files only hold weights of a description: its \"weights\" names them)\n"
    "  FILE    such as model.json; btc FILE -o model.so compiles it. It names the weights relative to\n"
    "          its own place (or by PATH, when that begins with /)\n";

/* ---- the way from the description to the weights ---- */

/* `path` without "." and "..", its folders without symbolic links. The last name stays as it is, because the
 * ending of a weights file tells what it holds and the file it links to may be called otherwise. NULL: there
 * is no such place. */
static const char *absolute(Arena *a, const char *path) {
    char real[PATH_MAX];
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    path = arena_strndup(a, path, n);
    const char *slash = strrchr(path, '/'), *last = slash ? slash + 1 : path;
    bool whole = !*last || !strcmp(last, ".") || !strcmp(last, "..");
    const char *folder = whole           ? path
                         : slash == path ? "/"
                         : slash         ? arena_strndup(a, path, (size_t)(slash - path))
                                         : ".";
    if (!realpath(folder, real)) return NULL;
    if (whole) return arena_strdup(a, real);
    return arena_printf(a, "%s/%s", strcmp(real, "/") ? real : "", last);
}

/* From folder `from` to `to`, both absolute. */
static const char *relative(Arena *a, const char *from, const char *to) {
    size_t same = 0; /* they agree up to here, and here a name ends in both */
    for (size_t i = 0;; i++) {
        bool end_from = !from[i] || from[i] == '/', end_to = !to[i] || to[i] == '/';
        if (end_from && end_to) same = i;
        if (!from[i] || from[i] != to[i]) break;
    }
    Text t = text_new(a);
    for (const char *p = from + same; *p; p++)
        if (*p == '/' && p[1]) text_add(&t, "../");
    const char *rest = to + same + (to[same] == '/');
    text_add(&t, "%s", rest);
    if (!t.n) return ".";
    if (t.s[t.n - 1] == '/') t.s[t.n - 1] = 0;
    return t.s;
}

/* What to call `path` in the description that will be `output`. */
static const char *weights_seen_from(Arena *a, const char *output, const char *path) {
    const char *slash = output ? strrchr(output, '/') : NULL;
    if (!slash || *path == '/') return path;
    const char *from = absolute(a, arena_printf(a, "%.*s/.", (int)(slash - output), output));
    const char *to = absolute(a, path);
    return from && to ? relative(a, from, to) : path;
}

/* ---- the command ---- */

static bool import(Diag *d, Arena *a, const char *input, const char *output, ModelOptions *o) {
    size_t n = input ? strlen(input) : 0;
    if (!input) return diag_usage(d, (Loc){0}, "which checkpoint? give a folder or a weights file");
    if (n > 5 && !strcmp(input + n - 5, ".json") && !strstr(input, ".index.json"))
        return diag_usage(d, (Loc){.file = input},
                          "is not a checkpoint; give the folder it is in, or a weights file");
    if (output && !strcmp(output, "-")) output = NULL;
    o->weights_as = weights_seen_from(a, output, input);
    Model m = {0};
    bool ok = out_check(d, output) && model_open(d, a, input, o, &m) &&
              write_text(d, a, output, m.description, m.description_size);
    model_close(&m);
    return ok;
}

int command_import(int argc, char **argv) {
    const char *input = NULL, *output = NULL;
    ModelOptions o = {.unread = true};
    const Option options[] = {
        {"o", "FILE", "where to (default: stdout)", &output, OPT_STR, 0},
        {"arch", "NAME", "the architecture, where the checkpoint does not say it (btc list architectures)",
         &o.arch, OPT_STR, 0},
        {"describe", "FILE",
         "a description that takes its sizes from config.json, for architectures without an importer",
         &o.describe, OPT_STR, 0},
        {0},
    };
    int status = parse_options(argc, argv, USAGE, options, &input);
    if (status >= 0) return status;
    Arena *a = arena_new();
    Diag d = diag_new(a, stderr);
    d.progress = progress_new(false);
    bool ok = import(&d, a, input, output, &o);
    progress_free(d.progress);
    arena_free(a);
    return diag_status(&d, ok);
}
