/* A process pool in a whole program: how it begins beside threads and on one processor, what comes
 * out on stdout, how the program leaves or dies, and what Ctrl-C does. Most of it plays in
 * children of the test, which report in memory that all share. */
#define _GNU_SOURCE
#include "tests/support/harness.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/child.h"
#include "tests/support/gate.h"
#include "tests/support/process.h"

static const char *const no_variables[] = { NULL };

/* ---- leaving --------------------------------------------------------------------------------- */

static int say_task(void *arg, void *result)
{
    (void)arg;
    (void)result;
    ssize_t ignored = write(STDOUT_FILENO, "t", 1);
    (void)ignored;
    return 0;
}

static int play_leaving(bool by_return)
{
    skua_executor *ex = skua_process_pool(&(skua_options){ .workers = 2 });
    if (ex == NULL)
        return 1;
    for (int i = 0; i < 200; i++)
        skua_release(skua_submit(ex, say_task, NULL));
    if (by_return)
        return 0;
    _exit(0);
}

static void exit_waits_for_what_was_accepted(void **state)
{
    (void)state;
    const struct skt_output o = skt_exec("--return", no_variables, 0);
    assert_int_equal(o.status, 0);
    assert_int_equal(strlen(o.out), 200);
    assert_int_equal(strspn(o.out, "t"), 200);
    assert_string_equal(o.err, "");
}

/* skt_exec() returns when the last process that has its pipe is gone. */
static void after_an_exit_at_once_nothing_goes_on(void **state)
{
    (void)state;
    const struct skt_output o = skt_exec("--_exit", no_variables, 0);
    assert_int_equal(o.status, 0);
    assert_true(strlen(o.out) <= 200);
    assert_true(o.seconds < 2 + 5 * skt_slow_factor());
}

static int print_number(void *arg, void *result)
{
    (void)result;
    printf("task %d\n", *(int *)arg);
    return 0;
}

static int play_printing(void)
{
    printf("before\n"); /* stays in this process's buffer, which workers must not write out */
    skua_executor *ex = skua_process_pool(&(skua_options){ .workers = 2 });
    if (ex == NULL)
        return 1;
    printf("begun\n");
    for (int i = 0; i < 50; i++) {
        skua_future *f = skua_submit_task(
            ex, &(skua_task){ .fn = print_number, .arg = &i, .arg_size = sizeof i });
        skua_release(f);
        f = skua_submit(ex, i % 10 == 0 ? skt_crash : skt_nothing, NULL);
        skua_exception(f, SKUA_FOREVER);
        skua_release(f);
    }
    skua_close(ex);
    printf("after\n");
    return 0;
}

static int count_lines(const char *text, const char *line)
{
    int n = 0;
    for (const char *at = text; (at = strstr(at, line)) != NULL; at += strlen(line))
        n++;
    return n;
}

static void what_tasks_print_comes_out_once(void **state)
{
    (void)state;
    const struct skt_output o = skt_exec("--print", no_variables, 0);
    assert_int_equal(o.status, 0);
    assert_int_equal(count_lines(o.out, "before\n"), 1);
    assert_int_equal(count_lines(o.out, "begun\n"), 1);
    assert_int_equal(count_lines(o.out, "after\n"), 1);
    for (int i = 0; i < 50; i++) {
        char line[32];
        snprintf(line, sizeof line, "task %d\n", i);
        assert_int_equal(count_lines(o.out, line), 1);
    }
    assert_int_equal(skt_output_lines(o.out), 53);
}

/* ---- one processor --------------------------------------------------------------------------- */

static int play_usual(void)
{
    skua_executor *ex = skua_process_pool(NULL);
    if (ex == NULL)
        return 1;
    printf("%d workers\n", skua_workers(ex));
    for (int i = 0; i < 100; i++)
        if (!skt_works(ex))
            return 2;
    skua_future *f = skua_submit(ex, skt_crash, NULL);
    if (skua_result(f, NULL, 0, SKUA_FOREVER) != SKUA_CRASHED)
        return 3;
    skua_exception(f, 0);
    skua_release(f);
    f = skua_submit_task(ex, &(skua_task){ .fn = skt_spin, .time_limit = 0.1 });
    if (skua_result(f, NULL, 0, SKUA_FOREVER) != SKUA_EXPIRED)
        return 4;
    skua_release(f);
    if (!skt_works(ex))
        return 5;
    skua_close(ex);
    return 0;
}

static void on_one_processor_there_is_one_worker(void **state)
{
    (void)state;
    const struct skt_output o = skt_exec("--usual", no_variables, 1);
    assert_int_equal(o.status, 0);
    assert_string_equal(o.out, "1 workers\n");
}

static void the_environment_says_how_many(void **state)
{
    (void)state;
    static const char *const three[] = { "SKUA_NUM_THREADS=3", NULL };
    const struct skt_output o = skt_exec("--usual", three, 0);
    assert_int_equal(o.status, 0);
    assert_string_equal(o.out, "3 workers\n");
}

/* ---- a late start ---------------------------------------------------------------------------- */

struct busy {
    SK_ATOMIC(int) over;
    SK_ATOMIC(int) rounds;
};

static void *allocate_and_print(void *arg)
{
    struct busy *busy = arg;
    while (sk_load_acq(&busy->over) == 0) {
        char text[64];
        void *memory = malloc(1 + (size_t)(sk_add_acq_rel(&busy->rounds, 1) % 5000));
        snprintf(text, sizeof text, "%p %g", memory, (double)sk_load_rlx(&busy->rounds) / 3);
        free(memory);
    }
    return NULL;
}

static int allocate(void *arg, void *result)
{
    char *memory[100];
    (void)arg;
    for (size_t i = 0; i < 100; i++) {
        memory[i] = malloc(10 + 100 * i);
        if (memory[i] == NULL)
            return 1;
        snprintf(memory[i], 10, "%d", (int)i);
    }
    *(int *)result = atoi(memory[99]);
    for (size_t i = 0; i < 100; i++)
        free(memory[i]);
    return 0;
}

static void a_pool_may_begin_beside_busy_threads(void **state)
{
    if (skt_has_asan() || skt_has_tsan()) {
        print_message("a sanitizer's allocator has locks that fork() does not know of\n");
        skip();
    }
    struct busy busy = { 0 };
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        threads[i] = skt_thread(allocate_and_print, &busy);
    skt_counter_wait(&busy.rounds, 100);
    for (int round = 0; round < skt_rounds(10); round++) {
        skua_executor *ex = skt_processes(state);
        for (int i = 0; i < 20; i++)
            assert_int_equal(skt_ask(ex, allocate), 99);
        skua_close(ex);
    }
    sk_store_rel(&busy.over, 1);
    for (int i = 0; i < 4; i++)
        skt_join(threads[i]);
    assert_true(skt_family_becomes(0));
}

/* ---- deaths of the program ------------------------------------------------------------------- */

struct scene {
    SK_ATOMIC(int) spinning; /* tasks that spin */
    SK_ATOMIC(int) nr;
    SK_ATOMIC(int) pids[64];
    void (*leave)(void);
};

static int spin_visibly(void *arg, void *result)
{
    skt_count(&((struct scene *)arg)->spinning, NULL);
    return skt_spin(arg, result);
}

/* A program whose workers are in the middle of tasks that never end. */
static int be_a_busy_program(void *arg)
{
    struct scene *scene = arg;
    skua_executor *ex = skua_process_pool(&(skua_options){ .workers = 2 });
    if (ex == NULL)
        return 1;
    for (int i = 0; i < 4; i++)
        skua_release(skua_submit(ex, spin_visibly, scene));
    skt_counter_wait(&scene->spinning, 2);
    struct skt_family family;
    skt_family_look(&family);
    for (int i = 0; i < family.nr && i < 64; i++)
        sk_store_rel(&scene->pids[i], (int)family.pids[i]);
    sk_store_rel(&scene->nr, family.nr);
    scene->leave();
    return 2;
}

static void leave_by_sigkill(void)
{
    kill(getpid(), SIGKILL);
}

static void leave_by_abort(void)
{
    signal(SIGABRT, SIG_DFL);
    abort();
}

static void leave_by__exit(void)
{
    _exit(0);
}

static void leave_by_segv(void)
{
    signal(SIGSEGV, SIG_DFL);
    skt_crash(NULL, NULL);
}

static void leave_by_exec(void)
{
    execl("/bin/true", "true", (char *)NULL);
}

static void however_the_program_ends_no_process_is_left(void **state)
{
    static void (*const ways[])(void) = { leave_by_sigkill, leave_by_abort, leave_by__exit,
                                          leave_by_segv, leave_by_exec };
    (void)state;
    for (size_t i = 0; i < SKT_COUNT(ways); i++) {
        struct scene *scene = (void *)skt_common_counters(sizeof *scene / sizeof(int));
        scene->leave = ways[i];
        skt_fork(be_a_busy_program, scene);
        const int nr = sk_load_acq(&scene->nr);
        assert_true(nr >= 2 + 2);
        for (int k = 0; k < nr; k++)
            assert_true(skt_gets_gone(sk_load_acq(&scene->pids[k]), 2));
    }
}

static int interrupted; /* by Ctrl-C, in the program alone */

static void note_interrupt(int signo)
{
    (void)signo;
    interrupted++;
}

static int be_interrupted(void *arg)
{
    (void)arg;
    setpgid(0, 0);
    signal(SIGINT, note_interrupt);
    skua_executor *ex = skua_process_pool(&(skua_options){ .workers = 2 });
    if (ex == NULL)
        return 1;
    struct skt_shared_gate *gate = skt_shared_gate_new(ex);
    skua_future *fs[2] = { skt_shared_gate_submit(gate, ex), skt_shared_gate_submit(gate, ex) };
    kill(0, SIGINT);
    kill(0, SIGINT);
    if (!skt_works(skua_default()))
        return 2;
    skt_shared_gate_open(gate);
    for (int i = 0; i < 2; i++) {
        if (skua_result(fs[i], NULL, 0, SKUA_FOREVER) != SKUA_OK)
            return 3;
        skua_release(fs[i]);
    }
    skua_stats stats;
    if (!skt_works(ex) || skua_executor_stats(ex, &stats) != SKUA_OK || stats.restarts != 0)
        return 4;
    skua_close(ex);
    return interrupted > 0 ? 0 : 5;
}

static void ctrl_c_is_the_programs_alone_to_answer(void **state)
{
    (void)state;
    assert_int_equal(skt_fork(be_interrupted, NULL).status, 0);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--return") == 0)
        return play_leaving(true);
    if (argc > 1 && strcmp(argv[1], "--_exit") == 0)
        return play_leaving(false);
    if (argc > 1 && strcmp(argv[1], "--print") == 0)
        return play_printing();
    if (argc > 1 && strcmp(argv[1], "--usual") == 0)
        return play_usual();
    const struct CMUnitTest tests[] = {
        SKT_TEST(exit_waits_for_what_was_accepted),
        SKT_TEST(after_an_exit_at_once_nothing_goes_on),
        SKT_TEST(what_tasks_print_comes_out_once),
        SKT_TEST(on_one_processor_there_is_one_worker),
        SKT_TEST(the_environment_says_how_many),
        SKT_EACH(a_pool_may_begin_beside_busy_threads),
        SKT_TEST(however_the_program_ends_no_process_is_left),
        SKT_TEST(ctrl_c_is_the_programs_alone_to_answer),
    };
    return skt_main(argc, argv, "process_program", tests, SKT_COUNT(tests));
}
