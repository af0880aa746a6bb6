/* Stub shared libraries: a soname and the symbols of runtime/libc_symbols.def, nothing behind them. The
 * linker takes DT_NEEDED and the symbols' existence from them, so no sysroot is needed for any target. */
#ifndef BTC_LINK_STUB_LIBRARY_H
#define BTC_LINK_STUB_LIBRARY_H

#include "base/file.h"

/* Writes one file per library into folder. *names: their paths; *n: their number. */
bool stub_libraries(Diag *d, Arena *a, const char *folder, uint16_t machine, const char ***names, int *n);

#endif
