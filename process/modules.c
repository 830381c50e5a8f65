#define _GNU_SOURCE
/* Which functions the workers know.
 *
 * The problem. A task is a function's address. In a worker that address is the same function only
 * if the module that has it was loaded, there, before the worker's zygote was made. A library that
 * the program has loaded since is nothing in the worker, or worse, lies where the worker has
 * something else. Jumping there is the crash of a task that did nothing wrong.
 *
 * The idea. Note all modules' code when the zygote is made, and ask the dynamic linker where a
 * function lies when it is submitted: it must be a module that was noted, unchanged. A plugin that
 * was closed, built anew and opened again tends to come to the same address under the same name, so
 * modules are also told apart by their program headers and by the build ID that linkers write.
 *
 * Asking takes 0.3 us, and more with many libraries, so answers are remembered: in words of one
 * function and the linker's state each, which is its counts of modules loaded and closed so far. An
 * answer is good as long as these stand; reading them is what the 50 ns are spent on that such an
 * answer takes. Rejected: dladdr(), which searches symbol tables; /proc/self/maps,
 * which is a hundred times slower; remembering without the counts, which would run the old plugin's
 * code; _dl_find_object(), which older systems do not have. */
#include "process/modules.h"

#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/atomic.h"
#include "base/mem.h"

enum {
    NR_ANSWERS = 16, /* a power of two */
    BUILD_ID = 3     /* NT_GNU_BUILD_ID */
};

/* One executable segment. */
struct code {
    uintptr_t begin, end;
    uintptr_t base;    /* of the module */
    uint64_t identity; /* of the module: see identify() */
    size_t name;       /* offset of the module's name in the names */
};

struct sk_modules {
    struct code *code; /* constant once open, as all but the answers */
    size_t nr_code, code_room;
    char *names;
    size_t names_size, names_room;
    /* Function and linker's state, mixed, of what was found to be known; 0: none. A word says all
     * that it says by itself, so relaxed access is enough. */
    SK_ATOMIC(uint64_t) answers[NR_ANSWERS];
};

/* --- what tells one module from another --- */

/* FNV-1a. */
static uint64_t mix(uint64_t hash, const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ ((const unsigned char *)bytes)[i]) * 0x100000001b3u;
    return hash;
}

/* Whether a module maps [at, at + size), relative to its base, to be read. */
static bool is_mapped(const struct dl_phdr_info *module, uintptr_t at, size_t size)
{
    for (int i = 0; i < module->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &module->dlpi_phdr[i];
        if (p->p_type == PT_LOAD && (p->p_flags & PF_R) != 0 && at >= p->p_vaddr &&
            size <= p->p_memsz && at - p->p_vaddr <= p->p_memsz - size)
            return true;
    }
    return false;
}

/* Mixes in the build ID, if these notes have one. A note is its header, its name and its contents,
 * the last two padded. */
static uint64_t mix_notes(uint64_t hash, const char *notes, size_t size, size_t align)
{
    while (size >= sizeof(ElfW(Nhdr))) {
        ElfW(Nhdr) note;
        memcpy(&note, notes, sizeof note);
        const size_t name_at = sizeof note, pad = align - 1;
        if (note.n_namesz > size || note.n_descsz > size)
            return hash;
        const size_t contents_at = (name_at + note.n_namesz + pad) & ~pad;
        const size_t end = (contents_at + note.n_descsz + pad) & ~pad;
        if (contents_at > size || note.n_descsz > size - contents_at)
            return hash;
        if (note.n_type == BUILD_ID && note.n_namesz == 4 && memcmp(notes + name_at, "GNU", 4) == 0)
            return mix(hash, notes + contents_at, note.n_descsz);
        if (end > size)
            return hash;
        notes += end;
        size -= end;
    }
    return hash;
}

static uint64_t identify(const struct dl_phdr_info *module)
{
    const size_t header = sizeof(ElfW(Phdr));
    uint64_t hash = mix(0xcbf29ce484222325u, module->dlpi_phdr, module->dlpi_phnum * header);
    for (int i = 0; i < module->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &module->dlpi_phdr[i];
        if (p->p_type == PT_NOTE && is_mapped(module, p->p_vaddr, p->p_memsz))
            hash = mix_notes(hash, (const char *)(module->dlpi_addr + p->p_vaddr), p->p_memsz,
                             p->p_align == 8 ? 8 : 4);
    }
    return hash;
}

/* Whether a segment of the module is code. */
static bool is_code(const ElfW(Phdr) * p)
{
    return p->p_type == PT_LOAD && (p->p_flags & PF_X) != 0;
}

/* --- noting all modules --- */

/* Room for one more element of that size, and `more` bytes of it used. False without memory. */
static bool make_room(void **array, size_t used, size_t more, size_t *room)
{
    if (more <= *room - used)
        return true;
    const size_t wanted = (used + more) * 2;
    void *larger = sk_alloc(wanted);
    if (larger == NULL)
        return false;
    if (used > 0)
        memcpy(larger, *array, used);
    sk_free(*array);
    *array = larger;
    *room = wanted;
    return true;
}

/* Notes one module; not 0, which ends the iteration, without memory. The linker's lock is held,
 * under which memory may be had: it is not taken for that. */
static int note_module(struct dl_phdr_info *module, size_t size, void *arg)
{
    struct sk_modules *modules = arg;
    const char *name = module->dlpi_name != NULL ? module->dlpi_name : "";
    const size_t length = strlen(name) + 1;
    (void)size;
    void *names = modules->names, *code = modules->code;
    bool done = make_room(&names, modules->names_size, length, &modules->names_room);
    modules->names = names;
    if (!done)
        return 1;
    memcpy(modules->names + modules->names_size, name, length);
    const uint64_t identity = identify(module);
    for (int i = 0; i < module->dlpi_phnum && done; i++) {
        const ElfW(Phdr) *p = &module->dlpi_phdr[i];
        if (!is_code(p))
            continue;
        done = make_room(&code, modules->nr_code * sizeof *modules->code, sizeof *modules->code,
                         &modules->code_room);
        modules->code = code;
        if (done)
            modules->code[modules->nr_code++] = (struct code){
                .begin = module->dlpi_addr + p->p_vaddr,
                .end = module->dlpi_addr + p->p_vaddr + p->p_memsz,
                .base = module->dlpi_addr,
                .identity = identity,
                .name = modules->names_size,
            };
    }
    modules->names_size += length;
    return done ? 0 : 1;
}

struct sk_modules *sk_modules_open(void)
{
    struct sk_modules *modules = sk_calloc(1, sizeof *modules);
    if (modules != NULL && dl_iterate_phdr(note_module, modules) != 0) {
        sk_modules_close(modules);
        modules = NULL;
    }
    return modules;
}

void sk_modules_close(struct sk_modules *modules)
{
    if (modules == NULL)
        return;
    sk_free(modules->code);
    sk_free(modules->names);
    sk_free(modules);
}

/* --- asking --- */

/* A question to the linker, and its answer. */
struct question {
    const struct sk_modules *modules;
    uintptr_t address;
    bool known;
    char name[128]; /* of the module that has the address, cut, without its folder */
};

static bool was_noted(const struct sk_modules *modules, const struct dl_phdr_info *module,
                      uintptr_t address)
{
    const char *name = module->dlpi_name != NULL ? module->dlpi_name : "";
    for (size_t i = 0; i < modules->nr_code; i++) {
        const struct code *code = &modules->code[i];
        if (address >= code->begin && address < code->end)
            return code->base == module->dlpi_addr &&
                   strcmp(modules->names + code->name, name) == 0 &&
                   code->identity == identify(module);
    }
    return false;
}

/* Not 0, which ends the iteration, if this module has the address. */
static int look_in_module(struct dl_phdr_info *module, size_t size, void *arg)
{
    struct question *question = arg;
    const uintptr_t at = question->address - module->dlpi_addr;
    (void)size;
    for (int i = 0; i < module->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &module->dlpi_phdr[i];
        if (!is_code(p) || at - p->p_vaddr >= p->p_memsz)
            continue;
        const char *path = module->dlpi_name != NULL ? module->dlpi_name : "";
        const char *slash = strrchr(path, '/');
        const char *name = slash != NULL ? slash + 1 : path;
        snprintf(question->name, sizeof question->name, "%s",
                 name[0] != '\0' ? name : "a module without a name");
        question->known = was_noted(question->modules, module, question->address);
        return 1;
    }
    return 0;
}

static int count_changes(struct dl_phdr_info *module, size_t size, void *arg)
{
    (void)size;
    *(uint64_t *)arg = module->dlpi_adds + module->dlpi_subs;
    return 1; /* all modules tell the same */
}

/* The word that says that the function is known in the linker's state: no two of them are alike
 * within 65,536 changes of that. */
static uint64_t answer_of(uintptr_t address)
{
    uint64_t nr_changes = 0;
    dl_iterate_phdr(count_changes, &nr_changes);
    return address ^ nr_changes << 48;
}

bool sk_modules_know(struct sk_modules *modules, void (*fn)(void), char *why, size_t size)
{
    struct question question = { .modules = modules, .address = (uintptr_t)fn };
    const uint64_t answer = answer_of(question.address);
    const uint64_t mixed = question.address * UINT64_C(0x9e3779b97f4a7c15);
    SK_ATOMIC(uint64_t) *place = &modules->answers[(mixed >> 32) % NR_ANSWERS];
    if (sk_load_rlx(place) == answer && fn != NULL)
        return true;

    dl_iterate_phdr(look_in_module, &question);
    if (question.known)
        sk_store_rlx(place, answer);
    else if (question.name[0] != '\0')
        snprintf(why, size,
                 "the function at %p lies in %s, which was loaded after the pool's processes were "
                 "started: call skua_process_refresh()",
                 (void *)question.address, question.name);
    else
        snprintf(why, size, "the function at %p lies in no program or library",
                 (void *)question.address);
    return question.known;
}
