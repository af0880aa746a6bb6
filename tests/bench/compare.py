#!/usr/bin/env python3
"""Compares two compilers: the same checkpoints, decoded and prefilled in turn, medians of the ratios.

    python3 tests/bench/compare.py OLD-BTC [NEW-BTC] --shapes=mamba-130m,qwen3-0.6b --weights=bf16,q8,q4

NEW-BTC is build/btc unless it is given. A figure above 1 says that the new one is faster; [least-most] over the
repetitions. Compile time (user seconds of the whole command) and the size of the library stand beside them.
"""
import argparse
import os
import resource
import statistics
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import models
import tools
from shapes import ALL
from speed import decode_once, prefill_once
from tools import Engine, say

OPTIONS = {"bf16": [], "f32": ["--dtype=f32"], "q8": ["--quant=q8"], "q4": ["--quant=q4"]}


def arguments():
    p = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__)
    words = lambda text: text.split(",")
    p.add_argument("old", type=Path, metavar="OLD-BTC")
    p.add_argument("new", type=Path, nargs="?", default=tools.BTC, metavar="NEW-BTC")
    p.add_argument("--shapes", default=["mamba-130m"], type=words, help=", ".join(ALL))
    p.add_argument("--weights", default=list(OPTIONS), type=words, help=", ".join(OPTIONS))
    p.add_argument("--threads", default=[1, 2], type=lambda t: [int(x) for x in t.split(",")])
    p.add_argument("--repeat", default=9, type=int)
    p.add_argument("--steps", default=48, type=int, help="tokens decoded in a run")
    p.add_argument("--prompt", default=512, type=int, help="tokens prefilled in a run")
    o = p.parse_args()
    for name, known in ((o.shapes, ALL), (o.weights, OPTIONS)):
        for word in name:
            if word not in known:
                p.error(f"{word}: there are {', '.join(known)}")
    return o


def build(btc, shape, weights, path):
    """(user seconds, bytes of the library)"""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    subprocess.run([btc, models.source(shape), "-o", path, "--quiet", *OPTIONS[weights]], check=True)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before, os.path.getsize(path)


def ratio_text(ratios):
    return f"{statistics.median(ratios):.3f} [{min(ratios):.3f}-{max(ratios):.3f}]"


def measure(engines, repeat, once):
    """Ratios new / old of one repetition each; who begins changes, since caches and clocks favour neither."""
    ratios = []
    for i in range(repeat):
        rates = {}
        for k in ((0, 1) if i % 2 else (1, 0)):
            rates[k] = once(engines[k])
        ratios.append(rates[1] / rates[0])
    return ratios


def main():
    o = arguments()
    tools.build()
    print(f"{tools.cpu()[0]}; new / old, above 1: the new one is faster")
    print("| model | weights | threads | decode | prefill | compile, user s | bytes |\n|---|---|---|---|---|---|---|")
    for shape in o.shapes:
        models.checkpoint(shape)
        for weights in o.weights:
            paths = [models.folder(shape) / f"{name}-{weights}.so" for name in ("old", "new")]
            costs = [build(btc, shape, weights, path) for btc, path in zip((o.old, o.new), paths)]
            with ExitStack() as stack:
                engines = [stack.enter_context(Engine(tools.WORKER, path)) for path in paths]
                for threads in o.threads:
                    decode = measure(engines, o.repeat, lambda e: decode_once(e, threads, o.steps))
                    prefill = measure(engines, o.repeat, lambda e: prefill_once(e, threads, o.prompt))
                    print(f"| {shape} | {weights} | {threads} | {ratio_text(decode)} | {ratio_text(prefill)} | "
                          f"{costs[0][0]:.1f} -> {costs[1][0]:.1f} | {costs[1][1] - costs[0][1]:+d} |", flush=True)
            for path in paths:
                path.unlink()
    say("done")


if __name__ == "__main__":
    sys.exit(main())
