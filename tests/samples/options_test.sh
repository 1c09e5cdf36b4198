#!/bin/sh
# options_test.sh <hackysack>: every option that cannot be played is refused with one line and exit code 2; what can be
# played ends with 0, and the files it writes are what they claim to be.
set -u

hackysack=$1
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
failures=0
unset RONDO_WORKERS

fail() {
    echo "FAILED: hackysack $arguments: $*"
    sed 's/^/    /' "$folder/out" "$folder/err"
    failures=$((failures + 1))
}

play() {
    arguments=$*
    (ulimit -f "$most_blocks" && exec "$hackysack" "$@") >"$folder/out" 2>"$folder/err"
    code=$?
}
usual=$(ulimit -f)
most_blocks=$usual      # of a file

# refused <word that the message must have> <option>...
refused() {
    word=$1
    shift
    play "$@"
    [ "$code" -eq 2 ] || fail "exit code $code, not 2"
    [ "$(wc -l <"$folder/err")" -eq 1 ] || fail "not one line on stderr"
    grep -q -e "$word" "$folder/err" || fail "the message does not say \"$word\""
    [ ! -s "$folder/out" ] || fail "something on stdout"
}

# played <option>...
played() {
    play "$@"
    [ "$code" -eq 0 ] || fail "exit code $code, not 0"
    [ ! -s "$folder/err" ] || fail "something on stderr"
    grep -q '^Checked: ' "$folder/out" || fail "nothing was checked"
}

refused --players --players 0
refused "nobody to kick" --players 1
refused --players --players=-3
refused --players --players ten
refused --players --players 99999999999999999999999
refused "more than" --players 10000000 --circles 10000000
refused --players --players 99999999999999
refused --circles --circles 99999999999999
refused --bags --bags 99999999999999 --engine actors
refused --kicks --kicks 99999999999999
refused --circles --circles 0
refused --bags --bags 0
refused --kicks --kicks 0
refused --workers --workers 0
refused --workers --workers 100000
refused --workers --workers 99999999999999
refused --engine --engine goroutines
refused deadlock --bags 2
refused "at least 3" --bags 3 --slots 2
refused --slots --bags 2 --slots 1
refused --slots --slots 99999999999999
refused --slots --engine actors --slots 40000
refused --slots --engine threads --slots 4
refused "at least 3" --engine actors --bags 3 --slots 2
refused --table --table 10,1
refused --table --table ten
refused --table --table 10,99999999999999
refused --seed --seed red
refused no-such-option --no-such-option
refused unwanted unwanted
refused "cannot write" --json "$folder/missing/out.json"
refused "cannot write" --plot "$folder"
refused "cannot write /dev/full: No space left" --json /dev/full
refused "cannot write /dev/full: No space left" --plot /dev/full
echo "an earlier result" >"$folder/kept.json"
refused "cannot write" --json "$folder/kept.json" --plot /dev/full
[ "$(cat "$folder/kept.json")" = "an earlier result" ] || fail "a refused run changed a file"
refused "cannot write" --json "$folder/new.json" --plot /dev/full
[ ! -e "$folder/new.json" ] || fail "a refused run left a file behind"
ln -s circle "$folder/circle"
refused "cannot write .*symbolic links" --json "$folder/circle"
refused "cannot write .*symbolic links" --json "$folder/circle" --plot "$folder/x"
ln -s kept.json/missing "$folder/nowhere"
refused "cannot write .*Not a directory" --json "$folder/nowhere"
[ -L "$folder/circle" ] && [ -L "$folder/nowhere" ] || fail "a refused run removed a link"
ln -s later.json "$folder/link.json"
refused "cannot write" --json "$folder/link.json" --plot /dev/full
[ -L "$folder/link.json" ] || fail "a refused run removed a link"
[ ! -s "$folder/later.json" ] || fail "a refused run wrote where a link points to"
most_blocks=20
refused "cannot write .*File too large" --json "$folder/kept.json"
refused "cannot write .*File too large" --json "$folder/new.json"
most_blocks=$usual
[ "$(cat "$folder/kept.json")" = "an earlier result" ] || fail "a refused run changed a file"
[ ! -e "$folder/new.json" ] || fail "a refused run left a file behind"
refused --json --json ""
refused --plot --plot ""
refused "same file" --json "$folder/x" --plot "$folder/x"
refused "same file" --json "$folder/x" --plot "$folder/./x"
refused "same file" --json "$folder/link.json" --plot "$folder/later.json"
[ ! -e "$folder/x" ] || fail "a refused run left a file behind"

# Without --workers the runtime decides, and it looks at RONDO_WORKERS.
export RONDO_WORKERS
for RONDO_WORKERS in ten 0 -1 1025; do
    refused "RONDO_WORKERS is \"$RONDO_WORKERS\"" --players 10 --circles 1 --kicks 10
done
played --players 10 --circles 1 --kicks 10 --workers 1
RONDO_WORKERS=3
played --players 10 --circles 1 --kicks 10 --json "$folder/three.json"
grep -q '"workers": 3,' "$folder/three.json" || fail "RONDO_WORKERS=3 was not respected"
played --players 10 --circles 1 --kicks 10 --workers 2 --json "$folder/two.json"
grep -q '"workers": 2,' "$folder/two.json" || fail "--workers 2 was not respected beside RONDO_WORKERS=3"
unset RONDO_WORKERS

played --players 010 --circles 08 --kicks 0100 --table 010 --json "$folder/zeros.json"
grep -q '"circles": 8, "players": 10, "bags": 1, "kicks": 100,' "$folder/zeros.json" ||
    fail "a number with a zero before it is another one"
grep -q '^{"players": 10,' "$folder/zeros.json" || fail "a number of the table with a zero before it is another one"

played --players 10 --circles 3 --kicks 500 --workers 1
played --players 2 --circles 1 --kicks 1 --json /dev/null
played --players 5 --circles 2 --bags 3 --slots 3 --kicks 100 --seed 7
played --players 3 --circles 2 --bags 5 --kicks 4 --slots 5
played --players 4 --circles 2 --kicks 100 --engine threads
played --players 10 --circles 2 --bags 20 --kicks 1000 --engine actors --sweep --workers 3
played --players 4 --circles 2 --bags 3 --slots 3 --kicks 100 --engine actors
played --players 4 --circles 2 --bags 3 --kicks 100 --engine threads --sweep --workers 2
played --players 10 --circles 3 --kicks 500 --sweep --table 20,10,12,100,11 --workers 2 \
    --json "$folder/all.json" --plot "$folder/all.svg"
if command -v python3 >/dev/null; then
    python3 - "$folder" <<'PYTHON' || fail "the files are not what they should be"
import json, sys, xml.etree.ElementTree
with open(sys.argv[1] + "/all.json") as file:
    results = json.load(file)
assert [game["workers"] for game in results["games"]] == [1, 2]
for game in results["games"]:
    assert game["kicks_made"] == 1500 and game["refused"] is None
assert [row["players"] for row in results["table"]] == [20, 10, 12, 100, 11]
assert results["interrupted"] is False

# No words of the picture lie on other words, as far as their width can be told without a font.
boxes = []
for text in xml.etree.ElementTree.parse(sys.argv[1] + "/all.svg").iter("{http://www.w3.org/2000/svg}text"):
    size = float(text.get("font-size"))
    width = len(text.text) * size * 0.5
    left = float(text.get("x")) - width * {"start": 0, "middle": 0.5, "end": 1}[text.get("text-anchor")]
    bottom = float(text.get("y"))
    for other, l, t, r, b in boxes:
        overlaps = left < r and l < left + width and bottom - size * 0.8 < b and t < bottom
        assert not overlaps, f"\"{text.text}\" lies on \"{other}\""
    boxes.append((text.text, left, bottom - size * 0.8, left + width, bottom))
assert any(words.endswith(" ms") for words, *_ in boxes)
PYTHON
fi

# Results replace what was there, and go where a link points to.
ends_well() { tail -n 1 "$1" | grep -q '}$'; }
played --players 10 --circles 1 --kicks 10 --json "$folder/kept.json"
ends_well "$folder/kept.json" && ! grep -q "an earlier result" "$folder/kept.json" || fail "no results in an old file"
rm "$folder/later.json"
played --players 10 --circles 1 --kicks 10 --json "$folder/link.json"
[ -L "$folder/link.json" ] && ends_well "$folder/later.json" || fail "no results where a link points to"

echo "an earlier picture" >"$folder/kept.svg"
play --players 20000000 --circles 1 --kicks 10 --engine threads --plot "$folder/kept.svg"
[ "$code" -eq 1 ] || fail "exit code $code, not 1"
[ "$(cat "$folder/kept.svg")" = "an earlier picture" ] || fail "a picture of nothing replaces an earlier one"
grep -q "nothing to draw" "$folder/out" || fail "it does not say that there is no picture"

arguments="--json /dev/stdout --plot $folder/piped.svg | cat"
"$hackysack" --players 10 --circles 1 --kicks 10 --table 10 --json /dev/stdout --plot "$folder/piped.svg" 2>"$folder/err" |
    cat >"$folder/out"
grep -q "^Wrote $folder/piped.svg" "$folder/out" || fail "not everything was written"

# Whoever reads a FIFO gets all of it. Where nobody does, the results wait, and one Ctrl-C is enough.
mkfifo "$folder/fifo"
timeout 60 cat "$folder/fifo" >"$folder/read.json" &
reader=$!
played --players 10 --circles 1 --kicks 10 --json "$folder/fifo"
wait "$reader" || fail "the reader did not see the end"
ends_well "$folder/read.json" || fail "the reader of the FIFO did not get the results"
arguments="--json $folder/fifo (without a reader)"
: >"$folder/out"      # what the last game said
"$hackysack" --players 10 --circles 1 --kicks 10 --json "$folder/fifo" >"$folder/out" 2>"$folder/err" &
game=$!
until grep -q '^Checked: ' "$folder/out"; do
    kill -0 "$game" || break
done
kill -INT "$game"
wait "$game"
code=$?
[ "$code" -eq 130 ] || fail "exit code $code, not 130"

# On a terminal the line that shows how the game goes fits into it: what is longer would not be cleared.
if command -v script >/dev/null; then
    arguments="on a terminal of 60 columns"
    script -qec "stty cols 60 && exec '$hackysack' --players 10 --circles 100 --kicks 100000 --workers 1" /dev/null \
        </dev/null >"$folder/out" 2>"$folder/err" || fail "exit code $?, not 0"
    tr '\r' '\n' <"$folder/out" | grep '\[K.*kicks, ' >"$folder/drawn" || fail "nothing was drawn"
    grep '\[K.\{60\}' "$folder/drawn" && fail "a line is too long"
fi

# interrupted <signal> <option>...: a game that takes longer than anybody waits ends in order, also while the players are
# still taking their seats.
interrupted() {
    signal=$1
    shift
    arguments="$* (interrupted by $signal)"
    "$hackysack" "$@" >"$folder/out" 2>"$folder/err" &
    game=$!
    until grep -q '^SigBlk:.*[2367abef]$' "/proc/$game/status"; do      # SIGINT is taken care of
        kill -0 "$game" || break
    done
    sleep 1      # meanwhile it plays
    kill -"$signal" "$game"
    wait "$game"
    code=$?
    [ "$code" -eq 130 ] || fail "exit code $code, not 130"
    grep -q '^Stopped in order after ' "$folder/out" || fail "it does not say what was reached"
}
interrupted INT --players 10 --circles 10 --kicks 1000000000
interrupted TERM --players 10 --circles 10 --bags 4 --slots 4 --kicks 1000000000
interrupted INT --players 1000000 --circles 1 --kicks 1000000000

# too_little_memory <KiB> <option>...: a game that there is no memory for ends by itself, in one line that says what to do.
too_little_memory() {
    arguments="$* (too little memory)"
    (ulimit -v "$1" && shift && exec timeout 60 "$hackysack" --workers 2 "$@") >"$folder/out" 2>"$folder/err"
    code=$?
    [ "$code" -eq 1 ] || fail "exit code $code, not 1"
    [ "$(wc -l <"$folder/err")" -eq 1 ] || fail "not one line on stderr"
    grep -q "try fewer --players" "$folder/err" || fail "the message does not say what to do"
}
if [ -z "${RONDO_SANITIZE:-}" ]; then      # a sanitizer takes more than that for itself
    too_little_memory 1000000 --players 100000 --circles 1 --kicks 10
    too_little_memory 400000 --players 10 --circles 20000 --kicks 10
    too_little_memory 600000 --players 200000 --circles 1 --bags 4 --slots 4 --kicks 1000
    too_little_memory 400000 --players 10 --circles 1 --bags 1 --kicks 1000 --slots 9000000
fi

[ "$failures" -eq 0 ] && echo "all options behave"
exit "$failures"
