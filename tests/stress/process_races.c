/* Races over worker processes: a task that is cancelled as it begins, workers that are killed from
 * outside at any moment, and workers that write noise over all that they have in common with the
 * parent. What a task did is counted in shared memory, and has to agree with what its future says.
 * */
#define _GNU_SOURCE
#include "tests/support/harness.h"

#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/support/gate.h"
#include "tests/support/process.h"

/* ---- cancel against start -------------------------------------------------------------------- */

static void cancel_is_true_exactly_when_the_task_never_runs(void **state)
{
    skua_executor *ex = skt_processes(state);
    const int rounds = skt_rounds(10000);
    SK_ATOMIC(int) *runs = skt_counters(ex, (size_t)rounds);
    uint32_t seed = 7;
    int nr_cancelled = 0;
    for (int i = 0; i < rounds; i++) {
        skua_future *f = skua_submit(ex, skt_count, &runs[i]);
        for (uint32_t spin = skt_random(&seed) % 3000; spin > 0 && !skua_done(f); spin--)
            continue;
        const bool cancelled = skua_cancel(f);
        nr_cancelled += cancelled;
        const skua_status status = skua_result(f, NULL, 0, SKUA_FOREVER);
        assert_string_equal(skua_strstatus(status), cancelled ? "SKUA_CANCELLED" : "SKUA_OK");
        assert_int_equal(skua_cancelled(f), cancelled);
        skua_release(f);
        if (!cancelled)
            assert_int_equal(sk_load_acq(&runs[i]), 1);
    }
    assert_status(skua_shutdown(ex, SKUA_WAIT, SKUA_FOREVER), SKUA_OK);
    int nr_run = 0;
    for (int i = 0; i < rounds; i++)
        nr_run += sk_load_acq(&runs[i]);
    assert_int_equal(nr_run, rounds - nr_cancelled);
    print_message("%d of %d cancelled\n", nr_cancelled, rounds);
    skua_close(ex);
}

/* With many behind each other, most of which are with a worker already. */
static void cancelling_in_the_midst_of_a_stream_is_exact(void **state)
{
    enum {
        WINDOW = 64
    };
    skua_executor *ex = skt_processes(state);
    const int n = skt_rounds(50000);
    SK_ATOMIC(int) *runs = skt_counters(ex, (size_t)n);
    skua_future *fs[WINDOW] = { NULL };
    bool cancelled[WINDOW] = { false };
    uint32_t seed = 3;
    int nr_cancelled = 0, nr_wrong = 0;
    for (int i = 0; i < n + WINDOW; i++) {
        const int slot = i % WINDOW;
        if (i >= WINDOW) {
            const skua_status status = skua_result(fs[slot], NULL, 0, SKUA_FOREVER);
            nr_wrong += status != (cancelled[slot] ? SKUA_CANCELLED : SKUA_OK);
            nr_wrong += !cancelled[slot] && sk_load_acq(&runs[i - WINDOW]) != 1;
            skua_release(fs[slot]);
        }
        cancelled[slot] = false;
        fs[slot] = i < n ? skua_submit(ex, skt_count, &runs[i]) : NULL;
        const int other = (int)(skt_random(&seed) % WINDOW);
        if (skt_random(&seed) % 4 == 0 && fs[other] != NULL && !cancelled[other])
            nr_cancelled += cancelled[other] = skua_cancel(fs[other]);
    }
    assert_int_equal(nr_wrong, 0);
    assert_status(skua_shutdown(ex, SKUA_WAIT, SKUA_FOREVER), SKUA_OK);
    int nr_run = 0;
    for (int i = 0; i < n; i++)
        nr_run += sk_load_acq(&runs[i]);
    assert_int_equal(nr_run, n - nr_cancelled);
    print_message("%d of %d cancelled\n", nr_cancelled, n);
    skua_close(ex);
}

/* ---- killed from outside --------------------------------------------------------------------- */

struct killer {
    pid_t zygote;
    SK_ATOMIC(int) over;
    int nr_killed;
};

/* A pidfd, and then another look, so that nobody else is hit whose number is the same. */
static bool kill_child_of(pid_t zygote, pid_t pid)
{
    const int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0)
        return false;
    const bool killed =
        skt_parent_of(pid) == zygote && syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0) == 0;
    close(fd);
    return killed;
}

static void *kill_at_random(void *arg)
{
    struct killer *k = arg;
    uint32_t seed = 99;
    while (sk_load_acq(&k->over) == 0) {
        struct skt_family family;
        skt_family_look(&family);
        const pid_t pid = family.nr > 0 ? family.pids[skt_random(&seed) % (uint32_t)family.nr] : 0;
        if (pid != 0 && pid != k->zygote)
            k->nr_killed += kill_child_of(k->zygote, pid);
        /* Not so fast that no task ends between five deaths of idle ones, which breaks a pool. */
        const double pause = skt_random(&seed) % 3000 * 1e-6 * skt_slow_factor();
        skt_pause(pause); /* not synchronisation: at any moment */
    }
    return NULL;
}

struct item {
    SK_ATOMIC(int) * runs;
    int i;
};

static int count_and_work(void *arg, void *result)
{
    const struct item *item = arg;
    sk_add_acq_rel(&item->runs[item->i], 1);
    for (volatile int n = 0; n < item->i % 4000 * 20; n++)
        continue;
    *(int *)result = item->i ^ 0x5555;
    return 0;
}

/* 0 if what the future says agrees with how often its task was run. */
static int judge(skua_future *f, const struct item *item, int most_runs, int *nr_crashed)
{
    int value = -1;
    const int i = item->i;
    const skua_status status = skua_result(f, &value, sizeof value, SKUA_FOREVER);
    const int runs = sk_load_acq(&item->runs[i]);
    const skua_error *e = skua_exception(f, 0);
    bool right;
    if (status == SKUA_OK) {
        right = value == (i ^ 0x5555) && runs >= 1 && runs <= most_runs;
    } else {
        ++*nr_crashed;
        right = status == SKUA_CRASHED && e->fault == SKUA_FAULT_KILLED && e->signal == SIGKILL &&
                runs <= most_runs;
    }
    if (!right)
        print_error("task %d: %s, run %d times: %s\n", i, skua_strstatus(status), runs,
                    e != NULL ? e->message : "");
    return !right;
}

static void run_under_fire(void **state, unsigned retries)
{
    enum {
        WINDOW = 200
    };
    skua_executor *ex =
        skt_processes_with(&(skua_options){ .workers = skt_workers(state), .retries = retries });
    assert_true(skt_family_becomes(skt_workers(state) + SKT_AROUND));
    const int n = 20000, before = skt_nr_descriptors();
    SK_ATOMIC(int) *runs = skt_counters(ex, (size_t)n);
    struct killer killer = { .zygote = skt_parent_of(skt_ask(ex, skt_tell_pid)) };
    skua_future *fs[WINDOW];
    int nr_wrong = 0, nr_crashed = 0;
    const pthread_t thread = skt_thread(kill_at_random, &killer);
    const double start = skt_now(), end = start + 20;
    int nr = 0;
    for (int i = 0; i < n + WINDOW; i++) {
        if (i >= WINDOW && i - WINDOW < nr)
            nr_wrong += judge(fs[i % WINDOW], &(struct item){ runs, i - WINDOW }, (int)retries + 1,
                              &nr_crashed);
        if (i >= WINDOW && i - WINDOW < nr)
            skua_release(fs[i % WINDOW]);
        struct item item = { runs, i };
        if (i < n && i == nr && skt_now() < end) {
            nr++;
            fs[i % WINDOW] = skua_submit_task(ex, &(skua_task){ .fn = count_and_work,
                                                                .arg = &item,
                                                                .arg_size = sizeof item,
                                                                .result_size = sizeof(int) });
        }
    }
    sk_store_rel(&killer.over, 1);
    skt_join(thread);
    print_message("%d workers killed in %.1f s, %d of %d tasks lost\n", killer.nr_killed,
                  skt_now() - start, nr_crashed, nr);
    assert_int_equal(nr_wrong, 0);
    assert_true(nr_crashed <= killer.nr_killed);
    assert_true(skt_meet(ex));
    assert_true(skt_family_becomes(skt_workers(state) + SKT_AROUND));
    assert_true(skt_descriptors_become(before));
    skua_close(ex);
    assert_true(skt_family_becomes(0));
}

static void workers_may_be_killed_at_any_moment(void **state)
{
    run_under_fire(state, 0);
}

static void with_retries_too(void **state)
{
    run_under_fire(state, 3);
}

/* ---- a wild writer --------------------------------------------------------------------------- */

/* Random bytes over every channel that it can write to, until it is killed. */
static int scribble_for_ever(void *arg, void *result)
{
    static struct skt_mapping mappings[16];
    static struct skt_maps maps;
    uint32_t seed = *(uint32_t *)arg;
    size_t n = 0;
    (void)result;
    if (!skt_maps_open(&maps, 0))
        return skua_fail(1, "no maps");
    while (n < SKT_COUNT(mappings) && skt_maps_next_channel(&maps, &mappings[n]))
        n += mappings[n].writable;
    skt_maps_close(&maps);
    if (n == 0)
        return skua_fail(2, "no channel");
    for (;;)
        for (size_t i = 0; i < n; i++)
            for (volatile uint32_t *p = (void *)mappings[i].begin; (uintptr_t)p < mappings[i].end;
                 p++)
                *p = skt_random(&seed);
}

/* The writer expires or is found out; the tasks beside it are right all the time. One that waits on
 * the writer's own channel may be said by the noise to have begun there, and is lost with it. */
static void a_wild_writer_harms_itself_alone(void **state)
{
    struct skt_std s;
    skt_std_open(&s, skt_workers(state));
    skt_std_drop(&s);
    const double end = skt_now() + (skt_slow_factor() > 1 ? 1 : 3);
    uint32_t seed = 12345;
    int nr_writers = 0, nr_beside = 0, nr_blamed = 0, nr_wrong = 0;
    while (skt_now() < end) {
        seed += 77;
        skua_future *writer = skua_submit_task(s.ex, &(skua_task){ .fn = scribble_for_ever,
                                                                   .arg = &seed,
                                                                   .arg_size = sizeof seed,
                                                                   .time_limit = 0.5 });
        while (!skua_done(writer)) {
            int x = nr_beside % 1000, value = -1;
            skua_future *f = skua_submit_task(s.ex, &(skua_task){ .fn = skt_square,
                                                                  .arg = &x,
                                                                  .arg_size = sizeof x,
                                                                  .result_size = sizeof x,
                                                                  .time_limit = 10 });
            const skua_status status = skua_result(f, &value, sizeof value, SKUA_FOREVER);
            if (status != SKUA_OK && skua_exception(f, 0)->fault == SKUA_FAULT_PROTOCOL)
                nr_blamed++;
            else if ((status != SKUA_OK || value != x * x) && nr_wrong++ < 5)
                print_error("beside: %s, %d of %d: %s\n", skua_strstatus(status), value, x * x,
                            status != SKUA_OK ? skua_exception(f, 0)->message : "");
            nr_beside++;
            skua_release(f);
        }
        const skua_error *e = skua_exception(writer, 0);
        if (e != NULL && e->status == SKUA_FAILED)
            nr_wrong += strncmp(e->message, "no ", 3) == 0;
        if (nr_writers++ < 5)
            print_message("%s\n", e != NULL ? e->message : "a result");
        skua_release(writer);
    }
    print_message("%d writers, %d tasks beside, %d lost with a writer\n", nr_writers, nr_beside,
                  nr_blamed);
    assert_true(nr_blamed <= 1 + nr_writers / 10);
    assert_int_equal(nr_wrong, 0);
    skt_std_close(&s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(cancel_is_true_exactly_when_the_task_never_runs),
        SKT_AT(cancelling_in_the_midst_of_a_stream_is_exact, 1),
        SKT_AT(cancelling_in_the_midst_of_a_stream_is_exact, 2),
        SKT_AT(workers_may_be_killed_at_any_moment, 1),
        SKT_AT(workers_may_be_killed_at_any_moment, 2),
        SKT_AT(with_retries_too, 2),
        SKT_AT(a_wild_writer_harms_itself_alone, 2),
    };
    return skt_main(argc, argv, "process_races", tests, SKT_COUNT(tests));
}
