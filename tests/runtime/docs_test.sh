#!/bin/sh
# docs_test.sh: each piece of C++ in tests/README.md and README.md is, word for word, a sample or one that a test marks with
# "// docs: ...", indented there or not.
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
cut_out shown '^```cpp$' '^```$' "$here/../README.md" "$here/../../README.md"
cut_out tested '^ *// docs: [a-z]' '^ *// docs: end$' "$here/world_test.cpp" "$here/explore_test.cpp" \
    "$here/../actors/testing_test.cpp" "$here/../channels/readme_test.cpp"
for test in "$folder"/tested.*; do
    sed 's/^    //' "$test" > "$folder/tested.left.${test##*.}"
done
cp "$here/../../samples/hello.cpp" "$folder/tested.hello"

failures=0 pieces=0
for piece in "$folder"/shown.*; do
    [ -f "$piece" ] || break
    pieces=$((pieces + 1))
    found=no
    for test in "$folder"/tested.*; do
        cmp -s "$piece" "$test" && found=yes
    done
    if [ $found = no ]; then
        echo "FAILED: no test is marked with this piece of a README, nor is it a sample:"
        sed 's/^/    /' "$piece"
        failures=$((failures + 1))
    fi
done
echo "$pieces pieces, $failures without a test"
[ $failures = 0 ] && [ $pieces -gt 0 ]
