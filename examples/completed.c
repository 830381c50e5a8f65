/* Futures as they get done, and what each was for: loads several files, of which one is missing. */
#include <skua/skua.h>

#include <stdio.h>

static int count_lines(void *arg, void *result)
{
    const char *path = *(const char **)arg;
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return skua_fail(1, "cannot open %s", path);
    for (int c; (c = getc(file)) != EOF;)
        *(long *)result += c == '\n';
    fclose(file);
    return 0;
}

int main(int argc, char **argv)
{
    skua_executor *ex = skua_default();
    skua_future *fs[100];
    size_t n = argc > 1 && argc <= 101 ? (size_t)argc - 1 : 0;
    for (size_t i = 0; i < n; i++)
        fs[i] = skua_submit_task(ex, &(skua_task){ .fn = count_lines,
                                                   .arg = &argv[i + 1],
                                                   .arg_size = sizeof *argv,
                                                   .result_size = sizeof(long) });
    size_t i; /* fs[i] was for argv[i + 1] */
    skua_iter *it = skua_as_completed(fs, n, 60);
    for (skua_future *f; (f = skua_next(it, &i)) != NULL; skua_release(f)) {
        long lines;
        if (skua_result(f, &lines, sizeof lines, 0) == SKUA_OK)
            printf("%s has %ld lines\n", argv[i + 1], lines);
        else
            printf("%s generated an exception: %s\n", argv[i + 1], skua_last_error()->message);
    }
    return skua_iter_close(it) == SKUA_OK ? 0 : 1;
}
