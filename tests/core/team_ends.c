/* Teams and the end of their pool: all or nothing, and no caller is left waiting. */
#include "tests/support/harness.h"

#include <string.h>

#include "tests/support/gate.h"

struct team {
    skua_executor *ex;
    struct skt_latch began; /* risen by who begins a team, before it does */
    struct skt_latch ended; /* and after it */
    SK_ATOMIC(int) bodies;
    skua_status status;
};

static void team_open(struct team *t, skua_executor *ex)
{
    *t = (struct team){ .ex = ex };
    skt_latch_init(&t->began);
    skt_latch_init(&t->ended);
}

static void team_fini(struct team *t)
{
    skt_latch_fini(&t->began);
    skt_latch_fini(&t->ended);
}

static int count_body(int rank, int members, void *ctx)
{
    struct team *t = ctx;
    (void)rank;
    (void)members;
    sk_add_acq_rel(&t->bodies, 1);
    return skua_team_barrier();
}

static int begin_team(void *arg, void *result)
{
    struct team *t = arg;
    (void)result;
    skt_latch_raise(&t->began);
    t->status = skua_team(t->ex, skua_workers(t->ex), count_body, t);
    skt_latch_raise(&t->ended);
    return 0;
}

static void *begin_team_outside(void *arg)
{
    begin_team(arg, NULL);
    return NULL;
}

static void after_shutdown_a_team_from_outside_is_refused(void **state)
{
    struct team t;
    team_open(&t, skt_pool(state));
    assert_status(skua_shutdown(t.ex, SKUA_WAIT, SKUA_FOREVER), SKUA_OK);
    assert_status(skua_team(t.ex, 1, count_body, &t), SKUA_SHUTDOWN);
    assert_non_null(strstr(skua_last_error()->message, "shut down"));
    assert_int_equal(sk_load_acq(&t.bodies), 0);
    skua_close(t.ex);
    team_fini(&t);
}

static int shut_down_and_begin(void *arg, void *result)
{
    struct team *t = arg;
    skua_shutdown(t->ex, 0, 0);
    return begin_team(t, result);
}

static void after_shutdown_a_running_task_may_still_begin_a_team(void **state)
{
    struct team t;
    team_open(&t, skt_pool(state));
    skua_future *f = skua_submit(t.ex, shut_down_and_begin, &t);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_OK);
    assert_status(t.status, SKUA_OK);
    assert_int_equal(sk_load_acq(&t.bodies), skt_workers(state));
    skua_release(f);
    skua_close(t.ex);
    team_fini(&t);
}

/* A team gathers, and lacks one worker, which is held at a gate. */
static void check_cancel(skua_executor *ex, int flags)
{
    struct team t;
    struct skt_gate gate;
    team_open(&t, ex);
    skt_gate_init(&gate);
    skt_gate_hold(&gate, ex, 1);
    const pthread_t thread = skt_thread(begin_team_outside, &t);
    skt_latch_wait(&t.began, 1);
    /* One that asks after a shutdown is refused, but may be just past that and in the queue after
     * it was emptied: then the next one finds it. */
    do {
        assert_status(skua_shutdown(ex, flags, 0), SKUA_OK);
    } while (!skt_latch_wait_for(&t.ended, 1, 0.01));
    skt_join(thread); /* while the worker is still held */
    if (t.status != SKUA_CANCELLED)
        assert_status(t.status, SKUA_SHUTDOWN);
    assert_int_equal(sk_load_acq(&t.bodies), 0);
    skt_gate_open(&gate);
    skua_close(ex);
    skt_gate_fini(&gate);
    team_fini(&t);
}

static void cancelled_while_it_gathers_no_member_begins(void **state)
{
    for (int i = 0; i < skt_rounds(10); i++) {
        check_cancel(skt_pool(state), SKUA_CANCEL_FUTURES);
        check_cancel(skt_pool(state), SKUA_CANCEL_FUTURES | SKUA_KILL);
    }
}

struct starter {
    struct team *team;
    struct skt_latch *here; /* of all starters */
    int n;
};

/* The members of the first team would keep later tasks from beginning: so all begin before. */
static int begin_team_together(void *arg, void *result)
{
    const struct starter *s = arg;
    skt_latch_raise(s->here);
    skt_latch_wait(s->here, s->n);
    return begin_team(s->team, result);
}

/* One worker is held; tasks on all others begin teams, of which one gathers. */
static void teams_in_tasks_are_called_off_by_cancel_too(void **state)
{
    struct team t[7];
    struct starter starters[7];
    struct skt_latch here;
    skua_future *fs[7];
    const int n = skt_workers(state) - 1;
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skt_latch_init(&here);
    skt_gate_hold(&gate, ex, 1);
    for (int i = 0; i < n; i++) {
        team_open(&t[i], ex);
        starters[i] = (struct starter){ &t[i], &here, n };
        fs[i] = skua_submit(ex, begin_team_together, &starters[i]);
    }
    skt_latch_wait(&here, n);
    /* A team that asks after a cancellation is found by the next one. */
    for (int i = 0; i < n; i++) {
        while (skua_result(fs[i], NULL, 0, 0.01) == SKUA_TIMEOUT)
            skua_shutdown(ex, SKUA_CANCEL_FUTURES, 0);
        assert_status(t[i].status, SKUA_CANCELLED);
        assert_int_equal(sk_load_acq(&t[i].bodies), 0);
        skua_release(fs[i]);
        team_fini(&t[i]);
    }
    skt_gate_open(&gate);
    skua_close(ex);
    skt_gate_fini(&gate);
    skt_latch_fini(&here);
}

/* ---- a pool that breaks ---------------------------------------------------------------------- */

struct start {
    struct skt_latch open;
    SK_ATOMIC(int) calls;
};

/* All succeed but the first, which waits until it may fail. */
static int init_worker(void *arg)
{
    struct start *s = arg;
    if (sk_add_acq_rel(&s->calls, 1) == 0) {
        skt_latch_wait(&s->open, 1);
        return 1;
    }
    return 0;
}

static void a_pool_that_breaks_while_a_team_gathers_ends_it(void **state)
{
    struct start s = { .calls = 0 };
    struct team t;
    skt_latch_init(&s.open);
    team_open(&t, skua_thread_pool(&(skua_options){
                      .workers = skt_workers(state), .init = init_worker, .init_arg = &s }));
    assert_non_null(t.ex);
    const pthread_t thread = skt_thread(begin_team_outside, &t);
    skt_latch_wait(&t.began, 1);
    skt_latch_raise(&s.open);
    skt_join(thread);
    /* The caller and the workers that are well may have gathered before it broke, all of them. */
    if (t.status == SKUA_OK) {
        assert_int_equal(sk_load_acq(&t.bodies), skt_workers(state));
    } else {
        assert_status(t.status, SKUA_BROKEN_THREAD_POOL);
        assert_int_equal(sk_load_acq(&t.bodies), 0);
        assert_status(skua_team(t.ex, 1, count_body, &t), SKUA_BROKEN_THREAD_POOL);
    }
    skua_close(t.ex);
    skt_latch_fini(&s.open);
    team_fini(&t);
}

/* ---- races ----------------------------------------------------------------------------------- */

struct racer {
    struct team team;
    int wrong;
};

static void *teams_until_shutdown(void *arg)
{
    struct racer *r = arg;
    struct team *t = &r->team;
    for (;;) {
        const int before = sk_load_acq(&t->bodies);
        begin_team(t, NULL);
        const int ran = sk_load_acq(&t->bodies) - before;
        if (t->status == SKUA_OK)
            r->wrong += ran != skua_workers(t->ex);
        else
            r->wrong += ran != 0 || (t->status != SKUA_SHUTDOWN && t->status != SKUA_CANCELLED);
        if (t->status != SKUA_OK)
            return NULL;
    }
}

static void a_shutdown_among_teams_leaves_none_half_begun(void **state)
{
    const int flags[] = { 0, SKUA_WAIT, SKUA_CANCEL_FUTURES, SKUA_WAIT | SKUA_KILL };
    for (int i = 0; i < skt_rounds(100); i++) {
        skua_executor *ex = skt_pool(state);
        struct racer racers[3] = { 0 };
        pthread_t threads[3];
        for (int k = 0; k < 3; k++) {
            team_open(&racers[k].team, ex);
            threads[k] = skt_thread(teams_until_shutdown, &racers[k]);
        }
        skt_latch_wait(&racers[i % 3].team.began, 1 + i % 4);
        assert_status(skua_shutdown(ex, flags[i % 4], SKUA_FOREVER), SKUA_OK);
        for (int k = 0; k < 3; k++) {
            skt_join(threads[k]);
            assert_int_equal(racers[k].wrong, 0);
            team_fini(&racers[k].team);
        }
        skua_close(ex);
    }
}

static int close_pool(int rank, int members, void *ctx)
{
    struct team *t = ctx;
    if (rank == members - 1)
        skua_close(t->ex);
    return 0;
}

static void a_member_may_close_its_own_pool(void **state)
{
    for (int i = 0; i < skt_rounds(50); i++) {
        struct team t;
        team_open(&t, skt_pool(state));
        assert_status(skua_team(t.ex, skt_workers(state), close_pool, &t), SKUA_OK);
        team_fini(&t);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(after_shutdown_a_team_from_outside_is_refused),
        SKT_EACH(after_shutdown_a_running_task_may_still_begin_a_team),
        SKT_AT(cancelled_while_it_gathers_no_member_begins, 2),
        SKT_AT(cancelled_while_it_gathers_no_member_begins, 8),
        SKT_AT(teams_in_tasks_are_called_off_by_cancel_too, 2),
        SKT_AT(teams_in_tasks_are_called_off_by_cancel_too, 8),
        SKT_AT(a_pool_that_breaks_while_a_team_gathers_ends_it, 2),
        SKT_AT(a_pool_that_breaks_while_a_team_gathers_ends_it, 8),
        SKT_EACH(a_shutdown_among_teams_leaves_none_half_begun),
        SKT_EACH(a_member_may_close_its_own_pool),
    };
    return skt_main(argc, argv, "team_ends", tests, SKT_COUNT(tests));
}
