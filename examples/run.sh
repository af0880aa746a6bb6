#!/usr/bin/env bash
# Builds btc, compiles the example model (examples/scripture/) to a shared library and to a program, and lets
# both write text. Needs nothing but a Debian 12 with network access; results are in examples/out/.
#     examples/run.sh ["a prompt"]
set -eu
cd "$(dirname "$0")/.."
prompt=${1:-And it came to pass}
out=examples/out

bash scripts/setup.sh --build
mkdir -p build "$out"
echo "== Building btc"
cmake -S . -B build -G Ninja -DCMAKE_C_COMPILER=gcc -DCMAKE_BUILD_TYPE=Release >build/cmake.log 2>&1 ||
    { cat build/cmake.log; exit 1; }
ninja -C build btc

echo "== Compiling the model"
set -x
build/btc examples/scripture/model.json -o $out/scripture.so
build/btc examples/scripture/model.json -o $out/scripture
{ set +x; } 2>/dev/null
ls -l $out/scripture.so $out/scripture

echo "== The shared library, called from examples/host.c"
gcc -std=c11 -O2 -I runtime examples/host.c -ldl -o $out/host
$out/host $out/scripture.so "$prompt" 100

echo "== The program"
printf '%s' "$prompt"
$out/scripture "$prompt" --tokens=600 --temperature=0.7 --seed=4
echo "== How well it predicts a text that it has never seen"
$out/scripture --bits-per-byte=examples/scripture/heldout.txt
