/* For the tests of crashes: children that crash, and what the parent finds of them. The children do
 * what the sanitizers look for, so the functions that crash are not instrumented. */
#ifndef SKT_CRASHER_H
#define SKT_CRASHER_H

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/mem.h"
#include "process/crash.h"
#include "process/symbols.h"
#include "process/verdict.h"
#include "tests/support/child.h"
#include "tests/support/harness.h"

#define CRASHES                                                                                    \
    __attribute__((unused, noinline, no_sanitize("address"), no_sanitize("undefined"),             \
                   no_sanitize("thread")))

/* Behind the compilers' backs. */
static inline void *address_of(uintptr_t address)
{
    static volatile uintptr_t kept;
    kept = address;
    return (void *)kept;
}

CRASHES static int write_to_null(void)
{
    *(volatile int *)address_of(8) = 1;
    return 0;
}

CRASHES static int call_abort(void)
{
    abort();
}

/* In shared memory. */
struct shared {
    struct sk_crash_record record;
    int nr_notices;
    uint32_t valid_at_notice, frames_at_notice;
    int signal_at_notice;
    uint64_t hint; /* from the child: an address */
};

static struct shared *shared;

/* What the parent finds. */
struct outcome {
    int status, signal;
    bool has_record;
    struct sk_crash_record record;
    struct sk_verdict verdict;
};

static inline void note(void *ctx)
{
    struct shared *to = ctx;
    to->nr_notices++;
    to->valid_at_notice = sk_load_rlx(&to->record.valid);
    to->frames_at_notice = to->record.nr_frames;
    to->signal_at_notice = to->record.signal;
}

static inline int watched(void *fn)
{
    int (*crash)(void) = *(int (**)(void))fn;
    sk_crash_prepare();
    if (sk_crash_watch(&shared->record, note, shared) != 0)
        return 100;
    return crash();
}

static inline struct outcome run_with(int (*crash)(void), struct sk_death death)
{
    memset(shared, 0, sizeof *shared);
    const struct skt_output output = skt_fork(watched, &crash);
    struct outcome o = { .status = output.status, .signal = output.signal };
    o.has_record = sk_crash_read(&shared->record, &o.record);
    death.code = o.signal != 0 ? CLD_KILLED : CLD_EXITED;
    death.status = o.signal != 0 ? o.signal : o.status;
    death.record = o.has_record ? &o.record : NULL;
    death.task = "solve";
    sk_verdict_reach(&death, &o.verdict);
    print_message("%s\n", o.verdict.message);
    return o;
}

static inline struct outcome run(int (*crash)(void))
{
    return run_with(crash, (struct sk_death){ .ran = 0.12 });
}

static inline void check(const struct outcome *o, int signo, int code)
{
    assert_int_equal(o->signal, signo);
    assert_true(o->has_record);
    assert_int_equal(shared->nr_notices, 1);
    assert_int_equal(shared->signal_at_notice, signo);
    assert_int_equal(o->record.signal, signo);
    assert_int_equal(o->record.code, code);
    assert_true(o->record.nr_frames >= 1);
    assert_true(o->record.frames[0] == o->record.ip);
    assert_int_equal(o->verdict.signal, signo);
}

/* A child is a copy, so its addresses have their names here too. */
static inline void check_frames_name(const struct outcome *o, const char *function)
{
    if (!SKUA_HAS_LIBDW)
        return;
    char *words = sk_symbols_describe(o->record.frames, o->record.nr_frames);
    assert_non_null(words);
    if (strstr(words, function) == NULL)
        fail_msg("no %s in\n%s", function, words);
    sk_free(words);
}

static inline int begin(void **state)
{
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return -1;
    return skt_begin(state);
}

static inline int end(void **state)
{
    munmap(shared, sizeof *shared);
    return skt_end(state);
}

static inline void skip_under_tsan(const char *why)
{
    if (!skt_has_tsan())
        return;
    print_message("ThreadSanitizer %s\n", why);
    skip();
}

#define CRASH(test) ((struct CMUnitTest){ #test, test, begin, end, &(struct skt_case){ #test, 1 } })

static inline void leave_no_core_files(void)
{
    setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
}

#endif
