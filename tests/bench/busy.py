#!/usr/bin/env python3
"""How fast a model is on a busy machine: beside loops that compute for ever, on few cores, or at a low priority.

    tests/bench/busy.py mamba-130m                       decode and prefill, 1 and 2 threads, beside 0, 1, 2, 4 loops
    tests/bench/busy.py old.so new.so --loops=0,2        several, in turn
    tests/bench/busy.py scripture --cores=0 --threads=1,2,8
    tests/bench/busy.py mamba-130m --nice=19

A model is a shape of shapes.py, `scripture` (the example), or a library that btc made. Every measurement of a
repetition is taken in turn with all others; a figure is tokens per second over all repetitions, and in brackets the part
that it is of the same model's figure with the first number of threads.
"""
import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import tools
from tools import OUT, ROOT, Engine, run, say

LOOP = "while True: pass"
STEPS = 8  # of a request
BEHIND = 16  # tokens in front of the steps
LONGEST = 1024  # steps of a sequence


def numbers(text):
    return [int(x) for x in text.split(",")]


def arguments():
    p = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__)
    p.add_argument("models", nargs="+", metavar="MODEL")
    p.add_argument("--options", default="", help="of btc, to compile with")
    p.add_argument("--threads", default=[1, 2], type=numbers, metavar="N,..", help="default 1,2")
    p.add_argument("--loops", default=[0, 1, 2, 4], type=numbers, metavar="N,..", help="default 0,1,2,4")
    p.add_argument("--prompt", default=128, type=int, metavar="N", help="tokens of a prefill (default 128)")
    p.add_argument("--cores", help="the only cores that the models and loops may use, as taskset has them")
    p.add_argument("--nice", type=int, default=0, help="of the models, not of the loops")
    p.add_argument("--seconds", type=float, default=0.5, help="of a measurement (default 0.5)")
    p.add_argument("--repeat", type=int, default=5, help="repetitions (default 5)")
    return p.parse_args()


def compiled(model, options):
    """The library of a model, made when it is not there."""
    if model.endswith(".so"):
        return Path(model).resolve()
    tools.build()
    name = "".join(c if c.isalnum() else "_" for c in model + options)
    library = OUT / f"busy_{name}.so"
    source = ROOT / "examples" / "scripture" / "model.json"
    if model != "scripture":
        source = OUT / f"busy_{model}"
        if not source.exists():
            run(sys.executable, ROOT / "tests" / "bench" / "shapes.py", model, source)
    if tools.older(library, tools.BTC):
        say("compiling", model)
        run(tools.BTC, source, "-o", library, *options.split())
    return library


def decode(engine, threads, seconds, prompt):
    tokens = spent = 0
    while spent < seconds:
        if tokens % LONGEST == 0:
            engine.ask("reset", 0)
            engine.ask("advance", threads, 0, BEHIND)
        spent += engine.ask("steps", threads, 0, 1, STEPS)
        tokens += STEPS
    return tokens, spent


def prefill(engine, threads, seconds, prompt):
    tokens = spent = 0
    while spent < seconds:
        engine.ask("reset", 0)
        spent += engine.ask("advance", threads, 0, prompt)
        tokens += prompt
    return tokens, spent


def measure(engines, o):
    """(what, model, threads) -> tokens per second"""
    cases = [(f, e, t) for f in (decode, prefill) for e in engines for t in o.threads]
    sums = {c: [0, 0.0] for c in cases}
    for _ in range(o.repeat):
        for f, e, t in cases:
            tokens, spent = f(e, t, o.seconds, o.prompt)
            sums[f, e, t][0] += tokens
            sums[f, e, t][1] += spent
    return {c: tokens / spent for c, (tokens, spent) in sums.items()}


def main():
    o = arguments()
    libraries = [compiled(m, o.options) for m in o.models]
    if o.cores:
        cores = {int(c) for part in o.cores.split(",") for c in [part]}
        os.sched_setaffinity(0, cores)
    worker = (["nice", "-n", str(o.nice)] if o.nice else []) + [str(tools.WORKER)]
    tools.build()
    print(f"{tools.cpu()[0]}, {len(os.sched_getaffinity(0))} cores")
    print(f"{'loops':>5}  {'':8}" + "".join(f"{Path(m).stem + ', ' + str(t):>28}" for m in o.models for t in o.threads))
    for loops in o.loops:
        beside = [subprocess.Popen([sys.executable, "-c", LOOP]) for _ in range(loops)]
        engines = [Engine(*worker, l) for l in libraries]
        try:
            figures = measure(engines, o)
        finally:
            for p in [*beside, *(e.process for e in engines)]:
                p.kill()
                p.wait()
        for f in (decode, prefill):
            cells = [(figures[f, e, t], figures[f, e, o.threads[0]]) for e in engines for t in o.threads]
            text = "".join(f"{f'{x:.1f} ({x / first:.2f})':>28}" for x, first in cells)
            print(f"{loops:>5}  {f.__name__:8}{text}", flush=True)


if __name__ == "__main__":
    main()
