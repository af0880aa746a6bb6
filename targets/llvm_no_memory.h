/* What happens when LLVM gets no memory. */
#ifndef BTC_LLVM_NO_MEMORY_H
#define BTC_LLVM_NO_MEMORY_H

#include <stdbool.h>

/* From now on the process ends as it does where the compiler gets none. May be called again. */
void llvm_no_memory_ends(void);

#endif
