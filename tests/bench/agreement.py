"""Whether llama.cpp computes the same models: small ones of each architecture, with all matrices in f32 on its side,
and keys and values, too, so that nothing but the order of sums differs."""
import models
import numpy as np
import peer_model
import tools
from results import series
from sequences import show
from shapes import SMALL
from tools import Engine

TOKENS = 40


def logits(engine, file, *before):
    with engine:
        for request in before:
            engine.ask(request)
        engine.ask("reset", 0)
        engine.ask("advance", 1, 0, TOKENS)
        engine.ask("logits", file)
    return np.fromfile(file, np.float32)


def measure(o, results, variant):
    for shape, s in SMALL.items():
        if not s.peer:
            continue
        ours = models.artefact(shape, variant)
        theirs, file = models.folder(shape) / "f32.gguf", models.folder(shape) / "logits"
        peer_model.convert(models.checkpoint(shape), s.peer, theirs, f32=True)
        a, b = logits(Engine(tools.WORKER, ours), file), logits(Engine(tools.PEER, "run", theirs, 256), file, "exact")
        error = float(np.linalg.norm(a - b) / np.linalg.norm(a))
        assert a.size and a.size == b.size and np.isfinite(error), f"{shape}: nothing was compared"
        show(results.add("agreement", shape, {"error": series([error])},
                         variant.weights, variant.math))
