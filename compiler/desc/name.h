/* The name of a model: part of symbols and of the macros of its header, so a C identifier that does not clash with
 * them. Keywords of C are allowed, because a name never stands alone. */
#ifndef BTC_DESC_NAME_H
#define BTC_DESC_NAME_H

#include "desc/json.h"

/* NULL: it is one; else what is wrong with it, after "must be". */
const char *name_problem(const char *name);
/* One made from any n bytes. */
const char *name_from(Arena *a, const char *text, size_t n);
/* One from the last part of a path that says something: not its ending, not the folder that a revision of a
 * checkpoint has everywhere ("snapshots/1d2c..", "hf"), not "model" of a "model.safetensors". */
const char *name_from_path(Arena *a, const char *path);

#endif
