/* The insides of a crew, shared by crew.c (verbs), traffic.c (the wires), member.c (births and
 * deaths) and supervise.c (the crew's threads). What has _locked in its name wants the crew's
 * lock. */
#ifndef SK_PROCESS_MEMBER_H
#define SK_PROCESS_MEMBER_H

#include <pthread.h>
#include <sys/types.h>

#include "base/lock.h"
#include "process/channel.h"
#include "process/crew.h"
#include "process/limits.h"
#include "process/modules.h"
#include "process/oom.h"
#include "process/zygote.h"
#include "sched/park.h"

enum {
    SK_CREW_LANES = 3,
    SK_CREW_DEATHS = 5 /* so many idle deaths within 10 s are borne, while nothing ends */
};

enum sk_member_phase {
    SK_MEMBER_ORDERED, /* from the zygote */
    SK_MEMBER_BORN,    /* pid and pidfd are known; it boots */
    SK_MEMBER_READY,   /* it takes orders */
    SK_MEMBER_LEAVING, /* it gets no more; it ends after those it has */
    SK_MEMBER_DOOMED   /* dying, by its own doing or by ours */
};

/* One worker process. */
struct sk_member {
    struct sk_member *next;
    struct sk_origin *origin;
    uint32_t serial; /* the zygote's name for it */
    int seat;        /* -1: it has none */
    enum sk_member_phase phase;
    int ordered_for; /* the seat it is counted as on its way to; -1: none */
    bool says_dying; /* it has left a crash record */
    bool retired;    /* it was told to leave, and counted as replaced */
    bool ready_once; /* it has been READY: its death is not one at boot */
    pid_t pid;
    int pidfd, statm; /* -1: none */
    struct sk_channel channel;
    struct sk_wire wire;
    struct sk_parcel *parcels[SK_WIRE_SLOTS]; /* by index; NULL: withdrawn */
    unsigned nr_parcels;                      /* of them that are not NULL */
    uint64_t nr_taken;                        /* orders in its life */
    int64_t sent_ns;     /* when the oldest order on its wire was sent, or came to be it */
    uint64_t used_bytes; /* of memory, at the last look */
    int64_t head_ns;     /* since when its oldest parcel has been that; 0: not noted */
    int64_t look_ns;     /* when to look at its memory again */
    int64_t task_ns;     /* how long a task takes: a sliding mean */
    enum sk_kill kill;
    const char *protocol;
    struct sk_crash_record crash; /* copied when it was noticed */
};

/* A zygote, and what its workers know. */
struct sk_origin {
    struct sk_origin *next; /* an older one */
    struct sk_zygote *zygote;
    struct sk_modules *modules;
    int nr_members;
};

struct sk_parcels {
    struct sk_parcel *first, *last;
};

struct sk_crew {
    struct sk_crew *next_crew; /* of the process's crews: crew_open.c */
    /* constant */
    struct sk_crew_config config;
    struct sk_child_setup setup;
    char *name;
    unsigned fork_count;
    int doorbell; /* the parent's end */
    int kick;     /* an eventfd of this process alone: wakes the supervisor */
    struct sk_heap *heap;
    pthread_t supervisor, teller;

    SK_CACHE_ALIGNED struct sk_lock lock; /* protects what follows */
    SK_ATOMIC(bool) shutdown, broken;
    bool closing;
    bool deaf; /* nobody can ring any more: the supervisor looks around by the clock */
    char words[SK_CREW_WORDS];              /* why it is broken */
    struct sk_origin *origin;               /* the one that births come from */
    SK_ATOMIC(struct sk_modules *) modules; /* its; changed under the lock */
    struct sk_member *members;              /* all processes */
    struct sk_member **seats;               /* [nr_workers] NULL: vacant */
    unsigned *nr_ordered;  /* [nr_workers] processes that are on their way to each seat */
    struct sk_member *hot; /* the one that was sent to last */
    uint32_t next_serial;
    struct sk_channel next_channel; /* for the next birth, made while there was time */
    int64_t birth_ns;               /* no birth before: the last one failed */
    int64_t birth_pause_ns;
    int birth_error;
    unsigned nr_failed_births_told;    /* in the log: the first only */
    int64_t deaths_ns[SK_CREW_DEATHS]; /* of idle ones, since a parcel ended last */
    int nr_deaths;
    struct sk_oom_watch oom;

    struct sk_parcels lanes[SK_CREW_LANES];
    size_t nr_on_wires, nr_in_lane[SK_CREW_LANES]; /* the last: on wires, by lane */
    struct sk_parcel *oldest, *newest;             /* of all that have not ended */
    uint64_t parcel_serial;
    struct sk_parcels ended; /* to be delivered without the lock */
    size_t nr_begun, nr_returned, nr_failed, nr_cancelled, nr_stopped, restarts;

    uint64_t activity; /* counts calls of users */
    bool resting;      /* the supervisor sleeps until something rings */
    int begun_wanted;  /* threads that wait for parcels to begin */

    struct sk_parcels to_tell; /* under the lock */
    struct sk_park tell_park;  /* where the teller sleeps */
    struct sk_park rid_park;   /* where sk_crew_wait() sleeps */
    struct sk_park birth_park; /* where sk_crew_open() and refresh sleep */
    SK_ATOMIC(uint64_t) nr_births, nr_failed_births;
    SK_ATOMIC(uint64_t) nr_unrid; /* parcels it is not rid of */
    SK_ATOMIC(uint64_t) nr_to_tell;
    SK_ATOMIC(bool) stop_threads;
};

/* ---- parcels in lists: crew.c ---------------------------------------------------------------- */

void sk_parcels_append(struct sk_parcels *list, struct sk_parcel *parcel);
struct sk_parcel *sk_parcels_take(struct sk_parcels *list);
/* Into its lane: at the end, or before all others. */
void sk_crew_queue_locked(struct sk_crew *crew, struct sk_parcel *parcel, bool first);
/* Takes a parcel out of its lane. */
void sk_crew_unqueue_locked(struct sk_crew *crew, struct sk_parcel *parcel);
/* It has ended: it goes to those that sk_crew_unlock_and_deliver() hands over. */
void sk_crew_end_locked(struct sk_crew *crew, struct sk_parcel *parcel, enum sk_parcel_end end);
/* Unlocks, and hands over what has ended. True if that was something. */
bool sk_crew_unlock_and_deliver(struct sk_crew *crew);
/* tell() has returned. */
void sk_crew_told(struct sk_crew *crew, struct sk_parcel *parcel);
/* It is of no more use: what has not begun fails. */
void sk_crew_break_locked(struct sk_crew *crew, const char *format, ...) SK_PRINTF(2, 3);

/* ---- the wires: traffic.c -------------------------------------------------------------------- */

/* Sends what is queued to who has room; where nothing is queued, gives idle workers what waits
 * behind long tasks of others. */
void sk_traffic_send_locked(struct sk_crew *crew);
/* The second half of that, which can become worth while with time: when to ask again. */
int64_t sk_traffic_even_out_locked(struct sk_crew *crew);
/* Where nobody is idle, takes back what waits on wires and is less urgent than the lane. */
void sk_traffic_make_way_locked(struct sk_crew *crew, enum sk_lane lane);
/* Receives all replies, and sees crashes and beginnings. True if there was anything. */
bool sk_traffic_receive_locked(struct sk_crew *crew);
bool sk_traffic_receive_from_locked(struct sk_crew *crew, struct sk_member *member);
/* Copies a result that has come in a block; without the lock, as that may take a while. */
void sk_traffic_fetch(struct sk_parcel *parcel);
/* Whether there is a reply that nobody has received. */
bool sk_traffic_has_reply_locked(const struct sk_crew *crew);
/* Sees whether the oldest parcel on the member's wire has begun; it, or NULL. */
struct sk_parcel *sk_traffic_oldest_locked(struct sk_crew *crew, struct sk_member *member);
/* Puts what the member has not begun back into the lanes; with `gone`, all that it has not. */
void sk_traffic_recall_locked(struct sk_crew *crew, struct sk_member *member, bool gone);
/* The parcel is no more on its wire. */
void sk_traffic_take_off_locked(struct sk_crew *crew, struct sk_parcel *parcel);
/* Takes a parcel off a wire, if it has not begun. */
bool sk_traffic_withdraw_locked(struct sk_crew *crew, struct sk_parcel *parcel);
/* Wakes workers that should have begun something, in case one has spoilt its own alarm. */
void sk_traffic_nudge_locked(struct sk_crew *crew);
void sk_traffic_quit_locked(struct sk_crew *crew, struct sk_member *member);

/* ---- births and deaths: member.c ------------------------------------------------------------- */

/* Orders processes until there is one for each seat and a spare. */
void sk_member_refill_locked(struct sk_crew *crew);
/* Makes what the next birth needs, if it is not there. */
void sk_member_prepare_locked(struct sk_crew *crew);
/* A process that we have killed is dead, if not reaped yet: its parcel need not wait for that. */
void sk_member_killed_locked(struct sk_crew *crew, struct sk_member *member);
/* Handles what the zygotes say. True if there was anything. */
bool sk_member_events_locked(struct sk_crew *crew);
/* Whether the zygote that births come from was lost with its keeper; and another one. */
bool sk_member_wants_origin_locked(const struct sk_crew *crew);
void sk_member_renew_locked(struct sk_crew *crew);
/* Sees which have booted. */
void sk_member_booted_locked(struct sk_crew *crew);
/* Kills a member; the death is seen later. */
void sk_member_kill_locked(struct sk_crew *crew, struct sk_member *member, enum sk_kill why);
/* It is about to die: what it has not begun goes to others, its seat to the spare. */
void sk_member_doom_locked(struct sk_crew *crew, struct sk_member *member);
/* It gets no more orders, and ends after those it has. */
void sk_member_retire_locked(struct sk_crew *crew, struct sk_member *member);
/* It has nothing left on its wire. */
void sk_member_idle_locked(struct sk_crew *crew, struct sk_member *member);
/* In sk_crew_close(), when the threads have ended. */
void sk_member_free_all(struct sk_crew *crew);
/* NULL: *error says why. */
struct sk_origin *sk_origin_open(struct sk_crew *crew, int *error);
void sk_origin_close(struct sk_origin *origin);
/* From now on births come from it. */
void sk_member_set_origin_locked(struct sk_crew *crew, struct sk_origin *origin);

/* ---- threads: supervise.c -------------------------------------------------------------------- */

/* 0 or a negative errno value. */
int sk_supervise_start(struct sk_crew *crew);
/* Ends and joins them. */
void sk_supervise_stop(struct sk_crew *crew);
/* The supervisor has something to see, and may be asleep. */
void sk_supervise_kick_locked(struct sk_crew *crew);
void sk_supervise_tell_locked(struct sk_crew *crew, struct sk_parcel *parcel);

#endif
