/* Packing: every layout against its one-line definition, element by element, from every type into every type,
 * and in slices cut anywhere; dtype_convert against the single elements. */
#include <math.h>
#include <stdlib.h>

#include "check.h"
#include "plan/pack.h"

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

/* All slices, cut into runs of `run`, the last run first. */
static void pack_in_runs(PackKind kind, const PackSource *s, const NumberFormat *f, const LowerTarget *t,
                         int64_t run, char *out) {
    int64_t n = pack_slices(kind, s->type, t), each = n ? pack_bytes(kind, s->type, f, t) / n : 0;
    for (int64_t at = (n - 1) / run * run; at >= 0; at -= run)
        pack_write(kind, s, f, t, at, n - at < run ? n - at : run, out + at * each);
}

static void check_layout(PackKind kind, Type type, DType from, DType to) {
    static char in[MOST * 8], out[MOST * 8], again[MOST * 8];
    LowerTarget t = {.panel = PANEL, .lanes = LANES};
    PackSource s = {type, {.dt = from, .data = in + 2}}; /* tensors in files need not be aligned */
    const NumberFormat *stored = format_of_dtype(to);
    int group = kind == PACK_PANELS || kind == PACK_PANELS_IO ? panel_group(stored) : 1;
    int64_t n = type_count(type), bytes = pack_bytes(kind, type, stored, &t),
            count = bytes / (int64_t)dtype_size(to);
    int64_t rows = type.rank > 1 ? type.dim[type.rank - 2] : 1,
            cols = type.rank ? type.dim[type.rank - 1] : 1;
    for (int64_t i = 0; i < n; i++) dtype_store(from, in + 2, i, number());
    pack_write(kind, &s, stored, &t, 0, pack_slices(kind, type, &t), out);
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

/* ---- compressed panels ---- */

/* Numbers of like size; one in `rare` is anything: 0, denormal, infinite, no number at all. */
static double mostly_alike(int rare) {
    static const double odd[] = {0.0,       -0.0,     0x1p-130,  -0x1.8p-20, 0x1p-3,
                                 0x1.4p100, INFINITY, -INFINITY, NAN};
    double v = number();
    if (seed % (uint64_t)rare == 0) return odd[seed / (uint64_t)rare % (sizeof odd / sizeof *odd)];
    while (fabs(v) < 0x1p-6 || fabs(v) > 1) v = number();
    return v;
}

/* What formats/compressed.h says that input i of output c of the panel is. */
static float read_compressed(const uint8_t *panel, int64_t k, int64_t c, int64_t i) {
    const uint8_t *group = panel + 4 * PANEL + i / 8 * 12 * PANEL;
    const uint8_t *list = panel + 4 * PANEL + (k + 7) / 8 * 12 * PANEL;
    int64_t j = i % 8, at = c / 4 * 16 + j % 4 / 2 * 8 + c % 4 * 2 + j % 2;
    int code = group[8 * PANEL + at] >> (j < 4 ? 0 : 4) & 15, count;
    uint16_t bits = (uint16_t)(panel[code] << 8 | group[j / 4 * 4 * PANEL + at]);
    float x = (float)dtype_load(DT_BF16, &bits, 0);
    memcpy(&count, list, 4);
    for (int e = 0; e < count; e++) {
        int32_t where;
        float add;
        memcpy(&where, list + 8 + 8 * e, 4);
        memcpy(&add, list + 12 + 8 * e, 4);
        if (where == i * PANEL + c) x += add;
    }
    return x;
}

static void check_compressed(PackKind kind, Type type, DType from, int rare) {
    static char in[MOST * 8], out[MOST * 8], again[MOST * 8];
    LowerTarget t = {.panel = PANEL, .lanes = LANES};
    PackSource s = {type, {.dt = from, .data = in + 2}};
    const NumberFormat *stored = &format_bf16_12;
    int64_t n = type_count(type), slices = pack_slices(kind, type, &t),
            bytes = pack_bytes(kind, type, stored, &t);
    int64_t rows = type.dim[type.rank - 2], cols = type.dim[type.rank - 1], wrong = 0;
    int64_t outputs = kind == PACK_PANELS ? rows : cols, k = kind == PACK_PANELS ? cols : rows;
    int64_t each = (outputs + PANEL - 1) / PANEL;
    for (int64_t i = 0; i < n; i++) dtype_store(from, in + 2, i, mostly_alike(rare));
    if (!CHECK(pack_fits(kind, &s, stored, &t, 0, slices))) return;
    pack_write(kind, &s, stored, &t, 0, slices, out);
    for (int64_t i = 0; i < n; i++) {
        int64_t matrix = i / (rows * cols), r = i / cols % rows, q = i % cols;
        int64_t c = kind == PACK_PANELS ? r : q, input = kind == PACK_PANELS ? q : r;
        const char *panel = out + (matrix * each + c / PANEL) * (bytes / slices);
        uint16_t want, got;
        dtype_store(DT_BF16, &want, 0, dtype_load(from, in + 2, i));
        dtype_store(DT_BF16, &got, 0, (double)read_compressed((const uint8_t *)panel, k, c % PANEL, input));
        double x = dtype_load(DT_BF16, &want, 0);
        bool same = x != x ? dtype_load(DT_BF16, &got, 0) != x : got == want;
        wrong += !(same || (x == 0 && dtype_load(DT_BF16, &got, 0) == 0)); /* -0 is as good as 0 */
    }
    CHECK(wrong == 0);
    pack_in_runs(kind, &s, stored, &t, 2, again);
    CHECK(!memcmp(out, again, (size_t)bytes));
}

static void check_compression(void) {
    static const Type types[] = {
        {.dt = DT_F32, .rank = 2, .dim = {1, 1}},
        {.dt = DT_F32, .rank = 2, .dim = {48, 130}},
        {.dt = DT_F32, .rank = 2, .dim = {37, 1000}},
        {.dt = DT_F32, .rank = 3, .dim = {3, 17, 70}},
    };
    for (size_t t = 0; t < sizeof types / sizeof *types; t++)
        for (int f = 0; f < NFROM; f++)
            for (int kind = 0; kind < 2; kind++)
                check_compressed(kind ? PACK_PANELS_IO : PACK_PANELS, types[t], FROM[f], 700);
    /* numbers of all sizes */
    static char in[4096 * 2];
    LowerTarget t = {.panel = PANEL, .lanes = LANES};
    PackSource s = {{.dt = DT_F32, .rank = 2, .dim = {64, 64}}, {.dt = DT_BF16, .data = in}};
    for (int64_t i = 0; i < 4096; i++) dtype_store(DT_BF16, in, i, ldexp(1, (int)(i % 200) - 100));
    CHECK(!pack_fits(PACK_PANELS, &s, &format_bf16_12, &t, 0, 4));
    memset(in, 0, sizeof in);
    CHECK(pack_fits(PACK_PANELS, &s, &format_bf16_12, &t, 0, 4));
}

int main(void) {
    check_convert();
    check_compression();
    check_layouts();
    return check_report("pack");
}
