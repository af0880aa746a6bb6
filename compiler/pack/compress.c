#include "compress.h"

#include <stdatomic.h>
#include <string.h>

#include "base/work.h"
#include "kernels/module.h"
#include "pack_source.h"

enum { PART = 1 << 20 }; /* numbers that a thread looks at in one go */

/* A packed matrix of a block, in all of its calls. */
typedef struct Candidate {
    PackItem item;
    int parts;       /* that are looked at */
    _Atomic bool no; /* some panel does not fit */
} Candidate;

/* Some slices of a candidate in one call. */
typedef struct Part {
    Candidate *of;
    Source *source;
    int64_t part, first, n; /* of a direct source; else everything */
} Part;

typedef struct Compress {
    Model *m;
    const LowerTarget *t;
    Part *parts;
    int n, cap;
    _Atomic bool failed;
} Compress;

static void add_parts(Compress *s, Candidate *c, Source *source) {
    c->parts++;
    if (!source->direct) {
        Part all = {c, source, 0, 0, 0};
        ARENA_PUSH(s->m->arena, s->parts, s->n, s->cap, all);
        return;
    }
    int64_t slices = pack_slices(c->item.kind, source->part, s->t);
    int64_t each = type_count(source->part) / (slices ? slices : 1),
            n = each && each < PART ? PART / each : 1;
    for (int64_t k = 0; k < source->parts; k++)
        for (int64_t first = 0; first < slices; first += n) {
            Part p = {c, source, k, first, slices - first < n ? slices - first : n};
            ARENA_PUSH(s->m->arena, s->parts, s->n, s->cap, p);
        }
}

static bool look_at_gathered(Compress *s, const Part *p) {
    Arena *a = arena_new();
    Diag d = diag_new(a, NULL);
    PackSource values;
    bool ok = source_gather(&d, a, s->m, p->source, &values);
    PackKind kind = p->of->item.kind;
    if (ok && !pack_fits(kind, &values, &format_bf16_12, s->t, 0, pack_slices(kind, values.type, s->t)))
        p->of->no = true;
    arena_free(a);
    return ok;
}

static void look_at(void *user, int64_t i) {
    Compress *s = user;
    const Part *p = &s->parts[i];
    if (p->of->no) return;
    if (!p->source->direct) {
        if (!look_at_gathered(s, p)) s->failed = true;
        return;
    }
    Arena *a = arena_new();
    int64_t at;
    PackSource t = source_slices(p->source, s->t, a, p->part, p->first, p->n, &at);
    if (!pack_fits(p->of->item.kind, &t, &format_bf16_12, s->t, at, p->n)) p->of->no = true;
    source_release(s->m, p->source, s->t, p->part, p->first, p->n);
    arena_free(a);
}

/* The leaf in all forms of its block. */
static void mark(Compress *s, const Func *f, const Op *leaf) {
    const char *block = form_base_name(s->m->arena, f);
    for (Func *g = s->m->module->first; g; g = g->next) {
        if (strcmp(form_base_name(s->m->arena, g), block)) continue;
        OPS_OF (g->body, op)
            if (pack_same_leaf(op, leaf)) op_set_format(g, op, "storage", &format_bf16_12);
    }
}

/* ---- candidates ---- */

typedef struct CandidateList {
    Candidate **items;
    const Func **funcs; /* whose they are */
    int n, cap, funcs_cap;
} CandidateList;

/* What product `op` packs in panels of bf16, if these could take fewer bytes; it may be there already. */
static void add_candidate(Compress *s, const Func *f, const Op *op, CandidateList *to) {
    Arena *a = s->m->arena;
    const Value *matrix = NULL;
    for (int i = 1; i < op->nin && !matrix; i++)
        if (op->in[i] && !op->in[i]->type.seq && op->in[i]->type.rank >= 2) matrix = op->in[i];
    while (matrix && matrix->def && matrix->def->def == OP_TABLE[OP_reshape]) matrix = matrix->def->in[0];
    if (!matrix || !matrix->def || pack_format(matrix->def, s->t) != &format_bf16) return;
    PackItem it = {.leaf = matrix->def, .kind = op->def->inputs_first ? PACK_PANELS_IO : PACK_PANELS};
    it.format = &format_bf16, it.bytes = pack_bytes(it.kind, matrix->type, it.format, s->t);
    if (pack_bytes(it.kind, matrix->type, &format_bf16_12, s->t) >= it.bytes) return;
    for (int i = 0; i < to->n; i++)
        if (to->funcs[i] == f && pack_same_leaf(to->items[i]->item.leaf, it.leaf)) return;
    Candidate *c = ARENA_NEW(a, Candidate);
    c->item = it;
    ARENA_PUSH(a, to->items, to->n, to->cap, c);
    to->n--;
    ARENA_PUSH(a, to->funcs, to->n, to->funcs_cap, f);
}

/* All calls of f in main, and main's own. */
static bool add_calls(Diag *d, Compress *s, const Func *main_func, const Func *f, Candidate *c) {
    OPS_OF (main_func->body, call) {
        bool calls = call->def->pattern == PAT_CALL && !strcmp(attr_str(call, "func", ""), f->name);
        if (f != main_func && !calls) continue;
        Source *source = ARENA_NEW(s->m->arena, Source);
        const char *prefix = f == main_func ? "" : attr_str(call, "prefix", "");
        if (!source_find(d, s->m, &c->item, prefix, s->t, source)) return false;
        add_parts(s, c, source);
        if (f == main_func) return true;
    }
    return true;
}

/* Of one form of each block, as all of them read the same weights. */
static bool find_candidates(Diag *d, Compress *s, CandidateList *to) {
    const Func *main_func = NULL;
    for (const Func *f = s->m->module->first; f && !main_func; f = f->next)
        if (!strcmp(form_base_name(s->m->arena, f), "main")) main_func = f;
    for (const Func *f = s->m->module->first; f; f = f->next) {
        int first = to->n;
        OPS_OF (f->body, op)
            if (op->def->pattern == PAT_CONTRACT && op->out[0]->type.seq) add_candidate(s, f, op, to);
        for (int i = first; i < to->n; i++)
            if (!add_calls(d, s, main_func, f, to->items[i])) return false;
    }
    return true;
}

bool compress_weights(Diag *d, Model *m, const LowerTarget *t) {
    Compress s = {.m = m, .t = t};
    CandidateList all = {0};
    if (!find_candidates(d, &s, &all)) return false;
    work_share(s.n, look_at, &s);
    for (int i = 0; i < s.n && s.failed; i++) { /* again, for the message */
        PackSource unused;
        if (!s.parts[i].source->direct && !source_gather(d, m->arena, m, s.parts[i].source, &unused))
            return false;
    }
    for (int i = 0; i < all.n; i++)
        if (all.items[i]->parts && !all.items[i]->no) mark(&s, all.funcs[i], all.items[i]->item.leaf);
    return true;
}
