/* 10,000 crashes of six kinds among 50,000 tasks: none is lost, doubled or mislabelled, and neither
 * descriptors nor memory nor zombies pile up. Each task counts its runs in shared memory, and a
 * good one's result is made from its number. */
#define _GNU_SOURCE
#include "tests/support/harness.h"

#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/compiler.h"
#include "tests/support/process.h"

enum {
    WINDOW = 500, /* futures in flight */
    NR_KINDS = 6
};

struct item {
    SK_ATOMIC(int) * runs;
    int i;
};

/* Every fifth task crashes, in one of six ways; -1: it does not. */
static int kind_of(int i)
{
    return i % 5 == 3 ? i / 5 % NR_KINDS : -1;
}

static int64_t value_of(int i)
{
    return (int64_t)i * 2654435761 + 12345;
}

static volatile int deepest = INT_MAX; /* compilers complain about what never ends */

SK_NOINLINE static int go_deeper(int depth)
{
    if (depth == deepest)
        return 0;
    volatile char frame[8192];
    frame[0] = (char)depth;
    const int below = go_deeper(depth + 1);
    return below + frame[0];
}

/* On aarch64 a division by zero gives 0. */
__attribute__((no_sanitize("undefined"))) static void divide_by_zero(void)
{
    volatile int zero = 0, one = 1;
    if (one / zero == 0)
        raise(SIGFPE);
}

static int work_or_crash(void *arg, void *result)
{
    const struct item *item = arg;
    sk_add_acq_rel(&item->runs[item->i], 1);
    *(int64_t *)result = value_of(item->i);
    switch (kind_of(item->i)) {
    case 0:
        return skt_crash(NULL, NULL);
    case 1:
        abort();
    case 2:
        _exit(7);
    case 3:
        kill(getpid(), SIGKILL);
        return skt_spin(NULL, NULL);
    case 4:
        return go_deeper(0);
    case 5:
        divide_by_zero();
        return 1;
    default:
        return 0;
    }
}

static const struct {
    skua_fault fault;
    int signal, code;
} expected[NR_KINDS] = {
    { SKUA_FAULT_NULL_DEREF, SIGSEGV, 0 },
    { SKUA_FAULT_SIGNAL, SIGABRT, 0 },
    { SKUA_FAULT_EXIT, 0, 7 },
    { SKUA_FAULT_KILLED, SIGKILL, 0 },
    { SKUA_FAULT_STACK_OVERFLOW, SIGSEGV, 0 },
    { SKUA_FAULT_SIGNAL, SIGFPE, 0 },
};

struct tally {
    int nr_good, nr_crashed, nr_lost, nr_mislabelled;
    int by_kind[NR_KINDS];
};

static void judge_crash(struct tally *t, int i, const skua_error *e)
{
    const int kind = kind_of(i);
    t->nr_crashed++;
    t->by_kind[kind]++;
    if (e->status == SKUA_CRASHED && e->fault == expected[kind].fault &&
        e->signal == expected[kind].signal && e->code == expected[kind].code)
        return;
    if (t->nr_mislabelled++ < 10)
        print_error("task %d, kind %d: %s\n", i, kind, e->message);
}

static void judge(struct tally *t, int i, skua_future *f)
{
    int64_t value = -1;
    const skua_error *e = skua_exception(f, SKUA_FOREVER);
    if (kind_of(i) >= 0 && e != NULL) {
        judge_crash(t, i, e);
    } else if (kind_of(i) < 0 && e == NULL && skua_result(f, &value, sizeof value, 0) == SKUA_OK &&
               value == value_of(i)) {
        t->nr_good++;
    } else if (t->nr_lost++ < 10) {
        print_error("task %d: %s\n", i, e != NULL ? e->message : "a wrong result");
    }
    skua_release(f);
}

static int nr_zombies(void)
{
    struct skt_family family;
    skt_family_look(&family);
    return family.nr_zombies;
}

static void none_is_lost_doubled_or_mislabelled(void **state)
{
    const int n = skt_rounds(50000), workers = skt_workers(state);
    skua_executor *ex = skt_processes(state);
    SK_ATOMIC(int) *runs = skt_counters(ex, (size_t)n);
    skua_future *fs[WINDOW];
    struct tally tally = { 0 };
    size_t early = 0;
    int most_zombies = 0;
    assert_true(skt_family_becomes(workers + SKT_AROUND));
    const int nr_descriptors = skt_nr_descriptors();
    const double start = skt_now();
    for (int i = 0; i < n + WINDOW; i++) {
        if (i >= WINDOW)
            judge(&tally, i - WINDOW, fs[i % WINDOW]);
        if (i == 5000 / skt_slow_factor() + WINDOW) /* 1,000 crashes have been seen */
            early = skt_private_bytes(getpid());
        if (i % 2000 == 1999) {
            const int zombies = nr_zombies();
            most_zombies = zombies > most_zombies ? zombies : most_zombies;
        }
        struct item item = { runs, i };
        if (i < n)
            fs[i % WINDOW] = skua_submit_task(ex, &(skua_task){ .fn = work_or_crash,
                                                                .arg = &item,
                                                                .arg_size = sizeof item,
                                                                .result_size = sizeof(int64_t) });
    }
    print_message("%d good and %d crashed in %.1f s; %zu KiB then, %zu KiB at the end; at most %d "
                  "zombies\n",
                  tally.nr_good, tally.nr_crashed, skt_now() - start, early >> 10,
                  skt_private_bytes(getpid()) >> 10, most_zombies);
    assert_int_equal(tally.nr_lost, 0);
    assert_int_equal(tally.nr_mislabelled, 0);
    assert_int_equal(tally.nr_good + tally.nr_crashed, n);
    assert_int_equal(tally.nr_crashed, n / 5);
    int nr_wrong = 0;
    for (int i = 0; i < n; i++)
        nr_wrong += sk_load_acq(&runs[i]) != 1;
    assert_int_equal(nr_wrong, 0);
    assert_true(most_zombies <= 2 * workers);
    if (!skt_has_asan() && !skt_has_tsan()) /* whose allocators keep what was freed */
        assert_true(skt_private_bytes(getpid()) < early + ((size_t)20 << 20));
    skua_stats stats;
    assert_status(skua_executor_stats(ex, &stats), SKUA_OK);
    assert_int_equal(stats.restarts, tally.nr_crashed);
    assert_true(skt_family_becomes(workers + SKT_AROUND));
    assert_true(skt_descriptors_become(nr_descriptors));
    assert_true(skt_meet(ex));
    skua_close(ex);
    assert_true(skt_family_becomes(0));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_AT(none_is_lost_doubled_or_mislabelled, 2),
    };
    return skt_main(argc, argv, "process_storm", tests, SKT_COUNT(tests));
}
