/* Progress, on stderr. The line is cut to the terminal's width, for one that wraps is not written
 * over; it is drawn at most ten times a second, by a process that is otherwise asleep. */
#include "bench/progress.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "bench/kernels/kernel.h"

static bool shown;
static double last;

static int columns(void)
{
    struct winsize w;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 20 ? w.ws_col - 1 : 79;
}

void bench_progress(const char *format, ...)
{
    const double now = bench_now();
    if (!isatty(STDERR_FILENO) || now - last < 0.1)
        return;
    last = now;
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fprintf(stderr, "\r\033[K%.*s", columns(), text);
    fflush(stderr);
    shown = true;
}

void bench_progress_line(const char *format, ...)
{
    bench_progress_clear();
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

void bench_progress_clear(void)
{
    if (shown)
        fprintf(stderr, "\r\033[K");
    shown = false;
    last = 0;
}
