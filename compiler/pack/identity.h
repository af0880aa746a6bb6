/* Identity: all that decides how bytes are read which an artefact takes from elsewhere, as 64 bits that go
 * with those bytes and are compared when they are opened. What is not equal is refused.
 *
 *     weights   what the model holds (model_contents), in which layout it is packed (plan/pack.h), and
 *               BTC_WEIGHTS_VERSION: stands in side files
 *     states    the same, how the slots of a state lie, and BTC_STATE_VERSION: info.fingerprint, stands in
 *               states
 *
 * The versions (runtime/artifact.h, runtime/btc_call.h) stand for what the texts below cannot say: how
 * formats/ packs a layout of some name, and how ops lay out their slots. Who changes that raises the
 * version; tests/laws/test_identity.c has the bytes of both on record. */
#ifndef BTC_IDENTITY_H
#define BTC_IDENTITY_H

#include "compile.h"

typedef struct Identity {
    uint64_t weights, states;
} Identity;

/* Reads the whole checkpoint. */
Identity identity_of(const Model *m, const Compiled *c);

/* The parts that lowering decides: the same text, the same layout. */
void identity_weights_layout(Text *t, const Module *m, const Schedule *l);
void identity_states_layout(Text *t, const Compiled *c);

#endif
