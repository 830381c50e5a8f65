/** @file loop.h
 * Loops, on threads: an index range cut into pieces that workers run, near where they ran before.
 *
 * Each worker starts on its own contiguous block of the range, the same one each time, and helps
 * its neighbours when it has run dry. The calling thread works too. Loops may nest; no threads are
 * added. A loop equals its serial loop: see each function.
 *
 * The idea of a home block with stealing of the rest follows Olivier et al. and NUMA-WS (Deters et
 * al., 2018); reductions over fixed pieces give the same bits for any number of workers.
 *
 * @code
 * #include <skua/skua.h>
 * #include <stdio.h>
 *
 * static int add(size_t begin, size_t end, void *ctx, void *acc)
 * {
 *     const double *x = ctx;
 *     for (size_t i = begin; i < end; i++)
 *         *(double *)acc += x[i];
 *     return 0;
 * }
 *
 * static void join(void *left, const void *right, void *ctx)
 * {
 *     (void)ctx;
 *     *(double *)left += *(const double *)right;
 * }
 *
 * int main(void)
 * {
 *     double x[1000], sum = 0;
 *     for (int i = 0; i < 1000; i++)
 *         x[i] = i;
 *     skua_reduce(skua_default(), 0, 1000, add, join, x, &sum, sizeof sum, NULL);
 *     printf("%g\n", sum);
 *     return 0;
 * }
 * @endcode */
#ifndef SKUA_LOOP_H
#define SKUA_LOOP_H

#include <stdbool.h>
#include <stddef.h>

#include "skua/error.h"
#include "skua/executor.h"
#include "skua/export.h"

SKUA_BEGIN_DECLS

/** A loop's body: does the piece [begin, end) and returns 0, or skua_fail(). One that is left by
 * a C++ exception or pthread_exit() has failed: see task.h.
 * @param begin first index of the piece.
 * @param end one past its last index; always greater than begin.
 * @param ctx as given to the loop; shared by all pieces. */
typedef int skua_body(size_t begin, size_t end, void *ctx);

/** A reduction's body: folds the piece [begin, end) into *acc.
 * @param begin first index of the piece.
 * @param end one past its last index.
 * @param ctx as given to the loop; shared by all pieces.
 * @param acc an accumulator that no other piece uses meanwhile. */
typedef int skua_fold(size_t begin, size_t end, void *ctx, void *acc);

/** left = left then right, for two accumulators of neighbouring ranges.
 * @param left read and written.
 * @param right what comes after it.
 * @param ctx as given to the loop. */
typedef void skua_join(void *left, const void *right, void *ctx);

/** A scan's body: brings *acc forward over the piece [begin, end) and returns 0, or skua_fail(). On
 * the last sight of a piece *acc holds all that comes before it, and the body writes its outputs as
 * it goes: before it takes an index in for an exclusive scan, after it for an inclusive one.
 * @param begin first index of the piece.
 * @param end one past its last index; always greater than begin.
 * @param ctx as given to the loop; shared by all pieces.
 * @param acc an accumulator that no other piece uses meanwhile.
 * @param last false: *acc started from the identity, and nothing is to be written, as the piece is
 * seen once more. */
typedef int skua_pass(size_t begin, size_t end, void *ctx, void *acc, bool last);

/** How the range is cut and handed out. */
typedef enum skua_schedule {
    SKUA_AUTO,   /**< home blocks first, in pieces that get smaller where workers run dry */
    SKUA_STATIC, /**< one block a worker: same range, same worker, every time */
    SKUA_DYNAMIC /**< grain by grain, home blocks first */
} skua_schedule;

/** How to run a loop. Zero fields, or NULL for the struct, mean the usual. */
typedef struct skua_loop {
    skua_schedule schedule; /**< how the range is handed out */
    size_t grain;           /**< no piece is smaller, but for one tail; 0: found while running */
    bool reproducible;      /**< not skua_for(): the same bits for any number of workers */
    const void *identity;   /**< not skua_for(): an accumulator's start; NULL: zero bytes */
} skua_loop;

/** Runs body over [begin, end), and waits; equals

        for (size_t i = begin; i < end; i++)
            if (body(i, i + 1, ctx) != 0)
                return SKUA_FAILED;

 * with the indices gathered into pieces, in any order, some at the same time. Any thread: the
 * caller runs pieces too. With SKUA_STATIC a worker that is busy with something else has its block
 * done by the caller.
 * @param ex a thread pool.
 * @param begin first index.
 * @param end one past the last index; equal to @p begin does nothing.
 * @param body called for each piece, by several threads at once.
 * @param ctx given to each call.
 * @param o how, or NULL. identity and reproducible have no effect.
 * @return SKUA_OK; SKUA_FAILED when a body failed: no piece begins after the return, and the words
 * are those of the failing piece with the lowest index that ran; SKUA_INVALID (NULL, begin > end,
 * an unknown schedule, an executor without threads); SKUA_SHUTDOWN, from a thread that is no worker
 * of a pool that was shut down; a broken pool's status; SKUA_NO_MEMORY. */
SKUA_API skua_status skua_for(skua_executor *ex, size_t begin, size_t end, skua_body *body,
                              void *ctx, const skua_loop *o);

/** Folds [begin, end) into *acc, and waits; equals fold(begin, end, ctx, acc). Each piece is folded
 * into an accumulator that starts from the identity; the accumulators are then joined in the order
 * of the range, onto *acc, whose value on entry so counts once, as the leftmost. join need not
 * commute. With reproducible, pieces depend on the range, the grain and acc_size alone: *acc gets
 * the same bits for any number of workers.
 * @param ex a thread pool.
 * @param begin first index.
 * @param end one past the last index; equal to @p begin leaves *acc as it is.
 * @param fold called for each piece.
 * @param join called by one thread at a time.
 * @param ctx given to each call.
 * @param acc the accumulator; unspecified unless SKUA_OK is returned.
 * @param acc_size its size in bytes, at least 1.
 * @param o how, or NULL.
 * @return as skua_for(); SKUA_FAILED also if join does not return. */
SKUA_API skua_status skua_reduce(skua_executor *ex, size_t begin, size_t end, skua_fold *fold,
                                 skua_join *join, void *ctx, void *acc, size_t acc_size,
                                 const skua_loop *o);

/** Prefixes of [begin, end), and waits; equals pass(begin, end, ctx, acc, true). The value of *acc
 * on entry counts once, as the leftmost; on return *acc holds the whole range. So

        static int prefix_sums(size_t begin, size_t end, void *ctx, void *acc, bool last)
        {
            double *x = ctx, sum = *(double *)acc;
            for (size_t i = begin; i < end; i++) {
                sum += x[i];
                if (last)
                    x[i] = sum;
            }
            *(double *)acc = sum;
            return 0;
        }

 * leaves x[i] + ... + x[begin] + *acc in each x[i].
 *
 * The range is cut into pieces. Each is seen with last true exactly once; where its prefix was not
 * known in time it is seen once before, with last false and an accumulator that starts from the
 * identity. Such accumulators are joined in the order of the range; join need not commute. A single
 * worker sees everything once, from left to right; more workers take pieces from left to right,
 * or with SKUA_STATIC those of their own block. With reproducible, the pieces depend on the range,
 * the grain and acc_size alone, and all but the first are seen twice: outputs and *acc get the same
 * bits for any number of workers.
 * @param ex a thread pool.
 * @param begin first index.
 * @param end one past the last index; equal to @p begin leaves *acc as it is.
 * @param pass called once or twice for each piece.
 * @param join called by one thread at a time.
 * @param ctx given to each call.
 * @param acc the accumulator; left as it was unless SKUA_OK is returned.
 * @param acc_size its size in bytes, at least 1.
 * @param o how, or NULL.
 * @return as skua_for(). After SKUA_FAILED, some outputs are written and others are not. */
SKUA_API skua_status skua_scan(skua_executor *ex, size_t begin, size_t end, skua_pass *pass,
                               skua_join *join, void *ctx, void *acc, size_t acc_size,
                               const skua_loop *o);

SKUA_END_DECLS

#endif
