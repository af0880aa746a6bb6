#!/usr/bin/env bash
# Models in every block format of GGUF, compiled, step and chunk, in f32 and int8 arithmetic, against the interpreter;
# outputs that fill no panel, rows looked up in a table. Every weight stays in its format.
set -u
btc=$(realpath "$2")
here=$(realpath "$(dirname "$0")")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
passed=0 failed=0
check() { # WHAT OUTPUT EXPECTED
    if [[ $2 == *$3* ]]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "failed: $1: $2"; fi
}

agrees() { # MODEL OPTIONS
    check "$*" "$("$btc" verify "$folder/$1.json" --input="$folder/ids.safetensors" --chunk=16 "${@:2}" 2>&1)" "all agree"
}

count=0
while read -r model formats; do
    agrees "$model" --math=f32 --form=chunk
    for form in step chunk; do agrees "$model" --math=int8 --form=$form; done
    listing=$("$btc" "$folder/$model.json" --emit=ir --stop-after=choose-math --math=int8 2>&1)
    for name in $formats; do
        check "$name is kept" "$listing" "weight {name=\"$name\", shape="
        check "$name is kept" "$(grep "name=\"$name\"" <<<"$listing")" "storage=\"$name\""
        count=$((count + 1))
    done
done < <(python3 "$here/models.py" "$folder")
check "formats" $count 12
agrees m4 --math=int8 --form=chunk --cpu=x86-64-v3 # other widths of vectors
agrees m8 --math=int8 --form=step --cpu=x86-64-v2
agrees m0 --math=f32 --form=step --quant=q8
agrees m4 --math=f32 --form=step
if command -v qemu-system-arm >/dev/null; then # vectors of one number
    agrees tables --math=int8 --form=step --target=thumbv7em-none-eabi
else
    echo "models: skipped tables of values on a Cortex-M4: no qemu-system-arm"
fi
echo "models: $passed passed, $failed failed"
[ $failed = 0 ]
