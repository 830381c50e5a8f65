/* One execution of a test. All its threads are fibers of one thread of the system, which change
 * only here: before each step (an atomic operation, a futex call) the search chooses who goes
 * next. To leave a thread that could go on is a preemption, and of these an execution has at most
 * `bound`: most bugs need two (Musuvathi and Qadeer, "Iterative context bounding", 2007). Going on
 * after a sleep, an end or a spin loop's pause costs nothing.
 *
 * Spin loops would make executions endless. A thread that pauses is not chosen again before
 * somebody has written something, unless nothing else can run; then all paused ones get their
 * turn. An execution of too many steps is reported as a livelock. */
#include "tests/model/engine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define START_NS   ((int64_t)1000000000)
#define STAGE      MODEL_THREADS /* the index of setup's and finish's thread-local variables */
#define NR_TLS     (MODEL_THREADS + 1)
#define MAX_PAUSES 2

struct model_engine model;

static struct model_fiber host;  /* model_execute */
static struct model_fiber stage; /* setup and finish */

/* The section of the library's thread-local variables: see tests/model/atomic.h. */
extern char tls_begin[] __asm__("__start_model_tls") __attribute__((weak));
extern char tls_end[] __asm__("__stop_model_tls") __attribute__((weak));
static char *tls_pristine;
static char *tls_copy[NR_TLS];
static int tls_owner;

static size_t tls_size(void)
{
    return tls_begin == NULL ? 0 : (size_t)(tls_end - tls_begin);
}

static void tls_reset(void)
{
    size_t size = tls_size();
    if (size == 0)
        return;
    if (tls_pristine == NULL) {
        tls_pristine = malloc(size * (NR_TLS + 1));
        if (tls_pristine == NULL)
            abort();
        memcpy(tls_pristine, tls_begin, size);
        for (int i = 0; i < NR_TLS; i++)
            tls_copy[i] = tls_pristine + size * (size_t)(i + 1);
    }
    for (int i = 0; i < NR_TLS; i++)
        memcpy(tls_copy[i], tls_pristine, size);
    memcpy(tls_begin, tls_pristine, size);
    tls_owner = STAGE;
}

static void tls_switch(int owner)
{
    size_t size = tls_size();
    if (size == 0 || owner == tls_owner)
        return;
    memcpy(tls_copy[tls_owner], tls_begin, size);
    memcpy(tls_begin, tls_copy[owner], size);
    tls_owner = owner;
}

static void switch_to(int t)
{
    int from = model.me;
    if (t == from)
        return;
    model.me = t;
    tls_switch(t);
    model_fiber_switch(&model.actor[from].fiber, &model.actor[t].fiber);
}

static void switch_to_host(void)
{
    model_fiber_switch(model.me < 0 ? &stage : &model_me()->fiber, &host);
}

void model_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(model.why, sizeof model.why, format, args);
    va_end(args);
    model.failed = true;
    for (;;)
        switch_to_host();
}

int model_self(void)
{
    return model.me;
}

/* Who may go next: the first nr_free of them at no price, the others for a preemption. */
struct candidates {
    int thread[MODEL_THREADS + 1];
    int nr, nr_free;
};

static void add_ready(struct candidates *who, bool paused_too)
{
    for (int t = 0; t < model.nr; t++) {
        const struct model_actor *a = &model.actor[t];
        if (t != model.me && a->state == MODEL_READY && (!a->paused || paused_too))
            who->thread[who->nr++] = t;
    }
}

/* Sleepers whose deadline may pass now; or those without one, that return for no reason. */
static void add_sleepers(struct candidates *who, bool timed)
{
    if (model.random && who->nr > 0 && !model_random_now_and_then())
        return;
    for (int t = 0; t < model.nr; t++) {
        const struct model_actor *a = &model.actor[t];
        if (a->state == MODEL_ASLEEP && (a->deadline != INT64_MAX) == timed)
            who->thread[who->nr++] = t;
    }
}

static void unpause_others(void)
{
    for (int t = 0; t < model.nr; t++) {
        if (t != model.me)
            model.actor[t].paused = false;
    }
}

/* At a step of a thread that could go on. */
static void alternatives(struct candidates *who)
{
    who->thread[who->nr++] = model.me;
    who->nr_free = 1;
    if (model.preemptions >= model.bound && !model.random)
        return;
    add_ready(who, !model.random);
    add_sleepers(who, true);
    if ((model.test->flags & MODEL_SPURIOUS) != 0)
        add_sleepers(who, false);
}

/* When the running thread sleeps, ends or pauses. A sleeper without a deadline may only stir if
 * somebody else could run as well: that nobody wakes it must show. */
static void successors(struct candidates *who)
{
    add_ready(who, false);
    if (who->nr == 0) {
        unpause_others();
        add_ready(who, false);
    }
    int nr_ready = who->nr;
    add_sleepers(who, true);
    who->nr_free = who->nr;
    bool may_preempt = model.preemptions < model.bound && !model.random && nr_ready > 0;
    if (may_preempt && (model.test->flags & MODEL_SPURIOUS) != 0)
        add_sleepers(who, false);
    if (model.me < 0 || model_me()->state != MODEL_READY)
        return;
    if (may_preempt) {
        who->thread[who->nr++] = model.me; /* it spins on, for a while */
    } else if (nr_ready == 0 && (who->nr == 0 || model_me()->idle_pauses <= MAX_PAUSES)) {
        who->thread[who->nr++] = model.me; /* it spins alone, or will wake the rest */
        who->nr_free = who->nr;
    }
}

static void stir(struct model_actor *a)
{
    bool timed = a->deadline != INT64_MAX;
    if (timed && model.now < a->deadline)
        model.now = a->deadline;
    a->waking = timed ? MODEL_TIMED_OUT : MODEL_NO_REASON;
    a->state = MODEL_READY;
}

/* Who goes next; -1 if nobody can. */
static int pick(bool may_stay)
{
    struct candidates who = { .nr = 0 };
    if (may_stay)
        alternatives(&who);
    else
        successors(&who);
    if (who.nr == 0)
        return -1;
    int i = model.random ? model_random_pick(who.thread, who.nr) : model_choose(who.nr);
    int t = who.thread[i];
    if (i >= who.nr_free)
        model.preemptions++;
    if (model.actor[t].state == MODEL_ASLEEP)
        stir(&model.actor[t]);
    model.actor[t].paused = false;
    return t;
}

static _Noreturn void deadlock(void)
{
    char names[128] = "";
    for (int t = 0; t < model.nr; t++) {
        size_t used = strlen(names);
        if (model.actor[t].state == MODEL_ASLEEP)
            snprintf(names + used, sizeof names - used, " T%d", t);
    }
    model_fail("deadlock or lost wake-up: asleep, and nobody to wake them:%s", names);
}

/* The running thread cannot go on. */
static void leave(void)
{
    int next = pick(false);
    if (next >= 0) {
        switch_to(next);
        return;
    }
    for (int t = 0; t < model.nr; t++) {
        if (model.actor[t].state != MODEL_ENDED)
            deadlock();
    }
    switch_to_host();
}

static void count_step(void)
{
    if (++model.step > model.max_steps)
        model_fail("livelock: more than %d steps", model.max_steps);
}

static void tick(void)
{
    struct model_actor *me = model_me();
    unsigned now = ++me->before.at[model.me];
    me->view.at[model.me] = (uint16_t)now;
}

void model_begin_step(const struct model_place *place, bool local)
{
    if (model.running) {
        count_step();
        if (model.random)
            model_random_demote();
        if (!local && !model_me()->chosen)
            switch_to(pick(true));
        model_me()->chosen = model_me()->chosen && local;
        tick();
    }
    model_trace_add(place, MODEL_AT);
}

void model_wrote(void)
{
    for (int t = 0; t < model.nr; t++) {
        model.actor[t].idle_pauses = 0;
        if (t != model.me)
            model.actor[t].paused = false;
    }
}

void model_sleep(void)
{
    struct model_actor *me = model_me();
    me->state = MODEL_ASLEEP;
    leave();
    me->chosen = true;
}

void model_pause(const char *site)
{
    if (!model.running)
        return;
    (void)site; /* no step of its own: it would only fill the trace */
    count_step();
    struct model_actor *me = model_me();
    me->paused = true;
    me->idle_pauses++;
    if (model.random)
        model_random_yield();
    leave();
    me->paused = false;
    me->chosen = true;
}

/* C11 29.3: what is before one fence in the one order of seq_cst is seen after a later one. */
void model_sc_fence(void)
{
    struct model_actor *me = model_me();
    model_clock_join(&me->view, &model.fences);
    model.fences = me->view;
    me->fence_step = me->sc_time = model.step;
}

static void actor_main(void)
{
    struct model_actor *me = model_me();
    me->chosen = true;
    model_trace_add(NULL, MODEL_BEGINS);
    me->run();
    model_trace_add(NULL, MODEL_ENDS);
    me->state = MODEL_ENDED;
    leave();
    abort(); /* nobody goes on with an ended thread */
}

static void stage_main(void)
{
    if (model.test->setup != NULL)
        model.test->setup();
    switch_to_host();
    if (model.test->finish != NULL)
        model.test->finish();
    model_heap_check_leaks();
    for (;;)
        switch_to_host();
}

static void reset(const struct model_test *test)
{
    model.test = test;
    model.me = -1;
    model.step = model.preemptions = model.nr_stale = 0;
    model.max_steps = test->max_steps != 0 ? test->max_steps : 400;
    memset(&model.fences, 0, sizeof model.fences);
    model.now = START_NS;
    model.running = model.failed = false;
    model.nr = 0;
    while (model.nr < MODEL_THREADS && test->thread[model.nr] != NULL) {
        struct model_actor *a = &model.actor[model.nr];
        *a = (struct model_actor){ .fiber = a->fiber, .run = test->thread[model.nr] };
        model_fiber_prepare(&a->fiber, actor_main);
        model.nr++;
    }
    tls_reset();
    model_trace_reset();
    model_heap_reset();
    model_plain_reset();
    model_histories_reset();
}

void model_execute(const struct model_test *test)
{
    reset(test);
    model_fiber_prepare(&stage, stage_main);
    model_fiber_switch(&host, &stage);
    if (model.failed)
        return;
    if (model.random)
        model_random_priorities();
    model.running = true;
    model.me = pick(false);
    tls_switch(model.me);
    model_fiber_switch(&host, &model_me()->fiber);
    if (model.failed)
        return;
    model.running = false;
    model.me = -1;
    tls_switch(STAGE);
    model_fiber_switch(&host, &stage);
}
