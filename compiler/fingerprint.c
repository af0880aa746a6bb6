/* What a model holds, as 64 bits: over every byte of its checkpoint, by the hashes that numbers.c makes while it
 * looks at the numbers; over its description as IR; over how its numbers are rounded. */
#include <string.h>

#include "base/hash.h"
#include "model.h"
#include "numbers.h"
#include "quantize/calibration.h"

uint64_t weights_hash(const WeightSet *w) {
    numbers_read(w, true);
    uint64_t sum = HASH_START;
    for (int i = 0; i < w->n; i++) {
        const RawTensor *t = &w->tensors[i];
        sum = hash_text(sum, t->name);
        sum = hash_text(sum, dtype_name(t->dt));
        sum = hash_bytes(sum, t->dim, sizeof *t->dim * (size_t)t->rank);
        sum = hash_bytes(sum, &t->numbers.hash, sizeof t->numbers.hash);
    }
    return sum;
}
include "model.h"
#include "numbers.h"
#include "quantize/calibration.h"

<<<<<<< HEAD
enum { PIECE = 4 << 20 };

typedef struct Part {
    const RawTensor *tensor;
    size_t at;
    uint64_t hash;
} Part;

typedef struct Hashing {
    const WeightSet *weights;
    Part *parts;
    int n, cap;
} Hashing;

static void hash_part(void *user, int64_t i) {
    const Hashing *h = user;
    Part *p = &h->parts[i];
    size_t left = p->tensor->bytes - p->at, n = left < PIECE ? left : PIECE;
    p->hash = hash_bytes(p->at, p->tensor->data + p->at, n);
    weights_release(h->weights, p->tensor->data + p->at, n);
}

uint64_t weights_hash(const WeightSet *w) {
    Arena *a = arena_new();
    Hashing h = {.weights = w};
    for (int i = 0; i < w->n; i++)
        for (size_t at = 0; at < w->tensors[i].bytes; at += PIECE) {
            Part p = {&w->tensors[i], at, 0};
            ARENA_PUSH(a, h.parts, h.n, h.cap, p);
        }
    work_share(h.n, hash_part, &h);
    uint64_t sum = HASH_START;
    for (int i = 0; i < w->n; i++) {
        const RawTensor *t = &w->tensors[i];
        sum = hash_text(sum, t->name);
        sum = hash_text(sum, dtype_name(t->dt));
        sum = hash_bytes(sum, t->dim, sizeof *t->dim * (size_t)t->rank);
    }
    for (int i = 0; i < h.n; i++) sum = hash_bytes(sum, &h.parts[i].hash, sizeof h.parts[i].hash);
    arena_free(a);
    return sum;
=======
/* How the numbers lie and are rounded: weights of one size may still be of another kind. */
static uint64_t mix_storage(uint64_t sum, const Model *m) {
    for (const Func *f = m->module->first; f; f = f->next)
        OPS_OF (f->body, op) {
            const char *storage = op->def == OP_TABLE[OP_weight] ? attr_str(op, "storage", "") : "";
            sum = hash_mix(sum, storage, strlen(storage));
        }
    const WeightSet *c = m->calibration ? &m->calibration->tensors : NULL;
    for (int i = 0; c && i < c->n; i++) sum = hash_mix(sum, c->tensors[i].data, c->tensors[i].bytes);
    return sum;
}

uint64_t model_fingerprint(const Model *m, const char *layout) {
    numbers_read(m, true);
    uint64_t sum = hash_mix(0x62746331u, m->description, m->description_size);
    for (int i = 0; i < m->weights.n; i++) {
        const RawTensor *t = &m->weights.tensors[i];
        sum = hash_mix(sum, t->name, strlen(t->name));
        sum = hash_mix(sum, dtype_name(t->dt), strlen(dtype_name(t->dt)));
        sum = hash_mix(sum, t->dim, sizeof *t->dim * (size_t)t->rank);
        sum = hash_mix(sum, &t->numbers.hash, sizeof t->numbers.hash);
    }
    sum = mix_storage(sum, m);
    return hash_mix(sum, layout, strlen(layout));
>>>>>>> ab6e3c2 (Every weight that a model uses is looked at once: what is not finite is refused, what a format cannot hold keeps its type)
}

/* How the numbers are rounded: weights of one size may still be of another kind. */
static uint64_t hash_storage(uint64_t sum, const Model *m) {
    for (const Func *f = m->module->first; f; f = f->next)
        OPS_OF (f->body, op)
            if (op->def == OP_TABLE[OP_weight]) sum = hash_text(sum, attr_str(op, "storage", ""));
    const WeightSet *c = m->calibration ? &m->calibration->tensors : NULL;
    for (int i = 0; c && i < c->n; i++) {
        sum = hash_text(sum, c->tensors[i].name);
        sum = hash_bytes(sum, c->tensors[i].data, c->tensors[i].bytes);
    }
    return sum;
}

uint64_t model_contents(const Model *m) {
    uint64_t sum = weights_hash(&m->weights);
    sum = hash_bytes(sum, &m->described, sizeof m->described);
    return hash_storage(sum, m);
}
