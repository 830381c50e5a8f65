/* skua_team() and skua_team_barrier(): what members see, and how they end. */
#include "tests/support/harness.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/gate.h"

#define MAX_MEMBERS 8

struct meeting {
    skua_executor *ex;
    struct skt_latch here;
    pthread_t thread[MAX_MEMBERS];
    int worker[MAX_MEMBERS];
    SK_ATOMIC(int) visits[MAX_MEMBERS];
};

static void meeting_open(struct meeting *m, skua_executor *ex)
{
    memset(m, 0, sizeof *m);
    m->ex = ex;
    skt_latch_init(&m->here);
}

/* Ends only when all members are in it. */
static int meet(int rank, int members, void *ctx)
{
    struct meeting *m = ctx;
    m->thread[rank] = pthread_self();
    m->worker[rank] = skua_worker();
    sk_add_acq_rel(&m->visits[rank], 1);
    skt_latch_raise(&m->here);
    skt_latch_wait(&m->here, members);
    return 0;
}

static void check_meeting(struct meeting *m, int members, int workers)
{
    assert_int_equal(skt_latch_count(&m->here), members);
    for (int i = 0; i < members; i++) {
        assert_int_equal(sk_load_acq(&m->visits[i]), 1);
        assert_in_range(m->worker[i], 0, workers - 1);
        for (int j = 0; j < i; j++)
            assert_false(pthread_equal(m->thread[i], m->thread[j]));
    }
    skt_latch_fini(&m->here);
}

static void members_run_at_the_same_time_and_a_caller_from_outside_is_rank_0(void **state)
{
    skua_executor *ex = skt_pool(state);
    const int workers = skt_workers(state);
    for (int members = 1; members <= workers; members++) {
        struct meeting m;
        meeting_open(&m, ex);
        assert_status(skua_team(ex, members, meet, &m), SKUA_OK);
        assert_true(pthread_equal(m.thread[0], pthread_self()));
        check_meeting(&m, members, workers);
        assert_int_equal(skua_worker(), -1);
    }
    skua_close(ex);
}

static int call_meeting(void *arg)
{
    struct meeting *m = arg;
    const skua_status status = skua_team(m->ex, skua_workers(m->ex), meet, m);
    if (status != SKUA_OK)
        return status;
    return pthread_equal(m->thread[0], pthread_self()) ? 0 : 1;
}

static void a_worker_that_calls_is_rank_0(void **state)
{
    skua_executor *ex = skt_pool(state);
    for (int i = 0; i < 20; i++) {
        struct meeting m;
        meeting_open(&m, ex);
        assert_int_equal(skua_call(ex, call_meeting, &m), 0);
        check_meeting(&m, skt_workers(state), skt_workers(state));
    }
    skua_close(ex);
}

struct board {
    int rounds;
    int value[MAX_MEMBERS]; /* plain: the barrier alone orders them */
};

static int write_and_read(int rank, int members, void *ctx)
{
    struct board *b = ctx;
    for (int round = 1; round <= b->rounds; round++) {
        b->value[rank] = round * (rank + 1);
        if (skua_team_barrier() != SKUA_OK)
            return 1;
        for (int r = 0; r < members; r++)
            if (b->value[r] != round * (r + 1))
                return skua_fail(2, "round %d: %d of rank %d", round, b->value[r], r);
        if (skua_team_barrier() != SKUA_OK)
            return 3;
    }
    return 0;
}

static void the_barrier_orders_all_writes_in_each_round(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct board b = { .rounds = skt_rounds(1000) };
    for (int members = 1; members <= skt_workers(state); members *= 2)
        assert_status(skua_team(ex, members, write_and_read, &b), SKUA_OK);
    skua_close(ex);
}

static int skip_work(int rank, int members, void *ctx)
{
    (void)rank;
    (void)members;
    (void)ctx;
    return 0;
}

static void what_makes_no_sense_is_refused_with_words(void **state)
{
    skua_executor *ex = skt_pool(state);
    const int workers = skt_workers(state);
    const int wrong[] = { 0, -1, INT32_MIN, workers + 1, INT32_MAX };
    char words[40];
    for (size_t i = 0; i < SKT_COUNT(wrong); i++) {
        assert_status(skua_team(ex, wrong[i], skip_work, NULL), SKUA_INVALID);
        snprintf(words, sizeof words, "%d", wrong[i]);
        assert_non_null(strstr(skua_last_error()->message, words));
        snprintf(words, sizeof words, "1 to %d", workers);
        assert_non_null(strstr(skua_last_error()->message, words));
    }
    assert_status(skua_team(ex, 1, NULL, NULL), SKUA_INVALID);
    assert_non_null(strstr(skua_last_error()->message, "body"));
    assert_status(skua_team(NULL, 1, skip_work, NULL), SKUA_INVALID);
    assert_non_null(strstr(skua_last_error()->message, "executor"));
    skua_close(ex);
}

/* ---- failures -------------------------------------------------------------------------------- */

static int fail_from_rank(int rank, int members, void *ctx)
{
    const int first = *(int *)ctx;
    (void)members;
    return rank < first ? 0 : skua_fail(rank + 10, "rank %d is out of luck", rank);
}

static void the_words_are_those_of_the_lowest_failing_rank(void **state)
{
    skua_executor *ex = skt_pool(state);
    const int members = skt_workers(state);
    for (int first = 0; first < members; first++) {
        char words[40];
        snprintf(words, sizeof words, "rank %d is out of luck", first);
        assert_status(skua_team(ex, members, fail_from_rank, &first), SKUA_FAILED);
        assert_string_equal(skua_last_error()->message, words);
        assert_int_equal(skua_last_error()->code, first + 10);
        assert_non_null(strstr(skua_last_error()->where, "team.c"));
    }
    skua_close(ex);
}

struct leaver {
    int rank;
    int code;    /* what it returns, after one round */
    int message; /* 1: it also says why */
    SK_ATOMIC(int) refused[MAX_MEMBERS];
};

/* One round with all, and a second that one member does not come to. */
static int leave_early(int rank, int members, void *ctx)
{
    struct leaver *l = ctx;
    (void)members;
    if (skua_team_barrier() != SKUA_OK)
        return 1;
    if (rank == l->rank)
        return l->message ? skua_fail(l->code, "the disk is full") : l->code;
    const skua_status status = skua_team_barrier();
    sk_store_rel(&l->refused[rank], status);
    return skua_team_barrier() == status ? status : 2;
}

static void nobody_waits_for_a_member_that_has_returned_0(void **state)
{
    skua_executor *ex = skt_pool(state);
    const int members = skt_workers(state);
    for (int rank = 0; rank < members; rank++) {
        struct leaver l = { .rank = rank };
        const skua_status status = skua_team(ex, members, leave_early, &l);
        assert_int_equal(status, members == 1 ? SKUA_OK : SKUA_FAILED);
        for (int r = 0; r < members; r++)
            assert_int_equal(sk_load_acq(&l.refused[r]), r == rank ? 0 : SKUA_DEADLOCK);
        if (members > 1)
            assert_non_null(strstr(skua_last_error()->message, "left the team"));
    }
    skua_close(ex);
}

static void those_who_wait_for_a_failed_member_hand_on_its_words(void **state)
{
    skua_executor *ex = skt_pool(state);
    const int members = skt_workers(state);
    for (int rank = 0; rank < members; rank++) {
        struct leaver l = { .rank = rank, .code = 5, .message = 1 };
        assert_status(skua_team(ex, members, leave_early, &l), SKUA_FAILED);
        for (int r = 0; r < members; r++)
            assert_int_equal(sk_load_acq(&l.refused[r]), r == rank ? 0 : SKUA_FAILED);
        assert_string_equal(skua_last_error()->message, "the disk is full");
        assert_non_null(strstr(skua_last_error()->where, "team.c"));
    }
    skua_close(ex);
}

/* ---- where the barrier is -------------------------------------------------------------------- */

static int barrier_in_task(void *arg, void *result)
{
    (void)arg;
    (void)result;
    return skua_team_barrier() == SKUA_INVALID_STATE ? 0 : 1;
}

static void outside_of_a_team_there_is_no_barrier(void **state)
{
    skua_executor *ex = skt_pool(state);
    assert_status(skua_team_barrier(), SKUA_INVALID_STATE);
    assert_non_null(strstr(skua_last_error()->message, "team"));
    assert_status(skua_team(ex, skt_workers(state), skip_work, NULL), SKUA_OK);
    assert_status(skua_team_barrier(), SKUA_INVALID_STATE);
    skua_future *f = skua_submit(ex, barrier_in_task, NULL);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_OK);
    skua_release(f);
    skua_close(ex);
}

static int run_tasks_that_are_no_members(int rank, int members, void *ctx)
{
    (void)members;
    skua_future *f = skua_submit(ctx, barrier_in_task, NULL);
    const skua_status status = skua_result(f, NULL, 0, SKUA_FOREVER);
    skua_release(f);
    return status == SKUA_OK ? 0 : skua_fail(1, "rank %d: the task was taken for a member", rank);
}

static void a_task_that_a_member_runs_while_it_waits_is_no_member(void **state)
{
    skua_executor *ex = skt_pool(state);
    assert_status(skua_team(ex, skt_workers(state), run_tasks_that_are_no_members, ex), SKUA_OK);
    skua_close(ex);
}

/* ---- stopping -------------------------------------------------------------------------------- */

struct endless {
    skua_executor *ex;
    struct skt_latch began;
};

static int wait_for_stop(int rank, int members, void *ctx)
{
    struct endless *e = ctx;
    (void)rank;
    (void)members;
    skt_latch_raise(&e->began);
    while (!skua_stopping())
        skua_team_barrier();
    return SKUA_CANCELLED;
}

static int endless_team(void *arg, void *result)
{
    struct endless *e = arg;
    (void)result;
    const skua_status status = skua_team(e->ex, skua_workers(e->ex), wait_for_stop, e);
    return status == SKUA_FAILED ? SKUA_CANCELLED : 1;
}

static void all_members_see_that_the_task_is_to_stop(void **state)
{
    struct endless e = { .ex = skt_pool(state) };
    skt_latch_init(&e.began);
    skua_future *f = skua_submit(e.ex, endless_team, &e);
    skt_latch_wait(&e.began, skt_workers(state));
    skua_stop(f);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_CANCELLED);
    skua_release(f);
    skua_close(e.ex);
    skt_latch_fini(&e.began);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(members_run_at_the_same_time_and_a_caller_from_outside_is_rank_0),
        SKT_EACH(a_worker_that_calls_is_rank_0),
        SKT_EACH(the_barrier_orders_all_writes_in_each_round),
        SKT_EACH(what_makes_no_sense_is_refused_with_words),
        SKT_EACH(the_words_are_those_of_the_lowest_failing_rank),
        SKT_EACH(nobody_waits_for_a_member_that_has_returned_0),
        SKT_EACH(those_who_wait_for_a_failed_member_hand_on_its_words),
        SKT_EACH(outside_of_a_team_there_is_no_barrier),
        SKT_EACH(a_task_that_a_member_runs_while_it_waits_is_no_member),
        SKT_EACH(all_members_see_that_the_task_is_to_stop),
    };
    return skt_main(argc, argv, "team", tests, SKT_COUNT(tests));
}
