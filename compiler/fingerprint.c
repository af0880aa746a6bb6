/* The fingerprint of a model, over every byte of its checkpoint: in pieces that CPUs share, put together in
 * order; over how its numbers are stored, and how states lie. */
#include <string.h>

#include "base/work.h"
#include "model.h"
#include "quantize/calibration.h"

enum { PIECE = 4 << 20 };

typedef struct Part {
    const RawTensor *tensor;
    size_t at;
    uint64_t hash;
} Part;

typedef struct Hashing {
    const Model *m;
    Part *parts;
    int n, cap;
} Hashing;

static uint64_t mix(uint64_t h, const void *data, size_t n) {
    const unsigned char *p = data;
    uint64_t x;
    for (; n >= 8; n -= 8, p += 8) {
        memcpy(&x, p, 8);
        h = (h ^ x) * 0x9e3779b97f4a7c15u;
        h ^= h >> 29;
    }
    for (; n; n--, p++) h = (h ^ *p) * 0x100000001b3u;
    return h;
}

static void hash_part(void *user, int64_t i) {
    const Hashing *h = user;
    Part *p = &h->parts[i];
    size_t left = p->tensor->bytes - p->at, n = left < PIECE ? left : PIECE;
    p->hash = mix(p->at, p->tensor->data + p->at, n);
    weights_release(&h->m->weights, p->tensor->data + p->at, n);
}

/* How the numbers lie and are rounded: weights of one size may still be of another kind. */
static uint64_t mix_storage(uint64_t sum, const Model *m) {
    for (const Func *f = m->module->first; f; f = f->next)
        OPS_OF (f->body, op) {
            const char *storage = op->def == OP_TABLE[OP_weight] ? attr_str(op, "storage", "") : "";
            sum = mix(sum, storage, strlen(storage));
        }
    const WeightSet *c = m->calibration ? &m->calibration->tensors : NULL;
    for (int i = 0; c && i < c->n; i++) sum = mix(sum, c->tensors[i].data, c->tensors[i].bytes);
    return sum;
}

uint64_t model_fingerprint(const Model *m, const char *layout) {
    Arena *a = arena_new();
    Hashing h = {.m = m};
    for (int i = 0; i < m->weights.n; i++)
        for (size_t at = 0; at < m->weights.tensors[i].bytes; at += PIECE) {
            Part p = {&m->weights.tensors[i], at, 0};
            ARENA_PUSH(a, h.parts, h.n, h.cap, p);
        }
    work_share(h.n, hash_part, &h);
    uint64_t sum = mix(0x62746331u, m->description, m->description_size);
    for (int i = 0; i < m->weights.n; i++) {
        const RawTensor *t = &m->weights.tensors[i];
        sum = mix(sum, t->name, strlen(t->name));
        sum = mix(sum, t->dim, sizeof *t->dim * (size_t)t->rank);
    }
    sum = mix_storage(sum, m);
    sum = mix(sum, layout, strlen(layout));
    for (int i = 0; i < h.n; i++) sum = mix(sum, &h.parts[i].hash, sizeof h.parts[i].hash);
    arena_free(a);
    return sum;
}
