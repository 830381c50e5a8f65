/* What the threads did in the present execution, told when it fails. */
#define _GNU_SOURCE
#include <elf.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/model/engine.h"

#define MAX_EVENTS 4096
#define SHOW_FIRST 80 /* of a long execution */
#define SHOW_LAST  120

static struct model_event events[MAX_EVENTS];
static int nr_events;
static struct model_event *last;

/* Where the program lies in memory; the linker's. */
extern const char program_begin[] __asm__("__executable_start") __attribute__((weak));

void model_trace_reset(void)
{
    nr_events = 0;
}

struct model_event *model_trace_add(const struct model_place *place, enum model_event_kind kind)
{
    static struct model_event ignored;
    if (!model.running || nr_events == MAX_EVENTS) {
        last = &ignored;
        return last;
    }
    last = &events[nr_events++];
    *last = (struct model_event){ .step = model.step, .thread = model.me, .newest = -1 };
    last->kind = (uint8_t)kind;
    if (place != NULL)
        last->place = *place;
    return last;
}

struct model_event *model_trace_last(void)
{
    return last;
}

/* Asks addr2line; where there is none, the address has to do. */
static void name_code(const void *pc, char *text, size_t size)
{
    const Elf64_Ehdr *header = (const void *)program_begin;
    uintptr_t address = (uintptr_t)pc - 1; /* of the call, not of the return */
    if (header != NULL && header->e_type == ET_DYN)
        address -= (uintptr_t)program_begin;
    snprintf(text, size, "code at %#zx", (size_t)address);
    char program[256], command[400], line[200] = "";
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    if (length <= 0)
        return;
    program[length] = '\0';
    snprintf(command, sizeof command, "addr2line -e '%s' %#zx 2>/dev/null", program,
             (size_t)address);
    FILE *pipe = popen(command, "r");
    if (pipe == NULL)
        return;
    if (fgets(line, sizeof line, pipe) != NULL && line[0] != '?') {
        line[strcspn(line, " \n")] = '\0';
        snprintf(text, size, "%s", strncmp(line, "./", 2) == 0 ? line + 2 : line);
    }
    pclose(pipe);
}

void model_place_name(const struct model_place *place, char *text, size_t size)
{
    char code[200] = "";
    if (place->pc != NULL)
        name_code(place->pc, code, sizeof code);
    if (place->site != NULL && place->pc != NULL)
        snprintf(text, size, "%s: %s", code, place->site);
    else
        snprintf(text, size, "%s", place->site != NULL ? place->site : code);
}

static void name_value(uint64_t value, unsigned size, char *text, size_t text_size)
{
    if (model_heap_name(value, text, text_size))
        return;
    int64_t number = (int64_t)value;
    if (size > 0 && size < 8 && (value >> (8 * size - 1)) != 0)
        number = (int64_t)(value | UINT64_MAX << (8 * size));
    if (number > -1000000 && number < 1000000)
        snprintf(text, text_size, "%lld", (long long)number);
    else
        snprintf(text, text_size, "%#llx", (unsigned long long)value);
}

static void print_event(const struct model_event *e)
{
    char where[256], value[64], old[64];
    model_place_name(&e->place, where, sizeof where);
    name_value(e->value, e->size, value, sizeof value);
    name_value(e->old, e->size, old, sizeof old);
    printf("    %4d  T%d  %s", e->step, e->thread, where);
    switch ((enum model_event_kind)e->kind) {
    case MODEL_AT:
        break;
    case MODEL_BEGINS:
        printf("begins");
        break;
    case MODEL_ENDS:
        printf("ends");
        break;
    case MODEL_READS:
        printf(" = %s", value);
        break;
    case MODEL_WRITES:
        break;
    case MODEL_CHANGES:
        printf(": %s -> %s", old, value);
        break;
    case MODEL_CAS_FAILS:
        printf(" fails on %s", value);
        break;
    case MODEL_SLEEPS:
        printf("    falls asleep");
        break;
    case MODEL_WAKES:
        printf("    wakes T%d", (int)e->value);
        break;
    case MODEL_STIRS:
        printf("    %s", e->value != 0 ? "its deadline passes" : "returns for no reason");
        break;
    case MODEL_ALLOCATES:
        printf(": allocates block %d, %zu bytes", (int)e->value, (size_t)e->old);
        break;
    case MODEL_FREES:
        printf(": frees block %d", (int)e->value);
        break;
    }
    if (e->newest >= 0)
        printf("  (old: a newer one was written at step %d)", e->newest);
    printf("\n");
}

void model_trace_print(void)
{
    printf("    step  thread\n");
    for (int i = 0; i < nr_events; i++) {
        if (i == SHOW_FIRST && nr_events > SHOW_FIRST + SHOW_LAST) {
            i = nr_events - SHOW_LAST;
            printf("    ...\n");
        }
        print_event(&events[i]);
    }
    if (nr_events == MAX_EVENTS)
        printf("    ... and more\n");
}
