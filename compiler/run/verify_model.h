/* Probes: values inside of a model that become further results of main. */
#ifndef BTC_VERIFY_MODEL_H
#define BTC_VERIFY_MODEL_H

#include "op.h"

/* A value that is visible. */
typedef struct Probe {
    int call;          /* in the order of main's text; -1: the value is one of main's */
    const char *value; /* its name in its function */
} Probe;

typedef struct ProbeList {
    Probe *items;
    int n, cap;
} ProbeList;

/* Which values to show: of call number `call`, or of main (-1). */
typedef struct ProbeFilter {
    bool (*shows)(const void *user, int call, const Value *v);
    const void *user;
} ProbeFilter;

/* Whether a value can be shown at all: it has a row for each token, and numbers of its own. */
bool probe_is_possible(const Value *v);
/* hidden.0: what the first call gets; hidden.i: what call i gives. */
void probes_add_hidden(Module *m);
/* What the filter shows and is possible, and hidden.*. *probes: what the results of main from the second on
 * are. */
void probes_add_values(Diag *d, Module *m, const ProbeFilter *filter, ProbeList *probes);
/* The value that a probe stands for in another copy of the module, or NULL. */
const Value *probe_find(const Module *m, const Probe *t);

#endif
