/* Names for code addresses of this process. A worker is a copy of it, so they hold there too, but
 * for what only the worker has loaded. */
#ifndef SK_PROCESS_SYMBOLS_H
#define SK_PROCESS_SYMBOLS_H

#include <stdint.h>

/* One frame a line, "#0 function+0x12 at file.c:34 in libx.so", or as much of it as is known:
 * "#1 0x4f3a in libx.so" is an offset in that file, "#2 0x7f0010" an address. The first address is
 * an instruction's own, the others are return addresses. Any thread; blocks while another thread is
 * in here. For sk_free(); NULL without memory or frames. */
char *sk_symbols_describe(const uint64_t *frames, uint32_t n);

/* --- where the names come from: symbols_dw.c or symbols_plain.c, as CMake has chosen --- */

/* What is known of one address; NULL: not known. The strings live until the next call. */
struct sk_symbol {
    const char *function;
    uint64_t offset; /* from the function's first instruction */
    const char *file;
    int line;
};

struct sk_symbols; /* the files of this process, opened */

/* NULL if they cannot be had. */
struct sk_symbols *sk_symbols_open(void);
void sk_symbols_find(struct sk_symbols *symbols, uintptr_t address, struct sk_symbol *symbol);
/* NULL is fine. */
void sk_symbols_close(struct sk_symbols *symbols);

#endif
