#!/bin/sh
# exports.sh ROOT SHARED ARCHIVE: what the headers declare, what tests/api/exports.txt lists and what
# the shared library exports must be the same; every other global name of the archive is an sk_ one.
# exports.sh --update ROOT: writes the list anew from the headers.
set -eu
export LC_ALL=C

# The names of SKUA_API declarations, which may go over several lines.
declared() {
    cat "$1"/include/skua/*.h | tr '\n' ' ' | grep -o 'SKUA_API [^(;]*[(;]' |
        sed -n 's/.*[ *]\(skua_[a-z0-9_]*\) *[(;]$/\1/p' | sort
}
exported() { nm -D --defined-only "$1" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort; }

if [ "$1" = --update ]; then
    declared "$2" >"$2/tests/api/exports.txt"
    exit
fi
root=$1 shared=$2 archive=$3
list=$root/tests/api/exports.txt
status=0
declared "$root" | diff -u --label "$list" --label "declared in include/skua" "$list" - || status=1
exported "$shared" | diff -u --label "$list" --label "exported by $shared" "$list" - || status=1

strangers=$(nm -g --defined-only "$archive" | awk 'NF == 3 { print $3 }' |
    grep -vxE 'sk_[a-z0-9]+(_[a-z0-9]+)*' | sort | comm -23 - "$list")
if [ -n "$strangers" ]; then
    echo "global, and neither public nor named sk_<module>_<verb>:" "$strangers"
    status=1
fi
exit $status
