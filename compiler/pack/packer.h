/* Writes the packed weights of a lowered module: every call's tensors, in the order and layout that its code
 * reads them. All CPUs share the work; each holds a few megabytes at a time. */
#ifndef BTC_PACKER_H
#define BTC_PACKER_H

#include "kernels/module.h"
#include "model.h"
#include "runtime/artifact.h"

typedef struct Packer {
    Diag *diag;
    Model *model;
    const Schedule *schedule;
    const LowerTarget *target;
} Packer;

/* Writes schedule->weight_bytes bytes into *o from byte `at` on; `user` is a Packer (the signature of
 * ArtifactWeights). The bytes are the same for any number of CPUs. sum: gets their checksum,
 * then `at` must be a multiple of 8; or NULL. */
bool packer_write(void *user, OutFile *o, int64_t at, btc_checksum *sum);

#endif
