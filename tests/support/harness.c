/* The frame of a test program. The watchdog is alarm(): it needs no thread, and its handler only
 * writes the name of the running test and ends the process. */
#define _GNU_SOURCE
#include "tests/support/harness.h"

#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define HANG_SECONDS     60
#define HANG_SECONDS_MAX 100 /* below the limit of a whole program, which names no test */

static const char *current_test = "no test"; /* main writes, the watchdog reads */

static void say(const char *s)
{
    ssize_t ignored = write(STDERR_FILENO, s, strlen(s));
    (void)ignored;
}

static void on_alarm(int signo)
{
    (void)signo;
    say("watchdog: hang in ");
    say(current_test);
    say("\n");
    _exit(1);
}

int skt_main(int argc, char **argv, const char *group, const struct CMUnitTest tests[], size_t n)
{
    signal(SIGALRM, on_alarm);
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return _cmocka_run_group_tests(group, tests, n, NULL, NULL);
}

int skt_begin(void **state)
{
    current_test = ((const struct skt_case *)*state)->name;
    const int seconds = HANG_SECONDS * skt_slow_factor();
    alarm((unsigned)(seconds < HANG_SECONDS_MAX ? seconds : HANG_SECONDS_MAX));
    return 0;
}

int skt_end(void **state)
{
    (void)state;
    alarm(0);
    skua_set_log(NULL, NULL);
    return 0;
}

int skt_workers(void **state)
{
    return ((const struct skt_case *)*state)->workers;
}

skua_executor *skt_pool_of(int workers)
{
    skua_executor *ex = skua_thread_pool(&(skua_options){ .workers = workers });
    assert_non_null(ex);
    assert_int_equal(skua_workers(ex), workers);
    return ex;
}

skua_executor *skt_pool(void **state)
{
    return skt_pool_of(skt_workers(state));
}

bool skt_has_tsan(void)
{
#if defined(__SANITIZE_THREAD__)
    return true;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
    return true;
#endif
#endif
    return false;
}

bool skt_has_asan(void)
{
#if defined(__SANITIZE_ADDRESS__)
    return true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
    return true;
#endif
#endif
    return false;
}

int skt_slow_factor(void)
{
    const char *told = getenv("SKT_SLOW");
    if (told != NULL && atoi(told) >= 1)
        return atoi(told);
    const char *preload = getenv("LD_PRELOAD");
    const bool valgrind = preload != NULL && strstr(preload, "vgpreload") != NULL;
    return skt_has_tsan() || skt_has_asan() || valgrind ? 10 : 1;
}

int skt_rounds(int n)
{
    const int rounds = n / skt_slow_factor();
    return rounds < 1 ? 1 : rounds;
}

double skt_wake_limit(void)
{
    return 0.5 * skt_slow_factor();
}

double skt_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

double skt_cpu_seconds(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

void skt_pause(double seconds)
{
    const double end = skt_now() + seconds;
    for (double left = seconds; left > 0; left = end - skt_now()) {
        struct timespec t = { .tv_sec = (time_t)left };
        t.tv_nsec = (long)((left - (double)t.tv_sec) * 1e9);
        nanosleep(&t, NULL); /* not synchronisation: the callers say what it is for */
    }
}

int skt_nr_threads(void)
{
    DIR *dir = opendir("/proc/self/task");
    assert_non_null(dir);
    int n = 0;
    for (const struct dirent *e; (e = readdir(dir)) != NULL;)
        n += e->d_name[0] != '.';
    closedir(dir);
    return n;
}

bool skt_threads_become(int n)
{
    const double limit = skt_now() + 5 * skt_slow_factor();
    while (skt_nr_threads() > n) {
        if (skt_now() > limit)
            return false;
        sched_yield();
    }
    return true;
}

pthread_t skt_thread(void *(*fn)(void *arg), void *arg)
{
    pthread_t thread;
    const int rc = pthread_create(&thread, NULL, fn, arg);
    if (rc != 0) {
        fprintf(stderr, "pthread_create: %s\n", strerror(rc));
        abort();
    }
    return thread;
}

void skt_join(pthread_t thread)
{
    assert_int_equal(pthread_join(thread, NULL), 0);
}

uint32_t skt_random(uint32_t *seed)
{
    uint32_t x = *seed != 0 ? *seed : 2463534242u;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return *seed = x;
}
