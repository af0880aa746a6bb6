"""The files that rows need: checkpoints, compiled models, GGUF files. Made when missing, in OUT/models/SHAPE/."""
import json
import multiprocessing
import shutil

import peer_model
import shapes
from tools import BTC, OUT, PEER, btc_knows, run, say


class Variant:
    """One way to compile a model: bits of its weights, arithmetic of prefill, options of btc."""

    def __init__(self, weights, math, *options):
        self.weights, self.math, self.options = weights, math, list(options)
        self.name = f"{weights}-{math}"
        self.known = btc_knows(self.options)
        self.fast = weights == "bf16" or math != "f32"  # not the exact arithmetic of quantised weights


def variants():
    return [Variant("bf16", "f32", "--math=f32"),
            Variant("bf16", "bf16", "--math=bf16"),
            Variant("q8", "int8", "--quant=q8", "--math=int8"),
            Variant("q8", "f32", "--quant=q8", "--math=f32"),
            Variant("q4", "int8", "--quant=q4", "--math=int8"),
            Variant("q4", "f32", "--quant=q4", "--math=f32")]


PEER_TYPES = {"bf16": "bf16", "q8": "q8_0", "q4": "q4_0"}


def apart(make, *arguments):
    """Calls it in a process of its own: the memory that it takes would count as that of every program started later."""
    p = multiprocessing.get_context("fork").Process(target=make, args=arguments)
    p.start()
    p.join()
    if p.exitcode != 0:
        raise SystemExit(f"{make.__module__}.{make.__name__} failed")


def folder(shape):
    return OUT / "models" / shape


def checkpoint(shape):
    path = folder(shape) / "checkpoint"
    if not (path / "model.safetensors").exists():
        say(f"  writing {shape}")
        apart(shapes.write, shape, path)
    return path


def source(shape):
    """What btc compiles: a folder, or the weights alone where there is no configuration."""
    path = checkpoint(shape)
    return path if (path / "config.json").exists() else path / "model.safetensors"


def artefact(shape, variant, ending=".so", *options):
    path = folder(shape) / (variant.name + "".join(options) + ending)
    if not path.exists():
        say(f"  compiling {shape} {variant.name}{ending}")
        run(BTC, source(shape), "-o", path, "--quiet", *variant.options, *options)
    return path


def work(shape, variant, past):
    """btc report's count of a step and of a prefilled token, with so many tokens before."""
    path = folder(shape) / f"{variant.name}-{past}.report"
    if not path.exists():
        checkpoint(shape)
        path.write_text(run(BTC, "report", source(shape), "--json", f"--past={past}", *variant.options))
    return json.loads(path.read_text())


def step_bytes(shape, variant, past):
    """Weights once, the state twice."""
    w = work(shape, variant, past)["total"]["step"]
    return w["weight_bytes"] + w["state_bytes"]


def prefill_flops(shape, variant, tokens):
    """Of a whole prefill: what follows the layers runs for the last token only. Attention sees half of the prompt
    in the mean."""
    r = work(shape, variant, tokens // 2)
    main = r["main"]["prefill"]["flops"]
    return tokens * (r["total"]["prefill"]["flops"] - main) + r["chunk"] * main


def peer_file(shape, weights):
    """The GGUF file; matrices in bf16, or quantised from that by llama.cpp itself."""
    kind = PEER_TYPES[weights]
    path, whole = folder(shape) / f"{kind}.gguf", folder(shape) / "bf16.gguf"
    if path.exists():
        return path
    if not whole.exists():
        say(f"  converting {shape} for llama.cpp")
        apart(peer_model.convert, checkpoint(shape), shapes.ALL[shape].peer, whole)
    if path != whole:
        say(f"  quantising {shape} to {kind}")
        run(PEER, "quantize", whole, path, kind)
    return path


def forget(shape, keep_checkpoint):
    """Removes what was made of a shape."""
    for path in folder(shape).glob("*"):
        if path.name == "checkpoint" and keep_checkpoint:
            continue
        shutil.rmtree(path) if path.is_dir() else path.unlink()
