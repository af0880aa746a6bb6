/* The table of parameters, and the cost model that chooses them. */
#include "tuning.h"

#include <string.h>

#include "lower_target.h"

const TuningField TUNING_FIELDS[] = {
#define TUNE(name, least, most, effect, doc) {#name, doc, least, most, TUNING_##effect},
#include "tuning.def"
#undef TUNE
};
const int TUNING_COUNT = sizeof TUNING_FIELDS / sizeof *TUNING_FIELDS;

int *tuning_at(Tuning *t, int field) {
    int *const numbers[] = {
#define TUNE(name, least, most, effect, doc) &t->name,
#include "tuning.def"
#undef TUNE
    };
    return numbers[field];
}

int tuning_find(const char *name) {
    int i = TUNING_COUNT - 1;
    while (i >= 0 && strcmp(TUNING_FIELDS[i].name, name)) i--;
    return i;
}

/* A tile of r rows and c vectors keeps `sums` times r*c sums in registers, beside c weights, one x and one to
 * spare, and makes r*c multiply-adds from r loads of x and c of weights, which cost `weight` loads each: the
 * best is the one with the most multiply-adds a load. Columns come in whole panels. */
static void choose_tile(const LowerTarget *t, int sums, double weight, int *rows, int *columns) {
    enum { MAX_ROWS = 6, MAX_COLUMNS = 4 };
    int panel = t->panel / t->lanes;
    double best = 0;
    *rows = 1, *columns = panel;
    for (int c = panel; c <= (panel > MAX_COLUMNS ? panel : MAX_COLUMNS); c *= 2)
        for (int r = 1; r <= MAX_ROWS && sums * r * c + c + 2 <= t->vregs; r++) {
            double ratio = r * c / (r + weight * c);
            if (ratio > best) best = ratio, *rows = r, *columns = c;
        }
}

/* One row: each panel is a stream of its own for the hardware's prefetcher, which follows long streams well
 * by itself. Two keep it and the multiply-adds busy; prefetching in software makes kernels slower that wait
 * for memory anyway, the more the fewer bits a weight has. Those that compute longer hide the wait by it. */
static int choose_streams(const LowerTarget *t) {
    int panel = t->panel / t->lanes;
    return 2 * 2 * panel <= t->vregs - 4 ? 2 : 1;
}

Tuning tuning_default(const LowerTarget *t) {
    enum { SCAN_TOKENS = 16 }; /* a sub-chunk has a vector of tokens at least */
    Tuning out = {
        .chunk = 256,
        .tile_unroll = 2,
        .streams = choose_streams(t),
        .stream_bytes = 128, /* lines come in pairs */
        .prefetch_bytes = 0,
        .busy_prefetch_bytes = 8192,
        .inner_rows = 4,
        .inner_columns = t->vregs < 32 ? 2 : 4,
        .scan_tokens = t->lanes > SCAN_TOKENS ? t->lanes : SCAN_TOKENS,
    };
    choose_tile(t, 1, 1, &out.tile_rows, &out.tile_columns);
    /* integers: each sum has an i32 of the block beside it, and weights are decoded and scaled */
    choose_tile(t, 2, 2, &out.dot_rows, &out.dot_columns);
    return out;
}
