/* A runner: a process that runs kernels for one rival, built by one compiler. The driver talks
 * to it over stdin and stdout, a line each way:
 *
 *   hello                                        ok KIND|RUNTIME|COMPILER|FLAGS
 *   setup KERNEL SIZE WORKERS                    ok
 *   run WORKERS SCHEDULE CHUNK WARM CHECK        ok SECONDS TAIL SHARE BITS VALUE
 *   teardown                                     ok
 *
 * Anything that cannot be done is answered by "error" and words. It ends with its stdin. A run
 * with WARM is preceded by an untimed one; with CHECK the result is forgotten before and hashed
 * after. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench/rivals/rival.h"

#ifndef BENCH_FLAGS
#define BENCH_FLAGS "unknown"
#endif

static const struct bench_kernel *const kernels[] = {
    &bench_triad,   &bench_dot,       &bench_dot_reproducible, &bench_mandelbrot,
    &bench_spmv,    &bench_jacobi200, &bench_jacobi4000,       &bench_pairs,
    &bench_nqueens, &bench_fib,       &bench_region,           &bench_region_idle,
};

static const struct bench_kernel *current; /* NULL between teardown and setup */
static FILE *out;                          /* what was stdout: a library's prints stay out of it */

void *bench_array(size_t n, size_t size)
{
    if (n > SIZE_MAX / 2 / size)
        return NULL;
    const size_t bytes = n * size, line = 128, huge = (size_t)2 << 20;
    const size_t unit = bytes >= 2 * huge ? huge : line;
    const size_t rounded = (bytes / unit + 1) * unit;
    void *p = aligned_alloc(unit, rounded);
    if (p != NULL && unit == huge)
        madvise(p, rounded, MADV_HUGEPAGE); /* a hint: what it gives, it gives to all rivals */
    return p;
}

struct bench_check bench_hash(const double *x, size_t n)
{
    uint64_t h = 0xCBF29CE484222325u;
    for (size_t i = 0; i < n; i++) {
        uint64_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        h = (h ^ bits) * 0x100000001B3u;
        h ^= h >> 32;
    }
    return (struct bench_check){ h, 0 };
}

static void hello(void)
{
#ifdef __clang__
    const char *compiler = "clang " __clang_version__;
#else
    const char *compiler = "gcc " __VERSION__;
#endif
    fprintf(out, "ok %s|%s|%s|%s\n", rival_kind, rival_runtime(), compiler, BENCH_FLAGS);
}

static void teardown(void)
{
    if (current != NULL)
        current->teardown();
    current = NULL;
}

static void setup(const char *arguments)
{
    char name[32];
    size_t size;
    struct bench_how how = { .schedule = BENCH_STATIC };
    if (sscanf(arguments, "%31s %zu %d", name, &size, &how.workers) != 3) {
        fprintf(out, "error setup needs KERNEL SIZE WORKERS\n");
        return;
    }
    teardown();
    for (size_t i = 0; i < sizeof kernels / sizeof kernels[0]; i++)
        if (strcmp(kernels[i]->name, name) == 0)
            current = kernels[i];
    if (current == NULL) {
        fprintf(out, "error no kernel %s\n", name);
        return;
    }
    rival_prepare(&how);
    if (current->setup(&how, size) != 0) {
        teardown();
        fprintf(out, "error not enough memory for %s\n", name);
        return;
    }
    fprintf(out, "ok\n");
}

static void run(const char *arguments)
{
    struct bench_how how = { 0 };
    int schedule, warm, checked;
    if (current == NULL || sscanf(arguments, "%d %d %zu %d %d", &how.workers, &schedule, &how.chunk,
                                  &warm, &checked) != 5) {
        fprintf(out, "error run needs a kernel and WORKERS SCHEDULE CHUNK WARM CHECK\n");
        return;
    }
    how.schedule = (enum bench_schedule)schedule;
    rival_prepare(&how);
    if (warm)
        current->run(&how);
    if (checked)
        current->reset(&how);
    struct bench_timing t = { 0, 0, 0 };
    if (current->measure != NULL) {
        current->measure(&how, &t);
    } else {
        const double begin = bench_now();
        current->run(&how);
        t.seconds = bench_now() - begin;
    }
    const struct bench_check c = checked ? current->check() : (struct bench_check){ 0, 0 };
    fprintf(out, "ok %.9e %.9e %.4f %" PRIx64 " %.17g\n", t.seconds, t.tail, t.share, c.bits,
            c.value);
}

int main(void)
{
    out = fdopen(dup(STDOUT_FILENO), "w");
    if (out == NULL || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
        return 1;
    char line[256];
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (strcmp(line, "hello") == 0) {
            hello();
        } else if (strncmp(line, "setup ", 6) == 0) {
            setup(line + 6);
        } else if (strncmp(line, "run ", 4) == 0) {
            run(line + 4);
        } else if (strcmp(line, "teardown") == 0) {
            teardown();
            fprintf(out, "ok\n");
        } else {
            fprintf(out, "error unknown command %s\n", line);
        }
        fflush(out);
    }
    teardown();
    return 0;
}
