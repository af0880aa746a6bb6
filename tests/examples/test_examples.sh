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
check "examples/host.c compiles" gcc -std=c11 -Wall -Wextra -Werror -I runtime examples/host.c -ldl -o "$folder/host"
expected=$("$folder/model" "$prompt" --temperature=0 --tokens=100 --quiet --threads=1) || true
check "the program writes" [ ${#expected} -ge 90 ]
check "host.c and the program agree" same "$expected" "$("$folder/host" "$folder/model.so" "$prompt" 100)"
check "threads do not matter" same "$expected" \
    "$("$folder/model" "$prompt" --temperature=0 --tokens=100 --quiet --threads=2)"

head -c 6000 examples/scripture/heldout.txt >"$folder/text"
bits=$("$folder/model" --bits-per-byte="$folder/text" --quiet | awk '{ print $1 }') || bits=8
check "bits per byte: $bits" awk -v bits="$bits" 'BEGIN { exit !(bits > 0.5 && bits < 2.2) }'

block_of c >"$folder/readme.c"
block_of python >"$folder/readme.py"
check "README.md's C compiles" gcc -Wall -Wextra -Werror "$folder/readme.c" "$folder/model.so" -o "$folder/readme"
letter=$(cd "$folder" && LD_LIBRARY_PATH=. ./readme | sed -n "s/.*'\(.\)'.*/\1/p") || letter=
check "README.md's C runs" [ ${#letter} = 1 ]
number=$(cd "$folder" && python3 readme.py | awk '{ print $NF }') || number=
check "README.md's Python agrees" same "$(printf '%d' "'$letter")" "$number"

echo "examples: $passed passed, $failed failed"
[ $failed = 0 ]
