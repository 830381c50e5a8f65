/* base/mem.h, watched. Blocks lie in one arena, one after the other and never twice in an
 * execution, so that every later access to a freed one is noticed. Because C11 orders allocation,
 * use and freeing of memory by happens-before alone, so does this file: a use that does not know
 * of the allocation, and a freeing that does not know of a use, are reported in whatever order
 * they came. Between blocks lies a gap that belongs to none.
 *
 * Pages come from slots of their own, large and for the most part untouched: those touched are
 * noted, as every access is, and cleared again before the next execution. */
#include "base/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "tests/model/engine.h"

#define ARENA_SIZE ((size_t)1 << 20)
#define LINE       64
#define SLOT_SIZE  ((size_t)8 << 20)
#define NR_SLOTS   4
#define PAGE       4096
#define SLOT_PAGES (SLOT_SIZE / PAGE)
#define MAX_BLOCKS 1024
#define FRESH      0xA5 /* bytes of memory that is not cleared */
#define GONE       0xDD /* bytes of freed memory */

struct block {
    unsigned char *begin;
    size_t size;
    bool cleared, freed;
    int allocator, freer; /* threads; -1: setup or finish */
    unsigned allocated;   /* the allocator's step */
    int freed_step;
    unsigned touched[MODEL_THREADS]; /* each thread's last step that used it */
    const void *pc;                  /* that allocated it */
};

static _Alignas(PAGE) unsigned char arena[ARENA_SIZE];
static uint16_t block_at[ARENA_SIZE / LINE]; /* number of the block that covers a line, or 0 */
static size_t used;

static _Alignas(PAGE) unsigned char slots[NR_SLOTS][SLOT_SIZE];
static uint16_t block_in[NR_SLOTS]; /* number of the block in a slot, or 0 */
static int nr_slots;                /* used */
static bool is_dirty[NR_SLOTS * SLOT_PAGES];
static uint32_t dirty[NR_SLOTS * SLOT_PAGES]; /* the touched pages */
static int nr_dirty;

static struct block blocks[MAX_BLOCKS]; /* from 1 */
static int nr_blocks, nr_live;
static sk_mem_hook *mem_hook;

void model_heap_reset(void)
{
    memset(block_at, 0, used / LINE * sizeof block_at[0]);
    used = 0;
    for (int i = 0; i < nr_dirty; i++) {
        memset(slots[0] + (size_t)dirty[i] * PAGE, 0, PAGE);
        is_dirty[dirty[i]] = false;
    }
    memset(block_in, 0, sizeof block_in);
    nr_dirty = nr_slots = 0;
    nr_blocks = nr_live = 0;
    mem_hook = NULL;
}

int model_nr_live(void)
{
    return nr_live;
}

static bool in_arena(uintptr_t x)
{
    return x - (uintptr_t)arena < ARENA_SIZE;
}

static bool in_slots(uintptr_t x)
{
    return x - (uintptr_t)slots < sizeof slots;
}

/* NULL: x lies in the model's memory, but in no block, or elsewhere. */
static struct block *block_of(uintptr_t x)
{
    int number = 0;
    if (in_arena(x))
        number = block_at[(x - (uintptr_t)arena) / LINE];
    else if (in_slots(x))
        number = block_in[(x - (uintptr_t)slots) / SLOT_SIZE];
    return number == 0 ? NULL : &blocks[number];
}

static void note_dirty(uintptr_t begin, size_t size)
{
    size_t last = (begin + size - 1 - (uintptr_t)slots) / PAGE;
    for (size_t page = (begin - (uintptr_t)slots) / PAGE; page <= last; page++) {
        if (!is_dirty[page]) {
            is_dirty[page] = true;
            dirty[nr_dirty++] = (uint32_t)page;
        }
    }
}

bool model_heap_name(uint64_t value, char *text, size_t size)
{
    const struct block *b = block_of((uintptr_t)value);
    if (b == NULL)
        return false;
    size_t offset = (uintptr_t)value - (uintptr_t)b->begin;
    int written = snprintf(text, size, "block %d", (int)(b - blocks));
    if (offset != 0 && written > 0 && (size_t)written < size)
        snprintf(text + written, size - (size_t)written, " + %zu", offset);
    return true;
}

bool model_heap_is_garbage(const volatile void *x, size_t size)
{
    static const unsigned char fresh[8] = {
        FRESH, FRESH, FRESH, FRESH, FRESH, FRESH, FRESH, FRESH
    };
    const struct block *b = block_of((uintptr_t)x);
    return b != NULL && !b->cleared && memcmp((const void *)(uintptr_t)x, fresh, size) == 0;
}

static _Noreturn void complain(const char *what, const struct block *b,
                               const struct model_place *place)
{
    char where[200];
    model_place_name(place, where, sizeof where);
    model_fail("%s: block %d: %s", what, b == NULL ? 0 : (int)(b - blocks), where);
}

void model_heap_touch(const volatile void *x, size_t size, unsigned at,
                      const struct model_place *place)
{
    uintptr_t begin = (uintptr_t)x;
    if (!in_arena(begin) && !in_slots(begin))
        return;
    struct block *b = block_of(begin);
    if (b == NULL)
        complain("access to memory that is not allocated", b, place);
    if (begin - (uintptr_t)b->begin + size > b->size)
        complain("access past the end", b, place);
    if (b->freed)
        complain("use after free", b, place);
    if (!model_knows(b->allocator, b->allocated))
        complain("data race: use of memory whose allocation is not known to be before", b, place);
    if (in_slots(begin))
        note_dirty(begin, size);
    if (model.running)
        b->touched[model.me] = at;
}

/* A new block of no memory; NULL if the hook says so. */
static struct block *new_block(size_t size, const void *pc)
{
    if (mem_hook != NULL && !mem_hook(size))
        return NULL;
    if (nr_blocks + 1 == MAX_BLOCKS)
        model_fail("more than %d blocks of memory", MAX_BLOCKS);
    struct block *b = &blocks[++nr_blocks];
    nr_live++;
    *b = (struct block){ .size = size, .allocator = model.me, .pc = pc };
    b->allocated = model_plain_at();
    const struct model_place place = { NULL, pc };
    struct model_event *e = model_trace_add(&place, MODEL_ALLOCATES);
    e->value = (uint64_t)nr_blocks;
    e->old = size;
    return b;
}

static struct block *allocate(size_t size, int byte, const void *pc)
{
    struct block *b = new_block(size, pc);
    if (b == NULL)
        return NULL;
    size_t lines = (size + LINE) / LINE; /* and a gap of a line, or less */
    if (lines * LINE > ARENA_SIZE - used)
        model_fail("the model's memory is full");
    b->begin = arena + used;
    for (size_t i = 0; i < lines; i++)
        block_at[used / LINE + i] = (uint16_t)nr_blocks;
    used += lines * LINE;
    b->cleared = byte == 0;
    memset(b->begin, byte, size);
    return b;
}

static void *begin_of(const struct block *b)
{
    return b == NULL ? NULL : b->begin;
}

static void release(void *memory, const void *pc)
{
    const struct model_place place = { NULL, pc };
    struct block *b = block_of((uintptr_t)memory);
    if (b == NULL || b->begin != memory)
        complain("free of what was not allocated", b, &place);
    if (b->freed)
        complain("double free", b, &place);
    if (!model_knows(b->allocator, b->allocated))
        complain("data race: free of memory whose allocation is not known to be before", b, &place);
    for (int t = 0; t < model.nr; t++) {
        if (t != model.me && !model_knows(t, b->touched[t]))
            complain("data race: free of memory that another thread may still use", b, &place);
    }
    b->freed = true;
    b->freer = model.me;
    b->freed_step = model.step;
    nr_live--;
    if (in_arena((uintptr_t)memory))
        memset(memory, GONE, b->size);
    model_trace_add(&place, MODEL_FREES)->value = (uint64_t)(b - blocks);
}

void model_heap_check_leaks(void)
{
    for (int i = 1; i <= nr_blocks; i++) {
        const struct model_place place = { NULL, blocks[i].pc };
        if (!blocks[i].freed && (model.test->flags & MODEL_LEAKS_OK) == 0)
            complain("leak", &blocks[i], &place);
    }
}

void sk_mem_set_hook(sk_mem_hook *hook)
{
    mem_hook = hook;
}

void *sk_alloc(size_t size)
{
    return begin_of(allocate(size, FRESH, __builtin_return_address(0)));
}

void *sk_calloc(size_t n, size_t size)
{
    return begin_of(allocate(n * size, 0, __builtin_return_address(0)));
}

void *sk_alloc_lines(size_t size)
{
    return begin_of(allocate(size, 0, __builtin_return_address(0)));
}

char *sk_strdup(const char *s)
{
    struct block *b = allocate(strlen(s) + 1, FRESH, __builtin_return_address(0));
    return b == NULL ? NULL : strcpy((char *)b->begin, s);
}

void sk_free(void *memory)
{
    if (memory != NULL)
        release(memory, __builtin_return_address(0));
}

void *sk_pages_alloc(size_t size)
{
    struct block *b = new_block(size, __builtin_return_address(0));
    if (b == NULL)
        return NULL;
    if (nr_slots == NR_SLOTS || size > SLOT_SIZE)
        model_fail("the model has no pages left");
    block_in[nr_slots] = (uint16_t)nr_blocks;
    b->begin = slots[nr_slots++];
    b->cleared = true;
    return b->begin;
}

void sk_pages_free(void *pages, size_t size)
{
    (void)size;
    if (pages != NULL)
        release(pages, __builtin_return_address(0));
}
