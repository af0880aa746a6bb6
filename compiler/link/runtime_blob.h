/* The runtime's object files and the text of btc.h, embedded in btc (runtime/CMakeLists.txt). */
#ifndef BTC_LINK_RUNTIME_BLOB_H
#define BTC_LINK_RUNTIME_BLOB_H

#include <stdbool.h>

#include "base/arena.h"

typedef struct RuntimeObject {
    const char *name; /* "core" */
    const unsigned char *data;
    size_t size;
} RuntimeObject;

typedef enum RuntimeKind { RUNTIME_OBJECT, RUNTIME_LIBRARY, RUNTIME_SCRIPT } RuntimeKind;

/* Generated: all objects, libraries to link against and linker scripts of all targets; the last row has target NULL. */
typedef struct RuntimeBlob {
    const char *target; /* "x86_64-linux-gnu" */
    RuntimeKind kind;
    RuntimeObject object;
} RuntimeBlob;
extern const RuntimeBlob runtime_blobs[];
extern const char runtime_header_text[]; /* btc.h */

/* Whether this btc was built with a runtime for the target. */
bool runtime_is_there(const char *target);
/* Which parts of a runtime an artefact needs. */
typedef struct RuntimeParts {
    bool threads;
    bool program;      /* the main function */
    bool soft_doubles; /* arithmetic that the processor lacks */
} RuntimeParts;
bool runtime_needs(const RuntimeBlob *b, const char *target, RuntimeParts parts);

/* The targets there are, for messages: "aarch64-linux-gnu, x86_64-linux-gnu". */
const char *runtime_targets(Arena *a);

#endif
