/* What a causal language model has around its layers: embedding, positions, final norm, head, ids of tokens. */
#ifndef BTC_IMPORT_FRAME_H
#define BTC_IMPORT_FRAME_H

#include "import/parts/layers.h"
#include "import/parts/norm.h"

typedef struct Frame {
    int64_t layers, width, vocab; /* dims D, V */
    int64_t more_layers;          /* after them in the file, for multi-token prediction: left out */
    const char *prefix;           /* of the tensors of layer {i}: "model.layers.{i}." */
    const char *embedding, *head; /* tensors */
    const char *final_norm;       /* module, or NULL: there is none */
    Norm norm;                    /* of that */
    bool tied;
    const char *tied_key;                 /* the key that says so; NULL: there is none */
    const char *head_bias;                /* tensor, or NULL: there is none */
    int64_t embedding_width;              /* dim DE, where it is not that of the layers; 0: it is */
    const char *project_in, *project_out; /* modules: between the two widths */
    const char *positions;                /* tensor of learned ones, or NULL: there is none */
    int64_t position_rows;                /* of that, without the first ones that are left out */
    int64_t first_position;               /* the row of position 0 */
    double embedding_scale;               /* factors; 0: none */
    double logit_scale;
    double logit_cap; /* logits become cap * tanh(logits / cap); 0: they do not */
} Frame;

/* A frame with the names that transformers gives to a "model." and its "lm_head". */
Frame frame_named(void);
/* num_hidden_layers, hidden_size, vocab_size, tie_word_embeddings. What f holds before is the default; 0: the key must
 * be there. */
void cfg_frame(ImportCtx *x, Frame *f);
/* The description begins: x->model, with the dims of the frame; where embedding and head are one tensor, f names it
 * for both. Blocks come next. */
cJSON *frame_begin(ImportCtx *x, Frame *f);
/* Everything else: frame_embed, the layers, frame_head. */
cJSON *frame_end(ImportCtx *x, const Frame *f, const Layers *l);

/* The pieces of frame_end, for models that have something between them. */
void frame_embed(ImportCtx *x, const Frame *f);     /* "x", without positions */
void frame_positions(ImportCtx *x, const Frame *f); /* added to "x" */
void frame_layers(ImportCtx *x, const Frame *f, const Layers *l);
void frame_head(ImportCtx *x, const Frame *f); /* "logits" from "x", and the ids */

/* The square root of a width, rounded to bf16: some originals multiply embeddings by that in every precision. */
double frame_sqrt_bf16(int64_t width);

/* x = x + scale * value (0: no factor) */
void st_residual(ImportCtx *x, cJSON *ops, const char *value, double scale);

#endif
