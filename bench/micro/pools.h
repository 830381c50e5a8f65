// The pools of the micro benchmarks: one for each number of workers, made at first use and kept.
#ifndef BENCH_POOLS_H
#define BENCH_POOLS_H

#include <skua/skua.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>

namespace micro
{

using clock = std::chrono::steady_clock;

inline double since(clock::time_point begin)
{
    return std::chrono::duration<double>(clock::now() - begin).count();
}

// Ends the program where skua reports an error: what is not run cannot be timed.
inline void check(bool good, const char *what)
{
    if (good)
        return;
    std::fprintf(stderr, "skua-micro: %s: %s\n", what, skua_last_error()->message);
    std::exit(1);
}

inline skua_executor *pool(int workers)
{
    struct pools {
        std::map<int, skua_executor *> of;
        ~pools()
        {
            for (auto &entry : of)
                skua_close(entry.second);
        }
    };
    static pools all;
    skua_executor *&ex = all.of[workers];
    if (ex == nullptr) {
        skua_options options{};
        options.workers = workers;
        ex = skua_thread_pool(&options);
        check(ex != nullptr, "skua_thread_pool");
    }
    return ex;
}

} // namespace micro

#endif
