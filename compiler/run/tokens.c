/* See tokens.h. */
#include "tokens.h"

#include <math.h>
#include <string.h>

const char *tokens_name(const TokenSource *s, bool ids) {
    return s->text ? s->text : s->input ? s->input : ids ? "random ids" : "random features";
}

static double next_random(uint64_t *s) {
    *s = *s * 6364136223846793005u + 1442695040888963407u;
    return (double)(*s >> 11) / 9007199254740992.0;
}

static int64_t vocab_of(const Module *m) {
    const Attr *t = attr_find(m->attrs, "vocab");
    return t ? t->i : 0;
}

static void make_room(Arena *a, Tokens *t) {
    t->data = arena_alloc(a, (size_t)(t->n * t->width * 4));
}

static bool random_rows(Arena *a, const Module *m, Tokens *t) {
    uint64_t seed = 1;
    make_room(a, t);
    int32_t *ids = t->data;
    float *features = t->data;
    for (int64_t i = 0; i < t->n * t->width; i++)
        if (t->ids)
            ids[i] = (int32_t)(next_random(&seed) * (double)vocab_of(m));
        else
            features[i] = (float)(2 * next_random(&seed) - 1);
    return true;
}

static bool enough(Diag *d, const char *file, const char *what, int64_t have, int64_t least) {
    return have >= least || diag_error(d, (Loc){.file = file},
                                       "holds %lld %s, %lld are needed; give a longer one or fewer --tokens",
                                       (long long)have, what, (long long)least);
}

static bool text_rows(Diag *d, Arena *a, const Module *m, const char *file, int64_t least, Tokens *t) {
    const Attr *bytes = attr_find(m->attrs, "text");
    if (!bytes || !bytes->s || strcmp(bytes->s, "bytes"))
        return diag_error(
            d, (Loc){.file = file},
            "the tokens of this model are no bytes of text; give ids by --input, or leave --text out "
            "for random ones");
    size_t size;
    const char *text = file_read_text(d, a, file, &size);
    if (!text || !enough(d, file, "bytes", (int64_t)size, least)) return false;
    if ((int64_t)size < t->n) t->n = (int64_t)size;
    make_room(a, t);
    for (int64_t i = 0; i < t->n; i++) ((int32_t *)t->data)[i] = (unsigned char)text[i];
    return true;
}

static bool id_fits(Diag *d, const Module *m, const RawTensor *from, int64_t i) {
    double id = dtype_load(from->dt, from->data, i);
    if (id >= 0 && id < (double)vocab_of(m) && id != floor(id))
        return diag_error(d, (Loc){.file = from->file, .path = from->name},
                          "id %g of token %lld is not a whole number", id, (long long)i);
    if (id >= 0 && id < (double)vocab_of(m)) return true;
    return diag_error(d, (Loc){.file = from->file, .path = from->name},
                      "id %.0f of token %lld is not below the vocabulary's size %lld", id, (long long)i,
                      (long long)vocab_of(m));
}

static bool file_rows(Diag *d, Arena *a, const Module *m, const WeightSet *w, int64_t least, Tokens *t) {
    const char *name = t->ids ? "input_ids" : "input";
    const RawTensor *from = weights_find(w, name);
    if (!from) return diag_error(d, (Loc){.file = w->name}, "has no tensor \"%s\"", name);
    int rank = t->ids ? 2 : 3;
    if (!raw_tensor_readable(d, from)) return false;
    if (from->rank != rank || from->dim[0] < 1 || (!t->ids && from->dim[2] != t->width))
        return diag_error(d, (Loc){.file = w->name, .path = name}, "must be [batch, tokens%s], is %s",
                          t->ids ? "" : arena_printf(a, ", %lld", (long long)t->width),
                          raw_tensor_type(a, from));
    if (!enough(d, w->name, "tokens", from->dim[1], least)) return false;
    if (from->dim[1] < t->n) t->n = from->dim[1];
    make_room(a, t);
    for (int64_t i = t->n; t->ids && i < least; i++) /* a later, longer read must not meet a bad one */
        if (!id_fits(d, m, from, i)) return false;
    for (int64_t i = 0; i < t->n * t->width; i++) {
        if (t->ids && !id_fits(d, m, from, i)) return false;
        double x = dtype_load(from->dt, from->data, i);
        if (t->ids)
            ((int32_t *)t->data)[i] = (int32_t)x;
        else
            ((float *)t->data)[i] = (float)x;
    }
    return true;
}

bool tokens_read(Diag *d, Arena *a, const Module *m, const TokenSource *s, int64_t least, int64_t most,
                 Tokens *out) {
    Type p = ir_func_find(m, "main")->params[0]->type;
    *out = (Tokens){.ids = p.dt == DT_I32, .n = most};
    out->width = out->ids ? 1 : type_count(p);
    if (s->text && s->input) return diag_usage(d, (Loc){0}, "--text and --input: one of them");
    if (s->text) return text_rows(d, a, m, s->text, least, out);
    if (!s->input) return random_rows(a, m, out);
    WeightSet w;
    bool ok = weights_open(d, a, s->input, &w) && file_rows(d, a, m, &w, least, out);
    weights_close(&w);
    return ok;
}
