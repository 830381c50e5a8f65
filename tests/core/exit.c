/* Leaving the program: exit() waits for accepted tasks, _exit() does not. The program starts itself
 * again, with the name of what to do as its only argument. */
#include "tests/support/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/child.h"
#include "tests/support/gate.h"

#define NR_TASKS 200

static const char *const no_variables[] = { NULL };

static void say_byte(char byte)
{
    ssize_t ignored = write(STDOUT_FILENO, &byte, 1);
    (void)ignored;
}

static int say_task(void *arg, void *result)
{
    (void)arg;
    (void)result;
    say_byte('t');
    return 0;
}

static void say_callback(skua_future *f, void *ctx)
{
    (void)f;
    (void)ctx;
    say_byte('c');
}

static struct skt_gate gate;

static int open_the_gate(void *arg, void *result)
{
    (void)arg;
    (void)result;
    skt_gate_open(&gate);
    return 0;
}

/* Leaves tasks behind that nobody waits for. */
static void leave_tasks(skua_executor *ex)
{
    for (int i = 0; i < NR_TASKS; i++) {
        skua_future *f = skua_submit(ex, say_task, NULL);
        skua_add_done_callback(f, say_callback, NULL);
        skua_release(f);
    }
}

static int close_own_pool(void *arg, void *result)
{
    (void)arg;
    (void)result;
    skua_executor *ex = skua_default();
    skua_release(skua_submit(ex, say_task, NULL));
    skua_close(ex);
    return 0;
}

static int exit_in_task(void *arg, void *result)
{
    (void)arg;
    (void)result;
    exit(0);
}

/* The parts that the started program plays. */
static int play(const char *part)
{
    if (strcmp(part, "--default") == 0) {
        leave_tasks(skua_default());
        return 0;
    }
    if (strncmp(part, "--pool-", 7) == 0) {
        leave_tasks(skua_thread_pool(&(skua_options){ .workers = atoi(part + 7) }));
        return 0;
    }
    if (strcmp(part, "--one-worker") == 0) {
        skua_executor *ex = skua_thread_pool(&(skua_options){ .workers = 1 });
        skt_gate_init(&gate);
        skua_release(skua_submit(ex, skt_gate_task, &gate));
        leave_tasks(ex);
        skua_release(skua_submit(skua_default(), open_the_gate, NULL));
        return 0;
    }
    if (strcmp(part, "--shutdown") == 0) {
        leave_tasks(skua_default());
        skua_shutdown(skua_default(), 0, 0);
        return 0;
    }
    if (strcmp(part, "--idle") == 0) {
        skua_executor *ex = skua_thread_pool(NULL);
        skua_future *f = skua_submit(ex, skt_nothing, NULL);
        const int rc = skua_result(f, NULL, 0, SKUA_FOREVER) != SKUA_OK;
        skua_release(f);
        return rc + (skua_default() == NULL);
    }
    if (strcmp(part, "--closing") == 0) {
        skua_executor *ex = skua_thread_pool(&(skua_options){ .workers = 2 });
        skua_future *f = skua_submit(ex, close_own_pool, NULL);
        skua_result(f, NULL, 0, SKUA_FOREVER);
        skua_release(f);
        return 0;
    }
    if (strcmp(part, "--in-task") == 0) {
        leave_tasks(skua_thread_pool(&(skua_options){ .workers = 2 }));
        skua_release(skua_submit(skua_default(), exit_in_task, NULL));
        for (;;)
            pause();
    }
    if (strcmp(part, "--at-once") == 0) {
        skt_gate_init(&gate);
        skt_gate_hold(&gate, skua_default(), 1);
        say_byte('x');
        _exit(0);
    }
    return 100;
}

static int count_bytes(const struct skt_output *o, char byte)
{
    int n = 0;
    for (size_t i = 0; i < o->out_length; i++)
        n += o->out[i] == byte;
    return n;
}

static void check_all_ran(const char *part)
{
    const struct skt_output o = skt_exec(part, no_variables, 0);
    assert_int_equal(o.status, 0);
    assert_int_equal(count_bytes(&o, 't'), NR_TASKS);
    assert_int_equal(count_bytes(&o, 'c'), NR_TASKS);
    assert_string_equal(o.err, "");
}

static void exit_waits_for_tasks_of_the_default_pool(void **state)
{
    (void)state;
    check_all_ran("--default");
}

static void exit_waits_for_tasks_of_a_pool_that_was_not_closed(void **state)
{
    char part[16];
    snprintf(part, sizeof part, "--pool-%d", skt_workers(state));
    check_all_ran(part);
}

static void exit_waits_for_tasks_of_a_pool_that_was_shut_down(void **state)
{
    (void)state;
    check_all_ran("--shutdown");
}

static void exit_waits_for_pools_that_need_each_other(void **state)
{
    (void)state;
    const struct skt_output o = skt_exec("--one-worker", no_variables, 0);
    assert_int_equal(o.status, 0);
    assert_int_equal(count_bytes(&o, 't'), NR_TASKS);
}

static void exit_in_a_task_waits_for_the_other_pools(void **state)
{
    (void)state;
    check_all_ran("--in-task");
}

static void exit_does_not_linger_with_idle_pools(void **state)
{
    (void)state;
    const struct skt_output o = skt_exec("--idle", no_variables, 0);
    assert_int_equal(o.status, 0);
    assert_true(o.seconds < 2 * skt_slow_factor());
}

static void exit_waits_for_a_pool_that_closes_itself(void **state)
{
    (void)state;
    for (int i = 0; i < 30; i++) {
        const struct skt_output o = skt_exec("--closing", no_variables, 0);
        assert_int_equal(o.status, 0);
        assert_int_equal(count_bytes(&o, 't'), 1);
    }
}

static void a_plain_underscore_exit_waits_for_nothing(void **state)
{
    (void)state;
    const struct skt_output o = skt_exec("--at-once", no_variables, 0);
    assert_int_equal(o.status, 0);
    assert_int_equal(count_bytes(&o, 'x'), 1);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strncmp(argv[1], "--", 2) == 0)
        return play(argv[1]);
    const struct CMUnitTest tests[] = {
        SKT_TEST(exit_waits_for_tasks_of_the_default_pool),
        SKT_EACH(exit_waits_for_tasks_of_a_pool_that_was_not_closed),
        SKT_TEST(exit_in_a_task_waits_for_the_other_pools),
        SKT_TEST(exit_waits_for_tasks_of_a_pool_that_was_shut_down),
        SKT_TEST(exit_waits_for_pools_that_need_each_other),
        SKT_TEST(exit_does_not_linger_with_idle_pools),
        SKT_TEST(exit_waits_for_a_pool_that_closes_itself),
        SKT_TEST(a_plain_underscore_exit_waits_for_nothing),
    };
    return skt_main(argc, argv, "exit", tests, SKT_COUNT(tests));
}
