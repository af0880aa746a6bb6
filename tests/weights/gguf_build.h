/* Builds GGUF files, also broken ones. */
#ifndef BTC_TESTS_WEIGHTS_GGUF_BUILD_H
#define BTC_TESTS_WEIGHTS_GGUF_BUILD_H

#include "build.h"

typedef struct GgufBuilder {
    Buf metadata, list, data;
    unsigned tensors, values;
    unsigned version;   /* 0: 3 */
    unsigned alignment; /* 0: 32, without saying so */
} GgufBuilder;

static inline void gguf_text(Buf *b, const char *s) {
    put_le(b, strlen(s), 8);
    put_text(b, s);
}

/* A key whose value the caller writes behind. */
static inline Buf *gguf_key(GgufBuilder *g, const char *key, unsigned type) {
    gguf_text(&g->metadata, key);
    put_le(&g->metadata, type, 4);
    g->values++;
    return &g->metadata;
}

static inline void gguf_pad(Buf *b, size_t to) {
    while (b->n % to) put_le(b, 0, 1);
}

/* dims: the fastest one last, as a row-major shape. */
static inline void gguf_tensor(GgufBuilder *g, const char *name, unsigned type, int rank, const int64_t *dims,
                               const void *data, size_t bytes) {
    gguf_pad(&g->data, g->alignment ? g->alignment : 32);
    gguf_text(&g->list, name);
    put_le(&g->list, (unsigned)rank, 4);
    for (int i = rank - 1; i >= 0; i--) put_le(&g->list, (uint64_t)dims[i], 8);
    put_le(&g->list, type, 4);
    put_le(&g->list, g->data.n, 8);
    put(&g->data, data, bytes);
    g->tensors++;
}

static inline void gguf_end(const GgufBuilder *g, Buf *out) {
    out->n = 0;
    put_text(out, "GGUF");
    put_le(out, g->version ? g->version : 3, 4);
    put_le(out, g->tensors, 8);
    put_le(out, g->values, 8);
    put(out, g->metadata.p, g->metadata.n);
    put(out, g->list.p, g->list.n);
    gguf_pad(out, g->alignment ? g->alignment : 32);
    put(out, g->data.p, g->data.n);
}

#endif
