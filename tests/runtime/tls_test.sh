#!/bin/sh
# tls_test.sh: no object code of the library keeps the address of the thread-local `this_worker`, which would be the old
# worker's after a switch: each use reads it through %fs at once.
set -u

skip() {
    echo "skipped: $*"
    exit 77
}

[ -z "${RONDO_SANITIZE:-}" ] || skip "a sanitizer takes addresses of its own"
[ "$(uname -m)" = x86_64 ] || skip "it reads x86-64's object code"
command -v objdump >/dev/null || skip "there is no objdump"
library=runtime/librondo_runtime.a            # ctest runs in build/<preset>/tests
for folder in . ..; do
    [ -f "$folder/$library" ] && library=$folder/$library && break
done
[ -f "$library" ] || skip "Rondo is not a static library here"

# The instruction that loads the variable's offset names a register; the next one that does must be %fs:(that).
objdump -dr --no-show-raw-insn -C "$library" | awk '
    /^[0-9a-f]+ <.*>:$/ { function_name = $0; offset = "" }
    /^ +[0-9a-f]+:\t/ {
        if (offset != "" && index($0, offset)) {
            ++uses
            if (!index($0, "%fs:(" offset ")") && !index($0, "%fs:0x0(" offset ")")) { ++kept; print "an address is taken in " function_name; print last; print }
            offset = ""
        }
        last = $0
    }
    /GOTTPOFF.*this_worker/ { match(last, /,%r[a-z0-9]+/); offset = substr(last, RSTART + 1, RLENGTH - 1); ++loads }
    END {
        print loads + 0 " uses of this_worker"
        if (loads == 0) { print "none: this test looks for the wrong thing"; exit 1 }
        exit kept != 0 || uses != loads
    }'
