#define _GNU_SOURCE
/* Shared buffers.
 *
 * The problem. A block that the program allocates while its workers run must be theirs at once, at
 * the same address, since pointers into it are passed as they are. What is mapped after a fork is
 * mapped in one process only, and a worker cannot be asked to map something more: it may be deep in
 * a task that got the pointer through other shared memory.
 *
 * The idea. All is mapped before there are workers: two ranges of addresses that nobody will ever
 * fill, each over a memfd that has no size yet. What lies beyond a file's end is a SIGBUS; when a
 * block is given out the file grows over it, and it is memory in every process in that moment.
 * There is no message, no table and no cost for each task or worker: a fork copies no page tables
 * of such a mapping. The files are sealed against shrinking, by which a worker could pull memory
 * away under the parent; that a worker may let them grow hurts nobody. One of the two is mapped
 * read-only in workers, and they have no descriptors of either.
 *
 * Rejected: shm_open() and files in /dev/shm, which leave names behind when a process is killed and
 * end at the size of that mount; a memfd for each block, mapped by workers on demand, which takes a
 * round trip and a descriptor a block; PROT_NONE in place of the file's end, which would have to be
 * lifted in every process.
 *
 * Where a block lies is the parent's knowledge alone: workers can write to all of the shared memory
 * they see, so nothing in there is read by the allocator. Each half is cut without gaps into blocks
 * that know their neighbours. Free ones hang in bins by the power of two below their size: the own
 * bin is looked at briefly, then any block of a higher bin fits; the rest behind the highest block
 * is the largest one for long, and so taken last. Used blocks are found by a hash of their address.
 * Each block has a page behind it that belongs to nobody: writing a little too far hurts nobody,
 * and behind the highest block it is a SIGBUS.
 *
 * A freed block is in limbo until the tasks that may be using it have ended. Then its pages are
 * punched out of the file, and again before the block is given out anew: a stray pointer of some
 * task may have written there since. */
#include "process/heap.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "base/compiler.h"
#include "base/lock.h"
#include "base/mem.h"
#include "base/thread.h"

enum {
    NR_BINS = 48,
    NR_LOOKS = 16,    /* at blocks that may be too small, before larger ones are cut */
    NR_CHAINS = 64,   /* of the hash, at first; a power of two */
    NOEXEC_SEAL = 0x8 /* MFD_NOEXEC_SEAL, which Linux knows from 6.3 on, and glibc later */
};

#define BYTES_MOST  ((size_t)1 << (SK_TSAN ? 34 : 40)) /* TSan has few addresses for programs */
#define BYTES_LEAST ((size_t)64 << 20)
#define NEVER       UINT64_MAX

enum block_state {
    BLOCK_FREE, /* in a bin; neither neighbour is free */
    BLOCK_USED, /* in the hash */
    BLOCK_LIMBO /* in the list of those freed, or of one thread that clears them */
};

/* All under the heap's lock. */
struct block {
    struct block *left, *right; /* neighbours by address; NULL at the ends */
    struct block *next;         /* in the bin, the hash's chain, or limbo */
    struct block *previous;     /* in the bin, and in limbo */
    struct half *half;
    size_t page, nr_pages; /* from the half's beginning; the last page is never handed out */
    uint64_t serial;       /* in limbo: of the last task that may be using it */
    enum block_state state;
};

/* The memory of one kind. */
struct half {
    char *base;         /* constant */
    int fd;             /* constant but for sk_heap_become_worker(): -1 there */
    size_t file_pages;  /* under the lock: the file's size; only rises */
    struct block *head; /* the block at the base; it is never merged into another */
    struct block *bins[NR_BINS];
};

struct sk_heap {
    struct sk_lock lock;
    unsigned nr_forks;          /* constant: in a process with another number it is not ours */
    size_t page_size, nr_pages; /* constant; the pages are those of each half */
    struct half halves[2];      /* [1]: workers only read */
    struct block **chains;      /* the hash */
    size_t nr_chains, nr_used;
    struct block *limbo_first, *limbo_last; /* serials do not fall */
    SK_ATOMIC(uint64_t) due; /* the serial of limbo_first, or NEVER; written under the lock */
};

/* --- bins: a half's free blocks --- */

static int bin_of(size_t nr_pages)
{
    return 63 - __builtin_clzll(nr_pages);
}

static void bin_push(struct block *block)
{
    struct block **bin = &block->half->bins[bin_of(block->nr_pages)];
    block->state = BLOCK_FREE;
    block->previous = NULL;
    block->next = *bin;
    if (*bin != NULL)
        (*bin)->previous = block;
    *bin = block;
}

static void bin_remove(struct block *block)
{
    if (block->previous != NULL)
        block->previous->next = block->next;
    else
        block->half->bins[bin_of(block->nr_pages)] = block->next;
    if (block->next != NULL)
        block->next->previous = block->previous;
}

static struct block *first_fit(struct block *bin, size_t nr_pages, size_t nr_looks)
{
    for (struct block *b = bin; b != NULL && nr_looks-- > 0; b = b->next)
        if (b->nr_pages >= nr_pages)
            return b;
    return NULL;
}

static struct block *bin_find(const struct half *half, size_t nr_pages)
{
    const int own = bin_of(nr_pages);
    struct block *found = first_fit(half->bins[own], nr_pages, NR_LOOKS);
    for (int bin = own + 1; bin < NR_BINS && found == NULL; bin++)
        found = half->bins[bin];
    return found != NULL ? found : first_fit(half->bins[own], nr_pages, SIZE_MAX);
}

/* --- cutting and merging --- */

static struct block *block_new(struct half *half, size_t page, size_t nr_pages)
{
    struct block *block = sk_calloc(1, sizeof *block);
    if (block != NULL) {
        block->half = half;
        block->page = page;
        block->nr_pages = nr_pages;
    }
    return block;
}

/* Takes a block of so many pages out of the bins, the rest of it going back. NULL without one, or
 * without memory. */
static struct block *cut(struct half *half, size_t nr_pages)
{
    struct block *block = bin_find(half, nr_pages);
    if (block == NULL)
        return NULL;
    struct block *rest = NULL;
    if (block->nr_pages > nr_pages) {
        rest = block_new(half, block->page + nr_pages, block->nr_pages - nr_pages);
        if (rest == NULL)
            return NULL;
    }
    bin_remove(block);
    if (rest != NULL) {
        block->nr_pages = nr_pages;
        rest->left = block;
        rest->right = block->right;
        if (rest->right != NULL)
            rest->right->left = rest;
        block->right = rest;
        bin_push(rest);
    }
    return block;
}

/* Makes the block part of its left neighbour. */
static struct block *join_left(struct block *block)
{
    struct block *left = block->left;
    left->nr_pages += block->nr_pages;
    left->right = block->right;
    if (left->right != NULL)
        left->right->left = left;
    sk_free(block);
    return left;
}

/* Puts a block, which is in no list, into the bins, with those beside it that are free. */
static void give_back(struct block *block)
{
    if (block->right != NULL && block->right->state == BLOCK_FREE) {
        bin_remove(block->right);
        block = join_left(block->right);
    }
    if (block->left != NULL && block->left->state == BLOCK_FREE) {
        bin_remove(block->left);
        block = join_left(block);
    }
    bin_push(block);
}

/* --- the hash of used blocks, by half and page --- */

static struct block **chain_of(struct block **chains, size_t nr_chains, const struct half *half,
                               size_t page)
{
    const uint64_t mixed = ((uint64_t)page + (uintptr_t)half) * 0x9e3779b97f4a7c15u;
    return &chains[(mixed >> 32) & (nr_chains - 1)];
}

/* Twice as many chains; without memory the old ones do, only slower. */
static void hash_grow(struct sk_heap *heap)
{
    const size_t nr_chains = heap->nr_chains * 2;
    struct block **chains = sk_calloc(nr_chains, sizeof(struct block *));
    if (chains == NULL)
        return;
    for (size_t i = 0; i < heap->nr_chains; i++) {
        for (struct block *next, *b = heap->chains[i]; b != NULL; b = next) {
            struct block **chain = chain_of(chains, nr_chains, b->half, b->page);
            next = b->next;
            b->next = *chain;
            *chain = b;
        }
    }
    sk_free(heap->chains);
    heap->chains = chains;
    heap->nr_chains = nr_chains;
}

static void hash_insert(struct sk_heap *heap, struct block *block)
{
    if (heap->nr_used >= heap->nr_chains)
        hash_grow(heap);
    struct block **chain = chain_of(heap->chains, heap->nr_chains, block->half, block->page);
    block->state = BLOCK_USED;
    block->next = *chain;
    *chain = block;
    heap->nr_used++;
}

/* Takes the block out that begins there; NULL if none does. */
static struct block *hash_remove(struct sk_heap *heap, const struct half *half, size_t page)
{
    struct block **at = chain_of(heap->chains, heap->nr_chains, half, page);
    while (*at != NULL && ((*at)->page != page || (*at)->half != half))
        at = &(*at)->next;
    struct block *block = *at;
    if (block != NULL) {
        *at = block->next;
        heap->nr_used--;
    }
    return block;
}

/* --- the files --- */

/* A memfd of size 0 that can only grow. */
static int file_open(const char *name)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL)
        fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_SEAL) != 0) {
        const int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

/* Beyond RLIMIT_FSIZE ftruncate() does not only fail but raises a signal that ends the program. */
static bool file_grow(struct half *half, size_t nr_pages, size_t page_size)
{
    struct rlimit limit;
    if (nr_pages <= half->file_pages)
        return true;
    const size_t size = nr_pages * page_size;
    if (getrlimit(RLIMIT_FSIZE, &limit) != 0 || size > limit.rlim_cur)
        return false;
    if (ftruncate(half->fd, (off_t)size) != 0)
        return false;
    half->file_pages = nr_pages;
    return true;
}

/* Gives the block's memory back to the system; it reads as zeros then. Without the lock. */
static bool file_punch(const struct sk_heap *heap, const struct block *block)
{
    const off_t from = (off_t)(block->page * heap->page_size);
    const off_t size = (off_t)(block->nr_pages * heap->page_size);
    int rc;
    do
        rc = fallocate(block->half->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, from, size);
    while (rc != 0 && errno == EINTR);
    return rc == 0;
}

/* --- open and close --- */

/* Each half's size to begin with: where the program's addresses are limited, both take no more than
 * a quarter of them. */
static size_t wanted_bytes(void)
{
    struct rlimit limit;
    size_t bytes = BYTES_MOST;
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        while (bytes > limit.rlim_cur / 8 && bytes > BYTES_LEAST)
            bytes /= 2;
    return bytes;
}

static char *map(int fd, size_t size)
{
    void *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (base == MAP_FAILED)
        return NULL;
    madvise(base, size, MADV_DONTDUMP); /* a dump of all of it would have no end */
    return base;
}

/* Maps both halves, in half the size for as long as that is too much. */
static int map_halves(struct sk_heap *heap)
{
    for (size_t size = wanted_bytes(); size >= BYTES_LEAST; size /= 2) {
        char *first = map(heap->halves[0].fd, size);
        char *second = first == NULL ? NULL : map(heap->halves[1].fd, size);
        if (second != NULL) {
            heap->halves[0].base = first;
            heap->halves[1].base = second;
            heap->nr_pages = size / heap->page_size;
            return 0;
        }
        if (first != NULL)
            munmap(first, size);
    }
    return -ENOMEM;
}

static int half_init(struct sk_heap *heap, struct half *half)
{
    half->head = block_new(half, 0, heap->nr_pages);
    if (half->head == NULL)
        return -ENOMEM;
    bin_push(half->head);
    return 0;
}

static void half_fini(const struct sk_heap *heap, const struct half *half)
{
    if (half->base != NULL)
        munmap(half->base, heap->nr_pages * heap->page_size);
    if (half->fd >= 0)
        close(half->fd);
}

int sk_heap_open(struct sk_heap **out)
{
    *out = NULL;
    struct sk_heap *heap = sk_calloc(1, sizeof *heap);
    if (heap == NULL)
        return -ENOMEM;
    sk_lock_init(&heap->lock, SK_RANK_LEAF);
    sk_init(&heap->due, NEVER);
    heap->nr_forks = sk_thread_fork_count();
    heap->page_size = (size_t)sysconf(_SC_PAGESIZE);
    heap->nr_chains = NR_CHAINS;
    heap->chains = sk_calloc(NR_CHAINS, sizeof(struct block *));
    heap->halves[0].fd = file_open("skua-shared");
    heap->halves[1].fd = file_open("skua-inputs");
    int rc = heap->chains == NULL ? -ENOMEM : 0;
    for (int i = 0; i < 2 && rc == 0; i++)
        rc = heap->halves[i].fd < 0 ? heap->halves[i].fd : 0;
    if (rc == 0)
        rc = map_halves(heap);
    for (int i = 0; i < 2 && rc == 0; i++)
        rc = half_init(heap, &heap->halves[i]);
    if (rc != 0) {
        sk_heap_close(heap);
        return rc;
    }
    *out = heap;
    return 0;
}

/* A fork may have come in the midst of another thread's call: then the lock is held for ever in
 * here, and the blocks are not fit to be looked at. Their memory is left, as fork() leaves all that
 * other threads had. */
void sk_heap_close(struct sk_heap *heap)
{
    if (heap == NULL)
        return;
    for (int i = 0; i < 2; i++)
        half_fini(heap, &heap->halves[i]);
    if (!sk_lock_try_lock(&heap->lock))
        return;
    for (int i = 0; i < 2; i++) {
        for (struct block *right, *b = heap->halves[i].head; b != NULL; b = right) {
            right = b->right;
            sk_free(b);
        }
    }
    sk_free(heap->chains);
    sk_lock_unlock(&heap->lock);
    sk_free(heap);
}

void sk_heap_become_worker(struct sk_heap *heap)
{
    struct half *inputs = &heap->halves[1];
    sk_check(mprotect(inputs->base, heap->nr_pages * heap->page_size, PROT_READ) == 0);
    for (int i = 0; i < 2; i++) {
        if (heap->halves[i].fd >= 0)
            close(heap->halves[i].fd);
        heap->halves[i].fd = -1;
    }
}

/* --- blocks --- */

/* Whether this is the process that gives the blocks out, and not a copy of it. */
static bool is_owner(const struct sk_heap *heap)
{
    return heap->halves[0].fd >= 0 && heap->nr_forks == sk_thread_fork_count();
}

void *sk_heap_alloc(struct sk_heap *heap, size_t size, bool read_only)
{
    struct half *half = &heap->halves[read_only];
    const size_t nr_pages = size / heap->page_size + (size % heap->page_size != 0);
    if (!is_owner(heap) || nr_pages == 0 || nr_pages >= heap->nr_pages)
        return NULL;
    sk_lock_lock(&heap->lock);
    struct block *block = cut(half, nr_pages + 1);
    const bool was_used = block != NULL && block->page < half->file_pages;
    if (block != NULL && !file_grow(half, block->page + nr_pages, heap->page_size)) {
        give_back(block);
        block = NULL;
    }
    if (block != NULL)
        block->state = BLOCK_LIMBO; /* so that it stays what it is while it is cleared */
    sk_lock_unlock(&heap->lock);
    if (block == NULL)
        return NULL;

    const bool clear = !was_used || file_punch(heap, block);
    void *memory = half->base + block->page * heap->page_size;
    sk_lock_lock(&heap->lock);
    if (clear)
        hash_insert(heap, block);
    else
        give_back(block);
    sk_lock_unlock(&heap->lock);
    return clear ? memory : NULL;
}

/* Limbo's list is sorted. What a user frees comes to its end: the crew draws serials and frees
 * under one lock of its own, so they do not fall. What held a task's large argument or result has
 * serial 0, as nobody else can be using it; it goes past all that wait to the beginning, from where
 * the settling that follows takes it. */
static void limbo_insert(struct sk_heap *heap, struct block *block)
{
    struct block *before = heap->limbo_last;
    while (before != NULL && before->serial > block->serial)
        before = before->previous;
    block->state = BLOCK_LIMBO;
    block->previous = before;
    block->next = before == NULL ? heap->limbo_first : before->next;
    if (block->next != NULL)
        block->next->previous = block;
    else
        heap->limbo_last = block;
    if (before != NULL)
        before->next = block;
    else
        heap->limbo_first = block;
}

/* Cuts off limbo's beginning up to the serial. */
static struct block *limbo_take(struct sk_heap *heap, uint64_t serial)
{
    struct block *first = heap->limbo_first, *last = NULL;
    for (struct block *b = first; b != NULL && b->serial <= serial; b = b->next)
        last = b;
    if (last == NULL)
        return NULL;
    heap->limbo_first = last->next;
    if (last->next != NULL)
        last->next->previous = NULL;
    else
        heap->limbo_last = NULL;
    last->next = NULL;
    return first;
}

/* The load in sk_heap_settle() is relaxed: who frees and then settles sees its own store, and
 * whoever misses another thread's leaves the block to the settling that follows that free. */
static void limbo_note(struct sk_heap *heap)
{
    sk_store_rlx(&heap->due, heap->limbo_first == NULL ? NEVER : heap->limbo_first->serial);
}

/* The half that has the address; NULL if none. */
static const struct half *half_of(const struct sk_heap *heap, uintptr_t address)
{
    const size_t size = heap->nr_pages * heap->page_size;
    for (int i = 0; i < 2; i++)
        if (address - (uintptr_t)heap->halves[i].base < size)
            return &heap->halves[i];
    return NULL;
}

bool sk_heap_free(struct sk_heap *heap, void *memory, uint64_t serial)
{
    const struct half *half = half_of(heap, (uintptr_t)memory);
    if (half == NULL || !is_owner(heap))
        return false;
    const size_t at = (size_t)((const char *)memory - half->base);
    if (at % heap->page_size != 0)
        return false;
    sk_lock_lock(&heap->lock);
    struct block *block = hash_remove(heap, half, at / heap->page_size);
    if (block != NULL) {
        block->serial = serial;
        limbo_insert(heap, block);
        limbo_note(heap);
    }
    sk_lock_unlock(&heap->lock);
    return block != NULL;
}

void sk_heap_settle(struct sk_heap *heap, uint64_t serial)
{
    if (SK_LIKELY(sk_load_rlx(&heap->due) > serial) || !is_owner(heap))
        return;
    sk_lock_lock(&heap->lock);
    struct block *due = limbo_take(heap, serial);
    limbo_note(heap);
    sk_lock_unlock(&heap->lock);

    /* Blocks in limbo are merged by nobody, so they may be read. If the system does not take the
     * memory back, it tries again when the block is given out. */
    for (const struct block *b = due; b != NULL; b = b->next)
        file_punch(heap, b);
    sk_lock_lock(&heap->lock);
    for (struct block *next; due != NULL; due = next) {
        next = due->next;
        give_back(due);
    }
    sk_lock_unlock(&heap->lock);
}

bool sk_heap_holds(const struct sk_heap *heap, const void *memory, size_t size, bool *read_only)
{
    const struct half *half = half_of(heap, (uintptr_t)memory);
    *read_only = half == &heap->halves[1];
    if (half == NULL)
        return false;
    const size_t at = (size_t)((const char *)memory - half->base);
    return size <= heap->nr_pages * heap->page_size - at;
}
