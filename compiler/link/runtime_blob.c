#include "runtime_blob.h"

#include <stdio.h>
#include <string.h>

/* Objects that only programs need; all others belong to every artefact. */
static const char *const program_objects[] = {"start", "program", "options",    "generate", "stream",
                                              "dump",  "sample",  "processors", "meter"};

static bool is_arch(const char *target, const char *arch) {
    size_t n = strlen(arch);
    return strncmp(target, arch, n) == 0 && (target[n] == 0 || target[n] == '-');
}

static bool is_wanted(const char *name, bool threads, bool program) {
    if (strcmp(name, "parallel_omp") == 0 || strcmp(name, "threads") == 0) return threads;
    if (strcmp(name, "parallel_serial") == 0) return !threads;
    for (size_t i = 0; i < sizeof program_objects / sizeof *program_objects; i++)
        if (strcmp(name, program_objects[i]) == 0) return program;
    return true;
}

bool runtime_is_there(const char *target) {
    const RuntimeBlob *b = runtime_blobs;
    while (b->arch && !is_arch(target, b->arch)) b++;
    return b->arch != NULL;
}

bool runtime_needs(const RuntimeBlob *b, const char *target, bool threads, bool program) {
    return is_arch(target, b->arch) && is_wanted(b->object.name, threads, program);
}

void runtime_targets(char *out, size_t size) {
    out[0] = 0;
    const char *last = "";
    for (const RuntimeBlob *b = runtime_blobs; b->arch; b++) {
        size_t used = strlen(out);
        if (strcmp(last, b->arch) != 0) snprintf(out + used, size - used, "%s%s", used ? ", " : "", b->arch);
        last = b->arch;
    }
}
