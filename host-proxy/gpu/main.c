/* SPDX-License-Identifier: MIT */
/* wayvsock-gpu: the virtio-gpu of one virtual machine. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/transport/address.h"
#include "common/transport/export-folder.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/options.h"
#include "common/base/sd.h"
#include "common/sandbox/sandbox.h"
#include "common/vhost-user/frontend.h"
#include "host-proxy/gpu/gpu-check.h"
#include "host-proxy/gpu/device.h"
#include "host-proxy/gpu/exports.h"
#include "host-proxy/gpu/gpu-options.h"
#include "host-proxy/gpu/gpu-sandbox.h"
#include "host-proxy/gpu/remote-renderer.h"
#include "host-proxy/gpu/renderer.h"
#include "host-proxy/gpu/renderer/renderer-process.h"
#include "host-proxy/gpu/renderer-spawner.h"

struct gpu {
    struct loop *loop;
    struct device *device;
};

static int gpu_connect(void *user, int fd, void (*closed)(void *closed_user, int reason),
                       void *closed_user)
{
    return device_connect(((struct gpu *)user)->device, fd, closed, closed_user);
}

static void gpu_ended(void *user)
{
    loop_stop(((struct gpu *)user)->loop);
}

static const struct frontend_ops gpu_frontend = {gpu_connect, gpu_ended};

static int print_capabilities(void)
{
    puts("{\n"
         "  \"type\": \"gpu\",\n"
#if WITH_VIRGL
         "  \"features\": [\"render-node\", \"virgl\"]\n"
#else
         "  \"features\": []\n"
#endif
         "}");
    return 0;
}

/* libvirt starts us with a descriptor only, and nobody would see why a VM does not start. */
static bool may_do_without_export(const struct gpu_options *options)
{
    return !options->export_path && options->fd >= 0;
}

/* A listener, -ENOTCONN: it goes without, or -errno. Writes where it is. */
static int listen_export(const struct gpu_options *options, char *path, size_t size)
{
    char error[512];
    int r = 0;
    if (options->export_path)
        snprintf(path, size, "%s", options->export_path);
    else
        r = export_folder_prepare(path, size, error, sizeof(error));
    /* Other users' connections are looked at when they come; the file must let them. */
    if (r == 0)
        r = address_listen_path(path, SOCK_SEQPACKET, options->n_export_users > 0 ? 0666 : 0600,
                                error, sizeof(error));
    if (r >= 0)
        log_info(NULL, "buffers are exported at %s", path);
    else if (may_do_without_export(options))
        log_warn(NULL, "%s; no buffers are exported, the VM's pixels go over the link", error);
    else
        log_error(NULL, "%s", error);
    return r < 0 && may_do_without_export(options) ? -ENOTCONN : r;
}

static int start_drawing(struct loop *loop, struct device *device, struct renderer_spawner *spawner,
                         const char *render_node, struct renderer **ret_renderer)
{
    char error[512];
    struct renderer *renderer = remote_renderer_spawn(loop, spawner, error, sizeof(error));
    if (!renderer) {
        int r = -errno;
        log_error(NULL, "%s", error);
        return r;
    }
    *ret_renderer = renderer;
    log_info(NULL, "3D is drawn %s%s", render_node ? "on " : "in software",
             render_node ? render_node : "");
    return device_draw(device, renderer);
}

static int run(const struct gpu_options *options, struct renderer_spawner *spawner)
{
    char error[512], export_path[PATH_MAX] = "";
    struct exports *exports = NULL;
    struct frontend *frontend = NULL;
    struct renderer *renderer = NULL;
    struct loop *loop = loop_create();
    struct device *device = loop ? device_create(loop, DEVICE_UNREF_MS) : NULL;
    struct gpu gpu = {loop, device};
    int r = device ? 0 : -errno;
    if (r == 0)
        r = sd_catch_signals(loop); /* before there is anything to see, or to be removed */
    if (r < 0)
        log_error(NULL, "cannot start: %s", strerror(-r));
    if (r == 0)
        r = listen_export(options, export_path, sizeof(export_path));
    if (r >= 0 || r == -ENOTCONN) {
        exports = exports_create(loop, device, r, options->export_users, options->n_export_users);
        r = exports ? 0 : -errno;
    }
    if (r == 0 && options->virgl)
        r = start_drawing(loop, device, spawner, options->render_node, &renderer);
    if (r == 0) {
        frontend = frontend_create(loop, options->socket_path, options->fd, NULL, &gpu_frontend,
                                   &gpu, error, sizeof(error));
        r = frontend ? 0 : -errno;
        if (r < 0)
            log_error(NULL, "%s", error);
    }
    if (r == 0)
        r = gpu_sandbox_enter(options, export_path);
    if (r == 0)
        r = sd_run(loop);
    frontend_destroy(frontend);
    exports_destroy(exports);
    device_destroy(device);
    if (renderer)
        renderer->ops->destroy(renderer);
    loop_destroy(loop);
    return r < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
    struct gpu_options options;
    struct renderer_spawner spawner = {.fd = -1};
#if WITH_VIRGL
    if (argc > 0 && strcmp(argv[0], RENDERER_PROGRAM) == 0)
        return renderer_process_run(argc, argv);
#endif
    int r = gpu_options_parse(argc, argv, &options);
    if (r != 0)
        return r == OPTIONS_DONE ? 0 : 2;
    if (options.print_capabilities)
        return print_capabilities();
    if (options.check)
        return gpu_check_run(&options);
    log_init("wayvsock-gpu", options.log_level);
    signal(SIGPIPE, SIG_IGN);
    fd_raise_limit();
    sandbox_hide(); /* the VM's memory */
    r = sandbox_close_inherited(options.fd);
    if (r < 0) {
        log_error(NULL, "cannot look at what was inherited in /proc/self/fd: %s", strerror(-r));
        return 1;
    }
    if (options.virgl &&
        (r = renderer_spawner_start(&spawner, options.render_node, options.log_level)) < 0) {
        log_error(NULL, "cannot start what would start a renderer: %s", strerror(-r));
        return 1;
    }
    r = run(&options, &spawner);
    renderer_spawner_finish(&spawner);
    return r;
}
