#!/usr/bin/env python3
"""layers.py ROOT: checks that includes point down, and that no headers include each other in a ring.

tools/layers.txt has the folders, lowest first. A quoted include is a path from the root, or one of
skua/*.h; it names a file of the same folder or of a lower one. What the user sees (include/) uses
nothing but itself.
"""
import re
import sys
from pathlib import Path

INCLUDE = re.compile(r'\s*#\s*include\s*"([^"]+)"')
# The seam of the model checker: compiled only for its tests.
ALLOWED = {("base/atomic.h", "tests/model/atomic.h")}


def ranks(root):
    lines = (root / "tools/layers.txt").read_text().splitlines()
    folders = [line.split("#")[0].strip() for line in lines]
    return {folder: rank for rank, folder in enumerate(filter(None, folders))}


def includes(root, path):
    """Yields (line number, path from the root) of each quoted include."""
    for number, line in enumerate((root / path).read_text().splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            target = match.group(1)
            yield number, "include/" + target if target.startswith("skua/") else target


def ring(graph):
    """Returns a list of headers that include each other in a ring, or None."""
    done = set()

    def visit(node, trail):
        if node in trail:
            return trail[trail.index(node):] + [node]
        if node in done:
            return None
        found = next(filter(None, (visit(n, trail + [node]) for n in graph.get(node, ()))), None)
        done.add(node)
        return found

    return next(filter(None, (visit(node, []) for node in sorted(graph))), None)


def main():
    root = Path(sys.argv[1])
    rank = ranks(root)
    graph, complaints = {}, []
    for folder in rank:
        for file in sorted((root / folder).rglob("*.[ch]")):
            path = file.relative_to(root).as_posix()
            graph[path] = []
            for number, target in includes(root, path):
                above = target.split("/")[0]
                if (path, target) in ALLOWED:
                    continue
                graph[path].append(target)
                if not (root / target).is_file():
                    complaints.append(f"{path}:{number}: {target} is no file, seen from the root")
                elif above not in rank:
                    complaints.append(f"{path}:{number}: {target} is in no layer")
                elif rank[above] > rank[folder]:
                    complaints.append(f"{path}:{number}: {target} is above {folder}/")
    found = ring(graph)
    if found:
        complaints.append("a ring of includes: " + " -> ".join(found))
    print("\n".join(complaints) or f"{len(graph)} files, all includes point down")
    return bool(complaints)


if __name__ == "__main__":
    sys.exit(main())
