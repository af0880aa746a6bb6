/* A model in the compiler: a description, a checkpoint folder or a weights file, read into an IR module, with its
 * checkpoint opened and checked against it. */
#ifndef BTC_MODEL_H
#define BTC_MODEL_H

#include "passes/pass.h"
#include "weights/weights.h"

typedef struct ModelOptions {
    const char *arch;        /* --arch, or NULL */
    const char *describe;    /* --describe: a description bound to the checkpoint's configuration, or NULL */
    const char *dtype;       /* --dtype: storage of matrices, or NULL: as in the checkpoint */
    const char *quant;       /* --quant: of matrices, or NULL: as the description says */
    const char *calibration; /* --calibration: a file of `btc quantize`, or NULL */
    int64_t context;         /* --context, or 0 */
    bool allow_nonfinite;    /* --allow-nonfinite: weights that are NaN or infinite are taken as they are */
    bool unread;             /* the description is all that is wanted: no numbers are looked at */
    const char *weights_as;  /* btc import: how the description names the checkpoint; NULL: by its path */
} ModelOptions;

typedef struct Model {
    Arena *arena;
    const char *path;
    char *description; /* JSON text */
    size_t description_size;
    const char *description_name; /* for messages */
    Module *module;
    uint64_t described; /* hash of the functions as they were read: what the model computes */
    uint64_t shape;     /* and of how its weights are to be stored: what its speed depends on */
    WeightSet weights;
    bool weights_open;
    bool lowered;                    /* compiling has begun to change the module: it is done once */
    bool allow_nonfinite;            /* of ModelOptions: also for what is computed from weights */
    struct Calibration *calibration; /* how scales weigh errors, or NULL: all alike */
} Model;

bool model_open(Diag *d, Arena *a, const char *path, const ModelOptions *o, Model *out);
void model_close(Model *m);

/* The checkpoint's tensors by full name, for the interpreter and the packer; `user` is the Model. */
Env model_env(Model *m);
/* The same for passes, which may add computed ones. */
PassWeights model_pass_weights(Model *m);
/* The longest sequence that the model can read; 0: any. */
int64_t model_longest(const Model *m);
/* 64 bits that change with any byte of the checkpoint, with what the model computes and with how its numbers
 * are stored and rounded; not with where it lies or what it is called. */
uint64_t model_contents(const Model *m);
/* What becomes Model.shape. */
uint64_t model_shape(const Model *m);

#endif
