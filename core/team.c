/* skua_team: members that run at the same time, all or none of them.
 *
 * The problem: n workers must be brought together although each of them takes work when it likes,
 * and two teams that have each got half of a pool would wait for each other for ever.
 *
 * The idea: each member but the caller is a job. A worker that has taken one waits in it until the
 * last has come. One team of a pool gathers at a time, in the order of their tickets; when it has
 * gathered, or was called off, the next one may. The jobs go into the lane of urgent ones: those
 * who have come are idle until the last one comes.
 *
 * The caller is rank 0: a worker as it is, another thread as a guest in the seat of a worker, as in
 * loops (sched/guest.c). A caller that sleeps instead, while all members are workers, was tried: a
 * team from outside then takes 27 us and not 1 us on a machine of two cores, as a core has to
 * change hands twice.
 *
 * The team is a state machine in one word, with a flag that somebody sleeps on it:
 *
 *     GATHERING -> RUNNING      by the member that is the last to come
 *     GATHERING -> CALLED_OFF   by who discards a job; by the caller, if the pool's tasks were
 *                               cancelled before its turn came; by the first member that came,
 *                               when nobody is left who could come
 *     RUNNING   -> OVER         by the last member to end
 *
 *   The caller                                   A job's worker
 *   C1 waits until turn.serving is its ticket    J1 missing -= 1; was it the last? then
 *   C2 submits the jobs                             GATHERING -> RUNNING, and G1
 *   C3 does J1 .. J3 itself, as rank 0           J2 sleeps while GATHERING
 *   C4 sleeps until OVER                         J3 if RUNNING: runs the body, leaves the barrier,
 *   G1 who ends GATHERING: serving += 1             left -= 1; was it the last? then -> OVER
 *
 * No wake-up is lost: who sleeps puts its flag into the word by a CAS from the value it has seen,
 * and every move is a read-modify-write of that word, which wakes if it finds the flag. At C1 the
 * futex compares serving itself; G1 looks for later tickets after it has raised it (both seq_cst),
 * so it sees the ticket of whoever read the older value.
 *
 * No deadlock. A member sleeps at J2 with its core; all others who sleep inside skua have a spare
 * on duty in their place, or have given the seat back that they had as a guest: at C1, at C4, at
 * the barrier, for a future, a child or a loop. So there are always as many threads on duty as the
 * pool has workers, those guests counted whose seat's worker rests for them. While a team gathers,
 * fewer than its members, hence fewer than those, sleep at J2; nobody else does, as one team
 * gathers at a time. So some thread on duty is free and takes a job, or runs a task or a loop,
 * which ends or goes to sleep inside skua: then it, or who comes in its place, takes the job. A job
 * runs at the bottom of its worker's stack, so who sleeps at J2 holds nobody up but the team. What
 * remains is a task that waits for a team outside of skua (on a mutex, or spinning): it is as busy
 * as any other.
 *
 * Where no spare can be had, out of threads, all on duty may come to sleep at J2. The first that
 * came looks now and then, tries again to get a spare, and calls the team off where nobody is left.
 * A sleeper with a timeout, or in wait for something outside of the pool, might have come
 * back: such a team is called off too early. Not seen is a task on duty that waits outside of skua
 * for one that sleeps, or that lies in a queue, for want of a spare.
 *
 * Lifetime. A job that lies in a queue when its team is called off is taken or discarded later, so
 * the team is on the heap, and counted. What is the caller's, ctx, is used by bodies alone. */
#include "skua/team.h"

#include <limits.h>

#include "base/assert.h"
#include "base/lock.h"
#include "base/mem.h"
#include "base/spin.h"
#include "base/time.h"
#include "core/barrier.h"
#include "core/error.h"
#include "core/executor.h"
#include "core/future.h"
#include "sched/job.h"
#include "sched/sched.h"
#include "sched/spare.h"

enum {
    GATHERING,
    RUNNING,
    OVER,
    CALLED_OFF,
    PHASE = 3,                /* mask */
    SLEEPERS = 4,             /* flag: somebody sleeps on the word */
    LOOK_AROUND_NS = 50000000 /* between two looks whether anybody is left who could come */
};

struct team;

struct member {
    struct sk_job job;
    struct team *team;
    int rank;
    struct sk_stint coming; /* on team->coming, or while it is at the barrier on nothing */
};

struct team {
    /* constant */
    struct sk_sched *sched;
    struct sk_team_turn *turn;
    int (*body)(int rank, int members, void *ctx);
    void *ctx;
    int members;
    skua_future *task; /* the caller's: bodies ask it whether to stop */
    /* written by the members */
    SK_CACHE_ALIGNED SK_ATOMIC(uint32_t) phase; /* see above */
    SK_ATOMIC(int) missing;                     /* members that have not come */
    SK_ATOMIC(int) left;                        /* members that have not ended */
    SK_ATOMIC(int) refs;                        /* the caller and the jobs */
    SK_ATOMIC(int) why;                         /* a skua_status: why it was called off */
    struct sk_barrier barrier;
    struct sk_awaited ended;  /* circle.c's: what all members run, for who waits for the end */
    struct sk_awaited coming; /* what those run who are not at the barrier, for those who are */
    /* the failure with the lowest rank so far */
    struct sk_lock lock;
    int failed_rank; /* INT_MAX: none */
    struct sk_failure failure;
    struct member member[];
};

/* Whose body the calling thread runs, innermost. */
static SK_THREAD_LOCAL struct member *current;

/* ---- turns ----------------------------------------------------------------------------------- */

static void take_turn(struct sk_team_turn *turn)
{
    uint32_t ticket = sk_add_sc(&turn->tickets, 1u); /* K1: pairs with K4 */
    struct sk_spin spin = { 0, 0 };
    uint32_t serving;
    while ((serving = sk_load_sc(&turn->serving)) != ticket) { /* K2: pairs with K3 */
        if (!sk_spin_turn(&spin, sk_join_spin))
            continue;
        sk_worker_block_begin();
        sk_futex_wait(&turn->serving, serving, SK_NO_DEADLINE);
        sk_worker_block_end();
    }
}

static void pass_turn(struct sk_team_turn *turn)
{
    uint32_t next = sk_add_sc(&turn->serving, 1u) + 1; /* K3: pairs with K2 */
    if (sk_load_sc(&turn->tickets) != next)            /* K4: pairs with K1 */
        sk_futex_wake(&turn->serving, INT_MAX);
}

/* ---- the phase ------------------------------------------------------------------------------- */

static uint32_t phase_of(struct team *team)
{
    return sk_load_acq(&team->phase) & PHASE; /* F1: pairs with F2 and F3 */
}

static bool spin_past(struct team *team, uint32_t phase)
{
    struct sk_spin spin = { 0, 0 };
    while (phase_of(team) <= phase) {
        if (sk_spin_turn(&spin, sk_join_spin))
            return false;
    }
    return true;
}

/* False if the phase has not passed by the deadline. */
static bool sleep_past(struct team *team, uint32_t phase, int64_t deadline_ns)
{
    bool in_time = true;
    uint32_t word;
    while (((word = sk_load_acq(&team->phase)) & PHASE) <= phase) { /* F1 */
        if (!in_time)
            return false;
        if ((word & SLEEPERS) != 0 || sk_cas_rlx(&team->phase, &word, word | SLEEPERS))
            in_time = sk_futex_wait(&team->phase, word | SLEEPERS, deadline_ns);
    }
    return true;
}

/* GATHERING -> phase; false if another thread has ended the gathering. */
static bool end_gathering(struct team *team, uint32_t phase)
{
    uint32_t word = sk_load_rlx(&team->phase);
    do {
        if ((word & PHASE) != GATHERING)
            return false;
    } while (!sk_cas_acq_rel(&team->phase, &word, phase)); /* F2: pairs with F1 */
    if ((word & SLEEPERS) != 0)
        sk_futex_wake(&team->phase, INT_MAX);
    pass_turn(team->turn);
    return true;
}

static void call_off(struct team *team, skua_status why)
{
    int none = SKUA_OK;
    sk_cas_rlx(&team->why, &none, why); /* relaxed: F2 publishes it */
    end_gathering(team, CALLED_OFF);
}

/* ---- members --------------------------------------------------------------------------------- */

static void team_release(struct team *team)
{
    if (sk_sub_acq_rel(&team->refs, 1) == 1)
        sk_free(team);
}

static void member_failed(const struct member *member, int code)
{
    struct team *team = member->team;
    sk_lock_lock(&team->lock);
    if (member->rank < team->failed_rank) {
        sk_error_end_call(&team->failure, SKUA_FAILED, code, "a team's member");
        team->failed_rank = member->rank;
    }
    sk_lock_unlock(&team->lock);
}

static void run_body(struct member *member)
{
    struct team *team = member->team;
    struct member *outer = current;
    struct sk_stint stint;
    skua_future *before = sk_future_set_current(team->task);
    struct sk_words *kept = sk_error_begin_call();
    current = member;
    sk_circle_begin(&stint, &team->ended);
    sk_circle_begin(&member->coming, &team->coming);
    int code = sk_error_call("a team's member", (sk_guard_fn *)team->body, (uintptr_t)member->rank,
                             (uintptr_t)team->members, (uintptr_t)team->ctx, 0);
    if (SK_UNLIKELY(code != 0))
        member_failed(member, code);
    sk_circle_end(&member->coming);
    sk_circle_end(&stint);
    current = outer;
    sk_error_leave_call(kept);
    sk_future_set_current(before);
    sk_barrier_leave(&team->barrier, code != 0);
    if (sk_sub_acq_rel(&team->left, 1) == 1 &&
        (sk_xchg_acq_rel(&team->phase, OVER) & SLEEPERS) != 0) /* F3: pairs with F1 */
        sk_futex_wake(&team->phase, INT_MAX);
}

static void sleep_gathering(struct team *team, bool first)
{
    while (!sleep_past(team, GATHERING, first ? sk_now_ns() + LOOK_AROUND_NS : SK_NO_DEADLINE)) {
        int here = team->members - sk_load_rlx(&team->missing); /* relaxed: it looks again */
        if (!sk_spare_retry(team->sched, here))
            call_off(team, SKUA_NO_MEMORY);
    }
}

/* What the worker of each member does. */
static void take_part(struct member *member)
{
    struct team *team = member->team;
    int missing = sk_sub_acq_rel(&team->missing, 1); /* pairs with itself in the last one */
    if (missing == 1)
        end_gathering(team, RUNNING);
    else if (!spin_past(team, GATHERING))
        sleep_gathering(team, missing == team->members);
    if (phase_of(team) != CALLED_OFF)
        run_body(member);
}

static void job_run(struct sk_job *job)
{
    struct member *member = SK_CONTAINER_OF(job, struct member, job);
    struct team *team = member->team;
    take_part(member);
    team_release(team);
}

static void job_discard(struct sk_job *job, skua_status why)
{
    struct team *team = SK_CONTAINER_OF(job, struct member, job)->team;
    call_off(team, why);
    team_release(team);
}

static const struct sk_job_class member_job = { job_run, job_discard };

/* ---- the caller ------------------------------------------------------------------------------ */

static struct team *team_open(const struct team *wanted)
{
    size_t n = (size_t)wanted->members;
    struct team *team = sk_alloc_lines(sizeof *team + n * sizeof(struct member));
    if (team == NULL)
        return NULL;
    *team = *wanted;
    sk_init(&team->phase, GATHERING);
    sk_init(&team->missing, wanted->members);
    sk_init(&team->left, wanted->members);
    sk_init(&team->refs, 1);
    sk_barrier_init(&team->barrier, (uint32_t)n);
    sk_lock_init(&team->lock, SK_RANK_LEAF);
    team->failed_rank = INT_MAX;
    for (int rank = 0; rank < wanted->members; rank++)
        team->member[rank] =
            (struct member){ .job = { &member_job, NULL }, .team = team, .rank = rank };
    return team;
}

static void submit_jobs(struct team *team)
{
    for (int rank = 1; rank < team->members; rank++) {
        sk_add_rlx(&team->refs, 1); /* relaxed: the caller holds one */
        int error = sk_sched_submit(team->sched, &team->member[rank].job, SK_LANE_HIGH, true);
        sk_check(error == 0); /* inner work is never refused */
    }
}

static void wait_for_end(struct team *team)
{
    if (spin_past(team, RUNNING))
        return;
    struct sk_wait wait;
    sk_circle_enter_one(&wait, &team->ended);
    sk_worker_block_begin();
    sleep_past(team, RUNNING, SK_NO_DEADLINE);
    sk_worker_block_end();
    sk_circle_leave(&wait);
}

static skua_status team_status(struct team *team)
{
    skua_status why = (skua_status)sk_load_rlx(&team->why); /* relaxed: read after F1 */
    if (phase_of(team) != CALLED_OFF)
        return team->failed_rank != INT_MAX ? sk_error_copy(&team->failure.error) : SKUA_OK;
    if (why == SKUA_NO_MEMORY)
        return sk_error_set(why, "skua_team: all workers wait inside skua, and no thread could be "
                                 "had to stand in for one");
    return sk_error_set(why, "skua_team: no member has begun: %s", sk_error_plain(why)->message);
}

/* As a worker or guest of the pool. */
static void run_inside(struct team *team, const skua_executor *ex, unsigned cancels)
{
    take_turn(team->turn);
    if (sk_executor_cancels(ex) != cancels)
        call_off(team, SKUA_CANCELLED);
    else
        submit_jobs(team);
    take_part(&team->member[0]);
    wait_for_end(team);
}

static skua_status team_run(struct team *team, const skua_executor *ex)
{
    unsigned cancels = sk_executor_cancels(ex);
    struct sk_guest *guest = sk_guest_self(team->sched), visit;
    bool visits = guest == NULL && !sk_worker_is_of(team->sched);
    if (visits && !sk_guest_enter(&visit, team->sched))
        return sk_error_set(SKUA_SHUTDOWN, "skua_team: the pool was shut down");
    struct sk_guest *before = sk_worker_act_as(visits ? &visit : guest);
    run_inside(team, ex, cancels);
    sk_worker_act_as(before);
    if (visits)
        sk_guest_leave(&visit);
    return team_status(team);
}

skua_status skua_team(skua_executor *ex, int members, int (*body)(int rank, int members, void *ctx),
                      void *ctx)
{
    skua_status status = sk_executor_check(ex, "skua_team");
    if (status != SKUA_OK)
        return status;
    if (body == NULL)
        return sk_error_set(SKUA_INVALID, "skua_team: body is NULL");
    if (members < 1 || members > skua_workers(ex))
        return sk_error_set(SKUA_INVALID,
                            "skua_team: members is %d; this pool, of %d workers, takes 1 to %d",
                            members, skua_workers(ex), skua_workers(ex));
    const struct team wanted = { .sched = sk_executor_sched(ex),
                                 .turn = sk_executor_team_turn(ex),
                                 .body = body,
                                 .ctx = ctx,
                                 .members = members,
                                 .task = sk_future_current() };
    struct team *team = team_open(&wanted);
    if (team == NULL)
        return sk_error_set(SKUA_NO_MEMORY, "skua_team: no memory for %d members", members);
    status = team_run(team, ex);
    team_release(team);
    return status;
}

/* A task that the body runs here while it waits for it is no member, nor is the child of a fork. */
static bool is_member(const struct member *member)
{
    return member != NULL && sk_future_current() == member->team->task &&
           sk_sched_here(member->team->sched);
}

skua_status skua_team_barrier(void)
{
    if (!is_member(current))
        return sk_error_set(SKUA_INVALID_STATE,
                            "skua_team_barrier: the caller is not the body of a team's member");
    struct team *team = current->team;
    struct sk_awaited nothing = { 0 };
    current->coming.awaited = &nothing; /* the others do not wait for this member any more */
    skua_status status = sk_barrier_wait(&team->barrier, &team->coming);
    current->coming.awaited = &team->coming;
    if (SK_LIKELY(status == SKUA_OK))
        return SKUA_OK;
    if (status == SKUA_DEADLOCK)
        return sk_error_set(status, "skua_team_barrier: a member has left the team, so not all can "
                                    "come");
    sk_lock_lock(&team->lock);
    sk_error_copy(&team->failure.error);
    sk_lock_unlock(&team->lock);
    return status;
}
