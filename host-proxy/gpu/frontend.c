/* SPDX-License-Identifier: MIT */
#include "host-proxy/gpu/frontend.h"

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
#include "host-proxy/gpu/device.h"

struct frontend {
    struct device *device;
    struct listener *listener; /* NULL: there was only one connection */
    void (*ended)(void *user);
    void *user;
};

static void lost(void *user, int reason)
{
    struct frontend *f = user;
    if (reason < 0)
        log_warn(NULL, "the hypervisor's connection is lost: %s", strerror(-reason));
    else
        log_info(NULL, "the hypervisor disconnected");
    if (!f->listener)
        f->ended(f->user);
}

static void incoming(void *user, int fd)
{
    struct frontend *f = user;
    int r = device_connect(f->device, fd, lost, f);
    if (r == -EBUSY)
        log_warn(NULL, "a second hypervisor is refused: this GPU belongs to one VM");
    else if (r < 0)
        log_error(NULL, "cannot serve the hypervisor: %s", strerror(-r));
    else
        log_info(NULL, "the hypervisor is connected");
}

/* Takes @fd. */
static int listen_on(struct frontend *f, struct loop *loop, int fd, char *error, size_t error_size)
{
    f->listener = listener_create(loop, fd, NULL, incoming, f);
    if (f->listener)
        return 0;
    return error_set(-ENOMEM, error, error_size, "out of memory");
}

static bool is_listening(int fd)
{
    int on = 0;
    socklen_t size = sizeof(on);
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &size) == 0 && on;
}

static int serve(struct frontend *f, struct loop *loop, const char *path, int fd, char *error,
                 size_t error_size)
{
    if (path) {
        fd = address_listen_path(path, SOCK_STREAM, 0600, error, error_size);
        return fd < 0 ? fd : listen_on(f, loop, fd, error, error_size);
    }
    int r = fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ? -errno : fd_set_nonblock(fd);
    if (r < 0) {
        snprintf(error, error_size, "descriptor %d: %s", fd, strerror(-r));
    } else if (is_listening(fd)) {
        return listen_on(f, loop, fd, error, error_size);
    } else {
        r = device_connect(f->device, fd, lost, f);
        if (r < 0)
            snprintf(error, error_size, "cannot serve descriptor %d: %s", fd, strerror(-r));
        return r;
    }
    if (r < 0)
        fd_close(fd);
    return r;
}

struct frontend *frontend_create(struct loop *loop, struct device *device, const char *path, int fd,
                                 void (*ended)(void *user), void *user, char *error,
                                 size_t error_size)
{
    struct frontend *f = calloc(1, sizeof(*f));
    if (!f) {
        fd_close(fd);
        snprintf(error, error_size, "out of memory");
        errno = ENOMEM;
        return NULL;
    }
    *f = (struct frontend){.device = device, .ended = ended, .user = user};
    int r = serve(f, loop, path, fd, error, error_size);
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
