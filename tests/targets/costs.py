#!/usr/bin/env python3
"""Compares `btc list costs` with llvm-mca: every instruction's throughput, latency and parts, and the inner loops of the
kernels in the assembly that btc writes. Where the table corrects LLVM, LLVM must say what the table holds against it, and
something else than the correction.

    python3 tests/targets/costs.py BTC     prints "costs: N passed, N failed"
"""
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile

MCA = "llvm-mca-19"
CPUS = {"x86_64-linux-gnu": ("znver4", "znver5", "icelake-server", "sapphirerapids", "znver3", "haswell", "alderlake"),
        "aarch64-linux-gnu": ("neoverse-v2", "cortex-a76", "cortex-a53")}
KERNELS = ("znver4", "znver5", "icelake-server", "sapphirerapids", "neoverse-v2", "cortex-a76", "cortex-a53")

# What the rows of ir/instructions.def are on these machines, on registers {d} and others, at a place in memory.
AVX = {"fma": "vfmadd231ps %v14, %v15, %v{d}", "dot2": "vdpbf16ps %v14, %v15, %v{d}",
       "dot4": "vpdpbusd %v14, %v15, %v{d}", "int": "vxorps %v14, %v15, %v{d}", "shift": "vpslld $4, %v15, %v{d}",
       "mul32": "vpmulld %v14, %v15, %v{d}", "convert": "vcvtdq2ps %v15, %v{d}", "lookup": "vpshufb %v14, %v15, %v{d}",
       "zip": "vpunpcklbw %v14, %v15, %v{d}", "load": "vmovups 64(%rsi), %v{d}",
       "broadcast": "vbroadcastss 4(%rsi), %v{d}", "widen": "vpmovzxwd 64(%rsi), %v{d}",
       "half": "vcvtph2ps 64(%rsi), %v{d}", "store": "vmovups %v{d}, 64(%rsi)"}
NEON = {"fma": "fmla v{d}.4s, v30.4s, v31.4s", "dot4": "usdot v{d}.4s, v30.16b, v31.16b",
        "int": "and v{d}.16b, v30.16b, v31.16b", "shift": "shl v{d}.4s, v31.4s, #4",
        "mul32": "mul v{d}.4s, v30.4s, v31.4s", "convert": "scvtf v{d}.4s, v31.4s",
        "lookup": "tbl v{d}.16b, {{v30.16b}}, v31.16b", "zip": "zip1 v{d}.16b, v30.16b, v31.16b",
        "load": "ldr q{d}, [x1, #64]", "broadcast": "ld1r {{v{d}.4s}}, [x1]",
        "widen": "ldr d{d}, [x1, #64]\nushll v{d}.4s, v{d}.4h, #0", "half": "ldr d{d}, [x1, #64]\nfcvtl v{d}.4s, v{d}.4h",
        "store": "str q{d}, [x1, #64]"}
# Without products of unsigned and signed bytes: two products put 128 back.
SDOT = "eor v20.16b, v30.16b, v29.16b\n" + 3 * "sdot v{d}.4s, v20.16b, v31.16b\n"

passed = failed = 0


def check(ok, message):
    global passed, failed
    if ok:
        passed += 1
    else:
        failed += 1
        print("failed:", message)


def run(*command, given=None):
    return subprocess.run(command, input=given, capture_output=True, text=True, check=False)


def mca(target, cpu, text):
    """Cycles of a turn, and of each instruction its parts and its latency."""
    features = ["-mattr=+dotprod"] if cpu == "cortex-a76" else []
    turns = max(8, min(200, 10000 // text.count("\n")))
    out = run(MCA, f"-mtriple={target}", f"-mcpu={cpu}", *features, f"-iterations={turns}", given=text)
    if out.returncode:
        raise RuntimeError(f"{MCA} for {cpu}: {out.stderr}\n{text}")
    cycles = int(re.search(r"Total Cycles:\s+(\d+)", out.stdout)[1]) / turns
    busiest = float(re.search(r"Block RThroughput:\s+([\d.]+)", out.stdout)[1])
    rows = re.findall(r"^\s+(\d+)\s+(\d+)\s+[\d.]+\s", out.stdout, re.M)
    return cycles, busiest, [(int(parts), int(latency)) for parts, latency in rows]


# --- instructions ---

def assembly(target, cpu, lanes, name):
    if target.startswith("aarch64"):
        return SDOT if name == "dot4" and cpu == "cortex-a76" else NEON[name]
    text = AVX[name].replace("%v", "%zmm" if lanes == 16 else "%ymm")
    if name == "int":  # comparing and choosing, too: what runs on all units
        text = text.replace("vxorps", "vpandd" if lanes == 16 else "vpand")
    return text


def check_instructions(costs, target, cpu):
    copies = 12
    for name, entry in costs["instructions"].items():
        llvm = entry.get("llvm")
        if not llvm:
            continue
        one = assembly(target, cpu, costs["lanes"], name)
        _, busiest, rows = mca(target, cpu, "\n".join(one.format(d=d) for d in range(copies)))
        each = len(rows) // copies
        parts = sum(p for p, _ in rows[:each])
        what = f"{cpu}: {name}"
        check(abs(busiest / copies - llvm["cycles"]) < 0.02, f"{what}: {busiest / copies:.2f} cycles, not {llvm['cycles']}")
        check(parts == llvm["uops"], f"{what}: {parts} parts, not {llvm['uops']}")
        if each == 1:
            check(rows[0][1] == llvm["latency"], f"{what}: latency {rows[0][1]}, not {llvm['latency']}")
        if "corrected" in entry:
            check(entry["corrected"] != llvm, f"{what}: the correction corrects nothing")
            check(len(entry["source"]) > 10, f"{what}: the correction has no source")


# --- kernels ---

def bf16(x):
    return struct.pack("<f", x)[2:]


def write_model(folder, formats):
    """One product with weights of each format."""
    d, n = 512, 128
    stored = {"f32": "F32", "f16": "F16"}
    head, data, ops = {}, b"", []
    numbers = [((7 * i + i // d) % 255 - 127) / 128 for i in range(d * n)]
    for f in formats:
        kind = stored.get(f, "BF16")
        raw = b"".join(map({"F32": lambda x: struct.pack("<f", x), "F16": lambda x: struct.pack("<e", x)}.get(kind, bf16), numbers))
        head[f] = {"dtype": kind, "shape": [n, d], "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(head).encode()
    with open(os.path.join(folder, "m.safetensors"), "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)
    for i, f in enumerate(formats):
        ops.append({"out": f"y{i}", "op": "linear", "x": "input", "w": f"@{f}[{n}, {d}]"})
    ops.append({"out": "y", "map": " + ".join(f"y{i}" for i in range(len(formats)))})
    described = {"btc": 1, "name": "t", "weights": "m.safetensors", "input": {"features": d}, "model": ops, "output": "y",
                 "quant": {f: f if f in ("q8", "q6", "q4") else stored.get(f, "bf16").lower() for f in formats}}
    with open(os.path.join(folder, "m.json"), "w", encoding="utf-8") as f:
        json.dump(described, f)
    return os.path.join(folder, "m.json")


def inner_loop(text, function):
    """The lines of the longest loop of a function that has no loop inside."""
    body = re.search(rf"^{re.escape(function)}:.*?^\.Lfunc_end", text, re.M | re.S)
    if not body:
        return None
    lines = [re.sub(r"\s*(//|#) .*", "", line).strip() for line in body[0].split("\n")]
    labels = {line[:-1]: i for i, line in enumerate(lines) if re.match(r"\.L\w+:$", line)}
    loops = []
    for i, line in enumerate(lines):
        to = re.match(r"(j\w+|b\.\w+|cbn?z|tbn?z|b)\s+(?:\w+, (?:#\d+, )?)?(\.L\w+)$", line)
        if to and labels.get(to[2], i) < i:
            loops.append((labels[to[2]] + 1, i))
    inner = [(a, b) for a, b in loops if not any(a <= x and y < b for x, y in loops if (x, y) != (a, b))]
    if not inner:
        return None
    a, b = max(inner, key=lambda x: x[1] - x[0])
    return [line for line in lines[a:b] if line and not line.startswith(".") and not line.endswith(":")]


PRODUCT = re.compile(r"v?(fn?m(add|sub|la|ls)|dpbf16|pdpbusd|usdot|sdot)")
# The table knows ports, issue and chains; llvm-mca knows registers and buffers, too, and instructions that LLVM has put in
# another way: where a machine works in order, LLVM's order of them decides as much as the table.
OUT_OF_ORDER, IN_ORDER, IN_THE_MEAN = 1.6, 3, 1.15


def compare_kernels(btc, model, costs, target, cpu, math, compress, ratios):
    out = run(btc, "compile", model, f"--target={target}", f"--cpu={cpu}", f"--math={math}", f"--compress={compress}",
              "--emit=asm", "--batch=1", "--quiet")
    check(not out.returncode, f"{cpu}: {out.stderr}")
    for k in costs["kernels"]:
        loop = None if k["arithmetic"] != math or k["kernel"] in ratios else inner_loop(out.stdout, k["kernel"])
        if not loop:
            continue
        products = sum(bool(PRODUCT.match(line)) for line in loop)
        if any(line.startswith("sdot") for line in loop):
            products /= 3  # SDOT
        turns = max(1, round(products / k["products"])) if k["multiply_adds"] else 1  # LLVM may put several into one
        ratios[k["kernel"]] = mca(target, cpu, "\n".join(loop))[0] / turns / k["llvm"]


def check_kernels(btc, folder, costs, target, cpu):
    model, ratios = write_model(folder, ("f32", "bf16", "q8", "q4")), {}
    for math in sorted({k["arithmetic"] for k in costs["kernels"]}):
        compare_kernels(btc, model, costs, target, cpu, math, "no", ratios)
    if any(k["weights"] == "bf16_12" for k in costs["kernels"]):
        compare_kernels(btc, write_model(folder, ("bf16",)), costs, target, cpu, "f32", "yes", ratios)
    most = IN_ORDER if cpu == "cortex-a53" else OUT_OF_ORDER
    for name, ratio in ratios.items():
        check(1 / most < ratio < most, f"{cpu}: {name} takes {ratio:.2f} times what the table says")
    middle = sorted(ratios.values())[len(ratios) // 2]
    check(most == IN_ORDER or 1 / IN_THE_MEAN < middle < IN_THE_MEAN, f"{cpu}: kernels take {middle:.2f} times what the table says")
    check(len(ratios) > 8, f"{cpu}: only {len(ratios)} kernels were found")


# --- defaults ---

def check_defaults(costs, cpu):
    """The arithmetic that is chosen is not slower than the other, for many tokens, by the table itself."""
    def cycles(weights, arithmetic):
        return [k["cycles"] / k["multiply_adds"] for k in costs["kernels"]
                if k["for"] == "chunk" and k["weights"] == weights and k["arithmetic"] == arithmetic]
    for weights, name, formats in (("bf16", "bf16", ("bf16",)), ("blocks", "int8", ("q8", "q4"))):
        for f in formats:
            exact, rounded = cycles(f, "f32"), cycles(f, name)
            fastest = name if rounded and rounded < exact else "f32"
            check(costs["defaults"][weights] == fastest, f"{cpu}: {f} is fastest in {fastest}, not {costs['defaults'][weights]}")
    check(cpu != "sapphirerapids" or costs["defaults"]["bf16"] == "f32", f"{cpu}: bf16 dots are slower than f32 there")
    check(cpu != "znver4" or costs["defaults"]["bf16"] == "bf16", f"{cpu}: bf16 dots are twice as fast there")


def main():
    btc = sys.argv[1]
    if not shutil.which(MCA):
        print(f"costs: skipped, there is no {MCA}")
        return 0
    for target, cpus in CPUS.items():
        for cpu in cpus:
            costs = json.loads(run(btc, "list", "costs", "--json", f"--target={target}", f"--cpu={cpu}").stdout)
            check_instructions(costs, target, cpu)
            check_defaults(costs, cpu)
            if cpu in KERNELS:
                with tempfile.TemporaryDirectory() as folder:
                    check_kernels(btc, folder, costs, target, cpu)
    print(f"costs: {passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
