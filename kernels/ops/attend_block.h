/* Shared by all files of attend: a tile of queries is multiplied with a block of keys.
 *
 * Between blocks, the slot of a query in memory holds its sums: the weighted values, the sum of the weights, and the
 * base that exponents are relative to. The base is the largest score so far in units of log2, rounded to an
 * integer. So the factor between two bases is a power of two, and rescaling sums rounds nothing. */
#ifndef BTC_OPS_ATTEND_BLOCK_H
#define BTC_OPS_ATTEND_BLOCK_H

#include "kernels/lower.h"
#include "kernels/tile.h"

enum {
    ATTEND_PANEL = 32, /* keys side by side; a multiple of all vector widths */
    ATTEND_HALF = ATTEND_PANEL / 2,
    ATTEND_KEYS = 256, /* keys of a block, in whole panels: its scores stay in the first level cache */
};

enum { IN_SINKS = 3, IN_SLOPES, IN_RECENT };

typedef struct Attend {
    Lower *l;
    LB *b;
    Op *op;
    int64_t h, g, d, p, context, window;
    double scale, softcap;
    bool bf16;               /* products are bf16 dot products */
    int64_t depth;           /* of scores: numbers or pairs of a head's query */
    int64_t width;           /* of weighted values: p, padded to whole vectors */
    int queries;             /* most of a tile */
    Value *score;            /* [queries][ATTEND_KEYS]; pairs of weights take its beginning */
    Value *acc, *base, *sum; /* [slot][width], [slot], [slot] */
    Value *recent; /* [slot][recent_row]: what is added to scores, with zeros on both sides, or NULL */
    int64_t e, recent_row; /* numbers of it, and with the zeros */
    Value *q, *key;        /* pairs: [slot][depth]; [depth], on its way into a panel */
    Value *factor;         /* [queries]: what becomes of older sums */
    Value *careful;        /* not 0: values of masked keys are left out */
} Attend;

/* Queries that are computed together: tokens of one head, or heads of one token. */
typedef struct Queries {
    int n;
    Value *slot; /* of the first */
    Value *own;  /* number of the first one's token among those of the call */
    bool tokens; /* each is the next token */
    Value *head; /* of the first */
    Mat q;       /* [n, d], f32 */
} Queries;

/* Keys and values of one kv head, from one of a panel's beginning on. */
typedef struct KeyValues {
    LwAccessor k; /* panels [depth][ATTEND_PANEL] */
    Mat v;        /* [key, p]; of pairs: [key / 2, p] */
} KeyValues;

/* A block: keys `from` .. `end` of one kv head. They are the call's own, or lie in the cache, which has `hi`
 * of them. */
typedef struct Keys {
    Value *from, *end; /* from: a multiple of ATTEND_PANEL; end - from <= ATTEND_KEYS */
    KeyValues kv;      /* from key `from` on */
    bool cached;
    Value *hi;
    Value *before; /* cached: position of the call's first token */
} Keys;

int64_t attend_round_up(int64_t x, int64_t to);
Value *attend_whole_panels(const Attend *a, Value *keys); /* keys of whole panels, at most so many */
Value *attend_panels(const Attend *a, Value *keys);       /* at least so many */
/* What lies behind key `from`, a multiple of ATTEND_PANEL. */
KeyValues attend_from(const Attend *a, const KeyValues *kv, Value *from);
/* Takes scratch for `slots` queries. */
void attend_scratch(Attend *a, int64_t slots);
/* Query `q` (a pointer to d numbers) of a head begins in a slot. */
void attend_begin(const Attend *a, Value *slot, Value *head, Value *row, Value *q);
/* Adds NaN to the variable `sum`, a vector, if weighted values of some slot are not finite: of what is
 * masked, too, as 0 times it is NaN. Else adds 0. */
void attend_look(const Attend *a, Value *slot, Value *count, Value *sum);
/* The tile's queries see the block; at least one of its keys is visible to one of them. */
void attend_meet(const Attend *a, const Queries *q, const Keys *block);

/* ---- attend_bf16.c ---- */

/* d numbers as pairs, to [depth]. */
void attend_pack_bf16(const Attend *a, Value *to, Value *from);
/* Where a key's value lies among rows of pairs; how many rows the first `count` keys take. */
Value *attend_bf16_row(const Attend *a, Value *key);
Value *attend_bf16_rows(const Attend *a, Value *count);
/* Value `slot` becomes v[row, kv]; the other one of its pair stays. */
void attend_put_value(const Attend *a, Mat pairs, Value *slot, Value *row, Value *kv);
/* Values 0 .. count become the rows of `values`, and what has no partner stands beside 0. */
void attend_put_values(const Attend *a, Mat pairs, Mat values, Value *count);

#endif
