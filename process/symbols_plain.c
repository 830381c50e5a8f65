/* Without libdw no files are read, and dladdr() alone is asked. It knows what is exported: the
 * functions of libraries, and those of a program that is linked with -rdynamic. The rest are
 * offsets, for addr2line. */
#include "process/symbols.h"

#include <stddef.h>

struct sk_symbols *sk_symbols_open(void)
{
    return NULL;
}

void sk_symbols_find(struct sk_symbols *symbols, uintptr_t address, struct sk_symbol *symbol)
{
    (void)symbols;
    (void)address;
    (void)symbol;
}

void sk_symbols_close(struct sk_symbols *symbols)
{
    (void)symbols;
}
