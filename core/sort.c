/* skua_sort: the array is cut into blocks, each merge-sorted in place by the worker that comes to
 * it (core/msort.c). Then in rounds each pair of neighbouring runs is merged from the array to the
 * buffer, or back. A round is cut into tiles of equal output, many to a pair when few pairs are
 * left, so that all workers merge in all rounds: where a tile's elements begin in the two runs is
 * found by a binary search along its diagonal (co-ranking: see include/skua/sort.h). The number of
 * blocks is a power of four, so the rounds are even in number and end in the array.
 *
 * A comparison that contradicts itself can give diagonals that cross. They are uncrossed before
 * the tiles are merged; so each element is in one tile, and the tiles together are a permutation.
 *
 * A comparison that fails stops the loop it is in. A block is then some permutation of itself; a
 * round has not touched what it reads, which is copied back to the array if it is the buffer.
 *
 * Rejected: quicksort and samplesort, which are not stable; forking at each merge, where each level
 * of the recursion waits for a slowest half, and blocks have no home. */
#include "skua/sort.h"

#include <string.h>

#include "base/mem.h"
#include "core/executor.h"
#include "core/future.h"
#include "core/loop.h"
#include "core/msort.h"

enum {
    BLOCKS_A_WORKER = 4,
    TILES_A_BLOCK = 4,
    BLOCK_MIN = 1024,   /* elements: about 0.1 ms of sorting */
    STACK_BYTES = 4096, /* a buffer that needs no allocation */
    STACK_ALIGN = 64
};

struct sort {
    struct sk_loop loop;
    skua_executor *ex;
    char *base;   /* the array */
    char *buffer; /* of the same size */
    size_t n, size;
    skua_compare *cmp;
    void *ctx;
    size_t block;       /* elements in a block; the last ones may have fewer */
    uint32_t nr_blocks; /* a power of 4 */
    size_t *split;      /* a tile: how many elements of the first run lie before it */
    SK_ATOMIC(bool) stop;
    /* of the loop that runs */
    void (*step)(struct sort *s, const struct sk_msort *m, uint32_t unit);
    char *from, *to; /* a round's */
    uint32_t width;  /* blocks in a run that it reads */
    skua_status status;
};

/* A tile's place in its round. */
struct tile {
    size_t first, na, nb; /* its pair of runs: index of the first element, and lengths */
    size_t begin, end;    /* what it is of the pair's output */
    bool begins_pair, ends_pair;
};

static size_t block_index(const struct sort *s, size_t i)
{
    return i < s->n / s->block + 1 && i * s->block < s->n ? i * s->block : s->n;
}

static struct tile tile_at(const struct sort *s, uint32_t number)
{
    uint32_t of_pair = 2 * s->width * TILES_A_BLOCK;
    uint32_t pair = number / of_pair, rank = number % of_pair;
    size_t first = block_index(s, (size_t)pair * 2 * s->width);
    size_t middle = block_index(s, ((size_t)pair * 2 + 1) * s->width);
    size_t n = block_index(s, ((size_t)pair + 1) * 2 * s->width) - first;
    size_t length = n / of_pair + (n % of_pair != 0);
    size_t begin = rank * length < n ? rank * length : n;
    return (struct tile){ .first = first,
                          .na = middle - first,
                          .nb = n - (middle - first),
                          .begin = begin,
                          .end = n - begin < length ? n : begin + length,
                          .begins_pair = rank == 0,
                          .ends_pair = rank == of_pair - 1 };
}

/* ---- what a unit does ------------------------------------------------------------------------ */

static void sort_block(struct sort *s, const struct sk_msort *m, uint32_t unit)
{
    size_t first = block_index(s, unit), end = block_index(s, (size_t)unit + 1);
    sk_msort_sort(m, s->base + first * s->size, s->buffer + first * s->size, end - first);
}

/* Clears the width if the blocks are in order as they are. */
static void look_at_seams(struct sort *s, const struct sk_msort *m, uint32_t unit)
{
    (void)unit;
    for (size_t i = 1; i < s->nr_blocks; i++) {
        size_t seam = block_index(s, i);
        const char *x = s->base + seam * s->size;
        if (seam < s->n && sk_msort_goes_after(m, x - s->size, x))
            return;
    }
    s->width = s->nr_blocks;
}

static void find_split(struct sort *s, const struct sk_msort *m, uint32_t unit)
{
    struct tile t = tile_at(s, unit);
    const char *a = s->from + t.first * s->size;
    s->split[unit] = sk_msort_split(m, a, t.na, a + t.na * s->size, t.nb, t.begin);
}

static void merge_tile(struct sort *s, const struct sk_msort *m, uint32_t unit)
{
    struct tile t = tile_at(s, unit);
    const char *a = s->from + t.first * s->size, *b = a + t.na * s->size;
    size_t a_begin = s->split[unit], a_end = t.ends_pair ? t.na : s->split[unit + 1];
    size_t b_begin = t.begin - a_begin, b_end = t.end - a_end;
    sk_msort_merge(m, s->to + (t.first + t.begin) * s->size, a + a_begin * s->size, a_end - a_begin,
                   b + b_begin * s->size, b_end - b_begin);
}

/* ---- loops ----------------------------------------------------------------------------------- */

static bool run_units(void *ctx, uint32_t first, uint32_t end)
{
    struct sort *s = ctx;
    skua_future *before = sk_future_set_current(s->loop.task);
    struct sk_words *kept = sk_error_begin_call();
    const int *said = sk_error_said();
    const struct sk_msort m = { s->size, s->cmp, s->ctx, said, &s->stop };
    for (uint32_t unit = first; unit < end && *said == 0; unit++)
        sk_error_call("a comparison", (sk_guard_fn *)s->step, (uintptr_t)s, (uintptr_t)&m, unit, 0);
    int code = *said;
    if (SK_UNLIKELY(code != 0)) {
        sk_store_rlx(&s->stop, true); /* relaxed: a hint to those who compare */
        sk_loop_fail(&s->loop, first, code);
    }
    sk_error_leave_call(kept);
    sk_future_set_current(before);
    return code == 0;
}

static bool run_loop(struct sort *s, uint32_t nr_units,
                     void (*step)(struct sort *s, const struct sk_msort *m, uint32_t unit))
{
    s->step = step;
    sk_loop_init(&s->loop, 0, nr_units, 1, SKUA_AUTO, true);
    s->status = sk_loop_run(&s->loop, s->ex, run_units, s);
    return s->status == SKUA_OK;
}

/* Moves splits to the nearest place where no tile has less than nothing of a run. */
static void uncross_splits(struct sort *s)
{
    for (uint32_t unit = 1; unit < s->nr_blocks * TILES_A_BLOCK; unit++) {
        struct tile t = tile_at(s, unit);
        if (t.begins_pair)
            continue;
        struct tile previous = tile_at(s, unit - 1);
        size_t least = s->split[unit - 1], most = least + (t.begin - previous.begin);
        size_t i = s->split[unit];
        s->split[unit] = i < least ? least : i > most ? most : i;
    }
}

static void run_loops(void *ctx)
{
    struct sort *s = ctx;
    if (!run_loop(s, s->nr_blocks, sort_block))
        return;
    s->width = 1;
    if (s->nr_blocks == 1 || !run_loop(s, 1, look_at_seams))
        return;
    s->from = s->base;
    s->to = s->buffer;
    uint32_t nr_tiles = s->nr_blocks * TILES_A_BLOCK;
    for (; s->width < s->nr_blocks; s->width *= 2) {
        if (!run_loop(s, nr_tiles, find_split))
            break;
        uncross_splits(s);
        if (!run_loop(s, nr_tiles, merge_tile))
            break;
        char *from = s->from;
        s->from = s->to;
        s->to = from;
    }
    if (s->from == s->buffer)
        memcpy(s->base, s->buffer, s->n * s->size);
}

/* ---- the sort -------------------------------------------------------------------------------- */

static skua_status check(const skua_executor *ex, const void *base, size_t n, size_t size,
                         skua_compare *cmp)
{
    skua_status status = sk_executor_check(ex, "skua_sort");
    if (status != SKUA_OK)
        return status;
    if (cmp == NULL)
        return sk_error_set(SKUA_INVALID, "skua_sort: cmp is NULL");
    if (size == 0)
        return sk_error_set(SKUA_INVALID, "skua_sort: size is 0; an element has at least 1 byte");
    if (base == NULL && n > 0)
        return sk_error_set(SKUA_INVALID, "skua_sort: base is NULL, but n is %zu", n);
    if (n > PTRDIFF_MAX / size)
        return sk_error_set(SKUA_INVALID,
                            "skua_sort: n is %zu and size %zu: no memory is that large", n, size);
    return SKUA_OK;
}

static uint32_t how_many_blocks(size_t n, int workers)
{
    uint32_t wanted = workers > 1 ? (uint32_t)workers * BLOCKS_A_WORKER : 1, blocks = 1;
    while (blocks < wanted && n / blocks / 4 >= BLOCK_MIN)
        blocks *= 4;
    return blocks;
}

skua_status skua_sort(skua_executor *ex, void *base, size_t n, size_t size, skua_compare *cmp,
                      void *ctx)
{
    skua_status status = check(ex, base, n, size, cmp);
    if (status != SKUA_OK || n < 2)
        return status;
    struct sort s = { .ex = ex, .base = base, .n = n, .size = size, .cmp = cmp, .ctx = ctx };
    s.nr_blocks = how_many_blocks(n, sk_executor_sched(ex)->nr_workers);
    s.block = n / s.nr_blocks + (n % s.nr_blocks != 0);
    _Alignas(STACK_ALIGN) char small[STACK_BYTES];
    size_t aligned = size & -size; /* no element can need more than this */
    size_t bytes = n * size, splits = (size_t)s.nr_blocks * TILES_A_BLOCK * sizeof *s.split;
    size_t gap = -bytes % sizeof *s.split;
    bool fits = bytes + gap + splits <= STACK_BYTES && aligned <= STACK_ALIGN;
    s.buffer = fits ? small : sk_pages_alloc(bytes + gap + splits);
    if (s.buffer == NULL)
        return sk_error_set(SKUA_NO_MEMORY, "skua_sort: no memory for a buffer of %zu bytes",
                            bytes);
    s.split = (size_t *)(void *)(s.buffer + bytes + gap);
    status = sk_loop_sequence(ex, run_loops, &s);
    if (!fits)
        sk_pages_free(s.buffer, bytes + gap + splits);
    return status == SKUA_OK ? s.status : status;
}
