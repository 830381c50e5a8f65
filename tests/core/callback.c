/* Done callbacks: which thread, which order, and what they may do. */
#include "tests/support/harness.h"

#include "tests/support/gate.h"

#define MAX_NOTES 16

/* What callbacks saw, in the order in which they ran. */
struct notes {
    pthread_mutex_t mutex;
    int n;
    int tags[MAX_NOTES];
    pthread_t threads[MAX_NOTES];
    bool done[MAX_NOTES];
    skua_status status[MAX_NOTES];
};

struct note {
    struct notes *notes;
    int tag;
};

static void take_note(skua_future *f, void *ctx)
{
    const struct note *note = ctx;
    struct notes *notes = note->notes;
    const bool done = skua_done(f);
    const skua_status status = skua_result(f, NULL, 0, 0);
    pthread_mutex_lock(&notes->mutex);
    const int i = notes->n++;
    notes->tags[i] = note->tag;
    notes->threads[i] = pthread_self();
    notes->done[i] = done;
    notes->status[i] = status;
    pthread_mutex_unlock(&notes->mutex);
}

static void callbacks_run_in_the_order_added_with_the_result_there(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate;
    skt_gate_init(&gate);
    struct notes notes = { .mutex = PTHREAD_MUTEX_INITIALIZER };
    struct note note[3] = { { &notes, 0 }, { &notes, 1 }, { &notes, 2 } };
    skua_future *f = skt_gate_submit(&gate, ex);
    for (int i = 0; i < 3; i++)
        assert_status(skua_add_done_callback(f, take_note, &note[i]), SKUA_OK);
    assert_int_equal(notes.n, 0);
    skt_gate_open(&gate);
    skua_close(ex);
    assert_int_equal(notes.n, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(notes.tags[i], i);
        assert_true(notes.done[i]);
        assert_status(notes.status[i], SKUA_OK);
        assert_true(pthread_equal(notes.threads[i], notes.threads[0]));
        assert_false(pthread_equal(notes.threads[i], pthread_self()));
    }
    skua_release(f);
    skt_gate_fini(&gate);
}

static void added_after_the_end_it_runs_here_and_at_once(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct notes notes = { .mutex = PTHREAD_MUTEX_INITIALIZER };
    struct note note = { &notes, 5 };
    skua_future *f = skua_submit(ex, skt_nothing, NULL);
    assert_status(skua_shutdown(ex, SKUA_WAIT, SKUA_FOREVER), SKUA_OK);
    assert_status(skua_add_done_callback(f, take_note, &note), SKUA_OK);
    assert_int_equal(notes.n, 1);
    assert_true(pthread_equal(notes.threads[0], pthread_self()));
    assert_status(skua_add_done_callback(f, take_note, &note), SKUA_OK);
    assert_int_equal(notes.n, 2);
    skua_release(f);
    skua_close(ex);
}

static void cancel_runs_them_here_before_it_returns(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skt_gate_hold(&gate, ex, skt_workers(state));
    struct notes notes = { .mutex = PTHREAD_MUTEX_INITIALIZER };
    struct note note[2] = { { &notes, 0 }, { &notes, 1 } };
    skua_future *f = skua_submit(ex, skt_nothing, NULL);
    for (int i = 0; i < 2; i++)
        assert_status(skua_add_done_callback(f, take_note, &note[i]), SKUA_OK);
    assert_true(skua_cancel(f));
    assert_int_equal(notes.n, 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(notes.tags[i], i);
        assert_status(notes.status[i], SKUA_CANCELLED);
        assert_true(pthread_equal(notes.threads[i], pthread_self()));
    }
    skt_gate_open(&gate);
    skua_release(f);
    skua_close(ex);
    assert_int_equal(notes.n, 2);
    skt_gate_fini(&gate);
}

struct held {
    struct skt_gate gate;
    SK_ATOMIC(bool) over;
};

static void hold_callback(skua_future *f, void *ctx)
{
    struct held *held = ctx;
    (void)f;
    skt_gate_task(&held->gate, NULL);
    sk_store_rel(&held->over, true);
}

static void added_while_they_run_it_waits_for_its_turn(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct held held = { .over = false };
    skt_gate_init(&held.gate);
    struct skt_gate gate;
    skt_gate_init(&gate);
    struct notes notes = { .mutex = PTHREAD_MUTEX_INITIALIZER };
    struct note note[2] = { { &notes, 0 }, { &notes, 1 } };
    skua_future *f = skt_gate_submit(&gate, ex);
    assert_status(skua_add_done_callback(f, hold_callback, &held), SKUA_OK);
    assert_status(skua_add_done_callback(f, take_note, &note[0]), SKUA_OK);
    skt_gate_open(&gate);
    skt_latch_wait(&held.gate.began, 1);
    assert_status(skua_add_done_callback(f, take_note, &note[1]), SKUA_OK);
    pthread_mutex_lock(&notes.mutex);
    const int before = notes.n;
    pthread_mutex_unlock(&notes.mutex);
    assert_int_equal(before, 0);
    skt_gate_open(&held.gate);
    skua_close(ex);
    assert_int_equal(notes.n, 2);
    assert_int_equal(notes.tags[0], 0);
    assert_int_equal(notes.tags[1], 1);
    assert_false(pthread_equal(notes.threads[1], pthread_self()));
    skua_release(f);
    skt_gate_fini(&gate);
    skt_gate_fini(&held.gate);
}

static void add_another(skua_future *f, void *ctx)
{
    struct note *note = ctx;
    take_note(f, &note[0]);
    skua_add_done_callback(f, take_note, &note[2]);
    take_note(f, &note[1]);
}

static void added_by_a_callback_it_runs_after_the_others(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate;
    skt_gate_init(&gate);
    struct notes notes = { .mutex = PTHREAD_MUTEX_INITIALIZER };
    struct note first[3] = { { &notes, 0 }, { &notes, 1 }, { &notes, 3 } };
    struct note second = { &notes, 2 };
    skua_future *f = skt_gate_submit(&gate, ex);
    assert_status(skua_add_done_callback(f, add_another, first), SKUA_OK);
    assert_status(skua_add_done_callback(f, take_note, &second), SKUA_OK);
    skt_gate_open(&gate);
    skua_close(ex);
    assert_int_equal(notes.n, 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(notes.tags[i], i);
    skua_release(f);
    skt_gate_fini(&gate);
}

static void waiters_wake_before_callbacks_run(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct held held = { .over = false };
    skt_gate_init(&held.gate);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skua_future *f = skt_gate_submit(&gate, ex);
    assert_status(skua_add_done_callback(f, hold_callback, &held), SKUA_OK);
    skt_gate_open(&gate);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_OK);
    assert_false(sk_load_acq(&held.over));
    skt_gate_open(&held.gate);
    skua_release(f);
    skua_close(ex);
    assert_true(sk_load_acq(&held.over));
    skt_gate_fini(&gate);
    skt_gate_fini(&held.gate);
}

static void shutdown_waits_for_callbacks(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct held held = { .over = false };
    skt_gate_init(&held.gate);
    skua_future *f = skua_submit(ex, skt_nothing, NULL);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_OK);
    skua_release(f);

    struct skt_gate gate;
    skt_gate_init(&gate);
    f = skt_gate_submit(&gate, ex);
    assert_status(skua_add_done_callback(f, hold_callback, &held), SKUA_OK);
    skt_gate_open(&gate);
    skt_latch_wait(&held.gate.began, 1);
    assert_status(skua_shutdown(ex, SKUA_WAIT, 0.05), SKUA_TIMEOUT);
    skt_gate_open(&held.gate);
    assert_status(skua_shutdown(ex, SKUA_WAIT, SKUA_FOREVER), SKUA_OK);
    assert_true(sk_load_acq(&held.over));
    skua_release(f);
    skua_close(ex);
    skt_gate_fini(&gate);
    skt_gate_fini(&held.gate);
}

struct turn {
    int *next;
    int mine;
    int wrong;
};

static void check_turn(skua_future *f, void *ctx)
{
    struct turn *turn = ctx;
    (void)f;
    turn->wrong = (*turn->next)++ != turn->mine;
}

static void a_thousand_callbacks_run_once_each_in_order(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate;
    skt_gate_init(&gate);
    int next = 0;
    struct turn turns[1000];
    skua_future *f = skt_gate_submit(&gate, ex);
    for (int i = 0; i < 1000; i++) {
        turns[i] = (struct turn){ &next, i, 1 };
        assert_status(skua_add_done_callback(f, check_turn, &turns[i]), SKUA_OK);
    }
    skt_gate_open(&gate);
    skua_release(f);
    skua_close(ex);
    assert_int_equal(next, 1000);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(turns[i].wrong, 0);
    skt_gate_fini(&gate);
}

static void a_callback_needs_a_future_and_a_function(void **state)
{
    skua_executor *ex = skt_pool(state);
    skua_future *f = skua_submit(ex, skt_nothing, NULL);
    assert_status(skua_add_done_callback(f, NULL, NULL), SKUA_INVALID);
    assert_status(skua_add_done_callback(NULL, take_note, NULL), SKUA_INVALID);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_OK);
    skua_release(f);
    skua_close(ex);
}

static void count_callback(skua_future *f, void *ctx)
{
    (void)f;
    skt_count(ctx, NULL);
}

struct adders {
    skua_future *f;
    SK_ATOMIC(int) calls;
};

static void *add_many(void *arg)
{
    struct adders *a = arg;
    for (int i = 0; i < 20; i++)
        skua_add_done_callback(a->f, count_callback, &a->calls);
    return NULL;
}

static void each_runs_once_however_many_threads_add_them_at_the_end(void **state)
{
    skua_executor *ex = skt_pool(state);
    for (int round = skt_rounds(100); round > 0; round--) {
        struct adders a = { .f = skua_submit(ex, skt_nothing, NULL) };
        pthread_t threads[4];
        for (int i = 0; i < 4; i++)
            threads[i] = skt_thread(add_many, &a);
        for (int i = 0; i < 4; i++)
            skt_join(threads[i]);
        /* One thread may still be running what another has added. */
        const double limit = skt_now() + 5 * skt_slow_factor();
        while (sk_load_acq(&a.calls) < 80 && skt_now() < limit)
            continue;
        assert_int_equal(sk_load_acq(&a.calls), 80);
        skua_release(a.f);
    }
    skua_close(ex);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(callbacks_run_in_the_order_added_with_the_result_there),
        SKT_EACH(added_after_the_end_it_runs_here_and_at_once),
        SKT_EACH(cancel_runs_them_here_before_it_returns),
        SKT_EACH(added_while_they_run_it_waits_for_its_turn),
        SKT_EACH(added_by_a_callback_it_runs_after_the_others),
        SKT_EACH(waiters_wake_before_callbacks_run),
        SKT_EACH(shutdown_waits_for_callbacks),
        SKT_EACH(a_thousand_callbacks_run_once_each_in_order),
        SKT_EACH(a_callback_needs_a_future_and_a_function),
        SKT_EACH(each_runs_once_however_many_threads_add_them_at_the_end),
    };
    return skt_main(argc, argv, "callback", tests, SKT_COUNT(tests));
}
