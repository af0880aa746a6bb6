"""The figures as tables, for a terminal and for a document. A figure is a median [least-most]; `>= 0.90` beside it
says what is asked, and an x that it is not reached."""
import statistics

from shapes import ALL
from targets import DECODE_PEER_MEDIAN, reached, targets

OTHERS = {
    "batch-8": "eight sequences in one step: tokens/s as a multiple of one alone",
    "position-1000000": "a token at position 1,000,000 against one at position 1",
    "long-filter": "filter of 65,536: the dearest positions as a multiple of the first",
    "long-filter-distilled": "the same with the filter distilled",
    "start": "process start to the logits of one token, seconds",
    "compile": "compiling: seconds; peak memory as a part of the weights",
    "memory": "resident while decoding, as a part of weights and state",
    "agreement": "logits of llama.cpp, from the same weights in f32: relative difference",
    "size": "stripped library beyond the weights, bytes; the runtime in it",
}
HIDDEN = {"tokens_per_second", "alone_tokens_per_second", "microseconds_at_1"}


def number(v):
    return f"{v:.0f}" if v >= 1000 else f"{v:.3g}" if v >= 10 else f"{v:.2f}" if v >= 0.1 else f"{v:.3g}"


def figure(entry, name):
    s = entry["values"].get(name)
    if s is None:
        return ""
    text = number(s["median"])
    if len(s["all"]) > 1:
        text += f" [{number(s['least'])}-{number(s['most'])}]"
    least, most = targets(entry).get(name, (None, None))
    asked = f" ≥ {least:g}" if least is not None and most is None else f" ≤ {most:g}" if most is not None else ""
    return text + asked + (" ✗" if reached(entry, name) is False else "")


def order(entry):
    shapes, kinds = list(ALL), ["bf16", "q8", "q4"]
    return entry["row"], shapes.index(entry["shape"]), kinds.index(entry["weights"]), entry["math"], entry["threads"] or 0


def speed_table(entries, limit):
    head = ["model", "weights", "arithmetic", "threads", "tokens/s", limit.replace("_", " "), "llama.cpp tokens/s",
            "times llama.cpp"]
    rows = []
    for e in entries:
        best = "peer_best" if "of_peer_best" in e["values"] else "peer"
        cells = [figure(e, n) for n in ("tokens_per_second", limit, f"{best}_tokens_per_second")]
        ratio = figure(e, "of_peer")
        if best == "peer_best":
            ratio += f"; {number(e['values']['of_peer_best']['median'])} at its best n_ubatch, {e['peer_best_ubatch']}"
        rows.append([ALL[e["shape"]].title, e["weights"], e["math"], str(e["threads"]), *cells, ratio])
    return head, rows


def other_table(entries):
    rows = []
    for e in entries:
        figures = ", ".join(f"{n.replace('_', ' ')} {figure(e, n)}" for n in e["values"] if n not in HIDDEN)
        rows.append([OTHERS[e["row"]], ALL[e["shape"]].title, f"{e['weights']}, {e['math']}", str(e["threads"] or ""), figures])
    return ["what", "model", "weights, arithmetic", "threads", "figure"], rows


def sections(store):
    rows = sorted(store.rows, key=order)
    of = lambda row: [e for e in rows if e["row"] == row]
    if of("decode"):
        yield "Decoding, behind 16 tokens", *speed_table(of("decode"), "of_bandwidth")
    for n in ("512", "2048"):
        if of(f"prefill-{n}"):
            yield f"Prefill of {n} tokens", *speed_table(of(f"prefill-{n}"), "of_peak")
    others = [e for row in OTHERS for e in of(row)]
    if others:
        yield "Everything else", *other_table(others)


def medians(store):
    """The figure that is asked of all architectures together."""
    ratios = [e["values"]["of_peer"]["median"] for e in store.rows
              if e["row"] == "decode" and "of_peer" in targets(e)]
    if not ratios:
        return ""
    m = statistics.median(ratios)
    mark = "" if m >= DECODE_PEER_MEDIAN else " ✗"
    return f"Decoding against llama.cpp, median of {len(ratios)} figures: {m:.2f} ≥ {DECODE_PEER_MEDIAN}{mark}"


def machine(store):
    m = store.machine
    peaks = {}
    for e in store.rows:
        for name in ("bandwidth", "peak"):
            if name in e["values"]:
                peaks.setdefault((name, e["threads"]), []).append(e["values"][name]["median"])
    words = [f"{statistics.median(v) * 1e-9:.3g} {'GB/s' if k == 'bandwidth' else 'GFLOP/s'} with {t} thread{'s' * (t > 1)}"
             for (k, t), v in sorted(peaks.items())]
    limits = ", ".join(words) or m.get("limits", "")
    return f"{m['cpu']}, {m['vectors']}, {m['date']}; limits measured beside the figures: {limits}. Peer: {m['peer']}."


def text(store):
    parts = [machine(store)]
    for title, head, rows in sections(store):
        widths = [max(len(r[i]) for r in [head, *rows]) for i in range(len(head))]
        lines = ["  ".join(c.ljust(w) for c, w in zip(r, widths)).rstrip() for r in [head, *rows]]
        parts.append("\n".join([title, *lines]))
    return "\n\n".join(p for p in [*parts, medians(store)] if p)


def markdown(store):
    parts = [machine(store)]
    for title, head, rows in sections(store):
        lines = ["| " + " | ".join(r) + " |" for r in [head, ["---"] * len(head), *rows]]
        parts.append("\n".join([f"### {title}", "", *lines]))
    return "\n\n".join(p for p in [*parts, medians(store)] if p)


def summary(store):
    """One screen: six models, with the default arithmetic of their weights and two threads."""
    models = ("mamba-1.4b", "mamba2-1.3b", "rwkv7-1.5b", "recurrentgemma-2b", "llama-3.2-1b", "qwen3-0.6b")
    arithmetic = {"bf16": "bf16", "q8": "int8", "q4": "int8"}
    found = {(e["row"], e["shape"], e["weights"], e["math"], e["threads"]): e["values"] for e in store.rows}
    lines = ["| model | weights | decode, tokens/s | times llama.cpp | prefill of 512, tokens/s | times llama.cpp |",
             "|---|---|---|---|---|---|"]
    for shape in models:
        for weights, math in arithmetic.items():
            cells = []
            for row in ("decode", "prefill-512"):
                values = found.get((row, shape, weights, math, 2), {})
                for name in ("tokens_per_second", "of_peer"):
                    cells.append(number(values[name]["median"]) if name in values else "")
            if any(cells):
                lines.append(f"| {ALL[shape].title} | {weights} | " + " | ".join(cells) + " |")
    m = store.machine
    return "\n".join([f"### {m['cpu']}, {m['vectors']}, 2 threads, {m['date']}", "", *lines])
