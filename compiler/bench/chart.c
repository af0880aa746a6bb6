/* btc bench --chart: how near each run comes to the machine's limit. With a profile, also how long each stage takes,
 * beside how long it would take at the limit. */
#include "base/units.h"
#include "measure.h"
#include "svg.h"

enum { WIDTH = 980, LEFT = 300, RIGHT = 700, ROW = 22, BAR = 14, PAD = 24 };
#define DARK_MEMORY "#0b5394"
#define DARK_ARITHMETIC "#b45f06"
#define LIGHT "#d0d7de"
#define WAITING "#8b949e"
#define GRID "#eaeef2"

static void legend(Svg *s, double *x, double y, const char *fill, const char *text, double width) {
    svg_rect(s, *x, y - 10, 12, 12, fill);
    svg_text(s, *x + 17, y, SVG_LEFT, 12, false, text);
    *x += width;
}

static void grid(Svg *s, double y, double height) {
    for (int i = 0; i <= 4; i++) {
        double x = LEFT + (RIGHT - LEFT) * i / 4.0;
        svg_line(s, x, y, x, y + height, GRID, 1);
        svg_text(s, x, y - 5, SVG_MIDDLE, 11, false,
                 (const char *const[]){"0", "25 %", "50 %", "75 %", "100 %"}[i]);
    }
}

/* ---- runs ---- */

static double run_row(Svg *s, Arena *a, const Measured *m, double y) {
    Spread bw = series_spread(&m->of_bandwidth), peak = series_spread(&m->of_peak),
           rate = series_spread(&m->rate);
    bool memory = bw.median > peak.median;
    Spread x = memory ? bw : peak;
    double scale = RIGHT - LEFT, top = y + (ROW - BAR) / 2.0, mid = y + ROW / 2.0;
    double most = x.most < 1.15 ? x.most : 1.15; /* what lies in a cache may go beyond */
    double end = x.median < 1.15 ? x.median : 1.15;
    svg_text(s, LEFT - 10, y + 15, SVG_RIGHT, 12, false,
             arena_printf(a, "%s, %d thread%s", bench_run_name(a, m), m->threads, m->threads > 1 ? "s" : ""));
    svg_rect(s, LEFT, top, scale * end, BAR, memory ? DARK_MEMORY : DARK_ARITHMETIC);
    if (x.least < 1.15) svg_line(s, LEFT + scale * x.least, mid, LEFT + scale * most, mid, "black", 1.5);
    svg_text(s, RIGHT + 70, y + 15, SVG_LEFT, 12, false,
             arena_printf(a, "%.0f %% of %s, %s tokens/s", 100 * x.median, memory ? "bandwidth" : "peak",
                          units_count(a, rate.median)));
    return y + ROW;
}

static double runs(Svg *s, Arena *a, const Bench *b, double y) {
    double x = LEFT;
    svg_text(s, PAD, y, SVG_LEFT, 13, true, "Share of the machine's limit");
    legend(s, &x, y, DARK_MEMORY, "of read bandwidth", 150);
    legend(s, &x, y, DARK_ARITHMETIC, "of the f32 FMA peak", 170);
    svg_line(s, x, y - 4, x + 14, y - 4, "black", 1.5);
    svg_text(s, x + 19, y, SVG_LEFT, 12, false, "least to most");
    y += 28;
    grid(s, y, ROW * b->nruns);
    for (int i = 0; i < b->nruns; i++) y = run_row(s, a, &b->runs[i], y);
    return y;
}

/* ---- stages ---- */

/* Seconds at the limit, and whether memory is what limits. */
static double at_limit(const ProfileStage *s, const LimitSeries *l, bool *memory) {
    double by_memory = (s->load.weights + s->load.states) / series_spread(&l->bandwidth).median,
           by_arithmetic = s->load.flops / series_spread(&l->peak).median;
    *memory = by_memory > by_arithmetic;
    return *memory ? by_memory : by_arithmetic;
}

static double stage_row(Svg *s, Arena *a, const Measured *m, const ProfileStage *e, const LimitSeries *l,
                        double y) {
    double scale = (RIGHT - LEFT) / (m->profile.stages[0].work + m->profile.stages[0].wait);
    double top = y + (ROW - BAR) / 2.0;
    bool memory;
    double least = at_limit(e, l, &memory);
    if (least > e->work) least = e->work; /* out of a cache */
    svg_text(s, LEFT - 10, y + 15, SVG_RIGHT, 12, false,
             units_clip(a, arena_printf(a, "%s.%s  %s", e->block, e->value, e->ops), 42));
    svg_rect(s, LEFT, top, scale * e->work, BAR, LIGHT);
    svg_rect(s, LEFT, top, scale * least, BAR, memory ? DARK_MEMORY : DARK_ARITHMETIC);
    svg_rect(s, LEFT + scale * e->work, top, scale * e->wait, BAR, WAITING);
    svg_text(s, RIGHT + 70, y + 15, SVG_LEFT, 12, false,
             arena_printf(a, "%s, %.1f %% of the call", units_time(a, e->work + e->wait),
                          100 * (e->work + e->wait) / m->profile.wall));
    return y + ROW;
}

static double stages(Svg *s, Arena *a, const Bench *b, const Measured *m, double y) {
    const Profile *p = &m->profile;
    double x = LEFT + PAD;
    svg_text(s, PAD, y, SVG_LEFT, 13, true,
             arena_printf(a, "%s, %d thread%s: %s", bench_run_name(a, m), m->threads,
                          m->threads > 1 ? "s" : "", units_time(a, p->wall)));
    legend(s, &x, y, DARK_MEMORY, "at the bandwidth", 145);
    legend(s, &x, y, DARK_ARITHMETIC, "at the peak", 110);
    legend(s, &x, y, LIGHT, "beyond the limit", 135);
    legend(s, &x, y, WAITING, "waiting in front of it", 160);
    y += 10;
    for (int i = 0; i < p->n; i++)
        if (p->stages[i].work + p->stages[i].wait >= 0.005 * p->wall)
            y = stage_row(s, a, m, &p->stages[i], bench_limits(b, m), y);
    return y;
}

char *bench_chart(Arena *a, const Bench *b) {
    const btc_info *info = b->subject->api->info;
    Svg s = svg_new(a, WIDTH);
    double y = 34;
    svg_text(&s, PAD, y, SVG_LEFT, 17, true,
             arena_printf(a, "%s, %s parameters", info->name, units_count(a, (double)info->parameters)));
    svg_text(&s, PAD, y += 20, SVG_LEFT, 12, false,
             arena_printf(a, "compiled for %s, measured on %s; medians of %d", info->cpu, b->machine,
                          b->o.repeat));
    y = runs(&s, a, b, y + 34);
    for (int i = 0; b->o.profile && i < b->nruns; i++) y = stages(&s, a, b, &b->runs[i], y + 40);
    return svg_finish(&s, y + PAD);
}
