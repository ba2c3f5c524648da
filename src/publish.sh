#!/usr/bin/env bash
# Builds into out/ if the sources differ from what is there: the shell and the module, or the native program criu.
#
#   src/publish.sh [--force] [criu]
#
# out/CriuPS, out/shell and out/criu are links into out/.builds/N: a build goes to a directory of its own and the links change last, so
# that programs which run meanwhile keep the files they started with. Used by ./criups, which needs no criu, and by build.ps1. Native code
# needs more than the .NET SDK: gcc or clang for its linking.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
out=$root/out

# Names, sizes and times of everything that goes into the build.
fingerprint() {
    find "${sources[@]}" \
        \( -name bin -o -name obj \) -prune -o -type f -printf '%P %s %T@\n' | LC_ALL=C sort | sha256sum
}

is_current() {
    local link
    for link in "${links[@]}"; do
        [[ -e $out/$link ]] || return 1
    done
    [[ -r $out/.fingerprint$part && $(<"$out/.fingerprint$part") == "$1" ]]
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
    # The compiler's server outlives the build; with the lock it would keep the next build waiting until it ends.
    if ! "$dotnet" msbuild "$root/src/Publish.proj" "-t:Publish$part" "-p:Into=$target" -nologo -v:minimal -m >"$log" 2>&1 {lock}>&-; then
        grep -E '(error|warning) ' "$log" >&2 || cat "$log" >&2
        echo "criups: the build failed" >&2
        rm -rf -- "$target" "$log"
        return 1
    fi
    rm -f -- "$log"
}

# Older builds go, unless a link leads to them or a process still has files of theirs mapped.
remove_old_builds() {
    local build used
    used=$(readlink -- "$out"/{CriuPS,shell,criu} || true)
    for build in "$out"/.builds/*; do
        if ! grep -qF -- "${build##*/}/" <<<"$used" && ! grep -qsF -- "$build/" /proc/[0-9]*/maps; then
            rm -rf -- "$build"
        fi
    done
}

choose_part() {
    part=''
    links=(CriuPS shell)
    sources=("$root"/src/{Publish.proj,publish.sh,CriuPS.Assembler,CriuPS.SchemaCompiler,CriuPS.Schema,CriuPS.Engine} "$root"/Directory.*.props)
    if [[ ${1:-} == criu ]]; then
        part=Criu
        links=(criu)
        sources+=("$root/src/CriuPS.Criu")
    else
        sources+=("$root"/src/CriuPS.{Cmdlets,Shell} "$root/module" "$root/CriuPS.psd1")
    fi
}

main() {
    local now dotnet target force=''
    if [[ ${1:-} == --force ]]; then
        force=yes
        shift
    fi
    choose_part "$@"
    now=$(fingerprint)
    if [[ -z $force ]] && is_current "$now"; then
        return
    fi

    dotnet=$(find_dotnet)
    mkdir -p -- "$out/.builds"
    exec {lock}>"$out/.lock"
    flock "$lock"
    # Whoever held the lock has perhaps done our work; and what we read before may have changed since.
    now=$(fingerprint)
    if [[ -z $force ]] && is_current "$now"; then
        return
    fi

    echo "criups: building${part:+ criu}, the sources have changed" >&2
    export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 MSBUILDDISABLENODEREUSE=1
    target=$out/.builds/$(date +%s)-$$
    publish "$dotnet" "$target"
    local link
    for link in "${links[@]}"; do
        ln -sfn -- ".builds/${target##*/}/$link" "$out/.$link.new"
        mv -T -- "$out/.$link.new" "$out/$link"
    done
    printf '%s' "$now" >"$out/.fingerprint$part"
    remove_old_builds
}

main "$@"
