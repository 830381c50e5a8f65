/* Which functions workers know: those of the program and its libraries, but none of what is loaded
 * later, and nothing that is no function. */
#define _GNU_SOURCE
#include "process/modules.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "tests/support/harness.h"

/* Part of the C library's package, and linked by debuggers only. */
#define LIBRARY "libthread_db.so.1"
#define SYMBOL  "td_init"

typedef void function(void);

static char why[300];

static bool knows(struct sk_modules *modules, function *fn)
{
    why[0] = '\0';
    const bool first = sk_modules_know(modules, fn, why, sizeof why);
    assert_int_equal(why[0] == '\0', first);
    assert_int_equal(sk_modules_know(modules, fn, why, sizeof why), first); /* asked again */
    return first;
}

static function *function_of(void *library)
{
    function *fn = NULL;
    *(void **)&fn = dlsym(library, SYMBOL);
    return fn;
}

static void a_function(void)
{
}

static void the_programs_and_its_libraries_functions_are_known(void **state)
{
    (void)state;
    struct sk_modules *modules = sk_modules_open();
    assert_non_null(modules);
    assert_true(knows(modules, a_function));
    assert_true(knows(modules, (function *)getpid));
    assert_true(knows(modules, (function *)sk_modules_know));
    assert_true(knows(modules, (function *)_cmocka_run_group_tests));
    sk_modules_close(modules);
}

static void more_functions_than_are_remembered_are_known(void **state)
{
    (void)state;
    struct sk_modules *modules = sk_modules_open();
    const char *code = (const char *)(uintptr_t)a_function;
    for (int i = 0; i < 2000; i++) {
        assert_true(knows(modules, (function *)(uintptr_t)(code + i % 50)));
        assert_false(knows(modules, (function *)(uintptr_t)(i % 100 + 1)));
    }
    sk_modules_close(modules);
}

static void what_is_no_code_of_a_module_is_refused_with_words(void **state)
{
    (void)state;
    struct sk_modules *modules = sk_modules_open();
    void *jit = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    static int data;
    const uintptr_t addresses[] = { 0,
                                    8,
                                    (uintptr_t)jit,
                                    (uintptr_t)&data,
                                    (uintptr_t)&modules,
                                    (uintptr_t)modules,
                                    UINTPTR_MAX,
                                    UINTPTR_MAX / 2 };
    for (size_t i = 0; i < SKT_COUNT(addresses); i++) {
        assert_false(knows(modules, (function *)addresses[i]));
        assert_non_null(strstr(why, "no program or library"));
    }
    munmap(jit, 4096);
    sk_modules_close(modules);
}

static void a_library_loaded_later_is_refused_by_name(void **state)
{
    (void)state;
    struct sk_modules *before = sk_modules_open();
    void *library = dlopen(LIBRARY, RTLD_LAZY | RTLD_LOCAL);
    if (library == NULL)
        skip();
    assert_false(knows(before, function_of(library)));
    assert_non_null(strstr(why, LIBRARY));
    assert_non_null(strstr(why, "skua_process_refresh()"));
    assert_true(knows(before, a_function));
    struct sk_modules *after = sk_modules_open();
    assert_true(knows(after, function_of(library)));
    sk_modules_close(after);
    sk_modules_close(before);
    dlclose(library);
}

static void a_library_closed_since_is_refused(void **state)
{
    (void)state;
    void *library = dlopen(LIBRARY, RTLD_LAZY | RTLD_LOCAL);
    if (library == NULL)
        skip();
    function *fn = function_of(library);
    struct sk_modules *modules = sk_modules_open();
    assert_true(knows(modules, fn));
    dlclose(library);
    if (dlopen(LIBRARY, RTLD_LAZY | RTLD_NOLOAD) == NULL) /* someone else may want it */
        assert_false(knows(modules, fn));
    sk_modules_close(modules);
}

/* Writes the library to a file of that name, its build ID changed by that much. */
static bool write_copy(const char *path, const struct link_map *map, int change)
{
    static const char mark[] = "\4\0\0\0\24\0\0\0\3\0\0\0GNU"; /* the header of 20 bytes' ID */
    static char bytes[1 << 18];
    FILE *in = fopen(map->l_name, "re"), *out = fopen(path, "we");
    bool done = in != NULL && out != NULL;
    if (done) {
        const size_t size = fread(bytes, 1, sizeof bytes, in);
        char *id = memmem(bytes, size, mark, sizeof mark);
        done = id != NULL && size < sizeof bytes;
        if (done)
            id[sizeof mark] = (char)(id[sizeof mark] + change);
        done = done && fwrite(bytes, 1, size, out) == size;
    }
    if (in != NULL)
        fclose(in);
    return (out == NULL || fclose(out) == 0) && done;
}

/* The plugin that is built anew: same name, same place, same functions, other code. */
static void a_library_changed_in_place_is_refused(void **state)
{
    (void)state;
    char path[] = "/tmp/skua-modules-XXXXXX";
    void *original = dlopen(LIBRARY, RTLD_LAZY | RTLD_LOCAL);
    struct link_map *map = NULL;
    if (original == NULL || dlinfo(original, RTLD_DI_LINKMAP, &map) != 0)
        skip();
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    bool same_place = false;
    for (int attempt = 0; attempt < 4 && !same_place; attempt++) {
        void *copy = write_copy(path, map, 0) ? dlopen(path, RTLD_LAZY | RTLD_LOCAL) : NULL;
        if (copy == NULL)
            break; /* no build ID, or no programs in /tmp */
        function *fn = function_of(copy);
        struct sk_modules *modules = sk_modules_open();
        assert_true(knows(modules, fn));
        dlclose(copy);
        unlink(path);
        assert_true(write_copy(path, map, 1));
        copy = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
        assert_non_null(copy);
        same_place = function_of(copy) == fn;
        assert_false(knows(modules, function_of(copy)));
        assert_non_null(strstr(why, strrchr(path, '/') + 1));
        dlclose(copy);
        sk_modules_close(modules);
    }
    unlink(path);
    dlclose(original);
    if (!same_place)
        skip();
}

static int nr_allowed;

static bool allow_some(size_t size)
{
    (void)size;
    return nr_allowed-- > 0;
}

static int no_hook(void **state)
{
    sk_mem_set_hook(NULL);
    return skt_end(state);
}

static void without_memory_there_is_none_and_nothing_leaks(void **state)
{
    (void)state;
    struct sk_modules *modules = NULL;
    for (int k = 0; modules == NULL; k++) {
        nr_allowed = k;
        sk_mem_set_hook(allow_some);
        modules = sk_modules_open();
        sk_mem_set_hook(NULL);
        assert_true(k >= 3 || modules == NULL);
        assert_true(k < 100);
    }
    sk_modules_close(modules);
    sk_modules_close(NULL);
}

static char a_wrong_answer[] = "wrong";

static void *ask(void *arg)
{
    char words[200];
    for (int i = 0; i < skt_rounds(20000); i++)
        if (!sk_modules_know(arg, i % 2 ? a_function : (function *)getpid, words, sizeof words))
            return a_wrong_answer;
    return NULL;
}

static void threads_may_ask_while_libraries_come_and_go(void **state)
{
    (void)state;
    struct sk_modules *modules = sk_modules_open();
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        threads[i] = skt_thread(ask, modules);
    for (int i = 0; i < skt_rounds(200); i++) {
        void *library = dlopen(LIBRARY, RTLD_LAZY | RTLD_LOCAL);
        if (library != NULL)
            assert_false(knows(modules, function_of(library)));
        if (library != NULL)
            dlclose(library);
    }
    for (int i = 0; i < 3; i++) {
        void *wrong;
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
    sk_modules_close(modules);
}

#define HOOKED(test)                                                                               \
    ((struct CMUnitTest){ #test, test, skt_begin, no_hook, &(struct skt_case){ #test, 1 } })

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(the_programs_and_its_libraries_functions_are_known),
        SKT_TEST(more_functions_than_are_remembered_are_known),
        SKT_TEST(what_is_no_code_of_a_module_is_refused_with_words),
        SKT_TEST(a_library_loaded_later_is_refused_by_name),
        SKT_TEST(a_library_closed_since_is_refused),
        SKT_TEST(a_library_changed_in_place_is_refused),
        HOOKED(without_memory_there_is_none_and_nothing_leaks),
        SKT_TEST(threads_may_ask_while_libraries_come_and_go),
    };
    return skt_main(argc, argv, "process/modules", tests, SKT_COUNT(tests));
}
