/* Who sits where: the program that submits on one CPU, the worker processes on another. */
#ifndef BENCH_PROCESS_PINNING_H
#define BENCH_PROCESS_PINNING_H

/** Notes the CPUs that this process may use. Before any other function. */
void bench_pin_open(void);
/** Puts the calling thread on the workers' CPU: what it makes or starts begins there. */
void bench_pin_maker(void);
/** Puts all threads that this process has on the callers' CPU. */
void bench_pin_callers(void);
/** Puts the calling thread there alone. */
void bench_pin_caller(void);
/** Lets all threads of this process use all its CPUs again. */
void bench_pin_undo(void);

#endif
