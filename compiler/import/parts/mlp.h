/* MLPs: gated (act(gate x) * up x) or plain (act(up x)), then a product down. */
#ifndef BTC_IMPORT_MLP_H
#define BTC_IMPORT_MLP_H

#include "import/import.h"

typedef struct Mlp {
    int64_t width;                /* within */
    const char *dim;              /* its name in the description; NULL: F */
    const char *module;           /* NULL: the projections stand in the block itself */
    const char *gate, *up, *down; /* NULL: gate_proj, up_proj, down_proj */
    const char *gate_up;          /* one projection for both, gate's rows first, or NULL */
    bool up_first;                /* there: gate's rows last */
    const char *low_rank; /* a module of two products, .0 and .1, whose result gate_up gets added; or NULL */
    int64_t rank;         /* between them; dim AR */
    const char *act;
    bool ungated;                 /* no gate */
    bool bias;                    /* of all projections */
    bool transposed;              /* matrices are stored [in, out] */
    double gate_scale, out_scale; /* factors on the gate (before act) and on what comes out; 0: none */
} Mlp;

/* out = mlp(in), from D to D. */
void st_mlp(ImportCtx *x, cJSON *ops, const char *out, const char *in, const Mlp *t);

#endif
