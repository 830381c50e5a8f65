/* The words of skua_fail() in a child or a called function are its caller's, on whichever thread
 * they were said. */
#include "tests/support/harness.h"

#include <string.h>

#include "tests/support/gate.h"

enum {
    NR_CHILDREN = 4
};

/* A child that fails, or not, and may wait until it is stolen. */
struct failing {
    struct skt_latch began;
    const char *words; /* NULL: it says none */
    int code;
};

static void failing_init(struct failing *c, const char *words, int code)
{
    skt_latch_init(&c->began);
    c->words = words;
    c->code = code;
}

static int fail_as_told(void *arg)
{
    struct failing *c = arg;
    skt_latch_raise(&c->began);
    return c->words != NULL ? skua_fail(c->code, "%s", c->words) : c->code;
}

static int fail_by_a_call(void *arg)
{
    struct failing *c = arg;
    skt_latch_raise(&c->began);
    return skua_wait(NULL, 1, (skua_when)77, 0) == SKUA_INVALID ? c->code : 0;
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

/* A task that spawns children, has them stolen or not, and syncs them in this order. */
struct parent {
    bool stolen;
    int n;
    int (*fn)(void *arg);
    struct failing children[NR_CHILDREN];
    const char *own_words;
    int order[NR_CHILDREN];
    bool last_error_is_told; /* skua_last_error() has changed by a sync */
};

static int run_parent(void *arg, void *result)
{
    struct parent *p = arg;
    skua_child children[NR_CHILDREN], filler;
    int rc = 0;
    (void)result;
    for (int i = 0; i < p->n; i++) {
        skua_spawn(&children[i], p->fn, &p->children[i]);
        while (p->stolen && skt_latch_count(&p->children[i].began) == 0) {
            skua_spawn(&filler, nothing, NULL);
            skua_sync(&filler);
        }
    }
    for (int i = 0; i < p->n; i++) {
        const int code = skua_sync(&children[p->order[i]]);
        rc = code != 0 ? code : rc;
    }
    p->last_error_is_told = skua_last_error()->status == SKUA_INVALID;
    return p->own_words != NULL ? skua_fail(rc, "%s", p->own_words) : rc;
}

static struct parent parent_of(bool stolen, int n)
{
    struct parent p = { .stolen = stolen, .n = n, .fn = fail_as_told };
    for (int i = 0; i < n; i++)
        p.order[i] = i;
    return p;
}

static void check(void **state, struct parent *p, int code, const char *words, const char *where)
{
    skua_executor *ex = skt_pool(state);
    skua_future *f =
        skua_submit_task(ex, &(skua_task){ .fn = run_parent, .arg = p, .name = "parent" });
    const skua_error *e = skua_exception(f, SKUA_FOREVER);
    assert_non_null(e);
    skua_close(ex);
    assert_status(e->status, SKUA_FAILED);
    assert_int_equal(e->code, code);
    assert_string_equal(e->message, words);
    assert_string_equal(e->task, "parent");
    if (where[0] != '\0')
        assert_non_null(strstr(e->where, where));
    else
        assert_string_equal(e->where, "");
    skua_release(f);
    for (int i = 0; i < p->n; i++)
        skt_latch_fini(&p->children[i].began);
}

/* Each promise holds for a stolen child as for one that ran inline. */
static bool steals(void **state)
{
    return skt_workers(state) > 1;
}

static void the_words_of_a_child_are_its_parents(void **state)
{
    struct parent p = parent_of(steals(state), 1);
    failing_init(&p.children[0], "no inverse of 0", 7);
    check(state, &p, 7, "no inverse of 0", "spawn_words.c:");
}

static void of_several_failing_children_the_last_synced_speaks(void **state)
{
    struct parent p = parent_of(false, 3);
    p.order[0] = 2;
    p.order[1] = 0;
    p.order[2] = 1;
    failing_init(&p.children[0], "zero", 10);
    failing_init(&p.children[1], "one", 11);
    failing_init(&p.children[2], "two", 12);
    check(state, &p, 11, "one", "spawn_words.c:");
}

static void a_child_that_succeeds_or_is_silent_takes_no_words_away(void **state)
{
    struct parent p = parent_of(false, 3);
    p.stolen = steals(state) && skt_workers(state) > 3;
    failing_init(&p.children[0], "the first", 5);
    failing_init(&p.children[1], NULL, 0);
    failing_init(&p.children[2], NULL, 6);
    check(state, &p, 6, "the first", "spawn_words.c:");
}

static void a_parents_own_words_come_last(void **state)
{
    struct parent p = parent_of(steals(state), 1);
    p.own_words = "the parent's own";
    failing_init(&p.children[0], "the child's", 7);
    check(state, &p, 7, "the parent's own", "spawn_words.c:");
}

static void a_child_without_words_leaves_the_name_of_the_task(void **state)
{
    struct parent p = parent_of(steals(state), 1);
    failing_init(&p.children[0], NULL, 9);
    check(state, &p, 9, "parent returned 9", "");
}

static void a_skua_call_that_fails_in_a_child_is_told_too(void **state)
{
    struct parent p = parent_of(steals(state), 1);
    p.fn = fail_by_a_call;
    failing_init(&p.children[0], NULL, SKUA_INVALID); /* it passes the status on */
    skua_executor *ex = skt_pool(state);
    skua_future *f = skua_submit(ex, run_parent, &p);
    const skua_error *e = skua_exception(f, SKUA_FOREVER);
    assert_non_null(e);
    assert_int_equal(e->code, SKUA_INVALID);
    assert_non_null(strstr(e->message, "skua_wait"));
    assert_true(p.last_error_is_told);
    skua_release(f);
    skua_close(ex);
    skt_latch_fini(&p.children[0].began);
}

static int sync_two_deep(void *arg)
{
    return run_parent(arg, NULL);
}

static void words_come_back_through_two_children(void **state)
{
    struct parent inner = parent_of(skt_workers(state) > 2, 1);
    failing_init(&inner.children[0], "deep down", 3);
    skua_executor *ex = skt_pool(state);
    assert_int_equal(skua_call(ex, sync_two_deep, &inner), 3);
    skua_close(ex);
    const skua_error *e = skua_last_error();
    assert_status(e->status, SKUA_FAILED);
    assert_int_equal(e->code, 3);
    assert_string_equal(e->message, "deep down");
    assert_non_null(strstr(e->where, "spawn_words.c:"));
    skt_latch_fini(&inner.children[0].began);
}

/* ---- calls ----------------------------------------------------------------------------------- */

static void a_call_from_outside_tells_by_the_last_error(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct failing c;
    failing_init(&c, "called and failed", SKUA_SHUTDOWN);
    assert_int_equal(skua_call(ex, fail_as_told, &c), SKUA_SHUTDOWN);
    assert_status(skua_last_error()->status, SKUA_FAILED);
    assert_int_equal(skua_last_error()->code, SKUA_SHUTDOWN);
    assert_string_equal(skua_last_error()->message, "called and failed");
    assert_in_range(skua_last_error()->worker, 0, skt_workers(state) - 1);
    c.words = NULL;
    c.code = 4;
    assert_int_equal(skua_call(ex, fail_as_told, &c), 4);
    assert_int_equal(skua_last_error()->code, 4);
    assert_string_equal(skua_last_error()->message, "the function of skua_call() returned 4");
    assert_int_equal(skua_call(ex, nothing, NULL), 0);
    assert_int_equal(skua_last_error()->code, 4);
    skua_close(ex);
    skt_latch_fini(&c.began);
}

struct calling {
    skua_executor *other;
    struct failing *callee;
};

static int call_other(void *arg, void *result)
{
    struct calling *c = arg;
    (void)result;
    return skua_call(c->other, fail_as_told, c->callee);
}

static void a_task_that_returns_a_calls_code_has_its_words(void **state)
{
    skua_executor *ex = skt_pool(state), *other = skt_pool(state);
    struct failing c;
    failing_init(&c, "in the other pool", 21);
    skua_executor *pools[] = { ex, other };
    for (size_t i = 0; i < SKT_COUNT(pools); i++) {
        skua_future *f = skua_submit(ex, call_other, &(struct calling){ pools[i], &c });
        const skua_error *e = skua_exception(f, SKUA_FOREVER);
        assert_non_null(e);
        assert_int_equal(e->code, 21);
        assert_string_equal(e->message, "in the other pool");
        assert_non_null(strstr(e->where, "spawn_words.c:"));
        skua_release(f);
    }
    skua_close(ex);
    skua_close(other);
    skt_latch_fini(&c.began);
}

static int call_in_body(size_t begin, size_t end, void *ctx)
{
    (void)begin;
    (void)end;
    return call_other(ctx, NULL);
}

static void a_loop_body_that_returns_a_calls_code_has_its_words(void **state)
{
    skua_executor *ex = skt_pool(state), *other = skt_pool(state);
    struct failing c;
    failing_init(&c, "called by a body", 22);
    assert_status(skua_for(ex, 0, 1, call_in_body, &(struct calling){ other, &c }, NULL),
                  SKUA_FAILED);
    assert_int_equal(skua_last_error()->code, 22);
    assert_string_equal(skua_last_error()->message, "called by a body");
    skua_close(ex);
    skua_close(other);
    skt_latch_fini(&c.began);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(the_words_of_a_child_are_its_parents),
        SKT_EACH(of_several_failing_children_the_last_synced_speaks),
        SKT_EACH(a_child_that_succeeds_or_is_silent_takes_no_words_away),
        SKT_EACH(a_parents_own_words_come_last),
        SKT_EACH(a_child_without_words_leaves_the_name_of_the_task),
        SKT_EACH(a_skua_call_that_fails_in_a_child_is_told_too),
        SKT_EACH(words_come_back_through_two_children),
        SKT_EACH(a_call_from_outside_tells_by_the_last_error),
        SKT_EACH(a_task_that_returns_a_calls_code_has_its_words),
        SKT_EACH(a_loop_body_that_returns_a_calls_code_has_its_words),
    };
    return skt_main(argc, argv, "spawn_words", tests, SKT_COUNT(tests));
}
