"""What the figures have to reach. targets(entry) -> {name of a value: (least, most)}, either may be None."""
from shapes import ALL

DECODE_BIG = {"bf16": 0.90, "q8": 0.85, "q4": 0.75}
DECODE_SMALL = {"bf16": 0.75}
DECODE_PEER, DECODE_PEER_MEDIAN = 1.3, 1.6
PREFILL_PEER = {"recurrent": 3.0, "attention": 2.5}
INTEGER_SHAPES = ("llama-3.2-1b", "mamba-1.4b", "rwkv7-1.5b")
PRIMARY = {("bf16", "f32"), ("q8", "int8"), ("q4", "int8")}  # whose decoding counts
COMPILE = {"mamba-130m": 5.0, "mamba-1.4b": 30.0}


def decode(e, shape):
    if (e["weights"], e["math"]) not in PRIMARY:
        return {}
    return {"of_bandwidth": ((DECODE_BIG if shape.big else DECODE_SMALL).get(e["weights"]), None),
            "of_peer": (DECODE_PEER, None)}


def prefill(e, shape):
    way = e["weights"], e["math"]
    peak = None
    if way == ("bf16", "f32"):
        peak = 0.70
    elif way == ("bf16", "bf16"):
        peak = 1.2
    elif e["math"] == "int8" and e["shape"] in INTEGER_SHAPES:
        peak = 1.5
    return {"of_peak": (peak, None), "of_peer": (PREFILL_PEER.get(shape.kind), None)}


ROWS = {
    "decode": decode,
    "prefill-512": prefill,
    "prefill-2048": prefill,
    "batch-8": lambda e, s: {"of_alone": (5.0, None)},
    "position-1000000": lambda e, s: {"time": (0.98, 1.02), "memory": (0.98, 1.02)},
    "long-filter": lambda e, s: {"worst": (None, 256.0)},  # log2(65,536) squared
    "long-filter-distilled": lambda e, s: {"worst": (None, 1.1)},
    "start": lambda e, s: {"seconds": (None, 0.020)},
    "compile": lambda e, s: {"seconds": (None, COMPILE.get(e["shape"])), "of_weights": (None, 1.5)},
    "memory": lambda e, s: {"of_weights_and_state": (None, 1.05)},
    "agreement": lambda e, s: {"error": (None, 1e-4)},
    "size": lambda e, s: {"beyond_weights": (None, 300e3), "runtime": (None, 64e3)},
}


def targets(entry):
    wanted = ROWS[entry["row"]](entry, ALL[entry["shape"]])
    return {k: v for k, v in wanted.items() if k in entry["values"] and v != (None, None)}


def reached(entry, name):
    """True, False, or None where nothing is asked. The median counts."""
    if name not in targets(entry):
        return None
    least, most = targets(entry)[name]
    value = entry["values"][name]["median"]
    return (least is None or value >= least) and (most is None or value <= most)
