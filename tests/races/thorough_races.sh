#!/usr/bin/env bash
# No two threads of a call touch the same bytes without a barrier between: the runtime and emitted code, both
# instrumented by ThreadSanitizer, run with 2 to 4 threads, and give the bits of one thread.
#     thorough_races.sh CASES BTC
# Code is emitted for the baseline of x86-64, since ThreadSanitizer looks at accesses of 16 bytes at most. The
# runtime's btc_parallel is replaced by threads.c; its barrier is the real one.
set -u
cases=$1 btc=$(realpath "$2") here=$(dirname "$0") root=$(realpath "$(dirname "$0")/../..")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
passed=0 failed=0
# the library part, as CMake builds it for tests
runtime_sources=$(sed -n 's/^add_library(btc_runtime_host [A-Z_ ]*\(.*\))/\1/p' "$root/runtime/CMakeLists.txt" | sed 's/query\.c\|sample\.c//g; s/\.c//g')
flags=(-std=gnu11 -O1 -g -fsanitize=thread -Wno-override-module -I"$root")

check() { # NAME COMMAND...
    local name=$1
    shift
    if "$@" >"$folder/log" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $name"
        head -n 30 "$folder/log" | sed 's/^/    /'
    fi
}

for source in $runtime_sources; do
    clang-19 "${flags[@]}" -c "$root/runtime/$source.c" -o "$folder/$source.o" || exit 1
done
for source in threads race_host; do
    clang-19 "${flags[@]}" -c "$here/$source.c" -o "$folder/$source.o" || exit 1
done
# shellcheck disable=SC2086  # a list of names
runtime=("$folder"/{threads,race_host}.o $(printf "$folder/%s.o " $runtime_sources))

# Emitted functions are instrumented where they ask for it.
instrument() { # MODEL OPTIONS...
    "$btc" "$@" --cpu=x86-64 --quiet --weights=file -o "$folder/m.so" &&
        "$btc" "$@" --cpu=x86-64 --quiet --emit=llvm -o "$folder/m.ll" &&
        sed -i 's/^attributes #0 = { nounwind/attributes #0 = { nounwind sanitize_thread/' "$folder/m.ll" &&
        grep -q 'sanitize_thread' "$folder/m.ll" &&
        clang-19 "${flags[@]}" -c "$folder/m.ll" -o "$folder/m.o" &&
        nm "$folder/m.o" | grep -q __tsan_read &&
        clang-19 -fsanitize=thread "$folder/m.o" "${runtime[@]}" -o "$folder/host" -ldl -lm
}

models=(hf-llama hf-mistral-swa hf-qwen3 hf-mixtral hf-mamba hf-mamba2 hf-recurrent-gemma rwkv7 hyena-lm)
export TSAN_OPTIONS="halt_on_error=1 exitcode=66"
for model in ${BTC_CASE:-${models[@]}}; do
    for options in "--dtype=f32" "--quant=q8" "--quant=q4 --state=bf16"; do
        # shellcheck disable=SC2086  # options are words
        check "$model $options: compiles" instrument "$cases/$model" $options
        for threads in 2 3 4; do
            check "$model $options: $threads threads" "$folder/host" "$folder/m.so" "$folder/m.so.weights" $threads
        done
    done
done

# The run must be able to fail: two threads that do not wait for each other are seen.
sed 's/call void @btc_barrier_wait(/call void @btc_no_barrier(/; s/@btc_barrier_wait/@btc_no_barrier/' "$folder/m.ll" >"$folder/b.ll"
echo 'void btc_no_barrier(void *b, long n) { (void)b, (void)n; }' >"$folder/b.c"
clang-19 "${flags[@]}" "$folder/b.ll" "$folder/b.c" "${runtime[@]}" -o "$folder/broken" -ldl -lm
check "a missing barrier is found" bash -c '"$1" "$2" "$2.weights" 2; [ $? = 66 ]' - "$folder/broken" "$folder/m.so"
echo "races: $passed passed, $failed failed"
[ $failed = 0 ]
