#include "weight_name.h"

#include <stdlib.h>
#include <string.h>

const char *weight_name(Arena *a, const char *prefix, const char *name) {
    return *name == '/' ? name + 1 : *prefix ? arena_printf(a, "%s%s", prefix, name) : name;
}

static bool parse_range(const char *name, const char **open, const char **close, int64_t *lo, int64_t *hi) {
    *open = strchr(name, '{');
    if (!*open) return false;
    char *end;
    *lo = strtoll(*open + 1, &end, 10);
    if (strncmp(end, "..", 2) != 0) return false;
    *hi = strtoll(end + 2, &end, 10);
    *close = end;
    return *end == '}';
}

int64_t weight_count(const char *name) {
    const char *open, *close;
    int64_t lo, hi;
    return parse_range(name, &open, &close, &lo, &hi) ? hi - lo : 1;
}

const char *weight_part(Arena *a, const char *name, int64_t k) {
    const char *open, *close;
    int64_t lo, hi;
    if (!parse_range(name, &open, &close, &lo, &hi)) return name;
    return arena_printf(a, "%.*s%lld%s", (int)(open - name), name, (long long)(lo + k), close + 1);
}
