#!/usr/bin/env python3
"""Writes a checkpoint with random bf16 weights in a public shape: random_checkpoint.py SHAPE FOLDER

Random weights are as good as trained ones for speed: nothing in compiled code looks at their values.
"""
import json
import struct
import sys
from pathlib import Path

import numpy as np

RNG = np.random.default_rng(1)


class Checkpoint:
    """Collects tensors as (name, shape, scale or constant, dtype) and streams them into a safetensors file."""

    def __init__(self):
        self.tensors = {}

    def add(self, name, *shape, scale=None, value=None, dtype="BF16"):
        self.tensors[name] = (shape, shape[-1] ** -0.5 if scale is None else scale, value, dtype)

    def data(self, shape, scale, value, dtype):
        n = int(np.prod(shape))
        x = np.full(n, value, np.float32) if value is not None else RNG.standard_normal(n, dtype=np.float32) * np.float32(scale)
        return (x.view(np.uint32) >> 16).astype(np.uint16).tobytes() if dtype == "BF16" else x.tobytes()

    def write(self, path):
        header, at = {}, 0
        for name, (shape, _, _, dtype) in self.tensors.items():
            size = int(np.prod(shape)) * (2 if dtype == "BF16" else 4)
            header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + size]}
            at += size
        text = json.dumps(header).encode()
        text += b" " * (-(len(text) + 8) % 64)
        with open(path, "wb") as f:
            f.write(struct.pack("<Q", len(text)) + text)
            for spec in self.tensors.values():
                f.write(self.data(*spec))


def mamba(D, L, V=50280, N=16):
    c, E, R = Checkpoint(), 2 * D, D // 16
    c.add("backbone.embeddings.weight", V, D, scale=0.02)
    for i in range(L):
        p = f"backbone.layers.{i}."
        m = p + "mixer."
        c.add(p + "norm.weight", D, value=1.0, dtype="F32")
        c.add(m + "A_log", E, N, scale=0.5, dtype="F32")
        c.add(m + "D", E, scale=1.0, dtype="F32")
        c.add(m + "conv1d.weight", E, 1, 4, scale=0.5)
        c.add(m + "conv1d.bias", E, scale=0.1)
        c.add(m + "in_proj.weight", 2 * E, D)
        c.add(m + "x_proj.weight", R + 2 * N, E)
        c.add(m + "dt_proj.weight", E, R)
        c.add(m + "dt_proj.bias", E, scale=0.5)
        c.add(m + "out_proj.weight", D, E)
    c.add("backbone.norm_f.weight", D, value=1.0, dtype="F32")
    return c, {"model_type": "mamba", "architectures": ["MambaForCausalLM"], "hidden_size": D, "intermediate_size": E,
               "num_hidden_layers": L, "state_size": N, "time_step_rank": R, "vocab_size": V, "conv_kernel": 4,
               "expand": 2, "use_bias": False, "use_conv_bias": True, "hidden_act": "silu",
               "layer_norm_epsilon": 1e-5, "tie_word_embeddings": True}


def rwkv7(D, L, ranks, V=65536):
    c, H = Checkpoint(), D // 64
    c.add("emb.weight", V, D, scale=0.02)
    c.add("head.weight", V, D)
    norms = ["ln_out"] + ["blocks.0.ln0"] + [f"blocks.{i}.{n}" for i in range(L) for n in ("ln1", "ln2", "att.ln_x")]
    for n in norms:
        c.add(n + ".weight", D, value=1.0)
        c.add(n + ".bias", D, value=0.0)
    for i in range(L):
        a, f = f"blocks.{i}.att.", f"blocks.{i}.ffn."
        for x in "rwkvag":
            c.add(a + "x_" + x, 1, 1, D, scale=0.3)
        for x, r in zip("wav", ranks):
            if x == "v" and i == 0:
                continue
            c.add(a + x + "0", 1, 1, D, scale=0.5)
            c.add(a + x + "1", D, r, scale=D**-0.5)
            c.add(a + x + "2", r, D, scale=r**-0.5)
        c.add(a + "g1", D, ranks[3], scale=D**-0.5)
        c.add(a + "g2", ranks[3], D, scale=ranks[3] ** -0.5)
        c.add(a + "k_k", 1, 1, D, scale=1.0)
        c.add(a + "k_a", 1, 1, D, scale=1.0)
        c.add(a + "r_k", H, 64, scale=0.1)
        for n in ("receptance", "key", "value", "output"):
            c.add(a + n + ".weight", D, D)
        c.add(f + "x_k", 1, 1, D, scale=0.3)
        c.add(f + "key.weight", 4 * D, D)
        c.add(f + "value.weight", D, 4 * D)
    return c, None


def llama(D, L, V, H, G, K, F):
    c = Checkpoint()
    c.add("model.embed_tokens.weight", V, D, scale=0.02)
    for i in range(L):
        p = f"model.layers.{i}."
        for n in ("input_layernorm", "post_attention_layernorm"):
            c.add(p + n + ".weight", D, value=1.0)
        c.add(p + "self_attn.q_proj.weight", H * K, D)
        c.add(p + "self_attn.k_proj.weight", G * K, D)
        c.add(p + "self_attn.v_proj.weight", G * K, D)
        c.add(p + "self_attn.o_proj.weight", D, H * K)
        c.add(p + "mlp.gate_proj.weight", F, D)
        c.add(p + "mlp.up_proj.weight", F, D)
        c.add(p + "mlp.down_proj.weight", D, F)
    c.add("model.norm.weight", D, value=1.0)
    return c, {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": D, "intermediate_size": F,
               "num_hidden_layers": L, "num_attention_heads": H, "num_key_value_heads": G, "head_dim": K,
               "vocab_size": V, "rms_norm_eps": 1e-5, "hidden_act": "silu", "tie_word_embeddings": True,
               "max_position_embeddings": 4096, "rope_theta": 500000.0}


SHAPES = {
    "mamba-130m": lambda: mamba(768, 24),
    "mamba-1.4b": lambda: mamba(2048, 48),
    "rwkv7-0.4b": lambda: rwkv7(1024, 24, (64, 64, 32, 128)),
    "llama-3.2-1b": lambda: llama(2048, 16, 128256, 32, 8, 64, 8192),
}


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in SHAPES:
        sys.exit(f"usage: random_checkpoint.py SHAPE FOLDER   shapes: {' '.join(SHAPES)}")
    checkpoint, config = SHAPES[sys.argv[1]]()
    folder = Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint.write(folder / "model.safetensors")
    if config:
        (folder / "config.json").write_text(json.dumps(config, indent=1))


if __name__ == "__main__":
    main()
