/* Fork and join: skua_spawn(), skua_sync(), skua_call(). */
#include "tests/support/harness.h"

#include <stdlib.h>

#include "tests/support/gate.h"

struct fib {
    int n;
    long value;
};

static int fib(void *arg)
{
    struct fib *f = arg, a = { f->n - 1, 0 }, b = { f->n - 2, 0 };
    if (f->n < 2) {
        f->value = f->n;
        return 0;
    }
    skua_child child;
    skua_spawn(&child, fib, &a);
    fib(&b);
    const int rc = skua_sync(&child);
    f->value = a.value + b.value;
    return rc;
}

static void fib_is_right(void **state)
{
    skua_executor *ex = skt_pool(state);
    for (int i = 0; i < 3; i++) {
        struct fib f = { skt_slow_factor() > 1 ? 22 : 30, 0 };
        assert_int_equal(skua_call(ex, fib, &f), 0);
        assert_int_equal(f.value, f.n == 30 ? 832040 : 17711);
    }
    skua_close(ex);
}

#define QUEENS 8

struct queens {
    int row;
    int columns[QUEENS];
    int solutions;
};

static bool is_safe(const struct queens *q, int column)
{
    for (int r = 0; r < q->row; r++) {
        const int apart = abs(q->columns[r] - column);
        if (apart == 0 || apart == q->row - r)
            return false;
    }
    return true;
}

static int place_queens(void *arg)
{
    struct queens *q = arg, below[QUEENS];
    skua_child children[QUEENS];
    if (q->row == QUEENS) {
        q->solutions = 1;
        return 0;
    }
    int n = 0, rc = 0;
    for (int column = 0; column < QUEENS; column++) {
        if (!is_safe(q, column))
            continue;
        below[n] = *q;
        below[n].columns[below[n].row++] = column;
        skua_spawn(&children[n], place_queens, &below[n]);
        n++;
    }
    while (n-- > 0) {
        rc |= skua_sync(&children[n]);
        q->solutions += below[n].solutions;
    }
    return rc;
}

static void queens_are_all_placed(void **state)
{
    skua_executor *ex = skt_pool(state);
    for (int i = 0; i < 5; i++) {
        struct queens q = { .row = 0 };
        assert_int_equal(skua_call(ex, place_queens, &q), 0);
        assert_int_equal(q.solutions, 92);
    }
    skua_close(ex);
}

static int give_back(void *arg)
{
    return *(int *)arg;
}

static int sync_out_of_order(void *arg)
{
    enum {
        N = 50
    };
    (void)arg;
    skua_child children[N];
    int codes[N];
    for (int i = 0; i < N; i++) {
        codes[i] = i * 3 - 20;
        skua_spawn(&children[i], give_back, &codes[i]);
    }
    for (int i = 0; i < N; i++) {
        const int k = i * 37 % N;
        if (skua_sync(&children[k]) != codes[k])
            return 1 + k;
    }
    return 0;
}

static void children_may_be_synced_in_any_order_and_give_their_codes(void **state)
{
    skua_executor *ex = skt_pool(state);
    for (int i = 0; i < skt_rounds(1000); i++)
        assert_int_equal(skua_call(ex, sync_out_of_order, NULL), 0);
    skua_close(ex);
}

struct crowd {
    int n;
    bool ascending;
    skua_child *children;
    SK_ATOMIC(int) runs;
};

static int count_in_crowd(void *arg)
{
    return skt_count(arg, NULL);
}

static int spawn_crowd(void *arg)
{
    struct crowd *c = arg;
    int rc = 0;
    for (int i = 0; i < c->n; i++)
        skua_spawn(&c->children[i], count_in_crowd, &c->runs);
    for (int i = 0; i < c->n; i++)
        rc |= skua_sync(&c->children[c->ascending ? i : c->n - 1 - i]);
    return rc;
}

static void a_hundred_thousand_children_may_be_open(void **state)
{
    skua_executor *ex = skt_pool(state);
    for (int ascending = 0; ascending < 2; ascending++) {
        struct crowd c = { .n = 100000, .ascending = ascending != 0 };
        c.children = malloc((size_t)c.n * sizeof *c.children);
        assert_non_null(c.children);
        assert_int_equal(skua_call(ex, spawn_crowd, &c), 0);
        assert_int_equal(sk_load_acq(&c.runs), c.n);
        free(c.children);
    }
    skua_close(ex);
}

static int spawn_one_by_one(void *arg)
{
    struct crowd *c = arg;
    int rc = 0;
    for (int i = 0; i < c->n; i++) {
        skua_child child;
        skua_spawn(&child, count_in_crowd, &c->runs);
        rc |= skua_sync(&child);
    }
    return rc;
}

static void a_million_children_one_by_one(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct crowd c = { .n = skt_rounds(1000000) };
    assert_int_equal(skua_call(ex, spawn_one_by_one, &c), 0);
    assert_int_equal(sk_load_acq(&c.runs), c.n);
    skua_close(ex);
}

static int note_thread(void *arg)
{
    *(pthread_t *)arg = pthread_self();
    return -5;
}

static void outside_a_worker_spawn_is_a_plain_call(void **state)
{
    (void)state;
    SK_ATOMIC(int) runs;
    sk_init(&runs, 0);
    skua_child child, other;
    pthread_t thread;
    skua_spawn(&child, note_thread, &thread);
    assert_true(pthread_equal(thread, pthread_self()));
    skua_spawn(&other, count_in_crowd, &runs);
    assert_int_equal(sk_load_acq(&runs), 1);
    assert_int_equal(skua_sync(&child), -5);
    assert_int_equal(skua_sync(&other), 0);
    assert_int_equal(sk_load_acq(&runs), 1);
}

struct depth {
    int left;
    int reached;
};

static int go_deeper(void *arg)
{
    struct depth *d = arg, below = { d->left - 1, 0 };
    if (d->left == 0)
        return 4;
    skua_child child;
    skua_spawn(&child, go_deeper, &below);
    const int rc = skua_sync(&child);
    d->reached = below.reached + 1;
    return rc;
}

static void children_nest_deeply(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct depth d = { skt_rounds(10000), 0 };
    assert_int_equal(skua_call(ex, go_deeper, &d), 4);
    assert_int_equal(d.reached, d.left);
    skua_close(ex);
}

static int call_again(void *arg)
{
    struct fib f = { 12, 0 };
    if (skua_worker() < 0 || skua_call(skua_default(), fib, &f) != 0 || f.value != 144)
        return 1;
    pthread_t thread;
    if (skua_call(skua_default(), note_thread, &thread) != -5)
        return 2;
    return pthread_equal(thread, pthread_self()) ? *(int *)arg : 3;
}

static void call_gives_the_code_and_nests(void **state)
{
    skua_executor *ex = skt_pool(state);
    int codes[] = { 0, 1, 77, -3, INT32_MIN, INT32_MAX };
    for (size_t i = 0; i < SKT_COUNT(codes); i++)
        assert_int_equal(skua_call(ex, call_again, &codes[i]), codes[i]);
    skua_close(ex);
}

static void call_says_why_it_could_not_run(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct fib f = { 5, 0 };
    assert_status((skua_status)skua_call(NULL, fib, &f), SKUA_INVALID);
    assert_status((skua_status)skua_call(ex, NULL, &f), SKUA_INVALID);
    assert_status(skua_last_error()->status, SKUA_INVALID);
    assert_status(skua_shutdown(ex, 0, 0), SKUA_OK);
    assert_status((skua_status)skua_call(ex, fib, &f), SKUA_SHUTDOWN);
    assert_status(skua_last_error()->status, SKUA_SHUTDOWN);
    assert_int_equal(f.value, 0);
    skua_close(ex);
}

static int call_other_pool(void *arg)
{
    struct fib f = { 15, 0 };
    if (skua_call(arg, fib, &f) != 0)
        return 1;
    return f.value == 610 ? 0 : 2;
}

static void a_worker_may_call_into_another_pool(void **state)
{
    skua_executor *ex = skt_pool(state), *other = skt_pool_of(1);
    for (int i = 0; i < 50; i++)
        assert_int_equal(skua_call(ex, call_other_pool, other), 0);
    skua_close(ex);
    skua_close(other);
}

static int fib_task(void *arg, void *result)
{
    struct fib f = { *(int *)arg, 0 };
    const int rc = fib(&f);
    *(int *)result = (int)f.value;
    return rc;
}

static void tasks_may_spawn(void **state)
{
    skua_executor *ex = skt_pool(state);
    skua_future *fs[100];
    for (int i = 0; i < 100; i++)
        fs[i] = skt_submit_int(ex, fib_task, 13);
    for (int i = 0; i < 100; i++) {
        int value = 0;
        assert_status(skua_result(fs[i], &value, sizeof value, SKUA_FOREVER), SKUA_OK);
        assert_int_equal(value, 233);
        skua_release(fs[i]);
    }
    skua_close(ex);
}

static int fib_body(size_t begin, size_t end, void *ctx)
{
    for (size_t i = begin; i < end; i++) {
        struct fib f = { 12, 0 };
        if (fib(&f) != 0 || f.value != 144)
            return 1;
        sk_add_acq_rel((SK_ATOMIC(int) *)ctx, 1);
    }
    return 0;
}

static int loop_in_child(void *arg)
{
    return skua_for(skua_default(), 0, 50, fib_body, arg, &(skua_loop){ .grain = 1 });
}

static int loops_in_children(void *arg)
{
    skua_child children[4];
    int rc = 0;
    for (int i = 0; i < 4; i++)
        skua_spawn(&children[i], loop_in_child, arg);
    for (int i = 0; i < 4; i++)
        rc |= skua_sync(&children[i]);
    return rc;
}

static void loop_bodies_may_spawn_and_children_may_loop(void **state)
{
    skua_executor *ex = skt_pool(state);
    SK_ATOMIC(int) runs;
    sk_init(&runs, 0);
    assert_status(skua_for(ex, 0, 100, fib_body, &runs, &(skua_loop){ .grain = 1 }), SKUA_OK);
    assert_int_equal(sk_load_acq(&runs), 100);
    assert_int_equal(skua_call(ex, loops_in_children, &runs), 0);
    assert_int_equal(sk_load_acq(&runs), 300);
    skua_close(ex);
}

static int begin_early(void *arg)
{
    sk_store_rel((SK_ATOMIC(int) *)arg, 1 + skua_worker());
    return 0;
}

/* Goes on spawning until another worker has taken the oldest child. */
static int spawn_until_taken(void *arg)
{
    SK_ATOMIC(int) taker;
    sk_init(&taker, 0);
    const double limit = skt_now() + *(double *)arg;
    skua_child oldest;
    skua_spawn(&oldest, begin_early, &taker);
    while (sk_load_acq(&taker) == 0 && skt_now() < limit) {
        struct fib f = { 3, 0 };
        skua_child child;
        skua_spawn(&child, fib, &f);
        skua_sync(&child);
    }
    const int took = sk_load_acq(&taker);
    skua_sync(&oldest);
    return took == 0 ? 1 : took == 1 + skua_worker() ? 2 : 0;
}

static void idle_workers_take_the_oldest_child(void **state)
{
    skua_executor *ex = skt_pool(state);
    double limit = 5 * skt_slow_factor();
    assert_int_equal(skua_call(ex, spawn_until_taken, &limit), 0);
    skua_close(ex);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(fib_is_right),
        SKT_EACH(queens_are_all_placed),
        SKT_EACH(children_may_be_synced_in_any_order_and_give_their_codes),
        SKT_EACH(a_hundred_thousand_children_may_be_open),
        SKT_EACH(a_million_children_one_by_one),
        SKT_TEST(outside_a_worker_spawn_is_a_plain_call),
        SKT_EACH(children_nest_deeply),
        SKT_EACH(call_gives_the_code_and_nests),
        SKT_TEST(call_says_why_it_could_not_run),
        SKT_EACH(a_worker_may_call_into_another_pool),
        SKT_EACH(tasks_may_spawn),
        SKT_EACH(loop_bodies_may_spawn_and_children_may_loop),
        SKT_AT(idle_workers_take_the_oldest_child, 2),
        SKT_AT(idle_workers_take_the_oldest_child, 8),
    };
    return skt_main(argc, argv, "spawn", tests, SKT_COUNT(tests));
}
