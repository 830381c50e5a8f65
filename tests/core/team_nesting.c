/* Teams among other work: in tasks, loops and teams, and many at once. No core is counted on to be
 * free, and no team waits for ever. */
#include "tests/support/harness.h"

#include "tests/support/gate.h"

struct nest {
    skua_executor *ex;
    int depth; /* teams below this one */
    int rounds;
    SK_ATOMIC(int) bodies;
};

/* Meets the others, does the same one level below, and meets again. */
static int nested_body(int rank, int members, void *ctx)
{
    struct nest *n = ctx;
    (void)rank;
    sk_add_acq_rel(&n->bodies, 1);
    skua_status status = skua_team_barrier();
    for (int i = 0; i < n->rounds && n->depth > 0 && status == SKUA_OK; i++) {
        struct nest below = { n->ex, n->depth - 1, n->rounds, 0 };
        status = skua_team(n->ex, members, nested_body, &below);
        sk_add_acq_rel(&n->bodies, sk_load_acq(&below.bodies));
    }
    return status == SKUA_OK ? (int)skua_team_barrier() : (int)status;
}

static int nested_bodies(int members, int depth, int rounds)
{
    return members + (depth > 0 ? members * rounds * nested_bodies(members, depth - 1, rounds) : 0);
}

static void check_nest(skua_executor *ex, int members, int depth, int rounds)
{
    struct nest n = { ex, depth, rounds, 0 };
    assert_status(skua_team(ex, members, nested_body, &n), SKUA_OK);
    assert_int_equal(sk_load_acq(&n.bodies), nested_bodies(members, depth, rounds));
}

static void every_member_may_begin_a_team_of_its_own(void **state)
{
    skua_executor *ex = skt_pool(state);
    const int workers = skt_workers(state);
    check_nest(ex, workers, 1, skt_rounds(10));
    check_nest(ex, (workers + 1) / 2, 2, 1);
    check_nest(ex, workers < 3 ? workers : 3, 3, 1);
    skua_close(ex);
}

static int one_begins_a_team(int rank, int members, void *ctx)
{
    struct nest *n = ctx;
    for (int i = 0; i < n->rounds; i++) {
        if (rank == i % members) {
            struct nest below = { n->ex, 0, 1, 0 };
            const skua_status status = skua_team(n->ex, members, nested_body, &below);
            if (status != SKUA_OK)
                return status;
            sk_add_acq_rel(&n->bodies, sk_load_acq(&below.bodies));
        }
        if (skua_team_barrier() != SKUA_OK)
            return 1;
    }
    return 0;
}

static void a_member_may_begin_a_team_while_the_others_wait_at_the_barrier(void **state)
{
    const int members = skt_workers(state);
    struct nest n = { skt_pool(state), 0, skt_rounds(30), 0 };
    assert_status(skua_team(n.ex, members, one_begins_a_team, &n), SKUA_OK);
    assert_int_equal(sk_load_acq(&n.bodies), members * n.rounds);
    skua_close(n.ex);
}

/* ---- several callers ------------------------------------------------------------------------- */

static void *teams_in_a_row(void *arg)
{
    struct nest *n = arg;
    for (int i = 0; i < n->rounds; i++) {
        struct nest one = { n->ex, 0, 1, 0 };
        const int members = 1 + i % skua_workers(n->ex);
        const skua_status status = skua_team(n->ex, members, nested_body, &one);
        if (status != SKUA_OK || sk_load_acq(&one.bodies) != members)
            sk_add_acq_rel(&n->bodies, 1); /* of this one: the mistakes */
    }
    return NULL;
}

static void several_threads_run_teams_at_once(void **state)
{
    struct nest n = { skt_pool(state), 0, skt_rounds(200), 0 };
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        threads[i] = skt_thread(teams_in_a_row, &n);
    for (int i = 0; i < 4; i++)
        skt_join(threads[i]);
    assert_int_equal(sk_load_acq(&n.bodies), 0);
    skua_close(n.ex);
}

static int team_in_task(void *arg, void *result)
{
    (void)result;
    teams_in_a_row(arg);
    return 0;
}

static void all_workers_begin_teams_at_once(void **state)
{
    struct nest n = { skt_pool(state), 0, skt_rounds(20), 0 };
    skua_future *fs[24];
    const int tasks = 3 * skt_workers(state);
    for (int i = 0; i < tasks; i++)
        fs[i] = skua_submit(n.ex, team_in_task, &n);
    for (int i = 0; i < tasks; i++) {
        assert_status(skua_result(fs[i], NULL, 0, SKUA_FOREVER), SKUA_OK);
        skua_release(fs[i]);
    }
    assert_int_equal(sk_load_acq(&n.bodies), 0);
    skua_close(n.ex);
}

/* ---- a busy pool ----------------------------------------------------------------------------- */

static int team_of_all(void *arg, void *result)
{
    struct nest *n = arg;
    (void)result;
    return skua_team(n->ex, skua_workers(n->ex), nested_body, n);
}

static void a_team_in_a_task_waits_until_enough_workers_are_free(void **state)
{
    const int workers = skt_workers(state);
    struct nest n = { skt_pool(state), 0, 1, 0 };
    struct skt_gate gate;
    skt_gate_init(&gate);
    skt_gate_hold(&gate, n.ex, workers - 1);
    skua_future *f = skua_submit(n.ex, team_of_all, &n);
    if (workers > 1)
        assert_status(skua_result(f, NULL, 0, 0.02), SKUA_TIMEOUT);
    assert_in_range(sk_load_acq(&n.bodies), 0, workers == 1);
    skt_gate_open(&gate);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_OK);
    assert_int_equal(sk_load_acq(&n.bodies), workers);
    skua_release(f);
    skua_close(n.ex);
    skt_gate_fini(&gate);
}

static void teams_run_among_tasks(void **state)
{
    struct nest n = { skt_pool(state), 0, skt_rounds(100), 0 };
    SK_ATOMIC(int) runs;
    sk_init(&runs, 0);
    const pthread_t thread = skt_thread(teams_in_a_row, &n);
    for (int i = skt_rounds(20000); i > 0; i--)
        skua_release(skua_submit(n.ex, skt_count, &runs));
    skt_join(thread);
    assert_int_equal(sk_load_acq(&n.bodies), 0);
    skua_close(n.ex);
    assert_int_equal(sk_load_acq(&runs), skt_rounds(20000));
}

/* ---- what members do ------------------------------------------------------------------------- */

static int count_piece(size_t begin, size_t end, void *ctx)
{
    sk_add_rlx((SK_ATOMIC(size_t) *)ctx, end - begin);
    return 0;
}

static int increment(void *arg)
{
    ++*(int *)arg;
    return 0;
}

static int use_everything(int rank, int members, void *ctx)
{
    skua_executor *ex = ctx;
    static const skua_schedule schedules[] = { SKUA_AUTO, SKUA_STATIC, SKUA_DYNAMIC };
    SK_ATOMIC(size_t) count;
    sk_init(&count, 0);
    for (int i = 0; i < 3; i++) {
        const skua_loop o = { .schedule = schedules[i], .grain = (size_t)i };
        if (skua_for(ex, 0, 1000, count_piece, &count, &o) != SKUA_OK || skua_team_barrier() != 0)
            return 1;
    }
    if (sk_load_rlx(&count) != 3000)
        return skua_fail(2, "rank %d: %zu of 3000", rank, sk_load_rlx(&count));
    int in[10], out[10], sum = 0;
    for (int i = 0; i < 10; i++)
        in[i] = i + members;
    if (skua_map(ex, skt_square, in, sizeof(int), out, sizeof(int), 10, NULL, SKUA_FOREVER) != 0)
        return 3;
    for (int i = 0; i < 10; i++)
        if (out[i] != in[i] * in[i])
            return 4;
    skua_child child;
    skua_spawn(&child, increment, &sum);
    if (skua_team_barrier() != 0 || skua_sync(&child) != 0 || sum != 1)
        return 5;
    return skua_call(ex, increment, &sum) == 0 && sum == 2 ? 0 : 6;
}

static void members_may_run_loops_maps_and_children(void **state)
{
    skua_executor *ex = skt_pool(state);
    for (int i = 0; i < skt_rounds(30); i++)
        assert_status(skua_team(ex, 1 + i % skt_workers(state), use_everything, ex), SKUA_OK);
    skua_close(ex);
}

static int teams_in_piece(size_t begin, size_t end, void *ctx)
{
    struct nest *n = ctx;
    for (size_t i = begin; i < end; i++) {
        const skua_status status = skua_team(n->ex, skua_workers(n->ex), nested_body, n);
        if (status != SKUA_OK)
            return status;
    }
    return 0;
}

static int teams_in_loop(void *arg)
{
    struct nest *n = arg;
    const skua_loop o = { .schedule = n->rounds % 2 == 0 ? SKUA_STATIC : SKUA_DYNAMIC, .grain = 1 };
    return skua_for(n->ex, 0, 16, teams_in_piece, n, &o);
}

static void pieces_of_loops_may_begin_teams(void **state)
{
    skua_executor *ex = skt_pool(state);
    const int workers = skt_workers(state);
    for (int i = 0; i < skt_rounds(20); i++) {
        struct nest n = { ex, 0, i, 0 }; /* half of them from outside, as a guest */
        assert_int_equal(i % 4 < 2 ? teams_in_loop(&n) : skua_call(ex, teams_in_loop, &n), SKUA_OK);
        assert_int_equal(sk_load_acq(&n.bodies), 16 * workers);
    }
    skua_close(ex);
}

struct pools {
    skua_executor *ex[2];
    int depth;
};

static int team_on_the_other(int rank, int members, void *ctx)
{
    const struct pools *p = ctx;
    struct pools below = { { p->ex[1], p->ex[0] }, p->depth - 1 };
    skua_status status = skua_team_barrier();
    if (status == SKUA_OK && rank == members - 1 && p->depth > 0)
        status = skua_team(below.ex[0], members, team_on_the_other, &below);
    return status == SKUA_OK ? (int)skua_team_barrier() : (int)status;
}

static void two_pools_may_run_teams_on_each_other(void **state)
{
    struct pools p = { { skt_pool(state), skt_pool(state) }, 6 };
    for (int i = 0; i < skt_rounds(10); i++)
        assert_status(skua_team(p.ex[0], skt_workers(state), team_on_the_other, &p), SKUA_OK);
    skua_close(p.ex[0]);
    skua_close(p.ex[1]);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(every_member_may_begin_a_team_of_its_own),
        SKT_EACH(a_member_may_begin_a_team_while_the_others_wait_at_the_barrier),
        SKT_EACH(several_threads_run_teams_at_once),
        SKT_EACH(all_workers_begin_teams_at_once),
        SKT_EACH(a_team_in_a_task_waits_until_enough_workers_are_free),
        SKT_EACH(teams_run_among_tasks),
        SKT_EACH(members_may_run_loops_maps_and_children),
        SKT_EACH(pieces_of_loops_may_begin_teams),
        SKT_EACH(two_pools_may_run_teams_on_each_other),
    };
    return skt_main(argc, argv, "team_nesting", tests, SKT_COUNT(tests));
}
