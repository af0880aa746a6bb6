/* Number formats: how the numbers of a weight are stored. A format is a record in a file of its own, and a row of
 * formats.def. All code that stores, reads, packs or multiplies weights uses the record.
 *
 * A format is one of three kinds:
 *
 *     plain       numbers of an element type: f32, bf16, f16
 *     compressed  plain numbers that take fewer bits in packed matrices, without loss: panels of their own (panel.h)
 *     blocks      `block` numbers along the inputs of a matrix share a scale:
 *
 *         x = scale * factor * (value(code) - zero) + minimum * minimum_factor
 *
 *     A code has `bits` bits and stands for itself or for an entry of a table of 16. With super-blocks, every
 *     `sub` numbers of a block have an integer factor (and minimum_factor). scale * factor * (value - zero)
 *     has at most 24 significant bits, as has minimum * minimum_factor: so x is one rounding of an exact sum.
 *
 * A block format without a quantizer only comes from checkpoints (GGUF): its blocks are repacked, and no number
 * changes. */
#ifndef BTC_FORMATS_FORMAT_H
#define BTC_FORMATS_FORMAT_H

#include "base/arena.h"
#include "base/dtype.h"

enum {
    FORMAT_BLOCK_MOST = 256,                      /* numbers of a block */
    FORMAT_FACTORS_MOST = FORMAT_BLOCK_MOST / 16, /* factors of a block */
};

/* How the scale and the minimum of a block are stored in packed weights. */
typedef enum ScaleKind {
    SCALE_F16,
    SCALE_BF16,
    SCALE_EXPONENT, /* a power of two: the exponent's byte of an f32 */
} ScaleKind;

/* One block: its scales, factors and codes. */
typedef struct FormatBlock {
    float scale, minimum;
    int16_t factor[FORMAT_FACTORS_MOST], minimum_factor[FORMAT_FACTORS_MOST]; /* 1 where there are none */
    uint8_t code[FORMAT_BLOCK_MOST];
} FormatBlock;

typedef struct NumberFormat NumberFormat;
struct NumberFormat {
    const char *name; /* "q4_k" */
    const char *doc;
    DType dt;                         /* plain and compressed: of the numbers; blocks: DT_COUNT */
    const struct PanelLayout *panels; /* compressed: how its numbers lie in panels (panel.h); else NULL */
    DType
        dot; /* what inputs of its products may be rounded to, besides not at all: DT_BF16, DT_I8, or DT_F32 */

    /* blocks; block is 0 in other formats */
    int block;
    int sub;              /* numbers that share a factor; block: there are no factors */
    int bits;             /* of a code */
    int zero;             /* the value that stands for 0 */
    int least;            /* the smallest code in use */
    const uint8_t *table; /* what codes of 4 bits stand for; NULL: for themselves */
    ScaleKind scale;
    bool minimum;
    int factor_bits; /* of a factor in packed weights: 4 or 8; 0: there are none */
    int factor_zero; /* what is added to a factor to store it */
    bool fold; /* factor * (code - zero) fits in a byte: a whole block is one sum of products of bytes */

    /* in a checkpoint */
    int gguf;     /* number of the type in GGUF files; 0 in formats of blocks: it is in none */
    size_t bytes; /* of a block */
    void (*read)(const uint8_t *in, FormatBlock *out); /* out holds zeros and factors of 1 */

    /* x[0..n), n <= block, the rest of the block 0; importance: n positive weights of squared errors, or NULL.
     * x must be finite, and the largest magnitude 0 or within lowest .. highest. The same on every machine.
     * NULL: the format is plain, or kept. */
    void (*quantize)(const NumberFormat *f, const float *x, int n, const float *importance, FormatBlock *out);
    double lowest, highest; /* what the largest magnitude of a block or, in plain formats, of a row must lie
                               within, if it is not 0 */
};

#define FORMAT(name) extern const NumberFormat format_##name;
#include "formats.def"
#undef FORMAT
extern const NumberFormat *const FORMATS[]; /* in the order of formats.def; NULL ends it */

const NumberFormat *format_find(const char *name); /* NULL: there is none */
const NumberFormat *format_of_dtype(DType dt);     /* plain; NULL: no weight is stored so */

/* What may be asked for: plain formats, and those that have a quantizer. */
enum { FORMATS_PLAIN = 1, FORMATS_QUANTIZED = 2, FORMATS_ASKED = FORMATS_PLAIN | FORMATS_QUANTIZED };
bool format_is(const NumberFormat *f, unsigned which);
const NumberFormat *format_ask(const char *name, unsigned which); /* NULL: there is none */
/* "f32, bf16 or f16", for between = ", " and last = " or ". */
const char *format_names(Arena *a, unsigned which, const char *between, const char *last);

/* Bits of a number as it is packed, with scales. */
double format_bits(const NumberFormat *f);
static inline bool format_is_compressed(const NumberFormat *f) {
    return f->panels != NULL;
}
/* Whether numbers lie in blocks that share a scale. */
static inline bool format_has_blocks(const NumberFormat *f) {
    return f->block > 0;
}
/* Numbers whose products with bytes are one sum of integers. */
static inline int format_sum(const NumberFormat *f) {
    return f->fold ? f->block : f->sub;
}
size_t format_scale_bytes(ScaleKind k);
void format_scale_store(ScaleKind k, void *out, float x);

/* Blocks as a checkpoint holds them. */
void format_read(const NumberFormat *f, const void *block, FormatBlock *out);
/* Number i of a block. */
float format_value(const NumberFormat *f, const FormatBlock *b, int i);
/* Numbers [first, first + n) of a tensor, as a checkpoint holds it: the reference decode. */
void format_decode(const NumberFormat *f, const void *data, int64_t first, int64_t n, float *out);
/* x[0..n) becomes what quantising makes of it, block by block; importance: n weights, or NULL. */
void format_round(const NumberFormat *f, double *x, int64_t n, const float *importance);

#endif
