/* Embedding table and head of a language model, where a flag says that they are one tensor. The flag does not
 * decide alone: what the file holds does, as in transformers (modeling_utils.py, tie_weights). */
#include <string.h>

#include "import/import.h"

enum { STRETCH = 1 << 20 }; /* elements compared at once: their memory is given back at once, too */

static bool same_elements(const RawTensor *a, const RawTensor *b, int64_t from, int64_t n) {
    size_t unit = dtype_size(a->dt);
    const uint8_t *x = a->data + (size_t)from * unit;
    if (a->dt == b->dt) return memcmp(x, b->data + (size_t)from * unit, (size_t)n * unit) == 0;
    for (int64_t i = from; i < from + n; i++)
        if (dtype_load(a->dt, a->data, i) != dtype_load(b->dt, b->data, i)) return false;
    return true;
}

/* The same numbers in the same shape; the types may differ. */
static bool same_tensor(const WeightSet *w, const RawTensor *a, const RawTensor *b) {
    if (a->rank != b->rank || memcmp(a->dim, b->dim, sizeof *a->dim * (size_t)a->rank)) return false;
    if (!a->bytes && !b->bytes) return true;
    if (a->blocks || b->blocks) return a->blocks == b->blocks && !memcmp(a->data, b->data, a->bytes);
    bool same = a->dt != DT_COUNT && b->dt != DT_COUNT;
    int64_t count = raw_tensor_count(a);
    for (int64_t i = 0; same && i < count; i += STRETCH) {
        int64_t n = count - i < STRETCH ? count - i : STRETCH;
        same = same_elements(a, b, i, n);
        weights_release(w, a->data + (size_t)i * dtype_size(a->dt), (size_t)n * dtype_size(a->dt));
        weights_release(w, b->data + (size_t)i * dtype_size(b->dt), (size_t)n * dtype_size(b->dt));
    }
    return same;
}

Tied tied_tables(ImportCtx *x, cJSON *m, bool tied, const char *flag, const char *embedding,
                 const char *head) {
    const RawTensor *e = weights_find(x->w, embedding), *h = weights_find(x->w, head);
    if (!tied || (!e && !h)) return (Tied){embedding, tied ? embedding : head};
    if (!e) return (Tied){head, head};
    if (!h) return (Tied){embedding, embedding};
    if (same_tensor(x->w, e, h)) {
        model_ignore(m, head);
        return (Tied){embedding, embedding};
    }
    const char *says = !flag                    ? "a model of this kind has one tensor for both"
                       : cfg_has(&x->cfg, flag) ? arena_printf(x->a, "%s is true", flag)
                                                : arena_printf(x->a, "%s is true by default", flag);
    diag_warning(x->d, (Loc){.file = h->file, .path = head},
                 "%s, but this tensor differs from %s: it is used as it is", says, embedding);
    return (Tied){embedding, head};
}

void tied_copies(ImportCtx *x, const char *kept, const char *copy) {
    for (int i = 0; i < x->w->n; i++) {
        const RawTensor *t = &x->w->tensors[i];
        if (strncmp(t->name, copy, strlen(copy)) != 0) continue;
        const char *name = arena_printf(x->a, "%s%s", kept, t->name + strlen(copy));
        const RawTensor *first = weights_find(x->w, name);
        if (!first || !same_tensor(x->w, first, t))
            diag_error(x->d, (Loc){.file = t->file, .path = t->name},
                       "%s %s, with which it is one in this model", first ? "differs from" : "there is no",
                       name);
        model_ignore(x->model, t->name);
    }
}

int64_t table_rows(ImportCtx *x, const char *embedding, const char *head) {
    int64_t rows = tensor_dim(x, has_tensor(x, head) && !has_tensor(x, embedding) ? head : embedding, 0);
    int64_t vocab = cfg_size(&x->cfg, "vocab_size", rows);
    cfg_skip(&x->cfg, "pad_vocab_size_multiple");
    if (vocab > rows && !import_failed(x))
        cfg_error(&x->cfg, "vocab_size", "is %lld, but %s has %lld rows only", (long long)vocab, embedding,
                  (long long)rows);
    return rows;
}
