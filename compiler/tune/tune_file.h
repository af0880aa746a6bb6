/* Tuning files: the parameters (plan/tuning.def) that were measured to be best on one kind of machine. JSON
 * that people can read and write:
 *     { "btc_tuning": 1,
 *       "machine": { "target": "x86_64-linux-gnu", "cpu": "znver4", "lanes": 16, "processor": "AMD EPYC" },
 *       "model": { "name": "llama", "shape": "0123456789abcdef" },
 *       "table": "5c1e09a2", "numbers": { "chunk": 128, "streams": 2, .. }, "measured": { .. } }
 * btc_tuning, machine (without processor) and numbers are required. model tells what was measured (any
 * weights of that shape and storage), table the version of tuning.def that they belong to; measured is
 * for people. */
#ifndef BTC_TUNE_FILE_H
#define BTC_TUNE_FILE_H

#include <cjson/cJSON.h>

#include "kernels/lower.h"
#include "target.h"

/* What was measured. */
typedef struct TuneModel {
    const char *path, *name;
    uint64_t shape; /* Model.shape */
} TuneModel;

/* Where the file of a model lies: FOLDER/btc.tune.json; for a file, its name with .tune.json in place of
 * .json, .safetensors, .pth, .pt or .bin (behind any other name). */
const char *tune_file_beside(Arena *a, const char *model);

/* What `--tuning=option` means for a model that is compiled for `target`:
 *     NULL    the file beside the model, if there is one and it is for this machine; one for another machine
 *             is a warning
 *     "none"  no file
 *     FILE    this one, which must be there and be for this machine
 * Puts the file's parameters into *t, which holds the cost model's, and its name into *from (NULL: no file).
 * Parameters that the file lacks stay, with a warning; so does a file that was measured with another model, or
 * for another version of tuning.def: whatever the parameters are, the code is right. */
bool tune_file_choose(Diag *d, const TuneModel *model, const char *option, const TargetInfo *target,
                      Tuning *t, const char **from);

/* 32 bits in hexadecimal that change with any row of tuning.def, its meaning in words too. */
const char *tune_table(Arena *a);
/* The text of a file. measured: for people; it goes into the file and must not be freed; NULL: nothing. */
char *tune_file_text(Arena *a, const TuneModel *model, const TargetInfo *target, const char *processor,
                     const Tuning *t, cJSON *measured);
/* "streams 2, chunk 256": the parameters in which t differs from `other`; "" when in none. */
const char *tune_changes(Arena *a, const Tuning *t, const Tuning *other);

#endif
