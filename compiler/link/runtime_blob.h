/* The runtime's object files and the text of btc.h, which btc carries inside (runtime/CMakeLists.txt). */
#ifndef BTC_LINK_RUNTIME_BLOB_H
#define BTC_LINK_RUNTIME_BLOB_H

#include <stdbool.h>
#include <stddef.h>

typedef struct RuntimeObject {
    const char *name; /* "core" */
    const unsigned char *data;
    size_t size;
} RuntimeObject;

/* Generated: all objects of all architectures; the last row has arch NULL. */
typedef struct RuntimeBlob {
    const char *arch; /* "x86_64" */
    RuntimeObject object;
} RuntimeBlob;
extern const RuntimeBlob runtime_blobs[];
extern const char runtime_header_text[]; /* btc.h */

/* Whether this btc was built with a runtime for target ("x86_64", or a triple that begins so). */
bool runtime_is_there(const char *target);
/* Whether an artefact for it needs the object: with or without threads, with or without the main function of
 * a program. */
bool runtime_needs(const RuntimeBlob *b, const char *target, bool threads, bool program);

/* The architectures there are: "aarch64, x86_64" style list for messages, into out [size]. */
void runtime_targets(char *out, size_t size);

#endif
