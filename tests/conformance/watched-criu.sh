#!/usr/bin/env bash
# Stands in for criu in a run of ZDTM, and writes to $CRIU_WATCH what no criu may do: die by a signal, or leave a process stopped that was
# not stopped before. The tests' pid namespace holds nothing but the test and what drives it.
set -u

# Pid and state of each task that is stopped or in the hands of a tracer.
stopped() {
    grep -HsE '^State:\s+[tT]' /proc/[0-9]*/task/[0-9]*/status | sort
}

before=$(stopped)
status=0
"$CRIU_UNDER_TEST" "$@" || status=$?
if ((status > 128 && status < 160)); then
    echo "CRASH criu $1 died by signal $((status - 128))" >>"$CRIU_WATCH"
fi

# Only a dump has to leave all as it was; a restore brings stopped processes back.
if [[ $1 == dump && $* != *--leave-stopped* ]] && ((status != 0)); then
    left=$(comm -13 <(printf '%s' "$before") <(stopped))
    if [[ -n $left ]]; then
        echo "FROZEN criu dump left behind: ${left//$'\n'/; }" >>"$CRIU_WATCH"
    fi
fi
exit "$status"
