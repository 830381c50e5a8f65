/* skua_wait and skua_as_completed. */
#include "core/iter.h"

#include "base/mem.h"
#include "base/time.h"
#include "core/error.h"
#include "core/future.h"
#include "core/gather.h"

struct completed {
    skua_iter base;
    struct sk_gather *gather;
    int64_t deadline_ns;
    skua_status status; /* why skua_next() gave NULL */
};

static bool failed(const skua_future *f)
{
    skua_status status = sk_future_status(f);
    return status != SKUA_OK && status != SKUA_CANCELLED;
}

/* All of them: each in turn, so that an awaited task may run here and cycles are found. */
static skua_status wait_all(skua_future *const fs[], size_t n, int64_t deadline_ns)
{
    for (size_t i = 0; i < n; i++) {
        skua_status status = fs[i] != NULL ? sk_future_await(fs[i], deadline_ns) : SKUA_OK;
        if (status != SKUA_OK)
            return status;
    }
    return SKUA_OK;
}

static skua_status wait_first(skua_future *const fs[], size_t n, skua_when when,
                              int64_t deadline_ns)
{
    struct sk_gather *gather = sk_gather_open(fs, n);
    if (gather == NULL)
        return SKUA_NO_MEMORY;
    skua_future *f;
    size_t index;
    skua_status status;
    do {
        status = sk_gather_next(gather, deadline_ns, &f, &index);
    } while (f != NULL && when == SKUA_FIRST_EXCEPTION && !failed(f));
    sk_gather_close(gather);
    return status;
}

skua_status skua_wait(skua_future *const fs[], size_t n, skua_when when, double timeout)
{
    if ((int)when < SKUA_FIRST_COMPLETED || (int)when > SKUA_ALL_COMPLETED)
        return sk_error_set(SKUA_INVALID,
                            "skua_wait: when is %d; it takes SKUA_FIRST_COMPLETED (%d), "
                            "SKUA_FIRST_EXCEPTION (%d) or SKUA_ALL_COMPLETED (%d)",
                            (int)when, SKUA_FIRST_COMPLETED, SKUA_FIRST_EXCEPTION,
                            SKUA_ALL_COMPLETED);
    if (fs == NULL && n > 0)
        return sk_error_set(SKUA_INVALID, "skua_wait: the array is NULL, but n is %zu", n);
    int64_t deadline_ns = sk_deadline_ns(timeout);
    skua_status status = when == SKUA_ALL_COMPLETED ? wait_all(fs, n, deadline_ns)
                                                    : wait_first(fs, n, when, deadline_ns);
    return status == SKUA_OK ? SKUA_OK : sk_error_copy(sk_error_plain(status));
}

static skua_future *completed_next(skua_iter *it, size_t *index)
{
    struct completed *mine = SK_CONTAINER_OF(it, struct completed, base);
    skua_future *f;
    mine->status = sk_gather_next(mine->gather, mine->deadline_ns, &f, index);
    return f;
}

static skua_status completed_close(skua_iter *it)
{
    struct completed *mine = SK_CONTAINER_OF(it, struct completed, base);
    skua_status status = mine->status;
    size_t left = sk_gather_left(mine->gather), total = sk_gather_total(mine->gather);
    sk_gather_close(mine->gather);
    sk_free(mine);
    if (status == SKUA_OK)
        return SKUA_OK;
    return sk_error_set(status, "%zu of %zu futures were not done%s", left, total,
                        status == SKUA_TIMEOUT ? " within the timeout" : "");
}

static const struct sk_iter_class completed_class = { completed_next, completed_close };

skua_iter *skua_as_completed(skua_future *const fs[], size_t n, double timeout)
{
    if (fs == NULL && n > 0) {
        sk_error_set(SKUA_INVALID, "skua_as_completed: the array is NULL, but n is %zu", n);
        return NULL;
    }
    struct completed *mine = sk_calloc(1, sizeof *mine);
    if (mine != NULL)
        mine->gather = sk_gather_open(fs, n);
    if (mine == NULL || mine->gather == NULL) {
        sk_free(mine);
        sk_error_set(SKUA_NO_MEMORY, "skua_as_completed: no memory for %zu futures", n);
        return NULL;
    }
    mine->base.class = &completed_class;
    mine->deadline_ns = sk_deadline_ns(timeout);
    return &mine->base;
}
