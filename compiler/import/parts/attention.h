/* Softmax attention with all its variants: layouts of the projections in the file, norms of queries and keys,
 * rotary embedding, output gates, sliding windows, soft-capping, sinks. */
#ifndef BTC_IMPORT_ATTENTION_H
#define BTC_IMPORT_ATTENTION_H

#include "import/parts/norm.h"
#include "import/parts/rope.h"

typedef enum QkvRows {
    QKV_APART,    /* a projection each */
    QKV_IN_ORDER, /* one: all heads of q, of k, of v */
    QKV_BY_HEAD,  /* one: q, k, v of each head */
} QkvRows;

typedef struct Attention {
    int64_t heads, kv_heads, width; /* dims H, G, K; width: of a head */
    const char *tag;    /* ends the names of the dims, where blocks of one model differ; NULL: nothing */
    const char *from;   /* the dimension of what comes in; NULL: D */
    const char *module; /* NULL: the projections stand in the block itself */
    const char *q, *k, *v, *o; /* names of projections; NULL: q_proj, k_proj, v_proj, o_proj */
    QkvRows rows;
    const char *qkv; /* the name of the one projection */
    bool bias_qkv, bias_o;
    bool transposed; /* matrices are stored [in, out] */
    const char
        *low_rank[3]; /* modules of two products, .0 and .1, whose results q, k and v get added; or NULL */
    int64_t rank;     /* between them; dim AR */
    bool gate;        /* q's projection gives a query and then an output gate, for each head */
    const char
        *head_gate; /* a product [heads] whose sigmoid each head's result is multiplied by; NULL: none */
    bool qk_norm;
    bool qk_whole;               /* over all heads together */
    Norm norm;                   /* of q and k */
    const char *q_norm, *k_norm; /* NULL: q_norm, k_norm */
    double clip;                 /* q, k and v are cut to -clip .. clip; 0: they are not */
    double key_scale;            /* factor on k; 0: none */
    double scale;                /* factor on the scores; 0: width^-1/2 */
    double softcap;              /* 0: none */
    int64_t window;              /* 0: all */
    const char *sinks; /* a tensor [H] beside the projections: a score without a value; NULL: none */
    Rope rope;
    int64_t positions; /* how many tokens the original allows; 0: as many as one likes, in its window */
} Attention;

/* num_attention_heads, num_key_value_heads, head_dim. What t holds before is the default, else the first must be there,
 * and the others follow (also from null, or where a default does not divide the first). hidden: the width of the
 * model. */
void cfg_heads(Cfg *c, int64_t hidden, Attention *t);
/* As many heads of keys as of queries, which divide the model's width: `key` says how many. */
void cfg_equal_heads(Cfg *c, const char *key, int64_t otherwise, int64_t hidden, Attention *t);
/* num_key_value_heads, of which `heads` must be a multiple. */
int64_t cfg_kv_heads(Cfg *c, int64_t heads, int64_t otherwise);
/* sliding_window: how many tokens a query sees; 0 in `otherwise`: all. Null says all, too, but no number does. */
int64_t cfg_window(Cfg *c, int64_t otherwise);
/* out = attention(in). Writes the dims and, where there is no window, the context. */
void st_attention(ImportCtx *x, cJSON *ops, const char *out, const char *in, const Attention *t);
/* max_positions as "context", within reason; at most limit, if that is not 0. */
void model_context(ImportCtx *x, int64_t max_positions, int64_t limit);

#endif
