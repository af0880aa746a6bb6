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

enum { MAX_RUNTIME_OBJECTS = 32 };

/* The objects that an artefact for target ("x86_64", or a triple that begins so) needs: with or without
 * threads, with or without the main function of a program. out: [MAX_RUNTIME_OBJECTS]. Returns their number;
 * 0: this btc was built without a runtime for the target. */
int runtime_objects(const char *target, bool threads, bool program, RuntimeObject *out);

/* The architectures there are: "aarch64, x86_64" style list for messages, into out [size]. */
void runtime_targets(char *out, size_t size);

#endif
