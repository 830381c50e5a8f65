/* What the checker's files share: the threads of the running test, their vector clocks, and the
 * calls between the scheduler (schedule.c), the search (search.c), the store histories
 * (histories.c), the plain variables (plain.c), memory (heap.c), futexes (sleepers.c) and the
 * trace (trace.c). */
#ifndef SK_TESTS_MODEL_ENGINE_H
#define SK_TESTS_MODEL_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/model/checker.h"
#include "tests/model/fiber.h"

/* at[t]: how many of thread t's steps are known. */
struct model_clock {
    uint16_t at[MODEL_THREADS];
};

static inline void model_clock_join(struct model_clock *a, const struct model_clock *b)
{
    for (int t = 0; t < MODEL_THREADS; t++) {
        if (b->at[t] > a->at[t])
            a->at[t] = b->at[t];
    }
}

/* Where something is done: as written there, or the code's address; or neither. */
struct model_place {
    const char *site;
    const void *pc;
};

enum model_state {
    MODEL_READY,
    MODEL_ASLEEP, /* in a futex wait */
    MODEL_ENDED
};

/* Why a sleeper goes on. */
enum model_waking {
    MODEL_WOKEN,
    MODEL_TIMED_OUT,
    MODEL_NO_REASON
};

struct model_actor {
    struct model_fiber fiber;
    void (*run)(void);
    enum model_state state;
    struct model_clock before; /* what happens before its next step */
    struct model_clock
        view;         /* before, and what it sees through fences without being ordered by it */
    int fence_step;   /* the step of its last seq_cst fence; 0: none */
    int sc_time;      /* the step of the last seq_cst operation that happens before its next one */
    bool chosen;      /* was just chosen to go on: its next step needs no choice of its own */
    bool paused;      /* spins, and nothing was written since it looked */
    int idle_pauses;  /* of its pauses in a row, those with nothing written between */
    const void *word; /* asleep on it */
    int64_t deadline;
    enum model_waking waking;
    int priority; /* in a random execution */
};

struct model_engine {
    const struct model_test *test;
    struct model_actor actor[MODEL_THREADS];
    int nr;       /* threads of the test */
    int me;       /* the running one; -1 in setup and finish */
    bool running; /* the threads run: not setup, not finish */
    int step;     /* of this execution; from 1 */
    int max_steps;
    struct model_clock fences; /* what the seq_cst fences so far have published */
    int64_t now;               /* the time in ns */
    int bound;
    int preemptions; /* so far */
    int max_stale;   /* old values read, at most; of no meaning in a random execution */
    int nr_stale;    /* so far */
    bool random;     /* a random execution: see search.c */
    bool failed;
    char why[512];
};
extern struct model_engine model;

static inline struct model_actor *model_me(void)
{
    return &model.actor[model.me];
}

/* The step to which the running thread's plain accesses belong: its next one, which is the first
 * that can publish them. */
static inline unsigned model_plain_at(void)
{
    return model.running ? model_me()->before.at[model.me] + 1u : 0;
}

/* Whether step `at` of thread t happens before the running thread's next step. */
static inline bool model_knows(int t, unsigned at)
{
    return t < 0 || t == model.me || !model.running || at <= model_me()->before.at[t];
}

/* --- schedule.c --- */
void model_execute(const struct model_test *test); /* one execution, from setup to finish */
/* The choice of who goes next, then a tick. local: nothing that other threads do makes a difference
 * to the step, nor it to them, and there is no choice. */
void model_begin_step(const struct model_place *place, bool local);
void model_wrote(void);    /* something that spinning threads may wait for has changed */
void model_sleep(void);    /* until model.actor[me].state is READY again */
void model_sc_fence(void); /* in the course of a step */

/* --- search.c --- */
void model_random_priorities(void);
int model_random_pick(const int *candidate, int n);
void model_random_demote(void);
void model_random_yield(void);
bool model_random_now_and_then(void);

/* --- locality.c --- */
/* Notes that the running thread's next step uses x. Whether it is local, by what was known when the
 * search began. */
bool model_locality_step(const volatile void *x, bool writes);
void model_locality_forget(void);
/* After a search: whether there was more to know, which from here on is known. */
bool model_locality_learn(void);

/* --- histories.c: atomics --- */
struct model_location;
void model_histories_reset(void);
/* What a relaxed load in the present step reads. */
uint64_t model_read_word(const volatile void *x, size_t size);
/* A plain access to the bytes [x, x + size) must not race with the atomics of that list; a write
 * begins their histories anew. */
void model_histories_plain(struct model_location *list, const volatile void *x, size_t size,
                           bool writes, const struct model_place *place);

/* --- plain.c: plain variables --- */
struct model_plain;
/* What is known of 8 aligned bytes. */
struct model_granule {
    uintptr_t key;
    unsigned execution;             /* other than the present one: of no meaning */
    struct model_plain *plain;      /* their plain variables */
    struct model_location *atomics; /* their atomics */
};
void model_plain_reset(void);
struct model_granule *model_granule_of(const volatile void *x);
void model_plain_access(const volatile void *x, size_t size, bool writes,
                        const struct model_place *place);
/* An atomic access must not race with plain ones. */
void model_plain_check_atomic(const struct model_granule *granule, const volatile void *x,
                              size_t size, bool writes, const struct model_place *place);

/* --- heap.c: base/mem.h --- */
void model_heap_reset(void);
/* An access in step `at` of the running thread: the memory must be allocated, known to be, and not
 * freed. */
void model_heap_touch(const volatile void *x, size_t size, unsigned at,
                      const struct model_place *place);
/* Whether nothing was ever written to the bytes [x, x + size) of memory that was not cleared. */
bool model_heap_is_garbage(const volatile void *x, size_t size);
void model_heap_check_leaks(void);
/* "block 3 + 16" for an address in one; false else. */
bool model_heap_name(uint64_t value, char *text, size_t size);

/* --- trace.c --- */
enum model_event_kind {
    MODEL_AT, /* the step has begun; nothing to say yet */
    MODEL_BEGINS,
    MODEL_ENDS,
    MODEL_READS,
    MODEL_WRITES,
    MODEL_CHANGES,
    MODEL_CAS_FAILS,
    MODEL_SLEEPS,
    MODEL_WAKES,
    MODEL_STIRS,
    MODEL_ALLOCATES,
    MODEL_FREES
};
struct model_event {
    struct model_place place;
    uint64_t value, old;
    int step, thread;
    uint8_t kind; /* enum model_event_kind */
    uint8_t size; /* of the value */
    int newest;   /* reads of an old store: the step that wrote the newest; else -1 */
};
void model_trace_reset(void);
struct model_event *model_trace_add(const struct model_place *place, enum model_event_kind kind);
struct model_event *model_trace_last(void); /* the present step's */
void model_trace_print(void);
/* What is written there, or "file:line" by addr2line where there is one. */
void model_place_name(const struct model_place *place, char *text, size_t size);

#endif
