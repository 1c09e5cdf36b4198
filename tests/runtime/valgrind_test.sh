#!/bin/sh
# valgrind_test.sh <hello> <channels>: valgrind follows programs from stack to stack, and finds nothing wrong in them.
set -u

skip() {
    echo "skipped: $*"
    exit 77
}

command -v valgrind >/dev/null || skip "there is no valgrind"
[ -z "${RONDO_SANITIZE:-}" ] || skip "valgrind cannot run a program built with a sanitizer"

for program in "$@"; do
    timeout 100 valgrind -q --error-exitcode=9 --leak-check=no "$program" >/dev/null || {
        echo "FAILED: $program: exit code $?"
        exit 1
    }
done
echo "valgrind finds nothing wrong"
