/* A crew's two threads.
 *
 * **The supervisor** hears of deaths, and sees to it that replies are received, limits kept and
 * processes ordered. Threads of the user do much of that on their way: who submits or waits
 * receives replies too. So the supervisor has two ways of sleeping:
 *
 *   napping   while users are at work here: for 0.1 ms at a time. Workers ring for nothing, and
 *             a hot round trip makes no system call.
 *   resting   until something rings: a reply (a worker looks at the board after each), a death, a
 *             user who has sent an order, or the next date it has.
 *
 * It must not rest over a reply:
 *
 *   supervisor                              worker
 *   R1 board.watch = replies                W5 reply.turn = i + 1 (wire.c)
 *   R2 a reply is there? it does not rest   B1 board.watch is replies? it rings the doorbell
 *   R3 sleeps until the doorbell rings
 *
 * R1, R2, W5 and B1 are sequentially consistent: if R2 misses W5, B1 comes after R1 and sees it;
 * the ring waits in the socket, so that it is not lost where it comes before R3. Who sends an
 * order looks at crew->resting, under the lock, and rings too (kick). While anything is on a wire
 * it looks every 0.1 s all the same, as a worker that writes wildly may have spoilt its part of
 * that.
 *
 * **The teller** runs callbacks, one after the other, in the order in which futures have ended. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/thread.h"
#include "base/time.h"
#include "process/member.h"

enum {
    MOST_FDS = 32 /* doorbell, zygotes, killed processes; others are heard of from their zygotes */
};

static const int64_t nap_ns = 100000, tick_ns = 100000000, late_ns = 1000000;
static const int64_t stuck_ns = 3000000000;      /* a process that runs at all has begun by then */
static const int64_t dying_ns = 30000000000;     /* a core dump may take its time */
static const int64_t idle_dying_ns = 1000000000; /* but not of what is nobody's loss */

static SK_THREAD_LOCAL const struct sk_crew *telling;

bool sk_crew_telling(const struct sk_crew *crew)
{
    return telling == crew;
}

/* ---- dates ----------------------------------------------------------------------------------- */

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* When the limit of the parcel that the member runs is over, or might be. */
static int64_t limit_ns(const struct sk_member *member, const struct sk_parcel *parcel, int64_t now)
{
    if (parcel->time_limit <= 0 || parcel->time_limit > 1e9)
        return SK_NO_DEADLINE;
    int64_t limit = (int64_t)(parcel->time_limit * 1e9);
    if (parcel->begun)
        return parcel->begun_ns + limit;
    int64_t earliest = member->sent_ns + limit;
    return earliest > now ? earliest : now + late_ns;
}

/* The member does not begin what it was given. It may have been stopped, or its task may have
 * written into the channel that it has not begun: then the next process to get it will not begin
 * it either, and the parcel goes down with that. */
static void end_stuck(struct sk_crew *crew, struct sk_member *member, struct sk_parcel *parcel)
{
    parcel->begun = ++parcel->stuck >= 2;
    if (parcel->begun)
        parcel->begun_ns = member->head_ns;
    member->protocol = "it did not begin what it was given";
    sk_member_kill_locked(crew, member, SK_KILL_PROTOCOL);
}

/* Keeps the limits of what the member runs; returns when to look again. */
static int64_t keep_limits(struct sk_crew *crew, struct sk_member *member, int64_t now)
{
    struct sk_parcel *parcel = sk_traffic_oldest_locked(crew, member);
    if (parcel == NULL)
        return SK_NO_DEADLINE;
    if (member->head_ns == 0)
        member->head_ns = now;
    int64_t limit = limit_ns(member, parcel, now);
    int64_t grace = parcel->stopped ? parcel->kill_ns : SK_NO_DEADLINE;
    int64_t stuck = parcel->begun ? SK_NO_DEADLINE : member->head_ns + stuck_ns;
    if (now >= limit)
        sk_member_kill_locked(crew, member, SK_KILL_TIME_LIMIT);
    else if (now >= grace)
        sk_member_kill_locked(crew, member, SK_KILL_STOP);
    else if (now >= stuck)
        end_stuck(crew, member, parcel);
    else
        return sooner(sooner(limit, grace), stuck);
    return SK_NO_DEADLINE;
}

/* The same for its memory. */
static int64_t keep_memory(struct sk_crew *crew, struct sk_member *member, int64_t now)
{
    struct sk_limits_use use;
    uint64_t limit = crew->config.memory_limit;
    if (member->statm < 0 || member->nr_parcels == 0 || member->phase == SK_MEMBER_DOOMED)
        return SK_NO_DEADLINE;
    if (now >= member->look_ns) {
        if (!sk_limits_read(member->statm, &use))
            return SK_NO_DEADLINE; /* it is dead */
        member->used_bytes = use.private_bytes;
        if (use.private_bytes > limit) {
            sk_member_kill_locked(crew, member, SK_KILL_MEMORY);
            return SK_NO_DEADLINE;
        }
        member->look_ns = now + sk_limits_next_look_ns(use.private_bytes, limit);
    }
    return member->look_ns;
}

/* One that has said it is dying should be dead some time. */
static int64_t keep_dying(struct sk_crew *crew, struct sk_member *member, int64_t now)
{
    if (member->phase != SK_MEMBER_DOOMED || member->kill != SK_KILL_NONE)
        return SK_NO_DEADLINE;
    int64_t end = member->look_ns + (member->nr_parcels > 0 ? dying_ns : idle_dying_ns);
    if (now < end)
        return end;
    member->protocol = "it said that it had crashed, and went on";
    sk_member_kill_locked(crew, member, SK_KILL_PROTOCOL);
    return SK_NO_DEADLINE;
}

/* A task can shut the doorbell down for all: then nobody can ring any more. */
static bool is_shut_down(const struct sk_crew *crew)
{
    return send(crew->setup.doorbell, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == EPIPE;
}

/* Does what is due; returns the next date. */
static int64_t keep_dates(struct sk_crew *crew, int64_t now, int64_t *tick)
{
    int64_t next = sk_traffic_even_out_locked(crew);
    for (struct sk_member *m = crew->members; m != NULL; m = m->next) {
        next = sooner(next, keep_memory(crew, m, now));
        next = sooner(next, keep_dying(crew, m, now));
        if (m->nr_parcels > 0 && m->kill == SK_KILL_NONE && m->phase != SK_MEMBER_DOOMED)
            next = sooner(next, keep_limits(crew, m, now));
    }
    if (crew->nr_on_wires > 0) {
        if (now - *tick >= tick_ns) {
            *tick = now;
            crew->deaf |= is_shut_down(crew);
            sk_traffic_nudge_locked(crew);
        }
        next = sooner(next, *tick + tick_ns);
    }
    if (crew->deaf) /* a task has shut the doorbell down */
        next = sooner(next, now + late_ns);
    if (crew->birth_ns != 0) {
        sk_member_refill_locked(crew);
        next = sooner(next, crew->birth_ns > now ? crew->birth_ns : now + late_ns);
    }
    return next;
}

/* ---- the supervisor -------------------------------------------------------------------------- */

/* Who was killed, and takes a parcel along: its death is news before the zygote has reaped it. */
static bool is_awaited(const struct sk_member *member)
{
    return member->kill != SK_KILL_NONE && member->nr_parcels > 0 && member->pidfd >= 0;
}

static nfds_t list_fds(const struct sk_crew *crew, struct pollfd fds[MOST_FDS])
{
    nfds_t n = 0;
    fds[n++] = (struct pollfd){ .fd = crew->deaf ? -1 : crew->doorbell, .events = POLLIN };
    fds[n++] = (struct pollfd){ .fd = crew->kick, .events = POLLIN };
    for (const struct sk_origin *o = crew->origin; o != NULL && n < MOST_FDS / 2; o = o->next) {
        if (o->zygote != NULL)
            fds[n++] = (struct pollfd){ .fd = sk_zygote_fd(o->zygote), .events = POLLIN };
    }
    for (const struct sk_member *m = crew->members; m != NULL && n < MOST_FDS; m = m->next) {
        if (is_awaited(m))
            fds[n++] = (struct pollfd){ .fd = m->pidfd, .events = POLLIN };
    }
    return n;
}

static void see_killed(struct sk_crew *crew, const struct pollfd *fds, nfds_t n)
{
    for (struct sk_member *m = crew->members; m != NULL; m = m->next) {
        for (nfds_t i = 0; i < n && is_awaited(m); i++) {
            if (fds[i].fd == m->pidfd && fds[i].revents != 0)
                sk_member_killed_locked(crew, m);
        }
    }
}

static void sleep_until(struct sk_crew *crew, int64_t until_ns)
{
    struct pollfd fds[MOST_FDS];
    char rings[64];
    nfds_t n = list_fds(crew, fds);
    sk_lock_unlock(&crew->lock);
    struct timespec span = { 0, 0 }, *timeout = NULL;
    if (until_ns != SK_NO_DEADLINE) {
        int64_t ns = until_ns - sk_now_ns();
        if (ns > 0)
            span = (struct timespec){ ns / 1000000000, ns % 1000000000 };
        timeout = &span;
    }
    int nr_ready = ppoll(fds, n, timeout, NULL);
    ssize_t got = 1;
    while (nr_ready > 0 && fds[0].revents != 0 && got > 0)
        got = recv(crew->doorbell, rings, sizeof rings, MSG_DONTWAIT);
    uint64_t kicks;
    if (nr_ready > 0 && fds[1].revents != 0 && read(crew->kick, &kicks, sizeof kicks) < 0)
        kicks = 0; /* another wake-up was faster */
    bool dead = got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
    sk_lock_lock(&crew->lock);
    crew->deaf |= dead;
    if (nr_ready > 0)
        see_killed(crew, fds, n);
}

/* Unless there is something to see already. */
static void rest(struct sk_crew *crew, int64_t until_ns)
{
    struct sk_board *board = crew->setup.board;
    crew->resting = true;
    /* R1: pairs with B1 in child.c */
    sk_store_sc(&board->watch, crew->begun_wanted > 0 ? SK_BOARD_BEGUN : SK_BOARD_REPLIES);
    if (!sk_traffic_has_reply_locked(crew)) /* R2: pairs with W5 in wire.c */
        sleep_until(crew, until_ns);
    sk_store_rlx(&board->watch, SK_BOARD_NOTHING);
    crew->resting = false;
}

/* Begins of tasks that somebody waits for. */
static bool see_begun(struct sk_crew *crew)
{
    size_t before = crew->nr_begun;
    for (struct sk_member *m = crew->members; m != NULL && crew->begun_wanted > 0; m = m->next) {
        if (m->nr_parcels > 0)
            sk_traffic_oldest_locked(crew, m);
    }
    return crew->nr_begun != before;
}

static void *supervise(void *arg)
{
    struct sk_crew *crew = arg;
    int64_t tick = 0;
    uint64_t activity = 0;
    sk_thread_name_self("skua-supervise");
    prctl(PR_SET_TIMERSLACK, 1000UL);
    sk_lock_lock(&crew->lock);
    while (!sk_load_rlx(&crew->stop_threads)) {
        bool any = sk_member_events_locked(crew);
        if (sk_member_wants_origin_locked(crew))
            sk_member_renew_locked(crew);
        sk_member_booted_locked(crew);
        any |= sk_traffic_receive_locked(crew);
        see_begun(crew);
        if (any)
            sk_traffic_send_locked(crew);
        int64_t next = keep_dates(crew, sk_now_ns(), &tick);
        if (crew->ended.first != NULL) {
            sk_crew_unlock_and_deliver(crew);
            sk_lock_lock(&crew->lock);
        } else if (crew->activity != activity) {
            activity = crew->activity;
            sleep_until(crew, sooner(next, sk_now_ns() + nap_ns));
        } else {
            sk_member_prepare_locked(crew);
            rest(crew, next);
        }
    }
    sk_lock_unlock(&crew->lock);
    return NULL;
}

void sk_supervise_kick_locked(struct sk_crew *crew)
{
    if (!crew->resting)
        return;
    const uint64_t one = 1;
    crew->resting = false;
    if (write(crew->kick, &one, sizeof one) < 0)
        return; /* it is kicked enough */
}

/* ---- the teller ------------------------------------------------------------------------------ */

void sk_supervise_tell_locked(struct sk_crew *crew, struct sk_parcel *parcel)
{
    sk_parcels_append(&crew->to_tell, parcel);
    sk_add_sc(&crew->nr_to_tell, 1u);
    sk_park_notify(&crew->tell_park, 1);
}

static struct sk_parcel *next_to_tell(struct sk_crew *crew)
{
    sk_lock_lock(&crew->lock);
    struct sk_parcel *parcel = sk_parcels_take(&crew->to_tell);
    if (parcel != NULL)
        sk_sub_sc(&crew->nr_to_tell, 1u);
    sk_lock_unlock(&crew->lock);
    return parcel;
}

static void *tell(void *arg)
{
    struct sk_crew *crew = arg;
    telling = crew;
    sk_thread_name_self("skua-callbacks");
    for (;;) {
        struct sk_parcel *parcel = next_to_tell(crew);
        if (parcel != NULL) {
            parcel->class->tell(parcel);
            sk_crew_told(crew, parcel);
            continue;
        }
        uint32_t token = sk_park_prepare(&crew->tell_park);
        bool stop = sk_load_sc(&crew->stop_threads);
        if (stop || sk_load_sc(&crew->nr_to_tell) != 0)
            sk_park_cancel(&crew->tell_park);
        else
            sk_park_wait(&crew->tell_park, token, SK_NO_DEADLINE);
        if (stop)
            return NULL;
    }
}

/* ---- both ------------------------------------------------------------------------------------ */

int sk_supervise_start(struct sk_crew *crew)
{
    int error = sk_thread_start(&crew->teller, tell, crew);
    if (error != 0)
        return error;
    error = sk_thread_start(&crew->supervisor, supervise, crew);
    if (error != 0) {
        sk_store_sc(&crew->stop_threads, true);
        sk_park_notify(&crew->tell_park, 1);
        pthread_join(crew->teller, NULL);
    }
    return error;
}

void sk_supervise_stop(struct sk_crew *crew)
{
    sk_lock_lock(&crew->lock);
    sk_store_sc(&crew->stop_threads, true);
    crew->resting = true; /* napping or not: it is to wake */
    sk_supervise_kick_locked(crew);
    sk_lock_unlock(&crew->lock);
    pthread_join(crew->supervisor, NULL);
    sk_park_notify(&crew->tell_park, 1);
    pthread_join(crew->teller, NULL);
}
