#!/usr/bin/env python3
"""The benchmark: every figure of the table, printed and stored. tests/bench/README.md says what is measured how.

    tests/bench/run.sh                                      everything: hours
    tests/bench/run.sh --shapes=mamba-130m --rows=decode    a part: a minute
"""
import argparse

import agreement
import costs
import models
import results
import sequences
import speed
import table
import tools
from shapes import SHAPES
from tools import OUT, say

# Rows of one variant of some shapes: (row, shapes or None for those that are asked for, what measures it)
OTHER_ROWS = (
    ("memory", None, costs.memory),
    ("size", ["mamba-130m", "llama-3.2-1b"], costs.size),
    ("start", ["mamba-130m"], costs.start),
    ("compile", ["mamba-130m", "mamba-1.4b"], costs.compiling),
)
# The same of small models, whatever shapes are asked for.
SMALL_ROWS = (
    ("position-1000000", ["mamba-small", "rwkv7-small"], sequences.million),
    ("long-filter", ["hyena-long"], sequences.long_filter),
)
ROWS = (*speed.ROWS, "batch-8", *(r[0] for r in OTHER_ROWS), *(r[0] for r in SMALL_ROWS), "agreement")
DISTILLED = "--distill-filters=16"


def arguments():
    p = argparse.ArgumentParser(prog="tests/bench/run.sh", formatter_class=argparse.RawDescriptionHelpFormatter,
                                description=__doc__)
    chosen = lambda known: lambda text: choose(p, text, known)
    p.add_argument("--shapes", default=list(SHAPES), type=chosen(SHAPES), metavar="NAME,..", help=", ".join(SHAPES))
    p.add_argument("--rows", default=list(ROWS), type=chosen(ROWS), metavar="ROW,..", help=", ".join(ROWS))
    p.add_argument("--weights", default=list(models.PEER_TYPES), type=chosen(models.PEER_TYPES), metavar="TYPE,..",
                   help=", ".join(models.PEER_TYPES))
    p.add_argument("--threads", default=[1, 2], type=lambda t: [int(x) for x in t.split(",")], metavar="N,..",
                   help="default 1,2")
    p.add_argument("--repeat", default=5, type=int, metavar="N", help="repetitions (default 5)")
    p.add_argument("--least", default=3, type=int, metavar="N", help="repetitions of runs that take long (default 3)")
    p.add_argument("--patience", default=60.0, type=float, metavar="SECONDS",
                   help="a figure that has taken longer is not repeated more than --least (default 60)")
    p.add_argument("--no-peer", dest="peer", action="store_false", help="without llama.cpp")
    p.add_argument("--fast", action="store_true", help="leave out the exact arithmetic of quantised weights")
    p.add_argument("--no-ubatch", dest="ubatch", action="store_false",
                   help="do not look for a better n_ubatch of llama.cpp than 512")
    p.add_argument("--prepare", action="store_true", help="make the files that are needed, and measure nothing")
    p.add_argument("--keep", action="store_true", help="keep the models (gigabytes) for the next time")
    p.add_argument("--json", type=lambda t: OUT / t, metavar="FILE",
                   help="where the figures are kept and added to (default: tests/bench/results/CPU.json)")
    return p.parse_args()


def choose(parser, text, known):
    names = text.split(",")
    for n in names:
        if n not in known:
            parser.error(f"{n} is not among {', '.join(known)}")
    return names


def groups(o, variants):
    """Variants of the same bits together, so that they share llama.cpp's runs."""
    for weights in o.weights:
        group = [v for v in variants if v.weights == weights and v.known and (v.fast or not o.fast)]
        if group:
            yield group


def measure_others(o, store, shape, variant):
    """Rows of the first variant; files are made by the way."""
    for row, shapes, measure in OTHER_ROWS:
        if row in o.rows and (not shapes or shape in shapes):
            measure(o, store, shape, variant)


def measure_small(o, store, variant):
    for row, shapes, measure in SMALL_ROWS:
        for shape in shapes if row in o.rows else ():
            measure(o, store, shape, variant)
            if row == "long-filter" and tools.btc_knows([DISTILLED]):
                measure(o, store, shape, variant, DISTILLED)


def measure_shapes(o, store, limits, variants):
    for shape in o.shapes:
        say(f"{SHAPES[shape].title}")
        for group in groups(o, variants):
            if any(r in speed.ROWS for r in o.rows):
                speed.prepare(o, shape, group)
                if not o.prepare:
                    speed.measure(o, store, limits, shape, group)
            if "batch-8" in o.rows and not o.prepare:
                sequences.together(o, store, shape, [v for v in group if v.fast])
            if group[0] is variants[0] and not o.prepare:
                measure_others(o, store, shape, group[0])
            if not o.keep and not o.prepare:
                models.forget(shape, keep_checkpoint=True)
        if not o.keep and not o.prepare:
            models.forget(shape, keep_checkpoint=False)


def main():
    o = arguments()
    tools.build()
    if o.peer:
        tools.build_peer()
    variants = models.variants()
    for v in variants:
        if not v.known and v.weights in o.weights:
            say(f"skipped: {v.name}: this btc does not know {' '.join(v.options)}")
    name, _ = tools.cpu()
    with tools.limits() as limits:
        machine = {"cpu": name, "vectors": limits.facts["vectors"], "peer": tools.peer_version()}
        store = results.Results(o.json, machine)
        measure_shapes(o, store, limits, variants)
        if not o.prepare:
            measure_small(o, store, variants[0])
            if "agreement" in o.rows and o.peer:
                agreement.measure(o, store, variants[0])
    if not o.prepare:
        print(table.text(store))
        say(f"figures: {store.path}")


if __name__ == "__main__":
    main()
