/* Models that read whole sequences: see whole_reader in op.h. */
#include "op.h"

const Op *whole_reader(const Module *m) {
    for (const Func *f = m->first; f; f = f->next)
        OPS_OF (f->body, op)
            if (op->def->flags & OPF_WHOLE) return op;
    return NULL;
}
