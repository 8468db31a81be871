/* SPDX-License-Identifier: MIT */
/* ancillary: owns nothing; the parts are written where the message says. */
#include "common/base/ancillary.h"

#include <string.h>
#include <unistd.h>

#include "common/base/fd.h"

static void add(struct msghdr *m, int type, const void *data, size_t size)
{
    struct cmsghdr *c = (void *)((char *)m->msg_control + m->msg_controllen);
    memset(c, 0, CMSG_SPACE(size));
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(c), data, size);
    m->msg_controllen += CMSG_SPACE(size);
}

void ancillary_add_fds(struct msghdr *m, const int *fds, size_t n)
{
    add(m, SCM_RIGHTS, fds, n * sizeof(*fds));
}

void ancillary_add_credentials(struct msghdr *m)
{
    const struct ucred own = {.pid = getpid(), .uid = getuid(), .gid = getgid()};
    _Static_assert(CMSG_SPACE(sizeof(own)) == ANCILLARY_CREDENTIALS, "as the room for it");
    add(m, SCM_CREDENTIALS, &own, sizeof(own));
}

size_t ancillary_take_fds(struct msghdr *m, int *fds, size_t room, bool *ret_more)
{
    size_t kept = 0;
    bool more = false;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
            if (kept < room) {
                fds[kept++] = fd;
            } else {
                fd_close(fd);
                more = true;
            }
        }
    }
    if (ret_more)
        *ret_more = more;
    return kept;
}
