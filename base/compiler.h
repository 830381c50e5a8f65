/* Compiler wrappers: the only place where the code leaves plain C11. */
#ifndef SK_BASE_COMPILER_H
#define SK_BASE_COMPILER_H

#include <stddef.h>

#define SK_LIKELY(x)    __builtin_expect(!!(x), 1)
#define SK_UNLIKELY(x)  __builtin_expect(!!(x), 0)
#define SK_NOINLINE     __attribute__((noinline))
#define SK_INLINE       inline __attribute__((always_inline)) /* for what is worth a copy a call */
#define SK_PRINTF(f, a) __attribute__((format(printf, f, a)))

/* Bytes of a cache line; larger ones, of some Arm and POWER, only cost some false sharing. */
#define SK_CACHE_LINE    64
#define SK_CACHE_ALIGNED _Alignas(SK_CACHE_LINE)

/* A variable of the thread, found without a call: the library is never opened so late that the
 * static TLS space is used up by its few words. */
#define SK_THREAD_LOCAL _Thread_local __attribute__((tls_model("initial-exec")))

#define SK_CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* 1 in a build with ThreadSanitizer, which leaves a program 1.5 TiB of addresses for mappings. */
#if defined(__SANITIZE_THREAD__)
#define SK_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SK_TSAN 1
#endif
#endif
#ifndef SK_TSAN
#define SK_TSAN 0
#endif

/* Tells the processor that this is a spin loop. */
static inline void sk_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory");
#else
    __asm__ volatile("" ::: "memory");
#endif
}

#endif
