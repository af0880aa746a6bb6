/* The entries of a zip file in memory, as PyTorch writes them: stored, not deflated; zip64 where files are
 * larger than 4 GB. Reading one never copies. */
#ifndef BTC_WEIGHTS_ZIP_H
#define BTC_WEIGHTS_ZIP_H

#include "base/diag.h"

typedef struct ZipEntry {
    const char *name; /* [name_n], in the mapped file: not NUL-terminated */
    size_t name_n;
    unsigned method, flags;
    uint64_t size, packed; /* bytes unpacked, bytes in the file */
    uint64_t header;       /* where its local header is */
} ZipEntry;

typedef struct Zip {
    Diag *diag;
    Arena *arena;
    const char *file;
    const uint8_t *data;
    size_t size;
    ZipEntry *entries; /* sorted by name */
    int n, cap;
} Zip;

/* Reads the central directory into z, whose first five fields are set. */
bool zip_open(Zip *z);
const ZipEntry *zip_find(const Zip *z, const char *name); /* NULL: absent */
/* The bytes of an entry; an error if it is compressed, encrypted or outside the file. */
bool zip_bytes(const Zip *z, const ZipEntry *e, const uint8_t **data, size_t *size);

#endif
