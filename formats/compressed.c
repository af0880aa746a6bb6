/* See compressed.h. */
#include "compressed.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/diag.h"
#include "pack_move.h"

enum { CODES = 8, UPPERS = 128, NO_CODE = 255 };

static int64_t table_bytes(int64_t width) {
    return 4 * width;
}

static int64_t group_bytes(int64_t width) {
    return 12 * width;
}

/* Entries of a list. */
static int64_t list_room(int64_t k, int64_t width) {
    return k * width / 1024 + 8;
}

static int64_t list_bytes(int64_t k, int64_t width) {
    return (COMPRESSED_LIST_HEAD + list_room(k, width) * COMPRESSED_ENTRY + 63) / 64 * 64;
}

/* A panel's numbers as bits of bf16, [output][input], and the codes of the upper seven bits of exponents. */
typedef struct Numbers {
    uint16_t *bits;
    int64_t outputs, k;
    uint8_t code[UPPERS]; /* NO_CODE: none */
    uint8_t upper[CODES];
    int64_t without; /* numbers that have no code */
} Numbers;

static void read_numbers(const PanelSource *s, Numbers *n) {
    n->bits = xmalloc(sizeof *n->bits * (size_t)(n->outputs * n->k));
    for (int64_t c = 0; c < n->outputs && s->by_rows; c++)
        dtype_convert(DT_BF16, n->bits + c * n->k, s->dt,
                      pack_element(s->dt, s->data, s->start + c * s->stride), n->k);
    for (int64_t i = 0; i < n->k && !s->by_rows; i++)
        for (int64_t c = 0; c < n->outputs; c++)
            dtype_convert(DT_BF16, n->bits + c * n->k + i, s->dt,
                          pack_element(s->dt, s->data, s->start + i * s->stride + c), 1);
}

static int upper_of(uint16_t bits) {
    return bits >> 8 & (UPPERS - 1);
}

/* The most frequent get codes; of equally frequent ones the larger. */
static void choose_codes(Numbers *n) {
    enum { STRANDS = 4 }; /* counters of their own, so that equal neighbours need not wait for each other */
    int64_t often[UPPERS] = {0}, all = n->outputs * n->k;
    uint32_t some[STRANDS][UPPERS];
    for (int64_t at = 0; at < all;) {
        int64_t end = all - at < (1 << 30) ? all : at + (1 << 30);
        memset(some, 0, sizeof some);
        for (; at < end; at++) some[at % STRANDS][upper_of(n->bits[at])]++;
        for (int i = 0; i < STRANDS * UPPERS; i++) often[i % UPPERS] += some[i / UPPERS][i % UPPERS];
    }
    memset(n->code, NO_CODE, sizeof n->code);
    n->without = all;
    for (int j = 0; j < CODES; j++) {
        int best = -1;
        for (int e = UPPERS - 1; e >= 0; e--)
            if (n->code[e] == NO_CODE && (best < 0 || often[e] > often[best])) best = e;
        n->code[best] = (uint8_t)j, n->upper[j] = (uint8_t)best;
        n->without -= often[best];
    }
}

static Numbers numbers_of(const PanelSource *src, int64_t outputs, int64_t k) {
    Numbers n = {.outputs = outputs, .k = k};
    read_numbers(src, &n);
    choose_codes(&n);
    return n;
}

static float number_of(uint16_t bits) {
    return (float)dtype_load(DT_BF16, &bits, 0);
}

/* What stands in the place of a number without a code: the smallest power of two there is, with its sign. */
static uint16_t stand_in(const Numbers *n, uint16_t bits) {
    int least = UPPERS;
    for (int j = 0; j < CODES; j++)
        if (n->upper[j] < least) least = n->upper[j];
    return (uint16_t)((bits & 0x8000) | least << 8);
}

/* What to add to it to get the number: one f32, or two, where the difference is none. */
static int difference(const Numbers *n, uint16_t bits, float add[2]) {
    float x = number_of(bits), put = number_of(stand_in(n, bits));
    double gap = (double)x - (double)put;
    add[0] = (float)gap;
    if ((double)add[0] == gap || x != x) return 1;
    add[0] = -put, add[1] = x;
    return 2;
}

/* Whether the list has room for what it must hold. */
static bool fits(const PanelSource *src, int64_t outputs, int64_t k, int64_t width) {
    Numbers n = numbers_of(src, outputs, k);
    int64_t room = list_room(k, width), used = 0;
    float add[2];
    if (2 * n.without <= room || n.without > room)
        used = n.without;
    else
        for (int64_t i = 0; i < outputs * k; i++)
            if (n.code[upper_of(n.bits[i])] == NO_CODE) used += difference(&n, n.bits[i], add);
    free(n.bits);
    return used <= room;
}

static void write_list(const Numbers *n, int64_t width, char *out) {
    int32_t count = 0;
    char *entry = out + COMPRESSED_LIST_HEAD;
    for (int64_t i = 0; i < n->k; i++)
        for (int64_t c = 0; c < n->outputs; c++) {
            uint16_t bits = n->bits[c * n->k + i];
            if (n->code[upper_of(bits)] != NO_CODE) continue;
            float add[2];
            int32_t at = (int32_t)(i * width + c);
            for (int j = 0, m = difference(n, bits, add); j < m; j++, count++, entry += COMPRESSED_ENTRY) {
                memcpy(entry, &at, 4);
                memcpy(entry + 4, &add[j], 4);
            }
        }
    if (count > list_room(n->k, width)) BTC_BUG("a panel that does not fit was compressed");
    memcpy(out, &count, 4);
}

/* Inputs of output c into the groups at out. */
static void write_output(const Numbers *n, int64_t c, int64_t width, uint8_t *out) {
    const uint16_t *bits = n->bits + c * n->k;
    int64_t row = 4 * width, lane = c / 4 * 16 + c % 4 * 2;
    for (int64_t i = 0; i < n->k; i++) {
        uint8_t *group = out + i / COMPRESSED_GROUP * group_bytes(width);
        int64_t j = i % COMPRESSED_GROUP, at = lane + j % 4 / 2 * 8 + j % 2;
        uint16_t x = n->code[upper_of(bits[i])] == NO_CODE ? stand_in(n, bits[i]) : bits[i];
        int code = n->code[upper_of(x)] | (x >> 15) << 3;
        group[j / 4 * row + at] = (uint8_t)x;
        group[2 * row + at] |= (uint8_t)(code << (j / 4 * 4));
    }
}

static void write(const PanelSource *src, int64_t outputs, int64_t k, int64_t width, void *out) {
    Numbers n = numbers_of(src, outputs, k);
    uint8_t *table = out, *groups = table + table_bytes(width);
    for (int64_t i = 0; i < table_bytes(width); i++)
        table[i] = (uint8_t)(n.upper[i % CODES] | (i % 16 / CODES) << 7);
    for (int64_t c = 0; c < outputs; c++) write_output(&n, c, width, groups);
    int64_t all = (k + COMPRESSED_GROUP - 1) / COMPRESSED_GROUP * group_bytes(width);
    write_list(&n, width, (char *)groups + all);
    free(n.bits);
}

const PanelLayout compressed_panels = {COMPRESSED_GROUP, 12,   table_bytes, group_bytes,
                                       list_bytes,       fits, write};
