#include "import/parts/rg_lru.h"

const RgLruNames RG_LRU_NAMES_HF = {.taps = "conv_1d.weight[R, RW]",
                                    .conv_bias = "conv_1d.bias",
                                    .input_gate = "rg_lru.input_gate",
                                    .recurrent_gate = "rg_lru.recurrent_gate",
                                    .weight = "_weight",
                                    .bias = "_bias",
                                    .decay = "rg_lru.recurrent_param"};
const RgLruNames RG_LRU_NAMES_AUTHORS = {.taps = "conv_1d.w[RW, R]",
                                         .conv_bias = "conv_1d.b",
                                         .taps_first = true,
                                         .input_gate = "rg_lru.input_gate",
                                         .recurrent_gate = "rg_lru.a_gate",
                                         .weight = ".w",
                                         .bias = ".b",
                                         .decay = "rg_lru.a_param"};

#define ST(...) st_part(b, t->module, NULL, __VA_ARGS__)

/* A gate of the recurrence: a product with diagonal blocks, stored [block, in, out]. */
static void st_gate(cJSON *b, const RgLru *t, const char *out, const char *name) {
    ST("{'out':'%s','op':'linear.blocks','x':'z','w':'@~%s%s[RB, R/RB, R/RB]','b':'@~%s%s[RB, R/RB]'}", out,
       name, t->names->weight, name, t->names->bias);
    ST("{'out':'%s','map':'sigmoid(%s)'}", out, out);
}

/* h = a h + sqrt(1 - a^2) (i z), a = exp(-8 r softplus(L)); the first token of a sequence is not scaled. */
void st_rg_lru(ImportCtx *x, cJSON *b, const char *out, const char *in, const RgLru *t) {
    const RgLruNames *n = t->names;
    model_dim(x->model, "R", t->R), model_dim(x->model, "RB", t->blocks), model_dim(x->model, "RW", t->W);
    ST("{'out':'y','op':'linear','x':'%s','w':'@~linear_y.weight[R, D]','b':'@~linear_y.bias[R]'}", in);
    ST("{'out':'y','map':'%s(y)'}", t->act);
    ST("{'out':'z','op':'linear','x':'%s','w':'@~linear_x.weight[R, D]','b':'@~linear_x.bias[R]'}", in);
    if (n->taps_first) ST("{'out':'taps','op':'transpose','x':'@~%s','perm':[1, 0]}", n->taps);
    ST("{'out':'z','op':'conv.short','x':'z','w':'%s%s','b':'@~%s[R]','state':'conv'}",
       n->taps_first ? "taps" : "@~", n->taps_first ? "" : n->taps, n->conv_bias);
    st_gate(b, t, "i", n->input_gate);
    st_gate(b, t, "r", n->recurrent_gate);
    ST("{'out':'log_a','map':'-8 * r * softplus(@~%s[R])'}", n->decay);
    ST("{'out':'pos','op':'position'}");
    ST("{'out':'a','map':'where(pos, exp(log_a), 0)'}");
    ST("{'out':'mult','map':'where(pos, sqrt(1 - exp(2 * log_a)), 1)'}");
    ST("{'out':'v','map':'mult * (i * z)'}");
    ST("{'out':'h','op':'scan.diag','a':'a','b':'v','state':'h'}");
    ST("{'out':'h','map':'h * y'}");
    ST("{'out':'%s','op':'linear','x':'h','w':'@~linear_out.weight[D, R]','b':'@~linear_out.bias[D]'}", out);
}
