#!/usr/bin/env bash
# The compiler at the limits of memory and processes: it does its work or says one line, and leaves nothing behind.
#     test_limits.sh CASES BTC
set -u
model=$(realpath "$1")/hf-llama btc=$(realpath "$2") folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
passed=0 failed=0
ulimit -c 0

check() { # WHAT STATUS: done, or refused in one line
    local lines left
    lines=$(wc -l <said) left=$(find . -name '*.tmp-*' | wc -l)
    if [ "$left" = 0 ] && { { [ "$2" = 0 ] && [ "$lines" = 0 ]; } || { [ "$2" = 1 ] && [ "$lines" = 1 ] && grep -q 'error: ' said; }; }; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $1: status $2, $left temporary files; said: $(cat said)"
    fi
}

# From what loading LLVM takes (until then the loader speaks) to enough.
kib=64000
until (ulimit -v $kib && "$btc" --version) >said 2>&1 || [ $kib -gt 2000000 ]; do kib=$((kib + 4000)); done
done=0
for ((more = 4000; more <= 90000; more += more / 2)); do
    (ulimit -v $((kib + more)) && exec "$btc" "$model" --quiet --cpu=x86-64-v2 --target=x86_64 -o x) >said 2>&1
    status=$?
    [ $status = 0 ] && done=1
    check "$more KiB for compiling" $status
done
[ $done = 1 ] || echo "limits: memory was never enough"

if [ "$(id -u)" = 0 ] && setpriv --reuid=54323 --regid=54323 --clear-groups test -x "$btc" 2>/dev/null; then
    chmod 777 "$folder"
    for processes in 1 2 3 6; do
        setpriv --reuid=54323 --regid=54323 --clear-groups bash -c \
            "ulimit -u $processes && exec '$btc' '$model' --quiet -o x" >said 2>&1
        check "$processes processes for compiling" $?
    done
    setpriv --reuid=54323 --regid=54323 --clear-groups bash -c \
        "ulimit -u 4 && exec '$btc' verify '$model' --threads=8 --input='$model/expected.safetensors'" >said 2>&1
    check "verify with more threads than processes" $?
else
    echo "limits: processes: skipped (root and setpriv are needed)"
fi
echo "limits: $passed passed, $failed failed"
[ $failed = 0 ]
