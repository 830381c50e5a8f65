// What a task costs from skua_submit() to skua_release(), from outside a pool and from inside it.
#include <benchmark/benchmark.h>

#include <vector>

#include "bench/micro/pools.h"

namespace
{

constexpr int BATCH = 1000;

int nothing(void *, void *)
{
    return 0;
}

void take(skua_future *f)
{
    micro::check(skua_result(f, nullptr, 0, SKUA_FOREVER) == SKUA_OK, "skua_result");
    skua_release(f);
}

// Submit, wait, release: the whole way there and back, with a worker that is awake.
void round_trip(benchmark::State &state)
{
    skua_executor *ex = micro::pool(static_cast<int>(state.range(0)));
    for (auto _ : state)
        take(skua_submit(ex, nothing, nullptr));
}

// The same after a pause in which workers may have gone to sleep.
void round_trip_after_idle(benchmark::State &state)
{
    skua_executor *ex = micro::pool(2);
    const double pause = 1e-6 * static_cast<double>(state.range(0));
    for (auto _ : state) {
        for (const auto idle = micro::clock::now(); micro::since(idle) < pause;)
            continue;
        const auto begin = micro::clock::now();
        take(skua_submit(ex, nothing, nullptr));
        state.SetIterationTime(micro::since(begin));
    }
}

void submit_batch(skua_executor *ex, std::vector<skua_future *> &futures)
{
    for (auto &f : futures)
        f = skua_submit(ex, nothing, nullptr);
    for (auto *f : futures)
        take(f);
}

void submit_from_outside(benchmark::State &state)
{
    skua_executor *ex = micro::pool(static_cast<int>(state.range(0)));
    std::vector<skua_future *> futures(BATCH);
    for (auto _ : state)
        submit_batch(ex, futures);
    state.SetItemsProcessed(state.iterations() * BATCH);
}

struct inside {
    skua_executor *ex;
    std::vector<skua_future *> futures;
};

int submit_in_task(void *arg, void *)
{
    auto *in = static_cast<inside *>(arg);
    submit_batch(in->ex, in->futures);
    return 0;
}

void submit_from_worker(benchmark::State &state)
{
    inside in{ micro::pool(static_cast<int>(state.range(0))), std::vector<skua_future *>(BATCH) };
    for (auto _ : state)
        take(skua_submit(in.ex, submit_in_task, &in));
    state.SetItemsProcessed(state.iterations() * BATCH);
}

BENCHMARK(round_trip)->Arg(1)->Arg(2)->UseRealTime();
BENCHMARK(round_trip_after_idle)->Arg(100)->Arg(10000)->UseManualTime()->Iterations(300);
BENCHMARK(submit_from_outside)->Arg(1)->Arg(2)->Unit(benchmark::kMicrosecond)->UseRealTime();
BENCHMARK(submit_from_worker)->Arg(1)->Arg(2)->Unit(benchmark::kMicrosecond)->UseRealTime();

} // namespace
