/* link: -Wl,--wrap=pthread_create */
/* Threads: the program's signals stay away from them, names are cut, the stack is measured, and
 * forks are counted. The linker puts this file before the system, to make a creation fail. */
#define _GNU_SOURCE
#include "base/thread.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>

#include "base/compiler.h"
#include "tests/support/child.h"
#include "tests/support/harness.h"

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *arg),
                          void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *arg),
                          void *arg);

static int create_error; /* what the next creations fail with; 0: they do not */

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *arg),
                          void *arg)
{
    return create_error != 0 ? create_error : __real_pthread_create(thread, attr, fn, arg);
}

static void run(void *(*fn)(void *arg), void *arg)
{
    pthread_t thread;
    assert_int_equal(sk_thread_start(&thread, fn, arg), 0);
    skt_join(thread);
}

/* ---- signals --------------------------------------------------------------------------------- */

static void *read_mask(void *arg)
{
    pthread_sigmask(SIG_BLOCK, NULL, arg);
    return NULL;
}

static void all_signals_are_blocked_in_the_thread(void **state)
{
    (void)state;
    sigset_t mask;
    sigemptyset(&mask);
    run(read_mask, &mask);
    for (int signo = 1; signo < 32; signo++) {
        if (signo != SIGKILL && signo != SIGSTOP && sigismember(&mask, signo) != 1)
            fail_msg("signal %d (%s) is not blocked", signo, strsignal(signo));
    }
    assert_int_equal(sigismember(&mask, SIGRTMIN), 1);
    assert_int_equal(sigismember(&mask, SIGRTMAX), 1);
}

static void the_callers_signals_stay_as_they_were(void **state)
{
    (void)state;
    sigset_t one, before, after;
    sigemptyset(&one);
    sigaddset(&one, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &one, &before);
    run(read_mask, &after);
    pthread_sigmask(SIG_SETMASK, &before, &after);
    assert_int_equal(sigismember(&after, SIGUSR2), 1);
    assert_int_equal(sigismember(&after, SIGUSR1), 0);
    assert_int_equal(sigismember(&after, SIGALRM), 0);
}

static void a_thread_that_cannot_be_made_gives_the_error(void **state)
{
    (void)state;
    pthread_t thread;
    sigset_t after;
    create_error = EAGAIN;
    const int error = sk_thread_start(&thread, read_mask, &after);
    create_error = 0;
    pthread_sigmask(SIG_BLOCK, NULL, &after);
    assert_int_equal(error, -EAGAIN);
    assert_int_equal(sigismember(&after, SIGUSR1), 0);
}

/* ---- names ----------------------------------------------------------------------------------- */

struct names {
    const char *given;
    char kept[16];
};

static void *take_name(void *arg)
{
    struct names *names = arg;
    sk_thread_name_self(names->given);
    pthread_getname_np(pthread_self(), names->kept, sizeof names->kept);
    return NULL;
}

static void a_name_is_cut_to_what_the_kernel_keeps(void **state)
{
    (void)state;
    const char *const cases[][2] = { { "skua-7", "skua-7" },
                                     { "", "" },
                                     { "fifteen-letters", "fifteen-letters" },
                                     { "sixteen-letters!", "sixteen-letters" },
                                     { "a name that is much too long", "a name that is " } };
    for (size_t i = 0; i < SKT_COUNT(cases); i++) {
        struct names names = { .given = cases[i][0] };
        run(take_name, &names);
        assert_string_equal(names.kept, cases[i][1]);
    }
}

/* ---- the stack ------------------------------------------------------------------------------- */

/* What is left `depth` calls further down. */
static SK_NOINLINE size_t left_below(int depth)
{
    if (depth == 0)
        return sk_thread_stack_left();
    const volatile size_t left = left_below(depth - 1); /* volatile: no loop can replace the call */
    return left;
}

struct stack {
    size_t here, below, here_again, size;
};

static void *measure(void *arg)
{
    struct stack *stack = arg;
    pthread_attr_t attr;
    stack->here = left_below(0);
    stack->below = left_below(1000);
    stack->here_again = left_below(0);
    if (pthread_getattr_np(pthread_self(), &attr) == 0) {
        pthread_attr_getstacksize(&attr, &stack->size);
        pthread_attr_destroy(&attr);
    }
    return NULL;
}

static void check_stack(const struct stack *stack)
{
    assert_true(stack->here > stack->below);
    assert_true(stack->here - stack->below >= 16 * 1000); /* a frame has 16 bytes at least */
    assert_true(stack->below > 0);
    assert_int_equal(stack->here, stack->here_again);
    assert_true(stack->here < stack->size);
}

static void what_is_left_of_the_stack_shrinks_with_depth(void **state)
{
    (void)state;
    struct stack stack = { 0, 0, 0, 0 };
    measure(&stack);
    check_stack(&stack);
    stack = (struct stack){ 0, 0, 0, 0 };
    run(measure, &stack);
    check_stack(&stack);
    assert_true(stack.here > stack.size / 2); /* a thread that has just begun */
}

/* ---- forks ----------------------------------------------------------------------------------- */

static int count_of_a_grandchild(void *arg)
{
    (void)arg;
    return (int)sk_thread_fork_count();
}

static int count_of_a_child(void *arg)
{
    const struct skt_output grandchild = skt_fork(count_of_a_grandchild, arg);
    const int count = (int)sk_thread_fork_count();
    return grandchild.status == count + 1 ? count : 0;
}

static void each_fork_on_the_way_counts(void **state)
{
    (void)state;
    const unsigned before = sk_thread_fork_count();
    assert_int_equal(before, 0);
    assert_int_equal(skt_fork(count_of_a_child, NULL).status, 1);
    assert_int_equal(skt_fork(count_of_a_child, NULL).status, 1);
    assert_int_equal(sk_thread_fork_count(), before);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(all_signals_are_blocked_in_the_thread),
        SKT_TEST(the_callers_signals_stay_as_they_were),
        SKT_TEST(a_thread_that_cannot_be_made_gives_the_error),
        SKT_TEST(a_name_is_cut_to_what_the_kernel_keeps),
        SKT_TEST(what_is_left_of_the_stack_shrinks_with_depth),
        SKT_TEST(each_fork_on_the_way_counts),
    };
    return skt_main(argc, argv, "thread", tests, SKT_COUNT(tests));
}
