#!/usr/bin/env bash
# test_firmware CASES BTC: the firmware of examples/firmware/ runs under QEMU and writes what a program of this machine
# writes; its memory is what the header says; objects for a Cortex-M ask for memcpy and memset, and are small.
set -u
cases=$1 btc=$2
passed=0 failed=0
work=$(mktemp -d "${TMPDIR:-/tmp}/btc-firmware-XXXXXX")
trap 'rm -rf "$work"' EXIT

check() { # what, command..
    local what=$1
    shift
    if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "failed: $what"; fi
}
finish() {
    echo "firmware: $passed passed, $failed failed"
    [ $failed = 0 ]
    exit
}
for tool in qemu-system-arm clang-19 ld.lld-19 llvm-nm-19 llvm-size-19; do
    command -v $tool >/dev/null || { echo "firmware: skipped, there is no $tool"; finish; }
done

value() { sed -n "s/^#define $2 \([0-9]*\).*/\1/p" "$1"; }                # a constant of a header
bytes() { llvm-nm-19 -S "$1" | awk -v s="$2" '$4 == s { print $2 }' | while read -r x; do echo $((16#$x)); done; }
code() { llvm-size-19 -A "$1" | awk '$1 ~ /^\.(text|rodata|data)/ { n += $2 } END { print n }'; }
asks_little() { ! llvm-nm-19 -u "$1" | grep -vE '(memcpy|memset)$' | grep -q .; }

check "the firmware runs" env BTC="$btc" timeout 300 examples/firmware/run.sh "$work" >"$work/said" 2>"$work/err"
ids=$(printf 'In the beg' | od -An -tu1 | tr -s ' ' ',' | sed 's/^,//')
"$btc" examples/scripture/model.json --quiet --cpu=x86-64-v3 --target=x86_64 -o "$work/here" &&
    "$work/here" --ids="$ids" --temperature=0 --tokens=24 --quiet 2>/dev/null | tr ',' '\n' | while read -r id; do
        printf "\\$(printf %03o "$id")"
    done >"$work/text"
check "it writes what a program here writes" grep -qF "In the beg$(cat "$work/text")" "$work/said"
for block in state work; do
    name=SCRIPTURE_$(echo $block | tr a-z A-Z)_BYTES
    check "$name is what the linker has placed" \
        [ "$(value "$work/scripture.h" $name)" = "$(bytes "$work/firmware.elf" $block)" ]
    check "$block stands in the map" grep -qE "[0-9a-f]+ +[0-9a-f]+ +$(printf %x "$(value "$work/scripture.h" $name)") .* $block\$" "$work/firmware.map"
done
check "RAM is said when compiling" grep -q "RAM: $(value "$work/scripture.h" SCRIPTURE_STATE_BYTES) bytes of state" "$work/err"
check "its object asks for memcpy and memset" asks_little "$work/scripture.o"

for machine in "thumbv7em-none-eabi cortex-m4" "thumbv7em-none-eabi cortex-m7" "thumbv8m.main-none-eabi cortex-m33" \
    "thumbv8m.main-none-eabi cortex-m55"; do
    set -- $machine
    "$btc" "$cases/hf-mamba" --quiet --target="$1" --cpu="$2" --forms=step -o "$work/m.o"
    check "$2: memcpy and memset are all that is asked for" asks_little "$work/m.o"
    check "$2: code in 64 KiB: $(code "$work/m.o")" [ "$(code "$work/m.o")" -le 65536 ]
    "$btc" "$cases/hf-mamba" --quiet --target="$1" --cpu="$2" --forms=step -o "$work/m.a"
    "$btc" "$cases/hf-qwen3" --quiet --target="$1" --cpu="$2" --forms=step -o "$work/q.o"
    check "$2: so it is where positions turn heads in f64" asks_little "$work/q.o"
    check "$2: the archive holds the object" cmp -s "$work/m.o" <(llvm-ar-19 p "$work/m.a" m.o)
done
finish
