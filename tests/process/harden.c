/* Rights given up: what a hardened process cannot do any more, and what it still can. */
#define _GNU_SOURCE
#include "process/harden.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/child.h"
#include "tests/support/harness.h"

extern char **environ;

/* Whether an expression fails so. */
#define FAILS(call, error) (errno = 0, (call) == -1 && errno == (error))

static void need_seccomp(void)
{
    if (sk_harden_check(SKUA_SECCOMP) != 0)
        skip();
}

static int child_starts_programs(void *arg)
{
    (void)arg;
    char name[] = "/bin/true", *const program[] = { name, NULL };
    pid_t pid;
    if (sk_harden(SKUA_SECCOMP) != 0)
        return 1;
    if (!FAILS(execve(program[0], program, environ), EPERM) ||
        !FAILS(syscall(SYS_execveat, -1, program[0], program, environ, 0), EPERM))
        return 2;
    return posix_spawn(&pid, program[0], NULL, NULL, program, environ) == EPERM ? 0 : 3;
}

static void programs_are_refused(void **state)
{
    (void)state;
    need_seccomp();
    assert_int_equal(skt_fork(child_starts_programs, NULL).status, 0);
}

static int child_uses_sockets(void *arg)
{
    const struct sockaddr address = { .sa_family = AF_UNIX };
    int *pair = arg, more[2];
    char byte = 'x';
    if (sk_harden(SKUA_SECCOMP) != 0)
        return 1;
    if (!FAILS(socket(AF_INET, SOCK_STREAM, 0), EPERM) ||
        !FAILS(socket(AF_UNIX, SOCK_STREAM, 0), EPERM) ||
        !FAILS(connect(pair[0], &address, sizeof address), EPERM) ||
        !FAILS(bind(pair[0], &address, sizeof address), EPERM))
        return 2;
    if (!FAILS(syscall(SYS_io_uring_setup, 1, NULL), EPERM))
        return 3;
    if (write(pair[0], &byte, 1) != 1 || read(pair[1], &byte, 1) != 1)
        return 4; /* those that it has go on */
    return socketpair(AF_UNIX, SOCK_STREAM, 0, more) == 0 ? 0 : 5;
}

static void new_sockets_are_refused(void **state)
{
    (void)state;
    need_seccomp();
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(skt_fork(child_uses_sockets, pair).status, 0);
    close(pair[0]);
    close(pair[1]);
}

static int child_looks_at_others(void *arg)
{
    (void)arg;
    const pid_t parent = getppid();
    if (sk_harden(SKUA_SECCOMP) != 0)
        return 1;
    if (!FAILS(ptrace(PTRACE_ATTACH, parent, NULL, NULL), EPERM) ||
        !FAILS(syscall(SYS_process_vm_readv, parent, NULL, 0, NULL, 0, 0), EPERM) ||
        !FAILS(syscall(SYS_pidfd_send_signal, -1, 0, NULL, 0), EPERM))
        return 2;
    if (!FAILS(kill(parent, 0), EPERM) || !FAILS(kill(0, 0), EPERM) || !FAILS(kill(-1, 0), EPERM) ||
        !FAILS(syscall(SYS_tgkill, parent, parent, 0), EPERM) ||
        !FAILS(syscall(SYS_tkill, parent, 0), EPERM))
        return 3;
    return 0;
}

static void other_processes_are_out_of_reach(void **state)
{
    (void)state;
    need_seccomp();
    assert_int_equal(skt_fork(child_looks_at_others, NULL).status, 0);
}

static int child_changes_the_system(void *arg)
{
    (void)arg;
    if (sk_harden(SKUA_SECCOMP) != 0)
        return 1;
    if (!FAILS(syscall(SYS_mount, NULL, NULL, NULL, 0, NULL), EPERM) ||
        !FAILS(chroot("/"), EPERM) || !FAILS(unshare(CLONE_NEWUSER), EPERM) ||
        !FAILS(unshare(CLONE_FILES), EPERM) ||
        !FAILS(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0), EPERM) ||
        !FAILS(syscall(SYS_clone3, NULL, 0), ENOSYS))
        return 2;
    return FAILS(syscall(SYS_bpf, 0, NULL, 0), EPERM) &&
                   FAILS(syscall(SYS_perf_event_open, NULL, 0, 0, 0, 0), EPERM) &&
                   FAILS(syscall(SYS_userfaultfd, 0), EPERM)
               ? 0
               : 3;
}

static void the_system_is_out_of_reach(void **state)
{
    (void)state;
    need_seccomp();
    assert_int_equal(skt_fork(child_changes_the_system, NULL).status, 0);
}

/* --- what goes on --- */

static volatile sig_atomic_t nr_signals;

static void on_signal(int signo)
{
    (void)signo;
    nr_signals++;
}

static void *count_one(void *arg)
{
    raise(SIGUSR1);
    return arg;
}

static int child_works(void *arg)
{
    struct timespec time;
    int fds[2], status;
    (void)arg;
    if (sk_harden(SKUA_SECCOMP) != 0)
        return 1;
    char *memory = malloc(100000),
         *pages = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == NULL || pages == MAP_FAILED || clock_gettime(CLOCK_REALTIME, &time) != 0)
        return 2;
    memset(memory, pages[0], 100000);
    const int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    FILE *file = tmpfile();
    if (read(fd, memory, 1000) <= 0 || file == NULL || fputs(memory, file) < 0 || fclose(file) != 0)
        return 3;
    free(memory);
    signal(SIGUSR1, on_signal);
    pthread_t thread;
    if (pthread_create(&thread, NULL, count_one, NULL) != 0 || pthread_join(thread, NULL) != 0)
        return 4;
    struct iovec from = { &time, 1 }, to = { fds, 1 };
    if (process_vm_readv(getpid(), &to, 1, &from, 1, 0) != 1)
        return 7; /* crash handlers look at memory so */
    raise(SIGUSR1);
    kill(getpid(), SIGUSR1);
    pthread_kill(pthread_self(), SIGUSR1);
    if (nr_signals != 4 || pipe(fds) != 0)
        return 5;
    const pid_t pid = fork();
    if (pid == 0)
        _exit(9);
    return waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 9 ? 0 : 6;
}

static void ordinary_work_goes_on(void **state)
{
    (void)state;
    need_seccomp();
    assert_int_equal(skt_fork(child_works, NULL).status, 0);
}

static int child_aborts(void *arg)
{
    (void)arg;
    if (sk_harden(SKUA_SECCOMP) != 0)
        return 1;
    signal(SIGABRT, SIG_DFL);
    abort();
}

static int child_is_killed(void *arg)
{
    (void)arg;
    if (sk_harden(SKUA_SECCOMP) == 0)
        kill(getpid(), SIGKILL);
    return 1;
}

static void deaths_stay_what_they_are(void **state)
{
    (void)state;
    need_seccomp();
    assert_int_equal(skt_fork(child_aborts, NULL).signal, SIGABRT);
    assert_int_equal(skt_fork(child_is_killed, NULL).signal, SIGKILL);
}

static int child_gains_no_privileges(void *arg)
{
    (void)arg;
    if (sk_harden(0) != 0 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 0)
        return 1;
    if (sk_harden(SKUA_NO_NEW_PRIVS) != 0 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
        return 2;
    return prctl(PR_GET_SECCOMP) == 0 && socket(AF_UNIX, SOCK_STREAM, 0) >= 0 ? 0 : 3;
}

static void no_new_privileges_alone_refuse_nothing(void **state)
{
    (void)state;
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 0 || prctl(PR_GET_SECCOMP) != 0)
        skip(); /* the test was started so */
    assert_int_equal(sk_harden_check(SKUA_NO_NEW_PRIVS), 0);
    assert_int_equal(skt_fork(child_gains_no_privileges, NULL).status, 0);
}

static void to_ask_changes_nothing(void **state)
{
    (void)state;
    assert_int_equal(sk_harden_check(0), 0);
    const int before = prctl(PR_GET_SECCOMP), privileges = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
    sk_harden_check(SKUA_SECCOMP | SKUA_NO_NEW_PRIVS);
    assert_int_equal(prctl(PR_GET_SECCOMP), before);
    assert_int_equal(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), privileges);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(programs_are_refused),
        SKT_TEST(new_sockets_are_refused),
        SKT_TEST(other_processes_are_out_of_reach),
        SKT_TEST(the_system_is_out_of_reach),
        SKT_TEST(ordinary_work_goes_on),
        SKT_TEST(deaths_stay_what_they_are),
        SKT_TEST(no_new_privileges_alone_refuse_nothing),
        SKT_TEST(to_ask_changes_nothing),
    };
    return skt_main(argc, argv, "process/harden", tests, SKT_COUNT(tests));
}
