/* Streams the packed weights of a lowered module: every call's tensors, in the order and layout that its code
 * reads them. Only one tensor is in memory at a time. */
#ifndef BTC_PACKER_H
#define BTC_PACKER_H

#include "lower/module.h"
#include "model.h"

typedef struct Packer {
    Diag *diag;
    Model *model;
    const Lowered *lowered;
    const LowerTarget *target;
    bool progress; /* a line on stderr that moves */
} Packer;

/* Writes lowered->weight_bytes bytes; `user` is a Packer (the signature of ArtifactWeights). */
bool packer_write(void *user, OutFile *o);

#endif
