#include "squeeze.h"

#include <stdatomic.h>
#include <string.h>

#include "base/work.h"
#include "pack_source.h"

enum { PART = 1 << 20 }; /* numbers that a thread looks at in one go */

/* A packed matrix of a block, in all of its calls. */
typedef struct Candidate {
    const PackItem *item;
    _Atomic bool no; /* some panel does not fit */
} Candidate;

/* Some pieces of a candidate in one call. */
typedef struct Part {
    Candidate *of;
    Source *source;
    int64_t tensor, first, n; /* of a direct source; else everything */
} Part;

typedef struct Squeeze {
    Model *m;
    const LowerTarget *t;
    Part *parts;
    int n, cap;
    _Atomic bool failed;
} Squeeze;

static bool is_candidate(const PackItem *it, const LowerTarget *t) {
    bool panels = it->kind == PACK_PANELS || it->kind == PACK_PANELS_IO;
    if (!panels || it->storage.quant || it->storage.dt != DT_BF16) return false;
    Storage s = {.dt = DT_BF16, .squeezed = true};
    return pack_bytes(it->kind, it->leaf->out[0]->type, s, t) < it->bytes;
}

static void add_parts(Squeeze *s, Candidate *c, Source *source) {
    if (!source->direct) {
        Part all = {c, source, 0, 0, 0};
        ARENA_PUSH(s->m->arena, s->parts, s->n, s->cap, all);
        return;
    }
    for (int64_t k = 0; k < source->count; k++) {
        Type t = source->tensors[k].type;
        int64_t pieces = pack_pieces(c->item->kind, t, s->t), each = type_count(t) / (pieces ? pieces : 1);
        int64_t n = each && each < PART ? PART / each : 1;
        for (int64_t first = 0; first < pieces; first += n) {
            Part p = {c, source, k, first, pieces - first < n ? pieces - first : n};
            ARENA_PUSH(s->m->arena, s->parts, s->n, s->cap, p);
        }
    }
}

static bool look_at_gathered(Squeeze *s, const Part *p) {
    Arena *a = arena_new();
    Diag d = diag_new(a, NULL);
    PackSource values;
    bool ok = source_gather(&d, a, s->m, p->source, &values);
    PackKind kind = p->of->item->kind;
    if (ok && !pack_squeezes(kind, &values, s->t, 0, pack_pieces(kind, values.type, s->t))) p->of->no = true;
    arena_free(a);
    return ok;
}

static void look_at(void *user, int64_t i) {
    Squeeze *s = user;
    const Part *p = &s->parts[i];
    if (p->of->no) return;
    if (!p->source->direct) {
        if (!look_at_gathered(s, p)) s->failed = true;
        return;
    }
    const PackSource *tensor = &p->source->tensors[p->tensor];
    PackKind kind = p->of->item->kind;
    if (!pack_squeezes(kind, tensor, s->t, p->first, p->n)) p->of->no = true;
    source_release(s->m, tensor, pack_pieces(kind, tensor->type, s->t), p->first, p->n);
}

/* The leaf in both forms of the block. */
static void mark(Squeeze *s, const char *block, const Op *leaf) {
    for (Func *f = s->m->module->first; f; f = f->next) {
        if (strcmp(form_base_name(s->m->arena, f), block)) continue;
        OPS_OF (f->body, op)
            if (pack_same_leaf(op, leaf)) op_set_str(f, op, "storage", "bf12");
    }
}

/* The candidates of one block's list; every call adds what it packs there. */
typedef struct BlockList {
    const PackList *packs;
    Candidate *candidates; /* [packs->n], those that are none without an item */
} BlockList;

static BlockList *block_of(Squeeze *s, BlockList *blocks, int *n, const PackList *packs) {
    for (int i = 0; i < *n; i++)
        if (blocks[i].packs == packs) return &blocks[i];
    BlockList *b = &blocks[(*n)++];
    *b = (BlockList){packs, ARENA_ARRAY(s->m->arena, Candidate, packs->n)};
    for (int i = 0; i < packs->n; i++)
        if (is_candidate(&packs->items[i], s->t)) b->candidates[i].item = &packs->items[i];
    return b;
}

bool squeeze_weights(Diag *d, Model *m, const LowerTarget *t, const Schedule *l, int *changed) {
    Squeeze s = {.m = m, .t = t};
    BlockList *blocks = ARENA_ARRAY(m->arena, BlockList, l->ncalls);
    int nblocks = 0;
    *changed = 0;
    for (int i = 0; i < l->ncalls; i++) {
        const BlockCall *call = &l->calls[i];
        BlockList *b = block_of(&s, blocks, &nblocks, call->packs);
        for (int k = 0; k < b->packs->n; k++) {
            if (!b->candidates[k].item) continue;
            Source *source = ARENA_NEW(m->arena, Source);
            if (!source_find(d, m, b->candidates[k].item, call->prefix, t, source)) return false;
            add_parts(&s, &b->candidates[k], source);
        }
    }
    work_share(s.n, look_at, &s);
    for (int i = 0; i < s.n && s.failed; i++) { /* again, for the message */
        PackSource unused;
        if (!s.parts[i].source->direct && !source_gather(d, m->arena, m, s.parts[i].source, &unused))
            return false;
    }
    for (int i = 0; i < nblocks; i++)
        for (int k = 0; k < blocks[i].packs->n; k++) {
            Candidate *c = &blocks[i].candidates[k];
            if (!c->item || c->no) continue;
            mark(&s, blocks[i].packs->block, c->item->leaf);
            ++*changed;
        }
    return true;
}
