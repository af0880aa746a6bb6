#include "packer.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "desc/desc.h"

/* A tensor to be packed: borrowed from the file, or computed. */
typedef struct Source {
    PackSource src;
    void *owned;
    Arena *arena;
} Source;

static void source_free(Source *s) {
    free(s->owned);
    arena_free(s->arena);
}

static bool pad_to(OutFile *o, int64_t *at, int64_t to) {
    static const char zeros[4096];
    while (*at < to) {
        int64_t n = to - *at < (int64_t)sizeof zeros ? to - *at : (int64_t)sizeof zeros;
        if (!out_write(o, zeros, (size_t)n)) return false;
        *at += n;
    }
    return true;
}

/* Several tensors of one shape as one; one element type is kept, else f32. */
static bool stack_tensors(Packer *p, const Op *leaf, const char *name, int64_t n, Source *s) {
    const RawTensor *first = weights_find(&p->model->weights, desc_weight_part(p->model->arena, name, 0));
    int64_t total = type_count(leaf->out[0]->type), each = total / n;
    bool same = true;
    for (int64_t k = 0; k < n; k++) {
        const RawTensor *t = weights_find(&p->model->weights, desc_weight_part(p->model->arena, name, k));
        if (!t)
            return diag_error(p->diag, leaf->loc, "the checkpoint has no tensor \"%s\"",
                              desc_weight_part(p->model->arena, name, k));
        same &= t->dt == first->dt;
    }
    DType dt = same ? first->dt : DT_F32;
    size_t size = dtype_size(dt);
    s->owned = xmalloc((size_t)total * size);
    for (int64_t k = 0; k < n; k++) {
        const RawTensor *t = weights_find(&p->model->weights, desc_weight_part(p->model->arena, name, k));
        if (same)
            memcpy((char *)s->owned + (size_t)(k * each) * size, t->data, (size_t)each * size);
        else
            for (int64_t i = 0; i < each; i++)
                dtype_store(dt, s->owned, k * each + i, dtype_load(t->dt, t->data, i));
    }
    s->src = (PackSource){.type = leaf->out[0]->type, .dt = dt, .data = s->owned};
    return true;
}

static bool weight_source(Packer *p, const Op *leaf, const char *prefix, Source *s) {
    const char *name = desc_weight_name(p->model->arena, prefix, attr_str(leaf, "name", ""));
    int64_t n = desc_weight_count(name);
    if (n > 1 || strchr(name, '{')) return stack_tensors(p, leaf, name, n, s);
    const RawTensor *t = weights_find(&p->model->weights, name);
    if (!t) return diag_error(p->diag, leaf->loc, "the checkpoint has no tensor \"%s\"", name);
    s->src = (PackSource){.type = leaf->out[0]->type, .dt = t->dt, .data = t->data};
    return true;
}

/* A reshape, or a slice along the first axis, of a weight is the weight's own bytes. */
static bool view_source(Packer *p, const Value *v, const char *prefix, Source *s) {
    const Op *op = v->def;
    if (op->def == OP_TABLE[OP_weight]) return weight_source(p, op, prefix, s);
    if (op->def == OP_TABLE[OP_reshape]) {
        if (!view_source(p, op->in[0], prefix, s)) return false;
    } else if (op->def == OP_TABLE[OP_slice]) {
        Type t = op->in[0]->type;
        int64_t axis = attr_int(op, "axis", -1);
        if (axis < 0) axis += t.rank;
        if (axis != 0 || !view_source(p, op->in[0], prefix, s)) return false;
        int64_t row = t.dim[0] ? type_count(t) / t.dim[0] : 0;
        s->src.data =
            (const char *)s->src.data + attr_int(op, "start", 0) * row * (int64_t)dtype_size(s->src.dt);
    } else {
        return false;
    }
    s->src.type = v->type;
    return true;
}

static bool is_view_of_weight(const Value *v) {
    const Op *op = v->def;
    if (op->def == OP_TABLE[OP_weight]) return true;
    if (op->def == OP_TABLE[OP_reshape]) return is_view_of_weight(op->in[0]);
    if (op->def != OP_TABLE[OP_slice]) return false;
    int64_t axis = attr_int(op, "axis", -1);
    if (axis < 0) axis += op->in[0]->type.rank;
    return axis == 0 && is_view_of_weight(op->in[0]);
}

static bool derived_source(Packer *p, const Op *leaf, const char *prefix, Source *s) {
    Func *f = ir_func_find(p->model->module, attr_str(leaf, "func", ""));
    const Value *v = f->results[attr_int(leaf, "index", 0)];
    if (is_view_of_weight(v)) return view_source(p, v, prefix, s);
    Env env = model_env(p->model);
    Tensor t;
    s->arena = arena_new();
    if (!interp_constant(p->diag, s->arena, &env, f, v, prefix, &t)) return false;
    s->src = (PackSource){.type = v->type, .dt = DT_F64, .data = t.data};
    return true;
}

static bool write_item(Packer *p, OutFile *o, const PackItem *it, const char *prefix) {
    Source s = {0};
    bool derived = it->leaf->def == OP_TABLE[OP_derived];
    bool ok = derived ? derived_source(p, it->leaf, prefix, &s) : weight_source(p, it->leaf, prefix, &s);
    if (ok) {
        void *out = xmalloc((size_t)it->bytes);
        pack_write(it->kind, &s.src, it->storage, p->target, 0, pack_pieces(it->kind, s.src.type, p->target),
                   out);
        ok = out_write(o, out, (size_t)it->bytes);
        free(out);
    }
    source_free(&s);
    return ok;
}

bool packer_write(void *user, OutFile *o) {
    Packer *p = user;
    int64_t at = 0;
    bool show = p->progress && isatty(2);
    for (int i = 0; i < p->lowered->ninstances; i++) {
        const Instance *inst = &p->lowered->instances[i];
        for (int k = 0; k < inst->packs->n; k++) {
            const PackItem *it = &inst->packs->items[k];
            if (!pad_to(o, &at, inst->weights + it->offset)) return false;
            if (!write_item(p, o, it, inst->prefix)) return false;
            at += it->bytes;
        }
        if (show) fprintf(stderr, "\rpacking weights %3d %%", 100 * (i + 1) / p->lowered->ninstances);
    }
    if (show) fprintf(stderr, "\r                   \r");
    return pad_to(o, &at, p->lowered->weight_bytes);
}
