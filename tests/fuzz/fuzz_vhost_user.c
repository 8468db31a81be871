/* SPDX-License-Identifier: MIT */
/* The messages of a frontend, {u8 request, u8 descriptors, u16 size, payload} each, to a device
 * whose guest's memory begins with the input itself, so that it may have rings and commands in it.
 * Whatever comes, nothing is touched outside of the memory and no descriptor leaks. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "host-proxy/gpu/device.h"
#include "common/vhost-user/vhost-user.h"

#define RAM_SIZE (64u * 4096)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
    struct vhost_user *vu;
    struct commands commands;
    struct virtqueue_chain *chain;
    unsigned executed;
};

static void gone(void *user, struct resource *resource)
{
    (void)user;
    (void)resource;
}

static void on_features(void *user, uint64_t features)
{
    ((struct world *)user)->commands.features = features;
}

static void on_kick(void *user, unsigned index)
{
    static uint8_t request[COMMANDS_REQUEST_MAX];
    struct world *w = user;
    struct virtqueue *queue = vhost_user_running(w->vu, index);
    while (queue && w->executed++ < 2000) {
        uint8_t response[COMMANDS_RESPONSE_MAX];
        struct resource *doomed;
        int r = virtqueue_pop(queue, &w->vu->ram, w->chain);
        if (r <= 0) {
            virtqueue_listen(queue);
            break;
        }
        uint32_t written = 0;
        if (!w->chain->bad) {
            memset(request, 0, 256);
            virtqueue_gather(w->chain, request, sizeof(request));
            size_t n =
                commands_control(&w->commands, request, w->chain->in_size, response, &doomed);
            written = (uint32_t)virtqueue_scatter(w->chain->out, w->chain->n_out, response, n);
        }
        virtqueue_push(queue, w->chain->head, written);
        virtqueue_notify(queue);
    }
}

static void on_stopping(void *user, unsigned queue)
{
    (void)user;
    (void)queue;
}

static void on_reset(void *user)
{
    (void)user;
}

static void moved(void *user, struct resource *resource)
{
    struct world *w = user;
    resource_detach(&w->commands.table, resource);
}

static void on_memory(void *user, const struct guest_ram *before)
{
    struct world *w = user;
    (void)before;
    w->commands.ram = &w->vu->ram;
    resources_each(&w->commands.table, moved, w);
}

static void on_config(void *user, uint32_t offset, void *bytes, uint32_t size)
{
    (void)user;
    (void)offset;
    memset(bytes, 1, size);
}

static void on_closed(void *user, int reason)
{
    (void)user;
    (void)reason;
}

static const struct vhost_user_ops ops = {on_features, on_kick,   on_stopping, on_reset,
                                          on_memory,   on_config, NULL,        on_closed};

static const struct vhost_user_device device = {
    .n_queues = 2,
    .features = COMMANDS_FEATURES,
    .takes_gpu_socket = true,
};

/* A region's addresses are small, so that an input finds them. */
static int handle(struct world *w, int ram, uint8_t request, uint8_t n_fds, const uint8_t *payload,
                  size_t size)
{
    static struct vhost_user_message m; /* large */
    memset(&m, 0, sizeof(m));
    m.request = request % _VHOST_USER_REQUEST_N;
    m.flags = VHOST_USER_VERSION | VHOST_USER_NEED_REPLY;
    m.size = (uint32_t)(size < sizeof(m.payload) ? size : sizeof(m.payload));
    memcpy(m.payload, payload, m.size);
    bool ring = m.request >= VHOST_USER_SET_VRING_KICK && m.request <= VHOST_USER_SET_VRING_ERR;
    for (unsigned i = 0; i < n_fds % (VHOST_USER_FDS_MAX + 1u); i++)
        m.fds[m.n_fds++] = ring ? eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC) : dup(ram);
    int r = vhost_user_handle(w->vu, &m);
    vhost_user_message_clear(&m);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world w = {.chain = malloc(sizeof(*w.chain))};
    struct loop *loop = loop_create();
    int ends[2], ram = fd_memfd("ram", RAM_SIZE);
    uint8_t sink[4096];
    size_t used = 0;
    log_init("fuzz", LOG_LEVEL_ERROR);
    if (!w.chain || !loop || ram < 0 ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0 ||
        commands_init(&w.commands, gone, NULL) < 0)
        abort();
    w.vu = vhost_user_create(loop, ends[1], &device, &ops, &w);
    if (!w.vu || pwrite(ram, data, size < RAM_SIZE ? size : RAM_SIZE, 0) < 0)
        abort();
    while (size - used >= 4) {
        size_t n = data[used + 2] | (size_t)(data[used + 3] & 3) << 8;
        n = n < size - used - 4 ? n : size - used - 4;
        int r = handle(&w, ram, data[used], data[used + 1], data + used + 4, n);
        used += 4 + n;
        while (recv(ends[0], sink, sizeof(sink), MSG_DONTWAIT) > 0)
            ;
        if (r < 0)
            break;
    }
    vhost_user_destroy(w.vu);
    commands_finish(&w.commands);
    loop_destroy(loop);
    free(w.chain);
    close(ends[0]);
    close(ram);
    return 0;
}
