// skua-micro: see --help for Google Benchmark's own arguments.
#include <benchmark/benchmark.h>

BENCHMARK_MAIN();
