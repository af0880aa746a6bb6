/* Packing: every layout against its one-line definition, element by element, from every type into every type,
 * and in pieces cut anywhere; dtype_convert against the single elements. */
#include <stdlib.h>

#include "check.h"
#include "lower/pack.h"

enum { PANEL = 16, LANES = 16, MOST = 1 << 16 };
static const DType FROM[] = {DT_F32, DT_BF16, DT_F16, DT_F64}, TO[] = {DT_F32, DT_BF16, DT_F16};
enum { NFROM = sizeof FROM / sizeof *FROM, NTO = sizeof TO / sizeof *TO };

static uint64_t seed = 1;

/* Any bits, but no NaN: conversions need not keep what is in those. */
static double number(void) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    double v = (double)(int64_t)(seed >> 11) / 0x1p52 - 1.0;
    switch (seed >> 8 & 7) {
    case 0:
        return v * 0x1p-140;
    case 1:
        return v * 0x1p100;
    case 2:
        return 0.0 * v;
    default:
        return v;
    }
}

static void check_convert(void) {
    enum { N = 1001 };
    static char in[N * 8 + 1], got[N * 8 + 1], want[N * 8 + 1];
    for (int f = 0; f < NFROM; f++)
        for (int t = 0; t < NFROM; t++) {
            for (int64_t i = 0; i < N; i++) dtype_store(FROM[f], in + 1, i, number());
            for (int64_t i = 0; i < N; i++) dtype_store(FROM[t], want + 1, i, dtype_load(FROM[f], in + 1, i));
            dtype_convert(FROM[t], got + 1, FROM[f], in + 1, N);
            CHECK(!memcmp(got + 1, want + 1, N * dtype_size(FROM[t])));
        }
}

/* Which element of the source lies at element `at` of the packed tensor of [lead, rows, cols]; -1: padding.
 */
static int64_t origin(PackKind kind, int group, int64_t rows, int64_t cols, int64_t at) {
    int64_t channels = kind == PACK_PANELS ? rows : cols, depth = kind == PACK_PANELS ? cols : rows;
    int64_t groups = (depth + group - 1) / group, padded_depth = groups * group;
    int64_t padded = (channels + PANEL - 1) / PANEL * PANEL;
    switch (kind) {
    case PACK_ROWS:
    case PACK_TABLE:
        return at;
    case PACK_TRANSPOSED: {
        int64_t matrix = at / (rows * cols), in = at % (rows * cols);
        return matrix * rows * cols + in % rows * cols + in / rows;
    }
    default: {
        int64_t matrix = at / (padded * padded_depth), in = at % (padded * padded_depth);
        int64_t panel = in / (PANEL * padded_depth), within = in % (PANEL * padded_depth);
        int64_t channel = panel * PANEL + within / group % PANEL;
        int64_t k = within / (group * PANEL) * group + within % group;
        if (channel >= channels || k >= depth) return -1;
        return matrix * rows * cols + (kind == PACK_PANELS ? channel * cols + k : k * cols + channel);
    }
    }
}

/* All pieces, cut into runs of `run`, the last run first. */
static void pack_in_runs(PackKind kind, const PackSource *s, Storage dt, const LowerTarget *t, int64_t run,
                         char *out) {
    int64_t n = pack_pieces(kind, s->type, t), each = n ? pack_bytes(kind, s->type, dt, t) / n : 0;
    for (int64_t at = (n - 1) / run * run; at >= 0; at -= run)
        pack_write(kind, s, dt, t, at, n - at < run ? n - at : run, out + at * each);
}

static void check_layout(PackKind kind, Type type, DType from, DType to) {
    static char in[MOST * 8], out[MOST * 8], again[MOST * 8];
    LowerTarget t = {.panel = PANEL, .lanes = LANES};
    PackSource s = {.type = type, .dt = from, .data = in + 2}; /* tensors in files need not be aligned */
    Storage stored = {to, NULL};
    int group = kind == PACK_PANELS || kind == PACK_PANELS_IO ? panel_group(stored) : 1;
    int64_t n = type_count(type), bytes = pack_bytes(kind, type, stored, &t),
            count = bytes / (int64_t)dtype_size(to);
    int64_t rows = type.rank > 1 ? type.dim[type.rank - 2] : 1,
            cols = type.rank ? type.dim[type.rank - 1] : 1;
    for (int64_t i = 0; i < n; i++) dtype_store(from, in + 2, i, number());
    pack_write(kind, &s, stored, &t, 0, pack_pieces(kind, type, &t), out);
    bool right = true;
    for (int64_t at = 0; at < count; at++) {
        int64_t i = origin(kind, group, rows, cols, at);
        char want[8];
        dtype_store(to, want, 0, i < 0 ? 0 : dtype_load(from, in + 2, i));
        right &= !memcmp(want, out + at * (int64_t)dtype_size(to), dtype_size(to));
    }
    CHECK(right);
    for (int64_t run = 1; run < 8; run += 3) {
        memset(again, 1, (size_t)bytes);
        pack_in_runs(kind, &s, stored, &t, run, again);
        CHECK(!memcmp(out, again, (size_t)bytes));
    }
}

static void check_layouts(void) {
    static const PackKind kinds[] = {PACK_ROWS, PACK_TRANSPOSED, PACK_PANELS, PACK_PANELS_IO, PACK_TABLE};
    static const Type types[] = {
        {.dt = DT_F32, .rank = 0},
        {.dt = DT_F32, .rank = 1, .dim = {77}},
        {.dt = DT_F32, .rank = 2, .dim = {1, 1}},
        {.dt = DT_F32, .rank = 2, .dim = {48, 130}},
        {.dt = DT_F32, .rank = 2, .dim = {37, 64}},
        {.dt = DT_F32, .rank = 3, .dim = {3, 17, 70}},
        {.dt = DT_F32, .rank = 4, .dim = {2, 2, 5, 33}},
    };
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        for (size_t t = 0; t < sizeof types / sizeof *types; t++)
            for (int f = 0; f < NFROM; f++)
                for (int d = 0; d < NTO; d++) check_layout(kinds[k], types[t], FROM[f], TO[d]);
}

int main(void) {
    check_convert();
    check_layouts();
    return check_report("pack");
}
