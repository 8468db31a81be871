/* SPDX-License-Identifier: MIT */
/* gpu-check: owns nothing and leaves nothing behind. What the device does without is a note:
 * udmabufs, a GPU of the host. */
#include "host-proxy/gpu/gpu-check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/checks.h"
#include "common/transport/export-folder.h"
#include "common/transport/socket-check.h"
#include "common/base/fd.h"
#include "common/base/loop.h"
#include "common/sandbox/sandbox.h"
#include "host-proxy/gpu/commands.h"
#include "common/vhost-user/guest-ram.h"
#include "host-proxy/gpu/gpu-options.h"
#include "host-proxy/gpu/remote-renderer.h"
#include "host-proxy/gpu/renderer.h"
#include "host-proxy/gpu/renderer-spawner.h"
#include "host-proxy/gpu/guest-pages.h"

static bool check_export(const struct gpu_options *options)
{
    char path[4096], error[512];
    if (options->export_path)
        return socket_check("wayvsock-gpu", "exporting at", options->export_path, SOCK_SEQPACKET);
    if (export_folder_prepare(path, sizeof(path), error, sizeof(error)) < 0) {
        checks_line(false, "exporting", error);
        return false;
    }
    bool good = socket_check("wayvsock-gpu", "exporting at", path, SOCK_SEQPACKET);
    *strrchr(path, '/') = '\0';
    checks_note("the number is that of the process; wayvsock-host --gpu auto looks into %s", path);
    return good;
}

/* One page, sealed as hypervisors seal a VM's memory. 0 or -errno. */
static int try_udmabuf(int device)
{
    struct guest_ram ram = {0};
    struct guest_run page = {.size = GUEST_RAM_PAGE};
    int memory = memfd_create("check", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (memory < 0 || ftruncate(memory, GUEST_RAM_PAGE) < 0 ||
        fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK) < 0) {
        int r = -errno;
        fd_close(memory);
        return r;
    }
    int r = guest_ram_add(&ram, 0, GUEST_RAM_PAGE, 0, 0, memory);
    int fd = r < 0 ? r : udmabuf_of_runs(device, &ram, &page, 1);
    guest_ram_finish(&ram);
    fd_close(fd);
    return fd < 0 ? fd : 0;
}

static void check_udmabuf(void)
{
    char text[600];
    struct udmabuf_limits limits;
    int fd = checks_open("/dev/udmabuf", text, sizeof(text));
    if (fd == -ENOENT)
        checks_note("no /dev/udmabuf: buffers are copied on the host (a kernel with CONFIG_UDMABUF "
                    "has it, after \"modprobe udmabuf\" where it is a module)");
    else if (fd < 0)
        checks_note("no udmabufs, buffers are copied on the host: %s", text);
    if (fd < 0)
        return;
    int r = try_udmabuf(fd);
    fd_close(fd);
    if (r < 0) {
        checks_note("/dev/udmabuf refuses, buffers are copied on the host: %s", strerror(-r));
        return;
    }
    checks_line(true, "/dev/udmabuf makes descriptors of memory", "");
    udmabuf_read_limits(&limits);
    checks_udmabuf_limits(limits.list, limits.size, text, sizeof(text));
    checks_note("udmabuf: %s", text);
}

static bool check_render_node(const struct gpu_options *options)
{
    char text[300], advice[512];
    if (!options->virgl)
        checks_note("nothing is drawn for the guest: no --virgl");
    if (!options->render_node)
        return true;
    int fd = checks_open(options->render_node, advice, sizeof(advice));
    snprintf(text, sizeof(text), "the render node %s", options->render_node);
    checks_line(fd >= 0, text, advice);
    fd_close(fd);
    return fd >= 0;
}

struct shown {
    struct loop *loop;
    struct render_layout layout;
    int fd;
};

static void check_exported(void *user, uint64_t ticket, int fd, const struct render_layout *layout)
{
    struct shown *shown = user;
    (void)ticket;
    shown->fd = fd;
    if (fd >= 0)
        shown->layout = *layout;
    loop_stop(shown->loop);
}

static void check_lost(void *user)
{
    loop_stop(((struct shown *)user)->loop);
}

static void check_rested(void *user)
{
    (void)user;
}

/* With a picture like a window's. */
static void check_dmabuf(struct loop *loop, struct renderer *renderer)
{
    static const struct renderer_listener listener = {
        .exported = check_exported, .lost = check_lost, .rested = check_rested};
    static const struct render_resource picture = {
        .id = 1,
        .target = 2, /* 2D */
        .format = VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM,
        .bind = 1 << 1 | 1 << 3, /* drawn on, and sampled */
        .width = 64,
        .height = 64,
        .depth = 1,
        .array_size = 1,
    };
    struct shown shown = {.loop = loop, .fd = -1};
    char text[100];
    renderer->listener = &listener;
    renderer->user = &shown;
    if (renderer->ops->resource_create(renderer, &picture) == 0 &&
        renderer->ops->export(renderer, picture.id, 1) == 0)
        loop_run(loop);
    if (shown.fd < 0) {
        checks_note("EGL gives no dmabufs, pictures are read back for the compositor (in software, "
                    "Mesa has them from 24.1 on, with /dev/udmabuf)");
        return;
    }
    snprintf(text, sizeof(text), "dmabufs of pictures (format %.4s, modifier %#llx)",
             (const char *)&shown.layout.fourcc, (unsigned long long)shown.layout.modifier);
    checks_line(true, text, "");
    fd_close(shown.fd);
}

/* Starts what would draw. */
static bool check_drawing(const struct gpu_options *options)
{
    char text[300], error[512] = "out of memory";
    struct renderer_spawner spawner;
    if (!options->virgl)
        return true;
    struct loop *loop = loop_create();
    int r =
        loop ? renderer_spawner_start(&spawner, options->render_node, LOG_LEVEL_ERROR) : -ENOMEM;
    struct renderer *renderer =
        r == 0 ? remote_renderer_spawn(loop, &spawner, error, sizeof(error)) : NULL;
    snprintf(text, sizeof(text), "3D, drawn %s%s, by a process that has nothing of the VM",
             options->render_node ? "on " : "in software",
             options->render_node ? options->render_node : "");
    checks_line(renderer != NULL, text, error);
    if (renderer) {
        check_dmabuf(loop, renderer);
        renderer->ops->destroy(renderer);
    }
    if (r == 0)
        renderer_spawner_finish(&spawner);
    loop_destroy(loop);
    return renderer != NULL;
}

int gpu_check_run(const struct gpu_options *options)
{
    bool good = check_export(options);
    if (options->socket_path)
        good &= socket_check("wayvsock-gpu", "waiting for the hypervisor at", options->socket_path,
                             SOCK_STREAM);
    check_udmabuf();
    good &= check_render_node(options) && check_drawing(options);
    sandbox_check();
    checks_note("whether a VM's GPU is this one shows when its guest's daemon is there "
                "(wayvsock-guest --check)");
    puts(good ? "The device would serve." : "The device would not serve.");
    return good ? 0 : 1;
}
