/* The C++ half of throw.c: functions that throw. */
#ifndef SKT_THROW_H
#define SKT_THROW_H

#include <stddef.h>

#include "skua/skua.h"

SKUA_BEGIN_DECLS

/* Each throws with an object in its frame, whose destructor counts. */
int throws_runtime_error(void *arg, void *result); /* std::runtime_error, "out of luck" */
int throws_derived(void *arg, void *result);       /* a class of its own that derives from it */
int throws_int(void *arg, void *result);
int throws_counted(void *arg, void *result);     /* a class whose destructor counts, too */
int throws_again(void *arg, void *result);       /* catches, and throws on */
int throws_and_catches(void *arg, void *result); /* what a pool's tasks throw does not harm it */
int exits_in_cpp(void *arg, void *result);       /* pthread_exit() below a handler that throws on */
int body_throws(size_t begin, size_t end, void *ctx); /* where 500 is in the piece */
int item_throws(void *arg, void *result);             /* where *(int *)arg is 37 */
void callback_throws(skua_future *f, void *ctx);
int call_throws(void *arg);
int init_throws(void *arg);
/* Spawns a child that throws, lets between() pass, and syncs it. */
int child_throws(void (*between)(void *arg), void *arg);
/* Spawns child(arg), calls between(arg), and throws over it. */
int throws_over_child(int (*child)(void *arg), void (*between)(void *arg), void *arg);

int destructors_run(void); /* since the last call */
int uncaught_here(void);   /* std::uncaught_exceptions() of the calling thread */

SKUA_END_DECLS

#endif
