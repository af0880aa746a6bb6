#!/usr/bin/env python3
"""Measures what instructions cost on this machine (x86-64 with AVX-512 or AVX2), beside what btc's table says.

    python3 tests/bench/instructions.py [BTC]

Cycles are those of one instruction among many that do not wait for each other; the latency is that of a chain. A cycle is
what an addition takes that waits for the one before. Pairs tell which instructions share ports: two that do take the sum.
"""
import json
import os
import subprocess
import sys
import tempfile

ROWS = {"fma": "vfmadd231ps %v14, %v15, {d}", "dot2": "vdpbf16ps %v14, %v15, {d}", "dot4": "vpdpbusd %v14, %v15, {d}",
        "int": "AND %v14, {d}, {d}", "shift": "vpslld $4, {d}, {d}", "mul32": "vpmulld %v14, {d}, {d}",
        "convert": "vcvtdq2ps {d}, {d}", "lookup": "vpshufb %v14, {d}, {d}", "zip": "vpunpcklbw %v14, {d}, {d}",
        "load": "vmovups 64(%rsi), {d}", "broadcast": "vbroadcastss 4(%rsi), {d}", "widen": "vpmovzxwd 64(%rsi), {d}",
        "half": "vcvtph2ps 64(%rsi), {d}", "store": "vmovups {d}, 64(%rsi)"}
PAIRS = (("fma", "int"), ("fma", "shift"), ("fma", "mul32"), ("fma", "convert"), ("fma", "lookup"), ("dot2", "lookup"),
         ("dot4", "mul32"), ("lookup", "shift"), ("lookup", "int"), ("convert", "shift"), ("zip", "convert"))
COPIES, TURNS = 24, 40000

HEAD = r"""
#include <stdio.h>
#include <time.h>
static char memory[4096] __attribute__((aligned(64)));
static double seconds(void (*f)(long, void *)) {
    double best = 1e9;
    for (int i = 0; i < 15; i++) {
        struct timespec a, b;
        clock_gettime(CLOCK_MONOTONIC, &a);
        f(TURNS, memory + 256);
        clock_gettime(CLOCK_MONOTONIC, &b);
        double s = (double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec);
        if (s < best) best = s;
    }
    return best;
}
"""


def has(word):
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        return word in f.read()


def main():
    wide = has("avx512vl")
    lacks = {name for name, word in (("dot2", "avx512_bf16"), ("dot4", "avx512_vnni")) if not (wide and has(word))}
    register = "%zmm" if wide else "%ymm"
    code, names = ".text\n", []

    def add(name, lines):
        nonlocal code
        code += f".globl f{len(names)}\n.p2align 6\nf{len(names)}:\n.p2align 6\n1: " + "\n".join(lines)
        code += "\nsub $1, %rdi\njnz 1b\nret\n"
        names.append(name)

    def text(name, d):
        line = ROWS[name].replace("AND", "vpandd" if wide else "vpand").replace("%v", register)
        return line.format(d=f"{register}{d}")
    add("cycle", ["add %rax, %rax"] * COPIES)
    rows = [r for r in ROWS if r not in lacks]
    for r in rows:
        add((r, "cycles"), [text(r, i % 12) for i in range(COPIES)])
        add((r, "latency"), [text(r, 0)] * COPIES)
    for a, b in PAIRS:
        if a not in lacks and b not in lacks:
            add((a, b), [x for i in range(COPIES) for x in (text(a, i % 6), text(b, 6 + i % 6))])
    main_code = HEAD.replace("TURNS", str(TURNS)) + "".join(f"void f{i}(long, void *);\n" for i in range(len(names)))
    calls = "".join(f'printf("%g\\n", seconds(f{i}) / {COPIES} / {TURNS});\n' for i in range(len(names)))
    with tempfile.TemporaryDirectory() as folder:
        for name, content in (("k.s", code), ("m.c", main_code + "int main(void) {" + calls + "}")):
            with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
                f.write(content)
        subprocess.run(["cc", "-O2", "-z", "noexecstack", "m.c", "k.s", "-o", "m"], cwd=folder, check=True)
        out = subprocess.run([os.path.join(folder, "m")], check=True, capture_output=True, text=True).stdout.split()
    measured = {n: float(x) / float(out[0]) for n, x in zip(names, out)}
    table = {}
    if len(sys.argv) > 1:
        table = json.loads(subprocess.run([sys.argv[1], "list", "costs", "--json"], check=True, capture_output=True,
                                          text=True).stdout)["instructions"]
    print("instruction   cycles  latency   table: cycles, latency")
    for r in rows:
        says = table.get(r, {})
        says = says.get("corrected", says.get("llvm", {}))
        print(f"{r:12} {measured[r, 'cycles']:7.2f} {measured[r, 'latency']:8.2f}"
              + (f"   {says['cycles']:.2f} {says['latency']:7}" if says else ""))
    for n, x in measured.items():
        if n[1] not in ("cycles", "latency") and n != "cycle":
            print(f"{n[0]} and {n[1]}: {x:.2f}")


if __name__ == "__main__":
    main()
