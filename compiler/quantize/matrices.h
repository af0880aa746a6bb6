/* The matrices of a model: every tensor of the checkpoint that is a factor of a product or a table of rows. */
#ifndef BTC_QUANTIZE_MATRICES_H
#define BTC_QUANTIZE_MATRICES_H

#include "formats/format.h"
#include "model.h"

typedef struct Matrix {
    const Op *weight;
    const char *prefix; /* of the call */
    int64_t part;       /* of a stack of tensors, else 0 */
    const char *name;   /* of the tensor */
    const char *kind;   /* the same with a star for the layer and for the part */
    Type type;          /* of the tensor: [.., outputs, inputs], or [.., inputs, outputs] where `across` */
    bool across;
    bool product; /* else it is a table only */
    const NumberFormat *format;
    int64_t count, inputs, outputs; /* count: how many matrices the tensor holds */
} Matrix;

typedef struct MatrixList {
    Matrix *items; /* in the order of execution; one of a name */
    int n, cap;
} MatrixList;

/* Of a model whose storage is assigned and that no pass has split yet. */
MatrixList matrices_of_model(const Model *m);
const Matrix *matrix_find(const MatrixList *l, const char *name);
/* The number of element `i` of the inputs of output `o` of matrix `k` in its tensor. */
int64_t matrix_element(const Matrix *m, int64_t k, int64_t o, int64_t i);

#endif
