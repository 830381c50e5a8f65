/* One catcher for the program, because the log hook is one for the process, and lines may come
 * from threads that outlive a test's frame. */
#include "tests/support/log_lines.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "skua/error.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static char text[16384]; /* under mutex, as all below */
static size_t text_length;
static int nr_lines;

static void catch_line(skua_log_level level, const char *line, void *ctx)
{
    (void)level;
    (void)ctx;
    pthread_mutex_lock(&mutex);
    nr_lines++;
    const size_t left = sizeof text - text_length;
    const int n = snprintf(text + text_length, left, "%s\n", line);
    if (n > 0)
        text_length += (size_t)n < left ? (size_t)n : left - 1;
    pthread_mutex_unlock(&mutex);
}

void skt_log_start(void)
{
    pthread_mutex_lock(&mutex);
    nr_lines = 0;
    text_length = 0;
    text[0] = '\0';
    pthread_mutex_unlock(&mutex);
    skua_set_log(catch_line, NULL);
}

void skt_log_stop(void)
{
    skua_set_log(NULL, NULL);
}

int skt_log_lines(void)
{
    pthread_mutex_lock(&mutex);
    const int n = nr_lines;
    pthread_mutex_unlock(&mutex);
    return n;
}

bool skt_log_has(const char *words)
{
    pthread_mutex_lock(&mutex);
    const bool found = strstr(text, words) != NULL;
    pthread_mutex_unlock(&mutex);
    return found;
}
