/* Builds checkpoints, also broken ones, byte by byte: safetensors, zips, and the pickles inside. */
#ifndef BTC_TESTS_WEIGHTS_BUILD_H
#define BTC_TESTS_WEIGHTS_BUILD_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Buf {
    uint8_t p[1 << 16];
    size_t n;
} Buf;

static inline void put(Buf *b, const void *data, size_t n) {
    if (n > sizeof b->p - b->n) abort();
    if (n) memcpy(b->p + b->n, data, n);
    b->n += n;
}

static inline void put_le(Buf *b, uint64_t v, int bytes) {
    for (int i = 0; i < bytes; i++) {
        uint8_t byte = (uint8_t)(i < 8 ? v >> (8 * i) : 0);
        put(b, &byte, 1);
    }
}

static inline void put_text(Buf *b, const char *s) {
    put(b, s, strlen(s));
}

/* A safetensors file of this header and as many bytes of data, 0 1 2 ... */
static inline void build_safetensors(Buf *b, const char *json, size_t data) {
    b->n = 0;
    put_le(b, strlen(json), 8);
    put_text(b, json);
    for (size_t i = 0; i < data; i++) put_le(b, i, 1);
}

/* ---- zip ---- */

typedef struct ZipBuilder {
    Buf out, dir;
    unsigned entries, method, flags;
    bool zip64;      /* sizes and places in 64-bit fields, as for files beyond 4 GB */
    uint64_t lie;    /* added to the sizes of the entries that follow */
    uint64_t lie_at; /* added to where the directory says that their headers are */
} ZipBuilder;

static inline void zip_add(ZipBuilder *z, const char *name, const void *data, size_t n) {
    uint64_t at = z->out.n + z->lie_at, size = n + z->lie;
    put_text(&z->out, "PK\3\4");
    put_le(&z->out, 0, 22);
    put_le(&z->out, strlen(name), 2);
    put_le(&z->out, 3, 2); /* local extra fields differ from the directory's */
    put_text(&z->out, name);
    put_le(&z->out, 0, 3);
    put(&z->out, data, n);
    put_text(&z->dir, "PK\1\2");
    put_le(&z->dir, 0, 4);
    put_le(&z->dir, z->flags, 2);
    put_le(&z->dir, z->method, 2);
    put_le(&z->dir, 0, 8);
    put_le(&z->dir, z->zip64 ? UINT32_MAX : size, 4);
    put_le(&z->dir, z->zip64 ? UINT32_MAX : size, 4);
    put_le(&z->dir, strlen(name), 2);
    put_le(&z->dir, z->zip64 ? 28 : 0, 2);
    put_le(&z->dir, 0, 10);
    put_le(&z->dir, z->zip64 ? UINT32_MAX : at, 4);
    put_text(&z->dir, name);
    if (z->zip64) {
        put_le(&z->dir, 1, 2), put_le(&z->dir, 24, 2);
        put_le(&z->dir, size, 8), put_le(&z->dir, size, 8), put_le(&z->dir, at, 8);
    }
    z->entries++;
}

static inline void zip_end(ZipBuilder *z) {
    uint64_t at = z->out.n;
    put(&z->out, z->dir.p, z->dir.n);
    if (z->zip64) {
        uint64_t end = z->out.n;
        put_text(&z->out, "PK\6\6");
        put_le(&z->out, 44, 8), put_le(&z->out, 0, 12);
        put_le(&z->out, z->entries, 8), put_le(&z->out, z->entries, 8);
        put_le(&z->out, z->dir.n, 8), put_le(&z->out, at, 8);
        put_text(&z->out, "PK\6\7");
        put_le(&z->out, 0, 4), put_le(&z->out, end, 8), put_le(&z->out, 1, 4);
    }
    put_text(&z->out, "PK\5\6");
    put_le(&z->out, 0, 4);
    put_le(&z->out, z->zip64 ? UINT16_MAX : z->entries, 2),
        put_le(&z->out, z->zip64 ? UINT16_MAX : z->entries, 2);
    put_le(&z->out, z->zip64 ? UINT32_MAX : z->dir.n, 4), put_le(&z->out, z->zip64 ? UINT32_MAX : at, 4);
    put_le(&z->out, 0, 2);
}

/* ---- pickle: opcodes of protocol 2 ---- */

static inline void pk_text(Buf *b, const char *s) {
    put_text(b, "X");
    put_le(b, strlen(s), 4);
    put_text(b, s);
}

static inline void pk_int(Buf *b, int64_t v) {
    put(b, "\x8a\x08", 2);
    put_le(b, (uint64_t)v, 8);
}

static inline void pk_ints(Buf *b, const int64_t *v, int n) {
    put_text(b, "(");
    for (int i = 0; i < n; i++) pk_int(b, v[i]);
    put_text(b, "t");
}

static inline void pk_storage(Buf *b, const char *type, const char *key, int64_t elements) {
    put_text(b, "(");
    pk_text(b, "storage");
    put_text(b, "c"), put_text(b, type), put_text(b, "\n");
    pk_text(b, key), pk_text(b, "cpu"), pk_int(b, elements);
    put_text(b, "tQ");
}

/* type: "torch\nFloatStorage" */
static inline void pk_tensor(Buf *b, const char *type, const char *key, int64_t elements, int64_t offset,
                             int rank, const int64_t *dim, const int64_t *stride) {
    put_text(b, "ctorch._utils\n_rebuild_tensor_v2\n(");
    pk_storage(b, type, key, elements);
    pk_int(b, offset), pk_ints(b, dim, rank), pk_ints(b, stride, rank);
    put_text(b, "\x89"
                "ccollections\nOrderedDict\n)RtR");
}

#endif
