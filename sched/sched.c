/* Starting, submitting and ending.
 *
 * When have all jobs ended? A shared count would be a contended line for each job. Instead each
 * worker counts what it has submitted and what it has finished, threads outside share a pair of
 * counters, and only after a shutdown the sums are compared: first all finished, then all
 * submitted (Mattern, "Algorithms for distributed termination detection", 1987). If they are
 * equal, every job submitted up to the second reading had ended before the first: a job in between
 * would have been submitted by a running one, which is itself submitted and not finished, or from
 * outside, which the shutdown flag refuses.
 *
 *   X1 outside_submitted += 1 (seq_cst)        Y1 shutdown = true         (seq_cst)
 *   X2 shutdown ? then take back and refuse    Y2 read outside_submitted  (seq_cst)
 *   X3 put the job into the inbox
 *
 * If X2 reads false, X1 is before Y1, so Y2 counts the job: nobody leaves before it has ended. */
#include "sched/sched.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>

#include "base/assert.h"
#include "base/env.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "numa/display.h"
#include "sched/circle.h"
#include "sched/idle.h"
#include "sched/victim.h"

enum {
    DEQUE_CAPACITY = 256
};

/* An idle worker looks for work for 400 us before it sleeps. With more workers than processing
 * units it would take time from those who work. */
static const struct sk_spin_limits idle_spin = { 5000, 395000 };
static const struct sk_spin_limits crowded_spin = { 2000, 20000 };

bool sk_sched_here(const struct sk_sched *sched)
{
    return sched->fork_count == sk_thread_fork_count();
}

/* ---- starting -------------------------------------------------------------------------------- */

struct sk_worker *sk_sched_worker_open(struct sk_sched *sched, int slot, int seat, bool is_spare)
{
    struct sk_worker *worker = sk_alloc_lines(sizeof *worker);
    if (worker == NULL)
        return NULL;
    worker->sched = sched;
    worker->slot = slot;
    worker->seat = seat;
    worker->is_spare = is_spare;
    worker->has_thread = true;
    sk_init(&worker->state, SK_WORKER_STARTING);
    if (sk_deque_init(&worker->deque, DEQUE_CAPACITY) != 0 || sk_split_init(&worker->split) != 0) {
        sk_deque_fini(&worker->deque);
        sk_split_fini(&worker->split);
        sk_free(worker);
        return NULL;
    }
    worker->split.class = sched->children;
    return worker;
}

static void worker_close(struct sk_worker *worker)
{
    if (worker == NULL)
        return;
    sk_deque_fini(&worker->deque);
    sk_split_fini(&worker->split);
    sk_region_chain_fini(&worker->regions);
    sk_free(worker);
}

static void sched_free(struct sk_sched *sched)
{
    int nr_spares = sk_load_rlx(&sched->nr_spares);
    for (int i = 0; sched->workers != NULL && i < sched->nr_workers; i++)
        worker_close(sched->workers[i]);
    for (int i = 0; i < nr_spares; i++)
        worker_close(sk_load_rlx(&sched->spares[i]));
    for (int i = 0; i < SK_SCHED_GUESTS; i++)
        sk_region_chain_fini(&sched->guests[i].chain);
    sk_near_fini(sched);
    sk_topo_fini(&sched->topo);
    sk_free(sched->workers);
    sk_free(sched->places);
    sk_free(sched->victims);
    sk_free(sched->victim_numbers);
    sk_free(sched->seat_of_cpu);
    sk_free((void *)sched->spares);
    sk_free(sched->name);
    sk_free(sched);
}

/* Arrays for n workers, and the workers. */
static int allocate(struct sk_sched *sched, int n)
{
    size_t count = (size_t)n;
    sched->workers = sk_calloc(count, sizeof(struct sk_worker *));
    sched->places = sk_calloc(count, sizeof *sched->places);
    sched->victims = sk_calloc(count, sizeof *sched->victims);
    sched->victim_numbers = sk_calloc(count * count, sizeof *sched->victim_numbers);
    sched->spares = sk_calloc(SK_SCHED_SPARES, sizeof *sched->spares);
    for (int i = 0; i < sched->topo.nr_pus; i++) {
        if (sched->topo.pus[i].os >= sched->nr_cpus)
            sched->nr_cpus = sched->topo.pus[i].os + 1;
    }
    sched->seat_of_cpu = sk_calloc((size_t)sched->nr_cpus, sizeof(int));
    if (sched->seat_of_cpu == NULL || sched->workers == NULL || sched->places == NULL ||
        sched->victims == NULL || sched->victim_numbers == NULL || sched->spares == NULL)
        return -ENOMEM;
    sched->nr_workers = n;
    for (int i = 0; i < n; i++) {
        sched->workers[i] = sk_sched_worker_open(sched, i, i, false);
        if (sched->workers[i] == NULL)
            return -ENOMEM;
    }
    return 0;
}

/* Starts a thread for each worker; they wait at the gate. Returns how many there are. */
static int start_threads(struct sk_sched *sched, int *error)
{
    int n = sched->nr_workers, started = 0;
    for (*error = 0; started < n && *error == 0; started += *error == 0) {
        struct sk_worker *worker = sched->workers[started];
        sk_add_rlx(&sched->alive, 1); /* relaxed: nobody waits for the last before the gate opens */
        *error = sk_thread_start(&worker->thread, sk_worker_main, worker);
        if (*error != 0)
            sk_sub_rlx(&sched->alive, 1);
    }
    for (int i = started; i < n; i++) {
        worker_close(sched->workers[i]);
        sched->workers[i] = NULL;
    }
    return started;
}

/* For each CPU the first worker that is pinned to its core. */
static void find_seats(struct sk_sched *sched)
{
    const struct sk_topo *topo = &sched->topo;
    for (int cpu = 0; cpu < sched->nr_cpus; cpu++)
        sched->seat_of_cpu[cpu] = -1;
    for (int seat = sched->nr_workers - 1; seat >= 0; seat--) {
        const struct sk_place *place = &sched->places[seat];
        for (int i = 0; place->pinned && i < topo->nr_pus; i++) {
            if (topo->pus[i].core == topo->pus[place->pu].core)
                sched->seat_of_cpu[topo->pus[i].os] = seat;
        }
    }
}

/* What depends on the number of workers, and then the gate. */
static void open_gate(struct sk_sched *sched, int nr_workers, skua_bind bind)
{
    sched->nr_workers = nr_workers;
    sk_place_workers(&sched->topo, bind, nr_workers, sched->places);
    for (int i = 0; i < nr_workers; i++) {
        sched->victims[i].worker = sched->victim_numbers + (size_t)i * (size_t)nr_workers;
        sk_victims_init(&sched->victims[i], &sched->topo, sched->places, nr_workers, i);
    }
    find_seats(sched);
    if (sk_near_init(sched) != 0)
        sk_log(SKUA_LOG_WARNING, "skua: no memory for an inbox a node: near_data is ignored");
    bool crowded = nr_workers > sched->topo.nr_pus ||
                   (sched->topo.quota > 0 && nr_workers > (int)(sched->topo.quota + 0.25));
    sched->spin = crowded ? crowded_spin : idle_spin;
    sk_store_rel(&sched->gate, 1u); /* O2: publishes the constants; pairs with O1 in worker.c */
    sk_futex_wake(&sched->gate, INT_MAX);
}

static int choose_workers(const struct sk_sched_config *config, const struct sk_topo *topo,
                          const char **reason)
{
    long number;
    *reason = "as the program asked";
    if (config->nr_workers != 0)
        return config->nr_workers;
    *reason = "as SKUA_NUM_THREADS says";
    if (sk_env_int("SKUA_NUM_THREADS", 1, SK_SCHED_WORKERS, &number))
        return (int)number;
    *reason = topo->quota > 0 ? "one a core, within the CPU quota" : "one a core";
    int n = sk_topo_default_workers(topo);
    return n < SK_SCHED_WORKERS ? n : SK_SCHED_WORKERS;
}

static int set_up(struct sk_sched *sched, const struct sk_sched_config *config, const char **reason)
{
    sched->init = config->init;
    sched->init_arg = config->init_arg;
    sched->owner = config->owner;
    sched->children = config->children;
    sched->fork_count = sk_thread_fork_count();
    sk_inbox_init(&sched->inbox);
    sk_lock_init(&sched->lock, SK_RANK_POOL);
    sched->name = sk_strdup(config->name != NULL ? config->name : "skua");
    if (sched->name == NULL)
        return -ENOMEM;
    int error = sk_topo_load(&sched->topo);
    if (error != 0)
        return error;
    return allocate(sched, choose_workers(config, &sched->topo, reason));
}

int sk_sched_start(struct sk_sched **out, const struct sk_sched_config *config)
{
    const char *reason = NULL;
    *out = NULL;
    sk_env_check_names();
    struct sk_sched *sched = sk_alloc_lines(sizeof *sched);
    if (sched == NULL)
        return -ENOMEM;
    int error = set_up(sched, config, &reason);
    if (error != 0) {
        sched_free(sched);
        return error;
    }
    int asked = sched->nr_workers;
    int started = start_threads(sched, &error);
    if (started == 0) {
        sched->nr_workers = 0;
        sched_free(sched);
        return error == -ENOMEM ? error : -EAGAIN;
    }
    if (started < asked) {
        sk_log(SKUA_LOG_WARNING, "skua: only %d of %d worker threads could be created", started,
               asked);
        reason = "as many threads as could be created";
    }
    *out = sched; /* before the gate: an init may come back with it */
    open_gate(sched, started, config->bind);
    if (sk_env_bool("SKUA_DISPLAY", false))
        sk_display(&sched->topo, sched->places, started, sched->name, reason);
    return 0;
}

/* ---- submitting ------------------------------------------------------------------------------ */

/* The inbox for jobs that are to run on a node, or NULL: they may run anywhere. */
static struct sk_inbox *inbox_of(struct sk_sched *sched, int node)
{
    bool has_one = node >= 0 && node < sched->nr_near && sched->near[node].nr_workers > 0;
    return has_one ? &sched->near[node].inbox : NULL;
}

static void put(struct sk_sched *sched, struct sk_job *job, enum sk_lane lane, int node)
{
    struct sk_inbox *near = inbox_of(sched, node);
    sk_inbox_put(near != NULL ? near : &sched->inbox, job, lane); /* X3 */
    if (near != NULL)
        sk_idle_notify_near(sched, node);
    else
        sk_idle_notify(sched);
}

static int submit_inside(struct sk_worker *worker, struct sk_job *job, enum sk_lane lane, int node,
                         bool inner)
{
    struct sk_sched *sched = worker->sched;
    if (!inner && sk_load_acq(&sched->shutdown))
        return -ESHUTDOWN;
    /* The running job is submitted and not finished, so nobody can take this for the end. */
    sk_stats_add(&worker->stats.submitted, 1);
    bool anywhere = lane == SK_LANE_NORMAL && inbox_of(sched, node) == NULL;
    if (anywhere && sk_deque_push(&worker->deque, job) == 0)
        sk_idle_notify(sched);
    else
        put(sched, job, lane, node);
    return 0;
}

int sk_sched_submit(struct sk_sched *sched, struct sk_job *job, enum sk_lane lane, bool inner)
{
    return sk_sched_submit_near(sched, job, lane, SK_ANY_NODE, inner);
}

int sk_sched_submit_near(struct sk_sched *sched, struct sk_job *job, enum sk_lane lane, int node,
                         bool inner)
{
    struct sk_worker *worker = sk_worker_self();
    if (worker != NULL && worker->sched == sched)
        return submit_inside(worker, job, lane, node, inner);
    sk_add_sc(&sched->outside_submitted, 1u);     /* X1: pairs with Y2 */
    if (!inner && sk_load_sc(&sched->shutdown)) { /* X2: pairs with Y1 */
        sk_sub_sc(&sched->outside_submitted, 1u);
        sk_sched_check_drained(sched);
        return -ESHUTDOWN;
    }
    put(sched, job, lane, node);
    sk_add_acq_rel(&sched->outside_returned, 1u); /* Z1: pairs with Z2; the last access */
    return 0;
}

/* ---- ending ---------------------------------------------------------------------------------- */

static bool all_finished(struct sk_sched *sched)
{
    int n = sk_sched_nr_slots(sched);
    uint64_t finished = sk_load_sc(&sched->outside_finished), submitted = 0;
    for (int i = 0; i < sched->nr_workers; i++) {
        if (sk_load_sc(&sched->workers[i]->lent) != 0) /* a guest's loop; see guest.c */
            return false;
    }
    for (int i = 0; i < n; i++)
        finished += sk_load_acq(&sk_sched_worker(sched, i)->stats.finished);
    submitted = sk_load_sc(&sched->outside_submitted); /* Y2: pairs with X1 */
    n = sk_sched_nr_slots(sched);
    for (int i = 0; i < n; i++)
        submitted += sk_load_acq(&sk_sched_worker(sched, i)->stats.submitted);
    return submitted == finished;
}

void sk_sched_check_drained(struct sk_sched *sched)
{
    if (!sk_load_sc(&sched->drained) && all_finished(sched)) {
        sk_store_sc(&sched->drained, true);
        sk_idle_notify_all(sched);
    }
}

/* A hold is counted as a job from outside. */
void sk_sched_hold(struct sk_sched *sched)
{
    sk_add_sc(&sched->outside_submitted, 1u);
}

void sk_sched_let_go(struct sk_sched *sched)
{
    sk_add_sc(&sched->outside_finished, 1u);
    if (sk_load_sc(&sched->shutdown))
        sk_sched_check_drained(sched);
    sk_add_acq_rel(&sched->outside_returned, 1u); /* Z1: pairs with Z2; the last access */
}

void sk_sched_shutdown(struct sk_sched *sched)
{
    sk_store_sc(&sched->shutdown, true); /* Y1: pairs with X2 */
    sk_sched_check_drained(sched);
}

void sk_sched_discard(struct sk_sched *sched, skua_status why)
{
    struct sk_job *job;
    while ((job = sk_victim_take_any(sched)) != NULL) {
        job->class->discard(job, why);
        sk_add_sc(&sched->outside_finished, 1u);
    }
    if (sk_load_sc(&sched->shutdown))
        sk_sched_check_drained(sched);
}

bool sk_sched_wait(struct sk_sched *sched, int64_t deadline_ns)
{
    bool in_time = true;
    while (in_time && sk_load_sc(&sched->alive) != 0) {
        uint32_t token = sk_park_prepare(&sched->exited);
        if (sk_load_sc(&sched->alive) == 0) {
            sk_park_cancel(&sched->exited);
        } else if (deadline_ns <= 0) {
            sk_park_cancel(&sched->exited);
            in_time = false;
        } else {
            struct sk_wait wait = { 0 };
            bool for_ever = deadline_ns == SK_NO_DEADLINE;
            if (for_ever)
                sk_circle_enter_one(&wait, &sched->ended);
            sk_worker_block_begin();
            in_time = sk_park_wait(&sched->exited, token, deadline_ns);
            sk_worker_block_end();
            if (for_ever)
                sk_circle_leave(&wait);
        }
    }
    return sk_load_sc(&sched->alive) == 0;
}

void sk_sched_join(struct sk_sched *sched)
{
    int n = sk_sched_nr_slots(sched);
    for (int i = 0; i < n; i++) {
        struct sk_worker *worker = sk_sched_worker(sched, i);
        if (worker->has_thread)
            pthread_join(worker->thread, NULL);
        worker->has_thread = false;
    }
}

/* A task may close its own pool while the thread that submitted it, or a guest whose loop has
 * ended, is still on its way out. */
static void wait_for_stragglers(struct sk_sched *sched)
{
    while (sk_load_acq(&sched->outside_returned) != sk_load_acq(&sched->outside_submitted)) /* Z2 */
        sched_yield();
    for (int i = 0; i < SK_SCHED_GUESTS; i++) {
        while (sk_load_acq(&sched->guests[i].used)) /* pairs with U2 in guest.c */
            sched_yield();
    }
}

void sk_sched_close(struct sk_sched *sched)
{
    if (sk_sched_here(sched)) {
        sk_sched_join(sched);
        wait_for_stragglers(sched);
    }
    sk_circle_lock(); /* a walk that saw a future of it before its end may be looking at it */
    sk_circle_unlock();
    sched_free(sched);
}
