/* Refuses models that need more memory than any machine has. */
#ifndef BTC_SIZES_H
#define BTC_SIZES_H

#include "compile.h"

/* Before lowering, once forms are there: no single value or state is beyond all bounds, so that sums of their
 * bytes do not overflow. */
bool sizes_check_values(Diag *d, const Model *m, const CompileOptions *o, const Compiled *c);
/* Of what was lowered: the memory of a call and of a sequence. */
bool sizes_check_blocks(Diag *d, const Model *m, const CompileOptions *o, const Compiled *c);

#endif
