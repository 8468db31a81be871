/* SPDX-License-Identifier: MIT */
/* hybrid-socket: owns the listening socket and whoever has not said yet which port it wants. What
 * follows the line is the connection's, and stays in the socket. */
#include "host-proxy/vsock/hybrid-socket.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/number.h"
#include "common/transport/address.h"
#include "common/transport/listener.h"

#define CALLERS_MAX 64 /* then the oldest goes */

/* Somebody who connected. */
struct caller {
    TAILQ_ENTRY(caller) entry;
    struct hybrid_socket *owner;
    int fd;
    struct loop_io *io;
    char line[ADDRESS_MUX_LINE_MAX];
    size_t n;
};

TAILQ_HEAD(caller_list, caller);

struct hybrid_socket {
    struct loop *loop;
    uint32_t guest_cid;
    const char *path;
    const struct hybrid_port *ports;
    size_t n_ports;
    struct vsock_device *device;
    struct listener *listener;
    struct caller_list callers;
    unsigned n_callers;
};

static void caller_destroy(struct caller *c)
{
    TAILQ_REMOVE(&c->owner->callers, c, entry);
    c->owner->n_callers--;
    loop_io_destroy(c->io);
    fd_close(c->fd);
    free(c);
}

/* Adds what is there of the line, and nothing behind it. 1: it is complete; 0 or -errno. */
static int caller_read(struct caller *c)
{
    char *at = c->line + c->n;
    ssize_t n = recv(c->fd, at, sizeof(c->line) - c->n, MSG_PEEK | MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    if (n == 0) /* the end, or no room in a line */
        return -EPROTO;
    const char *end = memchr(at, '\n', (size_t)n);
    size_t taken = end ? (size_t)(end - at) + 1 : (size_t)n;
    if (recv(c->fd, at, taken, MSG_DONTWAIT) != (ssize_t)taken)
        return -EIO;
    c->n += taken;
    return end != NULL;
}

static void caller_ready(void *user, unsigned events)
{
    static const char word[] = "CONNECT ";
    const size_t skip = sizeof(word) - 1;
    struct caller *c = user;
    uint64_t port;
    (void)events;
    int r = caller_read(c);
    if (r == 0)
        return;
    if (r == 1 && c->n > skip && memcmp(c->line, word, skip) == 0 &&
        number_parse(c->line + skip, c->n - skip - 1, UINT32_MAX - 1, &port)) {
        loop_io_destroy(c->io);
        c->io = NULL;
        r = vsock_device_ask(c->owner->device, (uint32_t)port, fd_steal(&c->fd));
        if (r < 0)
            log_debug(NULL, "a connection to port %" PRIu64 " of the guest is refused: %s", port,
                      strerror(-r));
    }
    caller_destroy(c);
}

static void caller_came(void *user, int fd)
{
    struct hybrid_socket *h = user;
    struct caller *c = calloc(1, sizeof(*c));
    struct loop_io *io = c ? loop_io_create(h->loop, fd, LOOP_READ, caller_ready, c) : NULL;
    if (!io) {
        free(c);
        fd_close(fd);
        return;
    }
    if (h->n_callers == CALLERS_MAX)
        caller_destroy(TAILQ_FIRST(&h->callers));
    *c = (struct caller){.owner = h, .fd = fd, .io = io};
    TAILQ_INSERT_TAIL(&h->callers, c, entry);
    h->n_callers++;
}

static int connect_socket(const char *path, uint16_t type)
{
    char error[512];
    return type == VIRTIO_VSOCK_TYPE_STREAM ? address_connect_path(path, 0)
                                            : address_connect_packets(path, error, sizeof(error));
}

/* Asks for a port of another VM. */
static int connect_vm(const struct hybrid_port *port)
{
    const struct address address = {.kind = ADDRESS_VSOCK_MUX, .port = port->vm_port};
    char request[ADDRESS_MUX_LINE_MAX];
    size_t n = address_mux_request(&address, request);
    _cleanup_(fd_closep) int fd = address_connect_path(port->path, 0);
    if (fd >= 0 && send(fd, request, n, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)n)
        return -ECONNREFUSED;
    return fd_steal(&fd);
}

static int hybrid_connect(void *user, uint32_t port, uint16_t type, uint32_t guest_port,
                          bool *ret_asks)
{
    const struct hybrid_socket *h = user;
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    for (size_t i = 0; i < h->n_ports; i++) {
        const struct hybrid_port *p = &h->ports[i];
        if (p->port != port)
            continue;
        if (p->kind == HYBRID_SOCKET)
            return connect_socket(p->path, type);
        if (type != VIRTIO_VSOCK_TYPE_STREAM)
            return -EPROTOTYPE;
        if (p->kind == HYBRID_HOST)
            return address_connect_device(p->path, h->guest_cid, guest_port);
        *ret_asks = true;
        return connect_vm(p);
    }
    if (!h->path ||
        (size_t)snprintf(path, sizeof(path), "%s_%" PRIu32, h->path, port) >= sizeof(path))
        return -ECONNREFUSED;
    return connect_socket(path, type);
}

const struct vsock_device_ops hybrid_socket_ports = {hybrid_connect};

struct hybrid_socket *hybrid_socket_create(struct loop *loop, uint32_t guest_cid, const char *path,
                                           const struct hybrid_port *ports, size_t n)
{
    struct hybrid_socket *h = calloc(1, sizeof(*h));
    if (!h)
        return NULL;
    *h = (struct hybrid_socket){
        .loop = loop, .guest_cid = guest_cid, .path = path, .ports = ports, .n_ports = n};
    TAILQ_INIT(&h->callers);
    return h;
}

int hybrid_socket_listen(struct hybrid_socket *h, struct vsock_device *device, char *error,
                         size_t error_size)
{
    h->device = device;
    if (!h->path)
        return 0;
    int fd = address_listen_path(h->path, SOCK_STREAM, 0600, error, error_size);
    if (fd < 0)
        return fd;
    h->listener = listener_create(h->loop, fd, NULL, caller_came, h);
    if (h->listener)
        return 0;
    snprintf(error, error_size, "out of memory");
    return -ENOMEM;
}

void hybrid_socket_destroy(struct hybrid_socket *h)
{
    if (!h)
        return;
    while (!TAILQ_EMPTY(&h->callers))
        caller_destroy(TAILQ_FIRST(&h->callers));
    listener_destroy(h->listener);
    free(h);
}
