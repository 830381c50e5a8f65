#!/usr/bin/env python3
"""Prints what an independent program expects of machines, for tests/numa/place.c to compare with.

  oracle.py EXPECT.py MACHINE.xml...

EXPECT.py reads the XML by itself; it shares no code with hwloc or skua. The lines of each machine:
"node" and, for each unit in tree order, the operating system's number of its node or -1; then for
several numbers of workers "close" and "spread" and the operating system's number of each worker's
unit; then "end". Before the numbers of a line stands how many there are."""
import importlib.util
import sys

sys.dont_write_bytecode = True  # EXPECT.py stands in a folder that is not ours
spec = importlib.util.spec_from_file_location("expect", sys.argv[1])
expect = importlib.util.module_from_spec(spec)
spec.loader.exec_module(expect)

for path in sys.argv[2:]:
    machine = expect.load(path)
    cores, units = len(machine.cores), len(machine.pus)
    nodes = [expect.node_of(machine, pu) for pu in machine.pus]
    print("node", units, *[-1 if node is None else node for node in nodes])
    for n in 1, 2, 3, 4, 7, cores, cores + 1, units, units + 3:
        print("close", n, *expect.compact(machine, n))
        print("spread", n, *expect.spread(machine, n))
    print("end", 0)
