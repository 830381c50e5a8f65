/* The entry points of the compilers' thread sanitizer instrumentation (-fsanitize=thread at
 * compile time, not at link time): the library's sources in a model build call these around each
 * plain access, and so have their plain variables checked for races without a mark. What is on the
 * list of the thread-local variables is each thread's own. Atomic operations have entry points
 * too, which are left out: an atomic operation around base/atomic.h then fails to link. */
#include "tests/model/engine.h"

extern char tls_begin[] __asm__("__start_model_tls") __attribute__((weak));
extern char tls_end[] __asm__("__stop_model_tls") __attribute__((weak));

static void access_plain(const volatile void *x, size_t size, bool writes, const void *pc)
{
    const volatile char *byte = x;
    if (tls_begin != NULL && byte >= tls_begin && byte < tls_end)
        return;
    const struct model_place place = { NULL, pc };
    model_plain_access(x, size, writes, &place);
}

/* Their names are the compilers'. */
#define ENTRY(name, size, writes)                                                                  \
    void name(void *x);                                                                            \
    void name(void *x)                                                                             \
    {                                                                                              \
        access_plain(x, size, writes, __builtin_return_address(0));                                \
    }
ENTRY(__tsan_read1, 1, false)
ENTRY(__tsan_read2, 2, false)
ENTRY(__tsan_read4, 4, false)
ENTRY(__tsan_read8, 8, false)
ENTRY(__tsan_read16, 16, false)
ENTRY(__tsan_write1, 1, true)
ENTRY(__tsan_write2, 2, true)
ENTRY(__tsan_write4, 4, true)
ENTRY(__tsan_write8, 8, true)
ENTRY(__tsan_write16, 16, true)
ENTRY(__tsan_unaligned_read2, 2, false)
ENTRY(__tsan_unaligned_read4, 4, false)
ENTRY(__tsan_unaligned_read8, 8, false)
ENTRY(__tsan_unaligned_read16, 16, false)
ENTRY(__tsan_unaligned_write2, 2, true)
ENTRY(__tsan_unaligned_write4, 4, true)
ENTRY(__tsan_unaligned_write8, 8, true)
ENTRY(__tsan_unaligned_write16, 16, true)
/* A read and then a write of the same, folded by the compiler. */
ENTRY(__tsan_read_write1, 1, true)
ENTRY(__tsan_read_write2, 2, true)
ENTRY(__tsan_read_write4, 4, true)
ENTRY(__tsan_read_write8, 8, true)
ENTRY(__tsan_read_write16, 16, true)

void __tsan_read_range(void *x, size_t size);
void __tsan_read_range(void *x, size_t size)
{
    access_plain(x, size, false, __builtin_return_address(0));
}

void __tsan_write_range(void *x, size_t size);
void __tsan_write_range(void *x, size_t size)
{
    access_plain(x, size, true, __builtin_return_address(0));
}

void __tsan_init(void);
void __tsan_init(void)
{
}

void __tsan_func_entry(void *pc);
void __tsan_func_entry(void *pc)
{
    (void)pc;
}

void __tsan_func_exit(void);
void __tsan_func_exit(void)
{
}
