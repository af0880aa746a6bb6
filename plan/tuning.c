/* The table of parameters; kernels/cost_model.c chooses them. */
#include "tuning.h"

#include <string.h>

const TuningField TUNING_FIELDS[] = {
#define TUNE(name, least, most, effect, doc) {#name, doc, least, most, TUNING_##effect},
#include "tuning.def"
#undef TUNE
};
const int TUNING_COUNT = sizeof TUNING_FIELDS / sizeof *TUNING_FIELDS;

int *tuning_at(Tuning *t, int field) {
    int *const numbers[] = {
#define TUNE(name, least, most, effect, doc) &t->name,
#include "tuning.def"
#undef TUNE
    };
    return numbers[field];
}

int tuning_find(const char *name) {
    int i = TUNING_COUNT - 1;
    while (i >= 0 && strcmp(TUNING_FIELDS[i].name, name)) i--;
    return i;
}
