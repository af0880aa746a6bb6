/* Rotary positions, with the scalings that lengthen the context. */
#ifndef BTC_IMPORT_ROPE_H
#define BTC_IMPORT_ROPE_H

#include "import/import.h"

typedef struct Rope {
    bool none; /* no rotary embedding */
    double theta;
    double scale;      /* on sin and cos */
    double mscale;     /* yarn: what mscale_all_dim makes of the factor; 1 without it */
    int64_t dims;      /* how many leading components of a head are rotated; 0: all */
    int64_t limit;     /* > 0: the frequencies hold for sequences up to this only */
    const char *freqs; /* JSON list, or NULL: from theta */
    bool pairs;        /* components 2i and 2i+1 are rotated together, instead of i and i + dims/2 */
} Rope;

/* Where a configuration says it, and what holds where it does not. */
typedef struct RopeKeys {
    int64_t width, positions; /* of a head; max_position_embeddings */
    int64_t original;         /* original_max_position_embeddings of the class; 0: positions */
    double theta,
        partial; /* partial: the part of a head that is rotated; 0: all, whatever the configuration says */
    const char *other_theta; /* further names of rope_theta and partial_rotary_factor, or NULL */
    const char *other_partial;
    const char *kind; /* rope_parameters may hold an object for each kind of layer: the one of this name */
    const char *type; /* rope_type where nothing says it; NULL: default */
    bool only_other;  /* without such objects, other_theta holds for this kind, and no scaling */
} RopeKeys;

/* Both generations of keys: rope_parameters {rope_type, rope_theta, ..}, or rope_theta beside rope_scaling
 * {type, ..}; partial_rotary_factor in either. */
Rope cfg_rope_keys(Cfg *c, const RopeKeys *k);
/* The same with nothing but the usual keys. */
Rope cfg_rope(Cfg *c, int64_t head_dim, double theta, double partial, int64_t max_positions);
/* The values "pos" (and "freqs", where it is needed) for st_rope. */
void st_positions(cJSON *ops, int64_t head_dim, const Rope *r);
/* Rotates a value [heads, head_dim]. */
void st_rope(cJSON *ops, const char *value, const Rope *r);

#endif
