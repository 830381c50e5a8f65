/* What a worker can and cannot do to the memory it shares with its parent. */
#define _GNU_SOURCE
#include "process/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/harness.h"

/* Runs fn in a process that has entered the channel; how it ended, as of waitpid(). */
static int in_worker(struct sk_channel *channel, void (*fn)(struct sk_channel *mine, int fd))
{
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct sk_channel mine;
        int fd = dup(channel->fd);
        struct rlimit none = { 0, 0 };
        setrlimit(RLIMIT_CORE, &none);
        signal(SIGSEGV, SIG_DFL);
        if (sk_channel_enter(&mine, channel->fd) != 0)
            _exit(99);
        fn(&mine, fd);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void write_up(struct sk_channel *mine, int fd)
{
    (void)fd;
    mine->up->wire.replies[0].code = 42;
    mine->up->crash.signal = (int32_t)mine->down->orders[3].fn;
}

static void both_sides_see_the_same(void **state)
{
    (void)state;
    struct sk_channel channel;
    assert_int_equal(sk_channel_open(&channel), 0);
    channel.down->orders[3].fn = 11;
    assert_int_equal(in_worker(&channel, write_up), 0);
    assert_int_equal(channel.up->wire.replies[0].code, 42);
    assert_int_equal(channel.up->crash.signal, 11);
    sk_channel_close(&channel);
}

static void write_down(struct sk_channel *mine, int fd)
{
    (void)fd;
    *(volatile uint64_t *)&mine->down->orders[3].fn = 1;
}

static void orders_cannot_be_written(void **state)
{
    (void)state;
    struct sk_channel channel;
    assert_int_equal(sk_channel_open(&channel), 0);
    int status = in_worker(&channel, write_down);
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) != 0); /* a sanitizer's handler exits */
    assert_int_equal(channel.down->orders[3].fn, 0);
    sk_channel_close(&channel);
}

static void overrun(struct sk_channel *mine, int fd)
{
    (void)fd;
    long page = sysconf(_SC_PAGESIZE);
    volatile char *end = (char *)mine->up - 1;
    for (long i = 0; i < page; i++)
        end[-i] = 1;
}

static void a_guard_lies_between_the_halves(void **state)
{
    (void)state;
    struct sk_channel channel;
    assert_int_equal(sk_channel_open(&channel), 0);
    int status = in_worker(&channel, overrun);
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) != 0);
    sk_channel_close(&channel);
}

static void cut_off(struct sk_channel *mine, int fd)
{
    (void)mine;
    if (ftruncate(fd, 0) == 0 || errno != EPERM)
        _exit(1);
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == 0)
        _exit(2);
}

static void it_cannot_be_shrunk_under_the_parent(void **state)
{
    (void)state;
    struct sk_channel channel;
    assert_int_equal(sk_channel_open(&channel), 0);
    assert_int_equal(in_worker(&channel, cut_off), 0);
    channel.up->wire.rooms[SK_WIRE_SLOTS - 1][0] = 1; /* no SIGBUS */
    sk_channel_close(&channel);
}

static int nr_fds(void)
{
    int n = 0;
    for (int fd = 0; fd < 1000; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void out_of_descriptors_leaves_nothing(void **state)
{
    (void)state;
    struct sk_channel channel;
    struct rlimit before, none;
    int fds = nr_fds();
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    int error = sk_channel_open(&channel);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(error, -EMFILE);
    sk_channel_close(&channel);
    assert_int_equal(nr_fds(), fds);
}

static void closing_gives_all_back(void **state)
{
    (void)state;
    struct sk_channel channel;
    int fds = nr_fds();
    for (int i = 0; i < 100; i++) {
        assert_int_equal(sk_channel_open(&channel), 0);
        if (i % 2 == 0)
            sk_channel_close_fd(&channel);
        sk_channel_close(&channel);
        sk_channel_close(&channel);
    }
    assert_int_equal(nr_fds(), fds);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(both_sides_see_the_same),           SKT_TEST(orders_cannot_be_written),
        SKT_TEST(a_guard_lies_between_the_halves),   SKT_TEST(it_cannot_be_shrunk_under_the_parent),
        SKT_TEST(out_of_descriptors_leaves_nothing), SKT_TEST(closing_gives_all_back),
    };
    return skt_main(argc, argv, "channel", tests, SKT_COUNT(tests));
}
