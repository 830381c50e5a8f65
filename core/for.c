/* skua_for: the body is called with pieces of whole units. */
#include "core/future.h"
#include "core/loop.h"

struct for_loop {
    struct sk_loop loop;
    skua_body *body;
    void *ctx;
};

static bool run_units(void *ctx, uint32_t first, uint32_t end)
{
    struct for_loop *f = ctx;
    size_t from = sk_loop_index(&f->loop, first);
    skua_future *before = sk_future_set_current(f->loop.task);
    struct sk_words *kept = sk_error_begin_call();
    int code = sk_error_call("a loop body", (sk_guard_fn *)f->body, from,
                             sk_loop_index(&f->loop, end), (uintptr_t)f->ctx, 0);
    if (SK_UNLIKELY(code != 0))
        sk_loop_fail(&f->loop, from, code);
    sk_error_leave_call(kept);
    sk_future_set_current(before);
    return code == 0;
}

skua_status skua_for(skua_executor *ex, size_t begin, size_t end, skua_body *body, void *ctx,
                     const skua_loop *o)
{
    skua_status status = sk_loop_check(ex, begin, end, o, "skua_for", body == NULL ? "body" : NULL);
    if (status != SKUA_OK)
        return status;
    struct for_loop f;
    size_t grain = o != NULL ? o->grain : 0;
    sk_loop_init(&f.loop, begin, end, grain, o != NULL ? o->schedule : SKUA_AUTO, grain != 0);
    f.body = body;
    f.ctx = ctx;
    return sk_loop_run(&f.loop, ex, run_units, &f);
}
