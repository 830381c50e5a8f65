/* Guests: who works in a lent seat, who rests meanwhile, and who gives a seat back. */
#include <sched.h>
#include <stdlib.h>

#include "base/time.h"
#include "sched/sched.h"
#include "tests/support/harness.h"
#include "tests/support/latch.h"

enum {
    NR_THREADS = 4,
    NR_UNITS = 1000
};

/* For how long a test looks whether something happens that must not. */
#define A_MOMENT 0.02

static double long_enough(void)
{
    return 10 * skt_slow_factor();
}

static struct sk_sched *open_sched(int nr_workers)
{
    struct sk_sched *sched = NULL;
    assert_int_equal(sk_sched_start(&sched, &(struct sk_sched_config){ .nr_workers = nr_workers }),
                     0);
    return sched;
}

static void close_sched(struct sk_sched *sched)
{
    sk_sched_shutdown(sched);
    assert_true(sk_sched_wait(sched, sk_deadline_ns(long_enough())));
    sk_sched_close(sched);
}

/* In a search that began before the seat was lent a worker might still take a job; in its sleep it
 * does not. */
static void wait_until_asleep(struct sk_worker *worker)
{
    const double limit = skt_now() + long_enough();
    while ((sk_load_sc(&worker->sched->asleep[0]) >> worker->slot & 1) == 0 ||
           sk_load_sc(&worker->sched->searching) != 0) {
        assert_true(skt_now() < limit);
        sched_yield();
    }
}

/* ---- the seat's worker ----------------------------------------------------------------------- */

static struct skt_latch ran;

static void run_signal(struct sk_job *job)
{
    (void)job;
    skt_latch_raise(&ran);
}

static void refuse(struct sk_job *job, skua_status why)
{
    (void)job;
    (void)why;
    abort();
}

static const struct sk_job_class signal_class = { run_signal, refuse };

static void a_lent_seats_worker_takes_no_job_until_the_guest_leaves(void **state)
{
    struct sk_sched *sched = open_sched(skt_workers(state));
    skt_latch_init(&ran);
    for (int round = 1; round <= 3; round++) {
        struct sk_job job = { &signal_class, NULL };
        struct sk_guest guest;
        assert_true(sk_guest_enter(&guest, sched));
        assert_int_equal(sk_load_sc(&sched->workers[0]->lent), 1);
        wait_until_asleep(sched->workers[0]);
        assert_int_equal(sk_sched_submit(sched, &job, SK_LANE_NORMAL, false), 0);
        assert_false(skt_latch_wait_for(&ran, round, A_MOMENT));
        sk_guest_leave(&guest);
        assert_int_equal(sk_load_sc(&sched->workers[0]->lent), 0);
        assert_true(skt_latch_wait_for(&ran, round, long_enough()));
    }
    close_sched(sched);
    skt_latch_fini(&ran);
}

static void a_guest_that_waits_gives_its_seat_back(void **state)
{
    struct sk_sched *sched = open_sched(skt_workers(state));
    struct sk_job first = { &signal_class, NULL }, second = first;
    struct sk_guest guest;
    skt_latch_init(&ran);
    assert_true(sk_guest_enter(&guest, sched));
    wait_until_asleep(sched->workers[0]);
    assert_int_equal(sk_sched_submit(sched, &first, SK_LANE_NORMAL, false), 0);
    sk_worker_block_begin();
    assert_true(skt_latch_wait_for(&ran, 1, long_enough()));
    sk_worker_block_end();
    wait_until_asleep(sched->workers[0]);
    assert_int_equal(sk_sched_submit(sched, &second, SK_LANE_NORMAL, false), 0);
    assert_false(skt_latch_wait_for(&ran, 2, A_MOMENT));
    sk_guest_leave(&guest);
    assert_true(skt_latch_wait_for(&ran, 2, long_enough()));
    close_sched(sched);
    skt_latch_fini(&ran);
}

/* A unit that waits for a job, as a program's body may wait for a future. */
static bool wait_in_body(void *ctx, uint32_t first, uint32_t end)
{
    (void)first;
    (void)end;
    if (sk_worker_self() != NULL)
        return true;
    sk_worker_block_begin();
    const bool in_time = skt_latch_wait_for(&ran, 1, long_enough());
    sk_worker_block_end();
    *(bool *)ctx = in_time;
    return true;
}

static void a_body_may_wait_for_a_job_of_the_pool_it_works_in(void **state)
{
    struct sk_sched *sched = open_sched(skt_workers(state));
    struct sk_job job = { &signal_class, NULL };
    bool in_time = false;
    struct sk_guest guest;
    skt_latch_init(&ran);
    assert_true(sk_guest_enter(&guest, sched));
    wait_until_asleep(sched->workers[guest.seat]);
    assert_int_equal(sk_sched_submit(sched, &job, SK_LANE_LOW, false), 0);
    const struct sk_region_work work = { wait_in_body, &in_time, 1, SK_REGION_UNITS };
    assert_true(sk_region_run(sched, &work));
    sk_guest_leave(&guest);
    assert_true(in_time);
    close_sched(sched);
    skt_latch_fini(&ran);
}

/* ---- many guests ----------------------------------------------------------------------------- */

struct looper {
    struct sk_sched *sched;
    SK_ATOMIC(int) done[NR_UNITS];
    int nr_wrong;
};

static struct looper loopers[NR_THREADS];

static bool count_unit(void *ctx, uint32_t first, uint32_t end)
{
    struct looper *me = ctx;
    for (uint32_t i = first; i < end; i++)
        sk_add_rlx(&me->done[i], 1);
    return sk_worker_number() >= 0;
}

static void *loop_on(void *arg)
{
    struct looper *me = arg;
    static const enum sk_region_mode modes[] = { SK_REGION_PACED, SK_REGION_UNITS,
                                                 SK_REGION_BLOCKS };
    for (int round = 1; round <= skt_rounds(100); round++) {
        const struct sk_region_work work = { count_unit, me, NR_UNITS, modes[round % 3] };
        me->nr_wrong += !sk_region_run(me->sched, &work);
        for (int i = 0; i < NR_UNITS; i++)
            me->nr_wrong += sk_load_rlx(&me->done[i]) != round;
    }
    return NULL;
}

static void several_threads_loop_at_once(void **state)
{
    struct sk_sched *sched = open_sched(skt_workers(state));
    pthread_t threads[NR_THREADS];
    for (int t = 0; t < NR_THREADS; t++) {
        loopers[t] = (struct looper){ .sched = sched };
        threads[t] = skt_thread(loop_on, &loopers[t]);
    }
    for (int t = 0; t < NR_THREADS; t++) {
        skt_join(threads[t]);
        assert_int_equal(loopers[t].nr_wrong, 0);
    }
    for (int i = 0; i < skt_workers(state); i++)
        assert_int_equal(sk_load_sc(&sched->workers[i]->lent), 0);
    close_sched(sched);
}

static void a_guest_too_many_works_alone(void **state)
{
    struct sk_sched *sched = open_sched(skt_workers(state));
    static struct sk_guest guests[SK_SCHED_GUESTS + 1];
    loopers[0] = (struct looper){ .sched = sched };
    for (int i = 0; i <= SK_SCHED_GUESTS; i++)
        assert_true(sk_guest_enter(&guests[i], sched));
    assert_non_null(guests[SK_SCHED_GUESTS - 1].slot);
    assert_null(guests[SK_SCHED_GUESTS].slot);
    const struct sk_region_work work = { count_unit, &loopers[0], NR_UNITS, SK_REGION_PACED };
    assert_true(sk_region_run(sched, &work));
    for (int i = SK_SCHED_GUESTS; i >= 0; i--)
        sk_guest_leave(&guests[i]);
    for (int i = 0; i < NR_UNITS; i++)
        assert_int_equal(sk_load_rlx(&loopers[0].done[i]), 1);
    assert_null(sk_guest_self(sched));
    close_sched(sched);
}

/* ---- who am I -------------------------------------------------------------------------------- */

static void a_guest_has_the_number_of_its_seat(void **state)
{
    struct sk_sched *outer = open_sched(skt_workers(state)), *inner = open_sched(1);
    struct sk_guest a, b;
    assert_int_equal(sk_worker_number(), -1);
    assert_null(sk_worker_sched());
    assert_true(sk_guest_enter(&a, outer));
    assert_int_equal(sk_worker_number(), a.seat);
    assert_ptr_equal(sk_worker_sched(), outer);
    assert_true(sk_guest_enter(&b, inner));
    assert_int_equal(sk_worker_number(), 0);
    assert_ptr_equal(sk_worker_sched(), inner);
    assert_ptr_equal(sk_guest_self(outer), &a);
    assert_false(sk_worker_is_of(inner));
    sk_guest_leave(&b);
    assert_ptr_equal(sk_worker_sched(), outer);
    sk_guest_leave(&a);
    assert_int_equal(sk_worker_number(), -1);
    close_sched(inner);
    close_sched(outer);
}

static void a_shutdown_waits_for_guests_and_lets_no_more_in(void **state)
{
    struct sk_sched *sched = open_sched(skt_workers(state));
    struct sk_guest guest, late;
    assert_true(sk_guest_enter(&guest, sched));
    sk_sched_shutdown(sched);
    assert_false(sk_guest_enter(&late, sched));
    sk_worker_block_begin(); /* its loop has not ended */
    assert_false(sk_sched_wait(sched, sk_deadline_ns(A_MOMENT)));
    sk_worker_block_end();
    assert_false(sk_sched_wait(sched, sk_deadline_ns(A_MOMENT)));
    sk_guest_leave(&guest);
    close_sched(sched);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_AT(a_lent_seats_worker_takes_no_job_until_the_guest_leaves, 1),
        SKT_AT(a_guest_that_waits_gives_its_seat_back, 1),
        SKT_EACH(a_body_may_wait_for_a_job_of_the_pool_it_works_in),
        SKT_EACH(several_threads_loop_at_once),
        SKT_EACH(a_guest_too_many_works_alone),
        SKT_EACH(a_guest_has_the_number_of_its_seat),
        SKT_EACH(a_shutdown_waits_for_guests_and_lets_no_more_in),
    };
    return skt_main(argc, argv, "guest", tests, SKT_COUNT(tests));
}
