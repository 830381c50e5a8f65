/* Futures of process pools, each around a parcel of the crew (process/crew.h).
 *
 * A future's state is moved by whoever the crew says: its begin() and end() come under the crew's
 * rules, and who cancels withdraws the parcel from the crew first. So the future's own word never
 * has to decide between cancel and begin here.
 *
 * Cancelling, stopping and looking may come at any time, also when the pool has been closed. So
 * each future holds on to the memory of its pool, in which the crew's lock is. */
#include "core/away.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/thread.h"
#include "core/error.h"
#include "core/process_pool.h"
#include "process/symbols.h"

static const char nameless[] = SK_PROCESS_NAMELESS;

/* What a future of a process pool has beside itself. */
struct sk_away {
    struct sk_parcel parcel;
    skua_future *future;
    struct sk_process_pool *pool;
    struct sk_lock lock; /* protects the rest */
    bool described;
    char *backtrace; /* NULL: none */
};

static struct sk_away *away_of(struct sk_parcel *parcel)
{
    return SK_CONTAINER_OF(parcel, struct sk_away, parcel);
}

skua_future *sk_away_future(struct sk_parcel *parcel)
{
    return away_of(parcel)->future;
}

int sk_away_submit(skua_future *f)
{
    return sk_crew_submit(f->away->pool->crew, &f->away->parcel);
}

/* ---- a parcel's ends ------------------------------------------------------------------------- */

static void begin(struct sk_parcel *parcel)
{
    struct sk_away *away = away_of(parcel);
    sk_state_begin(&away->future->state);
    sk_process_leave_room(away->pool);
}

static void set_failure(skua_future *f, const skua_error *error, skua_status status)
{
    f->status = status;
    f->failure = sk_error_clone(error, status);
}

static enum sk_phase settle_failed(skua_future *f, const struct sk_parcel *parcel)
{
    char message[SK_MESSAGE_SIZE];
    const struct sk_wire_failure *words = parcel->words;
    if (parcel->code == SKUA_CANCELLED && parcel->stopped) {
        f->status = SKUA_CANCELLED;
        return SK_CANCELLED;
    }
    skua_error error = *sk_error_plain(SKUA_FAILED);
    error.code = parcel->code;
    error.worker = parcel->worker;
    error.task = f->name;
    if (words != NULL) {
        bool unnamed = f->name != NULL && strncmp(words->message, nameless, strlen(nameless)) == 0;
        snprintf(message, sizeof message, "%s%s", unnamed ? f->name : "",
                 words->message + (unnamed ? strlen(nameless) : 0));
        error.message = message;
        error.where = words->where;
    }
    set_failure(f, &error, SKUA_FAILED);
    return SK_FINISHED;
}

static enum sk_phase settle_lost(skua_future *f, const struct sk_parcel *parcel)
{
    skua_error error = *sk_error_plain(parcel->status);
    error.worker = parcel->worker;
    error.task = f->name;
    if (parcel->status == SKUA_CANCELLED) {
        f->status = SKUA_CANCELLED;
        return SK_CANCELLED;
    }
    if (parcel->loss != NULL) {
        const struct sk_verdict *verdict = &parcel->loss->verdict;
        error.code = verdict->code;
        error.fault = verdict->fault;
        error.certain = verdict->certain;
        error.signal = verdict->signal;
        error.address = verdict->address;
        error.message = verdict->message;
    }
    set_failure(f, &error, parcel->status);
    return SK_FINISHED;
}

static enum sk_phase settle_refused(skua_future *f, struct sk_process_pool *pool)
{
    char why[SK_CREW_WORDS] = "", message[SK_MESSAGE_SIZE];
    sk_crew_broken(pool->crew, why, sizeof why);
    snprintf(message, sizeof message, "the pool %s is broken: %.300s", sk_crew_name(pool->crew),
             why);
    skua_error error = *sk_error_plain(SKUA_BROKEN_PROCESS_POOL);
    error.message = message;
    error.task = f->name;
    set_failure(f, &error, SKUA_BROKEN_PROCESS_POOL);
    return SK_FINISHED;
}

static bool end(struct sk_parcel *parcel)
{
    struct sk_away *away = away_of(parcel);
    skua_future *f = away->future;
    enum sk_phase phase = SK_FINISHED;
    if (parcel->end == SK_PARCEL_REFUSED) {
        phase = settle_refused(f, away->pool);
    } else if (parcel->end == SK_PARCEL_FAILED) {
        phase = settle_failed(f, parcel);
    } else if (parcel->end == SK_PARCEL_LOST) {
        phase = settle_lost(f, parcel);
    }
    sk_state_finish(&f->state, phase);
    return sk_state_has_callbacks(&f->state);
}

static void tell(struct sk_parcel *parcel)
{
    skua_future *f = away_of(parcel)->future;
    sk_state_call(&f->state, f);
}

static void release(struct sk_parcel *parcel)
{
    skua_release(away_of(parcel)->future);
}

static void withdrawn(struct sk_parcel *parcel)
{
    sk_state_cancel(&away_of(parcel)->future->state);
}

static const struct sk_parcel_class parcel_class = { begin, withdrawn, end, tell, release };

/* ---- making ---------------------------------------------------------------------------------- */

static enum sk_lane lane_of(skua_priority priority)
{
    return priority == SKUA_HIGH  ? SK_LANE_HIGH
           : priority == SKUA_LOW ? SK_LANE_LOW
                                  : SK_LANE_NORMAL;
}

skua_future *sk_away_open(struct sk_process_pool *pool, const skua_task *task, void *place)
{
    skua_task kept = *task;
    void *extra;
    /* A large argument goes into shared memory at once; only for another try is it kept here. */
    bool keeps = task->arg_size <= SK_WIRE_ROOM || sk_crew_retries(pool->crew) > 0;
    if (!keeps)
        kept.arg_size = 0;
    if (place != NULL)
        kept.result_size = 0;
    skua_future *f = sk_future_open_away(&kept, sizeof(struct sk_away), &extra, &pool->shelf);
    if (f == NULL)
        return NULL;
    struct sk_away *away = extra; /* cleared */
    away->future = f;
    away->pool = pool;
    sk_lock_init(&away->lock, SK_RANK_GRAPH); /* symbols.c has a leaf */
    away->parcel.class = &parcel_class;
    away->parcel.fn = (uintptr_t)task->fn;
    away->parcel.arg = f->arg;
    away->parcel.arg_size = task->arg_size;
    away->parcel.result = place != NULL ? place : f->result;
    away->parcel.result_size = task->result_size;
    away->parcel.placed = place != NULL;
    away->parcel.lane = lane_of(task->priority);
    away->parcel.time_limit = task->time_limit;
    away->parcel.name = f->name;
    f->away = away;
    sk_add_rlx(&pool->refs, 1u);
    return f;
}

/* ---- futures --------------------------------------------------------------------------------- */

bool sk_away_withdraw(skua_future *f)
{
    struct sk_away *away = f->away;
    if (!sk_crew_withdraw(away->pool->crew, &away->parcel))
        return false;
    sk_process_leave_room(away->pool);
    return true;
}

void sk_away_cancelled(skua_future *f)
{
    sk_crew_rid(f->away->pool->crew, &f->away->parcel);
}

const skua_executor *sk_away_executor(const skua_future *f)
{
    return &f->away->pool->base;
}

void sk_away_stop(skua_future *f)
{
    sk_crew_stop(f->away->pool->crew, &f->away->parcel);
}

void sk_away_look(skua_future *f)
{
    sk_crew_look(f->away->pool->crew);
}

bool sk_away_attend(skua_future *f)
{
    return sk_crew_attend(f->away->pool->crew);
}

void sk_away_describe(skua_future *f)
{
    struct sk_away *away = f->away;
    const struct sk_loss *loss = away->parcel.loss;
    if (loss == NULL || loss->nr_frames == 0 || f->failure == NULL ||
        f->fork_count != sk_thread_fork_count())
        return;
    sk_lock_lock(&away->lock);
    if (!away->described) {
        away->described = true;
        away->backtrace = sk_symbols_describe(loss->frames, loss->nr_frames);
        if (away->backtrace != NULL)
            f->failure->error.backtrace = away->backtrace;
    }
    sk_lock_unlock(&away->lock);
}

void sk_away_free(skua_future *f)
{
    struct sk_away *away = f->away;
    struct sk_process_pool *pool = away->pool;
    if (away->parcel.words != NULL || away->parcel.loss != NULL) {
        sk_free(away->parcel.words);
        sk_free(away->parcel.loss);
        sk_free(away->backtrace);
    }
    /* In a forked child the shelf's lock may be held for ever. */
    if (f->shelf != NULL && f->fork_count == sk_thread_fork_count())
        sk_shelf_put(f->shelf, f);
    else
        sk_free(f);
    sk_process_let_go(pool);
}
