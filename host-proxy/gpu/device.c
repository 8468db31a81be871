/* SPDX-License-Identifier: MIT */
/* device: owns the connection of the hypervisor, the commands with all resources, and the answers
 * that wait. Commands are executed in their order. Only the answer to an UNREF may come later than
 * those of its successors: Linux gives pages back when it comes, and the compositor may still read
 * them. The resource has left the table by then, so no new export can find it; it is freed when the
 * last export is released, when the time is up, or when the queue stops. */
#include "host-proxy/gpu/device.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "host-proxy/gpu/fences.h"
#include "host-proxy/gpu/renderer.h"
#include "common/vhost-user/vhost-user.h"

#define BATCH 256 /* commands before others have their turn */
#define ANSWER_PIECES 4

enum { QUEUE_CONTROL, QUEUE_CURSOR, QUEUES };

/* An UNREF whose answer waits. */
struct doomed {
    struct resource *resource; /* NULL: free slot */
    uint16_t head;
    struct iovec out[ANSWER_PIECES]; /* in the guest's memory: complete before that changes */
    unsigned n_out;
    struct virtio_gpu_ctrl_hdr answer;
    int64_t until_ms;
};

struct device {
    struct loop *loop;
    struct log_subject subject;
    const struct device_ops *ops;
    void *user;
    struct commands commands;
    struct vhost_user *frontend;
    void (*closed)(void *user, int reason);
    void *closed_user;
    struct loop_timer *timer; /* of the doomed */
    struct loop_timer *more;  /* the queues were not empty after a batch */
    struct doomed doomed[DEVICE_UNREF_MAX];
    struct fences fences;
    unsigned unref_ms;
    uint64_t epoch;
    bool processing;
    bool awaits_driver;           /* a reset was told, but no driver was there yet */
    struct virtqueue_chain chain; /* the request at hand */
    uint8_t *request;
    uint8_t response[COMMANDS_RESPONSE_MAX];
};

static void device_complete(struct device *d, struct doomed *doomed)
{
    struct virtqueue *vring = d->frontend ? vhost_user_running(d->frontend, QUEUE_CONTROL) : NULL;
    struct resource *resource = doomed->resource;
    doomed->resource = NULL;
    d->ops->forget(d->user, resource);
    resource_destroy(&d->commands.table, resource);
    if (vring) {
        size_t n =
            virtqueue_scatter(doomed->out, doomed->n_out, &doomed->answer, sizeof(doomed->answer));
        virtqueue_push(vring, doomed->head, (uint32_t)n);
        if (!d->processing)
            virtqueue_notify(vring);
    }
}

/* Nothing of the guest's is written from here on: its memory or its queue will be another. */
static void device_complete_all(struct device *d)
{
    commands_3d_cut(&d->commands.drawing);
    for (unsigned i = 0; i < DEVICE_UNREF_MAX; i++) {
        if (d->doomed[i].resource)
            device_complete(d, &d->doomed[i]);
    }
    struct virtqueue *vring = d->frontend ? vhost_user_running(d->frontend, QUEUE_CONTROL) : NULL;
    if (fences_done_all(&d->fences, vring) > 0 && vring && !d->processing)
        virtqueue_notify(vring);
}

/* The renderer is done with everything up to this fence. */
static void device_drawn(void *user, uint32_t number)
{
    struct device *d = user;
    struct virtqueue *vring = d->frontend ? vhost_user_running(d->frontend, QUEUE_CONTROL) : NULL;
    if (fences_done(&d->fences, number, vring) > 0 && vring && !d->processing)
        virtqueue_notify(vring);
}

static void device_transferred(void *user, const struct renderer_transfer *transfer, int result)
{
    struct device *d = user;
    if (transfer->ticket)
        d->ops->copied(d->user, transfer->ticket, result);
    else
        commands_3d_transferred(&d->commands.drawing, &d->commands.table, d->commands.ram, transfer,
                                result);
}

static void device_exported(void *user, uint64_t ticket, int fd, const struct render_layout *layout)
{
    struct device *d = user;
    d->ops->exported(d->user, ticket, fd, layout);
}

static void check_lost(void *user, struct resource *resource)
{
    struct device *d = user;
    if (resource->drawn && !commands_3d_has(&d->commands.drawing, resource))
        d->ops->gone(d->user, resource);
}

/* Nobody in the guest waits for what will not come, and pictures that are gone are not shown. */
static void device_lost(void *user)
{
    struct device *d = user;
    device_drawn(d, d->fences.number);
    resources_each(&d->commands.table, check_lost, d);
}

static void device_rested(void *user)
{
    struct device *d = user;
    loop_timer_arm(d->more, 0);
}

static const struct renderer_listener renderer_listener = {
    .finished = device_drawn,
    .transferred = device_transferred,
    .exported = device_exported,
    .lost = device_lost,
    .rested = device_rested,
};

static void device_expired(void *user)
{
    struct device *d = user;
    int64_t now = loop_now_ms(), next = INT64_MAX;
    for (unsigned i = 0; i < DEVICE_UNREF_MAX; i++) {
        struct doomed *doomed = &d->doomed[i];
        if (doomed->resource && doomed->until_ms <= now) {
            log_debug(NULL, "resource %u is still held; the guest gets its pages back all the same",
                      doomed->resource->id);
            device_complete(d, doomed);
        } else if (doomed->resource && doomed->until_ms < next) {
            next = doomed->until_ms;
        }
    }
    if (next != INT64_MAX)
        loop_timer_arm(d->timer, (uint64_t)(next - now));
}

/* Keeps the answer back. False: it cannot wait. */
static bool device_defer(struct device *d, struct resource *resource, size_t size)
{
    struct doomed *slot = NULL;
    bool first = true;
    if (resource->kind == RESOURCE_3D) /* nobody has seen the guest's pages */
        return false;
    for (unsigned i = 0; i < DEVICE_UNREF_MAX; i++) {
        if (d->doomed[i].resource)
            first = false;
        else if (!slot)
            slot = &d->doomed[i];
    }
    if (!slot || size != sizeof(slot->answer) || d->chain.n_out > ANSWER_PIECES ||
        d->chain.out_size < size)
        return false;
    slot->resource = resource;
    slot->head = d->chain.head;
    slot->n_out = d->chain.n_out;
    memcpy(slot->out, d->chain.out, slot->n_out * sizeof(*slot->out));
    memcpy(&slot->answer, d->response, sizeof(slot->answer));
    slot->until_ms = loop_now_ms() + d->unref_ms;
    if (first)
        loop_timer_arm(d->timer, d->unref_ms);
    return true;
}

/* An answer that does not fit is none; an error that fits is better than nothing. */
static void device_answer(struct device *d, struct virtqueue *vring, size_t size)
{
    struct virtio_gpu_ctrl_hdr header;
    if (size > d->chain.out_size && d->chain.out_size >= sizeof(header)) {
        memcpy(&header, d->response, sizeof(header));
        header.type = htole32(VIRTIO_GPU_RESP_ERR_UNSPEC);
        memcpy(d->response, &header, sizeof(header));
        size = sizeof(header);
    }
    if (size > d->chain.out_size)
        size = 0;
    size = virtqueue_scatter(d->chain.out, d->chain.n_out, d->response, size);
    virtqueue_push(vring, d->chain.head, (uint32_t)size);
}

/* The guest wants to know when it is drawn, or what is. True: the answer waits. Behind other fences
 * all of them do, to keep the order. */
static bool wait_for_drawing(struct device *d, size_t size)
{
    struct virtio_gpu_ctrl_hdr request, header;
    memcpy(&request, d->request, sizeof(request));
    memcpy(&header, d->response, sizeof(header));
    struct renderer *renderer = d->commands.drawing.renderer;
    uint32_t type = le32toh(request.type);
    bool more;
    if (!renderer || size != sizeof(header))
        return false;
    bool wants = header.flags & htole32(VIRTIO_GPU_FLAG_FENCE) &&
                 (d->fences.n > 0 || commands_3d_size(type, &more) > 0);
    wants |= commands_3d_fills_memory(type) && header.type == htole32(VIRTIO_GPU_RESP_OK_NODATA);
    return wants && fences_add(&d->fences, renderer, &d->chain, &header);
}

static void device_execute(struct device *d, struct virtqueue *vring, unsigned queue)
{
    struct resource *doomed = NULL;
    size_t size;
    if (d->chain.bad) {
        log_debug(NULL, "queue %u: a malformed request", queue);
        virtqueue_push(vring, d->chain.head, 0);
        return;
    }
    virtqueue_gather(&d->chain, d->request, COMMANDS_REQUEST_MAX);
    if (queue == QUEUE_CURSOR)
        size = commands_cursor(&d->commands, d->request, d->chain.in_size, d->response);
    else
        size = commands_control(&d->commands, d->request, d->chain.in_size, d->response, &doomed);
    if (doomed && device_defer(d, doomed, size))
        return;
    if (doomed) {
        d->ops->forget(d->user, doomed);
        resource_destroy(&d->commands.table, doomed);
    }
    if (queue == QUEUE_CONTROL && wait_for_drawing(d, size))
        return;
    device_answer(d, vring, size);
}

/* The renderer has enough to do with what the guest has asked so far. */
static bool has_to_wait(const struct device *d, unsigned queue)
{
    const struct renderer *renderer = d->commands.drawing.renderer;
    return queue == QUEUE_CONTROL && renderer && renderer->ops->busy(renderer);
}

static void device_process(struct device *d, unsigned queue)
{
    struct virtqueue *vring;
    unsigned n = 0;
    bool waits = false;
    if (d->processing || !d->frontend || !(vring = vhost_user_running(d->frontend, queue)))
        return;
    d->processing = true;
    do {
        while (n < BATCH && !vring->broken && !(waits = has_to_wait(d, queue))) {
            int r = virtqueue_pop(vring, &d->frontend->ram, &d->chain);
            if (r < 0)
                vhost_user_queue_broken(d->frontend, queue);
            if (r <= 0)
                break;
            device_execute(d, vring, queue);
            n++;
        }
    } while (n < BATCH && !waits && virtqueue_listen(vring));
    d->processing = false;
    if (n > 0)
        virtqueue_notify(vring);
    if (n == BATCH)
        loop_timer_arm(d->more, 0);
    if (d->commands.changed) {
        d->commands.changed = false;
        d->ops->changed(d->user);
    }
}

static void device_process_more(void *user)
{
    struct device *d = user;
    device_process(d, QUEUE_CONTROL);
    device_process(d, QUEUE_CURSOR);
}

static void device_gone(void *user, struct resource *resource)
{
    struct device *d = user;
    d->ops->gone(d->user, resource);
}

static void device_reset(struct device *d, const char *why)
{
    struct resource *resource;
    device_complete_all(d);
    commands_3d_reset(&d->commands.drawing, &d->commands.table);
    d->epoch++;
    if (d->commands.table.n > 0)
        log_debug(NULL, "%s: %u resources are gone", why, d->commands.table.n);
    while ((resource = resources_any(&d->commands.table))) {
        resources_remove(&d->commands.table, resource);
        d->ops->forget(d->user, resource);
        resource_destroy(&d->commands.table, resource);
    }
    d->ops->reset(d->user);
    d->awaits_driver = !device_has_driver(d);
}

static void device_on_features(void *user, uint64_t features)
{
    struct device *d = user;
    d->commands.features = features;
}

static void device_on_kick(void *user, unsigned queue)
{
    struct device *d = user;
    if (d->awaits_driver && device_has_driver(d)) { /* whoever heard that it is gone hears of it */
        d->awaits_driver = false;
        d->ops->reset(d->user);
    }
    device_process(d, queue);
}

static void device_on_stopping(void *user, unsigned queue)
{
    struct device *d = user;
    if (queue == QUEUE_CONTROL)
        device_complete_all(d);
}

static void device_on_reset(void *user)
{
    device_reset(user, "the guest's driver starts anew");
}

struct move {
    struct device *device;
    const struct guest_ram *before;
};

static void check_moved(void *user, struct resource *resource)
{
    struct move *move = user;
    struct device *d = move->device;
    if (resource->n_runs == 0)
        return;
    if (resource_unmoved(resource, move->before, d->commands.ram))
        return;
    resource_detach(&d->commands.table, resource);
    d->ops->gone(d->user, resource);
}

static void device_on_memory(void *user, const struct guest_ram *before)
{
    struct device *d = user;
    struct move move = {d, before};
    device_complete_all(d);
    d->commands.ram = &d->frontend->ram;
    resources_each(&d->commands.table, check_moved, &move);
}

static void device_on_config(void *user, uint32_t offset, void *bytes, uint32_t size)
{
    /* No scanouts: a device without a display. Frontends that need one set the number themselves.
     */
    const struct device *d = user;
    const struct renderer *renderer = d->commands.drawing.renderer;
    const struct virtio_gpu_config config = {.num_capsets =
                                                 htole32(renderer ? renderer->n_capsets : 0)};
    if (offset < sizeof(config))
        memcpy(bytes, (const uint8_t *)&config + offset,
               size < sizeof(config) - offset ? size : sizeof(config) - offset);
}

static void device_on_closed(void *user, int reason)
{
    struct device *d = user;
    struct vhost_user *frontend = d->frontend;
    device_complete_all(d);
    d->commands.ram = NULL;
    d->commands.features = 0;
    loop_timer_disarm(d->timer);
    loop_timer_disarm(d->more);
    d->frontend = NULL;
    device_reset(d, "the frontend is gone");
    vhost_user_destroy(frontend);
    d->closed(d->closed_user, reason);
}

static const struct vhost_user_ops frontend_ops = {
    .features = device_on_features,
    .kick = device_on_kick,
    .stopping = device_on_stopping,
    .reset = device_on_reset,
    .memory = device_on_memory,
    .config = device_on_config,
    .closed = device_on_closed,
};

struct device *device_create(struct loop *loop, unsigned unref_ms)
{
    struct device *d = calloc(1, sizeof(*d));
    if (!d)
        return NULL;
    d->loop = loop;
    d->subject = (struct log_subject){.name = "virtio-gpu"};
    d->unref_ms = unref_ms;
    d->epoch = 1;
    d->request = malloc(COMMANDS_REQUEST_MAX);
    d->timer = loop_timer_create(loop, device_expired, d);
    d->more = loop_timer_create(loop, device_process_more, d);
    if (commands_init(&d->commands, device_gone, d) < 0 || !d->request || !d->timer || !d->more) {
        device_destroy(d);
        errno = ENOMEM;
        return NULL;
    }
    return d;
}

void device_destroy(struct device *d)
{
    if (!d)
        return;
    if (d->ops)
        device_complete_all(d);
    vhost_user_destroy(d->frontend);
    loop_timer_destroy(d->timer);
    loop_timer_destroy(d->more);
    commands_finish(&d->commands);
    if (d->commands.drawing.renderer)
        d->commands.drawing.renderer->listener = NULL;
    fences_finish(&d->fences);
    free(d->request);
    free(d);
}

int device_draw(struct device *d, struct renderer *renderer)
{
    int r = fences_init(&d->fences);
    if (r < 0)
        return r;
    renderer->listener = &renderer_listener;
    renderer->user = d;
    d->commands.drawing.renderer = renderer;
    return 0;
}

struct renderer *device_renderer(const struct device *d)
{
    return d->commands.drawing.renderer;
}

void device_listen(struct device *d, const struct device_ops *ops, void *user)
{
    d->ops = ops;
    d->user = user;
}

int device_connect(struct device *d, int fd, void (*closed)(void *user, int reason), void *user)
{
    if (d->frontend) {
        fd_close(fd);
        return -EBUSY;
    }
    d->closed = closed;
    d->closed_user = user;
    uint64_t features =
        COMMANDS_FEATURES | (d->commands.drawing.renderer ? COMMANDS_3D_FEATURES : 0);
    const struct vhost_user_device description = {
        .subject = &d->subject,
        .n_queues = QUEUES,
        .driver_queue = QUEUE_CONTROL,
        .features = features,
        .takes_gpu_socket = true,
    };
    d->frontend = vhost_user_create(d->loop, fd, &description, &frontend_ops, d);
    return d->frontend ? 0 : -errno;
}

void device_poll(struct device *d)
{
    device_process(d, QUEUE_CONTROL);
}

struct resource *device_find(struct device *d, uint32_t id)
{
    return resources_find(&d->commands.table, id);
}

bool device_draws(const struct device *d, const struct resource *resource)
{
    return commands_3d_has(&d->commands.drawing, resource);
}

bool device_is_shared(const struct device *d, const struct resource *resource)
{
    if (resource->kind == RESOURCE_BLOB)
        return resource->blob_flags &
               (VIRTIO_GPU_BLOB_FLAG_USE_SHAREABLE | VIRTIO_GPU_BLOB_FLAG_USE_CROSS_DEVICE);
    /* Linux asks for a UUID when such a buffer is exported. Where the frontend has none of these,
     * there is no sign. */
    return resource->has_uuid || !(d->commands.features >> VIRTIO_GPU_F_RESOURCE_UUID & 1);
}

void device_hold(struct device *d, struct resource *resource)
{
    (void)d;
    resource->holds++;
}

void device_release(struct device *d, struct resource *resource)
{
    if (--resource->holds > 0)
        return;
    for (unsigned i = 0; i < DEVICE_UNREF_MAX; i++) {
        if (d->doomed[i].resource == resource) {
            device_complete(d, &d->doomed[i]);
            return;
        }
    }
}

const struct guest_ram *device_ram(const struct device *d)
{
    return d->commands.ram && d->commands.ram->n > 0 ? d->commands.ram : NULL;
}

uint64_t device_epoch(const struct device *d)
{
    return d->epoch;
}

bool device_has_driver(const struct device *d)
{
    return d->frontend && vhost_user_running(d->frontend, QUEUE_CONTROL);
}
