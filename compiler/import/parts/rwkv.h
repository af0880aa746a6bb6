/* Part: what all RWKV have: layer norms, mixes of a token with the one before, a channel mix, and a frame whose sizes are
 * read off the tensors. Dims: V, D, F. */
#ifndef BTC_IMPORT_RWKV_H
#define BTC_IMPORT_RWKV_H

#include "import/parts/frame.h"

typedef struct RwkvNames {
    const char *embedding, *blocks, *norm0, *norm1, *norm2, *att, *ffn, *final, *head;
    bool whole_words;    /* time_mix_key, not time_mix_k */
    bool norm0_in_block; /* in the first block, else before it: how the original counts what it keeps */
} RwkvNames;
extern const RwkvNames RWKV_AUTHOR, RWKV_HF;

/* How a mix is written. */
typedef enum RwkvMix {
    RWKV_TIME_MIX, /* the weight of the token: RWKV-4, 5 */
    RWKV_TIME_MAA, /* of the one before: RWKV-6 */
    RWKV_X,        /* likewise: RWKV-7 */
} RwkvMix;

/* The frame, with sizes from the tensors: an error where one is missing. */
bool rwkv_frame(ImportCtx *x, const RwkvNames *n, Frame *f);
/* The model with these layers: embedding, norm0, layers, norm, head. */
cJSON *rwkv_end(ImportCtx *x, const RwkvNames *n, Frame *f, const Layers *l);
/* Dimension `axis` of a tensor of the first block. */
int64_t rwkv_size(ImportCtx *x, const RwkvNames *n, const char *tensor, int axis);
bool rwkv_has(ImportCtx *x, const RwkvNames *n, const char *tensor);
/* The norm of x into u, and the u of the token before. */
void st_rwkv_input(cJSON *b, const char *module, const Norm *norm, const char *state);
/* xk, xv .. for the letters "kv..": mixes of u and before by the vectors of a module. */
void st_rwkv_mixes(ImportCtx *x, cJSON *b, const RwkvNames *n, const char *module, RwkvMix mix,
                   const char *letters);
/* f = what the channel mix gives, with the activation `act`; RWKV-7 has no receptance gate. */
void st_rwkv_channel_mix(ImportCtx *x, cJSON *b, const RwkvNames *n, RwkvMix mix, const Norm *norm,
                         const char *act);
/* RWKV-5 and 6 in the author's files. r, k and v [H, N] from xr, xk and xv; then, after the recurrence, the norm of each
 * head of y, the gate if there is one, the output and the channel mix. */
void st_rwkv_heads(cJSON *b);
void st_rwkv_matrix_end(ImportCtx *x, cJSON *b, RwkvMix mix, const Norm *norm, bool gate);
/* The norm of each head of y [D], and what follows it. */
void st_rwkv_head_norm(cJSON *b, const char *value, const char *module, const char *heads, double eps);

#endif
