/* Races of the interface: who cancels, runs, waits and releases, in every order; shutdown at any
 * moment; submitters, loops and cancellers at once. A stall is found by the watchdog. */
#define _GNU_SOURCE
#include "tests/support/harness.h"

#include <sched.h>
#include <stdlib.h>

#include "tests/support/gate.h"

#define BATCH 1000

/* One batch of futures that three threads walk through at once, each with references of its own. */
struct batch {
    skua_executor *ex;
    int nr_batches;
    pthread_barrier_t barrier;
    skua_future *fs[BATCH];
    SK_ATOMIC(int) runs[BATCH];
    SK_ATOMIC(int) calls[BATCH];
    bool cancelled[BATCH];
    skua_status status[BATCH];
    int nr_cancelled;
    int wrong;
};

static void count_callback(skua_future *f, void *ctx)
{
    (void)f;
    skt_count(ctx, NULL);
}

static void spin(uint32_t n)
{
    for (volatile uint32_t i = 0; i < n; i++)
        continue;
}

static void *cancel_all(void *arg)
{
    struct batch *b = arg;
    uint32_t seed = 11;
    for (int n = 0; n < b->nr_batches; n++) {
        pthread_barrier_wait(&b->barrier);
        for (int i = 0; i < BATCH; i++) {
            spin(skt_random(&seed) % 200);
            b->cancelled[i] = skua_cancel(b->fs[i]);
            skua_release(b->fs[i]);
        }
        pthread_barrier_wait(&b->barrier);
    }
    return NULL;
}

static void *wait_for_all(void *arg)
{
    struct batch *b = arg;
    for (int n = 0; n < b->nr_batches; n++) {
        pthread_barrier_wait(&b->barrier);
        for (int i = 0; i < BATCH; i++) {
            b->status[i] = skua_result(b->fs[i], NULL, 0, SKUA_FOREVER);
            skua_release(b->fs[i]);
        }
        pthread_barrier_wait(&b->barrier);
    }
    return NULL;
}

static void submit_batch(struct batch *b)
{
    for (int i = 0; i < BATCH; i++) {
        sk_store_rel(&b->runs[i], 0);
        sk_store_rel(&b->calls[i], 0);
        b->fs[i] = skua_submit(b->ex, skt_count, &b->runs[i]);
        skua_retain(b->fs[i]);
        skua_retain(b->fs[i]);
    }
}

static void release_batch(struct batch *b)
{
    for (int i = 0; i < BATCH; i++) {
        if (i % 2 == 0)
            skua_add_done_callback(b->fs[i], count_callback, &b->calls[i]);
        skua_release(b->fs[i]);
    }
}

static void check_batch(struct batch *b)
{
    for (int i = 0; i < BATCH; i++) {
        const int runs = sk_load_acq(&b->runs[i]);
        const bool right = b->cancelled[i] ? runs == 0 && b->status[i] == SKUA_CANCELLED
                                           : runs == 1 && b->status[i] == SKUA_OK;
        b->wrong += !right;
        b->nr_cancelled += b->cancelled[i];
        /* The last callback may still be on its way in a worker. */
        while (i % 2 == 0 && sk_load_acq(&b->calls[i]) == 0)
            sched_yield();
        b->wrong += sk_load_acq(&b->calls[i]) != (i % 2 == 0);
    }
}

static void cancel_run_wait_and_release_have_one_winner(void **state)
{
    struct batch *b = calloc(1, sizeof *b);
    assert_non_null(b);
    b->ex = skt_pool(state);
    b->nr_batches = skt_rounds(1000);
    pthread_barrier_init(&b->barrier, NULL, 3);
    const pthread_t canceller = skt_thread(cancel_all, b);
    const pthread_t waiter = skt_thread(wait_for_all, b);
    for (int n = 0; n < b->nr_batches; n++) {
        submit_batch(b);
        pthread_barrier_wait(&b->barrier);
        release_batch(b);
        pthread_barrier_wait(&b->barrier);
        check_batch(b);
    }
    skt_join(canceller);
    skt_join(waiter);
    print_message("%d of %d cancelled\n", b->nr_cancelled, b->nr_batches * BATCH);
    assert_int_equal(b->wrong, 0);
    pthread_barrier_destroy(&b->barrier);
    skua_close(b->ex);
    free(b);
}

struct doomed {
    skua_executor *ex;
    SK_ATOMIC(int) runs;
    SK_ATOMIC(bool) over;
    int nr_accepted, nr_cancelled, nr_refused, nr_wrong;
};

static void *submit_until_refused(void *arg)
{
    struct doomed *d = arg;
    skua_status status = SKUA_OK;
    while (status != SKUA_SHUTDOWN) {
        skua_future *f = skua_submit(d->ex, skt_count, &d->runs);
        status = skua_result(f, NULL, 0, SKUA_FOREVER);
        d->nr_accepted += status == SKUA_OK;
        d->nr_cancelled += status == SKUA_CANCELLED;
        d->nr_refused += status == SKUA_SHUTDOWN;
        d->nr_wrong += status != SKUA_OK && status != SKUA_CANCELLED && status != SKUA_SHUTDOWN;
        skua_release(f);
    }
    return NULL;
}

static void shutdown_at_any_moment_loses_nothing(void **state)
{
    uint32_t seed = 5;
    int rounds = 0;
    for (const double end = skt_now() + 2; skt_now() < end; rounds++) {
        struct doomed d = { .ex = skt_pool(state) };
        const pthread_t thread = skt_thread(submit_until_refused, &d);
        spin(skt_random(&seed) % 50000);
        const int flags = (int)(skt_random(&seed) % 8);
        const skua_status status = skua_shutdown(d.ex, flags, SKUA_FOREVER);
        assert_status(status, SKUA_OK);
        skt_join(thread);
        skua_close(d.ex);
        assert_int_equal(d.nr_wrong, 0);
        assert_int_equal(d.nr_refused, 1);
        assert_int_equal(sk_load_acq(&d.runs), d.nr_accepted);
    }
    print_message("%d shutdowns\n", rounds);
}

static void closing_at_once_loses_nothing(void **state)
{
    uint32_t seed = 9;
    for (const double end = skt_now() + 1; skt_now() < end;) {
        SK_ATOMIC(int) runs;
        sk_init(&runs, 0);
        skua_executor *ex = skt_pool(state);
        const int n = (int)(skt_random(&seed) % 10);
        for (int k = 0; k < n; k++)
            skua_release(skua_submit(ex, skt_count, &runs));
        skua_close(ex);
        assert_int_equal(sk_load_acq(&runs), n);
    }
}

/* A pool that is used by everybody at once for a while. */
struct market {
    skua_executor *ex;
    double end;
    SK_ATOMIC(int) ended;
    SK_ATOMIC(int) wrong;
};

static void *submit_for_a_while(void *arg)
{
    struct market *m = arg;
    while (skt_now() < m->end) {
        skua_future *fs[32];
        for (int i = 0; i < 32; i++)
            fs[i] = skt_submit_int(m->ex, skt_square, i);
        for (int i = 0; i < 32; i++) {
            int value = -1;
            skua_result(fs[i], &value, sizeof value, SKUA_FOREVER);
            sk_add_rlx(&m->wrong, value != i * i);
            skua_release(fs[i]);
        }
    }
    return NULL;
}

static int sum_piece(size_t begin, size_t end, void *ctx)
{
    size_t sum = 0;
    for (size_t i = begin; i < end; i++)
        sum += i;
    sk_add_rlx((SK_ATOMIC(size_t) *)ctx, sum);
    return 0;
}

static void *loop_for_a_while(void *arg)
{
    struct market *m = arg;
    for (size_t i = 0; skt_now() < m->end; i++) {
        SK_ATOMIC(size_t) sum;
        sk_init(&sum, 0);
        const skua_loop o = { .schedule = (skua_schedule)(i % 3), .grain = i % 5 };
        sk_add_rlx(&m->wrong, skua_for(m->ex, 0, 5000, sum_piece, &sum, &o) != SKUA_OK);
        sk_add_rlx(&m->wrong, sk_load_rlx(&sum) != 12497500);
    }
    return NULL;
}

static void *cancel_for_a_while(void *arg)
{
    struct market *m = arg;
    while (skt_now() < m->end) {
        SK_ATOMIC(int) runs;
        sk_init(&runs, 0);
        skua_future *f = skua_submit(m->ex, skt_count, &runs);
        const bool cancelled = skua_cancel(f);
        const skua_status status = skua_result(f, NULL, 0, SKUA_FOREVER);
        sk_add_rlx(&m->wrong, status != (cancelled ? SKUA_CANCELLED : SKUA_OK));
        sk_add_rlx(&m->wrong, sk_load_acq(&runs) != !cancelled);
        skua_release(f);
    }
    return NULL;
}

static void submitters_loops_and_cancellers_share_a_pool(void **state)
{
    struct market m = { .ex = skt_pool(state), .end = skt_now() + 1 };
    void *(*const roles[])(void *) = { submit_for_a_while, submit_for_a_while, submit_for_a_while,
                                       loop_for_a_while,   loop_for_a_while,   cancel_for_a_while };
    pthread_t threads[SKT_COUNT(roles)];
    for (size_t i = 0; i < SKT_COUNT(roles); i++)
        threads[i] = skt_thread(roles[i], &m);
    for (size_t i = 0; i < SKT_COUNT(roles); i++)
        skt_join(threads[i]);
    assert_int_equal(sk_load_rlx(&m.wrong), 0);
    skua_close(m.ex);
}

static void no_wake_up_is_lost_between_idle_gaps(void **state)
{
    skua_executor *ex = skt_pool(state);
    uint32_t seed = 3;
    double worst = 0;
    const double end = skt_now() + 1.5;
    int rounds = 0;
    for (; skt_now() < end; rounds++) {
        const uint32_t gap = skt_random(&seed) % 400;
        if (gap < 200)
            skt_pause(gap * 1e-6); /* not synchronisation: the workers go to sleep meanwhile */
        else
            spin((gap - 200) * 100);
        const double start = skt_now();
        skua_future *f = skua_submit(ex, skt_nothing, NULL);
        assert_status(skua_result(f, NULL, 0, 1.0 * skt_slow_factor()), SKUA_OK);
        skua_release(f);
        if (rounds % 4 == 0) {
            SK_ATOMIC(size_t) sum;
            sk_init(&sum, 0);
            assert_status(skua_for(ex, 0, 16, sum_piece, &sum, &(skua_loop){ .grain = 1 }),
                          SKUA_OK);
            assert_int_equal(sk_load_rlx(&sum), 120);
        }
        const double took = skt_now() - start;
        worst = took > worst ? took : worst;
    }
    print_message("%d rounds, the longest %.1f ms\n", rounds, worst * 1e3);
    skua_close(ex);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(cancel_run_wait_and_release_have_one_winner),
        SKT_EACH(shutdown_at_any_moment_loses_nothing),
        SKT_AT(closing_at_once_loses_nothing, 2),
        SKT_EACH(submitters_loops_and_cancellers_share_a_pool),
        SKT_EACH(no_wake_up_is_lost_between_idle_gaps),
    };
    return skt_main(argc, argv, "api_races", tests, SKT_COUNT(tests));
}
