/* The life of a worker: look for work, run it; with none, look on for a while; then sleep. After a
 * loop the search begins with the mail alone, for the time in which a program between two loops
 * comes back with the next one: a sweep over the other workers would cost the region a few cache
 * misses.
 *
 * A thread that is spent (base/guard.c) is replaced: it starts a thread that is the worker from
 * then on, and ends; the new one joins it and begins as every worker does, with init. This happens
 * between two rounds, when the worker has no job, no mail in hand and nobody counts on it, so the
 * successor takes nothing over but the struct. */
#define _GNU_SOURCE
#include "sched/worker.h"

#include <stdio.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/thread.h"
#include "sched/call.h"
#include "sched/idle.h"
#include "sched/sched.h"
#include "sched/spare.h"
#include "sched/victim.h"

enum {
    MAIL_TURNS = 64,  /* looks at the mail alone, before the first sweep */
    SWEEP_TURNS = 16, /* turns between the first two sweeps; then twice as many, and so on */
    SWEEP_TURNS_MAX = 512
};

SK_THREAD_LOCAL struct sk_worker *sk_worker_of_thread;

/* For what a running worker is about to finish: sleeping and being woken costs 37 us. */
const struct sk_spin_limits sk_join_spin = { 5000, 95000 };

static void run_job(struct sk_worker *worker, struct sk_job *job)
{
    struct sk_stint stint;
    sk_circle_begin(&stint, &worker->sched->ended);
    if (SK_UNLIKELY(sk_load_acq(&worker->sched->broken)))
        job->class->discard(job, SKUA_BROKEN_THREAD_POOL);
    else
        job->class->run(job);
    sk_circle_end(&stint);
    /* Release: who counts the job as finished sees what it submitted; see sched.c. */
    sk_store_rel(&worker->stats.finished, sk_load_rlx(&worker->stats.finished) + 1);
}

static void run_find(struct sk_worker *worker, const struct sk_find *find)
{
    sk_store_rlx(&worker->state, SK_WORKER_BUSY);
    if (find->job != NULL)
        run_job(worker, find->job);
    else
        sk_split_run(&worker->split, find->parent, find->child);
    sk_store_rlx(&worker->state, SK_WORKER_IDLE);
}

/* Roams into a loop that somebody has open. */
static bool help_loops(struct sk_worker *worker)
{
    struct sk_sched *sched = worker->sched;
    const struct sk_victims *victims = &sched->victims[worker->seat];
    for (int i = 0; i < victims->nr; i++) {
        if (sk_region_help(worker, &sched->workers[victims->worker[i]]->regions))
            return true;
    }
    int n = sk_sched_nr_slots(sched);
    for (int slot = sched->nr_workers; slot < n; slot++) {
        struct sk_worker *spare = sk_sched_worker(sched, slot);
        if (spare != worker && sk_region_help(worker, &spare->regions))
            return true;
    }
    for (int i = 0; i < SK_SCHED_GUESTS; i++) {
        struct sk_guest_slot *slot = &sched->guests[i];
        if (sk_load_rlx(&slot->used) && sk_region_help(worker, &slot->chain))
            return true;
    }
    return false;
}

static bool has_mail(struct sk_worker *worker)
{
    return sk_load_rlx(&worker->mail) != 0;
}

static bool is_lent(struct sk_worker *worker)
{
    return sk_load_rlx(&worker->lent) != 0;
}

/* One sweep while counted as searching. Leaves the search and runs what it finds. */
static bool sweep(struct sk_worker *worker)
{
    struct sk_find find;
    if (sk_victim_find(worker, &find, false)) {
        sk_idle_search_end(worker->sched, true);
        run_find(worker, &find);
        return true;
    }
    sk_idle_search_end(worker->sched, true); /* a loop may take long: nobody is to count on it */
    if (help_loops(worker))
        return true;
    sk_idle_search_begin(worker->sched);
    return false;
}

/* After a loop: the next one, if it comes at once. */
static bool next_loop(struct sk_worker *worker)
{
    for (int i = 0; i < MAIL_TURNS; i++) {
        if (has_mail(worker)) {
            sk_region_answer(worker);
            return true;
        }
        sk_pause();
    }
    return false;
}

/* Whether something seems to have been put into an inbox: a look at lines that are rarely
 * written. */
static bool got_something(struct sk_inbox *inbox)
{
    return sk_load_rlx(&inbox->lane[SK_LANE_NORMAL].put) != NULL ||
           sk_load_rlx(&inbox->lane[SK_LANE_HIGH].put) != NULL;
}

/* Whether a sweep is worth it at once. */
static bool seems_submitted(struct sk_worker *worker)
{
    struct sk_inbox *near = sk_sched_near(worker->sched, worker->seat);
    return got_something(&worker->sched->inbox) || (near != NULL && got_something(near));
}

/* Looks for work without sleeping. True if it did something; false when it is time to sleep. */
static bool search(struct sk_worker *worker)
{
    struct sk_sched *sched = worker->sched;
    struct sk_spin spin = { 0, 0 };
    uint32_t interval = SWEEP_TURNS, next = 0;
    sk_idle_search_begin(sched);
    for (uint32_t turn = 0; !is_lent(worker); turn++) {
        if (has_mail(worker)) {
            sk_idle_search_end(sched, true);
            sk_region_answer(worker);
            return true;
        }
        if (turn >= next || seems_submitted(worker)) {
            if (sweep(worker))
                return true;
            next = turn + interval;
            interval = interval < SWEEP_TURNS_MAX ? interval * 2 : interval;
        }
        if (sk_spin_turn(&spin, sched->spin))
            break;
    }
    sk_idle_search_end(sched, false);
    return false;
}

/* Looks for work a last time, and sleeps if there is none. True if a notifier may count on it for
 * all the work that there is: one that woke it, or one that saw it search, where others were in the
 * way of its last look. */
static bool sleep_or_work(struct sk_worker *worker)
{
    struct sk_sched *sched = worker->sched;
    struct sk_find find = { 0 };
    uint32_t token = sk_idle_prepare(worker);
    bool lent = sk_load_sc(&worker->lent) != 0;
    bool leave = sk_load_sc(&worker->mail) != 0 || sk_load_sc(&sched->drained);
    bool found = !leave && !lent && sk_victim_find(worker, &find, true);
    if (lent || leave) /* it does not look, but a notifier may have seen it search */
        sk_idle_pass_on(sched);
    if (!found && !leave && !find.contended)
        return sk_idle_sleep(worker, token);
    sk_idle_cancel(worker);
    if (found) {
        sk_idle_pass_on(sched); /* a notifier may have seen it search */
        run_find(worker, &find);
    } else if (find.contended) {
        sk_pause();
    }
    return !found && find.contended;
}

/* One round of the worker's life; it does not go on to sleep when it has spent the thread.
 * counted_on as sleep_or_work returned it, and to be returned. */
static bool work_once(struct sk_worker *worker, bool counted_on)
{
    struct sk_sched *sched = worker->sched;
    struct sk_find find;
    if (has_mail(worker)) {
        if (counted_on)
            sk_idle_pass_on(sched);
        sk_region_answer(worker);
        while (next_loop(worker)) {
        }
        if (SK_UNLIKELY(sk_guard_spent()))
            return false;
    }
    if (!is_lent(worker)) {
        if (sk_victim_find(worker, &find, false)) {
            if (counted_on)
                sk_idle_pass_on(sched);
            run_find(worker, &find);
            return false;
        }
        if (search(worker))
            return false;
    }
    if (sk_load_sc(&sched->shutdown))
        sk_sched_check_drained(sched);
    return sleep_or_work(worker);
}

static void *main_of_next(void *arg)
{
    struct sk_worker *worker = arg;
    pthread_join(worker->spent, NULL);
    return sk_worker_main(worker);
}

/* Lets a new thread be the worker. False if there is none to be had: this one goes on, and tries
 * again after its next round. */
static bool hand_over(struct sk_worker *worker)
{
    if (sk_load_acq(&worker->sched->broken)) /* its jobs are not run: nothing is gained */
        return false;
    sk_store_rlx(&worker->state, SK_WORKER_BUSY); /* no loop waits for it to come */
    worker->spent = pthread_self();
    if (sk_thread_start(&worker->thread, main_of_next, worker) == 0)
        return true;
    worker->thread = worker->spent;
    sk_store_rlx(&worker->state, SK_WORKER_IDLE);
    return false;
}

/* False if another thread is the worker now. */
static bool work(struct sk_worker *worker)
{
    struct sk_sched *sched = worker->sched;
    bool counted_on = false;
    while (!sk_load_acq(&sched->drained) && sk_sched_here(sched)) {
        if (SK_UNLIKELY(sk_guard_spent()) && hand_over(worker))
            return false;
        if (worker->is_spare && !sk_spare_rest(worker))
            break;
        counted_on = work_once(worker, counted_on);
    }
    return true;
}

void sk_worker_take_seat(struct sk_worker *worker)
{
    struct sk_sched *sched = worker->sched;
    char name[16], number[12]; /* 15 bytes are kept, so that the number is not what is cut */
    int digits = snprintf(number, sizeof number, "-%d", worker->seat);
    snprintf(name, sizeof name, "%.*s%s", 15 - digits, sched->name, number);
    sk_thread_name_self(name);
    sk_place_pin_self(&sched->topo, &sched->places[worker->seat]);
}

static void set_up(struct sk_worker *worker)
{
    struct sk_sched *sched = worker->sched;
    sk_worker_of_thread = worker;
    sk_worker_take_seat(worker);
    if (sched->init != NULL) {
        sk_store_rlx(&worker->state, SK_WORKER_BUSY); /* it may run loops: none is to wait for it */
        if (sched->init(sched->init_arg) != 0)
            sk_store_sc(&sched->broken, true);
    }
    sk_store_rel(&worker->state, SK_WORKER_IDLE);
}

void *sk_worker_main(void *arg)
{
    struct sk_worker *worker = arg;
    struct sk_sched *sched = worker->sched;
    while (sk_load_acq(&sched->gate) == 0) /* O1: pairs with O2 in sched.c */
        sk_futex_wait(&sched->gate, 0, SK_NO_DEADLINE);
    set_up(worker);
    if (!work(worker)) {
        sk_worker_of_thread = NULL;
        return NULL;
    }
    sk_store_sc(&worker->state, SK_WORKER_BUSY); /* no loop waits for it to come */
    sk_worker_of_thread = NULL;
    if (!sk_sched_here(sched))
        return NULL;             /* the child of a fork() in a task: this was its only thread */
    sk_sub_sc(&sched->alive, 1); /* the last access but for the eventcount's */
    sk_park_notify(&sched->exited, INT32_MAX);
    return NULL;
}
