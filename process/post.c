#define _GNU_SOURCE
/* Why SOCK_SEQPACKET: records stay whole, the end of either side is seen, which SOCK_DGRAM does not
 * give, and a descriptor arrives with the very record that it was sent with. */
#include "process/post.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* Room for one descriptor, and not for a second: the kernel closes those that do not fit. */
union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
};

int sk_post_send(int sock, const void *record, size_t size, int fd, int flags)
{
    union control control = { .bytes = { 0 } };
    struct iovec part = { .iov_base = (void *)(uintptr_t)record, .iov_len = size };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
    if (fd >= 0) {
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
        message.msg_control = &control;
        message.msg_controllen = CMSG_LEN(sizeof fd);
    }
    for (;;) {
        if (sendmsg(sock, &message, flags | MSG_NOSIGNAL) >= 0)
            return 0;
        /* ECONNRESET says once that the other side has gone without having read everything. */
        if (errno != EINTR && errno != ECONNRESET)
            return -errno;
    }
}

int sk_post_receive(int sock, void *record, size_t size, int *fd, int flags)
{
    union control control = { .bytes = { 0 } };
    struct iovec part = { .iov_base = record, .iov_len = size };
    struct msghdr message = { .msg_iov = &part,
                              .msg_iovlen = 1,
                              .msg_control = &control,
                              .msg_controllen = CMSG_LEN(sizeof *fd) };
    *fd = -1;
    ssize_t got;
    do {
        got = recvmsg(sock, &message, flags | MSG_CMSG_CLOEXEC);
    } while (got < 0 && (errno == EINTR || errno == ECONNRESET));
    if (got <= 0)
        return got == 0 ? 0 : -errno;
    const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header != NULL && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
        header->cmsg_len == CMSG_LEN(sizeof *fd))
        memcpy(fd, CMSG_DATA(header), sizeof *fd);
    if ((size_t)got == size && (message.msg_flags & MSG_TRUNC) == 0)
        return 1;
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    return -EBADMSG;
}
