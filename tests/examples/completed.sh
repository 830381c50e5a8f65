#!/bin/sh
# completed.sh PROGRAM SCRATCH: each file's line comes once, with its own name and result or error.
set -eu

program=$1 scratch=$2
mkdir -p "$scratch"
cd "$scratch"
printf '1\n2\n3\n' >three
printf '' >none
rm -f missing

"$program" three missing none three | sort >out
cat >wanted <<'TEXT'
missing generated an exception: cannot open missing
none has 0 lines
three has 3 lines
three has 3 lines
TEXT
diff wanted out
[ -z "$("$program")" ] # no files, no lines, no complaint
