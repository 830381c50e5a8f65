#include "core/loop.h"

#include "core/executor.h"
#include "core/future.h"
#include "sched/call.h"

skua_status sk_loop_check(const skua_executor *ex, size_t begin, size_t end, const skua_loop *o,
                          const char *what, const char *null_function)
{
    skua_status status = sk_executor_check(ex, what);
    if (status != SKUA_OK)
        return status;
    if (null_function != NULL)
        return sk_error_set(SKUA_INVALID, "%s: %s is NULL", what, null_function);
    if (begin > end)
        return sk_error_set(SKUA_INVALID, "%s: begin is %zu, which is greater than end, %zu", what,
                            begin, end);
    if (o != NULL && ((int)o->schedule < SKUA_AUTO || (int)o->schedule > SKUA_DYNAMIC))
        return sk_error_set(SKUA_INVALID,
                            "%s: schedule is %d; it takes SKUA_AUTO (%d), SKUA_STATIC (%d) or "
                            "SKUA_DYNAMIC (%d)",
                            what, (int)o->schedule, SKUA_AUTO, SKUA_STATIC, SKUA_DYNAMIC);
    return SKUA_OK;
}

void sk_loop_init(struct sk_loop *loop, size_t begin, size_t end, size_t unit,
                  skua_schedule schedule, bool unit_is_grain)
{
    size_t n = end - begin;
    if (unit == 0)
        unit = 1;
    size_t units = n / unit + (n % unit != 0);
    if (units > SK_RANGE_MAX) { /* whole multiples, so that no piece becomes smaller */
        size_t factor = units / SK_RANGE_MAX + 1;
        unit *= factor;
        units = n / unit + (n % unit != 0);
    }
    loop->begin = begin;
    loop->end = end;
    loop->unit = unit;
    loop->nr_units = (uint32_t)units;
    loop->mode = schedule == SKUA_STATIC                     ? SK_REGION_BLOCKS
                 : schedule == SKUA_DYNAMIC && unit_is_grain ? SK_REGION_UNITS
                                                             : SK_REGION_PACED;
    loop->task = sk_future_current();
    loop->failed = false;
    sk_lock_init(&loop->lock, SK_RANK_LEAF);
}

void sk_loop_fail(struct sk_loop *loop, size_t index, int code)
{
    sk_lock_lock(&loop->lock);
    if (!loop->failed || index < loop->failed_at) {
        sk_error_end_call(&loop->failure, SKUA_FAILED, code, "a loop body");
        loop->failed = true;
        loop->failed_at = index;
    }
    sk_lock_unlock(&loop->lock);
}

bool sk_loop_join(struct sk_loop *loop, uint32_t unit, skua_join *join, void *left,
                  const void *right, void *ctx)
{
    struct sk_call call;
    sk_call_guarded(&call, (sk_guard_fn *)join, (uintptr_t)left, (uintptr_t)right, (uintptr_t)ctx,
                    0);
    if (sk_call_returned(&call))
        return true;
    struct sk_words *kept = sk_error_begin_call();
    sk_loop_fail(loop, sk_loop_index(loop, unit), sk_error_left(&call, "a join"));
    sk_error_leave_call(kept);
    return false;
}

static skua_status was_shut_down(void)
{
    return sk_error_set(SKUA_SHUTDOWN, "the pool was shut down");
}

skua_status sk_loop_run(struct sk_loop *loop, skua_executor *ex,
                        bool (*run)(void *ctx, uint32_t first, uint32_t end), void *ctx)
{
    struct sk_region_work work = { run, ctx, loop->nr_units, loop->mode };
    if (loop->nr_units == 0)
        return SKUA_OK;
    if (!sk_region_run(sk_executor_sched(ex), &work))
        return was_shut_down();
    return loop->failed ? sk_error_copy(&loop->failure.error) : SKUA_OK;
}

skua_status sk_loop_sequence(skua_executor *ex, void (*fn)(void *ctx), void *ctx)
{
    return sk_region_sequence(sk_executor_sched(ex), fn, ctx) ? SKUA_OK : was_shut_down();
}
