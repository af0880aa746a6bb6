/* The conformance case NAME is run through examples/descriptions/NAME.json, where there is such a
 * description; it says itself where its weights are. */
#ifndef BTC_TESTS_DESCRIBED_H
#define BTC_TESTS_DESCRIBED_H

#include "base/file.h"

/* NULL: none; the checkpoint is imported. */
static inline const char *described(Arena *arena, const char *name) {
    const char *file = arena_printf(arena, "examples/descriptions/%s.json", name);
    return file_exists(file) ? file : NULL;
}

#endif
