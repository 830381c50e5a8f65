#!/usr/bin/env python3
"""snippets.py FILE WORK CC FLAG...: compiles and runs each complete program in a text.

Programs are the ```c blocks of a markdown file and the @code blocks of a header that have a main().
Each must compile with the given command and exit with 0. Exits with 77 where there is none.
"""
import re
import subprocess
import sys
from pathlib import Path

MARKDOWN = re.compile(r"^```c\n(.*?)^```$", re.M | re.S)
DOXYGEN = re.compile(r"@code\b[^\n]*\n(.*?)^[ *]*@endcode", re.M | re.S)
SECONDS = 60


def programs(path):
    """Yields (line number, source) of each block that has a main()."""
    text = path.read_text()
    for match in (MARKDOWN if path.suffix == ".md" else DOXYGEN).finditer(text):
        source = match.group(1)
        if path.suffix != ".md":
            source = re.sub(r"^ \* ?", "", source, flags=re.M)
        if re.search(r"\bint main\(", source):
            yield text.count("\n", 0, match.start(1)) + 1, source


def runs(name, line, source, work, command):
    """Compiles and runs one program; says what is wrong with it."""
    stem = work / f"{name}.{line}"
    file = stem.with_name(stem.name + ".c")
    # Compilers' complaints then point into the text itself.
    file.write_text(f'#line {line} "{name}"\n{source}')
    compiler, *flags = command
    if subprocess.run([compiler, file, "-o", stem, *flags]).returncode != 0:
        print(f"{name}:{line}: does not compile")
        return False
    try:
        code = subprocess.run([stem], stdin=subprocess.DEVNULL, timeout=SECONDS).returncode
    except subprocess.TimeoutExpired:
        code = f"no end after {SECONDS} s"
    print(f"{name}:{line}: {'ok' if code == 0 else code}")
    return code == 0


def main():
    path, work, command = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    work.mkdir(parents=True, exist_ok=True)
    results = [runs(path.name, *program, work, command) for program in programs(path)]
    if not results:
        print(f"{path.name} has no complete program")
        return 77
    return not all(results)


if __name__ == "__main__":
    sys.exit(main())
