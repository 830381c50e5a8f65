/* The runners. Two OpenMP runtimes cannot live in one process, so each has its own; a runner
 * that dies takes only its kernel's figures with it, and is started again for the next kernel.
 *
 * A runner is stopped whenever it is not asked: SIGSTOP reaches all of its threads, whatever
 * they do, and the driver waits until the kernel says that they have stopped. Each runner is in
 * a process group of its own, so that Ctrl-C reaches the driver alone, and is killed if the
 * driver dies. */
#include "bench/fleet.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/kernels/kernel.h"

volatile sig_atomic_t bench_interrupted;

const char *bench_rival_name(enum bench_rival rival)
{
    static const char *const names[] = { "serial", "skua", "openmp" };
    return names[rival];
}

const char *bench_family_name(enum bench_family family)
{
    return family == BENCH_GCC ? "gcc" : "clang";
}

static int program_path(const struct bench_fleet *f, const struct bench_runner *r, char *path,
                        size_t size)
{
    const int length = snprintf(path, size, "%s/runner-%s", f->folder, r->name);
    return length > 0 && (size_t)length < size ? 0 : -1;
}

int bench_fleet_open(struct bench_fleet *f)
{
    static const char *const names[BENCH_RUNNERS] = {
        "serial-gcc", "serial-clang", "skua-gcc", "skua-clang", "openmp-gcc", "openmp-clang"
    };
    static const char *const runtimes[BENCH_NR_FAMILIES] = { "libgomp", "libomp" };
    char path[2200];
    int found = 0;
    *f = (struct bench_fleet){ 0 };
    const ssize_t length = readlink("/proc/self/exe", f->folder, sizeof f->folder - 1);
    char *slash = length > 0 ? strrchr(f->folder, '/') : NULL;
    if (slash == NULL)
        return 0;
    *slash = '\0';
    for (int i = 0; i < BENCH_RUNNERS; i++) {
        struct bench_runner *r = &f->runner[i];
        r->rival = (enum bench_rival)(i / BENCH_NR_FAMILIES);
        r->family = (enum bench_family)(i % BENCH_NR_FAMILIES);
        r->name = names[i];
        r->label = r->rival == BENCH_OPENMP ? runtimes[r->family] : r->name;
        r->built = program_path(f, r, path, sizeof path) == 0 && access(path, X_OK) == 0;
        found += r->built;
    }
    return found;
}

/* In the child. OpenMP runs as it does for a user who binds threads to cores and sets nothing else;
 * serial and skua see the environment as it is. */
static _Noreturn void become(const struct bench_runner *r, const char *path, int in, int out)
{
    static const char *const unset[] = {
        "OMP_WAIT_POLICY", "OMP_SCHEDULE", "OMP_NUM_THREADS",   "OMP_DYNAMIC",     "GOMP_SPINCOUNT",
        "KMP_BLOCKTIME",   "KMP_AFFINITY", "GOMP_CPU_AFFINITY", "OMP_THREAD_LIMIT"
    };
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_DFL);
    if (r->rival == BENCH_OPENMP) {
        for (size_t i = 0; i < sizeof unset / sizeof unset[0]; i++)
            unsetenv(unset[i]);
        setenv("OMP_PROC_BIND", "true", 1);
        setenv("OMP_PLACES", "cores", 1);
    }
    if (dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0)
        execl(path, path, (char *)NULL);
    _exit(127);
}

static int launch(struct bench_runner *r, const char *path)
{
    int to[2], from[2];
    if (pipe2(to, O_CLOEXEC) != 0)
        return -1;
    if (pipe2(from, O_CLOEXEC) != 0) {
        close(to[0]);
        close(to[1]);
        return -1;
    }
    const pid_t pid = fork();
    if (pid == 0)
        become(r, path, to[0], from[1]);
    close(to[0]);
    close(from[1]);
    if (pid < 0) {
        close(to[1]);
        close(from[0]);
        return -1;
    }
    setpgid(pid, pid);
    r->pid = pid;
    r->to = to[1];
    r->from = from[0];
    return 0;
}

/* Takes note of the end of a runner, which is dead or about to be. */
static void bury(struct bench_runner *r)
{
    int status = 0;
    pid_t gone = 0;
    for (int i = 0; i < 200 && gone == 0; i++) { /* it may still be writing a core file */
        gone = waitpid(r->pid, &status, WNOHANG);
        if (gone == 0)
            nanosleep(&(struct timespec){ 0, 10000000 }, NULL);
    }
    if (gone == 0) {
        kill(r->pid, SIGKILL);
        waitpid(r->pid, &status, 0);
    }
    close(r->to);
    close(r->from);
    r->pid = 0;
    if (WIFSIGNALED(status))
        snprintf(r->why, sizeof r->why, "ended by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(r->why, sizeof r->why, "ended with exit status %d", WEXITSTATUS(status));
}

static void kill_runner(struct bench_runner *r)
{
    if (r->pid == 0)
        return;
    kill(r->pid, SIGKILL);
    bury(r);
}

/* Stops a runner and waits until all its threads have stopped. */
static int stop(struct bench_runner *r)
{
    int status;
    kill(r->pid, SIGSTOP);
    for (;;) {
        siginfo_t info = { 0 };
        if (waitid(P_PID, (id_t)r->pid, &info, WSTOPPED | WEXITED | WNOWAIT) != 0) {
            if (errno == EINTR)
                continue;
            return -1;
        }
        if (info.si_code != CLD_STOPPED) {
            bury(r);
            return -1;
        }
        waitpid(r->pid, &status, WUNTRACED | WNOHANG); /* takes the notice away */
        return 0;
    }
}

/* Reads a line. Returns 0, or -1 at the runner's end, -2 at the timeout or an interruption. */
static int read_line(const struct bench_runner *r, double timeout, char *line, size_t size)
{
    const double until = bench_now() + timeout;
    size_t used = 0;
    while (!bench_interrupted && bench_now() < until) {
        struct pollfd p = { .fd = r->from, .events = POLLIN };
        const int ready = poll(&p, 1, 100);
        if (ready < 0 && errno != EINTR)
            return -1;
        if (ready <= 0)
            continue;
        const ssize_t got = read(r->from, line + used, size - 1 - used);
        if (got <= 0)
            return -1;
        used += (size_t)got;
        line[used] = '\0';
        char *end = strchr(line, '\n');
        if (end != NULL) {
            *end = '\0';
            return 0;
        }
        if (used == size - 1)
            return -1;
    }
    return -2;
}

static int exchange(struct bench_runner *r, double timeout, const char *command, size_t length,
                    char *line, size_t size)
{
    kill(r->pid, SIGCONT);
    if (write(r->to, command, length) != (ssize_t)length) {
        bury(r);
        return -1;
    }
    const int rc = read_line(r, timeout, line, size);
    if (rc == 0)
        return stop(r);
    if (rc == -1) {
        bury(r);
        return -1;
    }
    kill_runner(r);
    if (bench_interrupted)
        snprintf(r->why, sizeof r->why, "interrupted");
    else
        snprintf(r->why, sizeof r->why, "no answer within %.0f s", timeout);
    return -1;
}

int bench_runner_ask(struct bench_runner *r, double timeout, char *reply, size_t size,
                     const char *format, ...)
{
    char command[256], line[512];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(command, sizeof command - 1, format, args);
    va_end(args);
    if (r->pid == 0 || length < 0 || (size_t)length >= sizeof command - 1) {
        snprintf(r->why, sizeof r->why, "does not run");
        return -1;
    }
    command[length++] = '\n';
    if (exchange(r, timeout, command, (size_t)length, line, sizeof line) != 0)
        return -1;
    if (strncmp(line, "ok", 2) != 0) {
        snprintf(r->why, sizeof r->why, "%.150s",
                 strncmp(line, "error ", 6) == 0 ? line + 6 : line);
        return -1;
    }
    if (reply != NULL)
        snprintf(reply, size, "%s", line[2] == ' ' ? line + 3 : "");
    return 0;
}

/* Copies the text up to the next bar and returns what follows it. */
static const char *field(const char *from, char *to, size_t size)
{
    const size_t length = strcspn(from, "|");
    size_t kept = length < size ? length : size - 1;
    while (kept > 0 && from[kept - 1] == ' ')
        kept--;
    snprintf(to, size, "%.*s", (int)kept, from);
    return from[length] == '|' ? from + length + 1 : from + length;
}

int bench_runner_start(struct bench_fleet *f, struct bench_runner *r)
{
    char path[2200], reply[512], kind[16];
    if (r->pid != 0)
        return 0;
    if (!r->built || program_path(f, r, path, sizeof path) != 0) {
        snprintf(r->why, sizeof r->why, "not built");
        return -1;
    }
    if (launch(r, path) != 0) {
        snprintf(r->why, sizeof r->why, "cannot start %.100s: %s", r->name, strerror(errno));
        return -1;
    }
    if (bench_runner_ask(r, 20, reply, sizeof reply, "hello") != 0)
        return -1;
    const char *rest = field(reply, kind, sizeof kind);
    rest = field(rest, r->runtime, sizeof r->runtime);
    rest = field(rest, r->compiler, sizeof r->compiler);
    field(rest, r->flags, sizeof r->flags);
    return 0;
}

void bench_fleet_close(struct bench_fleet *f)
{
    for (int i = 0; i < BENCH_RUNNERS; i++)
        kill_runner(&f->runner[i]);
}
