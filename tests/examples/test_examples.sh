#!/usr/bin/env bash
# The example model and what README.md shows: the library, called from examples/host.c and from the README's C
# and Python, and the program give the same; the text it has never seen is predicted.
#     tests/examples/test_examples.sh CASES BTC
set -eu
btc=$2 folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
passed=0 failed=0

check() { # MESSAGE COMMAND...
    local message=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "failed: $message"
    fi
}
same() { [ "$1" = "$2" ] || { printf '    %s\n' "$1" "$2"; false; }; }
block_of() { awk -v fence="\`\`\`$1" '$0 == fence { on = 1; next } /^```/ { on = 0 } on' README.md; }

model=examples/scripture/model.json
for output in model.so model.h model; do
    check "btc -o $output" "$btc" $model -o "$folder/$output" --quiet
done
prompt='And it came to pass'
check "examples/host.c compiles" gcc -std=c11 -Wall -Wextra -Werror -I runtime examples/host.c -ldl -o "$folder/example"
expected=$("$folder/model" "$prompt" --temperature=0 --tokens=100 --quiet --threads=1) || true
check "the program writes" [ ${#expected} -ge 90 ]
check "host.c and the program agree" same "$expected" "$("$folder/example" "$folder/model.so" "$prompt" 100)"
check "threads do not matter" same "$expected" \
    "$("$folder/model" "$prompt" --temperature=0 --tokens=100 --quiet --threads=2)"

bits=$("$folder/model" --bits-per-byte=examples/scripture/heldout.txt --quiet | awk '{ print $1 }') || bits=8
check "bits per byte: $bits" awk -v bits="$bits" 'BEGIN { exit !(bits > 0.5 && bits <= 1.45) }'

block_of c >"$folder/host.c"
block_of python >"$folder/readme.py"
line=$(sed -n 's/^    \(gcc host\.c .*\)$/\1/p' README.md) # as one types it, beside the library
check "README.md's C compiles" gcc -Wall -Wextra -Werror -fsyntax-only "$folder/host.c"
letter=$(cd "$folder" && sh -c "$line" | sed -n "s/.*'\(.\)'.*/\1/p") || letter=
check "README.md's C runs" [ ${#letter} = 1 ]
number=$(cd "$folder" && python3 readme.py | awk '{ print $NF }') || number=
check "README.md's Python agrees" same "$(printf '%d' "'$letter")" "$number"

echo "examples: $passed passed, $failed failed"
[ $failed = 0 ]
