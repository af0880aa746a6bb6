/* Importers of attention models: what variations of a configuration make of the description, and what is refused. */
#include <string.h>

#include "kit.h"

#define GEMMA(version)                                                                                       \
    "'architectures':['Gemma" version                                                                        \
    "ForCausalLM'],'vocab_size':8,'hidden_size':4,'intermediate_size':6,'num_attention_heads':2"
#define GPT2 "'architectures':['GPT2LMHeadModel'],'vocab_size':8,'n_embd':4,'n_head':2,'n_positions':9"
#define NEOX                                                                                                 \
    "'architectures':['GPTNeoXForCausalLM'],'vocab_size':8,'hidden_size':16,'intermediate_size':6,"          \
    "'num_hidden_layers':2,'num_attention_heads':2"
#define OPT                                                                                                  \
    "'architectures':['OPTForCausalLM'],'vocab_size':8,'hidden_size':4,'ffn_dim':6,'num_hidden_layers':2,"   \
    "'num_attention_heads':2,'max_position_embeddings':9"
#define PHI3                                                                                                 \
    "'architectures':['Phi3ForCausalLM'],'vocab_size':8,'hidden_size':8,'intermediate_size':6,"              \
    "'num_hidden_layers':2,'num_attention_heads':2"
#define DEEPSEEK(version)                                                                                    \
    "'architectures':['DeepseekV" version                                                                    \
    "ForCausalLM'],'vocab_size':8,'hidden_size':4,'num_attention_heads':2,'num_hidden_layers':2,"            \
    "'intermediate_size':6,'moe_intermediate_size':3,'n_routed_experts':8,'num_experts_per_tok':2,"          \
    "'n_group':2,'topk_group':1,'qk_nope_head_dim':3,'qk_rope_head_dim':6,'v_head_dim':5,'kv_lora_rank':7"
#define GPT_OSS                                                                                              \
    "'architectures':['GptOssForCausalLM'],'vocab_size':8,'hidden_size':4,'intermediate_size':6,"            \
    "'num_hidden_layers':3,'num_local_experts':4,'num_experts_per_tok':2"

/* holds, lacks: parts of the description; error: what is said instead of one. */
static const struct {
    const char *config, *holds, *lacks, *error;
} VARIATIONS[] = {
    /* Gemma: null and absent caps differ; one layer in two, or in six, sees everything. */
    {"{" GEMMA("2") ",'num_hidden_layers':3}", "'pattern': ['sliding', 'full']", NULL, NULL},
    {"{" GEMMA("2") ",'num_hidden_layers':3}", "'softcap': 50", NULL, NULL},
    {"{" GEMMA("2") ",'num_hidden_layers':3}", "30 * tanh(logits / 30)", NULL, NULL},
    {"{" GEMMA("2") ",'num_hidden_layers':3,'attn_logit_softcapping':null}", "'scale': 0.0625", "'softcap'",
     NULL},
    {"{" GEMMA("2") ",'num_hidden_layers':2,'use_bidirectional_attention':true}", NULL, NULL,
     "use_bidirectional_attention: only false is supported"},
    {"{" GEMMA("") ",'num_hidden_layers':2,'hidden_act':'gelu'}", "gelu_tanh(gate)", "post_feedforward",
     NULL},
    {"{" GEMMA(
         "3") ",'num_hidden_layers':3,'sliding_window_pattern':3,'rope_theta':77,'rope_local_base_freq':55}",
     "'theta': 55", NULL, NULL},
    {"{" GEMMA(
         "3") ",'num_hidden_layers':3,'sliding_window_pattern':3,'rope_theta':77,'rope_local_base_freq':55}",
     "'theta': 77", NULL, NULL},
    {"{" GEMMA("3") ",'num_hidden_layers':2,'layer_types':['sliding_attention','sliding_attention'],'rope_"
                    "parameters':"
                    "{'full_attention':{'rope_theta':77},'sliding_attention':{'rope_theta':55}}}",
     "'theta': 55", "'theta': 77", NULL},
    {"{" GEMMA("3") ",'num_hidden_layers':2,'sliding_window':0}", NULL, NULL,
     "sliding_window: must be at least 1"},
    /* GPT-2: a block for each scale; positions are rows of a table. */
    {"{" GPT2 ",'n_layer':3,'scale_attn_by_inverse_layer_idx':true}",
     "'pattern': ['layer0', 'layer1', 'layer2']", NULL, NULL},
    {"{" GPT2 ",'n_layer':3,'scale_attn_weights':false}", "'scale': 1", NULL, NULL},
    {"{" GPT2 ",'n_layer':3}", "'table': '@transformer.wpe.weight[9, D]'", "slice", NULL},
    {"{" GPT2 ",'n_layer':3}", "'context': 9", NULL, NULL},
    {"{" GPT2 ",'n_layer':3,'add_cross_attention':true}", NULL, NULL, "add_cross_attention: only false"},
    {"{'architectures':['GPT2LMHeadModel'],'n_embd':5,'n_head':2,'n_layer':1}", NULL, NULL,
     "n_head: 2 heads do not share the model's width, 5, evenly"},
    {"{" NEOX ",'rotary_pct':0.5,'rotary_emb_base':99}", "'theta': 99, 'dims': 4", NULL, NULL},
    {"{" NEOX ",'rotary_pct':0.5,'partial_rotary_factor':0.25}", NULL, NULL,
     "partial_rotary_factor: is 0.25, but rotary_pct is 0.5"},
    {"{" NEOX ",'rope_parameters':{'rope_theta':99},'rotary_emb_base':98}", NULL, NULL,
     "rope_theta: is 98, but 99 in rope_parameters"},
    {"{" NEOX ",'hidden_act':'quick_gelu'}", "quick_gelu(up)", NULL, NULL},
    {"{" OPT "}", "'start': 2, 'size': 9", "project_in", NULL},
    {"{" OPT ",'word_embed_proj_dim':3}", "'w': '@model.decoder.project_out.weight[DE, D]'", NULL, NULL},
    {"{" OPT ",'do_layer_norm_before':false}", "'out': 'x', 'op': 'norm.layer', 'x': 'x'",
     "@model.decoder.final_layer_norm", NULL},
    {"{" OPT ",'layer_norm_elementwise_affine':false}", "'op': 'norm.layer', 'x': 'x', 'eps': 1e-05",
     "@final_layer_norm", NULL},
    {"{" PHI3
     ",'max_position_embeddings':99,'original_max_position_embeddings':33,'rope_scaling':{'type':'su',"
     "'short_factor':[1,2],'long_factor':[3,4]}}",
     "'context': 33", NULL, NULL},
    /* A window as wide as the longest sequence is none. */
    {"{" PHI3 ",'sliding_window':4096}", "'context': 4096", "'window'", NULL},
    {"{" PHI3 ",'sliding_window':4095}", "'window': 4095", "'context'", NULL},
    {"{" PHI3 ",'rope_scaling':{'type':'longrope','short_factor':[1],'long_factor':[3,4]}}", NULL, NULL,
     "short_factor: must be a list of 2 numbers"},
    {"{" PHI3 ",'rope_scaling':{'type':'dynamic','factor':2}}", "'context': 4096", "'freqs'", NULL},
    /* DeepSeek: pairs or halves turn; null says that queries have no latent vector. */
    {"{" DEEPSEEK("2") "}", "'layout': 'pairs'", NULL, NULL},
    {"{" DEEPSEEK("3") ",'rope_interleave':false}", "q_a_layernorm", "'pairs'", NULL},
    {"{" DEEPSEEK("3") ",'q_lora_rank':null}", "@self_attn.q_proj.weight[LH*(LN + LR), D]", "q_a_proj", NULL},
    {"{" DEEPSEEK("3") ",'rope_scaling':{'type':'yarn','factor':40,'mscale':0.707,'mscale_all_dim':0.707,"
                       "'original_max_position_embeddings':4096}}",
     "'scale': 0.5298", NULL, NULL}, /* 1.2608^2 / 3 */
    {"{" DEEPSEEK("3") ",'first_k_dense_replace':2}", "'pattern': ['dense']", "expert", NULL},
    {"{" DEEPSEEK("2") ",'topk_method':'noaux_tc'}", NULL, NULL, "topk_method: must be \"greedy\" or"},
    {"{" DEEPSEEK("3") ",'moe_layer_freq':2}", NULL, NULL, "moe_layer_freq: only 1 is supported"},
    {"{" GPT_OSS ",'rope_scaling':{'rope_type':'default'}}", "'sinks': '@self_attn.sinks[H]'", NULL, NULL},
    {"{" GPT_OSS ",'rope_scaling':{'rope_type':'default'}}", "'pattern': ['sliding', 'full']", NULL, NULL},
    {"{" GPT_OSS "}", NULL, NULL, "rope_scaling: the key is missing, as is rope_parameters"},
};

static RawTensor NOTHING[] = {T("weight", 1, 4)};

/* With " for ', and lists on one line, as the templates have them. */
static char *flat(const char *text) {
    Text t = text_new(a);
    for (const char *p = text; *p; p++) {
        if (*p == '\n' || (*p == ' ' && p > text && (p[-1] == '\n' || p[-1] == ' '))) continue;
        text_add_n(&t, p, 1);
    }
    return t.s;
}

static void variations(void) {
    Diag d;
    WeightSet w;
    for (size_t i = 0; i < sizeof VARIATIONS / sizeof *VARIATIONS; i++) {
        const char *error = VARIATIONS[i].error, *lacks = VARIATIONS[i].lacks;
        char *text = IMPORT(&d, VARIATIONS[i].config, NOTHING, NULL, &w);
        if (error) {
            CHECK(text == NULL);
            CHECK_STR_CONTAINS(d.log.s, error);
        } else if (CHECK(text != NULL)) {
            CHECK_STR_CONTAINS(flat(text), quoted(VARIATIONS[i].holds));
            if (lacks && !CHECK(!strstr(flat(text), quoted(lacks))))
                fprintf(stderr, "%s\nholds %s\n", VARIATIONS[i].config, lacks);
        } else {
            fprintf(stderr, "%s\n%s", VARIATIONS[i].config, d.log.s);
        }
    }
}

/* Layers behind the model's own predict further tokens: they are left out, and others are an error. */
static void more_layers(void) {
    static RawTensor three[] = {T("model.layers.0.input_layernorm.weight", 1, 4),
                                T("model.layers.1.input_layernorm.weight", 1, 4),
                                T("model.layers.2.input_layernorm.weight", 1, 4)};
    Diag d;
    WeightSet w;
    char *text = IMPORT(&d, "{" DEEPSEEK("3") ",'num_nextn_predict_layers':1}", three, NULL, &w);
    if (CHECK(text != NULL)) CHECK_STR_CONTAINS(text, "\"ignore\": [\"model.layers.2.*\"]");
    CHECK_STR_CONTAINS(d.log.s, "model.layers.2.input_layernorm.weight: is not used: the layer predicts");
    CHECK(IMPORT(&d, "{" DEEPSEEK("3") ",'num_nextn_predict_layers':0}", three, NULL, &w) == NULL);
    CHECK_STR_CONTAINS(d.log.s, "num_hidden_layers: is 2, but the checkpoint holds 3 layers");
}

/* Files of GPT-2 and OPT come with and without the class before their names. */
static void short_names(void) {
    static RawTensor gpt2[] = {T("wte.weight", 2, 8, 4)}, opt[] = {T("decoder.embed_tokens.weight", 2, 8, 4)};
    Diag d;
    WeightSet w;
    char *text = IMPORT(&d, "{" GPT2 ",'n_layer':1}", gpt2, NULL, &w);
    if (CHECK(text != NULL)) CHECK_STR_CONTAINS(text, "\"prefix\": \"h.{i}.\"");
    text = IMPORT(&d, "{" OPT "}", opt, NULL, &w);
    if (CHECK(text != NULL)) CHECK_STR_CONTAINS(text, "\"prefix\": \"decoder.layers.{i}.\"");
}

int main(void) {
    a = arena_new();
    if (!CHECK(mkdtemp(temp) != NULL)) return 1;
    variations();
    more_layers();
    short_names();
    put_config("config.json", NULL);
    rmdir(temp);
    arena_free(a);
    return check_report("transformers");
}
