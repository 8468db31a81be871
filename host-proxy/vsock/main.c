/* SPDX-License-Identifier: MIT */
/* wayvsock-vsock: the virtio-vsock of one virtual machine. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/base/fd.h"
#include "common/base/keeper.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/options.h"
#include "common/base/sd.h"
#include "common/sandbox/sandbox.h"
#include "common/vhost-user/frontend.h"
#include "host-proxy/vsock/hybrid-socket.h"
#include "host-proxy/vsock/vsock-check.h"
#include "host-proxy/vsock/vsock-device.h"
#include "host-proxy/vsock/vsock-options.h"
#include "host-proxy/vsock/vsock-record.h"
#include "host-proxy/vsock/vsock-sandbox.h"

struct vsock {
    struct loop *loop;
    struct vsock_device *device;
    bool ends; /* with its only hypervisor */
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

/* The hypervisor that a process before this one had is gone. */
static void vsock_lost(void *user, int reason)
{
    struct vsock *vsock = user;
    (void)reason;
    log_info(NULL, "the hypervisor disconnected");
    if (vsock->ends)
        loop_stop(vsock->loop);
}

/* Goes on for the hypervisor that a process before this one had. True if there was one. */
static bool resume(struct vsock *vsock, struct keeper *keeper)
{
    int r = vsock_device_resume(vsock->device, keeper, vsock_lost, vsock);
    if (r < 0)
        log_error(NULL, "cannot go on for the same guest: %s", strerror(-r));
    return r > 0;
}

static int run(const struct vsock_options *options, struct keeper *keeper)
{
    char error[512];
    struct vsock_record record;
    int kept = vsock_record_open(&record, keeper);
    struct frontend *frontend = NULL;
    struct loop *loop = loop_create();
    struct hybrid_socket *hybrid =
        loop ? hybrid_socket_create(loop, options->guest_cid, options->uds_path, options->ports,
                                    options->n_ports)
             : NULL;
    struct vsock_device *device =
        hybrid ? vsock_device_create(loop, options->guest_cid, kept < 0 ? NULL : &record,
                                     &hybrid_socket_ports, hybrid)
               : NULL;
    bool only = options->fd >= 0 && !frontend_is_listener(options->fd);
    struct vsock vsock = {loop, device, only};
    int r = device ? 0 : -errno;
    if (r == 0)
        r = sd_catch_signals(loop); /* before there is anything to see, or to be removed */
    if (r < 0)
        log_error(NULL, "cannot start: %s", strerror(-r));
    if (r == 0) {
        r = hybrid_socket_listen(hybrid, device, error, sizeof(error));
        bool resumed = r == 0 && kept == 0 && resume(&vsock, keeper);
        keeper_finish(keeper);
        if (r == 0 && !(resumed && only)) {
            frontend = frontend_create(loop, options->socket_path, options->fd, NULL,
                                       &vsock_frontend, &vsock, error, sizeof(error));
            r = frontend ? 0 : -errno;
        }
        if (r < 0)
            log_error(NULL, "%s", error);
    }
    if (r == 0)
        r = vsock_sandbox_enter(options);
    if (r == 0)
        r = sd_run(loop);
    frontend_destroy(frontend);
    vsock_device_destroy(device);
    hybrid_socket_destroy(hybrid);
    loop_destroy(loop);
    vsock_record_close(&record);
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
    sandbox_hide(); /* the VM's memory */
    struct keeper keeper;
    keeper_inherit(&keeper);
    r = sandbox_close_inherited(options.fd);
    if (r < 0) {
        log_error(NULL, "cannot look at what was inherited in /proc/self/fd: %s", strerror(-r));
        return 1;
    }
    r = keeper_start(&keeper);
    if (r < 0)
        log_warn(NULL, "nothing outlives this process: %s", strerror(-r));
    return run(&options, &keeper);
}
