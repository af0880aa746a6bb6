"""The programs that the benchmark runs: btc, worker.c, and llama.cpp with peer.c, built when they are not there; and
how to talk to them (protocol.h)."""
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "tests" / "bench"
OUT = Path(os.environ.get("BTC_BENCH_DIR", ROOT / "build" / "bench"))
BTC = ROOT / "build" / "btc"
WORKER, PEER = OUT / "worker", OUT / "peer"
PEER_PACKAGE = "llama-cpp-python"
PEER_OPTIONS = ["-DCMAKE_BUILD_TYPE=Release", "-DBUILD_SHARED_LIBS=OFF", "-DGGML_NATIVE=ON", "-DGGML_OPENMP=ON"]
PEER_PARTS = ["COMMON", "TESTS", "TOOLS", "EXAMPLES", "SERVER"]  # that we do not need


def say(*words):
    print(*words, file=sys.stderr, flush=True)


def run(*command, **more):
    """Runs a command; what it says is shown only when it fails."""
    r = subprocess.run([str(c) for c in command], capture_output=True, text=True, **more)
    if r.returncode != 0:
        raise SystemExit(f"failed: {' '.join(str(c) for c in command)}\n{r.stdout[-2000:]}{r.stderr[-4000:]}")
    return r.stdout


def older(target, *sources):
    """target is missing, or one of the sources is newer."""
    return not target.exists() or any(s.stat().st_mtime > target.stat().st_mtime for s in sources)


def build():
    OUT.mkdir(parents=True, exist_ok=True)
    if not BTC.exists():
        say("building btc")
        run("cmake", "-S", ROOT, "-B", ROOT / "build", "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release")
        run("ninja", "-C", ROOT / "build", "btc")
    limits = ROOT / "compiler" / "bench"
    base = [ROOT / "ir" / "base" / f"{name}.c" for name in ("arena", "diag", "temp", "progress")]
    sources = [HERE / "worker.c", HERE / "protocol.h", limits / "limits.c", limits / "limits_kernels.h", *base]
    if older(WORKER, *sources):
        run("gcc", "-O2", "-std=gnu17", "-D_GNU_SOURCE", f"-I{ROOT / 'runtime'}", f"-I{limits}", f"-I{ROOT / 'ir'}", HERE / "worker.c",
            limits / "limits.c", *base, "-o", WORKER, "-ldl", "-lpthread")


def peer_source():
    """The folder of llama.cpp, from the source package; fetched once."""
    folder = OUT / "llama-cpp-python"
    if not folder.exists():
        say(f"fetching {PEER_PACKAGE}")
        part = OUT / "fetch"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        run(sys.executable, "-m", "pip", "download", "--no-binary", PEER_PACKAGE, "--no-deps", PEER_PACKAGE, "-d", part)
        archive, = part.glob("*.tar.gz")
        run("tar", "xzf", archive, "-C", part)
        next(p for p in part.iterdir() if p.is_dir()).rename(folder)
        shutil.rmtree(part)
    return folder / "vendor" / "llama.cpp"


def build_peer():
    if not older(PEER, HERE / "peer.c", HERE / "protocol.h"):
        return
    source, out = peer_source(), OUT / "llama.cpp"
    say("building llama.cpp (some minutes)")
    run("cmake", "-S", source, "-B", out, "-G", "Ninja", *PEER_OPTIONS, *[f"-DLLAMA_BUILD_{p}=OFF" for p in PEER_PARTS])
    run("ninja", "-C", out, "llama")
    run("gcc", "-O2", "-std=gnu17", "-c", f"-I{source}/include", f"-I{source}/ggml/include", HERE / "peer.c",
        "-o", OUT / "peer.o")
    libraries = [next(out.rglob(f"lib{n}.a")) for n in ("llama", "ggml", "ggml-cpu", "ggml-base")]
    run("g++", OUT / "peer.o", *libraries, "-o", PEER, "-fopenmp", "-lpthread", "-ldl", "-lm")


def peer_version():
    info = OUT / "llama-cpp-python" / "PKG-INFO"
    lines = info.read_text(errors="replace").splitlines() if info.exists() else []
    return next((f"{PEER_PACKAGE} {line.split()[1]}" for line in lines if line.startswith("Version:")), None)


def btc_knows(options):
    """Whether this btc has the options, as its help lists them."""
    text = run(BTC, "compile", "--help")
    return all(f"{o.split('=')[0]}=" in text or f"{o} " in text for o in options)


def cpu():
    """(name as the system has it, flags)"""
    text = Path("/proc/cpuinfo").read_text()
    facts = dict(line.split(":", 1) for line in text.split("\n\n")[0].splitlines() if ":" in line)
    facts = {k.strip(): v.strip() for k, v in facts.items()}
    return facts.get("model name", os.uname().machine), facts.get("flags", facts.get("Features", "")).split()


class Engine:
    """A running program that answers requests; its first line is facts."""

    def __init__(self, *command):
        self.command = [str(c) for c in command]
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        self.facts = json.loads(line) if line.startswith("{") else self.fail(line)

    def fail(self, line):
        raise SystemExit(f"{' '.join(self.command)}: {line.strip() or 'ended'}")

    def ask(self, *words):
        self.process.stdin.write(" ".join(str(w) for w in words) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line or line.startswith("error"):
            self.fail(line)
        numbers = [float(x) for x in line.split()]
        return numbers[0] if len(numbers) == 1 else numbers

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()


def limits():
    return Engine(WORKER, "limits")
