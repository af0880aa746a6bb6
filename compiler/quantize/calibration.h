/* A calibration: the mean squares of what every matrix of a model is multiplied with, seen over a text. A
 * safetensors file with a tensor "input_squares.NAME" for each matrix NAME: [inputs], or [matrices, inputs]
 * where a tensor holds several. Scales are chosen so that the error of the product is least, not that of the
 * weights: an error of a weight counts as much as its input is large. */
#ifndef BTC_QUANTIZE_CALIBRATION_H
#define BTC_QUANTIZE_CALIBRATION_H

#include "model.h"

#define CALIBRATION_PREFIX "input_squares."

typedef struct Calibration {
    WeightSet tensors;
    const char **names; /* [n] matrices, sorted */
    float **importance; /* [n]: [matrices, inputs], positive, 1 in the mean */
    int n;
} Calibration;

/* Reads the file for a model whose storage is assigned, into m->calibration. Every quantised matrix must have
 * its tensor; others may. */
bool calibration_open(Diag *d, Model *m, const char *path);
/* How errors of the tensor `name` are weighed (Env.importance), or NULL. Any thread may ask. */
const float *calibration_importance(const Model *m, const char *name);

#endif
