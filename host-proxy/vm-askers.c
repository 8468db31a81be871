/* SPDX-License-Identifier: MIT */
/* vm-askers: the copies are the gate's own, so that nothing has to come back from the process. */
#include "host-proxy/vm-askers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fd.h"

void vm_askers_init(struct vm_askers *askers)
{
    STAILQ_INIT(&askers->all);
    askers->n = 0;
}

int vm_askers_add(struct vm_askers *askers, const char *line, size_t n, int fd)
{
    int copy = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (fd >= 0 && copy < 0)
        return -errno;
    struct vm_asker *asker = malloc(sizeof(*asker) + n);
    if (!asker) {
        fd_close(copy);
        return -ENOMEM;
    }
    asker->fd = copy;
    asker->n = n;
    memcpy(asker->line, line, n);
    STAILQ_INSERT_TAIL(&askers->all, asker, entry);
    askers->n++;
    return 0;
}

struct vm_asker *vm_askers_take(struct vm_askers *askers)
{
    struct vm_asker *asker = STAILQ_FIRST(&askers->all);
    if (asker) {
        STAILQ_REMOVE_HEAD(&askers->all, entry);
        askers->n--;
    }
    return asker;
}

void vm_asker_free(struct vm_asker *asker)
{
    if (!asker)
        return;
    fd_close(asker->fd);
    free(asker);
}

void vm_askers_clear(struct vm_askers *askers)
{
    while (askers->n)
        vm_asker_free(vm_askers_take(askers));
}
