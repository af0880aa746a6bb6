"""Rows about everything but speed: start, compiling, memory, size."""
import os
import subprocess
import time

import models
import tools
from results import series
from sequences import show
from tools import BTC, ROOT, Engine, run


def usage(command):
    """(seconds, most resident bytes) of a process."""
    start = time.monotonic()
    p = subprocess.Popen([str(c) for c in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    errors = p.stderr.read()
    _, status, used = os.wait4(p.pid, 0)
    seconds = time.monotonic() - start
    p.returncode = os.waitstatus_to_exitcode(status)
    if p.returncode != 0:
        raise SystemExit(f"failed: {command}\n{errors.decode(errors='replace')}")
    return seconds, used.ru_maxrss * 1024


def start(o, results, shape, variant):
    """From starting the program to its end, with one token in and its logits written to memory. The program lies in
    the page cache as the compiler left it: read from a disk, it may lie there in smaller pages."""
    (models.folder(shape) / variant.name).unlink(missing_ok=True)
    program = models.artefact(shape, variant, "")
    for threads in o.threads:
        seconds = []
        for i in range(4 * o.repeat + 1):
            command = [program, "--ids=5", "--dump=/dev/shm/btc-bench-logits", f"--threads={threads}", "--quiet"]
            s, _ = usage(command)
            if i:  # the first brings the file into memory
                seconds.append(s)
        os.unlink("/dev/shm/btc-bench-logits")
        show(results.add("start", shape, {"seconds": series(seconds)}, variant.weights, variant.math, threads))


def compiling(o, results, shape, variant):
    """Time and memory of the compiler, with the checkpoint in memory; the weights are those of the checkpoint."""
    weights = os.path.getsize(models.checkpoint(shape) / "model.safetensors")
    out = models.folder(shape) / "compiled.so"
    seconds, memory = [], []
    for i in range(o.least + 1):
        s, m = usage([BTC, models.source(shape), "-o", out, "--quiet", *variant.options])
        out.unlink()
        if i:
            seconds.append(s)
            memory.append(m / weights)
    show(results.add("compile", shape, {"seconds": series(seconds), "of_weights": series(memory)}, variant.weights,
                     variant.math))


def memory(o, results, shape, variant):
    """Resident memory of a process that decodes."""
    for threads in o.threads:
        with Engine(tools.WORKER, models.artefact(shape, variant)) as e:
            e.ask("reset", 0)
            e.ask("steps", threads, 0, 1, 32)
            resident = e.ask("memory")[0]
            f = e.facts
        show(results.add("memory", shape, {"of_weights_and_state": series([resident / (f["weights_bytes"] + f["state_bytes"])])},
                         variant.weights, variant.math, threads, resident=resident))


def symbols(path):
    """name -> bytes, of what a file defines."""
    lines = (line.split() for line in run("nm", "-S", path).splitlines())
    return {w[3]: int(w[1], 16) for w in lines if len(w) == 4}


def size(o, results, shape, variant):
    """The stripped library without its weights; what of its code is the runtime's, by the names of functions."""
    library = models.artefact(shape, variant)
    stripped = library.with_suffix(".stripped")
    run("strip", "-o", stripped, library)
    inside = symbols(library)
    beyond = os.path.getsize(stripped) - inside["btc_weights"]
    stripped.unlink()
    arch = os.uname().machine
    names = set()
    for path in (ROOT / "build" / "runtime" / arch).glob("*.o"):
        names |= set(symbols(path))
    runtime = sum(n for name, n in inside.items() if name in names)
    show(results.add("size", shape, {"beyond_weights": series([beyond]), "runtime": series([runtime])}, variant.weights,
                     variant.math))
