/* Peng et al. 2023, arXiv:2305.13048 (RWKV-4); 2024, arXiv:2404.05892 (5, 6); 2025, arXiv:2503.14456 (7). */
#include "import/parts/rwkv.h"

#include <string.h>

const RwkvNames RWKV_AUTHOR = {.embedding = "emb.weight",
                               .blocks = "blocks.",
                               .norm0 = "ln0",
                               .norm1 = "ln1",
                               .norm2 = "ln2",
                               .att = "att",
                               .ffn = "ffn",
                               .final = "ln_out",
                               .head = "head.weight"};
const RwkvNames RWKV_HF = {.embedding = "rwkv.embeddings.weight",
                           .blocks = "rwkv.blocks.",
                           .norm0 = "pre_ln",
                           .norm1 = "ln1",
                           .norm2 = "ln2",
                           .att = "attention",
                           .ffn = "feed_forward",
                           .final = "rwkv.ln_out",
                           .head = "head.weight",
                           .whole_words = true,
                           .norm0_in_block = true};

static const char *in_first(ImportCtx *x, const RwkvNames *n, const char *tensor) {
    return arena_printf(x->a, "%s0.%s", n->blocks, tensor);
}

int64_t rwkv_size(ImportCtx *x, const RwkvNames *n, const char *tensor, int axis) {
    return tensor_dim(x, in_first(x, n, tensor), axis);
}

bool rwkv_has(ImportCtx *x, const RwkvNames *n, const char *tensor) {
    return has_tensor(x, in_first(x, n, tensor));
}

bool rwkv_frame(ImportCtx *x, const RwkvNames *n, Frame *f) {
    int errors = x->d->errors;
    *f = (Frame){.prefix = arena_printf(x->a, "%s{i}.", n->blocks),
                 .embedding = n->embedding,
                 .head = n->head,
                 .final_norm = n->final,
                 .norm = {.kind = NORM_LAYER, .eps = 1e-5}};
    f->vocab = tensor_dim(x, n->embedding, 0), f->width = tensor_dim(x, n->embedding, 1);
    f->layers = count_layers(x, n->blocks);
    if (f->layers < 1) import_error(x, "has no tensors \"%s0. ..\"", n->blocks);
    return x->d->errors == errors;
}

cJSON *rwkv_end(ImportCtx *x, const RwkvNames *n, Frame *f, const Layers *l) {
    frame_embed(x, f);
    if (!n->norm0_in_block) st_norm(model_ops(x->model), "x", "x", in_first(x, n, n->norm0), "D", &f->norm);
    frame_layers(x, f, l);
    frame_head(x, f);
    return x->model;
}

void st_rwkv_input(cJSON *b, const char *module, const Norm *norm, const char *state) {
    st_norm(b, "u", "x", module, "D", norm);
    st(b, "{'out':'before','op':'shift','x':'u','state':'%s'}", state);
}

static const char *word(char letter) {
    return letter == 'k' ? "key" : letter == 'v' ? "value" : letter == 'r' ? "receptance" : "gate";
}

void st_rwkv_mixes(ImportCtx *x, cJSON *b, const RwkvNames *n, const char *module, RwkvMix mix,
                   const char *letters) {
    static const char *const stems[] = {"time_mix_", "time_maa_", "x_"};
    for (const char *p = letters; *p; p++) {
        const char *name = n->whole_words ? word(*p) : arena_printf(x->a, "%c", *p);
        const char *by = arena_printf(x->a, "@%s.%s%s[D]", module, stems[mix], name);
        if (mix == RWKV_TIME_MIX)
            st(b, "{'out':'x%c','map':'before + (u - before) * %s'}", *p, by);
        else
            st(b, "{'out':'x%c','map':'u + (before - u) * %s'}", *p, by);
    }
}

void st_rwkv_channel_mix(ImportCtx *x, cJSON *b, const RwkvNames *n, RwkvMix mix, const Norm *norm,
                         const char *act) {
    model_dim(x->model, "F", rwkv_size(x, n, arena_printf(x->a, "%s.key.weight", n->ffn), 0));
    st_rwkv_input(b, n->norm2, norm, "ffn_x");
    st_rwkv_mixes(x, b, n, n->ffn, mix, mix == RWKV_X ? "k" : "kr");
    st_linear(b, "f", "xk", arena_printf(x->a, "%s.key", n->ffn), "F", "D", false);
    st(b, "{'out':'f','map':'%s(f)'}", act);
    st_linear(b, "f", "f", arena_printf(x->a, "%s.value", n->ffn), "D", "F", false);
    if (mix == RWKV_X) return;
    st_linear(b, "r", "xr", arena_printf(x->a, "%s.receptance", n->ffn), "D", "D", false);
    st(b, "{'out':'f','map':'sigmoid(r) * f'}");
}

void st_rwkv_head_norm(cJSON *b, const char *value, const char *module, const char *heads, double eps) {
    st(b, "{'out':'%s','op':'reshape','x':'%s','shape':['D']}", value, value);
    st(b,
       "{'out':'%s','op':'norm.layer','x':'%s','w':'@%s.weight[D]','b':'@%s.bias[D]','groups':'%s','eps':%."
       "17g}",
       value, value, module, module, heads, eps);
}

void st_rwkv_heads(cJSON *b) {
    static const char *const rows[][3] = {
        {"r", "xr", "receptance"}, {"k", "xk", "key"}, {"v", "xv", "value"}};
    char tensor[32];
    for (int i = 0; i < 3; i++) {
        snprintf(tensor, sizeof tensor, "att.%s", rows[i][2]);
        st_linear(b, rows[i][0], rows[i][1], tensor, "H*N", "D", false);
        st(b, "{'out':'%s','op':'reshape','x':'%s','shape':['H','N']}", rows[i][0], rows[i][0]);
    }
}

void st_rwkv_matrix_end(ImportCtx *x, cJSON *b, RwkvMix mix, const Norm *norm, bool gate) {
    st_rwkv_head_norm(b, "y", "att.ln_x", "H", 64e-5);
    if (gate) {
        st_linear(b, "g", "xg", "att.gate", "D", "D", false);
        st(b, "{'out':'y','map':'y * silu(g)'}");
    }
    st_linear(b, "o", "y", "att.output", "D", "D", false);
    st_residual(x, b, "o", 0);
    st_rwkv_channel_mix(x, b, &RWKV_AUTHOR, mix, norm, "relu2");
    st_residual(x, b, "f", 0);
}
