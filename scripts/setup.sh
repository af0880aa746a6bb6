#!/usr/bin/env bash
# Installs the Debian 12 packages that are missing, and nothing else. Quick when none is.
#     scripts/setup.sh            for building, testing and fuzzing
#     scripts/setup.sh --build    for building and using btc only
set -eu

build=(cmake ninja-build gcc libc6-dev llvm-19-dev lld-19 libcjson-dev libgomp1 zlib1g-dev libzstd-dev)
tests=(python3 python3-jsonschema clang-19 libclang-rt-19-dev clang-format-14
       qemu-user-static qemu-system-arm gcc-aarch64-linux-gnu libc6-dev-arm64-cross
       gcc-riscv64-linux-gnu libc6-dev-riscv64-cross)

wanted=("${build[@]}")
case "${1:-}" in
    '') wanted+=("${tests[@]}") ;;
    --build) ;;
    *) sed -n '2,4s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac

stop() {
    printf 'setup: %s\n' "$@" >&2
    exit 1
}

is_installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

command -v dpkg-query >/dev/null || stop "this script knows Debian 12 only; please install by hand what these packages hold:" "${wanted[*]}"

missing=()
for package in "${wanted[@]}"; do
    is_installed "$package" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0
echo "setup: installing ${missing[*]}"

as_root=()
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || stop "not root, and there is no sudo. As root, run:" "    apt-get install --no-install-recommends ${missing[*]}"
    as_root=(sudo)
    [ -t 0 ] || as_root+=(-n)
fi
apt() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o Acquire::Retries=3 "$@" </dev/null
}
install() {
    apt install -y --no-install-recommends "${missing[@]}"
}

# The lists of packages may be absent (a fresh container) or old: then they are fetched first, or once more.
known=yes
for package in "${missing[@]}"; do
    apt-cache show "$package" >/dev/null 2>&1 || known=no
done
if [ $known = no ] || ! install; then
    apt update || stop "apt-get update failed; is there a network?"
    install || stop "apt-get could not install: ${missing[*]}" "(is this Debian 12, with current package lists?)"
fi

for package in "${missing[@]}"; do
    is_installed "$package" || stop "$package is still missing after apt-get install"
done
