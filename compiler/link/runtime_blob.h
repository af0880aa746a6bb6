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

typedef enum RuntimeKind { RUNTIME_OBJECT, RUNTIME_LIBRARY } RuntimeKind;

/* Generated: all objects, and libraries to link against, of all targets; the last row has target NULL. */
typedef struct RuntimeBlob {
    const char *target; /* "x86_64-linux-gnu" */
    RuntimeKind kind;
    RuntimeObject object;
} RuntimeBlob;
extern const RuntimeBlob runtime_blobs[];
extern const char runtime_header_text[]; /* btc.h */

/* Whether this btc was built with a runtime for the target. */
bool runtime_is_there(const char *target);
/* Whether an artefact for it needs the object: with or without threads, with or without the main function of
 * a program. */
bool runtime_needs(const RuntimeBlob *b, const char *target, bool threads, bool program);

/* The targets there are, for messages: "aarch64-linux-gnu, x86_64-linux-gnu". */
const char *runtime_targets(Arena *a);

#endif
