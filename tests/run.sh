#!/usr/bin/env bash
# Runs everything that can be checked by itself, and ends with one line "N passed, N failed".
#     tests/run.sh                  all of it
#     tests/run.sh --quick          without the sanitizer and fuzz builds
#     tests/run.sh --thorough       also what takes hours: all combinations, tests/*/thorough_*, ThreadSanitizer
#     tests/run.sh --filter=NAME    only suites whose name holds NAME, such as ir, asan, fuzz, structure
# Suites run side by side, as many as there are cores (at most 4).
# Installs what is missing (scripts/setup.sh) and builds in build/, build-asan/ and build-fuzz/.
#
# Every tests/*/test_*.c is a program, every tests/*/test_*.sh a script. Both are started in the project's
# folder with two arguments, the folder of the conformance cases and the path of btc (the other way round
# where the head of the file says "test_NAME [BTC"), and end with "<suite>: N passed, N failed".
# thorough_*.c and thorough_*.sh are the same, for --thorough.
#
# No test passes or fails by its speed. The time limit of a suite is against hangs: at least ten times what the
# slowest suite needs on two quiet cores, so that it holds on a busy machine.
set -eu
shopt -s extglob
cd "$(dirname "$0")/.."

quick=no thorough=no filter=
hang=3600 # seconds
for argument; do
    case $argument in
        --quick) quick=yes ;;
        --thorough) thorough=yes hang=86400 ;;
        --filter=*) filter=${argument#--filter=} ;;
        *) sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
done

logs=$(mktemp -d)
log=$logs/build
trap 'rm -rf "$logs"' EXIT
cores=$(nproc)
# A control group may leave less: the quota of the own one and of those around it, rounded.
while read -r file; do
    read -r quota period <"$file" 2>/dev/null || continue
    [ "${file##*/}" = cpu.max ] || read -r period <"${file%/*}/cpu.cfs_period_us" || continue
    [[ $quota =~ ^[0-9]+$ && $period =~ ^[0-9]+$ ]] && ((period > 0)) || continue
    whole=$(((2 * quota + period) / (2 * period)))
    cores=$((whole < 1 ? 1 : whole < cores ? whole : cores))
done < <(awk -F: '$1 == 0 { print "/sys/fs/cgroup", $3, "cpu.max" }
                  $2 ~ /(^|,)cpu(,|$)/ { print "/sys/fs/cgroup/cpu", $3, "cpu.cfs_quota_us" }' /proc/self/cgroup |
    while read -r top group name; do
        while ls "$top$group/$name" 2>/dev/null || true; [ "${group%/}" ]; do group=${group%/*}; done
    done)
at_once=$((cores < 4 ? cores : 4)) # suites

milliseconds() { date +%s%3N; }
started=$(milliseconds)
seconds_since() { awk -v ms=$(($(milliseconds) - $1)) 'BEGIN { printf "%6.1f s", ms / 1000 }'; }
say() { printf '[%s] %s\n' "$(seconds_since "$started")" "$*"; }
wanted() { [[ $1 == *"$filter"* ]]; }

# suite NAME COMMAND...: runs it beside others, and notes what it says. A suite that says nothing, or ends badly
# without having counted a failure, is one failure.
suite() {
    wanted "$1" || return 0
    while [ "$(jobs -pr | wc -l)" -ge "$at_once" ]; do wait -n || true; done
    run_suite "$@" &
}

run_suite() {
    local name=$1 start status=0 last='' p=0 f=0 log
    log=$(mktemp "$logs/suite-XXXXXX")
    shift
    start=$(milliseconds)
    timeout -k 10 "$hang" "$@" >"$log" 2>&1 </dev/null || status=$?
    last=$(grep -aE '^[^ ].*: [0-9]+ passed, [0-9]+ failed$' "$log" | tail -n 1) || true
    if [ -n "$last" ]; then
        p=$(sed -E 's/.*: ([0-9]+) passed, ([0-9]+) failed$/\1/' <<<"$last")
        f=$(sed -E 's/.*: ([0-9]+) passed, ([0-9]+) failed$/\2/' <<<"$last")
    fi
    if [ -z "$last" ] || { [ $status != 0 ] && [ "$f" = 0 ]; }; then
        f=$((f + 1))
    fi
    echo "$p $f" >"$log.count"
    {
        say "$(printf '%-34s %s  %5d passed, %d failed' "$name" "$(seconds_since "$start")" "$p" "$f")"
        grep -a 'skipped' "$log" | sed 's/^/      /' || true
        if [ "$f" != 0 ]; then
            [ $status = 0 ] || echo "      exit status $status$([ $status != 124 ] || echo ": hangs; it was ended after $hang s")"
            grep -av ' passed, ' "$log" | tail -n 40 | sed 's/^/      /' || true
        fi
    } >"$log.said"
    cat "$log.said"
}

# build FOLDER TARGETS CMAKE-OPTIONS...: what does not compile is missing afterwards; the rest is there.
build() {
    local folder=$1 targets=$2 start
    shift 2
    start=$(milliseconds)
    mkdir -p "$folder"
    if ! cmake -S . -B "$folder" -G Ninja -DCMAKE_C_COMPILER=gcc "$@" >"$log" 2>&1; then
        cat "$log"
        echo "0 1" >"$(mktemp "$logs/build-XXXXXX").count"
        return 0
    fi
    # shellcheck disable=SC2086  # targets are words
    if ninja -C "$folder" -k 0 $targets >"$log" 2>&1; then
        say "$(printf '%-34s %s' "build in $folder" "$(seconds_since "$start")")"
    else
        say "$(printf '%-34s %s  FAILED' "build in $folder" "$(seconds_since "$start")")"
        grep -aA 12 'FAILED:' "$log" | head -n 80 | sed 's/^/      /' || true
    fi
}

# Compiling hundreds of models takes long, and the sanitizers see the same of the compiler in other tests. What
# memory a process keeps (test_reload) is the sanitizer's own matter.
not_run='asan/tests/@(e2e/*|laws/*|targets/test_ptx.c|cli/test_verify_faults.c|ops/test_nonfinite.c|link/test_reload.c)'

# programs FOLDER LABEL KIND: the programs tests/*/KIND_*.c built there.
programs() {
    local folder=$1 label=$2 kind=$3 source name arguments
    for source in tests/*/"$kind"_*.c; do
        [ -e "$source" ] || continue
        case $label/$source in $not_run) continue ;; esac
        name=$(basename "$source" .c)
        arguments=(tests/conformance "$folder/btc")
        ! head -n 8 "$source" | grep -qF "$name [BTC" || arguments=("$folder/btc" tests/conformance)
        suite "$label $(basename "$(dirname "$source")")/$name" "$folder/tests/$name" "${arguments[@]}"
    done
}

# scripts KIND: the scripts tests/*/KIND_*.sh.
scripts() {
    local script
    for script in tests/*/"$1"_*.sh; do
        [ -e "$script" ] || continue
        suite "release $(basename "$(dirname "$script")")/$(basename "$script" .sh)" \
            bash "$script" tests/conformance build/btc
    done
}

any_wanted() { # LABEL: whether the filter lets any program of this build run
    local source
    for source in tests/*/test_*.c tests/*/test_*.sh tests/*/thorough_*.c tests/*/thorough_*.sh; do
        wanted "$1 $(basename "$(dirname "$source")")/$(basename "${source%.*}")" && return 0
    done
    return 1
}

format() {
    local files
    files=$(find base formats ir plan kernels compiler targets runtime tests examples -name '*.[ch]' | sort)
    # shellcheck disable=SC2086  # file names without blanks
    if clang-format-14 --dry-run -Werror $files; then
        echo "format: 1 passed, 0 failed"
    else
        echo "To repair: clang-format-14 -i FILE"
        echo "format: 0 passed, 1 failed"
    fi
}

bash scripts/setup.sh
say "set up"

targets="btc tests" kinds=test
[ $thorough = no ] || targets="$targets thorough" kinds="test thorough"
if any_wanted release || wanted structure; then
    build build "$targets" -DCMAKE_BUILD_TYPE=Release
fi
[ $thorough = no ] || export BTC_TEST_AMOUNT=all
for kind in $kinds; do
    programs build release "$kind"
    scripts "$kind"
done

export -f format
suite format bash -c format
suite structure python3 tests/structure/check.py build/btc

if [ $quick = no ]; then
    if any_wanted asan; then
        # gcc sees ghosts of uninitialised variables in what the sanitizers add.
        build build-asan "btc tests" -DCMAKE_BUILD_TYPE=Debug -DBTC_SANITIZE=ON \
            "-DCMAKE_C_FLAGS=-O1 -Wno-maybe-uninitialized"
    fi
    # The compiler frees its memory by ending: leaks are not looked for.
    export ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1
    if [ $thorough = yes ]; then
        suite fuzz bash tests/fuzz.sh 60
    else
        export BTC_TEST_AMOUNT=few
        suite fuzz bash tests/fuzz.sh 5
    fi
    programs build-asan asan test
fi

wait
say "done"
read -r passed failed < <(cat "$logs"/*.count | awk '{ p += $1; f += $2 } END { print p + 0, f + 0 }')
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
