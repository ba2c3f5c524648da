#!/bin/sh
# Builds every target program of this folder into out/ (or the folder named by the first argument). A program is
# rebuilt when its source or target.h is newer than the program.
set -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
out=${1:-$here/out}
mkdir -p "$out"

for source in "$here"/*.c; do
    program=$out/$(basename "$source" .c)
    if [ ! "$program" -nt "$source" ] || [ ! "$program" -nt "$here/target.h" ]; then
        printf '%s\0%s\0' "$source" "$program"
    fi
done | xargs -0 -r -n 2 -P "$(nproc)" sh -c '
    # The rename makes a program appear whole: a build beside this one never runs a half-written file.
    mode=
    case $1 in */compat_*) mode="-m32 -msse2" ;; esac
    ${CC:-gcc} $mode -std=gnu11 -O2 -g -pthread -Wall -Wextra -Werror -o "$2.$$" "$1" && mv "$2.$$" "$2"' build
