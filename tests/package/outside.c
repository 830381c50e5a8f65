/* What an outside program does first: a pool, a task with a result, a loop. */
#include <skua/skua.h>
#include <stdio.h>
#include <string.h>

enum {
    LENGTH = 1000
};

static int square(void *arg, void *result)
{
    int x = *(int *)arg;
    *(int *)result = x * x;
    return 0;
}

static int fill(size_t begin, size_t end, void *ctx)
{
    int *a = ctx;
    for (size_t i = begin; i < end; i++)
        a[i] = (int)i;
    return 0;
}

int main(void)
{
    if (strcmp(skua_version(), SKUA_VERSION) != 0) {
        fprintf(stderr, "headers %s, library %s\n", SKUA_VERSION, skua_version());
        return 1;
    }
    skua_executor *ex = skua_thread_pool(&(skua_options){ .workers = 2 });
    if (ex == NULL) {
        fprintf(stderr, "%s\n", skua_last_error()->message);
        return 1;
    }

    int x = 7, y = 0;
    skua_task task = { .fn = square, .arg = &x, .arg_size = sizeof x, .result_size = sizeof y };
    skua_future *f = skua_submit_task(ex, &task);
    skua_status task_status = skua_result(f, &y, sizeof y, SKUA_FOREVER);
    skua_release(f);

    int a[LENGTH] = { 0 };
    skua_status loop_status = skua_for(ex, 0, LENGTH, fill, a, NULL);
    int wrong = 0;
    for (int i = 0; i < LENGTH; i++)
        wrong += a[i] != i;
    skua_close(ex);

    printf("task %s %d, loop %s with %d wrong\n", skua_strstatus(task_status), y,
           skua_strstatus(loop_status), wrong);
    return !(task_status == SKUA_OK && y == 49 && loop_status == SKUA_OK && wrong == 0);
}
