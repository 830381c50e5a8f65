/* Ten thousand empty tasks: each a future of its own, submitted and then awaited in order, so that
 * nothing is sent together that a user has not put together; and by skua_map(), with one item at a
 * time and with chunks of its own choice. Python's map makes a future of each chunk, so its chunks
 * of 1 are what the futures are compared with. Nothing is pinned: that is as it comes. */
#include <skua/skua.h>
#include <stdlib.h>

#include "bench/kernels/kernel.h"
#include "bench/process/parts.h"

enum {
    TASKS = 10000
};

struct stream {
    skua_executor *pool[2]; /* of 1 and of 2 workers */
    skua_future *future[TASKS];
    uint64_t in[TASKS], out[TASKS];
};

static bool run_futures(struct bench_campaign *c, struct stream *s, int workers)
{
    skua_executor *ex = s->pool[workers - 1];
    bool good = true;
    for (int i = 0; i < TASKS; i++)
        s->future[i] = bench_echo_submit(ex, s->in[i]);
    for (int i = 0; i < TASKS; i++) {
        if (good)
            good = bench_echo_take(c, s->future[i], s->in[i]);
        else
            skua_release(s->future[i]);
    }
    return good;
}

static bool run_map(struct bench_campaign *c, struct stream *s, int workers, size_t chunk)
{
    const skua_map_options o = { .chunk = chunk };
    s->out[TASKS - 1] = 0;
    if (skua_map(s->pool[workers - 1], bench_echo, s->in, sizeof s->in[0], s->out, sizeof s->out[0],
                 TASKS, &o, BENCH_PATIENCE) != SKUA_OK) {
        bench_campaign_fail(c, "skua_map: %s", skua_last_error()->message);
        return false;
    }
    if (s->out[TASKS - 1] != s->in[TASKS - 1])
        bench_campaign_fail(c, "skua_map gave another number back");
    return s->out[TASKS - 1] == s->in[TASKS - 1];
}

enum {
    FUTURES_1,
    FUTURES_2,
    MAP_1,
    MAP_2,
    MAP_CHUNKS_2,
    PYTHON_1,
    PYTHON_100,
    NR_SERIES
};

/* Whether there is a value: seconds for all tasks. False, with *good, where only Python failed. */
static bool visit(struct bench_campaign *c, struct stream *s, struct bench_python *python,
                  int which, bool *good, double *seconds)
{
    double answer[2];
    const double begin = bench_now();
    switch (which) {
    case FUTURES_1:
    case FUTURES_2:
        *good = run_futures(c, s, which == FUTURES_1 ? 1 : 2);
        break;
    case MAP_1:
    case MAP_2:
        *good = run_map(c, s, which == MAP_1 ? 1 : 2, 1);
        break;
    case MAP_CHUNKS_2:
        *good = run_map(c, s, 2, 0);
        break;
    default:
        if (!bench_python_ask(python, answer, "map %d %d", TASKS, which == PYTHON_1 ? 1 : 100))
            return false;
        *seconds = answer[0];
        return true;
    }
    *seconds = bench_now() - begin;
    return *good;
}

void bench_stream(struct bench_campaign *c, struct bench_python *python)
{
    static const char *const names[NR_SERIES] = { "10,000 futures, 1 worker",
                                                  "10,000 futures, 2 workers",
                                                  "10,000 items by skua_map, chunk 1, 1 worker",
                                                  "10,000 items by skua_map, chunk 1, 2 workers",
                                                  "10,000 items by skua_map, 2 workers",
                                                  "  Python's map, chunksize 1, 2 workers",
                                                  "  Python's map, chunksize 100, 2 workers" };
    struct bench_figure *figure[NR_SERIES];
    for (int i = 0; i < NR_SERIES; i++)
        figure[i] = bench_figure_add(c, BENCH_RATE, i <= FUTURES_2 ? 1.5e6 : 0, names[i]);
    struct bench_figure *ratio =
        bench_figure_add(c, BENCH_RATIO, 100, "  futures over Python's chunksize 1, 2 workers");
    struct bench_figure *map_ratio =
        bench_figure_add(c, BENCH_RATIO, 0, "  skua_map over Python's chunksize 100, 2 workers");

    struct stream *s = calloc(1, sizeof *s);
    bool good = s != NULL;
    for (int i = 0; good && i < TASKS; i++)
        s->in[i] = bench_mix((uint64_t)i);
    for (int i = 0; good && i < 2; i++)
        good = (s->pool[i] = bench_pool(c, i + 1)) != NULL;
    /* The first round is a rehearsal: it fills the pools' memory. */
    const int rounds = bench_campaign_count(c, 4, 11);
    for (int i = -NR_SERIES; good && i < NR_SERIES * rounds; i++) {
        const int which = (i + NR_SERIES + (i + NR_SERIES) / NR_SERIES) % NR_SERIES;
        double seconds;
        if (i < 0 && which >= PYTHON_1)
            continue;
        if (visit(c, s, python, which, &good, &seconds) && i >= 0)
            bench_figure_sample(figure[which], TASKS / seconds);
    }
    for (int i = PYTHON_1; i <= PYTHON_100; i++)
        bench_figure_leave_out(figure[i], "%s", python->why);
    bench_figure_ratio(ratio, figure[FUTURES_2], figure[PYTHON_1]);
    bench_figure_ratio(map_ratio, figure[MAP_CHUNKS_2], figure[PYTHON_100]);
    for (int i = 0; s != NULL && i < 2; i++)
        skua_close(s->pool[i]);
    free(s);
}
