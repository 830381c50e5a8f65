/* The seals forbid to shrink the file, so that a worker's ftruncate() cannot make the parent's
 * next look a SIGBUS, and to seal it further. The mapping is one stretch with a page of no rights
 * before, between and behind: a write that runs over one half's end does not reach the other. */
#define _GNU_SOURCE
#include "process/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    NOEXEC_SEAL = 0x8 /* MFD_NOEXEC_SEAL: some systems want it, and older ones do not know it */
};

static size_t page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static size_t pages(size_t size)
{
    return (size + page_size() - 1) / page_size() * page_size();
}

/* guard, down, guard, up, guard */
static size_t down_at(void)
{
    return page_size();
}

static size_t up_at(void)
{
    return down_at() + pages(sizeof(struct sk_wire_down)) + page_size();
}

static size_t stretch(void)
{
    return up_at() + pages(sizeof(struct sk_channel_up)) + page_size();
}

/* In the file there are no guards. */
static off_t file_up_at(void)
{
    return (off_t)pages(sizeof(struct sk_wire_down));
}

static off_t file_size(void)
{
    return file_up_at() + (off_t)pages(sizeof(struct sk_channel_up));
}

static int map(struct sk_channel *channel, int fd, int down_rights)
{
    char *base =
        mmap(NULL, stretch(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return -errno;
    void *down = mmap(base + down_at(), pages(sizeof(struct sk_wire_down)), down_rights,
                      MAP_SHARED | MAP_FIXED, fd, 0);
    void *up = mmap(base + up_at(), pages(sizeof(struct sk_channel_up)), PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_FIXED, fd, file_up_at());
    if (down == MAP_FAILED || up == MAP_FAILED) {
        int error = errno;
        munmap(base, stretch());
        return -error;
    }
    channel->down = down;
    channel->up = up;
    return 0;
}

int sk_channel_open(struct sk_channel *channel)
{
    *channel = (struct sk_channel){ .fd = -1 };
    int fd = memfd_create("skua-channel", MFD_CLOEXEC | MFD_ALLOW_SEALING | NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL)
        fd = memfd_create("skua-channel", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    int error = 0;
    if (ftruncate(fd, file_size()) != 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        error = -errno;
    if (error == 0)
        error = map(channel, fd, PROT_READ | PROT_WRITE);
    /* Copies of this process, such as another pool's workers, are not to have it. */
    if (error == 0 && madvise((char *)channel->down - down_at(), stretch(), MADV_DONTFORK) != 0) {
        error = -errno;
        munmap((char *)channel->down - down_at(), stretch());
    }
    if (error != 0)
        close(fd);
    else
        channel->fd = fd;
    return error;
}

int sk_channel_enter(struct sk_channel *channel, int fd)
{
    *channel = (struct sk_channel){ .fd = -1 };
    int error = map(channel, fd, PROT_READ);
    close(fd);
    return error;
}

void sk_channel_close_fd(struct sk_channel *channel)
{
    /* In this order: a copy of the process made in between must not close a number that is free. */
    int fd = channel->fd;
    channel->fd = -1;
    if (channel->down != NULL && fd >= 0)
        close(fd);
}

void sk_channel_close(struct sk_channel *channel)
{
    sk_channel_close_fd(channel);
    if (channel->down != NULL)
        munmap((char *)channel->down - down_at(), stretch());
    *channel = (struct sk_channel){ .fd = -1 };
}
