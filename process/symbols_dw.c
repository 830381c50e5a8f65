/* libdw (elfutils) reads the files behind the modules of this process: their symbol tables, static
 * functions included, and their DWARF lines where they were compiled with -g.
 *
 * Only the modules' own files are read. elfutils' usual callback also looks for debug information
 * that is kept apart, on debuginfod servers too, which takes seconds and is nothing that a library
 * does unasked; and libdw would keep the descriptors of such files. Those of the modules are closed
 * as soon as they are mapped, and opened with O_CLOEXEC, since another thread may be starting a
 * program.
 *
 * What the file under a module's name holds may be newer than what runs: a program is often built
 * anew while the old one still computes. The loader's file of the program itself can be had all the
 * same, as /proc/self/exe; a library that was replaced is not found, and dladdr() is left. */
#define _GNU_SOURCE
#include "process/symbols.h"

#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* struct sk_symbols is never defined: it is a Dwfl. */
static Dwfl *dwfl_of(struct sk_symbols *symbols)
{
    return (Dwfl *)symbols;
}

/* By the kernel's name for its file, as in /proc/self/maps, " (deleted)" included. */
static bool is_program(const char *name)
{
    char path[4096];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length <= 0)
        return false;
    path[length] = '\0';
    return strcmp(path, name) == 0;
}

/* The file, mapped; NULL if there is none. */
static Elf *map_file(const char *path)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return NULL;
    Elf *elf = NULL;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) /* devices are mapped too */
        elf = elf_begin(fd, ELF_C_READ_MMAP_PRIVATE, NULL);
    if (elf != NULL && elf_cntl(elf, ELF_C_FDREAD) != 0) {
        elf_end(elf);
        elf = NULL;
    }
    close(fd);
    return elf;
}

/* -1: there is no descriptor, but *elf or nothing. */
static int find_elf(Dwfl_Module *module, void **userdata, const char *name, Dwarf_Addr base,
                    char **file_name, Elf **elf)
{
    (void)module;
    (void)userdata;
    (void)base;
    *file_name = NULL;
    *elf = NULL;
    if (name[0] != '/')
        return -1;
    *elf = map_file(is_program(name) ? "/proc/self/exe" : name);
    if (*elf != NULL)
        *file_name = strdup(name); /* libdw frees both */
    return -1;
}

static int find_no_debuginfo(Dwfl_Module *module, void **userdata, const char *name,
                             Dwarf_Addr base, const char *file_name, const char *link,
                             GElf_Word crc, char **debuginfo_name)
{
    (void)module;
    (void)userdata;
    (void)name;
    (void)base;
    (void)file_name;
    (void)link;
    (void)crc;
    *debuginfo_name = NULL;
    return -1;
}

static const Dwfl_Callbacks callbacks = { .find_elf = find_elf,
                                          .find_debuginfo = find_no_debuginfo };

struct sk_symbols *sk_symbols_open(void)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    if (maps == NULL)
        return NULL;
    elf_version(EV_CURRENT);
    Dwfl *dwfl = dwfl_begin(&callbacks);
    bool reported = dwfl != NULL && dwfl_linux_proc_maps_report(dwfl, maps) == 0;
    fclose(maps);
    if (reported && dwfl_report_end(dwfl, NULL, NULL) == 0)
        return (struct sk_symbols *)dwfl;
    if (dwfl != NULL)
        dwfl_end(dwfl);
    return NULL;
}

/* libdw finds the compilation unit of an address in .debug_aranges, which clang does not write;
 * then all units are gone through. */
static void find_line(Dwfl_Module *module, Dwarf_Addr address, struct sk_symbol *symbol)
{
    Dwfl_Line *known = dwfl_module_getsrc(module, address);
    if (known != NULL) {
        symbol->file = dwfl_lineinfo(known, NULL, &symbol->line, NULL, NULL, NULL);
        return;
    }
    Dwarf_Addr bias = 0;
    for (Dwarf_Die *unit = NULL; (unit = dwfl_module_nextcu(module, unit, &bias)) != NULL;) {
        if (dwarf_haspc(unit, address - bias) != 1)
            continue;
        Dwarf_Line *line = dwarf_getsrc_die(unit, address - bias);
        if (line == NULL || dwarf_lineno(line, &symbol->line) != 0)
            return;
        symbol->file = dwarf_linesrc(line, NULL, NULL);
        return;
    }
}

void sk_symbols_find(struct sk_symbols *symbols, uintptr_t address, struct sk_symbol *symbol)
{
    Dwfl_Module *module = dwfl_addrmodule(dwfl_of(symbols), address);
    if (module == NULL)
        return;
    GElf_Sym sym;
    GElf_Off offset = 0;
    symbol->function = dwfl_module_addrinfo(module, address, &offset, &sym, NULL, NULL, NULL);
    symbol->offset = offset;
    find_line(module, address, symbol);
}

void sk_symbols_close(struct sk_symbols *symbols)
{
    if (symbols != NULL)
        dwfl_end(dwfl_of(symbols));
}
