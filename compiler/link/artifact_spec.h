/* Everything that an artefact says about its model. The compiler fills it in before linking. */
#ifndef BTC_LINK_ARTIFACT_SPEC_H
#define BTC_LINK_ARTIFACT_SPEC_H

#include "base/file.h"
#include "runtime/artifact.h"
#include "target.h"

/* Writes the packed weights, exactly info.weights_bytes bytes, into *o from byte `at` on. Called once per
 * artefact. sum: gets their checksum, unless it is NULL. false: a message is filed. */
typedef bool ArtifactWeights(void *user, OutFile *o, int64_t at, btc_checksum *sum);

typedef struct ArtifactSpec {
    /* The public facts, with pointers of this process. version and size are filled in by the writer. name
     * must be a C identifier. */
    btc_info info;
    const btc_fill *fills;
    int64_t fill_count;
    const btc_need *needs; /* text: the name of what the machine must have */
    int64_t need_count;
    const btc_region *regions;
    int64_t region_count;
    uint64_t weights_identity;      /* of the packed weights: a side file must have the same */
    const char *step, *chunk;       /* hidden symbols of the objects; NULL: btc_entry_step, btc_entry_chunk */
    int64_t work_bytes;             /* of the work block, where no number of threads decides; else 0 */
    bool step_only;                 /* there is no code for chunks */
    ArtifactWeights *write_weights; /* NULL only when info.weights_bytes is 0 */
    void *weights_user;
    bool weights_in_file;     /* --weights=file */
    const char *weights_file; /* then its name, and one that is there is kept; NULL: <output>.weights */
} ArtifactSpec;

/* Checks what the runtime relies on (alignments, sizes, slots and fills inside the block): our own bugs. */
void artifact_check(const ArtifactSpec *s);

/* Writes the object file that defines btc_artifact_data, with an empty section for weights that are embedded.
 * weights_file: base name of the side file, or NULL. */
bool artifact_object(Diag *d, Arena *a, const ArtifactSpec *s, const TargetInfo *t, const char *weights_file,
                     const char *file);

/* Writes the weights, if there are any, into *o from byte `at` on. */
bool artifact_write_weights(const ArtifactSpec *s, OutFile *o, int64_t at, btc_checksum *sum);

/* Writes the side file into *o (which the caller opened and commits). */
bool artifact_weights_file(const ArtifactSpec *s, OutFile *o);

/* Writes model.h: btc.h, the model's constants, an example. */
bool artifact_header(Diag *d, Arena *a, const ArtifactSpec *s, const char *file);

#endif
