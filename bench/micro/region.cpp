// What an empty loop costs, one iteration a worker: back to back, and after a pause.
#include <benchmark/benchmark.h>

#include "bench/micro/pools.h"

namespace
{

int nothing(size_t, size_t, void *)
{
    return 0;
}

void loop(skua_executor *ex, skua_schedule schedule)
{
    skua_loop options{};
    options.schedule = schedule;
    const auto n = static_cast<size_t>(skua_workers(ex));
    micro::check(skua_for(ex, 0, n, nothing, nullptr, &options) == SKUA_OK, "skua_for");
}

void region(benchmark::State &state)
{
    skua_executor *ex = micro::pool(static_cast<int>(state.range(0)));
    const auto schedule = static_cast<skua_schedule>(state.range(1));
    for (auto _ : state)
        loop(ex, schedule);
}

void region_after_idle(benchmark::State &state)
{
    skua_executor *ex = micro::pool(2);
    const double pause = 1e-6 * static_cast<double>(state.range(0));
    for (auto _ : state) {
        for (const auto idle = micro::clock::now(); micro::since(idle) < pause;)
            continue;
        const auto begin = micro::clock::now();
        loop(ex, SKUA_STATIC);
        state.SetIterationTime(micro::since(begin));
    }
}

BENCHMARK(region)
    ->ArgNames({ "workers", "schedule" })
    ->Args({ 1, SKUA_STATIC })
    ->Args({ 2, SKUA_STATIC })
    ->Args({ 2, SKUA_AUTO })
    ->Args({ 2, SKUA_DYNAMIC })
    ->UseRealTime();
BENCHMARK(region_after_idle)->Arg(100)->Arg(10000)->UseManualTime()->Iterations(300);

} // namespace
