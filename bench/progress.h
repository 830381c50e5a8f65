/* Progress, on stderr: one line that is written over on a terminal, plain lines elsewhere. */
#ifndef BENCH_PROGRESS_H
#define BENCH_PROGRESS_H

/** Shows what is going on at the moment. Off a terminal it prints nothing. */
void bench_progress(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** A line that stays. */
void bench_progress_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** Clears what bench_progress() showed. */
void bench_progress_clear(void);

#endif
