/* See verify.h; sessions (session.h) do the work. */
#include "verify.h"

#include <math.h>
#include <string.h>

#include "session.h"

bool verify_run(Diag *d, Arena *a, const char *path, const VerifyOptions *o, const RawTensor *input,
                TensorList *out) {
    Session s;
    VerifyOptions grown = *o; /* a step takes the whole batch */
    int64_t batch = input->rank ? input->dim[0] : 0;
    if (batch > (o->compile.max_batch ? o->compile.max_batch : DEFAULT_BATCH) && batch <= INT32_MAX)
        grown.compile.max_batch = (int)batch;
    bool ok = session_open(&s, d, a, path, &grown, PROBES_HIDDEN) &&
              session_run(&s, o->form, o->threads, input, out);
    session_close(&s);
    return ok;
}

bool verify_greedy(Diag *d, Arena *a, const char *path, const VerifyOptions *o, const RawTensor *prompt,
                   int64_t n, int64_t *ids) {
    Session s;
    bool ok = session_open(&s, d, a, path, o, PROBES_NONE) &&
              session_greedy(&s, o->form, o->threads, prompt, n, ids);
    session_close(&s);
    return ok;
}
