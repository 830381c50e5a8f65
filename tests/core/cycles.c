/* Circles of waits that go through loops, maps, calls and children are told to those who wait for a
 * future. */
#include "tests/support/harness.h"

#include <sched.h>

#include "tests/support/gate.h"

enum way {
    BY_RESULT,
    BY_EXCEPTION,
    BY_WAIT_ALL,
    BY_WAIT_FIRST,
    BY_NEXT,
    NR_WAYS
};

static skua_status wait_by(enum way way, skua_future *f)
{
    skua_future *const one[] = { f };
    if (way == BY_RESULT)
        return skua_result(f, NULL, 0, SKUA_FOREVER);
    if (way == BY_EXCEPTION) {
        const skua_error *e = skua_exception(f, SKUA_FOREVER);
        return e == NULL ? SKUA_OK : e->status;
    }
    if (way == BY_WAIT_ALL || way == BY_WAIT_FIRST)
        return skua_wait(one, 1, way == BY_WAIT_ALL ? SKUA_ALL_COMPLETED : SKUA_FIRST_COMPLETED,
                         SKUA_FOREVER);
    skua_iter *it = skua_as_completed(one, 1, SKUA_FOREVER);
    while (skua_next(it, NULL) != NULL)
        continue;
    return skua_iter_close(it);
}

/* A task that has something done for it by others, who wait for the task. */
struct circle {
    skua_executor *ex, *other; /* the task's pool, and another */
    enum way way;
    int parts;       /* of what is done for it */
    double patience; /* seconds within which they come together */
    uint32_t seed;
    skua_future *f;         /* the task */
    skua_future *event;     /* something that will end, for some tests */
    struct skt_latch ready; /* f is known */
    struct skt_latch begun; /* risen by each part */
    SK_ATOMIC(int) told, others, late;
};

static void circle_init(struct circle *c, skua_executor *ex, skua_executor *other)
{
    *c = (struct circle){ .ex = ex, .other = other, .patience = 10 * skt_slow_factor() };
    skt_latch_init(&c->ready);
    skt_latch_init(&c->begun);
}

static void circle_fini(struct circle *c)
{
    skua_release(c->f);
    skt_latch_fini(&c->ready);
    skt_latch_fini(&c->begun);
}

/* The wait that cannot end: counts how it did. */
static void wait_for_task(struct circle *c)
{
    const double start = skt_now();
    const skua_status status = wait_by(c->way, c->f);
    sk_add_rlx(status == SKUA_DEADLOCK ? &c->told : &c->others, 1);
    if (skt_now() - start > skt_wake_limit())
        sk_add_rlx(&c->late, 1);
}

/* One part: goes on when all have begun, so that each is in a thread of its own, and a random while
 * later, so that the last of the circle to sleep is sometimes this one. */
static int part(void *arg)
{
    struct circle *c = arg;
    skt_latch_raise(&c->begun);
    skt_latch_wait_for(&c->begun, c->parts, c->patience);
    uint32_t seed = c->seed + (uint32_t)skt_latch_count(&c->begun);
    if (skt_random(&seed) % 2 == 0)
        skt_pause(0.001 * (skt_random(&seed) % 4));
    wait_for_task(c);
    return 0;
}

static int part_as_task(void *arg, void *result)
{
    (void)result;
    return part(arg);
}

static int for_body(size_t begin, size_t end, void *ctx)
{
    for (size_t i = begin; i < end; i++)
        part(ctx);
    return 0;
}

static int fold(size_t begin, size_t end, void *ctx, void *acc)
{
    *(int *)acc += (int)(end - begin);
    return for_body(begin, end, ctx);
}

static void join(void *left, const void *right, void *ctx)
{
    (void)ctx;
    *(int *)left += *(const int *)right;
}

static skua_status by_for(struct circle *c)
{
    const skua_loop o = { .grain = 1, .schedule = SKUA_DYNAMIC };
    return skua_for(c->ex, 0, (size_t)c->parts, for_body, c, &o);
}

static skua_status by_static_for(struct circle *c)
{
    const skua_loop o = { .schedule = SKUA_STATIC };
    c->patience = 0.02; /* a worker that is not idle leaves its block to the caller */
    return skua_for(c->ex, 0, (size_t)c->parts, for_body, c, &o);
}

static skua_status by_foreign_for(struct circle *c)
{
    const skua_loop o = { .grain = 1, .schedule = SKUA_DYNAMIC };
    return skua_for(c->other, 0, (size_t)c->parts, for_body, c, &o);
}

static skua_status by_reduce(struct circle *c)
{
    const skua_loop o = { .grain = 1, .schedule = SKUA_DYNAMIC };
    int sum = 0;
    const skua_status status =
        skua_reduce(c->ex, 0, (size_t)c->parts, fold, join, c, &sum, sizeof sum, &o);
    return sum == c->parts ? status : SKUA_INVALID;
}

static int outer_body(size_t begin, size_t end, void *ctx)
{
    for (size_t i = begin; i < end; i++) {
        if (by_for(ctx) != SKUA_OK)
            return 1;
    }
    return 0;
}

static skua_status by_nested_for(struct circle *c)
{
    const skua_loop o = { .grain = 1, .schedule = SKUA_DYNAMIC };
    return skua_for(c->ex, 0, 4, outer_body, c, &o);
}

static int item(void *arg, void *result)
{
    (void)result;
    return part(*(struct circle **)arg);
}

static skua_status by_map_in(struct circle *c, skua_executor *ex)
{
    struct circle *items[8];
    for (int i = 0; i < c->parts; i++)
        items[i] = c;
    const skua_map_options o = { .chunk = 1 };
    return skua_map(ex, item, items, sizeof *items, NULL, 0, (size_t)c->parts, &o, SKUA_FOREVER);
}

static skua_status by_map(struct circle *c)
{
    return by_map_in(c, c->ex);
}

static skua_status by_foreign_map(struct circle *c)
{
    return by_map_in(c, c->other);
}

static int call_back(void *arg)
{
    const struct circle *c = arg;
    return skua_call(c->ex, part, arg);
}

static skua_status by_call(struct circle *c)
{
    c->parts = 1;
    return skua_call(c->other, part, c);
}

static skua_status by_call_and_back(struct circle *c)
{
    c->parts = 1;
    return skua_call(c->other, call_back, c);
}

static int member_waits(int rank, int members, void *ctx)
{
    (void)rank;
    (void)members;
    return part(ctx);
}

static skua_status by_team(struct circle *c)
{
    return skua_team(c->ex, c->parts, member_waits, c);
}

/* The others are told, leave, and so end the wait at the barrier. */
static int first_is_at_barrier(int rank, int members, void *ctx)
{
    if (rank > 0)
        return part(ctx);
    return members == 1 || skua_team_barrier() == SKUA_DEADLOCK ? 0 : 1;
}

static skua_status by_barrier(struct circle *c)
{
    const int members = c->parts;
    c->parts = members - 1;
    return skua_team(c->ex, members, first_is_at_barrier, c);
}

/* The other pool does not end before its task, which waits for this one. */
static skua_status by_shutdown(struct circle *c)
{
    skua_executor *pool = skt_pool_of(c->parts);
    c->parts = 1;
    skua_future *f = skua_submit(pool, part_as_task, c);
    skt_latch_wait(&c->begun, 1);
    const skua_status status = skua_shutdown(pool, SKUA_WAIT, SKUA_FOREVER);
    skua_close(pool);
    skua_release(f);
    return status;
}

static int no_work(void *arg)
{
    (void)arg;
    return 0;
}

/* Spawns on until another worker has taken the child, if there is one. */
static skua_status by_child(struct circle *c)
{
    skua_child child;
    const double end = skt_now() + 10 * skt_slow_factor();
    const bool alone = c->parts == 1;
    c->parts = 1;
    skua_spawn(&child, part, c);
    while (!alone && skt_latch_count(&c->begun) == 0 && skt_now() < end) {
        skua_child more;
        skua_spawn(&more, no_work, NULL);
        skua_sync(&more);
        sched_yield();
    }
    return skua_sync(&child);
}

typedef skua_status path(struct circle *c);

struct task {
    struct circle *circle;
    path *path;
};

static int task(void *arg, void *result)
{
    const struct task *t = arg;
    (void)result;
    skt_latch_wait(&t->circle->ready, 1);
    return t->path(t->circle);
}

/* Whatever the path is, nobody may be told that f has ended, as it ends after all of them. */
static void check_path(void **state, path *through, int parts_told)
{
    skua_executor *ex = skt_pool(state), *other = skt_pool(state);
    for (int i = 0; i < skt_rounds(40); i++) {
        struct circle c;
        circle_init(&c, ex, other);
        c.parts = skt_workers(state);
        c.seed = (uint32_t)i + 1;
        c.way = (enum way)(i % NR_WAYS);
        struct task t = { &c, through };
        c.f = skua_submit(ex, task, &t);
        skt_latch_raise(&c.ready);
        assert_status(skua_result(c.f, NULL, 0, SKUA_FOREVER), SKUA_OK);
        assert_int_equal(sk_load_acq(&c.others), 0);
        assert_int_equal(sk_load_acq(&c.told), parts_told != 0 ? parts_told : c.parts);
        assert_int_equal(sk_load_acq(&c.late), 0);
        circle_fini(&c);
    }
    skua_close(ex);
    skua_close(other);
}

static void bodies_that_wait_for_the_loops_task_are_told(void **state)
{
    check_path(state, by_for, 0);
}

static void bodies_of_a_static_loop_are_told(void **state)
{
    check_path(state, by_static_for, 0);
}

static void bodies_of_a_loop_in_another_pool_are_told(void **state)
{
    check_path(state, by_foreign_for, 0);
}

static void folds_that_wait_for_the_reductions_task_are_told(void **state)
{
    check_path(state, by_reduce, 0);
}

static void bodies_of_nested_loops_are_told(void **state)
{
    check_path(state, by_nested_for, 4 * skt_workers(state));
}

static void items_that_wait_for_the_maps_task_are_told(void **state)
{
    check_path(state, by_map, 0);
}

static void items_of_a_map_in_another_pool_are_told(void **state)
{
    check_path(state, by_foreign_map, 0);
}

static void a_call_that_waits_for_its_callers_task_is_told(void **state)
{
    check_path(state, by_call, 1);
}

static void a_call_of_a_call_that_waits_for_the_first_task_is_told(void **state)
{
    check_path(state, by_call_and_back, 1);
}

static void a_child_that_waits_for_its_parents_task_is_told(void **state)
{
    check_path(state, by_child, 1);
}

static void members_that_wait_for_the_teams_task_are_told(void **state)
{
    check_path(state, by_team, 0);
}

static void members_are_told_while_another_is_at_the_barrier(void **state)
{
    check_path(state, by_barrier, 0);
}

static void a_task_that_waits_for_who_shuts_its_pool_down_is_told(void **state)
{
    check_path(state, by_shutdown, 1);
}

/* Three tasks in two pools, each of which waits for the next: by a loop, a map and a call. */
struct three {
    struct circle circle[3];
    path *path[3];
};

static void check_three(skua_executor *one, skua_executor *two, struct three *t)
{
    skua_executor *const home[] = { one, two, one }, *const away[] = { two, one, two };
    struct task tasks[3];
    skua_future *fs[3];
    int told = 0, others = 0, late = 0;
    for (int i = 0; i < 3; i++) {
        circle_init(&t->circle[i], home[i], away[i]);
        t->circle[i].parts = 1;
        tasks[i] = (struct task){ &t->circle[i], t->path[i] };
    }
    for (int i = 0; i < 3; i++)
        fs[i] = skua_submit(home[i], task, &tasks[i]);
    for (int i = 0; i < 3; i++)
        t->circle[i].f = skua_retain(fs[(i + 1) % 3]);
    for (int i = 0; i < 3; i++)
        skt_latch_raise(&t->circle[i].ready);
    for (int i = 0; i < 3; i++) {
        assert_status(skua_result(fs[i], NULL, 0, SKUA_FOREVER), SKUA_OK);
        skua_release(fs[i]);
    }
    for (int i = 0; i < 3; i++) {
        told += sk_load_acq(&t->circle[i].told);
        others += sk_load_acq(&t->circle[i].others);
        late += sk_load_acq(&t->circle[i].late);
        circle_fini(&t->circle[i]);
    }
    assert_in_range(told, 1, 3);
    assert_int_equal(told + others, 3);
    assert_int_equal(late, 0);
}

static void a_circle_of_three_in_two_pools_is_told_to_at_least_one(void **state)
{
    skua_executor *one = skt_pool(state), *two = skt_pool(state);
    path *const paths[] = { by_for,         by_foreign_map, by_call,
                            by_foreign_for, by_reduce,      by_call_and_back };
    uint32_t seed = 1;
    for (int i = 0; i < skt_rounds(60); i++) {
        struct three t;
        for (int j = 0; j < 3; j++)
            t.path[j] = paths[skt_random(&seed) % SKT_COUNT(paths)];
        check_three(one, two, &t);
    }
    skua_close(one);
    skua_close(two);
}

/* ---- no circle: something else can still happen ---------------------------------------------- */

static int wait_for_first_of_two(size_t begin, size_t end, void *ctx)
{
    struct circle *c = ctx;
    skua_future *const fs[] = { c->f, c->event };
    for (size_t i = begin; i < end; i++) {
        skt_latch_raise(&c->begun);
        const skua_status status = skua_wait(fs, 2, SKUA_FIRST_COMPLETED, SKUA_FOREVER);
        sk_add_rlx(status == SKUA_OK && skua_done(c->event) ? &c->others : &c->told, 1);
    }
    return 0;
}

static skua_status by_first_of_two(struct circle *c)
{
    const skua_loop o = { .schedule = SKUA_STATIC };
    return skua_for(c->ex, 0, (size_t)c->parts, wait_for_first_of_two, c, &o);
}

static void who_waits_for_an_event_too_is_not_told(void **state)
{
    skua_executor *ex = skt_pool(state), *other = skt_pool_of(1);
    for (int i = 0; i < skt_rounds(40); i++) {
        struct circle c;
        struct skt_gate gate;
        circle_init(&c, ex, other);
        skt_gate_init(&gate);
        c.parts = skt_workers(state);
        c.event = skt_gate_submit(&gate, other);
        struct task t = { &c, by_first_of_two };
        c.f = skua_submit(ex, task, &t);
        skt_latch_raise(&c.ready);
        skt_latch_wait(&c.begun, 1);
        skt_pause(0.001 * (i % 4));
        skt_gate_open(&gate);
        assert_status(skua_result(c.f, NULL, 0, SKUA_FOREVER), SKUA_OK);
        assert_int_equal(sk_load_acq(&c.told), 0);
        assert_int_equal(sk_load_acq(&c.others), c.parts);
        skua_release(c.event);
        circle_fini(&c);
        skt_gate_fini(&gate);
    }
    skua_close(ex);
    skua_close(other);
}

static int wait_a_little(size_t begin, size_t end, void *ctx)
{
    struct circle *c = ctx;
    for (size_t i = begin; i < end; i++) {
        const skua_status status = skua_result(c->f, NULL, 0, 0.01);
        sk_add_rlx(status == SKUA_TIMEOUT ? &c->others : &c->told, 1);
    }
    return 0;
}

static skua_status by_waits_with_timeouts(struct circle *c)
{
    const skua_loop o = { .schedule = SKUA_STATIC };
    return skua_for(c->ex, 0, (size_t)c->parts, wait_a_little, c, &o);
}

static void who_waits_with_a_timeout_gets_that(void **state)
{
    skua_executor *ex = skt_pool(state);
    for (int i = 0; i < skt_rounds(10); i++) {
        struct circle c;
        circle_init(&c, ex, ex);
        c.parts = skt_workers(state);
        struct task t = { &c, by_waits_with_timeouts };
        c.f = skua_submit(ex, task, &t);
        skt_latch_raise(&c.ready);
        assert_status(skua_result(c.f, NULL, 0, SKUA_FOREVER), SKUA_OK);
        assert_int_equal(sk_load_acq(&c.told), 0);
        assert_int_equal(sk_load_acq(&c.others), c.parts);
        circle_fini(&c);
    }
    skua_close(ex);
}

/* Its items wait for the task on, when it has given up. */
static skua_status by_map_with_timeout(struct circle *c)
{
    struct circle *items[8];
    for (int i = 0; i < c->parts; i++)
        items[i] = c;
    const skua_status status =
        skua_map(c->ex, item, items, sizeof *items, NULL, 0, (size_t)c->parts, NULL, 0.02);
    return status == SKUA_TIMEOUT ? SKUA_OK : SKUA_INVALID;
}

static void a_map_with_a_timeout_is_a_way_out(void **state)
{
    struct circle c;
    skua_executor *ex = skt_pool(state);
    circle_init(&c, ex, ex);
    c.parts = skt_workers(state);
    struct task t = { &c, by_map_with_timeout };
    c.f = skua_submit(ex, task, &t);
    skt_latch_raise(&c.ready);
    assert_status(skua_result(c.f, NULL, 0, SKUA_FOREVER), SKUA_OK);
    skua_close(ex);
    assert_int_equal(sk_load_acq(&c.told), 0);
    assert_int_equal(sk_load_acq(&c.others), skt_latch_count(&c.begun));
    circle_fini(&c);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(bodies_that_wait_for_the_loops_task_are_told),
        SKT_EACH(bodies_of_a_static_loop_are_told),
        SKT_EACH(bodies_of_a_loop_in_another_pool_are_told),
        SKT_EACH(folds_that_wait_for_the_reductions_task_are_told),
        SKT_EACH(bodies_of_nested_loops_are_told),
        SKT_EACH(items_that_wait_for_the_maps_task_are_told),
        SKT_EACH(items_of_a_map_in_another_pool_are_told),
        SKT_EACH(a_call_that_waits_for_its_callers_task_is_told),
        SKT_EACH(a_call_of_a_call_that_waits_for_the_first_task_is_told),
        SKT_EACH(a_child_that_waits_for_its_parents_task_is_told),
        SKT_EACH(members_that_wait_for_the_teams_task_are_told),
        SKT_EACH(members_are_told_while_another_is_at_the_barrier),
        SKT_EACH(a_task_that_waits_for_who_shuts_its_pool_down_is_told),
        SKT_EACH(a_circle_of_three_in_two_pools_is_told_to_at_least_one),
        SKT_EACH(who_waits_for_an_event_too_is_not_told),
        SKT_EACH(who_waits_with_a_timeout_gets_that),
        SKT_EACH(a_map_with_a_timeout_is_a_way_out),
    };
    return skt_main(argc, argv, "cycles", tests, SKT_COUNT(tests));
}
