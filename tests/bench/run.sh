#!/usr/bin/env bash
# Speed of models against this machine's limits: tests/bench/run.sh [MODEL ...]
# MODEL is anything btc compiles, or a shape of random_checkpoint.py (default: mamba-130m). Needs numpy for the latter.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=${BTC_BENCH_DIR:-build/bench}
mkdir -p "$out"
[ -x build/btc ] || { cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=Release >/dev/null && ninja -C build btc; }
gcc -O3 -march=native -fopenmp -I runtime tests/bench/bench.c -o "$out/bench" -ldl
[ $# -gt 0 ] || set -- mamba-130m
for model in "$@"; do
    if [ ! -e "$model" ]; then
        [ -d "$out/$model" ] || python3 tests/bench/random_checkpoint.py "$model" "$out/$model"
        model=$out/$model
    fi
    build/btc "$model" -o "$out/model.so" --quiet
    read -r bytes flops < <(build/btc report "$model" --json | python3 -c '
import json, sys
t = json.load(sys.stdin)["total"]
print(t["step"]["weight_bytes"] + t["step"]["state_bytes"], t["prefill"]["flops"])')
    for threads in 1 2; do "$out/bench" "$out/model.so" "$threads" 512 "$bytes" "$flops"; done
done
