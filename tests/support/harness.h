/* What every test program shares: a case for each number of workers, a watchdog that names the test
 * it kills, time bounds that know about slow builds, and checks that print words.
 *
 * A program is run with no argument for all its tests, or with a pattern such as "cancel_*". */
#ifndef SKT_HARNESS_H
#define SKT_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "skua/skua.h"

#include <pthread.h>

/* What a test finds behind its state. */
struct skt_case {
    const char *name;
    int workers; /* of the pool it opens */
};

#define SKT_NAMED(test, name, n)                                                                   \
    ((struct CMUnitTest){ name, test, skt_begin, skt_end, &(struct skt_case){ name, n } })
#define SKT_AT(test, n) SKT_NAMED(test, #test "/" #n, n)
/* A test that makes its own pools. */
#define SKT_TEST(test)  SKT_NAMED(test, #test, 2)
/* A test that holds at 1, 2 and 8 workers. */
#define SKT_EACH(test)  SKT_AT(test, 1), SKT_AT(test, 2), SKT_AT(test, 8)

#define SKT_COUNT(array) (sizeof(array) / sizeof *(array))

/* Compares a status with a constant, and prints the names of both. */
#define assert_status(got, wanted) assert_string_equal(skua_strstatus(got), #wanted)

int skt_main(int argc, char **argv, const char *group, const struct CMUnitTest tests[], size_t n);
int skt_begin(void **state);
int skt_end(void **state);

int skt_workers(void **state);
/* A pool of the case's number of workers; the test closes it. */
skua_executor *skt_pool(void **state);
skua_executor *skt_pool_of(int workers);

/* 1; 10 where a sanitizer or valgrind makes everything slow, or what SKT_SLOW says. */
int skt_slow_factor(void);
/* n rounds, or fewer where everything is slow; at least 1. */
int skt_rounds(int n);
/* Within so many seconds a waiter that was woken must have returned. */
double skt_wake_limit(void);
bool skt_has_tsan(void);
bool skt_has_asan(void);

double skt_now(void);         /* seconds, monotonic */
double skt_cpu_seconds(void); /* of the process, user and system */
void skt_pause(double seconds);
int skt_nr_threads(void); /* of this process */
/* Whether the process gets down to n threads in a moment. */
bool skt_threads_become(int n);

pthread_t skt_thread(void *(*fn)(void *arg), void *arg);
void skt_join(pthread_t thread);

/* A cheap random number; *seed is the thread's own. */
uint32_t skt_random(uint32_t *seed);

#endif
