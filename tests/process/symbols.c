/* Names of functions in this very program, and what looking them up leaves behind: nothing. */
#define _GNU_SOURCE
#include "process/symbols.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/mem.h"
#include "tests/support/child.h"
#include "tests/support/harness.h"
#include "tests/support/latch.h"

__attribute__((noinline)) static int first_function(int x)
{
    return x * 3 + 1;
}

__attribute__((noinline)) static int second_function(int x)
{
    return x * 5 + 2;
}

static uint64_t address_of(int (*function)(int))
{
    return (uintptr_t)function;
}

static char *describe(const uint64_t *frames, uint32_t n)
{
    char *words = sk_symbols_describe(frames, n);
    assert_non_null(words);
    return words;
}

static void check_describes(uint64_t address, const char *start)
{
    char *words = describe(&address, 1);
    if (strncmp(words, start, strlen(start)) != 0)
        fail_msg("\"%s\" does not begin with \"%s\"", words, start);
    sk_free(words);
}

/* Without libdw a program's own functions have no names. */
static void need_libdw(void)
{
    if (SKUA_HAS_LIBDW)
        return;
    print_message("this build has no libdw\n");
    skip();
}

/* --- words --- */

static void a_static_function_has_a_name(void **state)
{
    (void)state;
    need_libdw();
    check_describes(address_of(first_function), "#0 first_function+0x0");
    check_describes(address_of(first_function) + 1, "#0 first_function+0x1");
    check_describes(address_of(second_function), "#0 second_function+0x0");
}

static void a_frame_has_its_line_and_its_module(void **state)
{
    (void)state;
    need_libdw();
    const uint64_t address = address_of(first_function);
    char *words = describe(&address, 1);
    if (strstr(words, " at ") == NULL)
        print_message("this test was compiled without -g\n");
    else
        assert_non_null(strstr(words, " at symbols.c:"));
    assert_string_equal(words + strlen(words) - 11, " in symbols");
    assert_null(strchr(words, '\n'));
    sk_free(words);
}

static void all_but_the_first_are_return_addresses(void **state)
{
    (void)state;
    need_libdw();
    const uint64_t frames[] = { address_of(first_function), address_of(second_function) + 1,
                                address_of(first_function) + 1 };
    char *words = describe(frames, 3);
    assert_int_equal(skt_output_lines(words), 2);
    assert_int_equal(strncmp(words, "#0 first_function+0x0", 21), 0);
    assert_non_null(strstr(words, "\n#1 second_function+0x0"));
    assert_non_null(strstr(words, "\n#2 first_function+0x0"));
    sk_free(words);
}

static void an_exported_function_has_a_name_in_any_build(void **state)
{
    (void)state;
    const uint64_t address = (uintptr_t)dlsym(RTLD_DEFAULT, "qsort");
    assert_true(address != 0);
    char *words = describe(&address, 1);
    assert_non_null(strstr(words, "+0x"));
    assert_non_null(strstr(words, " in lib"));
    assert_null(strchr(words, '@'));
    sk_free(words);
}

static void what_is_unknown_is_an_address(void **state)
{
    (void)state;
    const uint64_t frames[] = { 0, 0, 16, UINT64_MAX };
    char *words = describe(frames, 4);
    assert_string_equal(words, "#0 0x0\n#1 0x0\n#2 0xf\n#3 0xfffffffffffffffe");
    sk_free(words);
}

static void no_frames_have_no_words(void **state)
{
    (void)state;
    const uint64_t frame = 1;
    assert_null(sk_symbols_describe(&frame, 0));
    assert_null(sk_symbols_describe(NULL, 0));
}

/* --- the cache --- */

static void a_second_look_gives_the_same_words(void **state)
{
    (void)state;
    uint64_t frames[64];
    for (int i = 0; i < 64; i++)
        frames[i] = (i % 2 ? address_of(first_function) : address_of(second_function)) + i * 37u;
    char *once = describe(frames, 64);
    for (int round = 0; round < 3; round++) {
        char *again = describe(frames, 64);
        assert_string_equal(once, again);
        sk_free(again);
    }
    sk_free(once);
}

/* More addresses than are kept. */
static void many_addresses_do_no_harm(void **state)
{
    (void)state;
    const int rounds = skt_rounds(100);
    for (int round = 0; round < rounds; round++) {
        uint64_t frames[64];
        for (int i = 0; i < 64; i++)
            frames[i] = address_of(first_function) + (uint64_t)(round * 64 + i);
        sk_free(describe(frames, 64));
    }
    if (SKUA_HAS_LIBDW)
        check_describes(address_of(first_function), "#0 first_function+0x0");
}

static void a_library_that_comes_and_goes_is_noticed(void **state)
{
    (void)state;
    check_describes(16, "#0 0x10");
    void *library = dlopen("libBrokenLocale.so.1", RTLD_NOW);
    if (library == NULL) {
        print_message("there is no library to load: %s\n", dlerror());
        skip();
    }
    const uint64_t address = (uintptr_t)dlsym(library, "__ctype_get_mb_cur_max");
    char *words = describe(&address, 1), expected[64];
    assert_non_null(strstr(words, " in libBrokenLocale.so.1"));
    sk_free(words);
    dlclose(library);
    if (dlopen("libBrokenLocale.so.1", RTLD_NOW | RTLD_NOLOAD) != NULL) {
        print_message("the loader keeps what it has loaded\n");
        skip();
    }
    snprintf(expected, sizeof expected, "#0 0x%llx", (unsigned long long)address);
    words = describe(&address, 1);
    assert_string_equal(words, expected);
    sk_free(words);
}

/* --- threads and processes --- */

struct crowd {
    char *expected;
    SK_ATOMIC(int) nr_wrong;
    SK_ATOMIC(bool) over;
    struct skt_latch began;
    uint64_t frames[8];
};

static void crowd_init(struct crowd *c)
{
    skt_latch_init(&c->began);
    sk_init(&c->nr_wrong, 0);
    sk_init(&c->over, false);
    for (int i = 0; i < 8; i++)
        c->frames[i] = address_of(first_function) + (uint64_t)i * 5;
    c->expected = describe(c->frames, 8);
}

static void describe_once(struct crowd *c)
{
    char *words = sk_symbols_describe(c->frames, 8);
    sk_add_rlx(&c->nr_wrong, words == NULL || strcmp(words, c->expected) != 0);
    sk_free(words);
}

static void *describe_until_over(void *arg)
{
    struct crowd *c = arg;
    do {
        describe_once(c);
        skt_latch_raise(&c->began);
    } while (!sk_load_acq(&c->over));
    return NULL;
}

static int describe_in_child(void *arg)
{
    struct crowd *c = arg;
    for (int i = 0; i < 3; i++)
        describe_once(c);
    return sk_load_rlx(&c->nr_wrong);
}

static int describe_in_grandchild(void *arg)
{
    const int wrong = describe_in_child(arg);
    return wrong != 0 ? wrong : skt_fork(describe_in_child, arg).status;
}

static void crowd_end(struct crowd *c, pthread_t threads[], int n)
{
    sk_store_rel(&c->over, true);
    for (int i = 0; i < n; i++)
        skt_join(threads[i]);
    assert_int_equal(sk_load_rlx(&c->nr_wrong), 0);
    sk_free(c->expected);
    skt_latch_fini(&c->began);
}

static void threads_may_ask_together(void **state)
{
    (void)state;
    struct crowd c;
    pthread_t threads[4];
    crowd_init(&c);
    for (int i = 0; i < 4; i++)
        threads[i] = skt_thread(describe_until_over, &c);
    skt_latch_wait(&c.began, skt_rounds(100));
    crowd_end(&c, threads, 4);
}

static void a_forked_child_may_ask(void **state)
{
    (void)state;
    struct crowd c;
    crowd_init(&c);
    assert_int_equal(skt_fork(describe_in_grandchild, &c).status, 0);
    crowd_end(&c, NULL, 0);
}

/* The lock is held in most of the children, by a thread that they do not have. */
static void a_child_forked_in_the_midst_of_a_look_may_ask(void **state)
{
    (void)state;
    if (skt_has_asan() || skt_has_tsan()) {
        print_message("sanitizers' allocators may be locked in a child of a threaded process\n");
        skip();
    }
    struct crowd c;
    pthread_t thread;
    crowd_init(&c);
    thread = skt_thread(describe_until_over, &c);
    skt_latch_wait(&c.began, 1);
    int nr_wrong = 0;
    for (int i = 0; i < 30; i++)
        nr_wrong += skt_fork(describe_in_grandchild, &c).status != 0;
    crowd_end(&c, &thread, 1);
    assert_int_equal(nr_wrong, 0);
}

/* --- what it costs --- */

static int nr_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    int n = 0;
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n;
}

/* A fresh process, so that everything is opened for the first time. */
static int describe_many_modules(void *arg)
{
    (void)arg;
    const char *const exported[] = { "qsort", "pthread_create", "_cmocka_run_group_tests",
                                     "hwloc_topology_init" };
    const int before = nr_descriptors();
    uint64_t frames[SKT_COUNT(exported) + 1] = { address_of(first_function) };
    for (size_t i = 0; i < SKT_COUNT(exported); i++)
        frames[i + 1] = (uintptr_t)dlsym(RTLD_DEFAULT, exported[i]) + 1;
    for (int round = 0; round < 2; round++) {
        const double start = skt_now();
        char *words = sk_symbols_describe(frames, SKT_COUNT(frames));
        printf("%s look: %.3f ms\n", round == 0 ? "first" : "second", (skt_now() - start) * 1e3);
        if (words == NULL)
            return 1;
        sk_free(words);
    }
    return nr_descriptors() == before ? 0 : 2;
}

static void no_descriptor_stays_open(void **state)
{
    (void)state;
    const struct skt_output output = skt_fork(describe_many_modules, NULL);
    print_message("%s", output.out);
    assert_int_equal(output.status, 0);
}

static int listen_here(struct sockaddr_in *address)
{
    socklen_t size = sizeof *address;
    *address =
        (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && (bind(fd, (struct sockaddr *)address, size) != 0 || listen(fd, 5) != 0 ||
                    getsockname(fd, (struct sockaddr *)address, &size) != 0)) {
        close(fd);
        return -1;
    }
    return fd;
}

static void no_server_is_asked_for_what_is_missing(void **state)
{
    (void)state;
    struct sockaddr_in address;
    const int fd = listen_here(&address);
    if (fd < 0) {
        print_message("there is no network to listen on\n");
        skip();
    }
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d", ntohs(address.sin_port));
    setenv("DEBUGINFOD_URLS", url, 1);
    const int status = skt_fork(describe_many_modules, NULL).status;
    const int connection = accept(fd, NULL, NULL);
    unsetenv("DEBUGINFOD_URLS");
    close(fd);
    assert_int_equal(status, 0);
    assert_int_equal(connection, -1);
}

/* --- memory --- */

static int nr_allowed;

static bool allow_some(size_t size)
{
    (void)size;
    return nr_allowed-- > 0;
}

static int describe_with_little_memory(void *arg)
{
    (void)arg;
    const uint64_t frames[] = { address_of(first_function), address_of(second_function) };
    for (int k = 0; k < 8; k++) {
        nr_allowed = k;
        sk_mem_set_hook(allow_some);
        char *words = sk_symbols_describe(frames, 2);
        sk_mem_set_hook(NULL);
        if (words != NULL && strstr(words, "#1 ") == NULL)
            return 1;
        sk_free(words);
    }
    char *words = sk_symbols_describe(frames, 2);
    const bool good = words != NULL;
    sk_free(words);
    return good ? 0 : 2;
}

static void without_memory_there_are_no_words(void **state)
{
    (void)state;
    assert_int_equal(skt_fork(describe_with_little_memory, NULL).status, 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(no_descriptor_stays_open),
        SKT_TEST(no_server_is_asked_for_what_is_missing),
        SKT_TEST(without_memory_there_are_no_words),
        SKT_TEST(a_static_function_has_a_name),
        SKT_TEST(a_frame_has_its_line_and_its_module),
        SKT_TEST(all_but_the_first_are_return_addresses),
        SKT_TEST(an_exported_function_has_a_name_in_any_build),
        SKT_TEST(what_is_unknown_is_an_address),
        SKT_TEST(no_frames_have_no_words),
        SKT_TEST(a_second_look_gives_the_same_words),
        SKT_TEST(many_addresses_do_no_harm),
        SKT_TEST(a_library_that_comes_and_goes_is_noticed),
        SKT_TEST(threads_may_ask_together),
        SKT_TEST(a_forked_child_may_ask),
        SKT_TEST(a_child_forked_in_the_midst_of_a_look_may_ask),
    };
    return skt_main(argc, argv, "symbols", tests, SKT_COUNT(tests));
}
