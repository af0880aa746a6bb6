/* Importers: every conformance checkpoint becomes a description that loads, uses all tensors and verifies;
 * broken configurations are refused by name. argv[1]: the folder of the conformance cases. */
#include <math.h>
#include <stdlib.h>

#include <dirent.h>

#include "kit.h"
#include "tools/described.h"

static const char *cases = "tests/conformance";

/* ---- checkpoints ---- */

static const struct {
    const char *folder, *arch; /* arch NULL: found out */
    const char *holds;         /* part of the description */
} CASES[] = {
    {"hf-mamba", NULL, "\"op\": \"scan.expand\""},
    {"hf-mamba", "MAMBAFORCAUSALLM", "\"MR\": 5"},
    {"hf-mamba-tiedless", NULL, "@lm_head.weight[V, D]"},
    {"hf-mamba2", NULL, "\"groups\": \"MG\""},
    {"hf-mamba2-codestral", "Mamba2ForCausalLM", "\"MG\": 4"},
    {"hf-mamba2-limit", NULL, "minimum(dt, 1.5)"},
    {"mamba3-siso", NULL, "where(a >= 0, 1 + a, 1 / (1 - a))"},
    {"mamba3-siso", "mamba3-softplus", "maximum(softplus(a), 0.5)"},
    {"mamba3-fla", NULL, "maximum(softplus(a), 0.0001)"},
    {"mamba3-fla", "mamba3-reciprocal", "where(a >= 0, 1 + a, 1 / (1 - a))"},
    {"mamba3-mimo", NULL, "\"writes\": \"2*MR\", \"reads\": \"MR\""},
    {"linear-attention", NULL, "\"input\": { \"features\": \"D\" }"},
    {"retnet", NULL, "@retention.g_proj.weight[DH*DP, D]"},
    {"retnet-scaled", "retnet", "@decoder.layernorm_embedding.weight[D]"},
    {"gsa", NULL, "\"op\": \"scan.expand\""},
    {"hgrn2", NULL, "(1 - low) * sigmoid(-f)"},
    {"hf-qwen3-next", NULL, "@linear_attn.in_proj_qkvz.weight[2*DG*DK + 2*DH*DP, D]"},
    {"hf-qwen3.5", "qwen3_5_text", "@linear_attn.in_proj_z.weight[DH*DP, D]"},
    {"hf-qwen3.5-moe", NULL, "@mlp.shared_expert_gate.weight"},
    {"hf-olmo-hybrid", NULL, "2 * sigmoid(beta)"},
    {"hf-kimi-linear", NULL, "-exp(@self_attn.A_log[DH, 1]) * softplus(d)"},
    {"hf-bailing-hybrid", NULL, "\"min_decay\": -5"},
    {"hf-minimax", NULL, "1.2 * u + 0.9 * o"},
    {"hf-xlstm", NULL, "5 * tanh(logits / 5)"},
    {"rwkv4", NULL, "\"op\": \"scan.max\""},
    {"rwkv4/model.pth", "rwkv4", "\"A\": 36"},
    {"hf-rwkv4", NULL, "@attention.time_mix_receptance[D]"},
    {"hf-rwkv4-wide", "rwkv", "@attention.output.weight[D, A]"},
    {"rwkv5", NULL, "@att.time_decay[H, N]"},
    {"rwkv6", NULL, "@att.time_maa_w2[5, Rm, D]"},
    {"rwkv7-fla", NULL, "@attn.w_lora.lora.2.bias[H*N]"},
    {"rwkv7", NULL, "\"out\": [\"x\", \"v_first\"]"},
    {"rwkv7/model.pth", NULL, "\"state\": \"ffn_x\""},
    {"rwkv7", "rwkv7", "\"min_decay\": -0.6065306597126334"},
    {"hf-recurrent-gemma", NULL, "x * 6.9375"},
    {"hf-recurrent-gemma-window", "RecurrentGemmaForCausalLM", "\"window\": 16"},
    {"griffin", NULL, "\"window\": 17"},
    {"griffin/model.pt", "griffin", "\"x\": \"@mlp_block.ffw_up.w[2, D, F]\""},
    {"hawk", "hawk", "@recurrent_block.conv_1d.w[RW, R]"},
    {"gru", NULL, "n_x + sigmoid(r)*n_w"},
    {"lstm", "LSTM", "@weight_ih_l1[4*H, P]"},
    {"lstm-proj", NULL, "\"proj\": \"@weight_hr_l0[P, H]\""},
    {"s4", NULL, "\"length\": 64"},
    {"s4-raw-rank2", "s4", "\"rank\": 2"},
    {"s4-v3", NULL, "@kernel.kernel.inv_w_real[SC, SN]"},
    {"s4-bidirectional", NULL, "\"op\": \"reverse\""},
    {"s4d", NULL, "\"rule\": \"hold\""},
    {"s4d-full-zoh", "S4Block", "\"SC\": 3"},
    {"s4d-full-bilinear", NULL, "\"rule\": \"bilinear\""},
    {"xlstm-small", NULL, "\"gates\": \"i f z o\""},
    {"mad-hyena-swiglu", NULL, "@1.long_conv.filter.implicit_filter.6.weight[HC0, HF0]"},
    {"mad-mh-hyena", NULL, "\"shape\": [\"HC0\", 4, 4]"},
    {"h3", NULL, "\"op\": \"correlate\""},
    {"stripedhyena", NULL, "\"shape\": [\"FH\", 3, \"D/FH\"]"},
    {"stripedhyena-evo", "evo", "x / (sqrt(size) + 1e-06)"},
    {"lstm-bidirectional", NULL, "\"in\": [\"forwards\", \"backwards\"]"},
    {"mingru", NULL, "sigmoid(-z)"},
    {"minlstm", NULL, "softplus(-f) - softplus(-i)"},
    {"hyena-lm", NULL, "\"op\": \"conv.long\""},
    {"hyena-order2", "hyena", "\"expose\": { \"filter\": \"h\" }"},
    {"hyena-order3", NULL, "\"shape\": [\"D\", \"O-1\", \"L\"]"},
    {"hyena-order3-standalone", NULL, "\"start\": \"1*D\""},
    {"hf-llama", NULL, "\"context\": 2048"},
    {"hf-llama3-rope", NULL, "\"freqs\": \"freqs\""},
    {"hf-qwen2", NULL, "\"theta\": 1000000"},
    {"hf-qwen3", "qwen3", "@self_attn.q_norm.weight[K]"},
    {"hf-mistral-swa", NULL, "\"window\": 12"},
    {"hf-falcon-mamba", NULL, "\"x\": \"r\", \"eps\": 0.0001"},
    {"linear-attention-fla", NULL, "one * two"},
    {"gla", NULL, "-softplus(-d) / 16"},
    {"retnet-fla", NULL, "\"shape\": [\"DH\", 1]"},
    {"deltanet", NULL, "-reader * beta0\""},
    {"gated-deltanet", "gated_deltanet", "-reader * beta0 * exp(d)"},
    {"gated-deltaproduct", NULL, "\"writes\": 2"},
    {"comba", NULL, "sigmoid(@attn.decay[DG, 1]) * k0"},
    {"hf-mixtral", NULL, "experts.{0..E}.w1.weight[E, EF, D]"},
};

/* The description loads, all tensors are used, the module verifies, and its text reads back. */
static void check_description(Diag *d, const char *text, WeightSet *w) {
    Module *m = desc_load(d, a, "generated.json", text, strlen(text), w);
    if (!CHECK(m != NULL)) return;
    CHECK(desc_check_weights(d, a, m, w));
    CHECK(ir_verify(d, m));
    char *ir = ir_print_module(a, m);
    Module *again = ir_parse(d, a, "generated.btir", ir);
    CHECK(again && strcmp(ir_print_module(a, again), ir) == 0);
}

static int count_of(const char *text, const char *part) {
    int n = 0;
    for (; (text = strstr(text, part)); text += strlen(part)) n++;
    return n;
}

/* holds: part of the description, or NULL. */
static void test_checkpoint(const char *folder, const char *arch, const char *holds) {
    const char *path = arena_printf(a, "%s/%s", cases, folder);
    Diag d = diag_new(a, NULL);
    WeightSet w;
    if (CHECK(weights_open(&d, a, path, &w))) {
        char *text = import_model(&d, a, path, &w, &(ImportOptions){.arch = arch});
        if (CHECK(text != NULL)) {
            if (holds) CHECK_STR_CONTAINS(text, holds);
            check_description(&d, text, &w);
        }
    }
    /* configurations of small models keep the ids of the great ones */
    int usual =
        count_of(d.log.s, "is no id of the vocabulary") + count_of(d.log.s, "rotary frequencies follow");
    if (!CHECK(d.errors == 0 && d.warnings == usual)) fprintf(stderr, "%s:\n%s", folder, d.log.s);
    weights_close(&w);
}

static bool test_case_word(void *user, const char *word) {
    (void)user;
    test_checkpoint(word, NULL, NULL);
    return false;
}

static bool equals_word(void *user, const char *word) {
    return strcmp(user, word) == 0;
}

/* Every importer names its cases, and every case in the folder belongs to one importer, or to a description. */
static void test_cases_of_importers(void) {
    struct dirent **all;
    for (int i = 0; i < IMPORTER_COUNT; i++) {
        CHECK(*IMPORTERS[i]->cases && *IMPORTERS[i]->recurrence);
        import_find_word(a, IMPORTERS[i]->cases, test_case_word, NULL);
    }
    int n = scandir(cases, &all, NULL, alphasort);
    for (int k = 0; k < n; k++) {
        char *name = arena_strdup(a, all[k]->d_name);
        int named = 0;
        for (int i = 0; i < IMPORTER_COUNT; i++)
            named += import_find_word(a, IMPORTERS[i]->cases, equals_word, name) != NULL;
        bool is_case = file_exists(arena_printf(a, "%s/%s/case.json", cases, name));
        if (is_case && !CHECK(named + (described(a, name) != NULL) == 1))
            fprintf(stderr, "%s: %d importers name this case\n", name, named);
        free(all[k]);
    }
    if (n >= 0) free(all);
}

/* ---- made-up checkpoints ---- */

/* A filter of which only the trained parts are in the file, and `freq` once. */
static RawTensor HYENA[] = {
    T("filter_fn.bias", 1, 4),
    T("filter_fn.implicit_filter.0.bias", 1, 3),
    T("filter_fn.implicit_filter.0.weight", 2, 3, 5),
    T("filter_fn.implicit_filter.1.freq", 2, 1, 3),
    T("filter_fn.implicit_filter.2.bias", 1, 3),
    T("filter_fn.implicit_filter.2.weight", 2, 3, 3),
    T("filter_fn.implicit_filter.4.bias", 1, 3),
    T("filter_fn.implicit_filter.4.weight", 2, 3, 3),
    T("filter_fn.implicit_filter.6.weight", 2, 4, 3),
    T("in_proj.bias", 1, 12),
    T("in_proj.weight", 2, 12, 4),
    T("out_proj.bias", 1, 4),
    T("out_proj.weight", 2, 4, 4),
    T("short_filter.bias", 1, 12),
    T("short_filter.weight", 3, 12, 1, 3),
};

static RawTensor RWKV_7A[] = {T("blocks.0.att.r_k", 2, 2, 4), T("blocks.0.ffn.s_emb.weight", 2, 8, 16),
                              T("emb.weight", 2, 8, 8)};
static RawTensor NOTHING[] = {T("weight", 1, 4)};

/* ---- activations ---- */

/* An activation that a configuration names holds wherever the original applies it, and nowhere else. Each row
 * names all uses of activations in a description, in their order. */
static const struct {
    const char *config, *uses;
} ACTIVATIONS[] = {
    {"{" SIZES ",'hidden_act':'relu'}", "relu(gate)"},
    {"{" SIZES ",'hidden_act':'gelu_fast'}", "gelu_tanh(gate)"},
    {"{" SIZES ",'hidden_act':'gelu_python'}", "gelu(gate)"},
    {"{" SIZES ",'architectures':['MixtralForCausalLM'],'hidden_act':'relu'}", "relu(gate)"},
    {"{'model_type':'mamba','architectures':['MambaForCausalLM'],'hidden_act':'relu'}", "relu(c) silu(z)"},
    {"{'architectures':['FalconMambaForCausalLM'],'hidden_act':'relu'}", "relu(c) silu(z)"},
    {"{'architectures':['Mamba2ForCausalLM'],'hidden_act':'relu'}", "relu(c) silu(z)"},
    {"{'model_type':'recurrent_gemma','architectures':['RecurrentGemmaForCausalLM'],"
     "'hidden_activation':'relu'}",
     "relu(y) relu(gate) relu(gate)"},
    {"{'d_model':4,'l_max':9,'emb_dim':5,'filter_order':3,'activation':'relu'}", "relu(y)"},
};

static const char *activations_of(const char *text) {
    static const char *const names[] = {"silu(", "gelu(", "gelu_tanh(", "relu("};
    Text uses = text_new(a);
    for (const char *p = text + 1; *p; p++)
        for (int i = 0; i < 4; i++)
            if (p[-1] != '_' && !strncmp(p, names[i], strlen(names[i])))
                text_add(&uses, "%s%.*s)", *uses.s ? " " : "", (int)strcspn(p, ")"), p);
    return uses.s;
}

static void test_activations(void) {
    Diag d;
    WeightSet w;
    for (size_t i = 0; i < sizeof ACTIVATIONS / sizeof *ACTIVATIONS; i++) {
        bool hyena = strstr(ACTIVATIONS[i].config, "d_model") != NULL;
        char *text = hyena ? IMPORT(&d, ACTIVATIONS[i].config, HYENA, NULL, &w)
                           : IMPORT(&d, ACTIVATIONS[i].config, NOTHING, NULL, &w);
        if (!CHECK(text && !strcmp(activations_of(text), ACTIVATIONS[i].uses)))
            fprintf(stderr, "%s: %s\n", ACTIVATIONS[i].config, text ? activations_of(text) : d.log.s);
    }
}

/* ---- mistakes in configurations ---- */

static const struct {
    const char *config, *message;
} MISTAKES[] = {
    {"{" SIZES ",'attention_bais':true}", "attention_bais: this key is not known, and it might change the "
                                          "model's numbers (did you mean \"attention_bias\"?)"},
    {"{" SIZES ",'quantization_config':{'bits':4}}",
     "quantization_config: the checkpoint is quantised, and such weights are not read"},
    {"{" SIZES ",'rms_norm_eps':NaN}", "rms_norm_eps: is NaN"},
    {"{" SIZES ",'rms_norm_eps':-Infinity}", "rms_norm_eps: must be at least 0, got -inf"},
    {"{" SIZES ",'rms_norm_eps':{'__float__':'Infinity'}}", "rms_norm_eps: inf is too large"},
    {"{" SIZES ",'rms_norm_eps':1e300}", "rms_norm_eps: 1e+300 is too large: models compute in f32"},
    {"{" SIZES ",'rms_norm_eps':1e-60}", "rms_norm_eps: 1e-60 is too small: models compute in f32"},
    {"{" SIZES ",'rms_norm_eps':-1e-05}", "rms_norm_eps: must be at least 0, got -1e-05"},
    {"{" SIZES ",'rope_theta':1e39}", "rope_theta: 1e+39 is too large"},
    {"{" SIZES ",'partial_rotary_factor':1.5}",
     "partial_rotary_factor: must be above 0 and at most 1, got 1.5"},
    {"{" SIZES ",'partial_rotary_factor':0.5}",
     "partial_rotary_factor: heads of this architecture turn as a whole: it must be 1, is 0.5"},
    {"{" SIZES ",'rope_scaling':{'type':'linear','factor':-2}}", "factor: must be above 0, got -2"},
    {"{" SIZES ",'rope_theta':1e30,'rope_scaling':{'type':'linear','factor':1e37}}",
     "rope_scaling.factor: frequency 1 that it makes: 1.15478e-38 is too small"},
    {"{" SIZES ",'rope_scaling':{'type':'yarn','factor':4,'attention_factor':0}}",
     "attention_factor: must be above 0, got 0"},
    {"{" SIZES ",'rope_scaling':{'type':'yarn','factor':4,'mscale':-9,'mscale_all_dim':1}}",
     "rope_scaling.attention_factor: must be above 0, got -"},
    {"{" SIZES ",'rope_scaling':{'type':'yarn','factor':4,'beta_fast':-32}}",
     "beta_fast: must be above 0, got -32"},
    {"{" SIZES ",'rope_scaling':{'type':'longrope','original_max_position_embeddings':1}}",
     "rope_scaling.attention_factor: inf is too large"},
    {"{'model_type':'mamba','architectures':['MambaForCausalLM'],'layer_norm_epsilon':-1}",
     "layer_norm_epsilon: must be at least 0, got -1"},
    {"{'architectures':['FalconMambaForCausalLM'],'mixer_rms_eps':1e39}",
     "mixer_rms_eps: 1e+39 is too large"},
    {"{'architectures':['Mamba2ForCausalLM'],'time_step_limit':[0,1,2]}",
     "time_step_limit: must be two numbers, a lower limit and an upper one, got 3"},
    {"{'architectures':['Mamba2ForCausalLM'],'time_step_limit':[-1,1]}",
     "time_step_limit: the lower limit: must be at least 0, got -1"},
    {"{'architectures':['Mamba2ForCausalLM'],'time_step_limit':[0,1e39]}",
     "time_step_limit: the upper limit: 1e+39 is too large"},
    {"{'architectures':['Mamba2ForCausalLM'],'time_step_limit':[2,1]}",
     "time_step_limit: the lower limit, 2, is above the upper one, 1"},
    {"{'architectures':['RecurrentGemmaForCausalLM'],'logits_soft_cap':0}",
     "logits_soft_cap: must be above 0 and at most 1e+30, got 0"},
    {"{'architectures':['hyena'],'d_model':4,'l_max':9,'target':-1}", "target: must be above 0, got -1"},
    {"{'architectures':['hyena'],'d_model':4,'l_max':9,'fast_decay_pct':0}",
     "fast_decay_pct: must be above 0, got 0"},
    {"{'model_type':'llama','vocab_size':8,'hidden_size':4,'num_hidden_layers':2,'num_attention_heads':1,"
     "'head_dim':64,'intermediate_size':6}",
     "num_hidden_layers: is 2, but the checkpoint holds 1 layers, up to model.layers.0"},
    {"{" SIZES ",'architectures':['MistralForCausalLM'],'sliding_window':0}",
     "sliding_window: must be at least 1; null says that there is no window"},
    {"{" SIZES ",'architectures':['MixtralForCausalLM'],'sliding_window':0}",
     "sliding_window: must be at least 1"},
    {"{" SIZES ",'num_hidden_layers':1000000}", "is given twice"},
    {"{" SIZES ",'architectures':['MixtralForCausalLM'],'num_local_experts':2,'num_experts_per_tok':3}",
     "num_experts_per_tok: is 3, but there are only 2 experts"},
    {"{" SIZES ",'architectures':['MixtralForCausalLM'],'num_local_experts':4,'num_experts':5}",
     "num_local_experts: is 4, but num_experts is 5"},
    {"{" SIZES ",'architectures':['DeepseekV3ForCausalLM'],'n_routed_experts':6,'n_group':4,"
     "'num_experts_per_tok':3,'moe_intermediate_size':5}",
     "n_group: 6 experts do not fall into 4 groups of one size, at least 2"},
    {"{" SIZES ",'architectures':['DeepseekV3ForCausalLM'],'n_routed_experts':6,'n_group':3,'topk_group':1,"
     "'num_experts_per_tok':3,'moe_intermediate_size':5}",
     "topk_group: 1 of 3 groups with 2 experts each do not hold the 3 that are chosen"},
    {"{" SIZES ",'architectures':['Qwen2MoeForCausalLM'],'use_sliding_window':true}",
     "use_sliding_window: needs \"layer_types\""},
    {"{" SIZES ",'architectures':['GptOssForCausalLM'],'quantization_config':{'quant_method':'mxfp4'}}",
     "quantization_config: the checkpoint is quantised (mxfp4), and such weights are not read"},
    {"{" SIZES ",'rms_norm_eps':'1e-5'}", "rms_norm_eps: must be a number, got the string"},
    {"{" SIZES ",'hidden_act':'selu'}", "hidden_act: unknown activation \"selu\" (did you mean"},
    {"{" SIZES ",'num_key_value_heads':2.5}", "num_key_value_heads: must be a whole number"},
    {"{" SIZES ",'num_key_value_heads':0}", "num_key_value_heads: must be at least 1"},
    {"{" SIZES ",'attention_bias':1}", "attention_bias: must be true or false, got the number 1"},
    {"{" SIZES ",'layer_types':['full_attention','full_attention']}",
     "layer_types: must have one entry per layer"},
    {"{" SIZES ",'layer_types':['mamba']}", "unknown kind of layer \"mamba\""},
    {"{" SIZES ",'layer_types':['sliding_attention']}",
     "all layers of this architecture have no window, whatever this list says"},
    {"{" SIZES ",'architectures':['MistralForCausalLM'],'layer_types':['full_attention']}",
     "all layers of this architecture have the window"},
    {"{" SIZES ",'architectures':['Qwen3ForCausalLM'],'layer_types':['sliding_attention']}",
     "layer_types has sliding layers, but there is no window"},
    {"{" SIZES ",'layer_types':[1]}", "unknown kind of layer \"\""},
    {"{" SIZES ",'add_cross_attention':true}", "add_cross_attention: this key is not known"},
    {"{" SIZES ",'pruned_heads':{'0':[1]}}", "pruned_heads: this key is not known"},
    {"{" SIZES ",'tie_weights':true}", "tie_weights: this key is not known"},
    {"{" SIZES ",'rope_theta':5,'rope_parameters':{'rope_theta':6}}",
     "rope_theta: is 5, but 6 in rope_parameters"},
    {"{" SIZES ",'rope_scaling':{'type':'linear','factor':2},'rope_parameters':{'rope_type':'linear',"
     "'factor':4}}",
     "rope_scaling: its \"factor\" is not that of rope_parameters"},
    {"{" SIZES ",'rope_scaling':{'type':'linear'}}", "rope_scaling.factor: the key is missing"},
    {"{" SIZES ",'rope_scaling':{'type':'llama3','factor':2,'low_freq_factor':4,'high_freq_factor':1,"
     "'original_max_position_embeddings':64}}",
     "high_freq_factor: must be above low_freq_factor"},
    {"{" SIZES ",'rope_scaling':{'type':'dynamic'}}", "rope_scaling.factor: the key is missing"},
    {"{" SIZES ",'rope_scaling':{'type':'yarn','original_max_position_embeddings':64},"
     "'original_max_position_embeddings':32}",
     "original_max_position_embeddings: is 32, but 64 in rope_scaling"},
    {"{" SIZES ",'rope_scaling':{'type':'yarm','factor':2}}",
     "unknown kind \"yarm\" (did you mean \"yarn\"?)"},
    {"{" SIZES ",'rope_scaling':{'type':'linear','factor':2,'offset':1}}",
     "rope_scaling.offset: this key is not known"},
    {"{" SIZES ",'rope_theta':0}", "rope_theta: must be above 1, got 0"},
    {"{'model_type':'llama','hidden_size':4}", "num_hidden_layers: the key is missing"},
    {"{'model_type':'bloom'}", "no importer for the architecture \"bloom\"; `btc list architectures` lists"},
    {"{'model_type':'llama','model_type':'llama'}", "the key \"model_type\" is given twice"},
    {"{" SIZES, "config.json:1:"},
    {"[]", "must be an object"},
};

static void test_mistakes(void) {
    Diag d;
    WeightSet w;
    for (size_t i = 0; i < sizeof MISTAKES / sizeof *MISTAKES; i++) {
        CHECK(IMPORT(&d, MISTAKES[i].config, LLAMA, NULL, &w) == NULL);
        CHECK_STR_CONTAINS(d.log.s, MISTAKES[i].message);
    }
    CHECK(IMPORT(&d, NULL, NOTHING, NULL, &w) == NULL);
    CHECK_STR_CONTAINS(d.log.s, "give it with --arch=NAME");
    CHECK(IMPORT(&d, NULL, NOTHING, "mambo", &w) == NULL);
    CHECK_STR_CONTAINS(d.log.s, "no importer for the architecture \"mambo\" (did you mean \"mamba\"?)");
    CHECK(IMPORT(&d, NULL, RWKV_7A, NULL, &w) == NULL);
    CHECK_STR_CONTAINS(d.log.s, "DeepEmbed");
    CHECK(IMPORT(&d, NULL, NOTHING, "rwkv7", &w) == NULL);
    CHECK_STR_CONTAINS(d.log.s, "has no tensor \"blocks.0.att.r_k\"");
    CHECK(IMPORT(&d, "{'d_model':4,'l_max':9,'emb_dim':4}", HYENA, NULL, &w) == NULL);
    CHECK_STR_CONTAINS(d.log.s, "emb_dim: must be odd");
    CHECK(IMPORT(&d, "{'d_model':4,'l_max':9,'num_heads':2}", HYENA, NULL, &w) == NULL);
    CHECK_STR_CONTAINS(d.log.s, "num_heads: only 1 is supported, the checkpoint has 2");
    CHECK(IMPORT(&d, "{'model_type':'mamba2','hidden_size':4,'num_heads':3,'head_dim':4}", NOTHING, NULL,
                 &w) == NULL);
    CHECK_STR_CONTAINS(d.log.s, "3 heads of 4 do not make the inner width 8");
    CHECK(IMPORT(&d, "{'model_type':'mamba','hidden_size':4,'ssm_cfg':{'layer':'Mamba2'}}", MAMBA, NULL,
                 &w) == NULL);
    CHECK_STR_CONTAINS(d.log.s, "ssm_cfg.layer: is not Mamba1");
    CHECK(IMPORT(&d,
                 "{'model_type':'recurrent_gemma','block_types':['recurrent'],'_block_types':['attention']}",
                 NOTHING, NULL, &w) == NULL);
    CHECK_STR_CONTAINS(d.log.s, "_block_types: is not the same as block_types");
}

/* A bias that the configuration does not announce is a surplus tensor; one it announces has to be there. */
static void test_config_against_tensors(void) {
    Diag d;
    WeightSet w;
    char *text = IMPORT(&d, "{" SIZES ",'attention_bias':true}", LLAMA, NULL, &w);
    Module *m = CHECK(text != NULL) ? desc_load(&d, a, "g.json", text, strlen(text), &w) : NULL;
    CHECK(m && !desc_check_weights(&d, a, m, &w));
    CHECK_STR_CONTAINS(d.log.s,
                       "w has no tensor \"model.layers.0.self_attn.q_proj.bias\" ([64] is expected)");
}

/* ---- variants that no conformance case has ---- */

static void test_variants(void) {
    Diag d;
    WeightSet w;
    char *text = IMPORT(&d, "{" SIZES ",'sliding_window':null,'eos_token_id':[2,99],'bos_token_id':1}", LLAMA,
                        NULL, &w);
    if (CHECK(text != NULL)) check_description(&d, text, &w);
    CHECK(d.warnings == 1); /* the id 99 */
    CHECK_STR_CONTAINS(text, "\"bos\": 1");

    /* Mistral: an absent window is the original's default, 4096; null is none, nor is one that holds all positions. */
    text = IMPORT(&d, "{" SIZES ",'architectures':['MistralForCausalLM'],'sliding_window':4095}", LLAMA, NULL,
                  &w);
    CHECK_STR_CONTAINS(text, "\"window\": 4095");
    text = IMPORT(&d, "{" SIZES ",'architectures':['MistralForCausalLM']}", LLAMA, NULL, &w);
    CHECK_STR_CONTAINS(text, "\"context\": 4096");
    CHECK(text && !strstr(text, "\"window\""));
    text = IMPORT(&d, "{" SIZES ",'architectures':['MistralForCausalLM'],'sliding_window':null}", LLAMA, NULL,
                  &w);
    CHECK(text && !strstr(text, "\"window\""));

    /* Whole dumps of a configuration name what is off, and how to sample; both generations of rope keys. */
    text = IMPORT(&d,
                  "{" SIZES ",'add_cross_attention':false,'pruned_heads':{},'tie_encoder_decoder':false,"
                  "'num_beams':1,'repetition_penalty':1.0,'torchscript':false,'_attn_implementation_autoset':"
                  "true,'rope_theta':7.0,'rope_scaling':{'type':'linear','factor':2},"
                  "'rope_parameters':{'rope_type':'linear','factor':2.0,'rope_theta':7}}",
                  LLAMA, NULL, &w);
    if (CHECK(text != NULL)) check_description(&d, text, &w);

    /* Published by the authors of Mamba: other keys, another name of the embedding, a copy of it as head. */
    text = IMPORT(&d,
                  "{'d_model':4,'n_layer':1,'vocab_size':7,'ssm_cfg':{'d_state':3},'rms_norm':true,"
                  "'residual_in_fp32':true,'fused_add_norm':true,'pad_vocab_size_multiple':8}",
                  MAMBA, NULL, &w);
    if (CHECK(text != NULL)) check_description(&d, text, &w);
    CHECK_STR_CONTAINS(text, "\"ignore\": [\"lm_head.weight\"]");

    /* Converted from there: both sets of keys. */
    text = IMPORT(&d,
                  "{'model_type':'mamba','d_model':4,'n_layer':1,'d_inner':8,'ssm_cfg':{},'rms_norm':true,'"
                  "hidden_size':4,"
                  "'num_hidden_layers':1,'state_size':3,'vocab_size':8,'time_step_rank':'auto'}",
                  MAMBA, NULL, &w);
    if (CHECK(text != NULL)) check_description(&d, text, &w);

    text = IMPORT(&d, "{'d_model':4,'l_max':9,'emb_dim':5,'filter_order':3}", HYENA, NULL, &w);
    if (CHECK(text != NULL)) check_description(&d, text, &w);
    CHECK_STR_CONTAINS(text, "\"op\": \"concat\"");
    if (d.errors) fputs(d.log.s, stderr);
}

/* ---- rotary frequencies against published numbers ---- */

static bool near(double x, double want) {
    return fabs(x - want) <= 1e-8 * fabs(want);
}

/* The constant `freqs` of the only block, and the factor on sine and cosine. */
static const Attr *frequencies(Diag *d, const char *rope, double *scale) {
    WeightSet w;
    char *text = IMPORT(d, arena_printf(a, "{" SIZES ",%s}", rope), LLAMA, NULL, &w);
    Module *m = text ? desc_load(d, a, "g.json", text, strlen(text), &w) : NULL;
    const Func *f = m ? ir_func_find(m, "full") : NULL;
    const Attr *found = NULL;
    if (!f) fputs(d->log.s, stderr);
    OPS_OF (f ? f->body : NULL, op) {
        if (strcmp(op->def->name, "rope") == 0) *scale = attr_float(op, "scale", 1);
        if (strcmp(op->def->name, "constant") == 0) found = attr_find(op->attrs, "values");
    }
    return found;
}

static void test_rope(void) {
    Diag d;
    double scale = 0;
    const Attr *t = frequencies(
        &d,
        "'rope_theta':500000,'rope_scaling':{'rope_type':'llama3','factor':32,'low_freq_factor':1,"
        "'high_freq_factor':4,'original_max_position_embeddings':8192}",
        &scale);
    if (CHECK(t && t->n == 32 && scale == 1)) {
        CHECK(near(t->floats[14], 3.211445995e-03) && near(t->floats[15], 1.290547928e-03));
        CHECK(near(t->floats[17], 9.708287803e-05) && near(t->floats[31], 9.418306725e-08));
    }
    t = frequencies(
        &d,
        "'rope_parameters':{'rope_theta':150000,'rope_type':'yarn','factor':32,'beta_fast':32,'beta_slow':1,"
        "'truncate':false,'original_max_position_embeddings':4096}",
        &scale);
    if (CHECK(t && near(scale, 1.346573590280)))
        CHECK(near(t->floats[9], 3.170569618e-02) && near(t->floats[16], 4.564839192e-04));
    t = frequencies(&d,
                    "'rope_scaling':{'type':'yarn','factor':40,'mscale':0.707,'mscale_all_dim':0.707,"
                    "'original_max_position_embeddings':4096}",
                    &scale);
    if (CHECK(t && scale == 1))
        CHECK(near(t->floats[11], 3.900692657e-02) && near(t->floats[23], 3.333803580e-05));
    t = frequencies(&d, "'rope_scaling':{'type':'linear','factor':4}", &scale);
    if (CHECK(t && scale == 1)) CHECK(t->floats[0] == 0.25);
}

int main(int argc, char **argv) {
    if (argc > 1) cases = argv[1];
    a = arena_new();
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        test_checkpoint(CASES[i].folder, CASES[i].arch, CASES[i].holds);
    test_cases_of_importers();
    if (!CHECK(mkdtemp(temp) != NULL)) return 1;
    test_mistakes();
    test_config_against_tensors();
    test_variants();
    test_activations();
    test_rope();
    unlink(arena_printf(a, "%s/config.json", temp));
    rmdir(temp);
    arena_free(a);
    return check_report("import");
}
