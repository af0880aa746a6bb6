#include "units.h"

#include <string.h>

static const char *scaled(Arena *a, double x, double base, const char *const *units) {
    int k = 0;
    for (; x >= 999.5 && units[k + 1]; k++) x /= base;
    int digits = k == 0 || x >= 99.95 ? 0 : x >= 9.995 ? 1 : 2;
    return arena_printf(a, "%.*f%s%s", digits, x, *units[k] ? " " : "", units[k]);
}

const char *units_count(Arena *a, double x) {
    static const char *const units[] = {"", "k", "M", "G", "T", "P", NULL};
    return scaled(a, x, 1000, units);
}

const char *units_bytes(Arena *a, double x) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", NULL};
    return scaled(a, x, 1024, units);
}

const char *units_time(Arena *a, double seconds) {
    static const char *const units[] = {"ns", "us", "ms", "s", NULL};
    return scaled(a, seconds * 1e9, 1000, units);
}

const char *units_clip(Arena *a, const char *s, int width) {
    return (int)strlen(s) <= width ? s : arena_printf(a, "%.*s..", width - 2, s);
}
