"""Rows about sequences: eight of them in one step, a position of a million, a long filter."""
import models
import tools
from results import series
from tools import Engine, say

TOGETHER = 8
MILLION = 1_000_000
PIECE = 50_000  # tokens of a prompt at once
STEPS = 64


def together(o, results, shape, group):
    """Throughput of one step of eight sequences, as a multiple of one sequence's."""
    for v in group:
        with Engine(tools.WORKER, models.artefact(shape, v)) as e:
            for threads in o.threads:
                measure_together(o, results, shape, v, e, threads)


def measure_together(o, results, shape, v, e, threads):
    for k in range(TOGETHER):
        e.ask("reset", k)
        e.ask("advance", threads, k, 16)
    steps = max(8, round(0.4 * 8 / e.ask("steps", threads, 0, 1, 8)))
    one, all_of_them = [], []
    for _ in range(o.repeat):
        one.append(steps / e.ask("steps", threads, 0, 1, steps))
        fewer = max(8, steps // 4)
        all_of_them.append(TOGETHER * fewer / e.ask("steps", threads, 0, TOGETHER, fewer))
    values = {"tokens_per_second": series(all_of_them), "alone_tokens_per_second": series(one),
              "of_alone": series([a / b for a, b in zip(all_of_them, one)])}
    show(results.add("batch-8", shape, values, v.weights, v.math, threads))


def million(o, results, shape, variant):
    """A small model that really runs a million tokens; steps at its end against steps at the start."""
    with Engine(tools.WORKER, models.artefact(shape, variant)) as e:
        e.ask("reset", 0)
        e.ask("reset", 1)
        e.ask("advance", 1, 0, 1)
        e.ask("advance", 1, 1, PIECE)
        e.ask("steps", 1, 1, 1, STEPS)
        before = e.ask("memory")[0]
        for _ in range(MILLION // PIECE - 1):
            e.ask("advance", 1, 1, PIECE)
        after = e.ask("memory")[0]
        steps = max(STEPS, round(0.2 * STEPS / e.ask("steps", 1, 1, 1, STEPS)))
        ratios = []
        for _ in range(4 * o.repeat):
            first = [e.ask("steps", 1, 0, 1, steps) for _ in range(2)]
            last = e.ask("steps", 1, 1, 1, 2 * steps)
            ratios.append(last / sum(first))
    show(results.add("position-1000000", shape, {"time": series(ratios), "memory": series([after / before])},
                     variant.weights, variant.math, 1))


def long_filter(o, results, shape, variant, *options):
    """Every position of a filter of 65,536, step by step; means over pieces that begin at powers of two."""
    length = 65536
    pieces = [(0, STEPS)] + [(1 << k, 1 << k) for k in range(6, 16)]
    pieces[0] = (1, STEPS - 1)
    costs = {first: [] for first, _ in pieces}
    with Engine(tools.WORKER, models.artefact(shape, variant, ".so", *options)) as e:
        for _ in range(o.least):
            e.ask("reset", 0)
            e.ask("advance", 1, 0, 1)
            for first, n in pieces:
                costs[first].append(e.ask("steps", 1, 0, 1, min(n, length - first)) / n)
    start = costs[1]
    values = {f"from_{first}": series([c / s for c, s in zip(costs[first], start)]) for first, _ in pieces[1:]}
    values["worst"] = max(values.values(), key=lambda s: s["median"])
    values["microseconds_at_1"] = series([1e6 * s for s in start])
    show(results.add("long-filter" + ("-distilled" if options else ""), shape, values, variant.weights, variant.math, 1))


def show(entry):
    words = [entry["row"], entry["shape"], f"{entry['threads']} threads:"]
    say("  " + " ".join(words + [f"{k} {s['median']:.4g} [{s['least']:.3g}-{s['most']:.3g}]"
                                 for k, s in entry["values"].items()]))
