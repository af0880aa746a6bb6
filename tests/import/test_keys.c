/* What is said about checkpoints that no importer reads, and which keys of a configuration may stand there.
 */
#include <stdlib.h>

#include "kit.h"

static Diag d;
static WeightSet w;

/* ---- architectures ---- */

static RawTensor NOTHING[] = {T("weight", 1, 4)};

static const struct {
    const char *config, *arch, *error, *note;
} UNREAD[] = {
    {"{'architectures':['Jamba9ForCausalLM'],'model_type':'jamba9'}", NULL,
     "\"Jamba9ForCausalLM\"; `btc list architectures`", "docs/description.md"},
    {"{'architectures':['SimpleGLAForCausalLM']}", NULL, "\"SimpleGLAForCausalLM\"",
     "writes for RetNet or GLA"},
    {"{'architectures':['Gemma4ForCausalLM']}", NULL, "\"Gemma4ForCausalLM\"; `btc list architectures`",
     "writes for Llama"},
    {"{'architectures':['PhimoeForCausalLM']}", NULL, "\"PhimoeForCausalLM\"; `btc list architectures`",
     "writes for Mixtral"},
    {"{'architectures':['Llama4ForCausalLM']}", NULL, "\"Llama4ForCausalLM\"; `btc list architectures`",
     "writes for Llama"},
    {"{'architectures':['SambaForCausalLM']}", NULL, "\"SambaForCausalLM\"; `btc list architectures`",
     "docs/description.md"},
    {"{'architectures':['mLSTMForCausalLM']}", NULL, "\"mLSTMForCausalLM\"; `btc list architectures`",
     "mlstm.json"},
    {"{'architectures':['GatedDeltaForCausalLM']}", NULL, "; `btc list architectures`", "delta-rule.json"},
    {"{'architectures':['Rwkv6ForCausalLM']}", NULL, "; `btc list architectures`", "matrix-decay.json"},
    /* A class of its own is not what its model_type's usual class is. */
    {"{'architectures':['LlamaForSequenceClassification'],'model_type':'llama'}", NULL,
     "\"LlamaForSequenceClassification\"; `btc list architectures`", "writes for Llama"},
    {"{'model_type':'yoco'}", NULL, "\"yoco\"; `btc list architectures`", "writes for RetNet or GLA"},
    {NULL, "mamba-2", "(did you mean \"mamba2\"?)", "docs/description.md"},
    {NULL, "mambo", "(did you mean \"mamba\"?)", "docs/description.md"},
    {NULL, "MambaForCasualLM", "(did you mean \"MambaForCausalLM\"?)", "docs/description.md"},
    {NULL, "jamba9", "\"jamba9\"; `btc list architectures`", "docs/description.md"},
    {NULL, "llava", "\"llava\"; `btc list architectures`", "docs/description.md"},
    {NULL, NULL, "there is no config.json beside the weights", "btc list ops"},
    {"{'hidden_size':4}", NULL, "config.json has neither \"architectures\" nor \"model_type\"",
     "btc list ops"},
};

static void ways_out(void) {
    for (size_t i = 0; i < sizeof UNREAD / sizeof *UNREAD; i++) {
        CHECK(IMPORT(&d, UNREAD[i].config, NOTHING, UNREAD[i].arch, &w) == NULL);
        CHECK_STR_CONTAINS(d.log.s, UNREAD[i].error);
        CHECK_STR_CONTAINS(d.log.s, UNREAD[i].note);
        CHECK(d.errors == 1);
    }
}

/* ---- keys ---- */

static const char *const OFF[] = {
    "'qkv_bias':false",
    "'lm_head_bias':false",
    "'use_sliding_window':false",
    "'use_qk_norm':false",
    "'sliding_window':null",
    "'sliding_window':0",
    "'attn_logit_softcapping':0",
    "'logit_scale':null",
    "'num_experts':0",
    "'n_shared_experts':0",
    "'moe':{}",
    "'no_rope_layers':[]",
    "'attention_type':'default'",
    "'adapter':''",
    "'drop_path_rate':null",
    "'ffn_dropout':0.1",
    "'embd_pdrop':0.5",
    "'layerdrop':0.25",
    "'tie_weights':false",
    "'post_norm':false",
    "'use_parallel_residual':false",
    "'rope_scaling':{}",
    "'quantization_config':null",
    "'quantization_config':{}",
    "'forced_eos_token_id':3",
    "'alibi':false",
    "'absolute_position_embeddings':false",
    "'clip_qkv':null",
    "'router_aux_loss_coef':0.1",
    "'rope_scaling':{'type':'default','finetuned':false}",
};

static const char *const ON[] = {
    "'qkv_bias':true",
    "'is_causal':false",
    "'use_rope':false",
    "'scale_attn_weights':false",
    "'norm_topk_prob':false",
    "'rms_norm':false",
    "'logit_scale':0",
    "'residual_multiplier':0",
    "'alibi':true",
    "'num_experts':8",
    "'sliding_window':4096",
    "'no_rope_layers':[1]",
    "'attention_type':'none'",
    "'position_embedding_type':'none'",
    "'do_layer_norm_before':false",
    "'attn_logit_softcapping':50.0",
    "'rope_scaling':{'type':'linear','factor':2,'finetuned':true}",
    "'attention_multiplier':1",
    "'use_qk_norm':true",
    "'embedding_multiplier':12.0",
};

static void keys_that_say_nothing_may_stand(void) {
    for (size_t i = 0; i < sizeof OFF / sizeof *OFF; i++)
        if (!CHECK(IMPORT(&d, arena_printf(a, "{" SIZES ",%s}", OFF[i]), LLAMA, NULL, &w) != NULL))
            fprintf(stderr, "%s: %s", OFF[i], d.log.s);
    for (size_t i = 0; i < sizeof ON / sizeof *ON; i++) {
        if (!CHECK(IMPORT(&d, arena_printf(a, "{" SIZES ",%s}", ON[i]), LLAMA, NULL, &w) == NULL))
            fprintf(stderr, "%s\n", ON[i]);
        CHECK_STR_CONTAINS(d.log.s, "this key is not known");
    }
    /* What is misspelt and off may be on where it is absent. */
    CHECK(IMPORT(&d, "{" SIZES ",'attenton_bias':false}", LLAMA, NULL, &w) == NULL);
    CHECK_STR_CONTAINS(d.log.s, "(did you mean \"attention_bias\"?)");
    static const char *const quantised[] = {"'quantization_config':{'quant_method':'awq','bits':4}",
                                            "'compression_config':{'format':'x'}"};
    for (size_t i = 0; i < 2; i++) {
        CHECK(IMPORT(&d, arena_printf(a, "{" SIZES ",'zzz':1,%s}", quantised[i]), LLAMA, NULL, &w) == NULL);
        CHECK_STR_CONTAINS(d.log.s,
                           i ? "compression_config: the checkpoint is quantised, and such weights"
                             : "quantization_config: the checkpoint is quantised (awq), and such weights");
        CHECK(d.errors == 1); /* the tensors and keys that follow from it need no message of their own */
    }
}

/* ---- attention that no layer has ---- */

#define GEMMA                                                                                                \
    "{'model_type':'recurrent_gemma','vocab_size':8,'hidden_size':4,'num_hidden_layers':2,"                  \
    "'num_attention_heads':2,'intermediate_size':12"

static void settings_of_absent_layers_may_be_anything(void) {
    static const char *const attention =
        ",'head_dim':3,'num_key_value_heads':5,'attention_window_size':0,'rope_theta':0,'attention_bias':7,"
        "'partial_rotary_factor':9,'rope_scaling':{'type':'x'}";
    char *text =
        IMPORT(&d, arena_printf(a, GEMMA ",'block_types':['recurrent']%s}", attention), NOTHING, NULL, &w);
    if (!CHECK(text != NULL)) fputs(d.log.s, stderr);
    CHECK(IMPORT(&d, arena_printf(a, GEMMA ",'block_types':['recurrent','attention']%s}", attention), NOTHING,
                 NULL, &w) == NULL);
    CHECK_STR_CONTAINS(d.log.s, "num_key_value_heads");
    CHECK(IMPORT(&d,
                 GEMMA ",'head_dim':4,'num_key_value_heads':1,'block_types':['attention'],'lru_width':7,"
                       "'conv1d_width':0}",
                 NOTHING, NULL, &w) != NULL);
    CHECK(IMPORT(&d, GEMMA ",'head_dim':4,'num_key_value_heads':1,'lru_width':7}", NOTHING, NULL, &w) ==
          NULL);
    CHECK_STR_CONTAINS(d.log.s, "lru_width: is not a multiple");
    CHECK(IMPORT(&d,
                 "{" SIZES ",'architectures':['Qwen3ForCausalLM'],'use_sliding_window':false,"
                 "'sliding_window':-1,'max_window_layers':-1}",
                 LLAMA, NULL, &w) != NULL);
}

/* ---- names ---- */

static void wrappers_are_named(void) {
    size_t n = sizeof LLAMA / sizeof *LLAMA;
    static const char *const wrappers[] = {"_orig_mod.", "module.", "model.", "_orig_mod.module."};
    for (int k = 0; k < 4; k++) {
        RawTensor t[sizeof LLAMA / sizeof *LLAMA];
        for (size_t i = 0; i < n; i++)
            t[i] = LLAMA[i], t[i].name = arena_printf(a, "%s%s", wrappers[k], LLAMA[i].name);
        char *text = import_made_up(&d, "{" SIZES "}", t, n, NULL, &w);
        Module *m = CHECK(text != NULL) ? desc_load(&d, a, "g.json", text, strlen(text), &w) : NULL;
        CHECK(m && !desc_check_weights(&d, a, m, &w));
        CHECK_STR_CONTAINS(d.log.s,
                           arena_printf(a, "(did you mean \"%smodel.embed_tokens.weight\"?)", wrappers[k]));
        CHECK_STR_CONTAINS(d.log.s, arena_printf(a, "the names of the file begin with \"%s\"", wrappers[k]));
    }
}

int main(void) {
    a = arena_new();
    if (!CHECK(mkdtemp(temp) != NULL)) return 1;
    ways_out();
    keys_that_say_nothing_may_stand();
    settings_of_absent_layers_may_be_anything();
    wrappers_are_named();
    put_config("config.json", NULL);
    rmdir(temp);
    arena_free(a);
    return check_report("keys");
}
