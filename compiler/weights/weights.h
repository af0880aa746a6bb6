/* Checkpoint containers: names -> dtype, shape, bytes in mapped files. Only strided views of a .pth are copied.
 * One file per container: safetensors.c, pth.c (a PyTorch zip; its pickle is not executed), gguf.c. Every header is
 * distrusted: sizes, offsets, overlaps, shapes. */
#ifndef BTC_WEIGHTS_H
#define BTC_WEIGHTS_H

#include "base/dtype.h"
#include "base/file.h"
#include "formats/format.h"

enum { RAW_MAX_RANK = 8 };

/* Facts of a tensor's numbers, found when they are read (compiler/pack/numbers.h). */
typedef struct RawNumbers {
    bool known;
    bool finite;           /* there is no NaN and no infinity */
    double least, largest; /* magnitudes, without zeros; 0: there are none but zeros */
    uint64_t hash;
} RawNumbers;

typedef struct RawTensor {
    const char *name;
    DType dt;                   /* DT_COUNT: blocks; or a type that is not read, which `type` names */
    const NumberFormat *blocks; /* the numbers lie in blocks of this format, along the last axis; or NULL */
    const char *type;
    int rank;
    int64_t dim[RAW_MAX_RANK];
    const uint8_t *data; /* row-major, contiguous, maybe unaligned; lives as long as the set */
    size_t bytes;
    const char *file; /* for messages */
    bool used;        /* set by whoever takes it; what stays unused is surplus */
    RawNumbers numbers;
} RawTensor;

typedef struct WeightSet {
    Arena *arena;
    RawTensor *tensors; /* sorted by name */
    int n, cap;
    FileMap *maps;
    int nmaps, maps_cap;
    const char *name; /* what the user gave, for messages */
} WeightSet;

/* Matrices in MXFP4 that a file has as X_blocks and X_scales are found as X, too.
 * path: a .safetensors file, a .pth/.pt/.bin PyTorch zip, a .gguf file, an .index.json, or a folder that holds
 * model.safetensors, model.safetensors.index.json, pytorch_model.bin, pytorch_model.bin.index.json, or
 * exactly one of the others. false: a message is filed; weights_close is still allowed. */
bool weights_open(Diag *d, Arena *a, const char *path, WeightSet *out);
/* Whether the set is one GGUF file: its tensors lie under names of its own, which no importer knows. */
bool weights_are_gguf(const WeightSet *w);
/* Adds the tensors of one more path to the set (a name twice is an error). Moves the tensors: pointers that
 * weights_find gave are void. */
bool weights_add(Diag *d, WeightSet *w, const char *path);
/* Adds one tensor that is in no file; its name and data live as long as the set. Moves the others likewise.
 */
bool weights_put(Diag *d, WeightSet *w, const RawTensor *t);
/* What to do with a file that is by its name a container of others; NULL: it is none that is known. */
const char *weights_foreign(const char *file);
void weights_close(WeightSet *w);
/* The n bytes at p, of tensors, are not needed soon: memory need not hold those of a mapped file. They can still be
 * read. Any thread may call it. */
void weights_release(const WeightSet *w, const void *p, size_t n);
RawTensor *weights_find(const WeightSet *w, const char *name); /* NULL: absent */
/* 64 bits over names, types, shapes and every byte (fingerprint.c). */
uint64_t weights_hash(const WeightSet *w);
int64_t raw_tensor_count(const RawTensor *t);
const char *raw_tensor_dtype(const RawTensor *t); /* "bf16", "q4_k", or the file's word for a type not read */
bool raw_tensor_readable(Diag *d, const RawTensor *t); /* false: of a type not read, filed */
/* Numbers [first, first + n) in double. The tensor is readable. */
void raw_tensor_doubles(const RawTensor *t, int64_t first, int64_t n, double *out);
/* "bf16[768,1536]" */
const char *raw_tensor_type(Arena *a, const RawTensor *t);

/* The containers, each over a mapped file. Fuzzed one by one. */
bool safetensors_read(Diag *d, WeightSet *w, const char *file, const uint8_t *data, size_t size);
bool pth_read(Diag *d, WeightSet *w, const char *file, const uint8_t *data, size_t size);
bool gguf_read(Diag *d, WeightSet *w, const char *file, const uint8_t *data, size_t size);

/* Writes a safetensors file: tensors in the given order, atomically. The data begins 64-byte aligned; between
 * tensors the format allows no padding. Two tensors of one name are an error. */
bool safetensors_write(Diag *d, Arena *a, const char *file, const RawTensor *tensors, int n);

#endif
