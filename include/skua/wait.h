/** @file wait.h
 * Many futures, of any executors, at once. NULL entries are skipped, repeated ones count once.
 *
 * @code
 * #include <skua/skua.h>
 * #include <stdio.h>
 *
 * static int square(void *arg, void *result)
 * {
 *     *(int *)result = *(int *)arg * *(int *)arg;
 *     return 0;
 * }
 *
 * int main(void)
 * {
 *     skua_future *fs[4];
 *     for (int i = 0; i < 4; i++)
 *         fs[i] = skua_submit_task(skua_default(),
 *                                  &(skua_task){ .fn = square, .arg = &i, .arg_size = sizeof i,
 *                                                .result_size = sizeof(int) });
 *     size_t i;
 *     skua_iter *it = skua_as_completed(fs, 4, SKUA_FOREVER);
 *     for (skua_future *f; (f = skua_next(it, &i)) != NULL; skua_release(f)) {
 *         int value;
 *         if (skua_result(f, &value, sizeof value, 0) == SKUA_OK)
 *             printf("%zu squared is %d\n", i, value);
 *     }
 *     return skua_iter_close(it) != SKUA_OK;
 * }
 * @endcode */
#ifndef SKUA_WAIT_H
#define SKUA_WAIT_H

#include <stddef.h>

#include "skua/error.h"
#include "skua/executor.h"
#include "skua/export.h"

SKUA_BEGIN_DECLS

/** Hands out futures one by one. Opaque; made by skua_as_completed() or skua_imap(), used by one
 * thread at a time. */
typedef struct skua_iter skua_iter;

/** When skua_wait() returns. */
typedef enum skua_when {
    SKUA_FIRST_COMPLETED, /**< any is done */
    SKUA_FIRST_EXCEPTION, /**< any has failed, or all are done; a cancelled one has not failed */
    SKUA_ALL_COMPLETED    /**< all are done */
} skua_when;

/** Waits for some or all of @p n futures. Any thread; the array is left as it is: ask skua_done()
 * of each.
 * @param fs the futures, which must live until it returns.
 * @param n how many; with 0, or only NULLs, it returns at once.
 * @param when for which of them.
 * @param timeout seconds; 0 only looks.
 * @return SKUA_OK; SKUA_TIMEOUT; SKUA_INVALID (unknown @p when, NULL array); SKUA_DEADLOCK where
 * this wait could never end; SKUA_NO_MEMORY; SKUA_SHUTDOWN in the child of a fork(), for futures
 * whose workers do not exist there. */
SKUA_API skua_status skua_wait(skua_future *const fs[], size_t n, skua_when when, double timeout);

/** Begins to hand out each of @p n futures as it gets done, those done already first, in array
 * order. It never holds back one that is done, however late: the timeout, counted from this call,
 * only limits waiting. Any thread; does not block.
 * @param fs the futures; the array is copied. Each must live until it was handed out, or the
 * iterator is closed.
 * @param n how many.
 * @param timeout seconds from now.
 * @return an iterator for skua_iter_close(); NULL with SKUA_INVALID or SKUA_NO_MEMORY. */
SKUA_API skua_iter *skua_as_completed(skua_future *const fs[], size_t n, double timeout);

/** The next done future. Blocks until there is one or the iterator's timeout has passed.
 * @param it the iterator; NULL gives NULL.
 * @param index if not NULL, set so that the future is fs[*index], the first of equal ones; of
 * skua_imap() to the number of the item.
 * @return the future, not retained: of skua_as_completed() it is as much yours as it was, of
 * skua_imap() it is the iterator's; NULL at the end, or when there is no sense in waiting on. */
SKUA_API skua_future *skua_next(skua_iter *it, size_t *index);

/** Ends an iterator, at any time.
 * @param it the iterator; NULL is fine.
 * @return SKUA_OK; SKUA_TIMEOUT if skua_next() returned NULL with some futures unfinished, or why
 * it could not wait. */
SKUA_API skua_status skua_iter_close(skua_iter *it);

SKUA_END_DECLS

#endif
