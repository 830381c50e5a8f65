/* After Lace (van Dijk and van de Pol, "Lace: non-blocking split deque for work-stealing", 2014).
 *
 *     entries   0 ... tail ... split ... head
 *               stolen  shared   private
 *
 * One 64-bit word holds tail and split, and all moves are compare-and-swaps on it: thieves move
 * tail up by one, the owner moves split up (publish) or down (reclaim). So thief and owner never
 * disagree about an entry, without a fence. Push and pop of private entries touch only the owner's
 * own line and look at one flag, `asked`, that thieves raise when they find nothing shared.
 *
 * An entry is reused only after it was popped, and a stolen one is popped only when it is DONE, the
 * thief's last access to it. So a thief reads the entry after its compare-and-swap, and it does not
 * matter if the word had changed and come back in between.
 *
 * Children may be synced in any order: one that is not the youngest becomes a hole (fn == NULL)
 * that is popped when it comes to lie on top. Thieves who claim a hole mark it DONE.
 *
 * Leapfrogging (Wagner and Calder, 1993): who waits for something that worker T runs takes only
 * children spawned inside. T had base entries when it began, so those at or above base belong to it
 * as long as it lasts. The word's tag, raised by each publish, makes that exact:
 *
 *   waiter: F1 read the word                  T: E1 the span ends, all its children synced
 *           F2 has the span ended? then leave    E2 publish others: tag + 1
 *           F3 swap
 *
 * A word that shares entries does not come back without a publish. So if F3 succeeds, what it takes
 * was shared at F1, and no publish came in between. If F1 reads a word of E2 or later, F2 sees E1.
 * Else the entry was shared before E1, and if it lies at or above base it was spawned in the span:
 * then it is still to be synced, and so the span has not ended.
 *
 * Causes. A thief must know which task a child is a part of, but to write that down would cost each
 * spawn a store, and most children are never taken. So the owner keeps one cause, that of what it
 * runs at the moment, and writes it into entries only when they are shared, or when the cause
 * changes while they are open: entries below `marked` know theirs.
 *
 *     set_cause: context of entries[marked .. head) = cause; marked = head; cause = the next one
 *     publish:   context of entries[marked .. split) = cause; marked = split, if that is more
 *
 * An entry below `marked` that is popped and pushed again needs no mark, unless a thief has had it:
 * then `marked` falls to it, where nothing is open above it. What begins with `base`
 * entries open pops none below base before it ends. Entries from base on that were marked since
 * were marked for it, or for something inside it that has ended; at that end the cause was set back
 * and marked with it, below all the latter. So while it runs, whatever lies between base and marked
 * bears its cause. Only private entries are ever written: those that are shared lie below marked.
 *
 * The word: tag 24 bits, tail 20 bits, split 20 bits. */
#include "sched/split.h"

#include <errno.h>
#include <sched.h>

#include "base/assert.h"
#include "base/mem.h"

#define TAG_ONE    (UINT64_C(1) << 40)
#define TAIL_ONE   (UINT64_C(1) << 20)
#define FIELD_MASK (TAIL_ONE - 1)

_Static_assert(SK_SPLIT_CAPACITY < FIELD_MASK, "tail and split fit their fields");
_Static_assert(sizeof(struct sk_split_entry) == SK_CACHE_LINE, "an entry is a line of its own");

static uint32_t tail_of(uint64_t word)
{
    return (uint32_t)((word >> 20) & FIELD_MASK);
}

static uint32_t split_of(uint64_t word)
{
    return (uint32_t)(word & FIELD_MASK);
}

static uint64_t word_with(uint64_t word, uint32_t tail, uint32_t split)
{
    return (word & ~(TAG_ONE - 1)) | (uint64_t)tail << 20 | split;
}

static void set_split(struct sk_split *split, uint32_t value)
{
    split->split = value;
    split->limit = split->nr_holes != 0 ? UINT32_MAX : value;
}

int sk_split_init(struct sk_split *split)
{
    split->head = split->nr_holes = split->split = split->limit = split->marked = 0;
    split->class = NULL;
    split->cause = NULL;
    sk_init(&split->shared, 0);
    sk_init(&split->asked, 0);
    sk_init(&split->joined.epoch, 0);
    sk_init(&split->joined.waiters, 0);
    split->entries = sk_pages_alloc(SK_SPLIT_CAPACITY * sizeof *split->entries);
    return split->entries == NULL ? -ENOMEM : 0;
}

void sk_split_fini(struct sk_split *split)
{
    sk_pages_free(split->entries, SK_SPLIT_CAPACITY * sizeof *split->entries);
    split->entries = NULL;
}

void sk_split_mark(struct sk_split *split, uint32_t end)
{
    for (; split->marked < end; split->marked++)
        split->entries[split->marked].context = split->cause;
}

bool sk_split_publish(struct sk_split *split)
{
    uint32_t more = (split->head - split->split + 1) / 2;
    if (more == 0)
        return false; /* still asked: the thief may sleep until there is something */
    sk_store_rlx(&split->asked, 0u);
    uint32_t value = split->split + more;
    sk_split_mark(split, value);
    uint64_t word = sk_load_rlx(&split->shared);
    /* S1: publishes the entries; pairs with S2. seq_cst: a notifier may look for sleepers next. */
    while (!sk_cas_sc(&split->shared, &word, word_with(word, tail_of(word), value) + TAG_ONE)) {
    }
    set_split(split, value);
    return true;
}

bool sk_split_reclaim(struct sk_split *split, uint32_t index)
{
    if (index >= split->split)
        return true;
    uint64_t word = sk_load_rlx(&split->shared);
    do {
        if (tail_of(word) > index)
            return false;
    } while (!sk_cas_rlx(&split->shared, &word, word_with(word, tail_of(word), index)));
    /* Relaxed: the entries from index on were never another's. */
    set_split(split, index);
    return true;
}

static void wait_done(struct sk_split_entry *entry)
{
    for (int spins = 0; sk_load_acq(&entry->state) != SK_SPLIT_DONE; spins++) { /* S4: pairs S3 */
        if (spins < 100)
            sk_pause();
        else
            sched_yield();
    }
}

/* Pops the youngest entry, which is private, DONE, or a hole. */
static void pop_top(struct sk_split *split)
{
    uint32_t index = split->head - 1;
    if (!sk_split_reclaim(split, index)) {
        wait_done(&split->entries[index]); /* a hole is marked at once; the rest is DONE already */
        /* Everything shared is stolen, so tail == split == head, and no thief's swap succeeds. */
        uint64_t word = sk_load_rlx(&split->shared);
        sk_assert(tail_of(word) == index + 1 && split_of(word) == index + 1);
        sk_store_rlx(&split->shared, word_with(word, index, index));
        set_split(split, index);
        if (split->marked > index) /* the thief has taken the entry's mark */
            split->marked = index;
    }
    split->head = index;
}

void sk_split_remove(struct sk_split *split, uint32_t index)
{
    if (index + 1 != split->head) {
        split->entries[index].fn = NULL;
        split->nr_holes++;
    } else {
        pop_top(split);
    }
    while (split->nr_holes != 0 && split->entries[split->head - 1].fn == NULL) {
        split->nr_holes--;
        pop_top(split);
    }
    set_split(split, split->split);
}

struct sk_split_entry *sk_split_steal(struct sk_split *victim, struct sk_split_span *within)
{
    uint64_t word = sk_load_sc(&victim->shared); /* S2: pairs with S1; seq_cst for the last look */
    uint32_t tail = tail_of(word);
    if (within != NULL && (sk_load_acq(&within->split) != victim || tail < within->base)) /* S6 */
        return NULL;
    if (tail >= split_of(word)) {
        if (sk_load_rlx(&victim->asked) == 0)
            sk_store_rlx(&victim->asked, 1u);
        return NULL;
    }
    /* S2 again on success: what S1 published is seen. */
    if (!sk_cas_acq_rel(&victim->shared, &word, word + TAIL_ONE))
        return NULL;
    return &victim->entries[tail];
}

void sk_split_run(struct sk_split *self, struct sk_split *victim, struct sk_split_entry *entry)
{
    int (*fn)(void *arg) = entry->fn;
    if (fn != NULL) {
        struct sk_stint stint;
        sk_circle_begin(&stint, &entry->awaited);
        sk_split_span_begin(&entry->span, self);
        void *cause = entry->context;
        entry->context = NULL;
        entry->result = victim->class == NULL
                            ? fn(entry->arg)
                            : victim->class->run(fn, entry->arg, cause, &entry->context);
        sk_split_span_end(&entry->span);
        sk_circle_end(&stint);
    }
    sk_store_sc(&entry->state, SK_SPLIT_DONE); /* S3: publishes result; pairs with S4; then N2 */
    sk_park_notify(&victim->joined, 1);
}

bool sk_split_empty(struct sk_split *split)
{
    uint64_t word = sk_load_sc(&split->shared); /* pairs with S1 */
    return tail_of(word) >= split_of(word);
}
