#!/usr/bin/env bash
# A model in the situations of real processes: forks of every kind, limits of processes and memory, OpenMP's
# variables, small stacks. It gives the numbers of one thread or a status, and the process of the host goes on.
#     test_process.sh CASES BTC
set -u
model=$1/hf-llama btc=$(realpath "$2") here=$(dirname "$0") folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
passed=0 failed=0
hang=300 # seconds: against hangs only

for output in thing.so thing.h thing.a thing; do
    "$btc" "$model" --name=thing --quiet -o "$folder/$output" || exit 1
done
host=(-std=c11 -Wall -Wextra -Werror -O1 -fopenmp -I"$folder" "$here/process_host.c")
gcc "${host[@]}" -ldl -o "$folder/host" || exit 1
gcc "${host[@]}" -DLINKED "$folder/thing.a" -o "$folder/linked" || exit 1
sum=$("$folder/host" "$folder/thing.so" 1 | head -n 1)

count() { # WHAT GOT WANTED
    if [ "$2" = "$3" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'FAILED: %s\n    got:    %s\n    wanted: %s\n' "$1" "$2" "$3"
    fi
}
# WANTED WORD...: what the host prints, "ok" for the sum, in one line. Lines of parent and child come in order, since
# the parent waits.
as=()
run() {
    local wanted=$1 got
    shift
    got=$(timeout $hang "${as[@]}" "$folder/${program:-host}" "$folder/thing.so" "$@" 2>"$folder/said" | sed "s/^$sum$/ok/" | tr '\n' ' ')
    count "$*" "$got" "$wanted "
}

# ---- forks: what the child says, then the parent's ----
run "ok ok ok end" 1 2 3
run "ok ok ok end ok ok end" 2 fork 2 1
run "ok ok end ok end" 1 fork 2
run "ok ok end ok end" 2 fork 1
run "ok ok ok end ok end ok ok end ok end" 3 fork 2 fork 4
run "ok ok end ok end" 2 thread-fork 2
run "ok end ok end" busy-fork 2
run "ok ok ok end ok end ok ok end ok end" own 2 busy-fork 2 fork own 3
run "ok end ok end" own fork 2 own
run "ok ok ok end" 2 daemon 2 3
run "ok ok end ok end" region fork region
run "ok ok ok end ok ok end" 2 region-fork 2 1
run "ok status 8 ok end ok ok end" 2 raw-fork 2 1
run "ok ok end" 2 shell 2
run "ok ok ok end ok end" 2 close 3 fork 2
run "ok end end" 2 unload fork
run "ok ok end" 2 $(yes close | head -n 300) 2
OMP_MAX_ACTIVE_LEVELS=2 run "ok ok ok end ok end" region 2 region-fork region
program=linked run "ok ok ok end ok ok end" 2 fork 2 3

# ---- Python's multiprocessing ----
if command -v python3 >/dev/null; then
    cat >"$folder/host.py" <<'PYTHON'
import ctypes as C, multiprocessing, sys
query = C.CDLL(sys.argv[1]).btc_query
query.restype = C.POINTER(C.c_void_p)
api = query(2)
info = C.cast(api[1], C.POINTER(C.c_int64))
call = lambda word, result, *types: C.CFUNCTYPE(result, *types)(api[word])
P, I32, I64 = C.c_void_p, C.c_int32, C.c_int64
open_, work_bytes, init = call(2, I32, P, P, C.c_uint32), call(4, C.c_size_t, I32), call(5, I32, P, P)
prefill, work_init = call(6, I32, P, P, P, I32, P, I64, P), call(16, I32, P, P, C.c_size_t)
keep = []
def block(size):
    keep.append(C.create_string_buffer(size + 64))
    return -(-C.addressof(keep[-1]) // 64) * 64
model = block(64)
assert open_(model, None, 0) == 0
def run(threads):
    state, work, out = block(info[12]), block(work_bytes(threads)), (C.c_float * info[8])()
    assert init(model, state) == 0 and work_init(model, work, work_bytes(threads)) == 0
    status = prefill(model, state, work, threads, (I32 * 9)(*range(9)), 9, out)
    return status, bytes(out)
one = run(1)
same = run(2) == one
with multiprocessing.get_context("fork").Pool(3) as pool:
    same = same and all(r == one for r in pool.map(run, [1, 2, 3, 2] * 4))
print(same and one[0] == 0 and run(2) == one)
PYTHON
    count "python" "$(timeout $hang python3 -W ignore "$folder/host.py" "$folder/thing.so" 2>&1)" True
else
    echo "process: python3: skipped"
fi

# ---- limits ----
if [ "$(id -u)" = 0 ] && setpriv --reuid=54321 --regid=54321 --clear-groups true 2>/dev/null; then
    chmod 755 "$folder" && chmod 644 "$folder"/*.so
    as=(setpriv --reuid=54321 --regid=54321 --clear-groups)
    run "ok ok status 8 status 8 ok ok ok end" processes=3 2 3 4 64 3 2 1
    run "ok ok ok ok status 8 ok end" 2 4 processes=3 4 3 4 1 # a pool that is there may be used
    run "status 8 ok end" processes=1 2 1
    run "ok ok end ok end" 2 processes=3 fork 2
    run "ok status 8 ok ok end" processes=3 region 4 2 1
    said=$(timeout $hang "${as[@]}" bash -c "ulimit -u 3; exec '$folder/thing' --ids=1,2 --threads=8" 2>&1)
    count "program: status" $? 1
    count "program: one line of error" "$(grep -c '^thing: error: no threads to be had' <<<"$said") $(wc -l <<<"$said")" "1 1"
    as=()
else
    echo "process: limit of processes: skipped (root and setpriv are needed)"
fi
# However much memory there is, the host lives and one thread runs.
bad=0
for ((kib = 12000; kib <= 60000; kib += 1500)); do
    said=$(timeout $hang "$folder/host" "$folder/thing.so" 1 memory=$kib 2 3 5 9 1 2>&1 | sed "s/^$sum$/ok/;s/^status 8$/8/" | tr '\n' ' ')
    [[ $said =~ ^(ok\ )((ok|8|status\ -1)\ ){4}(ok|status\ -1)\ end\ $ ]] || bad=$((bad + 1)) || break
    [[ $said =~ ^ok ]] || echo "    $kib: $said"
done
count "limits of memory" "$bad" 0
said=$(ulimit -v 60000 && timeout $hang "$folder/thing" --ids=1,2 --threads=64 2>&1)
count "program without memory: status" $? 1
count "program without memory: one line" "$(grep -c '^thing: error: ' <<<"$said") $(wc -l <<<"$said")" "1 1"

# ---- OpenMP's variables ----
OMP_STACKSIZE=900000G run "status 8 ok end" 2 1
OMP_STACKSIZE=64 run "ok ok end" 2 3
OMP_STACKSIZE=" 128 k" run "ok ok end" 2 3
OMP_THREAD_LIMIT=2 run "ok ok ok end" 2 3 8
OMP_THREAD_LIMIT=1 run "ok ok end" 2 8
OMP_DYNAMIC=true run "ok ok ok end" 2 3 8
OMP_NUM_THREADS=1 run "ok ok end" 2 8
OMP_PROC_BIND=true run "ok ok ok ok end" 2 4 3 4
OMP_MAX_ACTIVE_LEVELS=0 run "ok ok end" 2 8

# ---- stacks and crowds ----
run "ok ok ok ok end" stack=16 stack=64
run "ok ok end" 200 2

echo "process: $passed passed, $failed failed"
[ $failed = 0 ]
