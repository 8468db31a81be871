/* SPDX-License-Identifier: MIT */
/* inherited: owns the sockets until somebody takes them. */
#include "common/transport/inherited.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/base/error.h"
#include "common/base/fd.h"
#include "common/transport/address.h"

int inherited_get(struct inherited *ret, char *error, size_t error_size)
{
    const char *names = getenv("LISTEN_FDNAMES");
    int first = 3;
    *ret = (struct inherited){.names = strdup(names ? names : "")};
    int n = address_inherited(&first); /* which takes the variables away */
    if (n < 0) {
        free(ret->names);
        *ret = (struct inherited){0};
        return error_set(n, error, error_size, "LISTEN_FDS is malformed");
    }
    ret->at = calloc(n ? (size_t)n : 1, sizeof(*ret->at));
    if (!ret->at || !ret->names) {
        free(ret->at);
        free(ret->names);
        *ret = (struct inherited){0};
        return error_set(-ENOMEM, error, error_size, "out of memory");
    }
    char *rest = ret->names;
    for (ret->n = 0; ret->n < n; ret->n++) {
        const char *name = rest ? strsep(&rest, ":") : "";
        ret->at[ret->n] = (struct inherited_socket){first + ret->n, name};
    }
    return 0;
}

int *inherited_find(struct inherited *inherited, const char *name)
{
    for (int i = 0; i < inherited->n; i++)
        if (inherited->at[i].fd >= 0 && (!name || strcmp(inherited->at[i].name, name) == 0))
            return &inherited->at[i].fd;
    return NULL;
}

void inherited_finish(struct inherited *inherited)
{
    for (int i = 0; i < inherited->n; i++)
        fd_close(inherited->at[i].fd);
    free(inherited->at);
    free(inherited->names);
    *inherited = (struct inherited){0};
}

int inherited_path(int fd, int type, char *path, size_t size)
{
    struct sockaddr_un bound = {0};
    int has = 0, listens = 0;
    socklen_t n = sizeof(bound), a = sizeof(has), b = sizeof(listens);
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &has, &a) < 0 || has != type ||
        getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &b) < 0 ||
        (type != SOCK_DGRAM && !listens) || getsockname(fd, (struct sockaddr *)&bound, &n) < 0 ||
        bound.sun_family != AF_UNIX || n <= offsetof(struct sockaddr_un, sun_path) ||
        !bound.sun_path[0])
        return -EINVAL;
    size_t length = strnlen(bound.sun_path, n - offsetof(struct sockaddr_un, sun_path));
    if (length >= size)
        return -EINVAL;
    memcpy(path, bound.sun_path, length);
    path[length] = '\0';
    return 0;
}
