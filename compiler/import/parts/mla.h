/* Multi-head latent attention (DeepSeek-V2): the keys and values of all heads come from one latent vector per
 * token, which is all that the cache holds. Dims: LH heads, LQ and LK the latent widths of queries and of keys and
 * values, LN and LR the widths of a query head without and with rotary embedding, LV that of a value head. */
#ifndef BTC_IMPORT_MLA_H
#define BTC_IMPORT_MLA_H

#include "import/parts/norm.h"
#include "import/parts/rope.h"

typedef struct Mla {
    int64_t heads, q_latent, kv_latent, nope_dims, rope_dims, value; /* q_latent 0: queries have none */
    const char *module;
    const char *out;  /* the last product; NULL: o_proj */
    const char *gate; /* a product that says how much of each head's result passes, or NULL */
    bool bias;        /* of the products into the latent widths, and of the last one */
    Norm norm;        /* of the latent vectors */
    Rope rope;        /* of rope_dims components */
    double scale;
    int64_t positions; /* as in Attention */
} Mla;

/* num_attention_heads, q_lora_rank, kv_lora_rank, qk_nope_head_dim, qk_rope_head_dim, v_head_dim, attention_bias; the
 * scale without what a scaling of positions makes of it. What t holds before is the default; 0: the key must be there. */
void cfg_mla(Cfg *c, Mla *t);
/* out = attention(in), from D to D. */
void st_mla(ImportCtx *x, cJSON *ops, const char *out, const char *in, const Mla *t);

#endif
