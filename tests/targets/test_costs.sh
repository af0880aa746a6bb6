#!/usr/bin/env bash
# What instructions and kernels cost by btc's table, against llvm-mca; what defaults follow: costs.py.
exec python3 "$(dirname "$0")/costs.py" "$2"
