#!/usr/bin/env python3
"""style.py ROOT: the rules of CONTRIBUTING.md that a line-by-line look can check.

It relies on clang-format's layout: a function's braces, and no others, stand alone in column 0.
"""
import re
import sys
from pathlib import Path

FOLDERS = "include base numa sched process core mpi cli bench examples tests".split()
MAX_FILE, MAX_FUNCTION, MAX_COLUMNS = 600, 80, 100

LINE_RULES = [
    (re.compile(r"\t"), "tab"),
    (re.compile(r"\s$"), "blank at the end of the line"),
    (re.compile(r"^\s*#\s*if\s+0\b"), "#if 0"),
    (re.compile(r"\b(FIXME|XXX|HACK)\b"), "say 'TODO: what, and what would let us delete this'"),
    (re.compile(r"\bTODO(?!: \w)"), "a TODO has the form 'TODO: what, and what would let ...'"),
]
TEST_RULES = [
    (re.compile(r"\b(usleep|nanosleep|clock_nanosleep|sleep|thrd_sleep)\s*\((?!.*/\* not synchronisation: )"),
     "sleeping is no synchronisation; if it is none, say /* not synchronisation: why */"),
    (re.compile(r"^\s*assert\("), "assert() vanishes from release builds: use cmocka's checks"),
]


def check(path, name):
    """Yields (line number, complaint) for one file."""
    lines = path.read_text().split("\n")[:-1]
    rules = LINE_RULES + (TEST_RULES if name.startswith("tests/") else [])
    if len(lines) > MAX_FILE:
        yield len(lines), f"more than {MAX_FILE} lines"
    start = None
    for number, line in enumerate(lines, 1):
        if len(line) > MAX_COLUMNS:
            yield number, f"more than {MAX_COLUMNS} columns"
        for pattern, complaint in rules:
            if pattern.search(line):
                yield number, complaint
        if line == "{":
            start = number
        elif line == "}" and start:
            if number - start - 1 > MAX_FUNCTION:
                yield start, f"a function of {number - start - 1} lines, more than {MAX_FUNCTION}"
            start = None


def main():
    root = Path(sys.argv[1])
    files = [f for d in FOLDERS for f in sorted((root / d).rglob("*")) if f.suffix in (".c", ".h", ".cpp")]
    bad = 0
    for file in files:
        name = file.relative_to(root).as_posix()
        for number, complaint in check(file, name):
            print(f"{name}:{number}: {complaint}")
            bad += 1
    print(f"{len(files)} files, {bad} complaints")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
