/* How each weight is stored in the artefact: the attribute `storage` of every weight op. Floats keep the type
 * of the checkpoint, or --dtype; matrices may be quantised, by rules of the description ("quant") and by
 * --quant for all others. */
#ifndef BTC_STORAGE_H
#define BTC_STORAGE_H

#include "model.h"

/* What --quant and --dtype may be, for messages: "q8, q6 or q4". */
bool storage_check_options(Diag *d, const ModelOptions *o);
bool storage_assign(Diag *d, Model *m, const ModelOptions *o);
/* The operand of a product or a look-up that holds its matrix, or NULL. */
const Value *storage_matrix(const Op *op);

#endif
