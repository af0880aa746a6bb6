/* The subject of a benchmark: a model that is compiled for this machine, or a library compiled before. */
#ifndef BTC_BENCH_SUBJECT_H
#define BTC_BENCH_SUBJECT_H

#include "report/report.h"
#include "run/session.h"

typedef struct Subject {
    Diag *d;
    Arena *a;
    const char *path;
    bool compiled_here;
    Session session;          /* when compiled here */
    const Compiled *compiled; /* NULL: a library, of which no plan is known */
    void *library;
    const btc_api *api;
    const btc_model *model;
    btc_model handle; /* of a library */
} Subject;

/* path: what btc compiles, or a .so that it made; tokens: of the longest sequence that will be run, which is
 * checked before anything is compiled. Errors name the file. */
bool subject_open(Subject *s, Diag *d, Arena *a, const char *path, const CompileOptions *compile,
                  const ModelOptions *model, int64_t tokens);
/* Whether the model's context (0: none) has room for so many tokens. */
bool subject_takes(const Subject *s, int64_t context, int64_t tokens);
void subject_close(Subject *s); /* also after a failed open */

#endif
