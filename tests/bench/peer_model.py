"""The same weights for llama.cpp: a Hugging Face style folder of shapes.py -> GGUF. Names and transforms follow
llama.cpp's own conversion scripts (conversion/*.py there): matrices in bf16, everything else in f32. With
matrices in f32, too, both engines compute the same numbers, which is how check_peer.py knows that it is the same model."""
import json
from pathlib import Path

import numpy as np

import gguf
from checkpoint import Reader, from_bf16

MATRIX, VECTOR = np.uint16, np.float32


class Writer:
    """Collects the tensors of a GGUF file that come from a checkpoint."""

    def __init__(self, folder):
        folder = Path(folder)
        self.read = Reader(folder / "model.safetensors")
        config = folder / "config.json"
        self.config = json.loads(config.read_text()) if config.exists() else {}
        self.tensors, self.pairs = [], {}

    def matrix(self, name, source, change=None):
        """bf16, its bits unchanged; change: of the array, such as a transposition."""
        x = self.read.bits(source)
        y = change(x) if change else x
        self.tensors.append((name, y.shape, MATRIX, lambda: y))

    def vector(self, name, source, change=None):
        self.made(name, lambda: (change or np.squeeze)(self.read.f32(source)))

    def made(self, name, make):
        """f32, from a function."""
        self.tensors.append((name, make().shape, VECTOR, make))

    def rows(self, layers, table, prefix):
        """table: rows (name in llama.cpp, name in the checkpoint), once per layer. A name that ends in .weight and
        whose tensor has two axes is a matrix."""
        for i in range(layers):
            for name, source in table:
                self.auto(f"blk.{i}.{name}", prefix.format(i) + source)

    def auto(self, name, source):
        (self.matrix if len(self.read.header[source]["shape"]) == 2 else self.vector)(name, source)


def count_layers(reader, prefix):
    return 1 + max(int(n[len(prefix):].split(".")[0]) for n in reader.header if n.startswith(prefix))


def common(w, arch, vocab, width, layers, ff, heads, context=1 << 20):
    w.pairs = {"general.architecture": arch, "general.name": arch, "general.file_type": 32,
               "tokenizer.ggml.model": "no_vocab", f"{arch}.vocab_size": vocab, f"{arch}.context_length": context,
               f"{arch}.embedding_length": width, f"{arch}.block_count": layers, f"{arch}.feed_forward_length": ff,
               f"{arch}.attention.head_count": heads}
    return lambda **more: w.pairs.update({f"{arch}.{k.replace('__', '.')}": v for k, v in more.items()})


def add_mamba(w, arch):
    """Both generations: decays are stored as they are used, and convolutions in f32."""
    c = w.config
    D, L, first = c["hidden_size"], c["num_hidden_layers"], arch == "mamba"
    E = c["expand"] * D
    more = common(w, arch, c["vocab_size"], D, L, 0, 0)
    more(ssm__conv_kernel=c["conv_kernel"], ssm__inner_size=E, ssm__state_size=c["state_size"],
         ssm__time_step_rank=c["time_step_rank"] if first else c["num_heads"],
         attention__layer_norm_rms_epsilon=c["layer_norm_epsilon"])
    w.matrix("token_embd.weight", "backbone.embeddings.weight")
    w.vector("output_norm.weight", "backbone.norm_f.weight")
    p = "backbone.layers.{}."
    table = [("attn_norm.weight", "norm.weight"), ("ssm_in.weight", "mixer.in_proj.weight"),
             ("ssm_conv1d.weight", "mixer.conv1d.weight"), ("ssm_conv1d.bias", "mixer.conv1d.bias"),
             ("ssm_out.weight", "mixer.out_proj.weight")]
    if first:
        table += [("ssm_x.weight", "mixer.x_proj.weight"), ("ssm_dt.weight", "mixer.dt_proj.weight"),
                  ("ssm_dt.bias", "mixer.dt_proj.bias"), ("ssm_d", "mixer.D")]
    else:
        table += [("ssm_dt.bias", "mixer.dt_bias")]
        more(ssm__group_count=c["n_groups"])
    w.rows(L, table, p)
    for i in range(L):
        m = p.format(i) + "mixer."
        column = (lambda x: x) if first else (lambda x: x.reshape(-1, 1))
        w.vector(f"blk.{i}.ssm_a", m + "A_log", lambda x, column=column: column(-np.exp(x)))
        if not first:
            w.vector(f"blk.{i}.ssm_d", m + "D", column)
            w.vector(f"blk.{i}.ssm_norm.weight", m + "norm.weight", lambda x: x.reshape(c["n_groups"], -1))


RWKV7_MATRICES = (("time_mix_receptance", "att.receptance"), ("time_mix_key", "att.key"), ("time_mix_value", "att.value"),
                  ("time_mix_output", "att.output"), ("channel_mix_key", "ffn.key"), ("channel_mix_value", "ffn.value"))
RWKV7_VECTORS = (("attn_norm.weight", "ln1.weight"), ("attn_norm.bias", "ln1.bias"), ("attn_norm_2.weight", "ln2.weight"),
                 ("attn_norm_2.bias", "ln2.bias"), ("time_mix_ln.weight", "att.ln_x.weight"),
                 ("time_mix_ln.bias", "att.ln_x.bias"), ("time_mix_k_k.weight", "att.k_k"),
                 ("time_mix_k_a.weight", "att.k_a"), ("time_mix_r_k.weight", "att.r_k"), ("time_mix_w0.weight", "att.w0"),
                 ("time_mix_a0.weight", "att.a0"), ("channel_mix_lerp_k.weight", "ffn.x_k"))


def add_rwkv7(w, arch):
    r = w.read
    shape = lambda n: r.header[n]["shape"]
    (V, D), L, (F, _) = shape("emb.weight"), count_layers(r, "blocks."), shape("blocks.0.ffn.key.weight")
    more = common(w, arch, V, D, L, F, 0)
    rank = lambda n: shape(n)[1]
    more(wkv__head_size=shape("blocks.0.att.r_k")[1], attention__layer_norm_epsilon=1e-5,
         attention__decay_lora_rank=rank("blocks.0.att.w1"), attention__iclr_lora_rank=rank("blocks.0.att.a1"),
         attention__value_residual_mix_lora_rank=rank("blocks.1.att.v1"),
         attention__gate_lora_rank=rank("blocks.0.att.g1"))
    w.matrix("token_embd.weight", "emb.weight")
    w.matrix("output.weight", "head.weight")
    for name, source in (("token_embd_norm", "blocks.0.ln0"), ("output_norm", "ln_out")):
        w.vector(name + ".weight", source + ".weight")
        w.vector(name + ".bias", source + ".bias")
    for i in range(L):
        b, p = f"blk.{i}.", f"blocks.{i}."
        for name, source in RWKV7_MATRICES:
            w.matrix(b + name + ".weight", p + source + ".weight")
        for name, source in RWKV7_VECTORS:
            w.vector(b + name, p + source, np.ravel)
        mixes = [r.f32(f"{p}att.x_{x}").reshape(1, 1, D) for x in "rwkvag"]
        w.made(b + "time_mix_lerp_fused.weight", lambda mixes=mixes: np.stack(mixes))
        # Layer 0 mixes no values; llama.cpp wants the tensors all the same, and its converter puts these there.
        v = "v" if i else "a"
        w.vector(b + "time_mix_v0.weight", f"{p}att.{v}0", np.ravel)
        for name, source in (("a", "a"), ("v", v), ("g", "g")):
            for k in "12":
                w.matrix(f"{b}time_mix_{name}{k}.weight", f"{p}att.{source}{k}", np.transpose)
        for k in "12":
            w.vector(f"{b}time_mix_w{k}.weight", f"{p}att.w{k}", np.transpose)


def interleave(heads):
    """llama.cpp turns neighbours (2i, 2i+1) of a head where the checkpoint turns (i, i + half)."""
    return lambda x: x.reshape(heads, 2, x.shape[0] // heads // 2, -1).swapaxes(1, 2).reshape(x.shape)


def add_attention_model(w, arch):
    """Llama, Qwen3, Mixtral."""
    c = w.config
    D, L, H, G, K = (c[k] for k in ("hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
                                    "head_dim"))
    more = common(w, arch, c["vocab_size"], D, L, c["intermediate_size"], H, c["max_position_embeddings"])
    more(attention__head_count_kv=G, attention__key_length=K, attention__value_length=K,
         attention__layer_norm_rms_epsilon=c["rms_norm_eps"], rope__freq_base=c["rope_theta"], rope__dimension_count=K)
    w.matrix("token_embd.weight", "model.embed_tokens.weight")
    w.vector("output_norm.weight", "model.norm.weight")
    if not c["tie_word_embeddings"]:
        w.matrix("output.weight", "lm_head.weight")
    p = "model.layers.{}."
    w.rows(L, [("attn_norm.weight", "input_layernorm.weight"), ("ffn_norm.weight", "post_attention_layernorm.weight"),
               ("attn_v.weight", "self_attn.v_proj.weight"), ("attn_output.weight", "self_attn.o_proj.weight")], p)
    halves = arch != "llama"  # others turn as the checkpoint does
    for i in range(L):
        for x, heads in (("q", H), ("k", G)):
            w.matrix(f"blk.{i}.attn_{x}.weight", f"{p.format(i)}self_attn.{x}_proj.weight",
                     None if halves else interleave(heads))
    if halves:
        w.rows(L, [(f"attn_{x}_norm.weight", f"self_attn.{x}_norm.weight") for x in "qk"], p)
    if "num_local_experts" in c:
        add_experts(w, c, more, p)
    else:
        w.rows(L, [(f"ffn_{x}.weight", f"mlp.{x}_proj.weight") for x in ("gate", "up", "down")], p)


def add_experts(w, c, more, p):
    E = c["num_local_experts"]
    more(expert_count=E, expert_used_count=c["num_experts_per_tok"])
    for i in range(c["num_hidden_layers"]):
        m = p.format(i) + "block_sparse_moe."
        w.vector(f"blk.{i}.ffn_gate_inp.weight", m + "gate.weight")
        for name, source in (("gate", "w1"), ("down", "w2"), ("up", "w3")):
            parts = [w.read.bits(f"{m}experts.{e}.{source}.weight") for e in range(E)]
            w.tensors.append((f"blk.{i}.ffn_{name}_exps.weight", (E, *parts[0].shape), MATRIX,
                              lambda parts=parts: np.stack(parts)))


ARCHITECTURES = {"mamba": add_mamba, "mamba2": add_mamba, "rwkv7": add_rwkv7, "llama": add_attention_model,
                 "qwen3": add_attention_model}


def convert(folder, arch, out, f32=False):
    w = Writer(folder)
    ARCHITECTURES[arch](w, arch)
    if f32:
        w.tensors = [(n, s, VECTOR, m if k == VECTOR else lambda m=m: from_bf16(np.ascontiguousarray(m())))
                     for n, s, k, m in w.tensors]
    gguf.write(out, w.pairs, w.tensors)

