#!/usr/bin/env bash
# The whole benchmark in one command: tests/bench/run.sh --help. Needs gcc, g++, cmake, ninja and python3; numpy is
# fetched into the output folder (build/bench, or BTC_BENCH_DIR) when python3 has none, and so is llama.cpp.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${BTC_BENCH_DIR:-$here/../../build/bench}
export PYTHONPATH=$out/python${PYTHONPATH:+:$PYTHONPATH} PYTHONDONTWRITEBYTECODE=1
if ! python3 -c 'import numpy' 2>/dev/null; then
    mkdir -p "$out"
    python3 -m pip install --quiet --target "$out/python" numpy
fi
exec python3 "$here/bench.py" "$@"
