/* Parameters of lowering that only affect speed: sizes of tiles and blocks, prefetch distances. There is one for
 * each row of tuning.def; kernels/cost_model.c chooses them. Any values within the bounds there give correct code. If a tile needs more registers than
 * the machine has, the code is slow. */
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

#endif
