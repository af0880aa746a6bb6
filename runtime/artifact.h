/* What the compiler hands to the runtime: one constant struct, the hidden symbol btc_artifact_data. Both are
 * always linked together, so it may change freely; hosts see btc.h. Every field is a pointer or 8 bytes
 * wide, so that compiler/link/artifact_object.c can write it as a table for any target. */
#ifndef BTC_ARTIFACT_H
#define BTC_ARTIFACT_H

#include <stddef.h>

#include "btc.h"
#include "btc_call.h"
#include "checksum.h"

enum { BTC_ALIGN = 64 }; /* of state and work blocks and of the weights */
/* The label of a work block where one processor runs all; behind it stand pointers of probes, if any. */
enum { BTC_LABEL_SINGLE = 64 };

/* Start values of a part of the state block that does not start as zero bytes. */
typedef struct btc_fill {
    int64_t offset; /* in the state block, a multiple of 4 */
    int64_t bytes;  /* a multiple of 4 */
    uint64_t word;  /* repeated; the low 32 bits count */
} btc_fill;

/* Bits that a word of the processor must have (BTC_CPU_..., cpu.c). */
typedef struct btc_need {
    const char *text; /* the message where one is missing */
    int64_t word;
    uint64_t bits;
} btc_need;

/* A part of the state block behind the header, and how much of it is in use at a position. It consists of `pieces`
 * pieces, `stride` bytes apart; of each, whole units from its beginning are in use. The rest holds anything. */
typedef struct btc_region {
    int64_t offset; /* in the state block */
    int64_t pieces;
    int64_t stride;
    int64_t unit;   /* bytes */
    int64_t tokens; /* of a unit; 0: a piece is one unit, always in use */
    int64_t most;   /* tokens of a piece */
    int64_t ahead;  /* 1: tokens up to the next power of two above the position have their place already */
} btc_region;

typedef void btc_entry(const btc_call *c, intptr_t worker, intptr_t workers);

typedef struct btc_artifact {
    btc_info info;
    int64_t fill_count;
    const btc_fill *fills;
    int64_t region_count;
    const btc_region *regions; /* in order, apart; together all of the block that is ever used */
    const void *weights;       /* inside the artefact; NULL: in a side file */
    const char *weights_file;  /* base name of the side file as it was written, or NULL */
    uint64_t weights_identity;
    btc_entry *step;  /* btc_entry_step */
    btc_entry *chunk; /* btc_entry_chunk; NULL: there is none, and chunks are steps */
    int64_t need_count;
    const btc_need *needs;
} btc_artifact;

/* A side file starts with this; the weights follow at once. All numbers little-endian. */
typedef struct btc_weights_header {
    uint64_t magic; /* "BTCWEIGH" */
    uint64_t version;
    uint64_t identity; /* weights_identity of the artefacts that it serves */
    uint64_t bytes;    /* of the weights, without this header */
    btc_checksum checksum;
    uint64_t reserved[2];
} btc_weights_header;

#define BTC_WEIGHTS_MAGIC 0x4847494557435442u /* "BTCWEIGH" as bytes */
#define BTC_STATE_MAGIC 0x4554415453435442u   /* "BTCSTATE" as bytes */
#define BTC_MODEL_MAGIC 0x324c444f4d435442u   /* "BTCMODL2" as bytes; new with each new btc_artifact */
/* Of side files, and of how plan/pack.h packs a layout of some name: part of their identity. */
enum { BTC_WEIGHTS_VERSION = 3 };

_Static_assert(sizeof(btc_weights_header) == 64, "weights start 64-byte aligned in the mapped file");
_Static_assert(sizeof(btc_state_header) == BTC_STATE_HEADER, "slots start at BTC_STATE_HEADER");
_Static_assert(offsetof(btc_state_header, position) == 8 * BTC_STATE_POSITION, "emitted code reads it");
_Static_assert(sizeof(void *) < 8 || sizeof(btc_artifact) == sizeof(btc_info) + 11 * 8, "a row of words");
_Static_assert(sizeof(void *) < 8 || sizeof(btc_model) == 64, "part of the ABI");

extern const btc_artifact btc_artifact_data;

#endif
