#!/bin/sh
# sweep.sh PROGRAM SCRATCH: the sweep runs to its end, and each input has the line it should have.
set -eu

program=$1 scratch=$2
mkdir -p "$scratch"
cd "$scratch"
"$program" >out || {
    echo "exit status $?"
    exit 1
}

failures=0
# expect INPUT KINDS: the line of that input says one of the kinds, which are a pattern of egrep.
expect() {
    line=$(tr -s ' ' <out | sed 's/^ //' | grep "^$1 ") || line='no such line'
    if ! printf '%s\n' "$line" | grep -qE "^$1 ($2)"; then
        echo "FAILED: not '$2': $line"
        failures=$((failures + 1))
    fi
}

for lambda in 0.5 1.0 1.5 2.0 2.5 3.0 3.5; do
    expect "$lambda 500 newton no" 'solved u'
    expect "$lambda 500 limited no" 'solved u'
done
expect '1.0 500 newton no' 'solved u\(1/2\) = 0\.14054$'
expect '4.0 500 newton no' 'gave up no solution: step'
expect '4.0 500 limited no' 'too slow'
expect '1.0 2 newton no' 'exited'
# A sanitizer sees the next two coming, and ends the worker by itself.
expect '1.0 2000000 newton no' 'wild access|exited'
expect '1.0 500 newtom no' 'null pointer|exited'
expect '3.0 500 limited yes' 'solved u\(1/2\) = 0\.64015$'
expect '5.0 500 limited yes' 'too big'
expect '-5.0 500 newton no' 'solved u'
if ! grep -qE '^22 inputs: 16 solved; 1 gave up; .* [0-9]+ workers replaced$' out; then
    echo "FAILED: wrong totals: $(tail -n 1 out)"
    failures=$((failures + 1))
fi
[ $failures -eq 0 ] || cat out
exit $((failures > 0))
