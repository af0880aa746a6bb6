#!/usr/bin/env python3
"""Computes the example model once more, apart from train.py: numpy only, in
double precision, straight from the stored file.

    python reference.py ../scripture/model.safetensors ../scripture/heldout.txt
    python reference.py MODEL TEXT --expected expected.safetensors

The first prints the bits per byte of the text, by the protocol that train.py
tells.  The second writes the logits at a newline and the first 63 bytes of the
text: `input_ids` int64 [1, 64] and `logits` f32 [1, 64, 256].
"""
import argparse
import json
import math
import struct

import numpy as np

WINDOW, EPS, ROPE_BASE = 128, 1e-6, 10000.0


def load(path):
    with open(path, "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        data = f.read()
    out = {}
    for name, t in header.items():
        if name == "__metadata__":
            continue
        raw = data[t["data_offsets"][0]:t["data_offsets"][1]]
        if t["dtype"] == "BF16":        # the upper half of a float
            values = (np.frombuffer(raw, "<u2").astype("<u4") << 16).view("<f4")
        elif t["dtype"] == "F32":
            values = np.frombuffer(raw, "<f4")
        else:
            raise SystemExit(f"{path}: {name} is {t['dtype']}")
        out[name] = values.astype(np.float64).reshape(t["shape"])
    return out


def write(path, tensors):
    header, blobs, at = {}, [], 0
    for name, (kind, a) in tensors.items():
        blobs.append(a.tobytes())
        header[name] = {"dtype": kind, "shape": list(a.shape),
                        "data_offsets": [at, at + len(blobs[-1])]}
        at += len(blobs[-1])
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gelu(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3)))


def rmsnorm(x, weight):
    return x / np.sqrt(np.mean(x * x, -1, keepdims=True) + EPS) * weight


def recurrence(w, u):
    def linear(name, x):
        return x @ w[name + ".weight"].T + w[name + ".bias"]

    def blocks(name, x):                        # [time, blocks, in] x [blocks, in, out]
        m = w[name + ".weight"]
        y = np.einsum("tbi,bio->tbo", x.reshape(len(x), m.shape[0], -1), m)
        return (y + w[name + ".bias"]).reshape(len(x), -1)

    taps = w["conv.weight"][:, 0]
    x = linear("x", u)
    padded = np.vstack([np.zeros((taps.shape[1] - 1, x.shape[1])), x])
    z = w["conv.bias"] + sum(padded[k:k + len(x)] * taps[:, k]
                             for k in range(taps.shape[1]))
    i, r = sigmoid(blocks("gate_i", z)), sigmoid(blocks("gate_a", z))
    a = np.exp(-8 * r * np.log1p(np.exp(w["a_param"])))
    b = np.sqrt(1 - a * a) * i * z
    h, state = np.empty_like(b), np.zeros(b.shape[1])
    for t in range(len(b)):
        state = a[t] * state + b[t]
        h[t] = state
    return linear("out", h * gelu(linear("y", u)))


def attention(w, u):
    n, head = len(u), w["k.weight"].shape[0]
    heads = w["q.weight"].shape[0] // head
    freq = ROPE_BASE ** (-np.arange(0, head, 2) / head)
    angle = np.arange(n)[:, None] * np.concatenate([freq, freq])
    cos, sin = np.cos(angle), np.sin(angle)

    def rotate(x):
        return x * cos + np.hstack([-x[:, head // 2:], x[:, :head // 2]]) * sin

    k, v = rotate(u @ w["k.weight"].T), u @ w["v.weight"].T
    q = u @ w["q.weight"].T
    out = np.empty_like(q)
    for j in range(heads):
        cols = slice(j * head, (j + 1) * head)
        qj = rotate(q[:, cols])
        for start in range(0, n, WINDOW):
            first, end = max(0, start - WINDOW + 1), min(n, start + WINDOW)
            s = qj[start:end] @ k[first:end].T / math.sqrt(head)
            ago = np.arange(start, end)[:, None] - np.arange(first, end)
            s[(ago < 0) | (ago >= WINDOW)] = -np.inf
            p = np.exp(s - s.max(1, keepdims=True))
            out[start:end, cols] = p / p.sum(1, keepdims=True) @ v[first:end]
    return out @ w["o.weight"].T


def logits(w, tokens):
    x = w["embed.weight"][tokens]
    count = 1 + max(int(n.split(".")[1]) for n in w if n.startswith("layers."))
    for i in range(count):
        def part(name):
            head = f"layers.{i}.{name}."
            return {n[len(head):]: t for n, t in w.items() if n.startswith(head)}
        u = rmsnorm(x, part("norm1")["weight"])
        rec = part("rec")
        x = x + (recurrence(rec, u) if rec else attention(part("attn"), u))
        u = rmsnorm(x, part("norm2")["weight"])
        mlp = {n[:-len(".weight")]: t.T for n, t in part("mlp").items()}
        x = x + (gelu(u @ mlp["gate"]) * (u @ mlp["up"])) @ mlp["down"]
    return rmsnorm(x, w["norm.weight"]) @ w["head.weight"].T


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("model")
    p.add_argument("text")
    p.add_argument("--expected", metavar="FILE")
    args = p.parse_args()
    w = load(args.model)
    with open(args.text, "rb") as f:
        data = np.frombuffer(b"\n" + f.read(), np.uint8).astype(np.int64)
    if args.expected:
        ids = data[:64]
        write(args.expected, {
            "input_ids": ("I64", ids[None].astype("<i8")),
            "logits": ("F32", logits(w, ids)[None].astype("<f4"))})
        return
    l = logits(w, data[:-1])
    top = l.max(1)
    bits = (np.log(np.exp(l - top[:, None]).sum(1)) + top
            - l[np.arange(len(l)), data[1:]]) / math.log(2)
    print(f"{args.text}: {len(bits)} bytes, {bits.mean():.6f} bits per byte")


if __name__ == "__main__":
    main()
