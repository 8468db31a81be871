/* SPDX-License-Identifier: MIT */
/* exports: owns the socket, the clients and what they share. The clients are processes of our own
 * user, which hold what a guest's buffer is made of. Whatever happens to the guest's resources is
 * told to all of them. */
#include "host-proxy/gpu/exports.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/transport/address.h"
#include "common/base/fd.h"
#include "common/transport/listener.h"
#include "common/base/log.h"
#include "host-proxy/gpu/device.h"
#include "host-proxy/gpu/export-client.h"
#include "host-proxy/gpu/export-table.h"
#include "host-proxy/gpu/guest-pages.h"

struct exports {
    struct loop *loop;
    struct listener *listener; /* NULL: clients come by exports_serve() alone */
    struct log_subject subject;
    const uid_t *users;
    size_t n_users;
    struct export_client *clients[EXPORTS_CLIENTS_MAX]; /* no gaps */
    unsigned n_clients;
    struct export_source source; /* owns its udmabuf */
    uint8_t device_id[EXPORT_DEVICE_ID_SIZE];
};

static void exports_gone(void *user, struct resource *resource)
{
    struct exports *x = user;
    for (unsigned i = 0; i < x->n_clients; i++)
        export_client_gone(x->clients[i], resource);
}

static void exports_forget(void *user, struct resource *resource)
{
    struct exports *x = user;
    for (unsigned i = 0; i < x->n_clients; i++)
        export_client_forget(x->clients[i], resource);
}

static void exports_changed(void *user)
{
    struct exports *x = user;
    for (unsigned i = 0; i < x->n_clients; i++)
        export_client_check(x->clients[i]);
}

static void exports_reset(void *user)
{
    struct exports *x = user;
    for (unsigned i = 0; i < x->n_clients; i++)
        export_client_reset(x->clients[i]);
}

static void exports_copied(void *user, uint64_t ticket, int result)
{
    struct exports *x = user;
    for (unsigned i = 0; i < x->n_clients; i++) {
        if (export_client_copied(x->clients[i], ticket, result))
            return;
    }
}

static void exports_exported(void *user, uint64_t ticket, int fd,
                             const struct render_layout *layout)
{
    struct exports *x = user;
    for (unsigned i = 0; i < x->n_clients; i++) {
        if (export_client_exported(x->clients[i], ticket, fd, layout))
            return;
    }
    fd_close(fd); /* who asked is gone */
}

static const struct device_ops exports_device_ops = {
    .gone = exports_gone,
    .forget = exports_forget,
    .changed = exports_changed,
    .reset = exports_reset,
    .copied = exports_copied,
    .exported = exports_exported,
};

static void client_ended(void *user, struct export_client *client)
{
    struct exports *x = user;
    unsigned i = 0;
    while (x->clients[i] != client)
        i++;
    x->clients[i] = x->clients[--x->n_clients];
    export_client_destroy(client);
}

int exports_serve(struct exports *x, int fd)
{
    if (x->n_clients == EXPORTS_CLIENTS_MAX) {
        fd_close(fd);
        return -EMFILE;
    }
    struct export_client *c =
        export_client_create(x->loop, fd, &x->source, x->device_id, client_ended, x);
    if (!c)
        return -errno;
    x->clients[x->n_clients++] = c;
    return 0;
}

static bool let_in(const struct exports *x, uid_t user)
{
    if (user == geteuid())
        return true;
    for (size_t i = 0; i < x->n_users; i++) {
        if (x->users[i] == user)
            return true;
    }
    return false;
}

static void exports_incoming(void *user, int fd)
{
    struct exports *x = user;
    struct address_peer peer;
    if (address_peer(fd, &peer) < 0 || !let_in(x, peer.uid)) {
        log_warn(&x->subject, "refused a process of another user (--export-user lets it in)");
        fd_close(fd);
        return;
    }
    int r = exports_serve(x, fd);
    if (r < 0)
        log_warn(&x->subject, "refused a client: %s", strerror(-r));
}

struct exports *exports_create(struct loop *loop, struct device *device, int listener,
                               const uid_t *users, size_t n_users)
{
    struct exports *x = calloc(1, sizeof(*x));
    if (!x) {
        address_unlisten(listener);
        return NULL;
    }
    *x = (struct exports){.loop = loop,
                          .subject = {.name = "export socket"},
                          .users = users,
                          .n_users = n_users,
                          .source = {.device = device, .udmabuf = -1}};
    if (listener >= 0)
        x->listener = listener_create(loop, listener, &x->subject, exports_incoming, x);
    if ((listener >= 0 && !x->listener) ||
        getrandom(x->device_id, sizeof(x->device_id), 0) != sizeof(x->device_id)) {
        exports_destroy(x);
        errno = ENOMEM;
        return NULL;
    }
    int udmabuf = udmabuf_open();
    if (udmabuf < 0)
        log_info(NULL, "no /dev/udmabuf (%s): buffers are copied on the host", strerror(-udmabuf));
    x->source.udmabuf = udmabuf < 0 ? -1 : udmabuf;
    device_listen(device, &exports_device_ops, x);
    return x;
}

void exports_destroy(struct exports *x)
{
    if (!x)
        return;
    while (x->n_clients > 0)
        export_client_destroy(x->clients[--x->n_clients]);
    listener_destroy(x->listener);
    fd_close(x->source.udmabuf);
    free(x);
}
