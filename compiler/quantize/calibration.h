/* A calibration: for every matrix of a model, the mean squares of its inputs over a text. It is a safetensors file with
 * a tensor "input_squares.NAME" for each matrix NAME: [inputs], or [matrices, inputs] where a tensor holds several,
 * and one number "source", the weights_hash of the checkpoint. With it, scales minimise the error of the product
 * instead of that of the weights: an error of a weight counts as much as its input is large. */
#ifndef BTC_QUANTIZE_CALIBRATION_H
#define BTC_QUANTIZE_CALIBRATION_H

#include "model.h"

#define CALIBRATION_PREFIX "input_squares."
#define CALIBRATION_SOURCE "source"

typedef struct Calibration {
    WeightSet tensors;
    const char **names; /* [n] matrices, sorted */
    float **importance; /* [n]: [matrices, inputs], positive, 1 in the mean */
    int n;
} Calibration;

/* Reads the file for a model whose storage is assigned, and before any pass, into m->calibration. Every
 * quantised matrix must have its tensor; others may. One of another checkpoint is refused. */
bool calibration_open(Diag *d, Model *m, const char *path);
/* How errors of the tensor `name` are weighed (Env.importance), or NULL. Any thread may ask. */
const float *calibration_importance(const Model *m, const char *name);

#endif
