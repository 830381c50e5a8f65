/* A machine that has little to give: no descriptors, no processes, no memfd, no /proc. The pool is
 * made, or refused with words, with nothing left of it; one that loses its means afterwards says so
 * by its futures. Each case plays in a child of its own, which takes those means away from itself
 * and returns 0, or the number of the line that was wrong. */
#define _GNU_SOURCE
#include "tests/support/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/support/child.h"
#include "tests/support/gate.h"
#include "tests/support/process.h"

/* The exit status is 7 bits of it; the line itself goes to stderr, which the test prints. */
#define FAIL_HERE() (fprintf(stderr, "process_scarce.c:%d\n", __LINE__), 1)

/* What a child says when it cannot play its part. */
#define CANNOT 99

/* Does everything once. The pool works, or it was refused for want of something. */
static int make_use_and_close(int *nr_made)
{
    skua_executor *ex = skua_process_pool(&(skua_options){ .workers = 2 });
    if (ex == NULL) {
        const skua_error *e = skua_last_error();
        fprintf(stderr, "refused: %s\n", e->message);
        if (e->status != SKUA_NO_MEMORY && e->status != SKUA_INVALID)
            return FAIL_HERE();
        return strlen(e->message) > 0 ? 0 : FAIL_HERE();
    }
    ++*nr_made;
    skua_future *fs[30];
    for (int i = 0; i < 30; i++)
        fs[i] = i % 10 == 5 ? skua_submit(ex, skt_crash, NULL) : skt_submit_int(ex, skt_square, i);
    for (int i = 0; i < 30; i++) {
        const skua_error *e = skua_exception(fs[i], 10 * skt_slow_factor());
        if (e != NULL && e->status == SKUA_TIMEOUT)
            return FAIL_HERE();
        if (e != NULL && strlen(e->message) == 0)
            return FAIL_HERE();
        if (e != NULL && i % 10 != 5 && e->status != SKUA_BROKEN_PROCESS_POOL &&
            e->status != SKUA_NO_MEMORY)
            return FAIL_HERE();
        skua_release(fs[i]);
    }
    skua_close(ex);
    return 0;
}

static int nr_open(void)
{
    int n = 0;
    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* ---- descriptors ----------------------------------------------------------------------------- */

static int run_out_of_descriptors(void *arg)
{
    (void)arg;
    struct rlimit limit;
    int nr_made = 0, highest = 0;
    if (make_use_and_close(&nr_made) != 0 || nr_made != 1)
        return FAIL_HERE();
    const int before = nr_open();
    for (int fd = 0; fd < 1024; fd++)
        highest = fcntl(fd, F_GETFD) >= 0 ? fd : highest;
    getrlimit(RLIMIT_NOFILE, &limit);
    for (int more = 0; more < 40; more++) {
        limit.rlim_cur = (rlim_t)(highest + 1 + more);
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || make_use_and_close(&nr_made) != 0)
            return FAIL_HERE();
        if (nr_open() != before)
            return FAIL_HERE();
    }
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    return skt_family_becomes(0) && nr_made > 1 ? 0 : FAIL_HERE();
}

static void without_descriptors_it_is_refused_and_leaks_nothing(void **state)
{
    (void)state;
    assert_int_equal(skt_fork(run_out_of_descriptors, NULL).status, 0);
}

/* The pool is there already. */
static int run_out_of_descriptors_later(void *arg)
{
    (void)arg;
    skua_executor *ex = skua_process_pool(&(skua_options){ .workers = 2 });
    if (ex == NULL || !skt_works(ex))
        return FAIL_HERE();
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = 3;
    setrlimit(RLIMIT_NOFILE, &limit);
    for (int i = 0; i < 20; i++) {
        skua_future *f = skua_submit(ex, skt_crash, NULL);
        const skua_error *e = skua_exception(f, 10 * skt_slow_factor());
        if (e == NULL || e->status == SKUA_TIMEOUT || strlen(e->message) == 0)
            return FAIL_HERE();
        skua_release(f);
    }
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    skua_future *f = skua_submit(ex, skt_nothing, NULL);
    const skua_error *e = skua_exception(f, 10 * skt_slow_factor());
    fprintf(stderr, "afterwards: %s\n", e != NULL ? e->message : "it works");
    if (e != NULL && e->status != SKUA_BROKEN_PROCESS_POOL && e->status != SKUA_NO_MEMORY)
        return FAIL_HERE();
    skua_release(f);
    skua_close(ex);
    return skt_family_becomes(0) ? 0 : FAIL_HERE();
}

static void running_out_of_descriptors_later_hangs_nobody(void **state)
{
    (void)state;
    assert_int_equal(skt_fork(run_out_of_descriptors_later, NULL).status, 0);
}

/* ---- processes ------------------------------------------------------------------------------- */

/* The limit holds for ordinary users only. */
static bool become_nobody(void)
{
    if (geteuid() != 0)
        return true;
    return setgid(65533) == 0 && setuid(65533) == 0 && prctl(PR_SET_DUMPABLE, 1) == 0;
}

static int run_out_of_processes(void *arg)
{
    (void)arg;
    int nr_made = 0;
    if (!become_nobody())
        return CANNOT;
    const int before = nr_open();
    for (int most = 1; most < 16; most++) {
        struct rlimit limit;
        getrlimit(RLIMIT_NPROC, &limit);
        limit.rlim_cur = (rlim_t)most;
        if (setrlimit(RLIMIT_NPROC, &limit) != 0)
            return CANNOT;
        if (make_use_and_close(&nr_made) != 0 || nr_open() != before || !skt_family_becomes(0))
            return FAIL_HERE();
    }
    return 0;
}

static void without_processes_it_is_refused_and_leaks_nothing(void **state)
{
    (void)state;
    const struct skt_output o = skt_fork(run_out_of_processes, NULL);
    if (o.status == CANNOT)
        skip();
    assert_int_equal(o.status, 0);
}

static int run_out_of_processes_later(void *arg)
{
    (void)arg;
    if (!become_nobody())
        return CANNOT;
    skua_executor *ex = skua_process_pool(&(skua_options){ .workers = 2 });
    if (ex == NULL)
        return CANNOT;
    const pid_t zygote = skt_parent_of(skt_ask(ex, skt_tell_pid));
    struct rlimit before;
    if (prlimit(zygote, RLIMIT_NPROC, &(struct rlimit){ 0, 0 }, &before) != 0)
        return CANNOT;
    for (int i = 0; i < 20; i++) {
        skua_future *f = skua_submit(ex, skt_crash, NULL);
        const skua_error *e = skua_exception(f, 20 * skt_slow_factor());
        if (e == NULL || e->status == SKUA_TIMEOUT || strlen(e->message) == 0)
            return FAIL_HERE();
        if (i == 19)
            fprintf(stderr, "at last: %s\n", e->message);
        skua_release(f);
    }
    skua_close(ex);
    return skt_family_becomes(0) ? 0 : FAIL_HERE();
}

static void running_out_of_processes_later_ends_in_words(void **state)
{
    (void)state;
    const struct skt_output o = skt_fork(run_out_of_processes_later, NULL);
    if (o.status == CANNOT)
        skip();
    assert_int_equal(o.status, 0);
}

/* ---- system calls that are not there --------------------------------------------------------- */

/* From here on a system call gives an error, in this process and all that come from it. */
static bool take_away(long number, int error)
{
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog filter = { .len = SKT_COUNT(program), .filter = program };
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

struct missing {
    long number;
    int error;
};

static int do_without(void *arg)
{
    const struct missing *m = arg;
    int nr_made = 0;
    if (!take_away(m->number, m->error))
        return CANNOT;
    const int before = nr_open();
    for (int i = 0; i < 2; i++)
        if (make_use_and_close(&nr_made) != 0 || nr_open() != before || !skt_family_becomes(0))
            return FAIL_HERE();
    return nr_made == 0 ? 0 : 2;
}

static void without_a_system_call_it_is_refused_or_works(void **state)
{
    (void)state;
    static struct missing missing[] = {
        { SYS_memfd_create, ENOSYS },   { SYS_memfd_create, EMFILE },
        { SYS_memfd_create, ENOMEM },   { SYS_pidfd_open, ENOSYS },
        { SYS_clone3, ENOSYS },         { SYS_clone, EAGAIN },
        { SYS_socketpair, EMFILE },     { SYS_eventfd2, EMFILE },
        { SYS_pipe2, EMFILE },          { SYS_epoll_create1, EMFILE },
        { SYS_prctl, EPERM },           { SYS_prlimit64, EPERM },
        { SYS_close_range, ENOSYS },    { SYS_pidfd_send_signal, EPERM },
        { SYS_timerfd_create, EMFILE }, { SYS_sigaltstack, EPERM },
    };
    for (size_t i = 0; i < SKT_COUNT(missing); i++) {
        if (missing[i].number == SYS_sigaltstack && skt_has_asan())
            continue; /* AddressSanitizer itself cannot do without */
        const struct skt_output o = skt_fork(do_without, &missing[i]);
        print_message("system call %ld, error %d: %s\n", missing[i].number, missing[i].error,
                      o.status == 0   ? "refused"
                      : o.status == 2 ? "works without"
                                      : "cannot be taken away");
        assert_true(o.status == 0 || o.status == 2 || o.status == CANNOT);
        if (missing[i].number == SYS_memfd_create && o.status != CANNOT)
            assert_int_equal(o.status, 0);
    }
}

/* ---- no /proc -------------------------------------------------------------------------------- */

static int do_without_proc(void *arg)
{
    (void)arg;
    int nr_made = 0;
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        umount2("/proc", MNT_DETACH) != 0)
        return CANNOT;
    const int before = nr_open();
    for (int i = 0; i < 2; i++)
        if (make_use_and_close(&nr_made) != 0 || nr_open() != before)
            return FAIL_HERE();
    return nr_made == 2 ? 2 : 0;
}

static void without_proc_it_is_refused_or_works(void **state)
{
    (void)state;
    if (skt_has_asan() || skt_has_tsan()) {
        print_message("sanitizers do not work without /proc\n");
        skip();
    }
    const struct skt_output o = skt_fork(do_without_proc, NULL);
    if (o.status == CANNOT) {
        print_message("/proc cannot be taken away here\n");
        skip();
    }
    print_message("without /proc: %s\n%s", o.status == 2 ? "works" : "refused", o.err);
    assert_true(o.status == 0 || o.status == 2);
    assert_true(skt_family_becomes(0));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(without_descriptors_it_is_refused_and_leaks_nothing),
        SKT_TEST(running_out_of_descriptors_later_hangs_nobody),
        SKT_TEST(without_processes_it_is_refused_and_leaks_nothing),
        SKT_TEST(running_out_of_processes_later_ends_in_words),
        SKT_TEST(without_a_system_call_it_is_refused_or_works),
        SKT_TEST(without_proc_it_is_refused_or_works),
    };
    return skt_main(argc, argv, "process_scarce", tests, SKT_COUNT(tests));
}
