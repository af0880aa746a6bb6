/* Identity: 64 bits that go with side files and states, and are compared when an artefact opens them. They stand for
 * everything that decides how the bytes are read; bytes of another identity are refused.
 *
 *     weights   the model's contents (model_contents), the layout in which they are packed (plan/pack.h), and
 *               BTC_WEIGHTS_VERSION; stored in side files
 *     states    the same, the layout of the slots of a state, and BTC_STATE_VERSION; stored in states and in
 *               info.fingerprint
 *
 * The versions (runtime/artifact.h, runtime/btc_call.h) stand for code: how formats/ packs a layout, how ops lay
 * out their slots. A change of that code raises the version; tests/laws/test_identity.c records the bytes of both. */
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
