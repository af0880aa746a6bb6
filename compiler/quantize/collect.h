/* Collects the inputs of the matrices of a model while the interpreter runs. */
#ifndef BTC_QUANTIZE_COLLECT_H
#define BTC_QUANTIZE_COLLECT_H

#include "matrices.h"
#include "run/tokens.h"

enum { SAMPLES = 64 };

/* Of one matrix tensor. */
typedef struct Inputs {
    double *squares;    /* [count, inputs]: sums over all vectors */
    int64_t *seen;      /* [count]: how many vectors */
    float *samples;     /* [nsamples, inputs]: some of them, each as likely as any other */
    int64_t *sample_of; /* [nsamples]: with which matrix */
    int64_t nsamples, all;
} Inputs;

typedef struct Collected {
    Model model;         /* as it is in the checkpoint, unquantised */
    uint64_t checkpoint; /* weights_hash */
    MatrixList matrices;
    Inputs *inputs; /* [matrices.n] */
    bool ids;       /* it read ids, not features */
    int64_t tokens; /* that it read */
} Collected;

typedef struct CollectOptions {
    ModelOptions model; /* its quant and calibration are not looked at */
    PassOptions passes;
    TokenSource source;
    int64_t least, most; /* tokens to read */
} CollectOptions;

/* Runs the model in double precision; a bar on the terminal meanwhile. Tokens beyond the model's longest
 * sequence begin another one. */
bool collect_inputs(Diag *d, Arena *a, const char *path, const CollectOptions *o, Collected *out);
void collected_close(Collected *c); /* also after a failure */
/* Writes what was seen as a calibration file. */
bool collected_write(Diag *d, Arena *a, const Collected *c, const char *file);

#endif
