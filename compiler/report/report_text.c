/* btc report for people: 100 columns. */
#include <string.h>

#include "base/units.h"
#include "report.h"

enum { WIDTH = 100 };

/* "why" behind a row, broken at blanks. */
static void add_note(Text *t, const char *text) {
    enum { AT = 6 };
    int col = AT;
    text_add(t, "%*s", AT, "");
    for (const char *p = text; *p;) {
        int n = (int)strcspn(p, " ");
        if (col > AT && col + 1 + n > WIDTH) {
            text_add(t, "\n%*s", AT, "");
            col = AT;
        }
        text_add(t, "%s%.*s", col > AT ? " " : "", n, p);
        col += n + (col > AT);
        p += n;
        p += strspn(p, " ");
    }
    text_add(t, "\n");
}

/* ---- blocks ---- */

enum { NAME = 11, OPS = 30 };

static void add_figures(Text *t, Arena *a, const Work *step, const Work *chunk, int rows) {
    text_add(t, "%8s%10s", units_count(a, step->flops), units_bytes(a, work_bytes(step)));
    text_add(t, "%9s%10s", units_count(a, chunk->flops / rows), units_bytes(a, work_bytes(chunk) / rows));
}

/* "layers 0-1, 3-4: recurrent (4 layers)" */
static void add_heading(Text *t, const Report *r, int block) {
    const ReportBlock *b = &r->blocks[block];
    if (block == 0) {
        text_add(t, "\nbefore and after the layers: %s\n", b->name);
        return;
    }
    int64_t n = 0, seen = 0;
    for (int i = 0; i < r->nruns; i++)
        if (r->runs[i].block == block) n += r->runs[i].last - r->runs[i].first + 1;
    size_t line = t->n + 1;
    text_add(t, n > 1 ? "\nlayers" : "\nlayer");
    for (int i = 0; i < r->nruns; i++) {
        const ReportRun *run = &r->runs[i];
        if (run->block != block) continue;
        if (t->n - line > WIDTH - 20) text_add(t, ",\n      "), line = t->n - 6, seen = 0;
        text_add(t, "%s %lld", seen++ ? "," : "", (long long)run->first);
        if (run->last > run->first) text_add(t, "-%lld", (long long)run->last);
    }
    text_add(t, ": %s", b->name);
    text_add(t, n > 1 ? " (%lld layers; figures are those of one)\n" : "\n", (long long)n);
}

static void add_block(Text *t, Arena *a, const Report *r, int block) {
    const ReportBlock *b = &r->blocks[block];
    add_heading(t, r, block);
    text_add(t, "  %s parameters, %s weights, ", units_count(a, b->parameters),
             units_bytes(a, (double)b->weight_bytes));
    text_add(t, "%s state, barriers: %d in a step, %d in a chunk\n", units_bytes(a, (double)b->state_bytes),
             b->barriers_step, b->barriers_chunk);
    text_add(t, "%*s%18s%19s\n", NAME + OPS + 2, "", "in a step", "in prefill");
    text_add(t, "  %-*s%-*s%8s%10s%9s%10s  form\n", NAME, "value", OPS, "ops", "flops", "bytes", "flops",
             "bytes");
    for (int i = 0; i < b->nops; i++) {
        const ReportOp *op = &b->ops[i];
        text_add(t, "  %-*s%-*s", NAME, units_clip(a, op->value, NAME - 1), OPS,
                 units_clip(a, op->ops, OPS - 1));
        add_figures(t, a, &op->step, &op->chunk, r->chunk_tokens);
        text_add(t, "%s%s\n", op->form ? "  " : "", op->form ? op->form : "");
        if (op->why) add_note(t, op->why);
    }
    text_add(t, "  %-*s", NAME + OPS, block ? "one layer" : "sum");
    add_figures(t, a, &b->step, &b->chunk, r->chunk_tokens);
    text_add(t, "\n");
}

/* ---- totals ---- */

static void add_memory(Text *t, Arena *a, const Report *r) {
    double work = (double)r->work_shared + (double)r->work_thread * r->machine.threads;
    text_add(t, "\nmemory, one sequence, %d thread%s\n", r->machine.threads,
             r->machine.threads > 1 ? "s" : "");
    text_add(t, "  %-18s%10s\n", "weights", units_bytes(a, (double)r->weight_bytes));
    text_add(t, "  %-18s%10s   for each sequence, in %s\n", "state", units_bytes(a, (double)r->state_bytes),
             r->state_type);
    text_add(t, "  %-18s%10s   %s shared", "work block", units_bytes(a, work),
             units_bytes(a, (double)r->work_shared));
    text_add(t, " + %s for each thread\n", units_bytes(a, (double)r->work_thread));
    text_add(t, "  %-18s%10s\n", "all",
             units_bytes(a, (double)r->weight_bytes + (double)r->state_bytes + work));
}

static void add_line(Text *t, const char *name, const char *step, const char *prefill) {
    text_add(t, "  %-18s%10s%16s\n", name, step, prefill);
}

static void add_work(Text *t, Arena *a, const Report *r) {
    const Work *s = &r->step, *c = &r->chunk;
    double n = r->chunk_tokens;
    text_add(t, "\nwork for a token             step         prefill\n");
    add_line(t, "flops", units_count(a, s->flops), units_count(a, c->flops / n));
    add_line(t, "bytes of weights", units_bytes(a, s->weights), units_bytes(a, c->weights / n));
    add_line(t, "bytes of states", units_bytes(a, s->states), units_bytes(a, c->states / n));
    add_line(t, "bytes of values", units_bytes(a, s->values), units_bytes(a, c->values / n));
    add_line(t, "barriers", arena_printf(a, "%lld", (long long)r->barriers_step),
             arena_printf(a, "%lld a chunk", (long long)r->barriers_chunk));
}

static void add_roofline(Text *t, Arena *a, const Report *r) {
    const ReportMachine *m = &r->machine;
    const Roofline *both[] = {&r->roof_step, &r->roof_prefill};
    text_add(t, "\nat most, with %d thread%s: memory %.4g GB/s%s, arithmetic %.4g GFLOP/s%s\n", m->threads,
             m->threads > 1 ? "s" : "", m->bandwidth / 1e9, m->assumed_bandwidth ? " (assumed)" : "",
             m->peak / 1e9, m->assumed_peak ? " (assumed)" : "");
    for (int i = r->whole; i < 2; i++)
        text_add(t, "  %-18s%10s tokens/s, limited by %s\n", i ? "prefill" : "step",
                 units_count(a, both[i]->tokens_per_second),
                 both[i]->by_memory < both[i]->by_arithmetic ? "memory" : "arithmetic");
    text_add(t, "  Every byte is taken to come from memory; a model that fits into a cache may be faster.\n");
}

static void add_tuning(Text *t, const Report *r) {
    Tuning used = r->tuning, model = r->cost_model;
    text_add(t, "\nsizes of tiles and blocks (btc list tuning tells what they are), from %s\n",
             r->tuning_from ? r->tuning_from : "the cost model");
    for (int i = 0; i < TUNING_COUNT; i++) {
        int v = *tuning_at(&used, i), guess = *tuning_at(&model, i);
        text_add(t, "  %-18s%10d", TUNING_FIELDS[i].name, v);
        text_add(t, v != guess ? "   cost model: %d\n" : "\n", guess);
    }
}

char *report_text(Arena *a, const Report *r) {
    Text t = text_new(a);
    text_add(&t, "%s: %lld layer%s, %s parameters\n", r->name, (long long)r->layers,
             r->layers == 1 ? "" : "s", units_count(a, r->parameters));
    text_add(&t, "for %s, %s: vectors of %d, chunks of %d tokens\n", r->target, r->cpu, r->lanes,
             r->chunk_tokens);
    if (r->whole)
        text_add(
            &t, "It reads whole sequences and has no step. In prefill: for each token of the longest one.\n");
    else
        text_add(&t, "In a step: for its token. In prefill: for each token of a full chunk.\n");
    if (r->last_row_only) text_add(&t, "What follows the layers runs for the last token of a chunk only.\n");
    for (int i = 1; i < r->nblocks; i++) add_block(&t, a, r, i);
    add_block(&t, a, r, 0);
    add_memory(&t, a, r);
    add_work(&t, a, r);
    add_tuning(&t, r);
    add_roofline(&t, a, r);
    return t.s;
}
