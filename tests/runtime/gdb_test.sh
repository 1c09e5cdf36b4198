#!/bin/sh
# gdb_test.sh <suspended_tasklets>: runtime/gdb/rondo_gdb.py lists the suspended tasklets of a stopped program by their
# names and shows where they wait.
set -u

program=$1
script=$(dirname "$0")/../../runtime/gdb/rondo_gdb.py
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
all=$folder/all
shown=$folder/shown
failures=0

skip() {
    echo "skipped: $*"
    exit 77
}

command -v gdb >/dev/null || skip "there is no gdb"
gdb -nx -batch -ex run "$(command -v true)" 2>&1 | grep -q "exited normally" || skip "gdb may not trace a program here"
gdb -nx -batch -ex "ptype struct rondo::detail::task" "$program" 2>&1 | grep -q in_group ||
    skip "the program was built without full debug information (-g)"

# All commands in one go, each with a line above what gdb says to it. Errors do not end a batch.
set -- "rondo-list" "rondo-bt husband_id" "rondo-bt-all" "rondo-bt 999999" "rondo-bt x" "rondo-bt" "rondo-bt main" \
    "help rondo-list" "help rondo-bt" "help rondo-bt-all" "kill" "rondo-bt 1"
for command in "$@"; do
    set -- "$@" -ex "echo ==== $command\\n" -ex "$command"
    shift
done
timeout 100 gdb -nx -batch -ex "source $script" -ex "break everybody_waits" -ex run "$@" "$program" \
    </dev/null >"$all" 2>&1

# look_at <command>: at what gdb said to this one.
look_at() {
    command=$1
    awk -v wanted="==== $command" '/^====/ { shows = ($0 == wanted); next } shows' "$all" >"$shown"
}

# says <lines> <words>: so many of the lines shown have these words.
says() {
    [ "$(grep -c -e "$2" "$shown")" -eq "$1" ] && return
    echo "FAILED: $command: not $1 lines with $2 below"
    failures=$((failures + 1))
}

look_at rondo-list
says 3 'suspended, kind receive, spawned at .*suspended_tasklets.cpp:[0-9]'
says 1 'tasklet [0-9]* "husband" suspended'
says 1 'tasklet [0-9]* "wife" suspended'
says 1 'tasklet [0-9]* "a \\"long\\"\\x0a\\xff name \\\\" suspended'

look_at "rondo-bt husband_id"
says 1 '"husband" suspended'
says 0 '"wife"'
says 1 'stuck_in_traffic (road='

look_at rondo-bt-all
says 3 suspended,
says 1 '"wife" suspended'
says 1 'stuck_in_traffic (road='

look_at "rondo-bt 999999"
says 1 "no live tasklet has the number 999999: see rondo-list"
says 1 ""
for wrong in "rondo-bt x" "rondo-bt" "rondo-bt main"; do
    look_at "$wrong"
    says 1 "rondo-bt takes the number of a tasklet: see rondo-list"
    says 1 ""
done

for documented in rondo-list rondo-bt rondo-bt-all; do
    look_at "help $documented"
    says 1 "^Usage: $documented"
done

look_at "rondo-bt 1"      # the program is gone
says 1 "no thread here is a worker of a Rondo runtime"

if [ "$failures" -gt 0 ]; then
    sed 's/^/    /' "$all"
    exit 1
fi
echo "gdb shows the suspended tasklets"
