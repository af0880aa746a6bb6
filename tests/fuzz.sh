#!/usr/bin/env bash
# Fuzzes every tests/fuzz/fuzz_*.c, starting from its seeds in tests/fuzz/corpus/.
#     tests/fuzz.sh                      ten minutes each
#     tests/fuzz.sh 3600 fuzz_json       an hour of one target
# Inputs that reach new code are kept in build-fuzz/corpus/ and used again; those that crash are written to
# build-fuzz/crashes/. To keep a crasher as a test for ever, fix the bug and copy the file into the seeds.
set -eu
cd "$(dirname "$0")/.."

seconds=${1:-600}
[ $# -eq 0 ] || shift
case $seconds in
    '' | *[!0-9]*) sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
build=build-fuzz
mkdir -p $build/crashes
# gcc decides what a warning is; clang knows some that it has not.
cmake -S . -B $build -G Ninja -DCMAKE_C_COMPILER=clang-19 -DCMAKE_BUILD_TYPE=RelWithDebInfo -DBTC_FUZZ=ON \
    -DCMAKE_C_FLAGS=-Wno-error=enum-float-conversion >$build/cmake.log 2>&1 || { cat $build/cmake.log; exit 1; }
ninja -C $build -k 0 fuzzers >$build/ninja.log 2>&1 || { grep -A 12 'FAILED:' $build/ninja.log | head -60; }

targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
    for source in tests/fuzz/fuzz_*.c; do
        targets+=("$(basename "$source" .c)")
    done
fi

# fuzz_ir_text -> tests/fuzz/corpus/ir: the seeds' folder is named after the target or its first word.
seeds_of() {
    local name=${1#fuzz_}
    for folder in "tests/fuzz/corpus/$name" "tests/fuzz/corpus/${name%%_*}"; do
        [ ! -d "$folder" ] || { echo "$folder"; return; }
    done
}

passed=0 failed=0
for target in "${targets[@]}"; do
    kept=$build/corpus/$target log=$build/$target.log
    seeds=$(seeds_of "$target")
    mkdir -p "$kept"
    status=0
    if [ ! -x "$build/tests/$target" ]; then
        echo "$target: not built"
        status=1
    else
        # shellcheck disable=SC2086  # no seeds: no argument
        "$build/tests/$target" -max_total_time="$seconds" -timeout=200 -rss_limit_mb=3000 -max_len=65536 \
            -artifact_prefix="$build/crashes/$target-" "$kept" $seeds >"$log" 2>&1 </dev/null || status=1
        [ $status = 0 ] || tail -n 40 "$log"
        echo "$target: $(grep -c . <<<"$(ls "$kept")") kept inputs, $(sed -n 's/^Done \([0-9]*\) runs.*/\1 runs/p' "$log")"
    fi
    if [ $status = 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
done
echo "fuzz: $passed passed, $failed failed"
[ $failed = 0 ]
