#!/bin/sh
# cg.sh CG MTX-GENERATE DATA SCRATCH: runs the example programs end to end.
set -u
cg=$1
generate=$2
data=$3
scratch=$4
small=$data/poisson2d-20.mtx
failures=0

complain() {
    echo "FAILED: $*"
    failures=$((failures + 1))
}

# expect_exit STATUS NAME COMMAND...: runs a command, keeping what it says in out and err.
expect_exit() {
    wanted=$1
    name=$2
    shift 2
    "$@" >"$scratch/out" 2>"$scratch/err" </dev/null
    got=$?
    if [ "$got" -ne "$wanted" ]; then
        complain "$name: exit status $got instead of $wanted"
        cat "$scratch/err"
    fi
}

# expect_words NAME TEXT: the last command said one line on its standard error, with these words.
expect_words() {
    lines=$(wc -l <"$scratch/err")
    [ "$lines" -eq 1 ] || complain "$1: $lines lines instead of one"
    grep -qF -- "$2" "$scratch/err" || complain "$1: no '$2' in: $(cat "$scratch/err")"
}

# expect_bad NAME WORDS: cg refuses the file NAME.mtx, whose text comes from standard input.
expect_bad() {
    cat >"$scratch/$1.mtx"
    expect_exit 2 "$1" "$cg" --alone "$scratch/$1.mtx"
    expect_words "$1" "$scratch/$1.mtx:$2"
}

# field NAME: the value on the line of that name in what the last command printed.
field() {
    sed -n "s/^$1  *//p" "$scratch/out"
}

mkdir -p "$scratch" || exit 1

# --- it solves the file that is shipped, which is what the generator writes ---
expect_exit 0 shipped "$cg" --alone "$small"
[ "$(field iterations)" -gt 5 ] || complain "shipped: no iterations in the output"
[ -n "$(field time)" ] || complain "shipped: no time in the output"
grep -q '^iteration  *0  residual 1.000e+00$' "$scratch/out" || complain "shipped: no progress"
"$generate" poisson2d 20 | cmp -s - "$small" || complain "the shipped file is not the generated one"

# --- the same bits for any number of workers, on matrices of more than one piece ---
expect_exit 0 generate-2d "$generate" --output "$scratch/2d.mtx" poisson2d 120
expect_exit 0 generate-3d "$generate" --output "$scratch/3d.mtx" poisson3d 20
expect_exit 0 generate-random "$generate" --output "$scratch/random.mtx" --per-row 6 random 20000
for file in "$small" "$scratch/2d.mtx" "$scratch/3d.mtx" "$scratch/random.mtx"; do
    first=
    for workers in 1 2 3; do
        expect_exit 0 "$file on $workers" "$cg" --alone --verbose --workers $workers "$file"
        bits="$(field iterations) $(field residual) $(field 'true residual') $(field 'max error')"
        [ "$(field workers)" = "$workers (skua)" ] || complain "$file: workers $(field workers)"
        [ -n "$first" ] || first=$bits
        [ "$bits" = "$first" ] || complain "$file on $workers workers: $bits instead of $first"
    done
done

# --- from the generator through a pipe ---
"$generate" poisson2d 30 | "$cg" - >"$scratch/out" 2>&1 || complain "pipe: $(cat "$scratch/out")"
[ -n "$(field iterations)" ] || complain "pipe: nothing solved"

# --- beside the OpenMP program, where there is one ---
expect_exit 0 compare "$cg" "$small"
if [ -x "$(dirname "$cg")/cg-openmp" ]; then
    [ -n "$(field ratio)" ] || complain "compare: no ratio in: $(cat "$scratch/out")"
    expect_exit 0 openmp "$(dirname "$cg")/cg-openmp" --workers 2 "$small"
    [ "$(field workers)" = "2 (openmp)" ] || complain "openmp: workers $(field workers)"
    [ -z "$(field ratio)" ] || complain "openmp: it compares itself with itself"
fi

# --- what is no answer: exit status 1 ---
expect_exit 1 gives-up "$cg" --alone --max-iterations 3 "$small"
expect_words gives-up "no convergence"
printf '%%%%MatrixMarket matrix coordinate real symmetric\n2 2 2\n1 1 1\n2 2 -5\n' \
    >"$scratch/indefinite.mtx"
expect_exit 1 indefinite "$cg" --alone "$scratch/indefinite.mtx"
expect_words indefinite "not positive definite"
printf '%%%%MatrixMarket matrix coordinate real symmetric\n2 2 3\n1 1 1\n2 2 1\n2 1 -1\n' \
    >"$scratch/singular.mtx"
expect_exit 1 singular "$cg" --alone "$scratch/singular.mtx"
expect_words singular "nothing to solve"

# --- bad files: exit status 2 and one line with file and line number ---
expect_exit 2 missing "$cg" --alone "$scratch/no-such-file.mtx"
expect_words missing "$scratch/no-such-file.mtx: cannot open: "
expect_exit 2 folder "$cg" --alone "$scratch"
expect_words folder "$scratch:1: cannot read: "
expect_bad empty "1: the file is empty" </dev/null
head -c 5000 "$small" | head -n 400 | expect_bad truncated "400: the file ends after 397 of the 1160"
sed 1d "$small" | expect_bad header "1: the file begins with '%'"
sed '1s/coordinate/array/' "$small" | expect_bad array "1: format 'array' is not supported"
sed '1s/integer/complex/' "$small" | expect_bad complex "1: field 'complex' is not supported"
sed '5s/.*/401 1 -1/' "$small" | expect_bad row "5: row 401 is outside 1..400"
sed '7s/.*/4 0 -1/' "$small" | expect_bad column "7: column 0 is outside 1..400"
sed -e '1s/symmetric/general/' -e '3s/^400 400/400 401/' "$small" |
    expect_bad not-square "3: 400 rows and 401 columns: the matrix is not square"
sed '1s/symmetric/general/' "$small" |
    expect_bad not-symmetric "3: the matrix is not symmetric: row 2, column 1 is -1"
sed '3s/.*/4000000000 4000000000 9000000000000/' "$small" | expect_bad huge "3: 4000000000 rows"
printf '%%%%MatrixMarket matrix coordinate real general\n1 1 1\n1 1 nan\n' |
    expect_bad nan "3: value 'nan' is not a finite"

# --- wrong usage: exit status 2 ---
expect_exit 2 no-file "$cg"
expect_exit 2 two-files "$cg" "$small" "$small"
expect_exit 2 option "$cg" --frobnicate "$small"
for option in --workers=0 --workers=two --workers=99999 --tolerance=0 --tolerance=2 --tolerance=x \
    --max-iterations=0 --max-iterations=99999999999999999999; do
    expect_exit 2 "$option" "$cg" $option "$small"
    expect_words "$option" "${option%%=*} ${option#*=} is not a"
done
expect_exit 0 help "$cg" --help

# --- the generator's own mistakes ---
expect_exit 2 kind "$generate" banded 5
expect_words kind "kind 'banded' is none of"
expect_exit 2 size "$generate" poisson2d 65536
expect_words size "size 65536 is not a whole number in 1..65535"
expect_exit 2 no-size "$generate" poisson2d
expect_exit 1 no-folder "$generate" --output "$scratch/no-such-folder/x.mtx" poisson2d 5
if [ -w /dev/full ]; then
    expect_exit 1 full "$generate" --output /dev/full poisson2d 50
    expect_words full "cannot write /dev/full: "
fi
for seed in 1 2; do
    "$generate" --seed $seed random 50 >"$scratch/seed-$seed.mtx"
    expect_exit 0 "seed $seed" "$cg" --alone "$scratch/seed-$seed.mtx"
done
cmp -s "$scratch/seed-1.mtx" "$scratch/seed-2.mtx" && complain "the seed changes nothing"

[ "$failures" -eq 0 ] && rm -rf "$scratch"
exit $((failures > 0))
