#!/usr/bin/env bash
# Every description of examples/descriptions/ gives the numbers of the case whose weights it names.
#     tests/examples/test_descriptions.sh CASES BTC
set -u
cd "$(dirname "$0")/../.."
btc=${2:-build/btc}
passed=0 failed=0

for file in examples/descriptions/*.json; do
    folder=$(sed -n 's|.*"weights": "../../\(tests/conformance/[^/]*\)/.*|\1|p' "$file")
    if "$btc" verify "$file" --math=f32 --expect="$folder/expected.safetensors" --tolerance="$folder/case.json" >/dev/null; then
        passed=$((passed + 1))
    else
        echo "$file: not the numbers of $folder"
        failed=$((failed + 1))
    fi
done

echo "descriptions: $passed passed, $failed failed"
[ $failed = 0 ]
