/* Configurations as published models have them, keys and sizes: each is imported, without an error, and the
 * description says what tells the model from its kin. There are no weights: importers ask configurations first. */
#include <stdlib.h>

#include "kit.h"

static RawTensor NOTHING[] = {T("weight", 1, 4)};

#define FACTORS_12 "1.0,1.1,1.2,1.3,1.4,1.5,1.6,1.7,1.8,1.9,2.0,2.1"
#define FACTORS_48 FACTORS_12 "," FACTORS_12 "," FACTORS_12 "," FACTORS_12

static const struct {
    const char *config, *holds;
} PUBLISHED[] = {
    /* Llama 3.1 8B */
    {"{'architectures':['LlamaForCausalLM'],'attention_bias':false,'attention_dropout':0.0,'bos_token_id':"
     "128000,"
     "'eos_token_id':[128001,128008,128009],'hidden_act':'silu','hidden_size':4096,'initializer_range':0.02,"
     "'intermediate_size':14336,'max_position_embeddings':131072,'mlp_bias':false,'model_type':'llama',"
     "'num_attention_heads':32,'num_hidden_layers':32,'num_key_value_heads':8,'pretraining_tp':1,"
     "'rms_norm_eps':1e-05,'rope_scaling':{'factor':8.0,'low_freq_factor':1.0,'high_freq_factor':4.0,"
     "'original_max_position_embeddings':8192,'rope_type':'llama3'},'rope_theta':500000.0,"
     "'tie_word_embeddings':false,'torch_dtype':'bfloat16','transformers_version':'4.43.0','use_cache':true,"
     "'vocab_size':128256}",
     "'freqs':'freqs'"},
    /* Mistral 7B, first version */
    {"{'architectures':['MistralForCausalLM'],'bos_token_id':1,'eos_token_id':2,'hidden_act':'silu',"
     "'hidden_size':4096,'initializer_range':0.02,'intermediate_size':14336,'max_position_embeddings':32768,"
     "'model_type':'mistral','num_attention_heads':32,'num_hidden_layers':32,'num_key_value_heads':8,"
     "'rms_norm_eps':1e-05,'rope_theta':10000.0,'sliding_window':4096,'tie_word_embeddings':false,"
     "'torch_dtype':'bfloat16','transformers_version':'4.34.0.dev0','use_cache':true,'vocab_size':32000}",
     "'window':4096"},
    /* Qwen 2.5 7B with the scaling for long texts */
    {"{'architectures':['Qwen2ForCausalLM'],'attention_dropout':0.0,'bos_token_id':151643,"
     "'eos_token_id':151645,'hidden_act':'silu','hidden_size':3584,'initializer_range':0.02,"
     "'intermediate_size':18944,'max_position_embeddings':32768,'max_window_layers':28,'model_type':'qwen2',"
     "'num_attention_heads':28,'num_hidden_layers':28,'num_key_value_heads':4,'rms_norm_eps':1e-06,"
     "'rope_theta':1000000.0,'rope_scaling':{'factor':4.0,'original_max_position_embeddings':32768,"
     "'type':'yarn'},'sliding_window':131072,'tie_word_embeddings':false,'torch_dtype':'bfloat16',"
     "'transformers_version':'4.43.1','use_cache':true,'use_mrope':false,'use_sliding_window':false,"
     "'vocab_size':152064}",
     "'scale':1.138629436111989"},
    /* Qwen3 0.6B */
    {"{'architectures':['Qwen3ForCausalLM'],'attention_bias':false,'attention_dropout':0.0,"
     "'bos_token_id':151643,'eos_token_id':151645,'head_dim':128,'hidden_act':'silu','hidden_size':1024,"
     "'initializer_range':0.02,'intermediate_size':3072,'max_position_embeddings':40960,"
     "'max_window_layers':28,'model_type':'qwen3','num_attention_heads':16,'num_hidden_layers':28,"
     "'num_key_value_heads':8,'rms_norm_eps':1e-06,'rope_scaling':null,'rope_theta':1000000,"
     "'sliding_window':null,'tie_word_embeddings':true,'torch_dtype':'bfloat16',"
     "'transformers_version':'4.51.0','use_cache':true,'use_sliding_window':false,'vocab_size':151936}",
     "@self_attn.k_norm.weight[K]"},
    /* Gemma 2 2B */
    {"{'architectures':['Gemma2ForCausalLM'],'attention_bias':false,'attention_dropout':0.0,"
     "'attn_logit_softcapping':50.0,'bos_token_id':2,'cache_implementation':'hybrid','eos_token_id':1,"
     "'final_logit_softcapping':30.0,'head_dim':256,'hidden_act':'gelu_pytorch_tanh',"
     "'hidden_activation':'gelu_pytorch_tanh','hidden_size':2304,'initializer_range':0.02,"
     "'intermediate_size':9216,'max_position_embeddings':8192,'model_type':'gemma2','num_attention_heads':8,"
     "'num_hidden_layers':26,'num_key_value_heads':4,'pad_token_id':0,'query_pre_attn_scalar':256,"
     "'rms_norm_eps':1e-06,'rope_theta':10000.0,'sliding_window':4096,'torch_dtype':'float32',"
     "'transformers_version':'4.42.4','use_cache':true,'vocab_size':256000}",
     "'softcap':50"},
    /* Gemma 3 1B */
    {"{'architectures':['Gemma3ForCausalLM'],'attention_bias':false,'attention_dropout':0.0,"
     "'attn_logit_softcapping':null,'bos_token_id':2,'cache_implementation':'hybrid','eos_token_id':[1,106],"
     "'final_logit_softcapping':null,'head_dim':256,'hidden_activation':'gelu_pytorch_tanh',"
     "'hidden_size':1152,'initializer_range':0.02,'intermediate_size':6912,"
     "'max_position_embeddings':32768,'model_type':'gemma3_text','num_attention_heads':4,"
     "'num_hidden_layers':26,'num_key_value_heads':1,'pad_token_id':0,'query_pre_attn_scalar':256,"
     "'rms_norm_eps':1e-06,'rope_local_base_freq':10000,'rope_scaling':null,'rope_theta':1000000,"
     "'sliding_window':512,'sliding_window_pattern':6,'torch_dtype':'bfloat16',"
     "'transformers_version':'4.50.0.dev0','use_cache':true,'vocab_size':262144}",
     "x * 33.94112549695428"},
    /* Phi-3 mini with a long context */
    {"{'architectures':['Phi3ForCausalLM'],'attention_bias':false,'attention_dropout':0.0,"
     "'auto_map':{'AutoConfig':'configuration_phi3.Phi3Config'},'bos_token_id':1,'embd_pdrop':0.0,"
     "'eos_token_id':32000,'hidden_act':'silu','hidden_size':3072,'initializer_range':0.02,"
     "'intermediate_size':8192,'max_position_embeddings':131072,'model_type':'phi3',"
     "'num_attention_heads':32,'num_hidden_layers':32,'num_key_value_heads':32,"
     "'original_max_position_embeddings':4096,'pad_token_id':32000,'resid_pdrop':0.0,'rms_norm_eps':1e-05,"
     "'rope_scaling':{'long_factor':[" FACTORS_48 "],'short_factor':[" FACTORS_48 "],'type':'longrope'},"
     "'rope_theta':10000.0,'sliding_window':262144,'tie_word_embeddings':false,'torch_dtype':'bfloat16',"
     "'transformers_version':'4.40.2','use_cache':true,'vocab_size':32064}",
     "'context':4096"},
    /* Phi-4 mini */
    {"{'architectures':['Phi3ForCausalLM'],'attention_bias':false,'attention_dropout':0.0,"
     "'bos_token_id':199999,'embd_pdrop':0.0,'eos_token_id':199999,'full_attn_mod':1,'hidden_act':'silu',"
     "'hidden_size':3072,'initializer_range':0.02,'intermediate_size':8192,'interpolate_factor':1,"
     "'lm_head_bias':false,'max_position_embeddings':131072,'mlp_bias':false,'model_type':'phi3',"
     "'num_attention_heads':24,'num_hidden_layers':32,'num_key_value_heads':8,"
     "'original_max_position_embeddings':4096,'pad_token_id':199999,'partial_rotary_factor':0.75,"
     "'resid_pdrop':0.0,'rms_norm_eps':1e-05,'rope_scaling':{'long_factor':[" FACTORS_48 "],"
     "'short_factor':[" FACTORS_48 "],'type':'longrope'},'rope_theta':10000.0,'sliding_window':262144,"
     "'tie_word_embeddings':true,'torch_dtype':'bfloat16','transformers_version':'4.45.0','use_cache':true,"
     "'vocab_size':200064}",
     "'dims':96"},
    /* OLMo 2 7B */
    {"{'architectures':['Olmo2ForCausalLM'],'attention_bias':false,'attention_dropout':0.0,"
     "'eos_token_id':100257,'hidden_act':'silu','hidden_size':4096,'initializer_range':0.02,"
     "'intermediate_size':11008,'max_position_embeddings':4096,'model_type':'olmo2','num_attention_heads':32,"
     "'num_hidden_layers':32,'num_key_value_heads':32,'pad_token_id':100277,'rms_norm_eps':1e-06,"
     "'rope_scaling':null,'rope_theta':500000,'tie_word_embeddings':false,'torch_dtype':'float32',"
     "'transformers_version':'4.47.0.dev0','use_cache':false,'vocab_size':100352}",
     "@post_feedforward_layernorm.weight[D]"},
    /* OPT 125M */
    {"{'_name_or_path':'facebook/opt-125m','_remove_final_layer_norm':false,'activation_dropout':0.0,"
     "'activation_function':'relu','architectures':['OPTForCausalLM'],'attention_dropout':0.0,"
     "'bos_token_id':2,'do_layer_norm_before':true,'dropout':0.1,'eos_token_id':2,'ffn_dim':3072,"
     "'hidden_size':768,'init_std':0.02,'layerdrop':0.0,'max_position_embeddings':2048,'model_type':'opt',"
     "'num_attention_heads':12,'num_hidden_layers':12,'pad_token_id':1,'prefix':'</s>',"
     "'torch_dtype':'float16','transformers_version':'4.21.0.dev0','use_cache':true,'vocab_size':50272,"
     "'word_embed_proj_dim':768}",
     "embed_positions.weight[2050, D]"},
    /* Pythia 70M */
    {"{'architectures':['GPTNeoXForCausalLM'],'bos_token_id':0,'eos_token_id':0,'hidden_act':'gelu',"
     "'hidden_size':512,'initializer_range':0.02,'intermediate_size':2048,'layer_norm_eps':1e-05,"
     "'max_position_embeddings':2048,'model_type':'gpt_neox','num_attention_heads':8,'num_hidden_layers':6,"
     "'rotary_emb_base':10000,'rotary_pct':0.25,'tie_word_embeddings':false,'torch_dtype':'float16',"
     "'transformers_version':'4.24.0','use_cache':true,'use_parallel_residual':true,'vocab_size':50304}",
     "'dims':16"},
    /* GPT-2 */
    {"{'activation_function':'gelu_new','architectures':['GPT2LMHeadModel'],'attn_pdrop':0.1,"
     "'bos_token_id':50256,'embd_pdrop':0.1,'eos_token_id':50256,'initializer_range':0.02,"
     "'layer_norm_epsilon':1e-05,'model_type':'gpt2','n_ctx':1024,'n_embd':768,'n_head':12,'n_layer':12,"
     "'n_positions':1024,'resid_pdrop':0.1,'summary_activation':null,'summary_first_dropout':0.1,"
     "'summary_proj_to_labels':true,'summary_type':'cls_index','summary_use_proj':true,"
     "'task_specific_params':{'text-generation':{'do_sample':true,'max_length':50}},'vocab_size':50257}",
     "@attn.c_attn.weight[D, H*K + 2*G*K]"},
    /* Mixtral 8x7B */
    {"{'architectures':['MixtralForCausalLM'],'attention_dropout':0.0,'bos_token_id':1,'eos_token_id':2,"
     "'hidden_act':'silu','hidden_size':4096,'initializer_range':0.02,'intermediate_size':14336,"
     "'max_position_embeddings':32768,'model_type':'mixtral','num_attention_heads':32,"
     "'num_experts_per_tok':2,'num_hidden_layers':32,'num_key_value_heads':8,'num_local_experts':8,"
     "'output_router_logits':false,'rms_norm_eps':1e-05,'rope_theta':1000000.0,'router_aux_loss_coef':0.02,"
     "'sliding_window':null,'tie_word_embeddings':false,'torch_dtype':'bfloat16',"
     "'transformers_version':'4.36.0.dev0','use_cache':true,'vocab_size':32000}",
     "'normalize':true"},
    /* Qwen 1.5 MoE A2.7B */
    {"{'architectures':['Qwen2MoeForCausalLM'],'attention_dropout':0.0,'bos_token_id':151643,"
     "'decoder_sparse_step':1,'eos_token_id':151643,'hidden_act':'silu','hidden_size':2048,"
     "'initializer_range':0.02,'intermediate_size':5632,'max_position_embeddings':8192,"
     "'max_window_layers':21,'model_type':'qwen2_moe','moe_intermediate_size':1408,'norm_topk_prob':false,"
     "'num_attention_heads':16,'num_experts':60,'num_experts_per_tok':4,'num_hidden_layers':24,"
     "'num_key_value_heads':16,'output_router_logits':false,'rms_norm_eps':1e-06,'rope_theta':1000000.0,"
     "'router_aux_loss_coef':0.001,'shared_expert_intermediate_size':5632,'sliding_window':32768,"
     "'tie_word_embeddings':false,'torch_dtype':'bfloat16','transformers_version':'4.39.0.dev0',"
     "'use_cache':true,'use_sliding_window':false,'vocab_size':151936}",
     "@mlp.shared_expert_gate.weight[1, D]"},
    /* DeepSeek-V2 Lite */
    {"{'architectures':['DeepseekV2ForCausalLM'],'attention_bias':false,'attention_dropout':0.0,"
     "'auto_map':{'AutoConfig':'configuration_deepseek.DeepseekV2Config'},'aux_loss_alpha':0.001,"
     "'bos_token_id':100000,'eos_token_id':100001,'first_k_dense_replace':1,'hidden_act':'silu',"
     "'hidden_size':2048,'initializer_range':0.02,'intermediate_size':10944,'kv_lora_rank':512,"
     "'max_position_embeddings':163840,'model_type':'deepseek_v2','moe_intermediate_size':1408,"
     "'moe_layer_freq':1,'n_group':1,'n_routed_experts':64,'n_shared_experts':2,'norm_topk_prob':false,"
     "'num_attention_heads':16,'num_experts_per_tok':6,'num_hidden_layers':27,'num_key_value_heads':16,"
     "'pretraining_tp':1,'q_lora_rank':null,'qk_nope_head_dim':128,'qk_rope_head_dim':64,"
     "'rms_norm_eps':1e-06,'rope_scaling':{'beta_fast':32,'beta_slow':1,'factor':40,'mscale':0.707,"
     "'mscale_all_dim':0.707,'original_max_position_embeddings':4096,'type':'yarn'},'rope_theta':10000,"
     "'routed_scaling_factor':1.0,'scoring_func':'softmax','seq_aux':true,'tie_word_embeddings':false,"
     "'topk_group':1,'topk_method':'greedy','torch_dtype':'bfloat16','transformers_version':'4.33.1',"
     "'use_cache':true,'v_head_dim':128,'vocab_size':102400}",
     "'scale':0.1147213867929261"},
    /* Granite 4.0 Tiny */
    {"{'architectures':['GraniteMoeHybridForCausalLM'],'attention_bias':false,'attention_dropout':0.0,"
     "'attention_multiplier':0.0078125,'bos_token_id':100257,'embedding_multiplier':12,"
     "'eos_token_id':100257,'hidden_act':'silu','hidden_size':1536,'init_method':'mup',"
     "'initializer_range':0.1,'intermediate_size':512,'layer_types':['mamba','mamba','mamba','attention'],"
     "'logits_scaling':6,'mamba_chunk_size':256,'mamba_conv_bias':true,'mamba_d_conv':4,'mamba_d_head':64,"
     "'mamba_d_state':128,'mamba_expand':2,'mamba_n_groups':1,'mamba_n_heads':48,'mamba_proj_bias':false,"
     "'max_position_embeddings':131072,'model_type':'granitemoehybrid','normalization_function':'rmsnorm',"
     "'num_attention_heads':12,'num_experts_per_tok':6,'num_hidden_layers':4,'num_key_value_heads':4,"
     "'num_local_experts':64,'output_router_logits':false,'pad_token_id':100256,"
     "'position_embedding_type':'nope','residual_multiplier':0.22,'rms_norm_eps':1e-05,'rope_scaling':null,"
     "'rope_theta':10000,'router_aux_loss_coef':0.0,'shared_intermediate_size':1024,"
     "'tie_word_embeddings':true,'torch_dtype':'bfloat16','transformers_version':'4.56.0','use_cache':true,"
     "'vocab_size':100352}",
     "x + 0.22 * o"},
    /* Jamba */
    {"{'architectures':['JambaForCausalLM'],'attention_dropout':0.0,'attn_layer_offset':4,"
     "'attn_layer_period':8,'bos_token_id':1,'calc_logits_for_entire_prompt':false,'eos_token_id':2,"
     "'expert_layer_offset':1,'expert_layer_period':2,'hidden_act':'silu','hidden_size':4096,"
     "'initializer_range':0.02,'intermediate_size':14336,'mamba_conv_bias':true,'mamba_d_conv':4,"
     "'mamba_d_state':16,'mamba_dt_rank':256,'mamba_expand':2,'mamba_inner_layernorms':true,"
     "'mamba_proj_bias':false,'model_type':'jamba','n_ctx':262144,'num_attention_heads':32,"
     "'num_experts':16,'num_experts_per_tok':2,'num_hidden_layers':32,'num_key_value_heads':8,"
     "'output_router_logits':false,'pad_token_id':0,'rms_norm_eps':1e-06,'router_aux_loss_coef':0.001,"
     "'sliding_window':null,'tie_word_embeddings':false,'torch_dtype':'bfloat16',"
     "'transformers_version':'4.40.0.dev0','use_cache':true,'use_mamba_kernels':true,'vocab_size':65536}",
     "@mamba.dt_layernorm.weight[MR]"},
    /* Bamba 9B */
    {"{'architectures':['BambaForCausalLM'],'attention_bias':false,'attention_dropout':0.0,"
     "'attn_layer_indices':[9,18,27],'attn_rotary_emb':64,'bos_token_id':128000,'eos_token_id':128001,"
     "'hidden_act':'silu','hidden_size':4096,'initializer_range':0.02,'intermediate_size':14336,"
     "'mamba_chunk_size':256,'mamba_conv_bias':true,'mamba_d_conv':4,'mamba_d_head':64,"
     "'mamba_d_state':128,'mamba_expand':2,'mamba_n_groups':1,'mamba_n_heads':128,'mamba_proj_bias':false,"
     "'max_position_embeddings':262144,'mlp_bias':false,'model_type':'bamba','num_attention_heads':32,"
     "'num_hidden_layers':32,'num_key_value_heads':8,'num_logits_to_keep':1,'pad_token_id':0,"
     "'partial_rotary_factor':0.5,'rms_norm_eps':1e-05,'rope_theta':10000.0,'tie_word_embeddings':false,"
     "'torch_dtype':'bfloat16','use_cache':true,'use_mamba_kernels':true,'vocab_size':128256}",
     "'dims':64"},
    /* Falcon-H1 0.5B */
    {"{'architectures':['FalconH1ForCausalLM'],'attention_bias':false,'attention_dropout':0.0,"
     "'attention_in_multiplier':1.0,'attention_out_multiplier':0.9375,'attn_layer_indices':null,"
     "'bos_token_id':1,'embedding_multiplier':5.656854249492381,'eos_token_id':11,'head_dim':64,"
     "'hidden_act':'silu','hidden_size':1024,'initializer_range':0.02,'intermediate_size':2048,"
     "'key_multiplier':0.39062499999999994,'lm_head_multiplier':0.0390625,'mamba_chunk_size':128,"
     "'mamba_conv_bias':true,'mamba_d_conv':4,'mamba_d_head':64,'mamba_d_ssm':1536,'mamba_d_state':128,"
     "'mamba_expand':2,'mamba_n_groups':1,'mamba_n_heads':24,'mamba_norm_before_gate':false,"
     "'mamba_proj_bias':false,'mamba_rms_norm':false,'mamba_use_mlp':true,"
     "'max_position_embeddings':16384,'mlp_bias':false,'mlp_expansion_factor':8,"
     "'mlp_multipliers':[0.8838834764831844,0.5859375],'model_type':'falcon_h1','num_attention_heads':8,"
     "'num_hidden_layers':36,'num_key_value_heads':2,'num_logits_to_keep':1,'pad_token_id':0,"
     "'projectors_bias':false,'rms_norm_eps':1e-05,'rope_scaling':null,'rope_theta':100000000000.0,"
     "'ssm_in_multiplier':1.25,'ssm_multipliers':[0.3535533905932738,0.25,0.3535533905932738,0.5,"
     "0.3535533905932738],'ssm_out_multiplier':0.23570226039551587,'tie_word_embeddings':false,"
     "'time_step_floor':0.0001,'time_step_max':0.1,'time_step_min':0.001,'time_step_rank':'auto',"
     "'torch_dtype':'bfloat16','use_cache':true,'vocab_size':32784}",
     "0.9375 * o"},
    /* Nemotron-H 8B, and a model with experts */
    {"{'architectures':['NemotronHForCausalLM'],'attention_bias':false,'attention_dropout':0.0,"
     "'attention_head_dim':128,'bos_token_id':1,'chunk_size':128,'conv_kernel':4,'eos_token_id':2,"
     "'expand':2,'hidden_dropout':0.0,'hidden_size':4096,'hybrid_override_pattern':'M-M*-',"
     "'initializer_range':0.02,'intermediate_size':21504,'layer_norm_epsilon':1e-05,'mamba_head_dim':64,"
     "'mamba_hidden_act':'silu','mamba_num_heads':128,'mamba_proj_bias':false,"
     "'max_position_embeddings':8192,'mlp_bias':false,'mlp_hidden_act':'relu2','model_type':'nemotron_h',"
     "'n_groups':8,'num_attention_heads':32,'num_hidden_layers':5,'num_key_value_heads':8,"
     "'num_logits_to_keep':1,'num_query_groups':8,'pad_token_id':0,'rescale_prenorm_residual':true,"
     "'residual_in_fp32':false,'rms_norm_eps':1e-05,'sliding_window':null,'ssm_state_size':128,"
     "'tie_word_embeddings':false,'time_step_floor':0.0001,'time_step_limit':[0.0,Infinity],"
     "'time_step_max':0.1,'time_step_min':0.001,'time_step_rank':256,'torch_dtype':'bfloat16',"
     "'use_bias':false,'use_cache':true,'use_conv_bias':true,'use_mamba_kernels':true,'vocab_size':131072}",
     "relu2(up)"},
    {"{'architectures':['NemotronHForCausalLM'],'attention_bias':false,'chunk_size':128,'conv_kernel':4,"
     "'expand':2,'head_dim':128,'hidden_size':2688,'hybrid_override_pattern':'MEM*E',"
     "'intermediate_size':1856,'layer_norm_epsilon':1e-05,'mamba_head_dim':64,'mamba_hidden_act':'silu',"
     "'mamba_num_heads':64,'mamba_proj_bias':false,'mamba_ssm_cache_dtype':'float32',"
     "'max_position_embeddings':262144,'mlp_bias':false,'mlp_hidden_act':'relu2','model_type':'nemotron_h',"
     "'moe_intermediate_size':1856,'moe_shared_expert_intermediate_size':3712,"
     "'moe_shared_expert_overlap':true,'n_group':1,'n_groups':8,'n_routed_experts':128,'n_shared_experts':1,"
     "'norm_eps':1e-05,'norm_topk_prob':true,'num_attention_heads':32,'num_experts_per_tok':6,"
     "'num_hidden_layers':5,'num_key_value_heads':2,'partial_rotary_factor':1.0,'rope_theta':10000,"
     "'routed_scaling_factor':2.5,'ssm_state_size':128,'tie_word_embeddings':false,"
     "'time_step_limit':[0.0,Infinity],'topk_group':1,'use_bias':false,'use_conv_bias':true,"
     "'vocab_size':131072}",
     "2.5 * p"},
    /* LFM2 1.2B */
    {"{'architectures':['Lfm2ForCausalLM'],'block_auto_adjust_ff_dim':true,'block_dim':2048,"
     "'block_ff_dim':12288,'block_ffn_dim_multiplier':1.0,'block_mlp_init_scale':1.0,"
     "'block_multiple_of':256,'block_norm_eps':1e-05,'block_out_init_scale':1.0,'block_use_swiglu':true,"
     "'block_use_xavier_init':true,'bos_token_id':1,'conv_L_cache':3,'conv_bias':false,'conv_dim':2048,"
     "'conv_dim_out':2048,'conv_use_xavier_init':true,'eos_token_id':7,"
     "'full_attn_idxs':[2,5,8,10,12,14],'hidden_size':2048,'initializer_range':0.02,"
     "'max_position_embeddings':128000,'model_type':'lfm2','norm_eps':1e-05,'num_attention_heads':32,"
     "'num_heads':32,'num_hidden_layers':16,'num_key_value_heads':8,'pad_token_id':0,"
     "'rope_theta':1000000.0,'torch_dtype':'bfloat16','transformers_version':'4.54.0.dev0',"
     "'use_cache':true,'use_pos_enc':true,'vocab_size':65536}",
     "'F':8192"},
    /* Mamba 130M, Codestral Mamba 7B, Falcon Mamba 7B */
    {"{'architectures':['MambaForCausalLM'],'bos_token_id':0,'conv_kernel':4,'d_inner':1536,'d_model':768,"
     "'eos_token_id':0,'expand':2,'fused_add_norm':true,'hidden_act':'silu','hidden_size':768,"
     "'initializer_range':0.1,'intermediate_size':1536,'layer_norm_epsilon':1e-05,'model_type':'mamba',"
     "'n_layer':24,'num_hidden_layers':24,'pad_token_id':0,'pad_vocab_size_multiple':8,"
     "'rescale_prenorm_residual':false,'residual_in_fp32':true,'rms_norm':true,'ssm_cfg':{},"
     "'state_size':16,'time_step_floor':0.0001,'time_step_init_scheme':'random','time_step_max':0.1,"
     "'time_step_min':0.001,'time_step_rank':48,'time_step_scale':1.0,'torch_dtype':'float32',"
     "'transformers_version':'4.39.0.dev0','use_bias':false,'use_cache':true,'use_conv_bias':true,"
     "'vocab_size':50280}",
     "'MR':48"},
    {"{'architectures':['Mamba2ForCausalLM'],'bos_token_id':0,'chunk_size':256,'conv_kernel':4,"
     "'eos_token_id':0,'expand':2,'head_dim':64,'hidden_act':'silu','hidden_size':4096,"
     "'initializer_range':0.1,'intermediate_size':8192,'layer_norm_epsilon':1e-05,'model_type':'mamba2',"
     "'n_groups':8,'norm_before_gate':true,'num_heads':128,'num_hidden_layers':64,'pad_token_id':0,"
     "'rescale_prenorm_residual':false,'residual_in_fp32':true,'rms_norm':true,'state_size':128,"
     "'tie_word_embeddings':false,'time_step_floor':0.0001,'time_step_init_scheme':'random',"
     "'time_step_limit':[0.0,Infinity],'time_step_max':0.1,'time_step_min':0.001,'time_step_rank':256,"
     "'time_step_scale':1.0,'torch_dtype':'bfloat16','transformers_version':'4.44.0.dev0','use_bias':false,"
     "'use_cache':true,'use_conv_bias':true,'vocab_size':32768}",
     "'groups':'MG'"},
    {"{'architectures':['FalconMambaForCausalLM'],'bos_token_id':0,'conv_kernel':4,'eos_token_id':11,"
     "'expand':16,'hidden_act':'silu','hidden_size':4096,'initializer_range':0.1,'intermediate_size':8192,"
     "'layer_norm_epsilon':1e-05,'model_type':'falcon_mamba','num_hidden_layers':64,'pad_token_id':11,"
     "'rescale_prenorm_residual':false,'residual_in_fp32':true,'state_size':16,"
     "'tie_word_embeddings':false,'time_step_floor':0.0001,'time_step_init_scheme':'random',"
     "'time_step_max':0.1,'time_step_min':0.001,'time_step_rank':256,'time_step_scale':1.0,"
     "'torch_dtype':'bfloat16','transformers_version':'4.43.0.dev0','use_bias':false,'use_cache':true,"
     "'use_conv_bias':true,'use_falcon_mambapy':false,'vocab_size':65024}",
     "'ME':8192"},
    /* xLSTM 7B */
    {"{'add_embedding_dropout':false,'add_forward_backend_padding':false,'add_out_norm':true,"
     "'add_post_blocks_norm':true,'add_post_norm':false,'add_qk_norm':false,"
     "'architectures':['xLSTMForCausalLM'],'autocast_kernel_dtype':'bfloat16','bos_token_id':0,"
     "'cell_norm_eps':1e-06,'chunk_size':64,'chunkwise_kernel':'chunkwise--triton_xl_chunk',"
     "'embedding_dim':4096,'eos_token_id':2,'eps':1e-06,'ffn_proj_factor':2.667,"
     "'ffn_round_up_to_multiple_of':64,'force_bos_token_insert':true,'gate_soft_cap':15.0,'head_dim':512,"
     "'hidden_size':4096,'igate_bias_init_range':-10.0,'inference_state_dtype':'float32',"
     "'init_distribution':'normal','logits_soft_cap':30.0,'max_inference_chunksize':16384,"
     "'mlstm_round_up_to_multiple_of':64,'mode':'inference','model_type':'xlstm','norm_eps':1e-06,"
     "'norm_reduction_force_float32':true,'num_blocks':32,'num_heads':8,'num_hidden_layers':32,"
     "'output_init_fn':'wang','output_logit_soft_cap':30.0,'pad_token_id':1,'qk_dim_factor':0.5,"
     "'return_last_states':true,'sequence_kernel':'native_sequence__triton','step_kernel':'triton',"
     "'tie_word_embeddings':false,'torch_dtype':'float32','use_bias':false,'use_cache':true,"
     "'v_dim_factor':1.0,'vocab_size':50304,'weight_mode':'single'}",
     "'DK':256"},
    /* What is left out is as in the classes of transformers. */
    {"{'architectures':['MistralForCausalLM'],'vocab_size':61,'hidden_size':64,'intermediate_size':21,"
     "'num_hidden_layers':2,'num_attention_heads':16}",
     "'G':8"},
    {"{'architectures':['Qwen3ForCausalLM'],'vocab_size':61,'hidden_size':64,'intermediate_size':21,"
     "'num_hidden_layers':2,'num_attention_heads':4,'num_key_value_heads':2}",
     "'K':128"},
    {"{'architectures':['Qwen3MoeForCausalLM'],'vocab_size':61,'hidden_size':64,'intermediate_size':21,"
     "'moe_intermediate_size':9,'num_experts':9,'num_hidden_layers':2,'num_attention_heads':8}",
     "'EC':8"},
    {"{'architectures':['MiniMaxForCausalLM'],'vocab_size':61,'hidden_size':64,'intermediate_size':21,"
     "'num_hidden_layers':2,'num_attention_heads':8}",
     "{'layers':1,'pattern':['attention'],'prefix':'model.layers.{i}.'},{'out':'d'"},
    {"{'architectures':['KimiLinearForCausalLM'],'vocab_size':61,'hidden_size':24,'intermediate_size':21,"
     "'num_hidden_layers':5,'num_attention_heads':3,'kv_lora_rank':10,'qk_nope_head_dim':6,"
     "'qk_rope_head_dim':4,'v_head_dim':5,'moe_intermediate_size':9,'linear_head_dim':6,'linear_num_heads':"
     "2}",
     "['delta','delta_experts','delta_experts','delta_experts','mla_experts']"},
};

/* Without blanks, and with ' for ". */
static char *bare(const char *text) {
    char *t = arena_strdup(a, text), *to = t;
    for (const char *p = text; *p; p++)
        if (*p != ' ' && *p != '\n') *to++ = *p == '"' ? '\'' : *p;
    *to = 0;
    return t;
}

int main(void) {
    Diag d;
    WeightSet w;
    a = arena_new();
    if (!CHECK(mkdtemp(temp) != NULL)) return 1;
    for (size_t i = 0; i < sizeof PUBLISHED / sizeof *PUBLISHED; i++) {
        char *text = IMPORT(&d, PUBLISHED[i].config, NOTHING, NULL, &w);
        if (CHECK(text != NULL)) CHECK_STR_CONTAINS(bare(text), bare(PUBLISHED[i].holds));
        if (!CHECK(d.errors == 0 && d.warnings == 0))
            fprintf(stderr, "%.60s:\n%s", PUBLISHED[i].config, d.log.s);
    }
    put_config("config.json", NULL);
    rmdir(temp);
    arena_free(a);
    return check_report("published");
}
