#!/usr/bin/env bash
# Builds the shell and the module into out/ if the sources differ from what is there.
#
#   src/publish.sh [--force]
#
# out/CriuPS and out/shell are links into out/.builds/N: a build goes to a directory of its own and the links change last, so that
# shells which run meanwhile keep the files they started with. Used by ./criups and by build.ps1.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
out=$root/out

# Names, sizes and times of everything that goes into the build.
fingerprint() {
    find "$root/src" "$root/module" "$root/CriuPS.psd1" "$root"/Directory.*.props \
        \( -name bin -o -name obj \) -prune -o -type f -printf '%P %s %T@\n' | LC_ALL=C sort | sha256sum
}

is_current() {
    [[ -e $out/shell && -e $out/CriuPS && -r $out/.fingerprint && $(<"$out/.fingerprint") == "$1" ]]
}

find_dotnet() {
    local candidate
    for candidate in "${DOTNET_ROOT:-/nonexistent}/dotnet" "$(command -v dotnet || true)" \
        /usr/share/dotnet/dotnet /usr/lib/dotnet/dotnet "${HOME:-}/.dotnet/dotnet"; do
        if [[ -x $candidate ]]; then
            readlink -f -- "$candidate"
            return
        fi
    done
    echo "criups: no .NET SDK found; install .NET 10 (https://dotnet.microsoft.com) or set DOTNET_ROOT" >&2
    return 1
}

publish() {
    local dotnet=$1 target=$2 log=$2.log
    if ! "$dotnet" msbuild "$root/src/Publish.proj" -t:Publish "-p:Into=$target" -nologo -v:minimal -m >"$log" 2>&1; then
        grep -E '(error|warning) ' "$log" >&2 || cat "$log" >&2
        echo "criups: the build failed" >&2
        rm -rf -- "$target" "$log"
        return 1
    fi
    rm -f -- "$log"
}

# Older builds go, unless a process still has files of theirs mapped.
remove_old_builds() {
    local build
    for build in "$out"/.builds/*; do
        if [[ $build != "$1" ]] && ! grep -qsF -- "$build/" /proc/[0-9]*/maps; then
            rm -rf -- "$build"
        fi
    done
}

main() {
    local now dotnet target
    now=$(fingerprint)
    if [[ ${1:-} != --force ]] && is_current "$now"; then
        return
    fi

    dotnet=$(find_dotnet)
    mkdir -p -- "$out/.builds"
    exec {lock}>"$out/.lock"
    flock "$lock"
    # Whoever held the lock has perhaps done our work; and what we read before may have changed since.
    now=$(fingerprint)
    if [[ ${1:-} != --force ]] && is_current "$now"; then
        return
    fi

    echo "criups: building, the sources have changed" >&2
    export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 MSBUILDDISABLENODEREUSE=1
    target=$out/.builds/$(date +%s)-$$
    publish "$dotnet" "$target"
    local link
    for link in CriuPS shell; do
        ln -sfn -- ".builds/${target##*/}/$link" "$out/.$link.new"
        mv -T -- "$out/.$link.new" "$out/$link"
    done
    printf '%s' "$now" >"$out/.fingerprint"
    remove_old_builds "$target"
}

main "$@"
