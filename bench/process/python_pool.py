"""python_pool.py WORKERS: concurrent.futures' ProcessPoolExecutor, on demand.

It says "ready VERSION", then reads commands from stdin, one a line, and answers each with a line of
numbers: what was measured, in seconds.
  trip N      submits N empty tasks, each after the result of the one before: the median
  map N SIZE  maps N empty items in chunks of SIZE
  abort       22 tasks, of which one calls os.abort(): how many futures failed, and the time from
              knowing of the first to the next answer, which takes a new pool
"""
import os
import platform
import resource
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor


def echo(number):
    return number


def timed(action):
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def round_trip(pool, n):
    return [statistics.median(timed(lambda: pool.submit(echo, 0).result()) for _ in range(n))]


def map_items(pool, n, chunk):
    def run():
        if sum(1 for _ in pool.map(echo, range(n), chunksize=chunk)) != n:
            sys.exit("python_pool.py: a result is missing")

    return [timed(run)]


def abort(workers):
    pool = ProcessPoolExecutor(workers)
    list(pool.map(echo, range(2 * workers)))
    futures = [pool.submit(time.sleep, 0.05), pool.submit(os.abort)]
    futures += [pool.submit(echo, i) for i in range(20)]
    futures[1].exception()
    begin = time.perf_counter()
    fresh = ProcessPoolExecutor(workers)
    fresh.submit(echo, 1).result()
    seconds = time.perf_counter() - begin
    failed = sum(future.exception() is not None for future in futures)
    pool.shutdown()
    fresh.shutdown()
    return [failed, seconds]


def main():
    workers = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with ProcessPoolExecutor(workers) as pool:
        list(pool.map(echo, range(2 * workers)))
        print("ready", platform.python_version(), flush=True)
        for line in sys.stdin:
            command, *words = line.split()
            numbers = [int(word) for word in words]
            if command == "trip":
                answer = round_trip(pool, *numbers)
            elif command == "map":
                answer = map_items(pool, *numbers)
            elif command == "abort":
                answer = abort(workers)
            else:
                sys.exit(f"python_pool.py: unknown command {command!r}")
            print(*answer, flush=True)


if __name__ == "__main__":
    main()
