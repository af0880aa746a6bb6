"""Writes GGUF files (version 3), as ggml/include/gguf.h of llama.cpp describes them: a header, key-value pairs, the
tensors' names, shapes and places, then their bytes, aligned to 32."""
import struct

import numpy as np

F32, BF16 = 0, 30  # ggml_type
U32, FLOAT, BOOL, STRING = 4, 6, 7, 8
ALIGNMENT = 32


def string(s):
    b = s.encode()
    return struct.pack("<Q", len(b)) + b


def pair(key, value):
    if isinstance(value, bool):
        tail = struct.pack("<IB", BOOL, value)
    elif isinstance(value, int):
        tail = struct.pack("<II", U32, value)
    elif isinstance(value, float):
        tail = struct.pack("<If", FLOAT, value)
    else:
        tail = struct.pack("<I", STRING) + string(value)
    return string(key) + tail


def write(path, pairs, tensors):
    """pairs: key -> value; tensors: (name, shape, function that makes the array): uint16 is bf16, float32 is f32.

    Shapes are those of numpy; the file has them in reverse. Only one array is in memory at a time.
    """
    head = b"".join(pair(k, v) for k, v in pairs.items())
    infos, at = b"", 0
    for name, shape, kind, _ in tensors:
        infos += string(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *reversed(shape))
        infos += struct.pack("<IQ", BF16 if kind == np.uint16 else F32, at)
        size = int(np.prod(shape)) * np.dtype(kind).itemsize
        at += size + -size % ALIGNMENT
    start = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(pairs)) + head + infos
    with open(path, "wb") as f:
        f.write(start + b"\0" * (-len(start) % ALIGNMENT))
        for name, shape, kind, make in tensors:
            x = np.ascontiguousarray(make())
            if x.dtype != kind or x.size != int(np.prod(shape)):
                raise ValueError(f"{name}: expected {kind.__name__} {shape}, found {x.dtype} {x.shape}")
            f.write(x)
            f.write(b"\0" * (-x.nbytes % ALIGNMENT))
