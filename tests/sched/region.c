/* Regions: each unit is done once, by any mix of callers, and no loop waits for a worker that waits
 * for it. */
#include "sched/region.h"

#include "sched/sched.h"
#include "tests/support/harness.h"
#include "tests/support/latch.h"

enum {
    MAX_UNITS = 100000
};

static const enum sk_region_mode modes[] = { SK_REGION_PACED, SK_REGION_UNITS, SK_REGION_BLOCKS };

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
    assert_true(sk_sched_wait(sched, sk_deadline_ns(10 * skt_slow_factor())));
    sk_sched_close(sched);
}

/* ---- each unit once -------------------------------------------------------------------------- */

static SK_ATOMIC(uint8_t) done[MAX_UNITS];

static bool count_units(void *ctx, uint32_t first, uint32_t end)
{
    (void)ctx;
    for (uint32_t i = first; i < end; i++)
        sk_add_rlx(&done[i], 1);
    return true;
}

static void each_unit_is_done_once(void **state)
{
    struct sk_sched *sched = open_sched(skt_workers(state));
    const uint32_t sizes[] = { 0, 1, 2, 7, 8, 9, 1000, MAX_UNITS };
    for (size_t m = 0; m < SKT_COUNT(modes); m++) {
        for (size_t s = 0; s < SKT_COUNT(sizes); s++) {
            for (size_t i = 0; i < MAX_UNITS; i++)
                sk_store_rlx(&done[i], 0);
            const struct sk_region_work work = { count_units, NULL, sizes[s], modes[m] };
            assert_true(sk_region_run(sched, &work));
            for (size_t i = 0; i < MAX_UNITS; i++) {
                if (sk_load_rlx(&done[i]) != (i < sizes[s]))
                    fail_msg("mode %d: unit %zu of %u done %d times", (int)modes[m], i, sizes[s],
                             (int)sk_load_rlx(&done[i]));
            }
        }
    }
    close_sched(sched);
}

static bool stop_at_once(void *ctx, uint32_t first, uint32_t end)
{
    (void)first;
    (void)end;
    sk_add_rlx((SK_ATOMIC(int) *)ctx, 1);
    return false;
}

static void a_stop_begins_at_most_one_piece_a_worker(void **state)
{
    struct sk_sched *sched = open_sched(skt_workers(state));
    for (size_t m = 0; m < SKT_COUNT(modes); m++) {
        SK_ATOMIC(int) nr_pieces;
        sk_init(&nr_pieces, 0);
        const struct sk_region_work work = { stop_at_once, &nr_pieces, MAX_UNITS, modes[m] };
        assert_true(sk_region_run(sched, &work));
        assert_in_range(sk_load_rlx(&nr_pieces), 1, skt_workers(state));
    }
    close_sched(sched);
}

/* ---- no circle ------------------------------------------------------------------------------- */

static struct {
    struct sk_sched *sched;
    struct skt_latch held, go, in;
} circle;

static void hold(struct sk_job *job)
{
    (void)job;
    skt_latch_raise(&circle.held);
    skt_latch_wait(&circle.go, 1);
}

static void forget(struct sk_job *job, skua_status why)
{
    (void)job;
    (void)why;
}

static const struct sk_job_class hold_class = { hold, forget };

static bool is_resting(const struct sk_worker *worker)
{
    return (sk_load_sc(&worker->sched->asleep[0]) >> worker->slot & 1) != 0 &&
           sk_load_sc(&worker->sched->searching) == 0;
}

/* The guest's unit lets the two workers go, who then roam in and do the others. All three are in
 * before one goes on. */
static bool loop_inside(void *ctx, uint32_t first, uint32_t end)
{
    (void)first;
    (void)end;
    if (sk_worker_self() == NULL)
        skt_latch_raise(&circle.go);
    skt_latch_raise(&circle.in);
    skt_latch_wait(&circle.in, 3);
    const struct sk_region_work inner = { count_units, ctx, 3, SK_REGION_BLOCKS };
    return sk_worker_self() == NULL || sk_region_run(circle.sched, &inner);
}

static void static_loops_inside_units_of_roamers_do_not_wait_for_each_other(void **state)
{
    struct sk_guest guest;
    struct sk_job jobs[2] = { { &hold_class, NULL }, { &hold_class, NULL } };
    circle.sched = open_sched(skt_workers(state));
    skt_latch_init(&circle.held);
    skt_latch_init(&circle.go);
    skt_latch_init(&circle.in);
    for (int i = 0; i < 3; i++)
        sk_store_rlx(&done[i], 0);
    assert_true(sk_guest_enter(&guest, circle.sched));
    const double limit = skt_now() + 10 * skt_slow_factor();
    while (!is_resting(circle.sched->workers[guest.seat]))
        assert_true(skt_now() < limit);
    for (int i = 0; i < 2; i++)
        assert_int_equal(sk_sched_submit(circle.sched, &jobs[i], SK_LANE_NORMAL, false), 0);
    assert_true(skt_latch_wait_for(&circle.held, 2, 10 * skt_slow_factor()));
    const struct sk_region_work work = { loop_inside, NULL, 3, SK_REGION_UNITS };
    assert_true(sk_region_run(circle.sched, &work));
    for (int i = 0; i < 3; i++)
        assert_int_equal(sk_load_rlx(&done[i]), 2);
    sk_guest_leave(&guest);
    close_sched(circle.sched);
    skt_latch_fini(&circle.held);
    skt_latch_fini(&circle.go);
    skt_latch_fini(&circle.in);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(each_unit_is_done_once),
        SKT_EACH(a_stop_begins_at_most_one_piece_a_worker),
        SKT_AT(static_loops_inside_units_of_roamers_do_not_wait_for_each_other, 3),
    };
    return skt_main(argc, argv, "region", tests, SKT_COUNT(tests));
}
