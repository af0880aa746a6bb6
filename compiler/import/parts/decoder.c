/* Xiong et al. 2020, arXiv:2002.04745 (norms before each part). */
#include "import/parts/decoder.h"

#include "import/parts/frame.h"

void st_feed_forward(ImportCtx *x, cJSON *ops, const char *norm, const Norm *n, const Mlp *mlp,
                     const Experts *e, double scale) {
    st_norm(ops, "u", "x", norm, "D", n);
    if (e)
        st_experts(x, ops, "f", "u", e);
    else
        st_mlp(x, ops, "f", "u", mlp);
    st_residual(x, ops, "f", scale);
}

void decoder_block(ImportCtx *x, const char *name, const Decoder *t) {
    cJSON *b = block_new(x->model, name, NULL, NULL);
    st_norm(b, "u", "x", "input_layernorm", "D", &t->norm);
    st_attention(x, b, "o", "u", &t->attention);
    st_residual(x, b, "o", t->residual);
    st_feed_forward(x, b, "post_attention_layernorm", &t->norm, t->mlp, t->experts, t->residual);
}
