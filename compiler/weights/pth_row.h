/* What torch.save wrote before PyTorch 1.6, and writes on request: pickles in a row (a number that marks the file, a
 * version, facts of the machine, the state dict, the keys of its storages), then the storages in the order of the keys:
 * how many elements, and their bytes. */
#ifndef BTC_WEIGHTS_PTH_ROW_H
#define BTC_WEIGHTS_PTH_ROW_H

#include "pickle.h"

typedef struct RowStorage {
    const char *key;
    const uint8_t *data;
    size_t size;
} RowStorage;

typedef struct PthRow {
    PickleValue *top; /* the state dict */
    RowStorage *storages;
    int n, cap;
} PthRow;

/* Whether the bytes begin like a pickle. */
bool pth_is_row(const uint8_t *data, size_t size);
bool pth_row_open(Diag *d, Arena *a, const char *file, const uint8_t *data, size_t size, PthRow *out);
bool pth_row_find(const PthRow *row, const char *key, const uint8_t **data, size_t *size);

#endif
