/* The pickle of a PyTorch state dict as a tree of values. Nothing is ever executed: the few callables that
 * PyTorch needs are known by name and become plain data, every other name ends in an error. */
#ifndef BTC_WEIGHTS_PICKLE_H
#define BTC_WEIGHTS_PICKLE_H

#include "base/diag.h"
#include "base/dtype.h"

typedef enum PickleKind {
    PK_NONE,
    PK_BOOL,    /* i */
    PK_INT,     /* i */
    PK_FLOAT,   /* f */
    PK_TEXT,    /* s */
    PK_TUPLE,   /* items */
    PK_LIST,    /* items */
    PK_DICT,    /* items: key, value, key, value ... */
    PK_NAME,    /* global: a callable or a type from the allow-list */
    PK_STORAGE, /* items: "storage", type, key, place, number of elements; i: the number, s: the key */
    PK_TENSOR,  /* items: storage, offset, shape, strides, ...; global: which rebuild function */
    PK_OTHER    /* a value no tensor needs (long integers, texts with NUL) */
} PickleKind;

typedef enum PickleRole { ROLE_DICT, ROLE_TENSOR, ROLE_PARAMETER, ROLE_STORAGE, ROLE_DTYPE } PickleRole;

/* A row of the allow-list. */
typedef struct PickleGlobal {
    const char *module, *name;
    PickleRole role;
    DType
        dt; /* of a storage or dtype; DT_COUNT: one whose numbers btc does not read, or a storage of bytes */
} PickleGlobal;

typedef struct PickleValue PickleValue;
struct PickleValue {
    PickleKind kind;
    int n, cap;
    PickleValue **items;
    const PickleGlobal *global;
    const char *s;
    int64_t i;
    double f;
    int8_t mark; /* for whoever walks the tree: values may be shared, even cyclic */
};

/* Where other data stands behind a pickle: how many bytes it took, and each storage that it refers to, as often as it
 * does. */
typedef struct PickleRest {
    size_t used;
    PickleValue **storages;
    int n, cap;
} PickleRest;

/* rest: NULL where the pickle is all that there is. NULL: a message is filed. */
PickleValue *pickle_read(Diag *d, Arena *a, const char *file, const uint8_t *data, size_t size,
                         PickleRest *rest);

#endif
