#include "machine.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "processors.h"

static const char *processor(Arena *a) {
    const char *name = "unknown processor";
    char line[512];
    FILE *f = fopen("/proc/cpuinfo", "r");
    while (f && fgets(line, sizeof line, f)) {
        char *value = strchr(line, ':');
        bool model = !strncmp(line, "model name", 10) || !strncmp(line, "Processor", 9);
        if (!model || !value) continue;
        value += 1 + strspn(value + 1, " ");
        name = arena_strndup(a, value, strcspn(value, "\n"));
        break;
    }
    if (f) fclose(f);
    return name;
}

const char *machine_name(Arena *a) {
    int n = usable_processors();
    return arena_printf(a, "%s, %d CPU%s", processor(a), n, n > 1 ? "s" : "");
}
