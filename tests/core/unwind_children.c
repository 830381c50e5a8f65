/* pthread_exit() in a task with children: those that others have taken end before the task has
 * failed, and one that exits itself fails. */
#include "tests/support/harness.h"

#include <sched.h>
#include <string.h>

#include "base/guard.h"
#include "tests/support/gate.h"

#define EXITED "called pthread_exit()"

static void assert_exited(const skua_error *error)
{
    assert_non_null(error);
    assert_status(error->status, SKUA_FAILED);
    if (strstr(error->message, EXITED) == NULL)
        fail_msg("'%s' does not say '%s'", error->message, EXITED);
}

static int exits(void *arg, void *result)
{
    (void)arg;
    (void)result;
    pthread_exit(NULL);
}

static int call_exits(void *arg)
{
    return exits(arg, NULL);
}

struct family {
    struct skt_latch began, leaving;
    SK_ATOMIC(int) sound, ended;
};

struct relic {
    struct family *family;
    volatile int words[256]; /* in the frame of the task that exits */
};

/* Looks at its parent's frame until some time after the parent has begun to leave it. */
static int looks_at_its_parent(void *arg)
{
    struct relic *relic = arg;
    struct family *family = relic->family;
    skt_latch_raise(&family->began);
    skt_latch_wait(&family->leaving, 1);
    int sum = 0;
    for (const double end = skt_now() + 0.02; skt_now() < end;) {
        sum = 0;
        for (int i = 0; i < 256; i++)
            sum += relic->words[i];
        if (sum != 256)
            break;
    }
    sk_store_rel(&family->sound, sum == 256 && relic->family == family);
    sk_store_rel(&family->ended, 1);
    return 0;
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

/* Spawns and syncs until somebody has taken the oldest child. */
static void wait_until_taken(struct family *family)
{
    while (skt_latch_count(&family->began) == 0) {
        skua_child child;
        skua_spawn(&child, nothing, NULL);
        skua_sync(&child);
        sched_yield();
    }
}

static SK_NOINLINE int leaves_a_child_behind(struct family *family)
{
    struct relic relic = { .family = family };
    skua_child child, others[3];
    for (int i = 0; i < 256; i++)
        relic.words[i] = 1;
    skua_spawn(&child, looks_at_its_parent, &relic);
    wait_until_taken(family);
    for (int i = 0; i < 3; i++)
        skua_spawn(&others[i], nothing, NULL);
    skt_latch_raise(&family->leaving);
    return exits(NULL, NULL);
}

static int leaves_children_behind(void *arg, void *result)
{
    (void)result;
    return leaves_a_child_behind(arg);
}

static void children_of_a_task_that_exits_end_before_it(void **state)
{
    if (skt_workers(state) == 1)
        return; /* nobody takes the child */
    skua_executor *ex = skt_pool(state);
    for (int i = 0; i < skt_rounds(20); i++) {
        struct family family = { .sound = 0 };
        skt_latch_init(&family.began);
        skt_latch_init(&family.leaving);
        sk_init(&family.sound, 0);
        sk_init(&family.ended, 0);
        skua_future *f = skua_submit(ex, leaves_children_behind, &family);
        assert_exited(skua_exception(f, SKUA_FOREVER));
        assert_int_equal(sk_load_acq(&family.ended), 1);
        assert_int_equal(sk_load_acq(&family.sound), 1);
        skua_release(f);
        skt_latch_fini(&family.began);
        skt_latch_fini(&family.leaving);
    }
    skua_close(ex);
}

static int exits_when_taken(void *arg)
{
    struct family *family = arg;
    skt_latch_raise(&family->began);
    return exits(NULL, NULL);
}

static int syncs_one_that_exits(void *arg, void *result)
{
    skua_child child;
    (void)result;
    skua_spawn(&child, exits_when_taken, arg);
    wait_until_taken(arg);
    return skua_sync(&child);
}

static void a_taken_child_that_exits_fails_with_its_words(void **state)
{
    if (skt_workers(state) == 1)
        return; /* its parent runs it, and exits */
    skua_executor *ex = skt_pool(state);
    for (int i = 0; i < skt_rounds(50); i++) {
        struct family family = { .sound = 0 };
        skt_latch_init(&family.began);
        skua_future *f = skua_submit(ex, syncs_one_that_exits, &family);
        assert_exited(skua_exception(f, SKUA_FOREVER));
        assert_int_equal(skua_exception(f, 0)->code, SKUA_FAILED);
        assert_non_null(strstr(skua_exception(f, 0)->message, "child"));
        skua_release(f);
        skt_latch_fini(&family.began);
    }
    skua_close(ex);
}

static int exits_over_its_children(void *arg, void *result)
{
    skua_child children[10];
    (void)result;
    for (int i = 0; i < 10; i++)
        skua_spawn(&children[i], i < 9 ? nothing : call_exits, arg);
    for (int i = 9; i >= 0; i--)
        skua_sync(&children[i]);
    return 0;
}

static void an_exit_in_a_child_that_nobody_took_is_its_tasks(void **state)
{
    skua_executor *ex = skt_pool(state);
    for (int i = 0; i < skt_rounds(100); i++) {
        skua_future *f = skua_submit(ex, exits_over_its_children, NULL);
        skua_future *g = skt_submit_int(ex, skt_square, 4);
        int value = 0;
        if (skua_exception(f, SKUA_FOREVER) != NULL) /* unless it was taken: its code is ignored */
            assert_exited(skua_exception(f, 0));
        else
            assert_int_not_equal(skt_workers(state), 1);
        assert_status(skua_result(g, &value, sizeof value, SKUA_FOREVER), SKUA_OK);
        skua_release(f);
        skua_release(g);
    }
    skua_close(ex);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(children_of_a_task_that_exits_end_before_it),
        SKT_EACH(a_taken_child_that_exits_fails_with_its_words),
        SKT_EACH(an_exit_in_a_child_that_nobody_took_is_its_tasks),
    };
    if (!SK_GUARD_CATCHES_EXIT) {
        print_message("skipped: pthread_exit() cannot be caught here\n");
        return 77;
    }
    return skt_main(argc, argv, "core/unwind_children", tests, SKT_COUNT(tests));
}
