/* Fletcher's checksum over words of 64 bits: both sums at the speed of memory. A changed word always changes
 * them, and so do words that changed places. Parts may be summed apart and put together in any order. Not
 * meant against an adversary. */
#ifndef BTC_CHECKSUM_H
#define BTC_CHECKSUM_H

#include <stdint.h>

typedef struct btc_checksum {
    uint64_t sum, sums; /* sums: of all sums on the way */
} btc_checksum;

/* Of whole words; `after` of them follow behind these. */
static inline btc_checksum btc_checksum_part(const void *p, uint64_t words, uint64_t after) {
    btc_checksum c = {0, 0};
    for (uint64_t i = 0; i < words; i++) {
        uint64_t word;
        __builtin_memcpy(&word, (const char *)p + 8 * i, 8);
        c.sum += word;
        c.sums += c.sum;
    }
    c.sums += c.sum * after;
    return c;
}

#endif
