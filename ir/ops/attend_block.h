/* What all files of attend share: a tile of queries meets a block of keys.
 *
 * A query's sums live in memory from block to block, in its slot: weighted values, the sum of the weights,
 * and the whole number that exponents are relative to. That is no more than the largest score so far,
 * rounded, in units of log2: a factor between blocks is a power of two and rounds nothing. */
#ifndef BTC_OPS_ATTEND_BLOCK_H
#define BTC_OPS_ATTEND_BLOCK_H

#include "../lower.h"
#include "tile.h"

enum {
    ATTEND_PANEL = 32, /* keys side by side; a multiple of all vector widths */
    ATTEND_HALF = ATTEND_PANEL / 2,
    ATTEND_KEYS = 256, /* keys of a block, in whole panels: its scores stay in the first level cache */
};

typedef struct Attend {
    Lower *l;
    LB *b;
    Op *op;
    int64_t h, g, d, p, context, window;
    double scale, softcap;
    bool pairs;               /* products of bf16 pairs */
    int64_t depth;            /* of scores: numbers or pairs of a head's query */
    int64_t width;            /* of weighted values: p, padded to whole vectors */
    int queries;              /* most of a tile */
    Value *score;             /* [queries][ATTEND_KEYS]; pairs of weights take its beginning */
    Value *acc, *base, *sum;  /* [slot][width], [slot], [slot] */
    Value *q;                 /* pairs: [slot][depth] */
    Value *factor;            /* [queries]: what becomes of older sums */
    Value *pairs_k, *pairs_v; /* pairs: a block's */
} Attend;

/* Queries that are computed together: tokens of one head, or heads of one token. */
typedef struct Queries {
    int n;
    Value *slot; /* of the first */
    Value *own;  /* number of the first one's token among those of the call */
    bool tokens; /* each is the next token */
    Mat q;       /* [n, d], f32 */
} Queries;

/* A block: keys `from` .. `end` of one kv head. They are the call's own, or lie in the cache, which has `hi`
 * of them. */
typedef struct Keys {
    Value *from, *end; /* from: a multiple of ATTEND_PANEL; end - from <= ATTEND_KEYS */
    LwCells k;         /* panels [d][ATTEND_PANEL] from key `from` on */
    Mat v;             /* [key, p], from key `from` on */
    bool pairs;        /* k and v are pairs already */
    bool cached;
    Value *hi;
    Value *before; /* cached: position of the call's first token */
} Keys;

int64_t attend_round_up(int64_t x, int64_t to);
Value *attend_whole_panels(const Attend *a, Value *keys); /* keys of whole panels, at most so many */
Value *attend_panels(const Attend *a, Value *keys);       /* at least so many */
/* Takes scratch for `slots` queries. */
void attend_scratch(Attend *a, int64_t slots);
/* Query `q` (a pointer to d numbers) begins in a slot. */
void attend_begin(const Attend *a, Value *slot, Value *q);
/* The tile's queries see the block; at least one of its keys is visible to one of them. */
void attend_meet(const Attend *a, const Queries *q, const Keys *block);

/* ---- attend_pairs.c ---- */

/* The block's keys and values as a->pairs multiplies them: where many queries meet them, they become pairs at
 * once, else when they are loaded. Without pairs they stay as they are. */
Keys attend_multiplied(const Attend *a, const Keys *block, bool many);
/* Of the last block: [ATTEND_KEYS / 2, p]. */
Mat attend_pairs_of_values(const Attend *a);
void attend_query_pairs(const Attend *a, Value *slot, Value *q);

#endif
