"""Rows decode and prefill: btc and llama.cpp in turn, each repetition with the machine's limits beside it."""
from contextlib import ExitStack

import models
import tools
from results import series
from shapes import SHAPES
from tools import Engine, say

PROMPT = 16         # tokens before decoding
DECODE = (32, 256)  # steps in a run, at least and at most; in between, as many as take SECONDS
SECONDS = 0.5
CONTEXT = 2560      # of llama.cpp: the longest prompt and some steps
UBATCH = 512        # of llama.cpp, and what else is tried once
OTHER_UBATCHES = (128, 2048)
WORTH = 1.03        # a faster ubatch is measured, too, when it is that much faster


def engines(stack, shape, group, with_peer):
    """Opens every compiled variant, and llama.cpp on the same bits: [(variant, engine)], engine or None."""
    ours = [(v, stack.enter_context(Engine(tools.WORKER, models.artefact(shape, v)))) for v in group]
    peer = None
    if with_peer:
        path = models.peer_file(shape, group[0].weights)
        peer = stack.enter_context(Engine(tools.PEER, "run", path, CONTEXT))
    return ours, peer


def decode_once(engine, threads, steps):
    """Tokens a second of `steps` steps behind a short prompt."""
    engine.ask("reset", 0)
    engine.ask("advance", threads, 0, PROMPT)
    return steps / engine.ask("steps", threads, 0, 1, steps)


def prefill_once(engine, threads, tokens):
    engine.ask("reset", 0)
    return tokens / engine.ask("advance", threads, 0, tokens)


def decode(o, results, limits, shape, group, threads, ours, peer):
    steps = round(SECONDS * decode_once(ours[0][1], threads, DECODE[0]))
    steps = max(DECODE[0], min(DECODE[1], steps))
    if peer:
        decode_once(peer, threads, DECODE[0])
    bandwidth, rates, peers = [], {v: [] for v, _ in ours}, []
    for _ in range(o.repeat):
        bandwidth.append(limits.ask("bandwidth", threads))
        for v, engine in ours:
            rates[v].append(decode_once(engine, threads, steps))
        if peer:
            peers.append(decode_once(peer, threads, steps))
    for v, engine in ours:
        size = models.step_bytes(shape, v, PROMPT + steps // 2)
        values = {"tokens_per_second": series(rates[v]), "bandwidth": series(bandwidth),
                  "of_bandwidth": series([r * size / b for r, b in zip(rates[v], bandwidth)])}
        add_peer(values, rates[v], peers, "peer")
        more = {"peer_bytes": peer.facts["weights_bytes"]} if peer else {}
        report(results.add("decode", shape, values, v.weights, v.math, threads, steps=steps, bytes=size,
                           weights_bytes=engine.facts["weights_bytes"], **more))


def add_peer(values, rates, peers, name):
    if peers:
        values[f"{name}_tokens_per_second"] = series(peers)
        values[f"of_{name}"] = series([a / b for a, b in zip(rates, peers)])


def best_ubatch(peer, threads, tokens, usual):
    """The ubatch that is clearly faster than the usual one, or None."""
    best, rate = None, usual * WORTH
    for n in OTHER_UBATCHES:
        if n > max(tokens, UBATCH):
            continue
        peer.ask("ubatch", n)
        new = prefill_once(peer, threads, tokens)
        if new > rate:
            best, rate = n, new
    peer.ask("ubatch", UBATCH)
    return best


def prefill(o, results, limits, shape, group, threads, tokens, ours, peer):
    peak, rates, peers, bests, ubatch = [], {v: [] for v, _ in ours}, [], [], None
    done, spent = 0, 0.0
    while done < o.repeat and (done < o.least or spent < o.patience):
        peak.append(limits.ask("peak", threads))
        for v, engine in ours:
            rates[v].append(prefill_once(engine, threads, tokens))
        if peer:
            peers.append(prefill_once(peer, threads, tokens))
            if done == 0 and o.ubatch:
                ubatch = best_ubatch(peer, threads, tokens, peers[0])
            if ubatch:
                peer.ask("ubatch", ubatch)
                bests.append(prefill_once(peer, threads, tokens))
                peer.ask("ubatch", UBATCH)
        spent += sum(tokens / r[-1] for r in (*rates.values(), peers, bests) if r)
        done += 1
    for v, engine in ours:
        flops = models.prefill_flops(shape, v, tokens)
        values = {"tokens_per_second": series(rates[v]), "peak": series(peak),
                  "of_peak": series([r / tokens * flops / p for r, p in zip(rates[v], peak)])}
        add_peer(values, rates[v], peers, "peer")
        add_peer(values, rates[v], bests, "peer_best")
        report(results.add(f"prefill-{tokens}", shape, values, v.weights, v.math, threads, flops=flops,
                           peer_ubatch=UBATCH if peer else None, peer_best_ubatch=ubatch))


def report(entry):
    words = [entry["row"], entry["shape"], f"{entry['weights']}-{entry['math']}", f"{entry['threads']} threads:"]
    for name, s in entry["values"].items():
        if name not in ("bandwidth", "peak"):
            words.append(f"{name} {s['median']:.3g} [{s['least']:.3g}-{s['most']:.3g}]")
    say("  " + " ".join(words))


def prepare(o, shape, group):
    for v in group:
        models.artefact(shape, v)
        models.work(shape, v, PROMPT)
        for row, tokens in PREFILLS.items():
            if row in o.rows:
                models.work(shape, v, tokens // 2)
    if peer_of(o, shape):
        models.peer_file(shape, group[0].weights)


PREFILLS = {"prefill-512": 512, "prefill-2048": 2048}
ROWS = ("decode", *PREFILLS)


def peer_of(o, shape):
    return o.peer and SHAPES[shape].peer


def measure(o, results, limits, shape, group):
    with ExitStack() as stack:
        ours, peer = engines(stack, shape, group, peer_of(o, shape))
        for threads in o.threads:
            if "decode" in o.rows:
                decode(o, results, limits, shape, group, threads, ours, peer)
            for row, tokens in PREFILLS.items():
                if row in o.rows:
                    prefill(o, results, limits, shape, group, threads, tokens, ours, peer)
