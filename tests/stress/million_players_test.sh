#!/bin/sh
# million_players_test.sh <hackysack>: a circle of 1,000,000 players who are actors, with a thousand bags: each bag comes
# back with the sum that a serial computation gives, no kick is lost or counted twice, the same on 1 and 2 workers.
set -u

hackysack=$1
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
players=1000000
if [ -n "${RONDO_SANITIZE:-}" ]; then players=20000; fi

play() {    # play <workers>
    "$hackysack" --engine actors --players $players --circles 1 --bags 1000 --kicks 100000 --seed 7 --workers "$1" \
        --json "$folder/$1.json" >"$folder/$1.out" 2>&1
    code=$?
    [ $code -eq 0 ] && grep -q '^Checked: 100,000 kicks, every bag.s sum as computed serially' "$folder/$1.out" && return
    echo "FAILED on $1 workers, exit code $code:"
    cat "$folder/$1.out"
    exit 1
}
result() {    # what does not depend on time
    grep -o '"\(players\|bags\|kicks\|kicks_made\|seed\|refused\)": [^,}]*' "$folder/$1.json"
}

play 1
play 2
if [ "$(result 1)" != "$(result 2)" ]; then
    echo "FAILED: on 1 and 2 workers:"
    result 1
    result 2
    exit 1
fi
result 2
