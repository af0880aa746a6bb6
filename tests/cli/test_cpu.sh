#!/usr/bin/env bash
# Code for a processor that is not there is refused by the program, the library and the compiler, in one line that
# names an instruction set; nothing dies by an illegal instruction. On x86-64 and on ARM, where they can be tried.
#     test_cpu.sh CASES BTC
set -u
model=$1/hf-llama btc=$2 folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
passed=0 failed=0

check() { # WHAT STATUS TEXT COMMAND...: ends with STATUS and says TEXT; in one line of error with another than 0
    local what=$1 status=$2 text=$3 said got
    shift 3
    said=$("$@" 2>&1)
    got=$?
    if [ $got = "$status" ] && [[ $said == *"$text"* ]] && [ "$(grep -c 'error: ' <<<"$said")" = $((status != 0)) ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'FAILED: %s: status %s, said: %s\n' "$what" "$got" "$said"
    fi
}
program() { # TARGET CPU
    "$btc" "$model" --quiet --target="$1" --cpu="$2" -o "$folder/$2"
}
run=(--ids=1,2,3 --tokens=5 --temperature=0 --quiet --threads=2)

if [ "$(uname -m)" = x86_64 ]; then
    # only a few old processors have xop
    if ! grep -qw xop /proc/cpuinfo; then
        program x86_64 bdver4
        lacks=" lacks " # which, depends on the processor
        check "a program for another processor" 1 "$lacks" "$folder/bdver4" "${run[@]}"
        check "btc verify" 2 "$lacks" "$btc" verify "$model" --input="$model/expected.safetensors" --cpu=bdver4
        check "btc bench" 2 "$lacks" "$btc" bench "$model" --cpu=bdver4
        check "btc tune" 1 "$lacks" "$btc" tune "$model" --cpu=bdver4 -o "$folder/tuned"
    fi
    if command -v qemu-x86_64-static >/dev/null; then
        for cpu in x86-64 x86-64-v3 x86-64-v4 sapphirerapids; do program x86_64 $cpu; done
        ids=$("$folder/x86-64" "${run[@]}")
        check "oldest on Nehalem" 0 "$ids" qemu-x86_64-static -cpu Nehalem "$folder/x86-64" "${run[@]}"
        check "v3 on Nehalem" 1 "lacks avx, which" qemu-x86_64-static -cpu Nehalem "$folder/x86-64-v3" "${run[@]}"
        check "v4 on Haswell" 1 "lacks avx512f," qemu-x86_64-static -cpu Haswell "$folder/x86-64-v4" "${run[@]}"
        check "newest on Haswell" 1 "lacks avx512f," qemu-x86_64-static -cpu Haswell "$folder/sapphirerapids" "${run[@]}"
    else
        echo "cpu: qemu-x86_64-static: skipped"
    fi
fi
if command -v qemu-aarch64-static >/dev/null && [ -d /usr/aarch64-linux-gnu ] && program aarch64 generic 2>/dev/null; then
    for cpu in cortex-a76 neoverse-v1; do program aarch64 $cpu; done
    arm=(qemu-aarch64-static -L /usr/aarch64-linux-gnu)
    ids=$("${arm[@]}" "$folder/generic" "${run[@]}")
    check "a76 on a53" 1 "lacks dotprod" "${arm[@]}" -cpu cortex-a53 "$folder/cortex-a76" "${run[@]}"
    check "a76 on a76" 0 "$ids" "${arm[@]}" -cpu cortex-a76 "$folder/cortex-a76" "${run[@]}"
    check "v1 on a76" 1 "lacks sve" "${arm[@]}" -cpu cortex-a76 "$folder/neoverse-v1" "${run[@]}"
    check "v1 on a64fx" 1 "lacks i8mm" "${arm[@]}" -cpu a64fx "$folder/neoverse-v1" "${run[@]}"
    check "v1 on all" 0 "$ids" "${arm[@]}" -cpu max "$folder/neoverse-v1" "${run[@]}"
else
    echo "cpu: aarch64: skipped"
fi
echo "cpu: $passed passed, $failed failed"
[ $failed = 0 ]
