/* The contents of a model as 64 bits: a hash of all bytes of its checkpoint (numbers.c hashes them while it reads the
 * magnitudes), of its description as IR, and of how its numbers are rounded. */
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
        sum = hash_text(sum, raw_tensor_dtype(t));
        sum = hash_bytes(sum, t->dim, sizeof *t->dim * (size_t)t->rank);
        sum = hash_bytes(sum, &t->numbers.hash, sizeof t->numbers.hash);
    }
    return sum;
}

/* Weights of one size may still be of another kind. */
static uint64_t hash_storage(uint64_t sum, const Model *m) {
    for (const Func *f = m->module->first; f; f = f->next)
        OPS_OF (f->body, op)
            if (op->def == OP_TABLE[OP_weight]) sum = hash_text(sum, attr_format(op, "storage")->name);
    return sum;
}

/* How the numbers are rounded. */
static uint64_t hash_calibration(uint64_t sum, const Model *m) {
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
    return hash_calibration(hash_storage(sum, m), m);
}

uint64_t model_shape(const Model *m) {
    return hash_storage(hash_bytes(HASH_START, &m->described, sizeof m->described), m);
}
