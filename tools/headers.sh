#!/bin/sh
# headers.sh ROOT CC [CXX]: every header compiles alone, and twice, as C11; public ones as C++17 too.
set -eu

root=$1 cc=$2 cxx=${3:-}
cd "$root"
status=0

# alone HEADER COMPILER LANGUAGE STANDARD
alone() {
    printf '#include "%s"\n#include "%s"\nextern int unit;\n' "$1" "$1" |
        "$2" -x "$3" -std="$4" -fsyntax-only -Wall -Wextra -Wpedantic -Wconversion -Werror \
            -I . -I include - || {
        echo "$1 does not compile alone as $4"
        status=1
    }
}

for header in include/skua/*.h; do
    alone "${header#include/}" "$cc" c c11
    if [ -n "$cxx" ]; then alone "${header#include/}" "$cxx" c++ c++17; fi
done
for header in base/*.h numa/*.h sched/*.h process/*.h core/*.h; do
    if [ -e "$header" ]; then alone "$header" "$cc" c c11; fi
done
exit $status
