/* SPDX-License-Identifier: MIT */
/* frontend: owns the listening socket; each connection belongs to the device. A device serves one
 * VM, so whoever comes while it has a hypervisor is turned away, and who comes later is not:
 * hypervisors are restarted. */
#include "common/vhost-user/frontend.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/transport/address.h"
#include "common/base/error.h"
#include "common/base/fd.h"
#include "common/transport/listener.h"
#include "common/base/log.h"

struct frontend {
    struct listener *listener; /* NULL: there was only one connection */
    struct log_subject *subject;
    const struct frontend_ops *ops;
    void *user;
};

static void frontend_lost(void *user, int reason)
{
    struct frontend *f = user;
    if (reason < 0)
        log_warn(f->subject, "the hypervisor's connection is lost: %s", strerror(-reason));
    else
        log_info(f->subject, "the hypervisor disconnected");
    if (!f->listener)
        f->ops->ended(f->user);
}

static void frontend_incoming(void *user, int fd)
{
    struct frontend *f = user;
    int r = f->ops->connect(f->user, fd, frontend_lost, f);
    if (r == -EBUSY)
        log_warn(f->subject, "a second hypervisor is refused: the device belongs to one VM");
    else if (r < 0)
        log_error(f->subject, "cannot serve the hypervisor: %s", strerror(-r));
    else
        log_info(f->subject, "the hypervisor is connected");
}

/* Takes @fd. */
static int frontend_listen(struct frontend *f, struct loop *loop, int fd, char *error,
                           size_t error_size)
{
    f->listener = listener_create(loop, fd, f->subject, frontend_incoming, f);
    if (f->listener)
        return 0;
    return error_set(-ENOMEM, error, error_size, "out of memory");
}

bool frontend_is_listener(int fd)
{
    int on = 0;
    socklen_t size = sizeof(on);
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &size) == 0 && on;
}

/* Takes @fd. */
static int frontend_serve(struct frontend *f, struct loop *loop, const char *path, int fd,
                          char *error, size_t error_size)
{
    _cleanup_(fd_closep) int owned = fd;
    if (path) {
        int listening = address_listen_path(path, SOCK_STREAM, 0600, error, error_size);
        return listening < 0 ? listening : frontend_listen(f, loop, listening, error, error_size);
    }
    int r = fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ? -errno : fd_set_nonblock(fd);
    if (r < 0)
        return error_set(r, error, error_size, "descriptor %d: %s", fd, strerror(-r));
    if (frontend_is_listener(fd))
        return frontend_listen(f, loop, fd_steal(&owned), error, error_size);
    r = f->ops->connect(f->user, fd_steal(&owned), frontend_lost, f);
    if (r < 0)
        error_set(r, error, error_size, "cannot serve descriptor %d: %s", fd, strerror(-r));
    return r;
}

struct frontend *frontend_create(struct loop *loop, const char *path, int fd,
                                 struct log_subject *subject, const struct frontend_ops *ops,
                                 void *user, char *error, size_t error_size)
{
    struct frontend *f = calloc(1, sizeof(*f));
    if (!f) {
        fd_close(fd);
        snprintf(error, error_size, "out of memory");
        errno = ENOMEM;
        return NULL;
    }
    *f = (struct frontend){.subject = subject, .ops = ops, .user = user};
    int r = frontend_serve(f, loop, path, fd, error, error_size);
    if (r < 0) {
        frontend_destroy(f);
        errno = -r;
        return NULL;
    }
    return f;
}

void frontend_destroy(struct frontend *f)
{
    if (!f)
        return;
    listener_destroy(f->listener);
    free(f);
}
