/* SPDX-License-Identifier: MIT */
/* ancillary: owns nothing; the parts are written where the message says. */
#include "common/base/ancillary.h"

#include <string.h>
#include <unistd.h>

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
