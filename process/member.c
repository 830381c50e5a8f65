/* Births and deaths.
 *
 * The crew orders processes from its zygote until there is one for each seat and one more, the
 * spare. A process that has booted takes a vacant seat, or is the spare. When one is about to die,
 * by the word of its own crash handler or because the parent kills it, the spare takes its seat at
 * once and a new one is ordered: nobody waits for the kernel to clear the dead one away. Who it
 * was and why is judged when the zygote has reaped it (verdict.c).
 *
 * The one parcel that had begun goes down with it, or is tried again where the user wants that. The
 * others have not begun, which the wire's protocol makes certain, and go back to the front of the
 * queue without being charged.
 *
 * Deaths under a parcel never break the crew. Deaths of processes that had none, at boot or idle,
 * do: more than five within ten seconds while nothing has ended in between. */
#define _GNU_SOURCE
#include "process/member.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/time.h"

static const int64_t deaths_within_ns = 10000000000;
static const int64_t first_pause_ns = 10000000, last_pause_ns = 1000000000;

/* ---- origins --------------------------------------------------------------------------------- */

struct sk_origin *sk_origin_open(struct sk_crew *crew, int *error)
{
    struct sk_zygote_config config = { sk_child_prepare, sk_child_work, &crew->setup };
    struct sk_origin *origin = sk_calloc(1, sizeof *origin);
    *error = -ENOMEM;
    if (origin == NULL)
        return NULL;
    origin->modules = sk_modules_open();
    if (origin->modules != NULL)
        *error = sk_zygote_start(&origin->zygote, &config);
    if (*error == 0)
        return origin;
    sk_modules_close(origin->modules);
    sk_free(origin);
    return NULL;
}

void sk_origin_close(struct sk_origin *origin)
{
    sk_zygote_close(origin->zygote);
    sk_modules_close(origin->modules);
    sk_free(origin);
}

void sk_member_set_origin_locked(struct sk_crew *crew, struct sk_origin *origin)
{
    origin->next = crew->origin;
    crew->origin = origin;
    sk_store_rel(&crew->modules, origin->modules);
}

/* ---- seats ----------------------------------------------------------------------------------- */

static bool is_living(const struct sk_crew *crew, const struct sk_member *member)
{
    return member->phase <= SK_MEMBER_READY && member->origin == crew->origin;
}

static void take_seat(struct sk_crew *crew, struct sk_member *member, int seat)
{
    if (member->seat != seat) /* it was born for another, or as the spare */
        sk_shares_take(&crew->setup.shares, seat, member->pid);
    member->seat = seat;
    crew->seats[seat] = member;
}

static int vacant_seat(const struct sk_crew *crew, int wish)
{
    if (wish >= 0 && crew->seats[wish] == NULL)
        return wish;
    for (int i = 0; i < crew->setup.shares.nr_workers; i++) {
        if (crew->seats[i] == NULL)
            return i;
    }
    return -1;
}

/* A process that is ready takes a seat, if one is vacant. */
static void seat(struct sk_crew *crew, struct sk_member *member)
{
    int vacant = vacant_seat(crew, member->seat);
    if (vacant >= 0)
        take_seat(crew, member, vacant);
    else
        member->seat = -1;
}

static bool has_seat(const struct sk_crew *crew, const struct sk_member *member)
{
    return member->seat >= 0 && crew->seats[member->seat] == member;
}

/* The member's seat goes to the spare, if there is one that has booted. */
static void vacate(struct sk_crew *crew, struct sk_member *member)
{
    if (crew->hot == member)
        crew->hot = NULL;
    if (!has_seat(crew, member))
        return;
    crew->seats[member->seat] = NULL;
    for (struct sk_member *m = crew->members; m != NULL; m = m->next) {
        if (m->phase == SK_MEMBER_READY && !has_seat(crew, m)) {
            take_seat(crew, m, member->seat);
            return;
        }
    }
}

/* ---- births ---------------------------------------------------------------------------------- */

/* A seat that is vacant and that nobody was ordered for; -1: it is to be the spare. */
static int wanted_seat(const struct sk_crew *crew)
{
    for (int i = 0; i < crew->setup.shares.nr_workers; i++) {
        if (crew->seats[i] == NULL && crew->nr_ordered[i] == 0)
            return i;
    }
    return -1;
}

/* It has come to its seat, or never will. */
static void arrived(struct sk_crew *crew, struct sk_member *member)
{
    if (member->ordered_for >= 0)
        crew->nr_ordered[member->ordered_for]--;
    member->ordered_for = -1;
}

/* A process without a parcel has died, not by our doing. */
static void count_idle_death(struct sk_crew *crew, const char *words)
{
    int64_t now = sk_now_ns(), *deaths = crew->deaths_ns;
    int kept = 0;
    for (int i = 0; i < crew->nr_deaths; i++) {
        if (now - deaths[i] < deaths_within_ns)
            deaths[kept++] = deaths[i];
    }
    crew->nr_deaths = kept;
    if (kept == SK_CREW_DEATHS)
        sk_crew_break_locked(
            crew, "its processes die without a task: %d within 10 s, the last one because %s",
            kept + 1, words);
    else
        deaths[crew->nr_deaths++] = now;
}

static void birth_failed(struct sk_crew *crew, int error)
{
    char words[100];
    int64_t pause = 2 * crew->birth_pause_ns;
    pause = pause < first_pause_ns ? first_pause_ns : pause > last_pause_ns ? last_pause_ns : pause;
    crew->birth_pause_ns = pause;
    crew->birth_ns = sk_now_ns() + pause;
    crew->birth_error = error;
    sk_add_sc(&crew->nr_failed_births, 1u);
    sk_park_notify(&crew->birth_park, INT32_MAX);
    if (crew->members != NULL) {
        if (crew->nr_failed_births_told++ == 0)
            sk_log(SKUA_LOG_WARNING,
                   "skua: the pool %s goes on with fewer processes: one could not be started: %s",
                   crew->name, strerror(-error));
        return;
    }
    snprintf(words, sizeof words, "none could be started: %s", strerror(-error));
    count_idle_death(crew, words); /* nobody is left who could take a task */
}

/* In a copy of the process the channel is not mapped, and something else may be in its place. */
static void close_channel(struct sk_channel *channel, bool here)
{
    if (here)
        sk_channel_close(channel);
    else
        sk_channel_close_fd(channel);
}

static void free_member(struct sk_member *member, bool here)
{
    if (member->pidfd >= 0)
        close(member->pidfd);
    if (member->statm >= 0)
        close(member->statm);
    close_channel(&member->channel, here);
    sk_free(member);
}

static int order(struct sk_crew *crew)
{
    struct sk_member *member = sk_calloc(1, sizeof *member);
    if (member == NULL)
        return -ENOMEM;
    member->origin = crew->origin;
    member->serial = crew->next_serial++;
    member->seat = wanted_seat(crew);
    member->ordered_for = -1;
    member->pidfd = member->statm = -1;
    int error = 0;
    if (crew->next_channel.down != NULL) {
        member->channel = crew->next_channel;
        crew->next_channel = (struct sk_channel){ .fd = -1 };
    } else {
        error = sk_channel_open(&member->channel);
    }
    if (error == 0) {
        struct sk_zygote_order birth = { member->serial, member->seat };
        member->wire = (struct sk_wire){ member->channel.down, &member->channel.up->wire, 0, 0 };
        error = sk_zygote_spawn(crew->origin->zygote, &birth, member->channel.fd);
        sk_channel_close_fd(&member->channel);
    }
    if (error != 0) {
        free_member(member, true);
        return error;
    }
    member->next = crew->members;
    crew->members = member;
    member->ordered_for = member->seat;
    if (member->seat >= 0)
        crew->nr_ordered[member->seat]++;
    crew->origin->nr_members++;
    return 0;
}

void sk_member_prepare_locked(struct sk_crew *crew)
{
    if (crew->next_channel.down == NULL && !crew->closing &&
        sk_channel_open(&crew->next_channel) != 0)
        crew->next_channel = (struct sk_channel){ .fd = -1 }; /* the birth will try, and tell */
}

void sk_member_refill_locked(struct sk_crew *crew)
{
    int living = 0, error = 0;
    if (crew->closing || sk_load_rlx(&crew->broken) || crew->origin == NULL ||
        crew->origin->zygote == NULL)
        return;
    for (const struct sk_member *m = crew->members; m != NULL; m = m->next)
        living += is_living(crew, m);
    if (living > crew->setup.shares.nr_workers ||
        (crew->birth_ns != 0 && sk_now_ns() < crew->birth_ns))
        return;
    while (living <= crew->setup.shares.nr_workers && error == 0) {
        error = order(crew);
        living += error == 0;
    }
    if (error != 0)
        birth_failed(crew, error);
}

static void born(struct sk_crew *crew, struct sk_member *member,
                 const struct sk_zygote_event *event)
{
    member->phase = SK_MEMBER_BORN;
    member->pid = event->pid;
    member->pidfd = event->pidfd;
    if (crew->config.memory_limit != 0)
        member->statm = sk_limits_open(event->pid);
    crew->birth_ns = crew->birth_pause_ns = 0;
    sk_add_sc(&crew->nr_births, 1u);
    sk_park_notify(&crew->birth_park, INT32_MAX);
}

static void init_failed(struct sk_crew *crew, struct sk_member *member)
{
    struct sk_wire_failure words;
    const struct sk_wire_up *up = member->wire.up;
    memcpy(&words, up->rooms[0], sizeof words);
    words.message[SK_WIRE_WORDS - 1] = words.where[SK_WIRE_WHERE - 1] = '\0';
    sk_crew_break_locked(crew, "%s%s%s", words.message, words.where[0] != '\0' ? " at " : "",
                         words.where);
    sk_member_kill_locked(crew, member, SK_KILL_STOP);
}

void sk_member_booted_locked(struct sk_crew *crew)
{
    bool any = false;
    for (struct sk_member *m = crew->members; m != NULL; m = m->next) {
        if (m->phase != SK_MEMBER_BORN)
            continue;
        /* Pairs with the worker's store: what its init did comes before. */
        uint32_t phase = sk_load_sc(&m->channel.up->wire.phase);
        if (phase == SK_WIRE_INIT_FAILED) {
            init_failed(crew, m);
        } else if (phase == SK_WIRE_READY) {
            m->phase = SK_MEMBER_READY;
            arrived(crew, m);
            m->ready_once = true;
            if (m->origin == crew->origin)
                seat(crew, m);
            else
                sk_member_retire_locked(crew, m);
            any = true;
        }
    }
    if (any)
        sk_traffic_send_locked(crew);
}

/* ---- deaths ---------------------------------------------------------------------------------- */

void sk_member_doom_locked(struct sk_crew *crew, struct sk_member *member)
{
    if (member->phase == SK_MEMBER_DOOMED)
        return;
    arrived(crew, member);
    member->phase = SK_MEMBER_DOOMED;
    member->look_ns = sk_now_ns();
    sk_traffic_oldest_locked(crew, member); /* what it has begun is not to be taken back */
    sk_traffic_recall_locked(crew, member, false);
    vacate(crew, member);
    sk_traffic_send_locked(crew);
    sk_member_refill_locked(crew);
}

void sk_member_kill_locked(struct sk_crew *crew, struct sk_member *member, enum sk_kill why)
{
    if (member->kill == SK_KILL_NONE)
        member->kill = why;
    syscall(SYS_pidfd_send_signal, member->pidfd, SIGKILL, NULL, 0);
    sk_member_doom_locked(crew, member);
}

void sk_member_retire_locked(struct sk_crew *crew, struct sk_member *member)
{
    member->phase = SK_MEMBER_LEAVING;
    member->retired = true;
    crew->restarts++;
    sk_traffic_quit_locked(crew, member);
    if (member->nr_parcels == 0)
        vacate(crew, member);
    sk_member_refill_locked(crew);
}

void sk_member_idle_locked(struct sk_crew *crew, struct sk_member *member)
{
    if (member->phase == SK_MEMBER_LEAVING)
        vacate(crew, member);
}

static void judge(struct sk_crew *crew, struct sk_member *member, const struct sk_parcel *parcel,
                  const struct sk_zygote_event *event, struct sk_verdict *verdict)
{
    struct sk_death death = { .kill = member->kill,
                              .code = event->code,
                              .status = event->status,
                              .peak_bytes = event->peak_bytes,
                              .memory_limit = crew->config.memory_limit,
                              .protocol = member->protocol };
    if (sk_crash_read(&member->channel.up->crash, &member->crash))
        death.record = &member->crash;
    if (event->status == SIGKILL && event->code != CLD_EXITED && member->kill == SK_KILL_NONE)
        death.oom = sk_oom_ask(&crew->oom, event->peak_bytes);
    if (!member->ready_once && crew->config.init != NULL)
        death.task = "init";
    if (parcel != NULL) {
        death.task = parcel->name;
        death.time_limit = parcel->time_limit;
        death.ran = (double)(sk_now_ns() - parcel->begun_ns) / 1e9;
    }
    sk_verdict_reach(&death, verdict);
}

static bool is_tried_again(const struct sk_crew *crew, const struct sk_parcel *parcel,
                           const struct sk_verdict *verdict)
{
    return parcel->tries <= crew->config.retries && !crew->closing && !sk_load_rlx(&crew->broken) &&
           verdict->status == SKUA_CRASHED && verdict->fault != SKUA_FAULT_MEMORY_LIMIT;
}

static void lose(struct sk_crew *crew, struct sk_member *member, struct sk_parcel *parcel,
                 const struct sk_verdict *verdict)
{
    bool again = is_tried_again(crew, parcel, verdict);
    sk_traffic_take_off_locked(crew, parcel);
    if (again) {
        parcel->begun = false;
        sk_crew_queue_locked(crew, parcel, true);
        return;
    }
    parcel->status = verdict->status;
    parcel->loss = sk_alloc(sizeof *parcel->loss);
    if (parcel->loss != NULL) {
        parcel->loss->verdict = *verdict;
        parcel->loss->nr_frames = member->crash.nr_frames;
        memcpy(parcel->loss->frames, member->crash.frames, sizeof parcel->loss->frames);
    }
    sk_crew_end_locked(crew, parcel, SK_PARCEL_LOST);
}

void sk_member_killed_locked(struct sk_crew *crew, struct sk_member *member)
{
    struct sk_zygote_event event = { .code = CLD_KILLED,
                                     .status = SIGKILL,
                                     .peak_bytes = member->used_bytes };
    struct sk_verdict verdict;
    sk_traffic_receive_from_locked(crew, member);
    struct sk_parcel *parcel = sk_traffic_oldest_locked(crew, member);
    if (parcel == NULL || !parcel->begun)
        return;
    judge(crew, member, parcel, &event, &verdict);
    lose(crew, member, parcel, &verdict);
}

static void unlink_member(struct sk_crew *crew, struct sk_member *member)
{
    arrived(crew, member);
    struct sk_member **link = &crew->members;
    while (*link != NULL && *link != member)
        link = &(*link)->next;
    if (*link != NULL)
        *link = member->next;
}

static void died(struct sk_crew *crew, struct sk_member *member,
                 const struct sk_zygote_event *event)
{
    struct sk_verdict verdict;
    sk_traffic_receive_from_locked(crew, member);
    struct sk_parcel *parcel = sk_traffic_oldest_locked(crew, member);
    if (parcel != NULL && !parcel->begun)
        parcel = NULL;
    judge(crew, member, parcel, event, &verdict);
    bool left = member->phase == SK_MEMBER_LEAVING;
    member->phase = SK_MEMBER_DOOMED;
    if (parcel != NULL)
        lose(crew, member, parcel, &verdict);
    sk_traffic_recall_locked(crew, member, true);
    vacate(crew, member);
    crew->restarts += member->ready_once && !member->retired;
    if (parcel == NULL && !left && (member->kill == SK_KILL_NONE || member->says_dying))
        count_idle_death(crew, verdict.message);
    unlink_member(crew, member);
    member->origin->nr_members--;
    free_member(member, true);
}

/* ---- what the zygotes say -------------------------------------------------------------------- */

static struct sk_member *find(const struct sk_crew *crew, const struct sk_origin *origin,
                              uint32_t serial)
{
    struct sk_member *member = crew->members;
    while (member != NULL && (member->origin != origin || member->serial != serial))
        member = member->next;
    return member;
}

/* All processes of an origin went with their zygote. */
static void all_died(struct sk_crew *crew, struct sk_origin *origin)
{
    struct sk_zygote_event event = { .code = CLD_KILLED, .status = SIGKILL };
    struct sk_member *next;
    for (struct sk_member *m = crew->members; m != NULL; m = next) {
        next = m->next;
        if (m->origin != origin)
            continue;
        if (m->kill == SK_KILL_NONE)
            m->kill = SK_KILL_LOST;
        died(crew, m, &event);
    }
}

/* In this order: a copy of the process made in between must not find what is closed. */
static void close_zygote(struct sk_origin *origin)
{
    struct sk_zygote *zygote = origin->zygote;
    origin->zygote = NULL;
    sk_zygote_close(zygote);
}

static void origin_lost(struct sk_crew *crew, struct sk_origin *origin)
{
    close_zygote(origin);
    all_died(crew, origin);
}

bool sk_member_wants_origin_locked(const struct sk_crew *crew)
{
    bool lost = crew->origin != NULL && crew->origin->zygote == NULL;
    return lost && !crew->closing && !sk_load_rlx(&crew->broken);
}

void sk_member_renew_locked(struct sk_crew *crew)
{
    int error;
    sk_lock_unlock(&crew->lock); /* a fork() takes locks that come before it, and its time */
    struct sk_origin *fresh = sk_origin_open(crew, &error);
    sk_lock_lock(&crew->lock);
    if (fresh == NULL) {
        sk_crew_break_locked(
            crew,
            "the process that starts its workers was killed, and another one could "
            "not be started: %s",
            strerror(-error));
        return;
    }
    sk_member_set_origin_locked(crew, fresh);
    sk_member_refill_locked(crew);
}

static void happened(struct sk_crew *crew, struct sk_origin *origin,
                     const struct sk_zygote_event *event)
{
    struct sk_member *member = find(crew, origin, event->serial);
    if (event->kind == SK_ZYGOTE_REPLACED) {
        all_died(crew, origin);
    } else if (event->kind == SK_ZYGOTE_LOST) {
        origin_lost(crew, origin);
    } else if (member == NULL) {
        if (event->kind == SK_ZYGOTE_SPAWNED)
            close(event->pidfd);
    } else if (event->kind == SK_ZYGOTE_SPAWNED) {
        born(crew, member, event);
    } else if (event->kind == SK_ZYGOTE_DIED) {
        died(crew, member, event);
    } else {
        unlink_member(crew, member);
        origin->nr_members--;
        free_member(member, true);
        birth_failed(crew, event->error);
    }
}

bool sk_member_events_locked(struct sk_crew *crew)
{
    bool any = false;
    for (struct sk_origin *origin = crew->origin; origin != NULL; origin = origin->next) {
        struct sk_zygote_event event;
        while (origin->zygote != NULL && sk_zygote_next(origin->zygote, &event)) {
            happened(crew, origin, &event);
            any = true;
        }
        if (origin != crew->origin && origin->zygote != NULL && origin->nr_members == 0) {
            close_zygote(origin);
        }
    }
    if (any) {
        sk_traffic_send_locked(crew);
        sk_member_refill_locked(crew);
    }
    return any;
}

void sk_member_free_all(struct sk_crew *crew)
{
    const bool here = sk_crew_here(crew); /* in a copy of the process it may be held for ever */
    if (here)
        sk_lock_lock(&crew->lock);
    struct sk_member *members = crew->members;
    struct sk_origin *origins = crew->origin;
    struct sk_channel channel = crew->next_channel;
    crew->members = crew->hot = NULL;
    crew->origin = NULL;
    crew->next_channel = (struct sk_channel){ .fd = -1 };
    if (here)
        sk_lock_unlock(&crew->lock); /* who has the pool's lock from here on finds nobody */
    close_channel(&channel, here);
    while (members != NULL) {
        struct sk_member *next = members->next;
        free_member(members, here);
        members = next;
    }
    while (origins != NULL) {
        struct sk_origin *next = origins->next;
        sk_origin_close(origins);
        origins = next;
    }
}
