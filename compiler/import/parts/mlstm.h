/* Part: the mLSTM cell, Beck et al. 2024, arXiv:2405.04517: a matrix state per head and a normaliser, the sum of
 * the keys, here as one more row of the matrix. The input gate is exponential; a running maximum keeps it in
 * range. */
#ifndef BTC_IMPORT_MLSTM_H
#define BTC_IMPORT_MLSTM_H

#include "import/import.h"

/* y [heads, width] from q, k [heads, ..], v [heads, width], and the gates "i" and "f" [heads] before their exponential and
 * sigmoid. heads, width: dims. eps: added to the divisor. */
void st_mlstm(cJSON *ops, const char *heads, const char *width, double eps);

#endif
