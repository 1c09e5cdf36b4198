#!/bin/sh
# docs_test.sh: each piece of C++ in tests/README.md is, word for word, one that a test marks with "// docs: ...".
set -u

here=$(cd "$(dirname "$0")" && pwd) || exit 1
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT

# Into $folder/<what>.1, .2, ...: the lines between a line that matches $2 and the next one that matches $3, in files $4...
cut_out() {
    what=$1 first=$2 last=$3
    shift 3
    awk -v name="$folder/$what." -v first="$first" -v last="$last" '
        inside && $0 ~ last { inside = 0; close(file); next }
        inside { print > file }
        !inside && $0 ~ first { inside = 1; file = name (++n) }' "$@"
}
cut_out shown '^```cpp$' '^```$' "$here/../README.md"
cut_out tested '^// docs: [a-z]' '^// docs: end$' "$here/world_test.cpp" "$here/explore_test.cpp" \
    "$here/../actors/testing_test.cpp"

failures=0 pieces=0
for piece in "$folder"/shown.*; do
    [ -f "$piece" ] || break
    pieces=$((pieces + 1))
    found=no
    for test in "$folder"/tested.*; do
        cmp -s "$piece" "$test" && found=yes
    done
    if [ $found = no ]; then
        echo "FAILED: no test is marked with this piece of tests/README.md:"
        sed 's/^/    /' "$piece"
        failures=$((failures + 1))
    fi
done
echo "$pieces pieces, $failures without a test"
[ $failures = 0 ] && [ $pieces -gt 0 ]
