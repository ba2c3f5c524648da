#!/usr/bin/env bash
# Runs ZDTM, the tests that CRIU is developed against, with our criu. Nothing of ZDTM is part of this project; docs/conformance.md tells how
# to get and build it.
#
#   tests/conformance/run.sh -z CRIU-SOURCE -o RESULTS [-c CRIU] [-f FLAVOR] [-j JOBS] [-t SECONDS] [-n TIMES] [-x OPTIONS]
#                            [PATTERN...]
#
# CRIU-SOURCE is a tree of CRIU's source with its tests built; RESULTS becomes a directory with results.tsv (test, verdict, seconds, what
# was said) and a log for each test. PATTERN is a regular expression over names such as static/env00; without one all tests run. Every test
# runs by itself under a time limit, in namespaces of its own that end with it, and is watched by watched-criu.sh.
#
# OPTIONS are more of zdtm.py's own, such as "--norst" (dump and go on), "--iters 3" or "--rpc".
#
# verdicts: PASS, FAIL, SKIP, and three that may never be: HANG, CRASH (criu died by a signal), FROZEN (criu left a process stopped)
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)

usage() {
    sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}" >&2
    exit 2
}

read_arguments() {
    source='' results='' criu=$here/../../out/criu/criu flavor=h jobs=1 limit=120 times=1 more=()
    local option
    while getopts z:o:c:f:j:t:n:x: option; do
        case $option in
            z) source=$(readlink -f -- "$OPTARG") ;;
            o) results=$(readlink -m -- "$OPTARG") ;;
            c) criu=$OPTARG ;;
            f) flavor=$OPTARG ;;
            j) jobs=$OPTARG ;;
            t) limit=$OPTARG ;;
            n) times=$OPTARG ;;
            x) read -ra more <<<"$OPTARG" ;;
            *) usage ;;
        esac
    done
    shift $((OPTIND - 1))
    patterns=("$@")
    [[ -n $results && -x $source/test/zdtm.py ]] || usage
    criu=$(readlink -e -- "$criu") || { echo "no criu; src/publish.sh criu makes one" >&2; exit 2; }
}

# Names of the tests that were built and match one of the patterns.
tests() {
    local pattern
    pattern=$(IFS='|'; echo "${patterns[*]:-.}")
    (cd -- "$source/test" && ./zdtm.py list) | sed -n 's|^zdtm/||p' | grep -E -- "$pattern"
}

# Whether a word is in the description of a test.
has_flag() {
    grep -qse "$2" "$source/test/zdtm/$1.desc"
}

# Tests that change what all tests share, such as a sysctl or the names in the directory of the tests, run alone.
wants_to_be_alone() {
    has_flag "$1" excl || has_flag "$1" --link-remap
}

verdict_of() {
    local status=$1 log=$2 watch=$3
    if [[ -s $watch ]]; then
        head -n 1 "$watch" | cut -d ' ' -f 1
    elif ((status == 137)) || grep -q '^subprocess.TimeoutExpired' "$log"; then
        echo HANG
    elif grep -q '^Skipping zdtm' "$log"; then
        echo SKIP
    elif ((status == 0)) && grep -q ' Test zdtm/.* PASS ' "$log"; then
        echo PASS
    else
        echo FAIL
    fi
}

# One line of what went wrong: the step that failed and the first error of our log, or else of the test's own output.
message_of() {
    local log=$1 watch=$2
    {
        head -n 1 "$watch"
        sed -nE 's/^Skipping zdtm[^ ]* \((.*)\)$/\1/p; s/.* FAIL at (.*[^# ])[# ]*$/[\1]/p' "$log"
        sed -nE "s/^b['\"]\([0-9.]+\) Error: (.*)['\"]\$/\1/p" "$log" | head -n 1
        sed -nE 's/^ *[0-9:.]+: +[0-9]+: (FAIL|ERR): /\1: /p' "$log" | head -n 1
    } | tr '\n\t' '  '
}

run_one() {
    if has_flag "$1" noauto; then
        printf '%s\tSKIP\t0\tmanual run only\n' "$1" | tee -a "$results/results.tsv"
        return
    fi

    local name=$1 id=${1//\//_} status=0 began=$SECONDS
    local log=$results/logs/$id.log watch=$results/logs/$id.watch
    : >"$watch"
    (
        cd -- "$source/test"
        # KILL reaches the first process of the test's pid namespace, and with it everything in there.
        CRIU_UNDER_TEST=$criu CRIU_WATCH=$watch timeout --signal=KILL "$limit" \
            ./zdtm.py run --criu-bin "$here/watched-criu.sh" --ignore-taint --keep-img never -f "$flavor" "${more[@]}" -t "zdtm/$name"
    ) >"$log" 2>&1 || status=$?
    printf '%s\t%s\t%s\t%s\n' "$name" "$(verdict_of "$status" "$log" "$watch")" $((SECONDS - began)) "$(message_of "$log" "$watch")" |
        tee -a "$results/results.tsv"
}

describe_run() {
    declare -A names=([h]='the namespaces of the machine (h)' [ns]='namespaces of their own (ns)' [uns]='a user namespace of their own (uns)')
    echo "Linux $(uname -r), ZDTM of CRIU $(sed -n 's/^CRIU_VERSION_M[AI][JN]OR[[:space:]]*:= *//p' "$source/Makefile.versions" | paste -sd .)," \
        "tests in ${names[$flavor]:-$flavor}"
}

main() {
    read_arguments "$@"
    mkdir -p -- "$results/logs"
    : >"$results/results.tsv"
    describe_run >"$results/run.txt"
    local round name all
    mapfile -t all < <(tests)
    for ((round = 0; round < times; round++)); do
        for name in "${all[@]}"; do
            if wants_to_be_alone "$name"; then
                wait
                run_one "$name"
                continue
            fi
            while (($(jobs -rp | wc -l) >= jobs)); do
                wait -n || true
            done
            run_one "$name" &
        done
        wait
    done
    cut -f 2 "$results/results.tsv" | sort | uniq -c
}

main "$@"
