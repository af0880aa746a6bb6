#!/usr/bin/env python3
"""Writes models whose matrices are golden blocks, four formats of GGUF in each, and one of the two formats with a table
of values. A model is a GGUF file and a description, which looks ids up in a table that is also the head, and multiplies
by the other matrices. Writes ids to run it on, too.

    python3 tests/formats/models.py FOLDER     prints a line for each model of four: its name, its formats
"""
import json
import os
import struct
import sys

D, V = 512, 61
OUTPUTS = (V, 83, 37, 16)  # outputs that fill no panel
TYPES = {"q4_0": 2, "q4_1": 3, "q5_0": 6, "q5_1": 7, "q8_0": 8, "q2_k": 10, "q3_k": 11, "q4_k": 12, "q5_k": 13,
         "q6_k": 14, "iq4_nl": 20, "mxfp4": 39}


def text(s):
    return struct.pack("<Q", len(s)) + s.encode()


def golden(name):
    """Its blocks, and how many numbers one has. The edges of f16, which come first, are left out: beside them all
    other numbers of a sum would vanish."""
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden", name + ".bin"), "rb") as f:
        count, numbers, size = struct.unpack("<3I", f.read(12))
        blocks = [f.read(size) for _ in range(count)]
    return blocks[8 if numbers == 32 else 2:], numbers


def write_gguf(path, formats):
    head, data = struct.pack("<4sIQQ", b"GGUF", 3, len(formats), 0), b""
    for name, outputs in zip(formats, OUTPUTS):
        blocks, numbers = golden(name)
        head += text(name) + struct.pack("<IQQIQ", 2, D, outputs, TYPES[name], len(data))
        data += b"".join(blocks[(3 * i + i // len(blocks)) % len(blocks)] for i in range(outputs * D // numbers))
        data += bytes(-len(data) % 32)
    with open(path, "wb") as f:
        f.write(head + bytes(-len(head) % 32) + data)


def write_model(folder, model, formats):
    table = f"@{formats[0]}[V, D]"
    ops = [{"out": "x", "op": "embed", "ids": "tokens", "table": table}]
    ops += [{"out": f, "op": "linear", "x": "x", "w": f"@{f}[{n}, D]"} for f, n in zip(formats[1:], OUTPUTS[1:])]
    ops += [{"out": "o", "op": "linear", "x": "x", "w": table}]
    described = {"btc": 1, "name": "t", "dims": {"D": D, "V": V}, "weights": model + ".gguf", "input": {"tokens": "V"},
                 "model": ops, "output": "o", "expose": {f: f for f in formats[1:]}}
    with open(os.path.join(folder, model + ".json"), "w", encoding="utf-8") as f:
        json.dump(described, f)


def main():
    folder, names = sys.argv[1], list(TYPES)
    ids = struct.pack("<40i", *((7 * i + 3) % V for i in range(40)))
    head = json.dumps({"input_ids": {"dtype": "I32", "shape": [1, 40], "data_offsets": [0, len(ids)]}}).encode()
    with open(os.path.join(folder, "ids.safetensors"), "wb") as f:
        f.write(struct.pack("<Q", len(head)) + head + ids)
    models = {f"m{i}": names[i + 3:i:-1] + [names[i]] for i in range(0, len(names), 4)}
    models["tables"] = ["iq4_nl", "mxfp4"]
    for model, formats in models.items():
        write_gguf(os.path.join(folder, model + ".gguf"), formats)
        write_model(folder, model, formats)
        if model != "tables":
            print(model, *formats)


main()
