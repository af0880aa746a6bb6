/* A 64-bit hash of byte strings, the same on every machine. Not safe against an adversary. */
#ifndef BTC_BASE_HASH_H
#define BTC_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

enum { HASH_START = 0x62746331 };
/* `h` goes on with the n bytes at data. */
uint64_t hash_bytes(uint64_t h, const void *data, size_t n);
/* With a text and its end, so that "ab", "c" differs from "a", "bc". */
uint64_t hash_text(uint64_t h, const char *text);

#endif
