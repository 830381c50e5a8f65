/* There and back: submit, result, release of a task that gives its 8 bytes back, one at a time, by
 * a caller on one CPU and a worker on another that has not had time to fall asleep.
 *
 * Beside it, on the same two CPUs: the thread pool, and the floor, which is two processes that pass
 * a cache line to and fro through shared memory and do nothing else. A sample is the median of a
 * visit, whose trips are timed one by one: an interruption by the system then costs one trip. */
#include <sched.h>
#include <signal.h>
#include <skua/skua.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/kernels/kernel.h"
#include "bench/process/parts.h"
#include "bench/process/pinning.h"
#include "bench/samples.h"

enum {
    TRIPS = 2000,
    WARM = 200,
    PYTHON_TRIPS = 200
};

/* --- the floor --- */

struct line {
    _Alignas(128) _Atomic uint64_t turn; /* 64 bytes with the payload, and no neighbour */
    uint64_t payload[7];
};

struct pair {
    struct line there, back;
    pid_t pid;
};

static void wait_for(const struct line *line, uint64_t turn)
{
    while (atomic_load_explicit(&line->turn, memory_order_acquire) != turn)
        continue;
}

static _Noreturn void answer(struct pair *pair, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(0);
    for (uint64_t turn = 1;; turn++) {
        wait_for(&pair->there, turn);
        memcpy(pair->back.payload, pair->there.payload, sizeof pair->back.payload);
        atomic_store_explicit(&pair->back.turn, turn, memory_order_release);
    }
}

static struct pair *pair_open(void)
{
    struct pair *pair =
        mmap(NULL, sizeof *pair, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return pair != MAP_FAILED ? pair : NULL;
}

/* The answering process spins as long as it lives, so it lives for one visit. */
static bool pair_start(struct pair *pair, bool pinned)
{
    const pid_t parent = getpid();
    *pair = (struct pair){ .pid = 0 };
    if (pinned)
        bench_pin_maker();
    const pid_t pid = fork();
    if (pid == 0)
        answer(pair, parent);
    if (pinned)
        bench_pin_caller();
    pair->pid = pid;
    return pid > 0;
}

static void pair_stop(struct pair *pair)
{
    kill(pair->pid, SIGKILL);
    waitpid(pair->pid, NULL, 0);
}

/* --- visits: each gives the median of its trips --- */

static bool visit_pool(struct bench_campaign *c, skua_executor *ex, double *seconds)
{
    static double trip[TRIPS];
    for (int i = -WARM; i < TRIPS; i++) {
        const int64_t begin = bench_now_ns();
        if (!bench_echo_take(c, bench_echo_submit(ex, (uint64_t)i), (uint64_t)i))
            return false;
        if (i >= 0)
            trip[i] = 1e-9 * (double)(bench_now_ns() - begin);
    }
    *seconds = bench_median(trip, TRIPS);
    return true;
}

static bool visit_pair(struct pair *pair, bool pinned, double *seconds)
{
    static double trip[TRIPS];
    if (pair == NULL || !pair_start(pair, pinned))
        return false;
    uint64_t turn = 0;
    for (int i = -WARM; i < TRIPS; i++) {
        const int64_t begin = bench_now_ns();
        turn++;
        for (int k = 0; k < 7; k++)
            pair->there.payload[k] = turn;
        atomic_store_explicit(&pair->there.turn, turn, memory_order_release);
        wait_for(&pair->back, turn);
        if (i >= 0)
            trip[i] = 1e-9 * (double)(bench_now_ns() - begin);
    }
    pair_stop(pair);
    *seconds = bench_median(trip, TRIPS);
    return true;
}

/* --- the part --- */

enum who {
    POOL,
    PAIR,
    THREADS,
    PYTHON,
    NR_WHO
};

void bench_roundtrip(struct bench_campaign *c, struct bench_python *python)
{
    struct bench_figure *figure[NR_WHO] = {
        bench_figure_add(c, BENCH_SECONDS, 600e-9, "round trip: submit, result, release; 1 worker"),
        bench_figure_add(c, BENCH_SECONDS, 0, "  two processes passing a cache line"),
        bench_figure_add(c, BENCH_SECONDS, 0, "  the thread pool, 1 worker"),
        bench_figure_add(c, BENCH_SECONDS, 0, "  Python's round trip, 2 workers")
    };
    const bool pinned = !c->unpinned;
    const int rounds = bench_campaign_count(c, 9, 25);
    skua_executor *pool = bench_pool_apart(c);
    if (pinned)
        bench_pin_maker();
    skua_executor *threads = skua_thread_pool(&(skua_options){ .workers = 1 });
    if (pinned)
        bench_pin_caller();
    struct pair *pair = c->machine.cpus > 1 ? pair_open() : NULL;
    if (pair == NULL)
        bench_figure_leave_out(figure[PAIR], "that takes two CPUs");
    bool good = pool != NULL && threads != NULL;
    for (int i = 0; good && i < NR_WHO * rounds; i++) {
        const enum who who = (enum who)((i + i / NR_WHO) % NR_WHO);
        double value[2];
        bool took = false;
        if (who == POOL)
            good = took = visit_pool(c, pool, value);
        else if (who == THREADS)
            good = took = visit_pool(c, threads, value);
        else if (who == PAIR)
            took = visit_pair(pair, pinned, value);
        else
            took = bench_python_ask(python, value, "trip %d", PYTHON_TRIPS);
        if (took)
            bench_figure_sample(figure[who], value[0]);
    }
    bench_figure_leave_out(figure[PYTHON], "%s", python->why);
    skua_close(pool);
    skua_close(threads);
    bench_pin_undo();
    if (pair != NULL)
        munmap(pair, sizeof *pair);
}
