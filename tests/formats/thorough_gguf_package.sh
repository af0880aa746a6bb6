#!/usr/bin/env bash
# Reference decodes against the package `gguf` of PyPI, as it is today, on other blocks than the golden ones.
set -u
here=$(realpath "$(dirname "$0")")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
if ! { python3 -m venv "$folder/venv" && "$folder/venv/bin/pip" install --quiet gguf; } >"$folder/log" 2>&1; then
    echo "gguf: skipped, it cannot be installed: $(tail -n 1 "$folder/log")"
    echo "gguf package: 0 passed, 0 failed"
    exit 0
fi
mkdir "$folder/golden"
passed=0 failed=0
for seed in 2 3 4 5; do
    "$folder/venv/bin/python" "$here/make_golden.py" "$folder/golden" $seed &&
        BTC_GOLDEN=$folder/golden build/tests/test_decode && passed=$((passed + 1)) || failed=$((failed + 1))
done
echo "gguf package: $passed passed, $failed failed"
[ $failed = 0 ]
