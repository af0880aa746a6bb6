#!/usr/bin/env bash
# No limit of memory, however odd, ends the process of a host, and none of processes, however often it is met.
#     thorough_limits.sh CASES BTC
set -u
model=$1/hf-llama btc=$(realpath "$2") here=$(dirname "$0") folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
passed=0 failed=0

for output in thing.so thing.h; do "$btc" "$model" --name=thing --quiet -o "$folder/$output" || exit 1; done
gcc -std=c11 -O1 -fopenmp -I"$folder" "$here/process_host.c" -ldl -o "$folder/host" || exit 1
sum=$("$folder/host" "$folder/thing.so" 1 | head -n 1)

check() { # WHAT COMMAND...: only right sums and statuses, to the end
    local what=$1 said
    shift
    said=$(timeout 300 "$@" 2>&1 | sed "s/^$sum$/ok/; s/^status \(8\|-1\)$/refused/" | tr '\n' ' ')
    if [[ $said =~ ^((ok|refused)\ )*end\ $ ]]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $what: $said"
    fi
}

for ((kib = 5000; kib <= 70000; kib += 37)); do
    check "$kib KiB" "$folder/host" "$folder/thing.so" 1 memory=$kib 2 3 5 9 1
done
if [ "$(id -u)" = 0 ] && setpriv --reuid=54324 --regid=54324 --clear-groups true 2>/dev/null; then
    chmod 755 "$folder" && chmod 644 "$folder"/*.so
    for ((i = 0; i < 500; i++)); do
        check "three processes" setpriv --reuid=54324 --regid=54324 --clear-groups \
            "$folder/host" "$folder/thing.so" processes=3 3 2 3 2 3 4 3
    done
else
    echo "limits: processes: skipped (root and setpriv are needed)"
fi
echo "limits: $passed passed, $failed failed"
[ $failed = 0 ]
