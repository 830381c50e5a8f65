/* fork() and wait() in a program with a process pool: the child's copy of the pool is shut down,
 * and whatever the child does with it leaves the parent's as it was; wait() sees none of its
 * processes. */
#define _GNU_SOURCE
#include "tests/support/harness.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/child.h"
#include "tests/support/gate.h"
#include "tests/support/process.h"

static void the_programs_waitpid_sees_no_process_of_the_pool(void **state)
{
    skua_executor *ex = skt_processes(state);
    skua_future *f = skua_submit(ex, skt_crash, NULL);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_CRASHED);
    skua_release(f);
    int status;
    errno = 0;
    assert_int_equal(waitpid(-1, &status, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    const pid_t child = fork();
    if (child == 0)
        _exit(4);
    assert_int_equal(wait(&status), child);
    assert_int_equal(WEXITSTATUS(status), 4);
    assert_true(skt_works(ex));
    skua_close(ex);
    errno = 0;
    assert_int_equal(waitpid(-1, &status, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

struct forked {
    skua_executor *ex;
    skua_future *pending, *done;
    void *shared;
};

static int use_the_copy(void *arg)
{
    struct forked *p = arg;
    skua_future *f = skua_submit(p->ex, skt_nothing, NULL);
    if (skua_result(f, NULL, 0, SKUA_FOREVER) != SKUA_SHUTDOWN)
        return 1;
    skua_release(f);
    if (skua_result(p->pending, NULL, 0, SKUA_FOREVER) != SKUA_SHUTDOWN)
        return 2;
    if (skua_result(p->done, NULL, 0, SKUA_FOREVER) != SKUA_OK)
        return 3;
    skua_shared_free(p->ex, p->shared);
    if (skua_shutdown(p->ex, SKUA_WAIT | SKUA_KILL, SKUA_FOREVER) != SKUA_OK)
        return 4;
    skua_close(p->ex);
    return 0;
}

static int make_an_own_pool(void *arg)
{
    (void)arg;
    skua_executor *ex = skua_process_pool(&(skua_options){ .workers = 2 });
    if (ex == NULL)
        return 1;
    const bool works = skt_works(ex);
    skua_close(ex);
    return works ? 0 : 2;
}

static int leave_by_exit(void *arg)
{
    (void)arg;
    exit(0);
}

static void a_forked_child_has_a_shut_down_copy(void **state)
{
    if (skt_has_asan() || skt_has_tsan()) {
        print_message("sanitizers do not support threads in a forked child\n");
        skip();
    }
    struct forked p = { .ex = skt_processes(state) };
    struct skt_shared_gate *gate = skt_shared_gate_new(p.ex);
    p.shared = skua_shared_alloc(p.ex, 4096);
    assert_non_null(p.shared);
    p.done = skua_submit(p.ex, skt_nothing, NULL);
    assert_status(skua_result(p.done, NULL, 0, SKUA_FOREVER), SKUA_OK);
    skt_shared_gate_hold(gate, p.ex, skt_workers(state));
    p.pending = skua_submit(p.ex, skt_nothing, NULL);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(skt_fork(use_the_copy, &p).status, 0);
        assert_int_equal(skt_fork(make_an_own_pool, NULL).status, 0);
        assert_int_equal(skt_fork(leave_by_exit, NULL).status, 0);
    }
    *(volatile char *)p.shared = 1; /* freed there, not here */
    skt_shared_gate_open(gate);
    assert_status(skua_result(p.pending, NULL, 0, SKUA_FOREVER), SKUA_OK);
    assert_true(skt_meet(p.ex));
    skua_release(p.pending);
    skua_release(p.done);
    skua_close(p.ex);
    assert_true(skt_family_becomes(0));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(the_programs_waitpid_sees_no_process_of_the_pool),
        SKT_EACH(a_forked_child_has_a_shut_down_copy),
    };
    return skt_main(argc, argv, "process_fork", tests, SKT_COUNT(tests));
}
