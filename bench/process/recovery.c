/* From a SIGSEGV to the next answer. A task notes the time in shared memory and, as the very next
 * thing, stores to an address that is nobody's. A task submitted behind it waits in the queue of
 * the worker that is about to die. What is measured ends when the caller has that task's result:
 * with one fault the spare answers; with two in a row a process that was forked after the first.
 *
 * The same is asked of a worker that holds 1 GiB of touched memory, which the kernel has to tear
 * down, and of a program that has touched 1 and 4 GiB itself since it made the pool, all of which a
 * fork() of the program would copy tables for: with pages of 4 KiB, the worst case.
 *
 * The pool has one worker. It and all that is forked is on one CPU, the caller on another. */
#include <skua/skua.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "bench/kernels/kernel.h"
#include "bench/process/parts.h"
#include "bench/process/pinning.h"
#include "bench/progress.h"

enum {
    FAULTS_MAX = 2
};

static const size_t GIB = (size_t)1 << 30;
static const double REST = 3e-3; /* seconds: many times what a replacement takes */

struct black_box { /* in shared memory */
    _Atomic int64_t fault_ns[FAULTS_MAX];
};

struct strike {
    struct black_box *box;
    int which;
    size_t hold; /* bytes to touch first */
    uintptr_t address;
};

/* Bytes on pages of 4 KiB, all touched; NULL where memory is short. */
static char *touched(size_t size)
{
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    madvise(memory, size, MADV_NOHUGEPAGE);
    for (size_t i = 0; i < size; i += 4096)
        memory[i] = 1;
    return memory;
}

static int strike(void *arg, void *result)
{
    const struct strike *s = arg;
    (void)result;
    if (s->hold > 0 && touched(s->hold) == NULL)
        return skua_fail(1, "no memory to hold");
    atomic_store(&s->box->fault_ns[s->which], bench_now_ns());
    *(volatile int *)s->address = 1;
    return skua_fail(1, "the fault did not come");
}

struct setting {
    struct bench_campaign *c;
    skua_executor *pool;
    struct black_box *box;
};

static bool was_a_fault(struct bench_campaign *c, skua_future *f)
{
    const skua_error *error = skua_exception(f, BENCH_PATIENCE);
    const bool good =
        error != NULL && error->status == SKUA_CRASHED && error->fault == SKUA_FAULT_NULL_DEREF;
    if (!good)
        bench_campaign_fail(c, "a null dereference ended as: %s",
                            error != NULL ? error->message : "a result");
    skua_release(f);
    return good;
}

/* Strikes `faults` times, the last one holding `hold` bytes. Seconds from the first and from the
 * last fault to the answer. */
static bool once(const struct setting *s, int faults, size_t hold, double *first, double *last)
{
    skua_future *f[FAULTS_MAX];
    struct bench_campaign *c = s->c;
    if (!bench_echo_take(c, bench_echo_submit(s->pool, 1), 1))
        return false;
    for (int i = 0; i < faults; i++) {
        struct strike task = {
            .box = s->box, .which = i, .hold = i == faults - 1 ? hold : 0, .address = 8
        };
        f[i] = skua_submit_task(
            s->pool, &(skua_task){ .fn = strike, .arg = &task, .arg_size = sizeof task });
    }
    bool good = bench_echo_take(c, bench_echo_submit(s->pool, 2), 2);
    const int64_t now = bench_now_ns();
    for (int i = 0; i < faults; i++)
        good = was_a_fault(c, f[i]) && good;
    *first = 1e-9 * (double)(now - atomic_load(&s->box->fault_ns[0]));
    *last = 1e-9 * (double)(now - atomic_load(&s->box->fault_ns[faults - 1]));
    bench_rest(hold > 0 ? 0.3 : REST);
    return good;
}

/* Some of each kind, for a program of the present size. */
static bool series(const struct setting *s, struct bench_figure *spare,
                   struct bench_figure *replacement, struct bench_figure *both)
{
    const int n = bench_campaign_count(s->c, 10, 20);
    for (int i = 0; i < n; i++) {
        double first, last;
        if (!once(s, 1, 0, &first, &last))
            return false;
        bench_figure_sample(spare, last);
        if (!once(s, 2, 0, &first, &last))
            return false;
        bench_figure_sample(replacement, last);
        if (both != NULL)
            bench_figure_sample(both, first);
    }
    return true;
}

enum {
    NR_SIZES = 3
};

struct size {
    size_t bytes; /* that the program has touched since the pool was made */
    struct bench_figure *spare, *replacement;
};

/* One round over the sizes. */
static bool sizes(const struct setting *s, const struct size *size, struct bench_figure *both)
{
    bool good = true;
    for (int i = 0; good && i < NR_SIZES; i++) {
        char *ballast = NULL;
        if (size[i].bytes > 0) {
            const double needed = 1.25 * (double)size[i].bytes / (1 << 20);
            const double free_mib = bench_machine_free_mib();
            if (needed < free_mib)
                ballast = touched(size[i].bytes);
            if (ballast == NULL) {
                bench_figure_leave_out(size[i].spare, "%.0f MiB of memory are free", free_mib);
                bench_figure_leave_out(size[i].replacement, "%.0f MiB of memory are free",
                                       free_mib);
                continue;
            }
        }
        good = series(s, size[i].spare, size[i].replacement, i == 0 ? both : NULL);
        if (ballast != NULL)
            munmap(ballast, size[i].bytes);
    }
    return good;
}

static bool heavy(const struct setting *s, struct bench_figure *figure)
{
    const double free_mib = bench_machine_free_mib();
    double first, last;
    if (free_mib < 1.5 * 1024) {
        bench_figure_leave_out(figure, "%.0f MiB of memory are free", free_mib);
        return true;
    }
    if (!once(s, 1, GIB, &first, &last))
        return false;
    bench_figure_sample(figure, last);
    return true;
}

void bench_recovery(struct bench_campaign *c)
{
    struct size size[NR_SIZES] = { { .bytes = 0 }, { .bytes = GIB }, { .bytes = 4 * GIB } };
    size[0].spare = bench_figure_add(c, BENCH_SECONDS, 150e-6, "SIGSEGV: until the spare answers");
    size[0].replacement = bench_figure_add(c, BENCH_SECONDS, 300e-6,
                                           "two SIGSEGV: second until a new process answers");
    struct bench_figure *both =
        bench_figure_add(c, BENCH_SECONDS, 0, "  first until a new process answers");
    struct bench_figure *held =
        bench_figure_add(c, BENCH_SECONDS, 300e-6, "worker holds 1 GiB: until the spare answers");
    size[1].spare = bench_figure_add(c, BENCH_SECONDS, 0, "program of 1 GiB: spare");
    size[2].spare = bench_figure_add(c, BENCH_SECONDS, 0, "program of 4 GiB: spare");
    size[1].replacement = bench_figure_add(c, BENCH_SECONDS, 0, "program of 1 GiB: new process");
    size[2].replacement = bench_figure_add(c, BENCH_SECONDS, 0, "program of 4 GiB: new process");

    struct setting s = { .c = c, .pool = bench_pool_apart(c) };
    s.box = s.pool != NULL ? skua_shared_alloc(s.pool, sizeof *s.box) : NULL;
    bool good = s.box != NULL;
    const int rounds = bench_campaign_count(c, 2, 5);
    for (int i = 0; good && i < rounds; i++) {
        bench_progress("recovery, round %d of %d", i + 1, rounds);
        good = sizes(&s, size, both) && heavy(&s, held);
    }
    /* "Unchanged": within 1.3 of what it is for a small program, in this run. */
    for (int i = 1; i < NR_SIZES; i++) {
        size[i].spare->goal = 1.3 * bench_figure_median(size[0].spare);
        size[i].replacement->goal = 1.3 * bench_figure_median(size[0].replacement);
    }
    if (s.pool != NULL)
        skua_shared_free(s.pool, s.box);
    skua_close(s.pool);
    bench_pin_undo();
}
