/* Programs without a C library: the system functions that bare_program.c needs. bare_linux.c implements them by system
 * calls, bare_semihosting.c by calls of the debugger or emulator of a processor without an operating system. */
#ifndef BTC_BARE_H
#define BTC_BARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* bare_program.c; called where the program starts. Returns the exit status. */
int bare_main(int argc, char **argv);

enum { BARE_OUT = -2, BARE_ERR = -3 };                /* the standard streams, in place of a file */
intptr_t bare_open(const char *name, bool write);     /* a file; -1: it cannot be opened */
intptr_t bare_read(intptr_t file, void *p, size_t n); /* bytes read; 0: the end */
bool bare_write(intptr_t file, const void *p, size_t n);
bool bare_close(intptr_t file);
void *bare_memory(size_t n); /* aligned to 64, zeros, for good; NULL: there is no more */

#endif
