/* Inside the runtime: the functions behind the table of btc.h. They take the artefact from the model handle,
 * not from btc_artifact_data, so that tests can run several made-up artefacts in one program. */
#ifndef BTC_CORE_H
#define BTC_CORE_H

#include <stdbool.h>

#include "artifact.h"

/* open.c */
btc_status btc_open_artifact(const btc_artifact *a, btc_model *m, const char *weights_path, uint32_t flags);
void btc_close(btc_model *m);

/* cpu.c */
const char *btc_cpu_lacks(const btc_artifact *a); /* what this processor lacks to run it, in words, or NULL */

/* state.c */
const btc_artifact *btc_artifact_of(const btc_model *m);              /* NULL: not an open model */
btc_status btc_state_check(const btc_artifact *a, const void *state); /* for states in use */
bool btc_aligned(const void *p);                                      /* not NULL, and aligned to BTC_ALIGN */
int64_t btc_longest(const btc_artifact *a);                           /* the greatest position allowed */
bool btc_state_take(void *state);                                     /* false: another call is at it */
void btc_state_give_back(void *state);
btc_status btc_init(const btc_model *m, void *state);
int64_t btc_position(const btc_model *m, const void *state);
btc_status btc_save(const btc_model *m, const void *state, void *block, size_t bytes);
btc_status btc_restore(const btc_model *m, void *state, const void *block, size_t bytes);
btc_status btc_fork(const btc_model *m, void *to, const void *from);
size_t btc_state_used(const btc_model *m, const void *state);

/* work.c */
size_t btc_work_bytes(const btc_artifact *a, int32_t threads);
size_t btc_work_own(const btc_artifact *a); /* of these, the runtime's: what emitted code sees lies behind */
btc_status btc_work_init(const btc_model *m, void *work, size_t bytes);
bool btc_work_serves(const btc_artifact *a, const void *work, int32_t threads);
void *btc_work_run(void *work);      /* BTC_RUN_BYTES */
float **btc_work_probes(void *work); /* [probe_count] */
bool btc_work_take(void *work);      /* false: another call is at it; of a block without label nobody knows */
void btc_work_give_back(void *work);

/* core.c */
btc_status btc_prefill(const btc_model *m, void *state, void *work, int32_t threads, const void *input,
                       int64_t n, float *out_last);
btc_status btc_prefill_all(const btc_model *m, void *state, void *work, int32_t threads, const void *input,
                           int64_t n, float *out);
btc_status btc_prefill_probes(const btc_model *m, void *state, void *work, int32_t threads, const void *input,
                              int64_t n, float *out, float *const *probes);
btc_status btc_step_probes(const btc_model *m, void *const *states, int64_t n, void *work, int32_t threads,
                           const void *input, float *out, float *const *probes);
btc_status btc_step(const btc_model *m, void *const *states, int64_t n, void *work, int32_t threads,
                    const void *input, float *out);

/* query.c */
const char *btc_status_text(const btc_artifact *a, btc_status status);

#endif
