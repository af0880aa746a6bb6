/* See name.h. */
#include "desc/name.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"

static const char DIGITS[] = "0123456789";
static const char LETTERS[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/* "btc" and "btc_..": the header's own names and, in capitals, its macros. */
static bool is_reserved(const char *name) {
    return !strncasecmp(name, "btc", 3) && (!name[3] || name[3] == '_');
}

const char *name_problem(const char *name) {
    if (!json_is_name(name)) return "a name for C: letters, digits and _, no digit first";
    if (is_reserved(name)) return "another name: btc and btc_.. are the interface's own";
    return NULL;
}

const char *name_from(Arena *a, const char *text, size_t n) {
    char *name = arena_printf(a, "m_%.*s", (int)n, text);
    for (char *p = name; *p; p++)
        if (!strchr(LETTERS, *p) && !strchr(DIGITS, *p)) *p = '_';
    return name[2] == '_' || name_problem(name + 2) ? name : name + 2; /* _X is C's own */
}

/* A folder that is called so in every checkpoint, or a commit's. */
static bool says_nothing(const char *part) {
    static const char *const everywhere[] = {"hf", "snapshots", "checkpoint", "checkpoints", "weights"};
    size_t n = strlen(part);
    for (size_t i = 0; i < sizeof everywhere / sizeof *everywhere; i++)
        if (!strcasecmp(part, everywhere[i])) return true;
    return n == 40 && strspn(part, "0123456789abcdef") == n;
}

static bool is_usual_file(const char *part) {
    static const char *const usual[] = {"model.safetensors", "model.safetensors.index.json",
                                        "pytorch_model.bin", "pytorch_model.bin.index.json"};
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        if (!strcmp(part, usual[i])) return true;
    return false;
}

/* The last part of a path that says something, without a file's ending; NULL: there is none. */
static const char *telling_part(Arena *a, const char *path, bool folder) {
    char *rest = arena_strdup(a, path);
    for (;; folder = true) {
        char *slash = strrchr(rest, '/'), *part = slash ? slash + 1 : rest;
        if (!strcmp(part, ".") || !strcmp(part, "..")) return NULL;
        if (*part && !(folder ? says_nothing(part) : is_usual_file(part))) {
            char *dot = folder ? NULL : strrchr(part, '.');
            return arena_strndup(a, part, dot > part ? (size_t)(dot - part) : strlen(part));
        }
        if (!slash) return NULL;
        *slash = 0;
    }
}

const char *name_from_path(Arena *a, const char *path) {
    char real[PATH_MAX];
    bool folder = file_is_folder(path);
    const char *part = telling_part(a, path, folder);
    if (!part && realpath(path, real)) part = telling_part(a, real, folder);
    if (!part) part = "model";
    return name_from(a, part, strlen(part));
}
