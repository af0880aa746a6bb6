"""The models of the benchmark: public shapes, random weights. SHAPES[name] has the checkpoint, its configuration
and what the rows need to know. `python3 tests/bench/shapes.py NAME FOLDER` writes one."""
import json
import sys
from pathlib import Path

from checkpoint import Checkpoint


def mamba(D, L, V=50280, N=16):
    c, E, R = Checkpoint(), 2 * D, D // 16
    c.add("backbone.embeddings.weight", V, D, scale=0.02)
    for i in range(L):
        p = f"backbone.layers.{i}."
        m = p + "mixer."
        c.values(p + "norm.weight", D)
        c.values(m + "A_log", E, N, mean=1.0, scale=0.5)
        c.values(m + "D", E)
        c.add(m + "conv1d.weight", E, 1, 4, scale=0.5)
        c.add(m + "conv1d.bias", E, scale=0.1)
        c.add(m + "in_proj.weight", 2 * E, D)
        c.add(m + "x_proj.weight", R + 2 * N, E)
        c.add(m + "dt_proj.weight", E, R)
        c.add(m + "dt_proj.bias", E, mean=-3.0, scale=1.0)
        c.add(m + "out_proj.weight", D, E)
    c.values("backbone.norm_f.weight", D)
    return c, {"model_type": "mamba", "architectures": ["MambaForCausalLM"], "hidden_size": D, "intermediate_size": E,
               "num_hidden_layers": L, "state_size": N, "time_step_rank": R, "vocab_size": V, "conv_kernel": 4,
               "expand": 2, "use_bias": False, "use_conv_bias": True, "hidden_act": "silu",
               "layer_norm_epsilon": 1e-5, "tie_word_embeddings": True}


def mamba2(D, L, V=50288, N=128, P=64, G=1):
    c, E = Checkpoint(), 2 * D
    H, C = E // P, E + 2 * G * N
    c.add("backbone.embeddings.weight", V, D, scale=0.02)
    for i in range(L):
        p = f"backbone.layers.{i}."
        m = p + "mixer."
        c.values(p + "norm.weight", D)
        c.values(m + "A_log", H, mean=1.0, scale=0.5)
        c.values(m + "D", H)
        c.values(m + "dt_bias", H, mean=-3.0, scale=1.0)
        c.add(m + "conv1d.weight", C, 1, 4, scale=0.5)
        c.add(m + "conv1d.bias", C, scale=0.1)
        c.add(m + "in_proj.weight", E + C + H, D)
        c.values(m + "norm.weight", E)
        c.add(m + "out_proj.weight", D, E)
    c.values("backbone.norm_f.weight", D)
    return c, {"model_type": "mamba2", "architectures": ["Mamba2ForCausalLM"], "hidden_size": D, "num_heads": H,
               "head_dim": P, "state_size": N, "n_groups": G, "num_hidden_layers": L, "vocab_size": V, "conv_kernel": 4,
               "expand": 2, "use_bias": False, "use_conv_bias": True, "hidden_act": "silu",
               "layer_norm_epsilon": 1e-5, "tie_word_embeddings": True}


def rwkv7(D, L, ranks, V=65536):
    """ranks: of decay, learning rate, value mix and gate. The author's own names; no configuration."""
    c, H = Checkpoint(), D // 64
    c.add("emb.weight", V, D, scale=0.02)
    c.add("head.weight", V, D)
    norms = ["ln_out"] + ["blocks.0.ln0"] + [f"blocks.{i}.{n}" for i in range(L) for n in ("ln1", "ln2", "att.ln_x")]
    for n in norms:
        c.add(n + ".weight", D, mean=1.0, scale=0.05)
        c.add(n + ".bias", D, scale=0.05)
    for i in range(L):
        a, f = f"blocks.{i}.att.", f"blocks.{i}.ffn."
        for x in "rwkvag":
            c.add(a + "x_" + x, 1, 1, D, mean=0.5, scale=0.2)
        for x, r in zip("wavg", ranks):
            if x == "v" and i == 0:
                continue
            if x != "g":
                c.add(a + x + "0", 1, 1, D, mean=-2.0 if x == "w" else 0.0, scale=0.5)
            c.add(a + x + "1", D, r, scale=D**-0.5)
            c.add(a + x + "2", r, D, scale=r**-0.5)
        c.add(a + "k_k", 1, 1, D, mean=1.0, scale=0.1)
        c.add(a + "k_a", 1, 1, D, mean=1.0, scale=0.1)
        c.add(a + "r_k", H, 64, scale=0.1)
        for n in ("receptance", "key", "value", "output"):
            c.add(a + n + ".weight", D, D)
        c.add(f + "x_k", 1, 1, D, mean=0.5, scale=0.2)
        c.add(f + "key.weight", 4 * D, D)
        c.add(f + "value.weight", D, 4 * D)
    return c, None


def attention(c, p, D, H, G, K):
    c.values(p + "input_layernorm.weight", D, dtype="BF16")
    c.values(p + "post_attention_layernorm.weight", D, dtype="BF16")
    c.add(p + "self_attn.q_proj.weight", H * K, D)
    c.add(p + "self_attn.k_proj.weight", G * K, D)
    c.add(p + "self_attn.v_proj.weight", G * K, D)
    c.add(p + "self_attn.o_proj.weight", D, H * K)


def llama(D, L, V, H, G, K, F, qwen3=False, theta=500000.0, tied=True):
    c = Checkpoint()
    c.add("model.embed_tokens.weight", V, D, scale=0.02)
    for i in range(L):
        p = f"model.layers.{i}."
        attention(c, p, D, H, G, K)
        if qwen3:
            c.values(p + "self_attn.q_norm.weight", K, dtype="BF16")
            c.values(p + "self_attn.k_norm.weight", K, dtype="BF16")
        c.add(p + "mlp.gate_proj.weight", F, D)
        c.add(p + "mlp.up_proj.weight", F, D)
        c.add(p + "mlp.down_proj.weight", D, F)
    c.values("model.norm.weight", D, dtype="BF16")
    name = "qwen3" if qwen3 else "llama"
    return c, {"model_type": name, "architectures": [f"{name.capitalize()}ForCausalLM"], "hidden_size": D,
               "intermediate_size": F, "num_hidden_layers": L, "num_attention_heads": H, "num_key_value_heads": G,
               "head_dim": K, "vocab_size": V, "rms_norm_eps": 1e-5, "hidden_act": "silu", "tie_word_embeddings": tied,
               "max_position_embeddings": 4096, "rope_theta": theta}


def mixtral(D, L, V, H, G, K, F, E=8, C=2):
    c = Checkpoint()
    c.add("model.embed_tokens.weight", V, D, scale=0.02)
    c.add("lm_head.weight", V, D)
    for i in range(L):
        p = f"model.layers.{i}."
        attention(c, p, D, H, G, K)
        c.add(p + "block_sparse_moe.gate.weight", E, D)
        for e in range(E):
            for n, shape in (("w1", (F, D)), ("w2", (D, F)), ("w3", (F, D))):
                c.add(p + f"block_sparse_moe.experts.{e}.{n}.weight", *shape)
    c.values("model.norm.weight", D, dtype="BF16")
    return c, {"model_type": "mixtral", "architectures": ["MixtralForCausalLM"], "hidden_size": D, "intermediate_size": F,
               "num_hidden_layers": L, "num_attention_heads": H, "num_key_value_heads": G, "head_dim": K,
               "num_local_experts": E, "num_experts_per_tok": C, "vocab_size": V, "rms_norm_eps": 1e-5,
               "hidden_act": "silu", "tie_word_embeddings": False, "max_position_embeddings": 4096,
               "rope_theta": 1000000.0}


def recurrent_gemma(D, L, V, H, K, F, window=2048):
    """F: the width of one half of the gated MLP; configurations give both together."""
    c = Checkpoint()
    c.add("model.embed_tokens.weight", V, D, scale=D**-0.5)
    for i in range(L):
        p = f"model.layers.{i}."
        t = p + "temporal_block."
        c.values(p + "temporal_pre_norm.weight", D, mean=0.0, dtype="BF16")
        c.values(p + "channel_pre_norm.weight", D, mean=0.0, dtype="BF16")
        if i % 3 == 2:
            for n, rows, bias in (("q", H * K, False), ("k", K, False), ("v", K, False), ("o", D, True)):
                c.add(t + n + "_proj.weight", rows, H * K if n == "o" else D)
                if bias:
                    c.add(t + n + "_proj.bias", rows, scale=0.1)
        else:
            for n in ("x", "y", "out"):
                c.add(t + f"linear_{n}.weight", D, D)
                c.add(t + f"linear_{n}.bias", D, scale=0.1)
            c.add(t + "conv_1d.weight", D, 1, 4, scale=0.5)
            c.add(t + "conv_1d.bias", D, scale=0.1)
            c.values(t + "rg_lru.recurrent_param", D, mean=-3.0, scale=1.0)
            for n in ("input", "recurrent"):
                c.add(t + f"rg_lru.{n}_gate_weight", H, D // H, D // H)
                c.add(t + f"rg_lru.{n}_gate_bias", H, D // H, scale=0.5)
        for n, shape in (("gate", (F, D)), ("up", (F, D)), ("down", (D, F))):
            c.add(p + f"mlp_block.{n}_proj.weight", *shape)
            c.add(p + f"mlp_block.{n}_proj.bias", shape[0], scale=0.1)
    c.values("model.final_norm.weight", D, mean=0.0, dtype="BF16")
    return c, {"model_type": "recurrent_gemma", "architectures": ["RecurrentGemmaForCausalLM"], "hidden_size": D,
               "lru_width": D, "intermediate_size": 2 * F, "num_hidden_layers": L, "num_attention_heads": H,
               "num_key_value_heads": 1, "head_dim": K, "vocab_size": V, "attention_window_size": window,
               "conv1d_width": 4, "logits_soft_cap": 30.0, "rms_norm_eps": 1e-6, "tie_word_embeddings": True,
               "hidden_activation": "gelu_pytorch_tanh", "block_types": ["recurrent", "recurrent", "attention"],
               "rope_theta": 10000.0, "partial_rotary_factor": 0.5}


def hyena(D, L, V=50264, length=2048, F=64, Z=33):
    """safari's language model of order 2; length: of the filters."""
    c, M = Checkpoint(), 2 * D
    c.add("backbone.embeddings.word_embeddings.weight", V, D, scale=0.02)
    for i in range(L):
        p = f"backbone.layers.{i}."
        m, f = p + "mixer.", p + "mixer.filter_fn."
        for n in ("norm1", "norm2"):
            c.add(p + n + ".weight", D, mean=1.0, scale=0.05)
            c.add(p + n + ".bias", D, scale=0.05)
        for name, rows, width in (("in_proj", 3 * D, D), ("out_proj", D, D)):
            c.add(f"{m}{name}.weight", rows, width)
            c.add(f"{m}{name}.bias", rows, scale=0.1)
        c.add(m + "short_filter.weight", 3 * D, 1, 3, scale=0.5)
        c.add(m + "short_filter.bias", 3 * D, scale=0.1)
        c.add(f + "bias", D, scale=1.0)
        for k, width in ((0, Z), (2, F), (4, F)):
            c.add(f + f"implicit_filter.{k}.weight", F, width, dtype="F32")
            c.add(f + f"implicit_filter.{k}.bias", F, scale=0.1, dtype="F32")
            c.values(f + f"implicit_filter.{k + 1}.freq", 1, F, mean=10.0, scale=1.0)
        c.add(f + "implicit_filter.6.weight", D, F, dtype="F32")
        for n, rows, width in (("fc1", M, D), ("fc2", D, M)):
            c.add(p + f"mlp.{n}.weight", rows, width)
            c.add(p + f"mlp.{n}.bias", rows, scale=0.1)
    c.add("backbone.ln_f.weight", D, mean=1.0, scale=0.05)
    c.add("backbone.ln_f.bias", D, scale=0.05)
    return c, {"d_model": D, "n_layer": L, "d_inner": M, "vocab_size": V, "layer_norm_epsilon": 1e-5,
               "layer": {"_name_": "hyena", "emb_dim": Z, "filter_order": F, "l_max": length, "modulate": True,
                         "order": 2, "short_filter_order": 3, "w": 10}}


class Shape:
    """title: as people call it; kind: whose targets hold for it; big: 1B and more; peer: llama.cpp's architecture."""

    def __init__(self, title, make, kind, big=False, peer=None):
        self.title, self.make, self.kind, self.big, self.peer = title, make, kind, big, peer


SHAPES = {
    "mamba-130m": Shape("Mamba 130M", lambda: mamba(768, 24), "recurrent", peer="mamba"),
    "mamba-1.4b": Shape("Mamba 1.4B", lambda: mamba(2048, 48), "recurrent", True, "mamba"),
    "mamba2-1.3b": Shape("Mamba-2 1.3B", lambda: mamba2(2048, 48), "recurrent", True, "mamba2"),
    "rwkv7-0.4b": Shape("RWKV-7 0.4B", lambda: rwkv7(1024, 24, (64, 64, 32, 128)), "recurrent", peer="rwkv7"),
    "rwkv7-1.5b": Shape("RWKV-7 1.5B", lambda: rwkv7(2048, 24, (96, 96, 64, 256)), "recurrent", True, "rwkv7"),
    "recurrentgemma-2b": Shape("RecurrentGemma 2B", lambda: recurrent_gemma(2560, 26, 256000, 10, 256, 7680), "hybrid", True),
    "hyena-150m": Shape("Hyena 150M", lambda: hyena(864, 18), "convolution"),
    "llama-3.2-1b": Shape("Llama-3.2 1B", lambda: llama(2048, 16, 128256, 32, 8, 64, 8192), "attention", True, "llama"),
    "qwen3-0.6b": Shape("Qwen3 0.6B", lambda: llama(1024, 28, 151936, 16, 8, 128, 3072, True, 1e6), "attention", peer="qwen3"),
    "mixtral-like": Shape("Mixtral-like 8x(1024, 3584)", lambda: mixtral(1024, 12, 32000, 16, 4, 64, 3584), "experts", True, "llama"),
}
# Small ones, for single rows and for checking that both engines compute the same.
SMALL = {
    "mamba-small": Shape("Mamba 1M", lambda: mamba(128, 4, 1024), "recurrent", peer="mamba"),
    "mamba2-small": Shape("Mamba-2 1M", lambda: mamba2(256, 2, 1024), "recurrent", peer="mamba2"),
    "rwkv7-small": Shape("RWKV-7 1M", lambda: rwkv7(128, 4, (32, 32, 32, 32), 1024), "recurrent", peer="rwkv7"),
    "llama-small": Shape("Llama 2M", lambda: llama(256, 2, 1024, 8, 4, 32, 512), "attention", peer="llama"),
    "qwen3-small": Shape("Qwen3 2M", lambda: llama(256, 2, 1024, 4, 2, 128, 512, True), "attention", peer="qwen3"),
    "mixtral-small": Shape("Mixtral 3M", lambda: mixtral(256, 2, 1024, 8, 4, 32, 256), "experts", peer="llama"),
    "hyena-long": Shape("Hyena, filters of 65,536", lambda: hyena(256, 2, 1024, 65536), "convolution"),
}
ALL = {**SHAPES, **SMALL}


def write(name, folder):
    checkpoint, config = ALL[name].make()
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if config:
        (folder / "config.json").write_text(json.dumps(config, indent=1))
    part = folder / "part"
    checkpoint.write(part)
    part.rename(folder / "model.safetensors")


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in ALL:
        sys.exit(f"usage: shapes.py SHAPE FOLDER   shapes: {' '.join(ALL)}")
    write(sys.argv[1], sys.argv[2])
