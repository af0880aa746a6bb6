/* What of lowering is a matter of speed alone: sizes of tiles and blocks, how far to prefetch. One number per
 * row of tuning.def. Lowering takes any values within the bounds there and gives right code; when a tile
 * asks for more registers than there are, the code is slow. */
#ifndef BTC_TUNING_H
#define BTC_TUNING_H

#include "op.h"

typedef struct Tuning {
#define TUNE(name, least, most, effect, doc) int name;
#include "tuning.def"
#undef TUNE
} Tuning;

typedef enum TuningEffect { TUNING_SAME, TUNING_CUTS } TuningEffect;

/* The rows as a table: number i of a Tuning is at tuning_at(t, i). */
typedef struct TuningField {
    const char *name, *doc;
    int least, most;
    TuningEffect effect;
} TuningField;
extern const TuningField TUNING_FIELDS[];
extern const int TUNING_COUNT;
int *tuning_at(Tuning *t, int field);
int tuning_find(const char *name); /* -1: there is no such row */

typedef struct LowerTarget LowerTarget; /* lower_target.h */

/* The cost model: what should be fastest on this machine, judged by vectors, registers and caches. */
Tuning tuning_default(const LowerTarget *t);

#endif
