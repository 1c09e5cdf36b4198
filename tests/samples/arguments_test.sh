#!/bin/sh
# arguments_test.sh <bank> <kv_cache> <killer_robots> <family_dinner> <hackysack>: what these samples cannot do is refused in
# one line, with exit code 2, before anything begins.
set -u

bank=$1 kv_cache=$2 killer_robots=$3 family_dinner=$4 hackysack=$5
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
failures=0
unset RONDO_WORKERS

fail() {
    echo "FAILED: $command: $*"
    sed 's/^/    /' "$folder/out" "$folder/err"
    failures=$((failures + 1))
}

# is_refusal <word that the message must have>: of the program that has just run.
is_refusal() {
    [ "$code" -eq 2 ] || fail "exit code $code, not 2"
    [ "$(wc -l <"$folder/err")" -eq 1 ] || fail "not one line on stderr"
    grep -q -e "$1" "$folder/err" || fail "the message does not say \"$1\""
    [ ! -s "$folder/out" ] || fail "something on stdout"
}

# refused <word> <program> <argument>...
refused() {
    word=$1
    shift
    command=$*
    "$@" >"$folder/out" 2>"$folder/err"
    code=$?
    is_refusal "$word"
}

for n in 0 1 -5 ten 5x 1.5 "" 99999999999999999999; do refused "ACCOUNTS must be" "$bank" "$n"; done
refused "TRANSFERS must be" "$bank" 5 -1
refused "SEED must be" "$bank" 5 100 red
refused "usage: bank" "$bank" 5 100 1 more
refused "usage: bank" "$bank" --accounts
for n in 0 -5 ten 99999999999; do refused "CLIENTS must be" "$kv_cache" "$n"; done
refused "REQUESTS must be" "$kv_cache" 5 -1
refused "usage: kv_cache" "$kv_cache" 5 5 5
refused "usage: kv_cache" "$kv_cache" -v
refused "No space left" "$killer_robots" /dev/full
refused "cannot write" "$killer_robots" "$folder/missing/robots.svg"
refused "cannot write" "$killer_robots" "$folder"
echo "an earlier picture" >"$folder/kept.svg"
refused "SEED must be" "$killer_robots" "$folder/kept.svg" red
[ "$(cat "$folder/kept.svg")" = "an earlier picture" ] || fail "a refused run changed a file"
refused "SEED must be" "$killer_robots" "$folder/robots.svg" red
refused "usage: killer_robots" "$killer_robots" --helpful
refused "usage: killer_robots" "$killer_robots" --help me
[ ! -e "$folder/robots.svg" ] || fail "a refused run left a file behind"
refused "usage: family_dinner" "$family_dinner" --actor
refused "usage: family_dinner" "$family_dinner" --actors now

for program in "$bank" "$kv_cache" "$killer_robots" "$family_dinner" "$hackysack"; do
    for option in --help -h; do
        command="$program $option"
        "$program" "$option" >"$folder/out" 2>"$folder/err"
        code=$?
        [ "$code" -eq 0 ] || fail "exit code $code, not 0"
        grep -qi "usage: .*$(basename "$program")" "$folder/out" || fail "no usage on stdout"
        [ ! -s "$folder/err" ] || fail "something on stderr"
    done
done

# Whoever asks for output and cannot have it hears of it. Closed, its place would be taken by the next file.
for program in "$bank 5 100" "$kv_cache 2 10" "$killer_robots" "$family_dinner --actors" \
    "$hackysack --players 10 --circles 2 --kicks 10"; do
    command="$program, standard output closed"
    : >"$folder/out"
    $program >&- 2>"$folder/err"
    code=$?
    is_refusal "standard output is closed"
    command="$program, standard output full"
    $program >/dev/full 2>"$folder/err"
    code=$?
    [ "$code" -eq 2 ] || fail "exit code $code, not 2"
    grep -q "cannot write to standard output: No space left" "$folder/err" || fail "the message does not say why"
    command="$program, RONDO_WORKERS=ten"
    RONDO_WORKERS=ten $program >"$folder/out" 2>"$folder/err"
    code=$?
    is_refusal "RONDO_WORKERS is"
done

command="$bank 2 0 0"
"$bank" 2 0 0 >"$folder/out" 2>"$folder/err" || fail "exit code $?, not 0"
command="$kv_cache 1 0"
"$kv_cache" 1 0 >"$folder/out" 2>"$folder/err" || fail "exit code $?, not 0"

[ "$failures" -eq 0 ] && echo "all arguments are taken or refused"
exit "$failures"
