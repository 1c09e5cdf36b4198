#!/bin/sh
# races_test.sh <races>: the sanitizer's precise mode reports each planted race, five times of five, and nothing else.
set -u
ulimit -c 0
races=$1
failed=0
said=$(mktemp)
trap 'rm -f "$said"' EXIT

for name in $("$races" --list); do
    for time in 1 2 3 4 5; do
        TSAN_OPTIONS=symbolize=0:atexit_sleep_ms=0 "$races" "$name" >"$said" 2>&1
        code=$?
        if [ $code -ne 66 ] || ! grep -q "WARNING: ThreadSanitizer: data race" "$said"; then
            echo "$name, time $time: no data race was reported, and it ended with $code"
            tail -n 20 "$said"
            failed=1
            break
        fi
    done
done
for workers in 1 2 4; do
    if ! "$races" --in-order $workers >"$said" 2>&1; then
        echo "in order on $workers workers:"
        cat "$said"
        failed=1
    fi
done
exit $failed
