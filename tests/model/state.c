/* core/state.c: one of begin and cancel wins; the end is told once to each sleeper, watch and
 * callback, with all that was written before; and the last reference may go at any moment. */
#include "core/state.h"

#include "base/futex.h"
#include "base/mem.h"
#include "core/error.h"
#include "tests/model/checker.h"

#define NR_CALLBACKS 4

/* A future as far as its state goes. */
struct skua_future {
    struct sk_state state;
    SK_ATOMIC(uint32_t) refs;
    int result; /* plain: written by who runs it, before its end */
};

struct watcher {
    struct sk_watch watch; /* first */
    SK_ATOMIC(uint32_t) fired;
};

static skua_future *future;
static struct watcher watcher;
static SK_ATOMIC(bool) never, told; /* to give up waiting */
static bool ran, cancelled;
static bool one_canceller;       /* and nobody else ends it as cancelled */
static int reason;               /* plain: written before cancelling, by one_canceller */
static int called[NR_CALLBACKS]; /* plain: the numbers of the callbacks, in the order they ran */
static int nr_called;            /* plain: callbacks run one at a time */
static int canceller_done, queue_done; /* plain: written before letting go */
static int nr_last;                    /* who found that they were the last to let go */

/* --- what is stood in for: words are the thread's own business --- */

void sk_error_call_logged(const char *who, sk_guard_fn *fn, uintptr_t a, uintptr_t b)
{
    (void)who;
    ((void (*)(skua_future *, void *))fn)((skua_future *)a, (void *)b);
}

struct sk_words *sk_error_put_aside(void)
{
    return NULL;
}

void sk_error_put_back(struct sk_words *aside)
{
    (void)aside;
}

/* --- references --- */

static void retain(skua_future *f)
{
    sk_add_rlx(&f->refs, 1u);
}

static void release(skua_future *f)
{
    if (sk_sub_acq_rel(&f->refs, 1u) == 1)
        sk_free(f);
}

MODEL_UNCHECKED static void start(uint32_t refs)
{
    future = sk_alloc(sizeof *future);
    sk_state_init(&future->state);
    sk_init(&future->refs, refs);
    sk_init(&watcher.fired, 0);
    sk_init(&never, false);
    sk_init(&told, false);
    ran = cancelled = one_canceller = false;
    reason = 0;
    nr_called = 0;
    canceller_done = queue_done = nr_last = 0;
    for (int i = 0; i < NR_CALLBACKS; i++)
        called[i] = 0;
}

static void start_2(void)
{
    start(2);
}

static void start_3(void)
{
    start(3);
}

static void start_4(void)
{
    start(4);
}

MODEL_UNCHECKED static void start_2_cancel(void)
{
    start(2);
    one_canceller = true;
}

MODEL_UNCHECKED static void start_3_cancel(void)
{
    start(3);
    one_canceller = true;
}

/* --- what threads do with a reference --- */

MODEL_UNCHECKED static void note(bool *flag)
{
    *flag = true;
}

MODEL_UNCHECKED static void note_last(void)
{
    nr_last++;
}

static void run(void)
{
    skua_future *f = future;
    if (sk_state_begin(&f->state)) {
        note(&ran);
        f->result = 42;
        sk_state_finish(&f->state, SK_FINISHED);
        sk_state_call(&f->state, f);
    }
    release(f);
}

/* What was asked to stop while it ran may end as cancelled. */
static void run_and_stop(void)
{
    skua_future *f = future;
    if (sk_state_begin(&f->state)) {
        note(&ran);
        f->result = 42;
        sk_state_finish(&f->state, SK_CANCELLED);
        sk_state_call(&f->state, f);
    }
    release(f);
}

static void cancel(void)
{
    skua_future *f = future;
    if (one_canceller)
        reason = 7;
    if (sk_state_cancel(&f->state)) {
        note(&cancelled);
        sk_state_call(&f->state, f);
    }
    release(f);
}

/* Who lets go last ends what the two parties share: here it reads what the first has written. */
static void let_go(skua_future *f, int *mine, const int *others)
{
    *mine = 1;
    if (sk_state_let_go(&f->state)) {
        model_check(*others == 1);
        note_last();
    }
}

static void cancel_and_let_go(void)
{
    skua_future *f = future;
    if (sk_state_cancel(&f->state)) {
        note(&cancelled);
        sk_state_call(&f->state, f);
        let_go(f, &canceller_done, &queue_done);
    }
    release(f);
}

static void run_or_let_go(void)
{
    skua_future *f = future;
    if (!sk_state_begin(&f->state)) {
        let_go(f, &queue_done, &canceller_done);
    } else {
        note(&ran);
        sk_state_finish(&f->state, SK_FINISHED);
        sk_state_call(&f->state, f);
    }
    release(f);
}

/* By who was told of the end: what was written before it is seen without another look at the word,
 * so this one is from outside of the memory model. */
static void check_end(skua_future *f)
{
    unsigned phase = model_newest(&f->state.word) & 3u;
    model_check(phase == SK_FINISHED || phase == SK_CANCELLED);
    if (phase == SK_FINISHED)
        model_check(f->result == 42);
    else if (one_canceller)
        model_check(reason == 7);
}

static void wait_for_end(void)
{
    skua_future *f = future;
    model_check(sk_state_wait(&f->state, SK_NO_DEADLINE, &never));
    check_end(f);
    release(f);
}

static void wait_a_while(void)
{
    skua_future *f = future;
    if (sk_state_wait(&f->state, 1500000000, &never))
        check_end(f);
    release(f);
}

static void wait_until_told(void)
{
    skua_future *f = future;
    if (sk_state_wait(&f->state, SK_NO_DEADLINE, &told))
        check_end(f);
    else
        model_check(model_newest(&told));
    release(f);
}

static void tell(void)
{
    skua_future *f = future;
    sk_store_sc(&told, true);
    sk_state_stir(&f->state);
    release(f);
}

static void poll(void)
{
    skua_future *f = future;
    if (sk_state_done(&f->state))
        check_end(f);
    release(f);
}

/* --- callbacks --- */

static void note_callback(skua_future *f, void *ctx)
{
    check_end(f);
    called[nr_called++] = (int)(intptr_t)ctx;
}

static void release_callback(skua_future *f, void *ctx)
{
    note_callback(f, ctx);
    release(f);
}

static void add_callback(skua_future *f, void (*fn)(skua_future *f, void *ctx), int number)
{
    struct sk_callback *callback = sk_alloc(sizeof *callback);
    callback->fn = fn;
    callback->ctx = (void *)(intptr_t)number;
    retain(f); /* as skua_add_done_callback does: the callback may release the caller's */
    sk_state_add_callback(&f->state, callback, f);
    release(f);
}

/* Adds callback 2 while callback 1 runs. */
static void nested_callback(skua_future *f, void *ctx)
{
    add_callback(f, note_callback, 2);
    note_callback(f, ctx);
}

static void add_1(void)
{
    skua_future *f = future;
    add_callback(f, note_callback, 1);
    release(f);
}

static void add_2(void)
{
    skua_future *f = future;
    add_callback(f, note_callback, 2);
    release(f);
}

static void add_1_2(void)
{
    skua_future *f = future;
    add_callback(f, note_callback, 1);
    add_callback(f, note_callback, 2);
    release(f);
}

static void add_nested(void)
{
    skua_future *f = future;
    add_callback(f, nested_callback, 1);
    release(f);
}

/* The reference is the callback's. */
static void add_releasing(void)
{
    add_callback(future, release_callback, 1);
}

/* --- watches, as wait over many futures uses them --- */

static void fire(struct sk_watch *watch)
{
    struct watcher *w = (struct watcher *)(void *)watch;
    model_check(sk_add_acq_rel(&w->fired, 1u) == 0);
    sk_futex_wake(&w->fired, 1);
}

static void watch_for_end(void)
{
    skua_future *f = future;
    watcher.watch.fire = fire;
    if (sk_state_watch(&f->state, &watcher.watch)) {
        while (sk_load_acq(&watcher.fired) == 0)
            sk_futex_wait(&watcher.fired, 0, SK_NO_DEADLINE);
    }
    check_end(f);
    release(f);
}

/* Gives up: after unwatch its memory is its own again, fired or not. */
static void watch_and_leave(void)
{
    skua_future *f = future;
    struct watcher *mine = sk_calloc(1, sizeof *mine);
    mine->watch.fire = fire;
    if (sk_state_watch(&f->state, &mine->watch))
        sk_state_unwatch(&f->state, &mine->watch);
    sk_free(mine);
    release(f);
}

/* --- afterwards --- */

MODEL_UNCHECKED static void one_won(void)
{
    model_check(ran != cancelled);
}

MODEL_UNCHECKED static void all_called(int n)
{
    unsigned seen = 0;
    model_check(nr_called == n);
    for (int i = 0; i < n; i++)
        seen |= 1u << called[i];
    model_check(seen == (2u << n) - 2);
}

static void one_won_called_1(void)
{
    one_won();
    all_called(1);
}

static void one_won_called_2(void)
{
    one_won();
    all_called(2);
}

MODEL_UNCHECKED static void one_won_called_in_order(void)
{
    one_won_called_2();
    model_check(called[0] == 1 && called[1] == 2);
}

MODEL_UNCHECKED static void one_was_last(void)
{
    one_won();
    model_check(nr_last == (cancelled ? 1 : 0));
}

static const struct model_test tests[] = {
    { .name = "run_or_cancel",
      .setup = start_2,
      .thread = { run, cancel },
      .finish = one_won,
      .bound = 5 },
    { .name = "two_cancel",
      .setup = start_3,
      .thread = { run, cancel, cancel },
      .finish = one_won,
      .bound = 3 },
    { .name = "one_of_two_lets_go_last",
      .setup = start_2,
      .thread = { run_or_let_go, cancel_and_let_go },
      .finish = one_was_last,
      .bound = 5 },
    { .name = "waiter_is_woken",
      .setup = start_2,
      .thread = { run, wait_for_end },
      .bound = 5,
      .flags = MODEL_SPURIOUS },
    { .name = "two_waiters_are_woken",
      .setup = start_3,
      .thread = { run, wait_for_end, wait_for_end },
      .bound = 3,
      .flags = MODEL_SPURIOUS },
    { .name = "waiter_is_woken_by_cancel",
      .setup = start_2_cancel,
      .thread = { cancel, wait_for_end },
      .bound = 5 },
    { .name = "run_cancel_wait",
      .setup = start_3_cancel,
      .thread = { run, cancel, wait_for_end },
      .finish = one_won,
      .bound = 3,
      .flags = MODEL_SPURIOUS },
    { .name = "cancelled_while_running",
      .setup = start_3,
      .thread = { run_and_stop, cancel, wait_for_end },
      .finish = one_won,
      .bound = 3 },
    { .name = "waiter_gives_up",
      .setup = start_3,
      .thread = { run, wait_a_while, wait_for_end },
      .bound = 3 },
    { .name = "told_waiter_gives_up",
      .setup = start_2,
      .thread = { tell, wait_until_told },
      .bound = 5,
      .flags = MODEL_SPURIOUS },
    { .name = "stir_does_not_hide_the_end",
      .setup = start_4,
      .thread = { run, tell, wait_until_told, wait_for_end },
      .bound = 2 },
    { .name = "stir_beside_flags",
      .setup = start_4,
      .thread = { run, tell, wait_for_end, add_1 },
      .finish = one_won_called_1 },
    { .name = "poll_sees_the_result", .setup = start_2, .thread = { run, poll }, .bound = 5 },
    { .name = "callback_runs_once",
      .setup = start_2,
      .thread = { run, add_1 },
      .finish = one_won_called_1,
      .bound = 4 },
    { .name = "callbacks_run_in_order",
      .setup = start_2,
      .thread = { run, add_1_2 },
      .finish = one_won_called_in_order,
      .bound = 3 },
    { .name = "callbacks_of_two_threads",
      .setup = start_3,
      .thread = { run, add_1, add_2 },
      .finish = one_won_called_2 },
    { .name = "callbacks_run_one_at_a_time",
      .setup = start_3_cancel,
      .thread = { cancel, add_1_2, run },
      .finish = one_won_called_in_order },
    { .name = "callback_adds_callback",
      .setup = start_2,
      .thread = { run, add_nested },
      .finish = one_won_called_in_order,
      .bound = 3 },
    { .name = "callback_releases_the_last",
      .setup = start_2,
      .thread = { run, add_releasing },
      .finish = one_won_called_1,
      .bound = 4 },
    { .name = "watch_fires", .setup = start_2, .thread = { run, watch_for_end }, .bound = 4 },
    { .name = "watch_fires_on_cancel",
      .setup = start_3_cancel,
      .thread = { run, cancel, watch_for_end },
      .finish = one_won },
    { .name = "watch_is_taken_back",
      .setup = start_2,
      .thread = { run, watch_and_leave },
      .bound = 4 },
    { .name = "two_watches", .setup = start_3, .thread = { run, watch_for_end, watch_and_leave } },
    { .name = "run_cancel_wait_callback",
      .setup = start_4,
      .thread = { run, cancel, wait_for_end, add_1 },
      .finish = one_won_called_1 },
    { .name = "run_wait_watch_callback",
      .setup = start_4,
      .thread = { run, wait_for_end, watch_for_end, add_releasing },
      .finish = one_won_called_1 },
};

MODEL_MAIN("state", tests)
