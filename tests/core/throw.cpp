/* The functions of throw.h. */
#include "tests/core/throw.h"

#include <pthread.h>

#include <atomic>
#include <exception>
#include <stdexcept>

namespace skt
{

std::atomic<int> destructors{ 0 };

struct counted {
    int value = 1;
    counted() = default;
    counted(const counted &other) = default;
    ~counted()
    {
        destructors += value;
    }
};

struct unlucky : std::runtime_error {
    unlucky() : std::runtime_error("very unlucky")
    {
    }
};

} // namespace skt

int throws_runtime_error(void *, void *)
{
    skt::counted object;
    throw std::runtime_error("out of luck");
}

int throws_derived(void *, void *)
{
    skt::counted object;
    throw skt::unlucky();
}

int throws_int(void *, void *)
{
    skt::counted object;
    throw 42;
}

int throws_counted(void *, void *)
{
    throw skt::counted();
}

int throws_again(void *arg, void *result)
{
    try {
        return throws_runtime_error(arg, result);
    } catch (...) {
        throw;
    }
}

int throws_and_catches(void *arg, void *result)
{
    try {
        return throws_derived(arg, result);
    } catch (const std::runtime_error &) {
        return 0;
    }
}

int exits_in_cpp(void *, void *)
{
    skt::counted object;
    try {
        pthread_exit(nullptr);
    } catch (...) {
        throw;
    }
}

int body_throws(size_t begin, size_t end, void *ctx)
{
    return begin <= 500 && 500 < end ? throws_runtime_error(ctx, nullptr) : 0;
}

int item_throws(void *arg, void *result)
{
    if (*static_cast<int *>(arg) == 37)
        throws_runtime_error(arg, result);
    *static_cast<int *>(result) = *static_cast<int *>(arg);
    return 0;
}

void callback_throws(skua_future *, void *ctx)
{
    throws_runtime_error(ctx, nullptr);
}

int call_throws(void *arg)
{
    return throws_runtime_error(arg, nullptr);
}

int init_throws(void *arg)
{
    return call_throws(arg);
}

static int begin_and_throw(void *arg)
{
    *static_cast<bool *>(arg) = true;
    return call_throws(nullptr);
}

int child_throws(void (*between)(void *arg), void *arg)
{
    skua_child child;
    bool begun = false;
    skua_spawn(&child, begin_and_throw, &begun);
    between(arg);
    const int code = skua_sync(&child); /* may throw */
    return begun ? code : 0;
}

int throws_over_child(int (*child)(void *arg), void (*between)(void *arg), void *arg)
{
    skua_child children[3];
    for (skua_child &c : children)
        skua_spawn(&c, child, arg);
    between(arg);
    return throws_runtime_error(nullptr, nullptr);
}

int destructors_run(void)
{
    return skt::destructors.exchange(0);
}

int uncaught_here(void)
{
    return std::uncaught_exceptions();
}
