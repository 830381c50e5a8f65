// What a child costs: spawn and sync where nobody takes it, and the time until a thief has it.
#include <benchmark/benchmark.h>

#include <atomic>

#include "bench/micro/pools.h"

namespace
{

long fib_spawns(int n)
{
    return n < 2 ? 0 : 1 + fib_spawns(n - 1) + fib_spawns(n - 2);
}

// fib by real calls: what a spawn can at best cost nothing over.
struct fib_args {
    int n;
    long value;
};

__attribute__((noinline)) int fib_calls(void *arg)
{
    auto *f = static_cast<fib_args *>(arg);
    if (f->n < 2) {
        f->value = f->n;
        return 0;
    }
    fib_args a{ f->n - 1, 0 }, b{ f->n - 2, 0 };
    fib_calls(&a);
    benchmark::ClobberMemory();
    fib_calls(&b);
    f->value = a.value + b.value;
    return 0;
}

int fib(void *arg)
{
    auto *f = static_cast<fib_args *>(arg);
    if (f->n < 2) {
        f->value = f->n;
        return 0;
    }
    fib_args a{ f->n - 1, 0 }, b{ f->n - 2, 0 };
    skua_child child;
    skua_spawn(&child, fib, &a);
    fib(&b);
    skua_sync(&child);
    f->value = a.value + b.value;
    return 0;
}

constexpr int FIB_N = 25;

void finish(benchmark::State &state, long spawns)
{
    const double all = static_cast<double>(spawns) * static_cast<double>(state.iterations());
    state.counters["per_spawn"] =
        benchmark::Counter(all, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void call_fib(benchmark::State &state)
{
    for (auto _ : state) {
        fib_args f{ FIB_N, 0 };
        fib_calls(&f);
        benchmark::DoNotOptimize(f.value);
    }
    finish(state, fib_spawns(FIB_N));
}

void spawn_fib(benchmark::State &state)
{
    skua_executor *ex = micro::pool(static_cast<int>(state.range(0)));
    for (auto _ : state) {
        fib_args f{ FIB_N, 0 };
        micro::check(skua_call(ex, fib, &f) == 0 && f.value == 75025, "fib");
    }
    finish(state, fib_spawns(FIB_N));
}

int nothing(void *)
{
    return 0;
}

// One child after the other, none of which is taken.
constexpr long FLAT = 10000;

int spawn_many(void *)
{
    for (long i = 0; i < FLAT; i++) {
        skua_child child;
        skua_spawn(&child, nothing, nullptr);
        skua_sync(&child);
    }
    return 0;
}

void spawn_flat(benchmark::State &state)
{
    skua_executor *ex = micro::pool(static_cast<int>(state.range(0)));
    for (auto _ : state)
        micro::check(skua_call(ex, spawn_many, nullptr) == 0, "spawn");
    finish(state, FLAT);
}

// A child that is to be taken, by a worker that searches. The parent goes on spawning, as programs
// do: that is when it sees that somebody asks for work.
struct stolen {
    std::atomic<bool> begun{ false };
    int worker = -1;
    double latency = 0;  // until it began, or until the parent gave up
    bool missed = false; // nobody took it
};

int note(void *arg)
{
    auto *s = static_cast<stolen *>(arg);
    s->worker = skua_worker();
    s->begun.store(true, std::memory_order_release);
    return 0;
}

int be_robbed(void *arg)
{
    auto *s = static_cast<stolen *>(arg);
    const int me = skua_worker();
    skua_child child, filler;
    const auto begin = micro::clock::now();
    skua_spawn(&child, note, s);
    for (int i = 0; i < 100000 && !s->begun.load(std::memory_order_acquire); i++) {
        skua_spawn(&filler, nothing, nullptr);
        skua_sync(&filler);
    }
    s->latency = micro::since(begin);
    skua_sync(&child);
    s->missed = s->worker == me;
    return 0;
}

void steal(benchmark::State &state)
{
    skua_executor *ex = micro::pool(2);
    long missed = 0;
    for (auto _ : state) {
        stolen s;
        micro::check(skua_call(ex, be_robbed, &s) == 0, "steal");
        missed += s.missed;
        state.SetIterationTime(s.latency);
    }
    state.counters["missed"] =
        static_cast<double>(missed) / static_cast<double>(state.iterations());
}

BENCHMARK(call_fib)->Unit(benchmark::kMillisecond);
BENCHMARK(spawn_fib)->Arg(1)->Arg(2)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(spawn_flat)->Arg(1)->Arg(2)->Unit(benchmark::kMicrosecond)->UseRealTime();
BENCHMARK(steal)->UseManualTime()->Iterations(2000);

} // namespace
