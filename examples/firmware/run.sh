#!/usr/bin/env bash
# Compiles the example model for a Cortex-M4, links it into a firmware, and runs it under QEMU.
#     examples/firmware/run.sh [FOLDER]      results go to FOLDER (examples/out)
# BTC is the compiler (build/btc); clang-19, ld.lld-19 and qemu-system-arm must be there (scripts/setup.sh).
set -eu
cd "$(dirname "$0")/../.."
btc=${BTC:-build/btc}
out=${1:-examples/out}
mkdir -p "$out"

for kind in o h; do
    "$btc" examples/scripture/model.json --target=thumbv7em-none-eabi --cpu=cortex-m4 --forms=step -o "$out/scripture.$kind"
done
clang-19 --target=thumbv7em-none-eabi -mcpu=cortex-m4 -mfloat-abi=hard -std=c11 -Os -ffreestanding -Wall -Wextra -Werror \
    -I "$out" -c examples/firmware/main.c -o "$out/main.o"
ld.lld-19 --gc-sections -T examples/firmware/firmware.ld -Map="$out/firmware.map" "$out/main.o" "$out/scripture.o" \
    -o "$out/firmware.elf"
qemu-system-arm -M mps2-an386 -display none -monitor none -serial stdio -semihosting-config enable=on,target=native \
    -kernel "$out/firmware.elf"
