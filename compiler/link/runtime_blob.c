#include "runtime_blob.h"

#include <string.h>

/* Objects that only programs need; all others belong to every artefact. */
static const char *const program_objects[] = {
    "start",      "program",  "options", "generate",     "stream",      "dump",       "sample",
    "processors", "distance", "meter",   "bare_program", "bare_memory", "bare_linux", "bare_semihosting"};

static bool is_wanted(const char *name, RuntimeParts parts) {
    if (strcmp(name, "parallel_omp") == 0 || strcmp(name, "threads") == 0) return parts.threads;
    if (strcmp(name, "parallel_serial") == 0) return !parts.threads;
    if (strcmp(name, "soft_double") == 0) return parts.soft_doubles;
    for (size_t i = 0; i < sizeof program_objects / sizeof *program_objects; i++)
        if (strcmp(name, program_objects[i]) == 0) return parts.program;
    return true;
}

bool runtime_is_there(const char *target) {
    const RuntimeBlob *b = runtime_blobs;
    while (b->target && strcmp(b->target, target)) b++;
    return b->target != NULL;
}

bool runtime_needs(const RuntimeBlob *b, const char *target, RuntimeParts parts) {
    return b->kind == RUNTIME_OBJECT && !strcmp(b->target, target) && is_wanted(b->object.name, parts);
}

const char *runtime_targets(Arena *a) {
    Text t = text_new(a);
    const char *last = "";
    for (const RuntimeBlob *b = runtime_blobs; b->target; last = b->target, b++)
        if (strcmp(last, b->target)) text_add(&t, "%s%s", t.n ? ", " : "", b->target);
    return t.s;
}
