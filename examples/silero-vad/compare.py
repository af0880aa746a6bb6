#!/usr/bin/env python3
"""Microseconds for a frame, here and in ONNX Runtime, on one core, by turns in one run.

    btc examples/silero-vad/silero-vad.json -o vad.so
    pip install onnxruntime && pip download --no-deps silero-vad==6.2.3 && unzip silero_vad-*.whl 'silero_vad/data/*.onnx'
    taskset -c 0 python3 examples/silero-vad/compare.py ./vad.so silero_vad/data/silero_vad_16k_op15.onnx

Both get the same frames, with their states kept in between. Time is that of the calls alone, the least of many rounds.
"""
import array
import ctypes
import math
import sys
import time

import numpy
import onnxruntime

FRAME, CONTEXT, FRAMES, ROUNDS = 512, 64, 188, 15


class Library:
    """The table of btc.h: version and size, info, then functions."""
    OPEN, WORK_BYTES, INIT, STEP, WORK_INIT = 0, 2, 3, 6, 14

    def __init__(self, path):
        self.library = ctypes.CDLL(path)
        self.library.btc_query.restype = ctypes.POINTER(ctypes.c_void_p)
        self.table = self.library.btc_query(2)
        info = ctypes.cast(self.table[1], ctypes.POINTER(ctypes.c_int64))
        state_bytes = info[12]
        self.model = ctypes.create_string_buffer(64)
        self.call(self.OPEN, ctypes.c_int32, self.model, None, ctypes.c_uint32(0))
        work_bytes = self.call(self.WORK_BYTES, ctypes.c_size_t, ctypes.c_int32(1))
        self.state, self.work = self.block(state_bytes), self.block(work_bytes)
        self.call(self.WORK_INIT, ctypes.c_int32, self.model, self.work, ctypes.c_size_t(work_bytes))
        self.states = (ctypes.c_void_p * 1)(self.state)
        self.step = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p,
                                     ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p)(self.table[2 + self.STEP])

    def block(self, n):
        raw = ctypes.create_string_buffer(n + 64)
        self.__dict__.setdefault('kept', []).append(raw)
        return ctypes.c_void_p((ctypes.addressof(raw) + 63) // 64 * 64)

    def call(self, which, result, *arguments):
        return ctypes.CFUNCTYPE(result)(self.table[2 + which])(*arguments)

    def run(self, frames):
        self.call(self.INIT, ctypes.c_int32, self.model, self.state)
        got, y, seconds = [], ctypes.c_float(), 0.0
        model, out = ctypes.addressof(self.model), ctypes.addressof(y)
        for x in frames:
            at = x.ctypes.data
            begin = time.perf_counter()
            self.step(model, self.states, 1, self.work, 1, at, out)
            seconds += time.perf_counter() - begin
            got.append(y.value)
        return got, seconds


class Onnx:
    def __init__(self, path):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
        self.names = [i.name for i in self.session.get_inputs()]

    def run(self, frames):
        state, before = numpy.zeros((2, 1, 128), numpy.float32), numpy.zeros(CONTEXT, numpy.float32)
        got, seconds = [], 0.0
        for x in frames:
            all_inputs = {'input': numpy.concatenate([before, x])[None], 'state': state, 'sr': numpy.array(16000)}
            inputs = {name: all_inputs[name] for name in self.names}
            begin = time.perf_counter()
            y, state = self.session.run(None, inputs)
            seconds += time.perf_counter() - begin
            got.append(float(y[0, 0]))
            before = x[-CONTEXT:]
        return got, seconds


def sound():
    """A tone that comes and goes, in noise."""
    seed, out = 1, array.array('f')
    for t in range(FRAME * FRAMES):
        seed = (1664525 * seed + 1013904223) & 0xffffffff
        loud = math.sin(2 * math.pi * 1.5 * t / 16000) > 0
        out.append(0.05 * (seed / 2147483648.0 - 1) + 0.3 * loud * math.sin(2 * math.pi * 220 * t / 16000))
    return numpy.array(out, numpy.float32).reshape(FRAMES, FRAME)


def main():
    frames = sound()
    both = {'btc': Library(sys.argv[1]), 'ONNX Runtime ' + onnxruntime.__version__: Onnx(sys.argv[2])}
    best, last = {}, {}
    for _ in range(ROUNDS):
        for name, model in both.items():
            last[name], seconds = model.run(frames)
            best[name] = min(best.get(name, seconds), seconds)
    for name in both:
        print(f'{name:24} {1e6 * best[name] / FRAMES:8.1f} us a frame')
    ours, theirs = last.values()
    print(f'largest difference of a probability: {max(abs(a - b) for a, b in zip(ours, theirs)):.2g}')
    ours, theirs = best.values()
    print(f'btc is {theirs / ours:.1f} times as fast')


if __name__ == '__main__':
    main()
