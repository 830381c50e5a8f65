/* The search. An execution is a row of choices, each one of 0 .. n-1: who goes next, which store a
 * load reads, whom a futex wakes. Depth first: an execution repeats the choices of the one before
 * up to the last that has an alternative left, takes that, and then 0 everywhere; when no
 * alternative is left, all have been seen. The test must do the same thing after the same choices.
 *
 * With --seed, executions are random instead: threads have random priorities, the highest that can
 * run does, and at `bound` random steps the running one falls below all others (Burckhardt and
 * others, "A randomized scheduler with probabilistic guarantees of finding bugs", 2010); so does
 * one that pauses in a spin loop. */
#define _GNU_SOURCE
#include "tests/model/engine.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_CHOICES 8192
#define USUAL_BOUND 2

struct choice {
    uint8_t taken, of;
};
static struct choice choices[MAX_CHOICES];
static int nr_choices; /* of the execution, and to be repeated by it */
static int at;         /* made so far */

struct options {
    int bound; /* for all tests; -1: each its own */
    int stale;
    unsigned long seed; /* 0: depth first */
    long runs;          /* random executions of each test */
    long max;           /* executions of each test in a depth-first search; 0: all */
    bool trace;         /* also of failures that are expected */
    char **names;       /* parts of tests' names; none: all */
    int nr_names;
};

static uint64_t random_state;
static int demote_at[16]; /* steps */
static int lowest;        /* priority so far */

static unsigned random_below(unsigned n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned)((random_state >> 16) % n);
}

int model_choose(int n)
{
    if (n <= 1)
        return 0;
    if (model.random)
        return (int)random_below((unsigned)n);
    if (at == nr_choices) {
        if (nr_choices == MAX_CHOICES)
            model_fail("livelock: more than %d choices", MAX_CHOICES);
        choices[nr_choices++] = (struct choice){ .taken = 0, .of = (uint8_t)n };
    }
    if (choices[at].of != n)
        model_fail("the test is not deterministic: %d choices here, %d before", n, choices[at].of);
    return choices[at++].taken;
}

/* The next execution's choices; false if there is none. */
static bool advance(void)
{
    while (nr_choices > 0 && choices[nr_choices - 1].taken + 1 >= choices[nr_choices - 1].of)
        nr_choices--;
    if (nr_choices == 0)
        return false;
    choices[nr_choices - 1].taken++;
    return true;
}

void model_random_priorities(void)
{
    int points = model.bound < 16 ? model.bound : 16;
    /* How long the execution gets is not known; and it is to depend on its own seed alone. */
    unsigned length = 16u << random_below(5);
    for (int i = 0; i < points; i++)
        demote_at[i] = 1 + (int)random_below(length);
    lowest = 0;
    for (int t = 0; t < model.nr; t++)
        model.actor[t].priority = 1 + (int)random_below(1u << 20);
}

int model_random_pick(const int *candidate, int n)
{
    int best = 0;
    for (int i = 1; i < n; i++) {
        if (model.actor[candidate[i]].priority > model.actor[candidate[best]].priority)
            best = i;
    }
    return best;
}

/* Two spinning threads that write would otherwise keep a third from running for ever. */
void model_random_yield(void)
{
    model_me()->priority = --lowest;
}

void model_random_demote(void)
{
    int points = model.bound < 16 ? model.bound : 16;
    for (int i = 0; i < points; i++) {
        if (demote_at[i] == model.step)
            model_random_yield();
    }
}

bool model_random_now_and_then(void)
{
    return random_below(8) == 0;
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

struct outcome {
    long executions;
    bool all; /* nothing was left out */
};

/* False once no more are to be made. */
static bool execute_one(const struct model_test *test, const struct options *options,
                        struct outcome *outcome)
{
    if (model.random)
        random_state = (options->seed + (uint64_t)outcome->executions) * 0x9E3779B97F4A7C15u | 1;
    at = 0;
    model_execute(test);
    outcome->executions++;
    return !model.failed && outcome->executions != (model.random ? options->runs : options->max);
}

/* As asked for, but no less than it takes to find what a test is to find. */
static int bound_of(const struct model_test *test, const struct options *options)
{
    int usual = test->bound != 0 ? test->bound : USUAL_BOUND;
    if (options->bound < 0 || (test->fails != NULL && options->bound < usual))
        return usual;
    return options->bound;
}

static struct outcome search(const struct model_test *test, const struct options *options)
{
    struct outcome outcome = { 0, false };
    model.bound = bound_of(test, options);
    model.max_stale = options->stale;
    model.random = options->seed != 0;
    model_locality_forget();
    do {
        nr_choices = 0;
        bool more = execute_one(test, options, &outcome);
        while (more && (model.random || advance()))
            more = execute_one(test, options, &outcome);
        if (!more)
            return outcome;
    } while (model_locality_learn());
    outcome.all = true;
    return outcome;
}

static bool run_test(const char *area, const struct model_test *test, const struct options *asked)
{
    struct options own = *asked, *options = &own;
    if (test->random_runs != 0 && asked->seed == 0) {
        own.seed = 1;
        own.runs = test->random_runs;
    }
    char name[80];
    snprintf(name, sizeof name, "%s/%s", area, test->name);
    double start = seconds();
    struct outcome outcome = search(test, options);
    bool as_expected = model.failed == (test->fails != NULL) &&
                       (!model.failed || strstr(model.why, test->fails) != NULL);
    printf("%-44s %s bound %d %10ld executions %7.2f s  ", name, model.random ? "random" : "all",
           model.bound, outcome.executions, seconds() - start);
    if (as_expected && model.failed)
        printf("ok, finds: %s\n", model.why);
    else if (as_expected)
        printf(model.random || outcome.all ? "ok\n" : "ok so far\n");
    else if (model.failed)
        printf("FAIL: %s\n", model.why);
    else if (model.random)
        printf("ok so far, has not found: %s\n", test->fails);
    else
        printf("FAIL: does not find: %s\n", test->fails);
    if (model.failed && (!as_expected || options->trace))
        model_trace_print();
    if (model.failed && !as_expected && model.random)
        printf("    again: --bound %d --runs 1 --seed %lu %s\n", model.bound,
               options->seed + (unsigned long)outcome.executions - 1, test->name);
    fflush(stdout);
    /* Random executions may miss a seeded bug. */
    return as_expected || (model.random && !model.failed);
}

/* The code under test may run wild on what it read: show how it came to that. */
static void crashed(int signal_number)
{
    printf("\nFAIL: %s: signal %d\n", model.test == NULL ? "?" : model.test->name, signal_number);
    model_trace_print();
    fflush(stdout);
    _exit(1);
}

static void catch_crashes(void)
{
    static char stack[64 << 10];
    stack_t alternate = { .ss_sp = stack, .ss_size = sizeof stack };
    sigaltstack(&alternate, NULL);
    struct sigaction action = { .sa_handler = crashed, .sa_flags = SA_ONSTACK | SA_RESETHAND };
    static const int signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], &action, NULL);
}

static _Noreturn void help(int status)
{
    puts("usage: PROGRAM [--bound N] [--stale N] [--max N] [--seed S [--runs N]] [--trace]\n"
         "               [--list] [NAME]...\n"
         "  --bound N  preemptions at most in an execution (each test's own, or 2)\n"
         "  --stale N  old values read at most in an execution (3)\n"
         "  --max N    stop a test's search after so many executions\n"
         "  --seed S   random executions instead of all, beginning with this seed, above 0\n"
         "  --runs N   so many of them for each test (100000)\n"
         "  --trace    show the execution that found an expected failure too\n"
         "  --list     the tests' names\n"
         "  NAME       only tests whose name contains one of these");
    exit(status);
}

static bool wanted(const struct options *options, const char *name)
{
    for (int i = 0; i < options->nr_names; i++) {
        if (strstr(name, options->names[i]) != NULL)
            return true;
    }
    return options->nr_names == 0;
}

static long number(char **argv, int argc, int *i)
{
    char *end = NULL;
    long value = *i + 1 < argc ? strtol(argv[*i + 1], &end, 10) : -1;
    if (end == NULL || *end != '\0' || value < 0)
        help(2);
    ++*i;
    return value;
}

static struct options parse(int argc, char **argv, bool *list)
{
    struct options options = { .bound = -1, .stale = 3, .runs = 100000 };
    int i = 1;
    for (; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
        if (strcmp(argv[i], "--bound") == 0)
            options.bound = (int)number(argv, argc, &i);
        else if (strcmp(argv[i], "--stale") == 0)
            options.stale = (int)number(argv, argc, &i);
        else if (strcmp(argv[i], "--max") == 0)
            options.max = number(argv, argc, &i);
        else if (strcmp(argv[i], "--seed") == 0)
            options.seed = (unsigned long)number(argv, argc, &i);
        else if (strcmp(argv[i], "--runs") == 0)
            options.runs = number(argv, argc, &i);
        else if (strcmp(argv[i], "--trace") == 0)
            options.trace = true;
        else if (strcmp(argv[i], "--list") == 0)
            *list = true;
        else
            help(strcmp(argv[i], "--help") == 0 ? 0 : 2);
    }
    options.names = argv + i;
    options.nr_names = argc - i;
    return options;
}

int model_main(const char *area, const struct model_test *tests, int nr, int argc, char **argv)
{
    bool list = false;
    struct options options = parse(argc, argv, &list);
    bool good = true;
    int done = 0;
    catch_crashes();
    for (int i = 0; i < nr; i++) {
        if (!wanted(&options, tests[i].name))
            continue;
        done++;
        if (list)
            puts(tests[i].name);
        else
            good = run_test(area, &tests[i], &options) && good;
    }
    if (done == 0)
        fprintf(stderr, "no test has such a name\n");
    return good && done > 0 ? 0 : 1;
}
