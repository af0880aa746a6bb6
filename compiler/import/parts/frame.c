#include "import/parts/frame.h"

#include <math.h>
#include <string.h>

Frame frame_named(void) {
    return (Frame){.prefix = "model.layers.{i}.",
                   .embedding = "model.embed_tokens.weight",
                   .head = "lm_head.weight",
                   .final_norm = "model.norm",
                   .tied_key = "tie_word_embeddings"};
}

static int64_t otherwise(int64_t size) {
    return size ? size : REQUIRED;
}

/* Of the tensors of a layer; NULL: what comes before its number. */
static const char *layer_prefix(ImportCtx *x, const Frame *f, const char *number) {
    const char *mark = strstr(f->prefix, "{i}");
    const char *first = arena_strndup(x->a, f->prefix, (size_t)(mark - f->prefix));
    return number ? arena_printf(x->a, "%s%s%s", first, number, mark + 3) : first;
}

void cfg_frame(ImportCtx *x, Frame *f) {
    Cfg *c = &x->cfg;
    f->layers = cfg_first_layers(c, "num_hidden_layers", otherwise(f->layers), layer_prefix(x, f, NULL),
                                 f->more_layers);
    f->width = cfg_size(c, "hidden_size", otherwise(f->width));
    f->vocab = cfg_size(c, "vocab_size", otherwise(f->vocab));
    if (f->tied_key) f->tied = cfg_bool(c, f->tied_key, f->tied);
}

static bool is_projected(const Frame *f) {
    return f->embedding_width && f->embedding_width != f->width;
}

/* The dimension of the rows of the embedding and the head. */
static const char *row(const Frame *f) {
    return is_projected(f) ? "DE" : "D";
}

cJSON *frame_begin(ImportCtx *x, Frame *f) {
    cJSON *m = model_new(x, "tokens");
    model_dim(m, "V", f->vocab), model_dim(m, "D", f->width);
    Tied tables = tied_tables(x, m, f->tied, f->tied_key, f->embedding, f->head);
    f->embedding = tables.table, f->head = tables.head;
    if (is_projected(f)) model_dim(m, "DE", f->embedding_width);
    return m;
}

void frame_embed(ImportCtx *x, const Frame *f) {
    cJSON *ops = model_ops(x->model);
    st(ops, "{'out':'x','op':'embed','ids':'tokens','table':'@%s[V, %s]'}", f->embedding, row(f));
    if (f->embedding_scale != 0) st(ops, "{'out':'x','map':'x * %s'}", json_number(x->a, f->embedding_scale));
    if (is_projected(f)) st_linear(ops, "x", "x", f->project_in, "D", "DE", false);
}

void frame_positions(ImportCtx *x, const Frame *f) {
    if (!f->positions) return;
    cJSON *ops = model_ops(x->model);
    long long first = f->first_position, rows = f->position_rows;
    const char *table = arena_printf(x->a, "@%s[%lld, D]", f->positions, first + rows);
    if (first)
        st(ops, "{'out':'p','op':'slice','x':'%s','axis':0,'start':%lld,'size':%lld}", table, first, rows);
    st(ops, "{'out':'pos','op':'position'}");
    st(ops, "{'out':'pos','op':'reshape','x':'pos','shape':[]}");
    st(ops, "{'out':'p','op':'embed','ids':'pos','table':'%s'}", first ? "p" : table);
    st(ops, "{'out':'x','map':'x + p'}");
}

void frame_layers(ImportCtx *x, const Frame *f, const Layers *l) {
    for (int64_t i = f->layers; i < f->layers + f->more_layers; i++)
        model_unused(x, x->model,
                     arena_printf(x->a, "%s*", layer_prefix(x, f, arena_printf(x->a, "%lld", (long long)i))),
                     "the layer predicts tokens behind the next one");
    st_layers(x->model, f->layers, layers_pattern(x->a, l), f->prefix);
}

void frame_head(ImportCtx *x, const Frame *f) {
    cJSON *ops = model_ops(x->model);
    if (f->final_norm) st_norm(ops, "x", "x", f->final_norm, "D", &f->norm);
    if (is_projected(f)) st_linear(ops, "x", "x", f->project_out, "DE", "D", false);
    st(ops, "{'out':'logits','op':'linear','x':'x','w':'@%s[V, %s]'%s}", f->head, row(f),
       f->head_bias ? arena_printf(x->a, ",'b':'@%s[V]'", f->head_bias) : "");
    if (f->logit_scale != 0)
        st(ops, "{'out':'logits','map':'%s * logits'}", json_number(x->a, f->logit_scale));
    if (f->logit_cap != 0) {
        const char *cap = json_number(x->a, f->logit_cap);
        st(ops, "{'out':'logits','map':'%s * tanh(logits / %s)'}", cap, cap);
    }
    model_unused(x, x->model, "*.rotary_emb.inv_freq", "rotary frequencies follow from the configuration");
    model_ids(x, x->model);
}

cJSON *frame_end(ImportCtx *x, const Frame *f, const Layers *l) {
    frame_embed(x, f);
    frame_positions(x, f);
    frame_layers(x, f, l);
    frame_head(x, f);
    return x->model;
}

void st_residual(ImportCtx *x, cJSON *ops, const char *value, double scale) {
    if (scale != 0)
        st(ops, "{'out':'x','map':'x + %s * %s'}", json_number(x->a, scale), value);
    else
        st(ops, "{'out':'x','map':'x + %s'}", value);
}

double frame_sqrt_bf16(int64_t width) {
    uint8_t bits[2];
    dtype_store(DT_BF16, bits, 0, sqrt((double)width));
    return dtype_load(DT_BF16, bits, 0);
}
