/* The deque of Chase and Lev ("Dynamic circular work-stealing deque", 2005) with the orders of Le,
 * Pop, Cohen and Zappa Nardelli ("Correct and efficient work-stealing for weak memory models",
 * 2013), but with seq_cst operations in place of their fences: the same speed with gcc, several
 * times faster than clang's mfence, and ThreadSanitizer understands it.
 *
 * Indices are 64-bit and signed; job i lies in slot i mod capacity, for top <= i < bottom. The
 * owner alone moves bottom. top only rises, by one, by compare-and-swap: who moves it owns the
 * job. For the last job the owner competes through the same compare-and-swap.
 *
 *   pop:   bottom = b - 1 (P1); t = top (P2)       steal: t = top (S1); b = bottom (S2)
 *
 * P1, P2, S1 and S2 are seq_cst. Were owner and thief both to take job b - 1 without competing, the
 * thief would have read bottom >= b, so S2 before P1, and so S1 before P2; the thief's compare-and-
 * swap on an unmoved top and P2's reading of top < b - 1 then contradict each other only if P2 came
 * after the swap; if it came before, t == b - 1 was read and the owner competes too. S1 as a mere
 * acquire would break this: a thief could pair an old top with a new bottom.
 *
 * Growing copies top .. bottom to a buffer of twice the size. Thieves may still hold the old one:
 * its slots are not written again, so what they read there is right if their compare-and-swap
 * succeeds. Old buffers are kept until the deque goes; together they are as large as the last
 * one. */
#include "sched/deque.h"

#include <errno.h>

#include "base/mem.h"

static SK_ATOMIC(struct sk_job *) * slot_of(struct sk_deque_buffer *buffer, int64_t index)
{
    return &buffer->slot[index & (buffer->capacity - 1)];
}

static struct sk_deque_buffer *buffer_open(int64_t capacity, struct sk_deque_buffer *smaller)
{
    struct sk_deque_buffer *buffer =
        sk_calloc(1, sizeof *buffer + (size_t)capacity * sizeof buffer->slot[0]);
    if (buffer != NULL) {
        buffer->capacity = capacity;
        buffer->smaller = smaller;
    }
    return buffer;
}

int sk_deque_init(struct sk_deque *deque, int64_t capacity)
{
    int64_t power = 2;
    while (power < capacity)
        power *= 2;
    struct sk_deque_buffer *buffer = buffer_open(power, NULL);
    sk_init(&deque->top, 0);
    sk_init(&deque->bottom, 0);
    sk_init(&deque->buffer, buffer);
    return buffer == NULL ? -ENOMEM : 0;
}

void sk_deque_fini(struct sk_deque *deque)
{
    struct sk_deque_buffer *buffer = sk_load_rlx(&deque->buffer);
    while (buffer != NULL) {
        struct sk_deque_buffer *smaller = buffer->smaller;
        sk_free(buffer);
        buffer = smaller;
    }
    sk_store_rlx(&deque->buffer, NULL);
}

/* The buffer with room for one more, or NULL. */
static struct sk_deque_buffer *grow(struct sk_deque *deque, struct sk_deque_buffer *old,
                                    int64_t top, int64_t bottom)
{
    struct sk_deque_buffer *buffer = buffer_open(old->capacity * 2, old);
    if (buffer == NULL)
        return NULL;
    for (int64_t i = top; i != bottom; i++)
        sk_store_rlx(slot_of(buffer, i), sk_load_rlx(slot_of(old, i)));
    sk_store_rel(&deque->buffer, buffer); /* G1: publishes capacity and slots; pairs with G2 */
    return buffer;
}

int sk_deque_push(struct sk_deque *deque, struct sk_job *job)
{
    int64_t bottom = sk_load_rlx(&deque->bottom); /* relaxed: the owner alone writes it */
    int64_t top = sk_load_acq(&deque->top);       /* A1: slots below top were read; pairs with C1 */
    struct sk_deque_buffer *buffer = sk_load_rlx(&deque->buffer);
    if (SK_UNLIKELY(bottom - top >= buffer->capacity)) {
        buffer = grow(deque, buffer, top, bottom);
        if (buffer == NULL)
            return -ENOMEM;
    }
    sk_store_rlx(slot_of(buffer, bottom), job);
    sk_store_sc(&deque->bottom, bottom + 1); /* B1: publishes the slot and the job; pairs with S2 */
    return 0;
}

struct sk_job *sk_deque_pop(struct sk_deque *deque)
{
    int64_t bottom = sk_load_rlx(&deque->bottom) - 1;
    /* Nothing there: no store that thieves would have to wait for. An old top only makes it look
     * fuller than it is. */
    if (sk_load_rlx(&deque->top) > bottom)
        return NULL;
    struct sk_deque_buffer *buffer = sk_load_rlx(&deque->buffer);
    sk_store_sc(&deque->bottom, bottom);   /* P1: before P2 in the one order of seq_cst */
    int64_t top = sk_load_sc(&deque->top); /* P2: see S1, S2 */
    struct sk_job *job = NULL;
    if (top <= bottom) {
        job = sk_load_rlx(slot_of(buffer, bottom));
        if (top < bottom)
            return job;
        if (!sk_cas_sc(&deque->top, &top, top + 1)) /* C2: against C1 for the last job */
            job = NULL;
    }
    /* Empty: bottom = top again. Release: who reads this value must still see the slots below. */
    sk_store_rel(&deque->bottom, bottom + 1);
    return job;
}

struct sk_job *sk_deque_steal(struct sk_deque *deque, bool *lost)
{
    if (lost != NULL)
        *lost = false;
    int64_t top = sk_load_sc(&deque->top);       /* S1: before S2 in the one order of seq_cst */
    int64_t bottom = sk_load_sc(&deque->bottom); /* S2: pairs with B1; see P1, P2 */
    if (top >= bottom)
        return NULL;
    struct sk_deque_buffer *buffer = sk_load_acq(&deque->buffer); /* G2: pairs with G1 */
    struct sk_job *job = sk_load_rlx(slot_of(buffer, top));
    if (!sk_cas_sc(&deque->top, &top, top + 1)) { /* C1: the slot was read; pairs with A1 */
        if (lost != NULL)
            *lost = true;
        return NULL;
    }
    return job;
}
