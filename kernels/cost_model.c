/* See cost_model.h. A kernel's cost is counted in its loop IR, so it is that of the code that there is. */
#include "cost_model.h"

#include <math.h>
#include <stdio.h>

/* ---- kernels ---- */

typedef const char *WriteKernel(Lower *l, const KernelSpec *s);

static const char *write_product(Lower *l, const KernelSpec *s) {
    return kernel_of(l, *s);
}

static const char *write_dequantize(Lower *l, const KernelSpec *s) {
    return kernel_dequantize(l, s->w, s->math);
}

static bool cost_of(const LowerTarget *t, const KernelSpec *s, CostsFrom from, WriteKernel *write,
                    KernelCost *out) {
    Arena *a = arena_new();
    Module *m = ir_module_new(a, "kernels");
    Lower l = {.arena = a, .t = t, .form = FORM_CHUNK};
    l.b = lb_new(ir_func_new(m, "caller", LEVEL_LOOP), t->lanes);
    *out = (KernelCost){0};
    snprintf(out->name, sizeof out->name, "%s", write(&l, s));
    bool ok = loop_cost(ir_func_find(m, out->name), t->costs, from, t->vregs, &out->turn);
    arena_free(a);
    out->numbers = (double)(out->turn.step * panel_group(s->w) * s->panels * t->panel);
    out->multiply_adds = out->numbers * s->rows / t->lanes;
    return ok;
}

bool kernel_cost(const LowerTarget *t, KernelSpec s, CostsFrom from, KernelCost *out) {
    return cost_of(t, &s, from, write_product, out);
}

bool kernel_dequantize_cost(const LowerTarget *t, const NumberFormat *w, const Arithmetic *math,
                            CostsFrom from, KernelCost *out) {
    KernelSpec s = {w, math, .rows = 1, .panels = 1};
    bool ok = cost_of(t, &s, from, write_dequantize, out);
    out->multiply_adds = 0;
    return ok;
}

KernelSpec kernel_of_step(const LowerTarget *t, const NumberFormat *w, const Arithmetic *math) {
    return (KernelSpec){w, math, .rows = 1, .panels = t->tuning.streams, .streams = true};
}

KernelSpec kernel_of_chunk(const LowerTarget *t, const NumberFormat *w, const Arithmetic *math) {
    Lower l = {.t = t, .form = FORM_CHUNK};
    bool exact_blocks = w->block && !arithmetic_rounds(math);
    if (format_is_compressed(w) || exact_blocks || (w->block && w->fold)) w = kernel_dequantized(w, math);
    return kernel_tile(&l, w, math);
}

/* ---- parameters ---- */

typedef struct TileChoice {
    int rows, columns;
    double cycles, issue; /* for a multiply-add */
} TileChoice;

/* Of tiles that are as fast within a twentieth, the one of the fewest instructions: tiles of four vectors were up to 7 %
 * faster where sums are short (Zen 5, Ice Lake). */
static bool is_better(const TileChoice *x, const TileChoice *y) {
    const double ALIKE = 1.05;
    bool alike = x->cycles < y->cycles * ALIKE && y->cycles < x->cycles * ALIKE;
    return alike ? x->issue < y->issue : x->cycles < y->cycles;
}

/* Columns come in whole panels. A vector more than there are registers does no harm: LLVM orders loads otherwise, or
 * one is stored and loaded (Zen 4, f32: 6 rows by 4 are faster than 5 by 4 and 8 by 2, which fit). */
static TileChoice choose_tile(const LowerTarget *t, const NumberFormat *w, const Arithmetic *math) {
    enum { MOST_ROWS = 6, MOST_ROWS_SMALL = 2, MOST_COLUMNS = 4, MORE = 1 };
    LowerTarget with = *t;
    with.vregs += MORE;
    int panel = t->panel / t->lanes, most = panel > MOST_COLUMNS ? panel : MOST_COLUMNS;
    TileChoice best = {.rows = 1, .columns = panel, .cycles = INFINITY};
    for (int c = panel; c <= most; c *= 2)
        for (int r = 1; r <= (t->small ? MOST_ROWS_SMALL : MOST_ROWS) && r * c <= t->vregs; r++) {
            KernelCost k;
            KernelSpec s = {w, math, .rows = r, .panels = c / panel};
            if (!kernel_cost(&with, s, COSTS_CORRECTED, &k) || k.turn.spilled) continue;
            TileChoice x = {r, c, k.turn.cycles / k.multiply_adds, k.turn.issue / k.multiply_adds};
            if (is_better(&x, &best)) best = x;
        }
    return best;
}

/* One row: each panel is a run of its own for the hardware's prefetcher, which follows long runs well by itself.
 * Prefetching in software makes kernels slower that wait for memory anyway, the more the fewer bits a weight has. Those
 * that compute longer hide the wait by it. Each run has a sum, a vector of weights, and what decodes it. */
static int choose_streams(const LowerTarget *t) {
    int panel = t->panel / t->lanes, n = t->costs->streams;
    while (n > 1 && 2 * n * panel > t->vregs - 4) n--;
    return n;
}

/* ---- what gains ---- */

bool cost_model_can(const LowerTarget *t, const Arithmetic *math) {
    return !arithmetic_rounds(math) || (arithmetic_in_bytes(math) ? t->byte_dots : t->bf16_dots);
}

/* Cycles of a number of weights in a step: until they are read, or computed with. */
static double step_cycles(const LowerTarget *t, const NumberFormat *w, const Arithmetic *math) {
    KernelCost c;
    if (!kernel_cost(t, kernel_of_step(t, w, math), COSTS_CORRECTED, &c)) return INFINITY;
    double read = format_bits(w) / 8 / t->bytes_per_cycle, computed = c.turn.cycles / c.numbers;
    return read > computed ? read : computed;
}

static double chunk_cycles(const LowerTarget *t, const NumberFormat *w, const Arithmetic *math) {
    KernelCost c;
    KernelSpec s = kernel_of_chunk(t, w, math);
    return kernel_cost(t, s, COSTS_CORRECTED, &c) ? c.turn.cycles / c.multiply_adds : INFINITY;
}

/* Rounding inputs must make a chunk faster, and no step slower. */
static const Arithmetic *choose_arithmetic(const LowerTarget *t, const NumberFormat *w,
                                           const Arithmetic *math) {
    bool gains = cost_model_can(t, math) && chunk_cycles(t, w, math) < chunk_cycles(t, w, &arithmetic_f32) &&
                 step_cycles(t, w, math) <= step_cycles(t, w, &arithmetic_f32);
    return gains ? math : &arithmetic_f32;
}

static double gain_of_compressing(const LowerTarget *t, const Arithmetic *math) {
    if (!t->byte_tables) return 0;
    if (t->costs->compressed_gain > 0) return t->costs->compressed_gain;
    return step_cycles(t, &format_bf16, math) / step_cycles(t, &format_bf16_12, math);
}

void cost_model_choose(LowerTarget *machine) {
    enum { SCAN_TOKENS = 16 }; /* a sub-chunk has a vector of tokens at least */
    LowerTarget t = *machine;
    Tuning *u = &t.tuning;
    *u = (Tuning){
        .chunk = 256,
        .tile_unroll = 2,
        .streams = choose_streams(&t),
        .stream_bytes = 128, /* lines come in pairs */
        .prefetch_bytes = 0,
        .busy_prefetch_bytes = 8192,
        .inner_rows = 4,
        .inner_columns = t.vregs < 32 ? 2 : 4,
        .scan_tokens = t.lanes > SCAN_TOKENS ? t.lanes : SCAN_TOKENS,
    };
    /* bf16 weights: plain and compressed ones; integers: each sum has an i32 of the block beside it, and weights are
     * decoded and scaled */
    TileChoice tile = choose_tile(&t, &format_bf16, &arithmetic_f32),
               ints = choose_tile(&t, &format_q4_0, &arithmetic_int8);
    if (cost_model_can(&t, &arithmetic_bf16)) {
        TileChoice pairs = choose_tile(&t, &format_bf16, &arithmetic_bf16);
        if (pairs.cycles < tile.cycles) tile = pairs;
    }
    if (ints.cycles == INFINITY) ints.rows = (tile.rows + 1) / 2, ints.columns = tile.columns;
    u->tile_rows = tile.rows, u->tile_columns = tile.columns;
    u->dot_rows = ints.rows, u->dot_columns = ints.columns;
    const Arithmetic *bf16 = choose_arithmetic(&t, &format_bf16, &arithmetic_bf16);
    machine->defaults = (Defaults){*u, bf16, choose_arithmetic(&t, &format_q8, &arithmetic_int8),
                                   gain_of_compressing(&t, bf16)};
}
