/* The worker processes of one pool, seen from the parent: seats with a process each, a spare, and
 * the parcels that wait for one or are on the wire. A process that dies takes one parcel with it,
 * the one it had begun; another process takes the seat. Thread-safe, but for open and close. */
#ifndef SK_PROCESS_CREW_H
#define SK_PROCESS_CREW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "process/child.h"
#include "process/verdict.h"
#include "sched/inbox.h"
#include "skua/executor.h"

struct sk_crew;
struct sk_member;
struct sk_parcel;

/* How a parcel ended. */
enum sk_parcel_end {
    SK_PARCEL_RETURNED, /* 0 */
    SK_PARCEL_FAILED,   /* a code that is not 0: code, words */
    SK_PARCEL_LOST,     /* its process died: loss */
    SK_PARCEL_REFUSED   /* the crew broke before it had begun: see sk_crew_broken() */
};

/* What is known of a process that died under a parcel. */
struct sk_loss {
    struct sk_verdict verdict;
    uint32_t nr_frames;
    uint64_t frames[SK_CRASH_FRAMES];
};

/* What a parcel's owner does. */
struct sk_parcel_class {
    /* It was seen to have begun; under the crew's lock. At most once. */
    void (*begin)(struct sk_parcel *parcel);
    /* It was withdrawn; under the crew's lock. Then it is its owner's until sk_crew_rid(). */
    void (*withdrawn)(struct sk_parcel *parcel);
    /* It has ended, and its result, if any, is in its place. Once, without the lock, in any thread.
     * True: tell() is to be called too. */
    bool (*end)(struct sk_parcel *parcel);
    /* Whatever runs functions of the user; in the crew's own thread for that. */
    void (*tell)(struct sk_parcel *parcel);
    /* The crew is rid of it; the last that it does with it. */
    void (*release)(struct sk_parcel *parcel);
};

/* A call of fn(arg, result) in a worker. Its owner's memory. */
struct sk_parcel {
    /* the owner's; constant */
    const struct sk_parcel_class *class;
    uintptr_t fn;
    void *arg; /* arg_size bytes of it travel; 0: the pointer itself */
    void *result;
    size_t arg_size, result_size;
    bool placed; /* result is shared memory: it is written there at once */
    enum sk_lane lane;
    double time_limit; /* seconds; 0: none */
    const char *name;  /* or NULL */
    /* how it ended */
    enum sk_parcel_end end;
    int code;
    int worker;                    /* the seat that ran it, or -1 */
    struct sk_wire_failure *words; /* SK_PARCEL_FAILED; for sk_free(); NULL: no memory */
    struct sk_loss *loss;          /* SK_PARCEL_LOST; for sk_free(); NULL: no memory */
    skua_status status;            /* SK_PARCEL_LOST: the verdict's */
    /* the crew's, under its lock */
    struct sk_parcel *next, *previous; /* in its lane, or among those that have ended */
    struct sk_parcel *older, *newer;   /* among those that the crew is not rid of */
    uint64_t serial;
    struct sk_member *member; /* whose wire it is on, or NULL */
    uint32_t index;           /* on that wire */
    unsigned tries;
    bool queued, stopped;
    bool begun;                /* in the process that has it */
    bool announced;            /* begin() was called, this time or in an earlier try */
    unsigned stuck;            /* processes that were given it and did not begin it */
    int64_t begun_ns, kill_ns; /* kill_ns: when the grace after a stop is over */
    void *block;               /* in the heap, for what does not fit the wire's rooms */
};

struct sk_crew_config {
    int nr_workers; /* 0: as the machine suggests */
    skua_bind bind;
    const char *name;
    uint64_t tasks_per_worker, memory_limit;
    unsigned retries;
    double grace;
    int harden;
    int (*call)(uintptr_t fn, void *arg, void *result, struct sk_wire_failure *words);
    int (*init)(void *ctx, struct sk_wire_failure *words); /* NULL: none */
    void *init_ctx;
};

enum {
    SK_CREW_WORDS = 500
};

/* Starts it and waits for the first process. 0 or a negative errno value, with words in why. */
int sk_crew_open(struct sk_crew **out, const struct sk_crew_config *config, char *why, size_t size);
/* Kills whatever is left and frees all but the memory of the crew itself: verbs that come later
 * find it shut down and without parcels. In a forked process it only frees. */
void sk_crew_close(struct sk_crew *crew);
void sk_crew_free(struct sk_crew *crew); /* that memory; NULL is fine */
/* Ends the crew's threads, and nothing else: the program exits. */
void sk_crew_end(struct sk_crew *crew);
/* Whether this is the process that opened it. */
bool sk_crew_here(const struct sk_crew *crew);
int sk_crew_workers(const struct sk_crew *crew);
const char *sk_crew_name(const struct sk_crew *crew);
unsigned sk_crew_retries(const struct sk_crew *crew);
struct sk_heap *sk_crew_heap(struct sk_crew *crew);

/* Whether workers know the function; if not, why in words. */
bool sk_crew_knows(struct sk_crew *crew, uintptr_t fn, char *why, size_t size);
/* From now on workers are copies of the program as it is now. */
int sk_crew_refresh(struct sk_crew *crew, char *why, size_t size);

/* 0: the parcel is the crew's until its release(); -ESHUTDOWN; -EPIPE: broken; -ENOMEM. */
int sk_crew_submit(struct sk_crew *crew, struct sk_parcel *parcel);
/* Takes it back before it begins: true: it never began and never will; then the crew waits for
 * sk_crew_rid(). */
bool sk_crew_withdraw(struct sk_crew *crew, struct sk_parcel *parcel);
/* The owner is done with a parcel that it withdrew; release() is called. */
void sk_crew_rid(struct sk_crew *crew, struct sk_parcel *parcel);
/* Asks the parcel's task to stop; after the grace its process is killed. */
void sk_crew_stop(struct sk_crew *crew, struct sk_parcel *parcel);
void sk_crew_stop_all(struct sk_crew *crew);
/* Some parcel that has not begun, withdrawn as above; NULL: there is none. */
struct sk_parcel *sk_crew_withdraw_any(struct sk_crew *crew);

/* Sees what there is to see: begun parcels, replies. Costs little; true if something has ended. */
bool sk_crew_look(struct sk_crew *crew);
/* The same, unless another thread is at it: for who waits spinning. */
bool sk_crew_attend(struct sk_crew *crew);

/* Takes no more parcels. */
void sk_crew_shutdown(struct sk_crew *crew);
bool sk_crew_is_shut_down(const struct sk_crew *crew);
/* Waits until the crew is rid of every parcel; false if the deadline passed. */
bool sk_crew_wait(struct sk_crew *crew, int64_t deadline_ns);
/* Whether it is of no more use; then words say why. */
bool sk_crew_broken(struct sk_crew *crew, char *why, size_t size);
/* Whether the calling thread runs tell() for it. */
bool sk_crew_telling(const struct sk_crew *crew);
/* Whether somebody waits for parcels to begin: then that is seen at once. */
void sk_crew_want_begun(struct sk_crew *crew, bool wanted);

void sk_crew_stats(struct sk_crew *crew, skua_stats *stats);

/* Frees shared memory once every parcel submitted so far has ended. */
bool sk_crew_free_shared(struct sk_crew *crew, void *memory);

#endif
