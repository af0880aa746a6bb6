/* The two functions of <string.h> that every call needs: declared here, since a machine without a C library has no
 * such header. */
#ifndef BTC_BYTES_H
#define BTC_BYTES_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memset(void *to, int byte, size_t n);

#endif
