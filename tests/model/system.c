/* The operating system of the model: futexes, time, and what an assertion does.
 *
 * A futex call is a full barrier in the kernel, but by no document an edge between waker and
 * sleeper: it is modelled as a seq_cst fence, and the sleeper's look at the word as a relaxed load
 * after it. So a store before a wake is seen by whoever falls asleep after the wake, and nothing
 * more is. Which sleeper is woken is a choice. A sleeper with a deadline may be timed out by the
 * scheduler at any point; the time is then its deadline. */
#include <sched.h>

#include "base/assert.h"
#include "base/futex.h"
#include "base/time.h"
#include "tests/model/engine.h"

#define LOOK_NS 50000

bool sk_futex_wait(SK_ATOMIC(uint32_t) * word, uint32_t expected, int64_t deadline_ns)
{
    if (!model.running)
        model_fail("sk_futex_wait in setup or finish");
    const struct model_place place = { "sk_futex_wait", __builtin_return_address(0) };
    model_begin_step(&place, false);
    model_sc_fence();
    uint64_t value = model_read_word(word, sizeof *word);
    struct model_event *e = model_trace_last();
    e->kind = MODEL_READS;
    e->size = sizeof *word;
    e->value = value;
    if (value != expected)
        return true;
    if (deadline_ns <= model.now)
        return false;
    struct model_actor *me = model_me();
    me->word = word;
    me->deadline = deadline_ns;
    me->waking = MODEL_WOKEN;
    model_trace_add(NULL, MODEL_SLEEPS);
    model_sleep();
    if (me->waking == MODEL_WOKEN)
        return true;
    model_trace_add(NULL, MODEL_STIRS)->value = me->waking == MODEL_TIMED_OUT;
    return me->waking != MODEL_TIMED_OUT;
}

static int sleepers_on(const void *word, int *sleeper)
{
    int n = 0;
    for (int t = 0; t < model.nr; t++) {
        if (model.actor[t].state == MODEL_ASLEEP && model.actor[t].word == word)
            sleeper[n++] = t;
    }
    return n;
}

void sk_futex_wake(SK_ATOMIC(uint32_t) * word, int n)
{
    if (!model.running)
        return;
    const struct model_place place = { "sk_futex_wake", __builtin_return_address(0) };
    model_begin_step(&place, false);
    model_sc_fence();
    int sleeper[MODEL_THREADS], nr;
    while (n-- > 0 && (nr = sleepers_on(word, sleeper)) > 0) {
        struct model_actor *a = &model.actor[sleeper[model_choose(nr)]];
        a->state = MODEL_READY;
        model_trace_add(NULL, MODEL_WAKES)->value = (uint64_t)(a - model.actor);
        model_wrote();
    }
}

bool sk_futex_wait_shared(SK_ATOMIC(uint32_t) * word, uint32_t expected, int64_t deadline_ns)
{
    return sk_futex_wait(word, expected, deadline_ns);
}

void sk_futex_wake_shared(SK_ATOMIC(uint32_t) * word, int n)
{
    sk_futex_wake(word, n);
}

/* Time passes with each look at the clock, so that who spins for a while comes to the end of it. */
int64_t sk_now_ns(void)
{
    return model.now += LOOK_NS;
}

/* In place of the C library's. */
int sched_yield(void)
{
    model_pause("sched_yield");
    return 0;
}

int64_t sk_deadline_ns(double seconds)
{
    if (sk_is_poll(seconds))
        return 0;
    return seconds >= 1e9 ? SK_NO_DEADLINE : model.now + (int64_t)(seconds * 1e9);
}

void sk_assert_failed(const char *expression, const char *file, int line)
{
    model_fail("assertion: %s:%d: %s", file, line, expression);
}
