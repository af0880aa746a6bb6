#!/usr/bin/env bash
# test_bare_symbols CASES BTC: objects for machines without an operating system ask for memcpy and memset and nothing else,
# whatever the model: every conformance case with every target, all of them with --thorough, else a part of the pairs,
# which meet each case and each target in turn; with weights as they are, in q8 and in q4.
set -u
cases=$1 btc=$2
passed=0 failed=0
work=$(mktemp -d "${TMPDIR:-/tmp}/btc-symbols-XXXXXX")
trap 'rm -rf "$work"' EXIT
command -v llvm-nm-19 >/dev/null || { echo "bare symbols: skipped, there is no llvm-nm-19"; exit 0; }

machines=("thumbv7em-none-eabi cortex-m4" "x86_64-none x86-64-v3" "thumbv8m.main-none-eabi cortex-m55" "riscv64-none rv64gcv"
    "aarch64-none neoverse-n1" "thumbv7em-none-eabi cortex-m7" "riscv64-none rv64gc" "thumbv8m.main-none-eabi cortex-m33"
    "x86_64-none x86-64" "aarch64-none generic" "x86_64-none znver4")
weights=(none q8 q4)

check() { # MODEL TARGET CPU QUANT
    local said
    if ! said=$("$btc" "$1" --quiet --target="$2" --cpu="$3" --quant="$4" -o "$work/m.o" 2>&1); then
        failed=$((failed + 1)) && echo "failed: $*: $said"
    elif said=$(llvm-nm-19 -u "$work/m.o" | grep -vE ' (memcpy|memset)$'); then
        failed=$((failed + 1)) && echo "failed: $* asks for: $said"
    else
        passed=$((passed + 1))
    fi
}

case ${BTC_TEST_AMOUNT:-usual} in
all) every=1 ;;
few) every=97 ;;
*) every=41 ;;
esac
n=0
for folder in "$cases"/*/; do
    name=$(basename "$folder")
    model=examples/descriptions/$name.json
    [ -f "$model" ] || model=$folder
    for ((k = 0; k < ${#machines[@]}; k++)); do
        set -- ${machines[k]}
        [ $((n % every)) = 0 ] && check "$model" "$1" "$2" "${weights[n % 3]}"
        n=$((n + 1))
    done
done
echo "bare symbols: $passed passed, $failed failed"
[ $failed = 0 ]
