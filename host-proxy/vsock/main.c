/* SPDX-License-Identifier: MIT */
/* wayvsock-vsock: the virtio-vsock of one virtual machine. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/options.h"
#include "common/base/sd.h"
#include "common/vhost-user/frontend.h"
#include "common/vhost-user/guest-ram.h"
#include "host-proxy/vsock/hybrid-socket.h"
#include "host-proxy/vsock/vsock-check.h"
#include "host-proxy/vsock/vsock-device.h"
#include "host-proxy/vsock/vsock-options.h"

struct vsock {
    struct loop *loop;
    struct vsock_device *device;
};

static int vsock_connect(void *user, int fd, void (*closed)(void *closed_user, int reason),
                         void *closed_user)
{
    return vsock_device_connect(((struct vsock *)user)->device, fd, closed, closed_user);
}

static void vsock_ended(void *user)
{
    loop_stop(((struct vsock *)user)->loop);
}

static const struct frontend_ops vsock_frontend = {vsock_connect, vsock_ended};

static int run(const struct vsock_options *options)
{
    char error[512];
    struct frontend *frontend = NULL;
    struct loop *loop = loop_create();
    struct hybrid_socket *hybrid =
        loop ? hybrid_socket_create(loop, options->uds_path, options->ports, options->n_ports)
             : NULL;
    struct vsock_device *device =
        hybrid ? vsock_device_create(loop, options->guest_cid, &hybrid_socket_ports, hybrid) : NULL;
    struct vsock vsock = {loop, device};
    int r = device ? 0 : -errno;
    if (r == 0)
        r = sd_catch_signals(loop); /* before there is anything to see, or to be removed */
    if (r < 0)
        log_error(NULL, "cannot start: %s", strerror(-r));
    if (r == 0) {
        r = hybrid_socket_listen(hybrid, device, error, sizeof(error));
        if (r == 0) {
            frontend = frontend_create(loop, options->socket_path, options->fd, NULL,
                                       &vsock_frontend, &vsock, error, sizeof(error));
            r = frontend ? 0 : -errno;
        }
        if (r < 0)
            log_error(NULL, "%s", error);
    }
    if (r == 0)
        r = sd_run(loop);
    frontend_destroy(frontend);
    vsock_device_destroy(device);
    hybrid_socket_destroy(hybrid);
    loop_destroy(loop);
    return r < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
    struct vsock_options options;
    int r = vsock_options_parse(argc, argv, &options);
    if (r != 0)
        return r == OPTIONS_DONE ? 0 : 2;
    if (options.print_capabilities) {
        puts("{\n  \"type\": \"vsock\",\n  \"features\": []\n}");
        return 0;
    }
    if (options.check)
        return vsock_check_run(&options);
    log_init("wayvsock-vsock", options.log_level);
    signal(SIGPIPE, SIG_IGN);
    fd_raise_limit();
    guest_ram_hide();
    return run(&options);
}
