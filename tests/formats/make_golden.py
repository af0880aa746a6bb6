#!/usr/bin/env python3
"""Blocks of every GGUF format, and what the package `gguf` from PyPI makes of them.

    python3 tests/formats/make_golden.py FOLDER [SEED]

writes FOLDER/NAME.bin: the numbers of blocks, of numbers and of bytes in a block (u32 each), the blocks, the decoded
numbers (f32). Needs gguf and numpy: pip install gguf. tests/formats/golden/ was written with seed 1 and gguf 0.19.
"""
import os
import struct
import sys

import gguf
import numpy as np

# Where a block has halves (f16): scale, minimum. What is not there is random bytes.
HALVES = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q2_K": [80, 82], "Q3_K": [108],
          "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "IQ4_NL": [0], "MXFP4": []}
EDGES = (0.0, -0.0, 2.0**-24, -(2.0**-14), 2.0**-14 - 2.0**-24, 65504.0 / 4096, -1.0, 1.0)


def main():
    folder, seed = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1
    random = np.random.default_rng(seed)
    for name, places in HALVES.items():
        kind = gguf.GGMLQuantizationType[name]
        block, size = gguf.GGML_QUANT_SIZES[kind]
        count = 16 if block == 32 else 5
        blocks = random.integers(0, 256, (count, size), dtype=np.uint8)
        for n, at in enumerate(places):
            halves = random.normal(0, 0.02, count).astype(np.float16)
            edges = (EDGES[n * 3:] + EDGES[:n * 3])[:count // 2]
            halves[:len(edges)] = edges
            blocks[:, at:at + 2] = halves.reshape(count, 1).view(np.uint8)
        if name == "MXFP4":
            blocks[:, 0] = random.integers(100, 130, count)
            blocks[:6, 0] = (0, 1, 2, 127, 250, 8)
        numbers = gguf.dequantize(blocks, kind).astype("<f4").reshape(count, block)
        assert np.isfinite(numbers).all(), name
        with open(os.path.join(folder, name.lower() + ".bin"), "wb") as f:
            f.write(struct.pack("<3I", count, block, size) + blocks.tobytes() + numbers.tobytes())


main()
