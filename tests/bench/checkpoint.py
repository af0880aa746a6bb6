"""Writing and reading safetensors files with random weights, quickly: gigabytes in seconds.

Random weights are as good as trained ones for speed, as long as activations neither explode nor become denormal:
nothing in compiled code looks at values. Numbers are drawn once and used again from another place for each tensor.
"""
import json
import struct

import numpy as np

SIZES = {"BF16": 2, "F32": 4}
POOL = 8388593  # numbers; a prime, so that rows of a matrix do not repeat at the same place
PIECE = 1 << 22


def to_bf16(x):
    """f32 -> bits of bf16, rounded towards zero."""
    return (x.view(np.uint32) >> 16).astype(np.uint16)


def from_bf16(bits):
    return (bits.astype(np.uint32) << 16).view(np.float32)


class Checkpoint:
    """Collects tensors and streams them into a file."""

    def __init__(self):
        self.tensors = {}
        self.rng = np.random.default_rng(1)

    def add(self, name, *shape, scale=None, mean=0.0, dtype="BF16"):
        """Normal numbers around `mean`; scale: their deviation, by default that of a matrix [out, in]."""
        self.tensors[name] = (shape, shape[-1] ** -0.5 if scale is None else scale, mean, dtype)

    def values(self, name, *shape, mean=1.0, scale=0.05, dtype="F32"):
        """A vector of factors or offsets."""
        self.add(name, *shape, scale=scale, mean=mean, dtype=dtype)

    def write(self, path):
        header, at = {}, 0
        for name, (shape, _, _, dtype) in self.tensors.items():
            size = int(np.prod(shape)) * SIZES[dtype]
            header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + size]}
            at += size
        text = json.dumps(header).encode()
        text += b" " * (-(len(text) + 8) % 64)
        pool = self.rng.standard_normal(POOL, dtype=np.float32)
        with open(path, "wb") as f:
            f.write(struct.pack("<Q", len(text)) + text)
            for shape, scale, mean, dtype in self.tensors.values():
                self.stream(f, pool, int(np.prod(shape)), scale, mean, dtype)

    def stream(self, f, pool, n, scale, mean, dtype):
        at = int(self.rng.integers(POOL))
        while n > 0:
            part = min(n, PIECE, POOL - at)
            x = pool[at:at + part] * np.float32(scale) + np.float32(mean)
            f.write(to_bf16(x) if dtype == "BF16" else x)
            n, at = n - part, (at + part) % POOL


class Reader:
    """Tensors of a safetensors file, mapped: a dictionary of arrays (bf16 as its bits, uint16)."""

    def __init__(self, path):
        with open(path, "rb") as f:
            size, = struct.unpack("<Q", f.read(8))
            self.header = json.loads(f.read(size))
        self.header.pop("__metadata__", None)
        self.data = np.memmap(path, np.uint8, "r", offset=8 + size)

    def __contains__(self, name):
        return name in self.header

    def bits(self, name):
        t = self.header[name]
        first, end = t["data_offsets"]
        kind = np.uint16 if t["dtype"] == "BF16" else np.float32
        return self.data[first:end].view(kind).reshape(t["shape"])

    def f32(self, name):
        x = self.bits(name)
        return from_bf16(x) if x.dtype == np.uint16 else np.array(x)
