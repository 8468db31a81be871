/* SPDX-License-Identifier: MIT */
/* commands-3d: owns the guest's contexts and what the renderer has of its resources. Everything
 * that has a size is checked against the resource before the renderer sees it, since that is a
 * large library in this process. Resources that no GPU draws on (2D, blobs, those without a use)
 * are the guest's memory and not the renderer's: contexts take them without effect.
 *
 * A command is a row of the table below: how long it is and what executes it. */
#include "host-proxy/gpu/commands-3d.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host-proxy/gpu/renderer.h"

/* What a resource is, as virgl (and so gallium) numbers it. */
enum { BUFFER, T_1D, T_2D, T_3D, T_CUBE, T_RECT, T_1D_ARRAY, T_2D_ARRAY, T_CUBE_ARRAY, _TARGETS };

/* The command at hand. */
struct request_3d {
    union {
        struct virtio_gpu_ctrl_hdr hdr;
        struct virtio_gpu_get_capset_info capset_info;
        struct virtio_gpu_get_capset capset;
        struct virtio_gpu_ctx_create context_create;
        struct virtio_gpu_ctx_destroy context_destroy;
        struct virtio_gpu_ctx_resource context_resource;
        struct virtio_gpu_resource_create_3d create;
        struct virtio_gpu_transfer_host_3d transfer;
        struct virtio_gpu_cmd_submit submit;
    } cmd;
    uint8_t *more; /* what follows */
    size_t more_size;
    struct resources *table;
    uint64_t features; /* accepted by the driver */
    uint8_t *response;
    size_t *length; /* of the response */
};

static bool has_context(const struct commands_3d *c, uint32_t id)
{
    for (unsigned i = 0; i < c->n_contexts; i++) {
        if (c->contexts[i] == id)
            return true;
    }
    return false;
}

uint32_t commands_3d_error(int error)
{
    switch (error) {
    case 0:
        return VIRTIO_GPU_RESP_OK_NODATA;
    case -ENOMEM:
    case -E2BIG:
        return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
    case -EEXIST:
        return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
    default:
        return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    }
}

static uint32_t commands_3d_capset_info(struct commands_3d *c, struct request_3d *q)
{
    const struct virtio_gpu_get_capset_info *cmd = &q->cmd.capset_info;
    uint32_t i = le32toh(cmd->capset_index);
    if (i >= c->renderer->n_capsets)
        return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    const struct renderer_capset *capset = &c->renderer->capsets[i];
    struct virtio_gpu_resp_capset_info info = {.capset_id = htole32(capset->id),
                                               .capset_max_version = htole32(capset->version),
                                               .capset_max_size = htole32(capset->size)};
    memcpy(q->response, &info, sizeof(info));
    *q->length = sizeof(info);
    return VIRTIO_GPU_RESP_OK_CAPSET_INFO;
}

static const struct renderer_capset *find_capset(const struct commands_3d *c, uint32_t id)
{
    for (unsigned i = 0; i < c->renderer->n_capsets; i++) {
        if (c->renderer->capsets[i].id == id)
            return &c->renderer->capsets[i];
    }
    return NULL;
}

static uint32_t commands_3d_capset(struct commands_3d *c, struct request_3d *q)
{
    const struct virtio_gpu_get_capset *cmd = &q->cmd.capset;
    uint32_t version = le32toh(cmd->capset_version);
    const struct renderer_capset *capset = find_capset(c, le32toh(cmd->capset_id));
    if (!capset || version > capset->version || capset->size > COMMANDS_3D_CAPSET_MAX)
        return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    c->renderer->ops->capset(c->renderer, capset->id, version, q->response + sizeof(cmd->hdr));
    *q->length = sizeof(cmd->hdr) + capset->size;
    return VIRTIO_GPU_RESP_OK_CAPSET;
}

static uint32_t commands_3d_context_create(struct commands_3d *c, struct request_3d *q)
{
    const struct virtio_gpu_ctx_create *cmd = &q->cmd.context_create;
    uint32_t id = le32toh(cmd->hdr.ctx_id), init = 0;
    if (q->features >> VIRTIO_GPU_F_CONTEXT_INIT & 1)
        init = le32toh(cmd->context_init);
    if (id == 0 || has_context(c, id))
        return VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID;
    if (le32toh(cmd->nlen) > sizeof(cmd->debug_name) || (init && !find_capset(c, init)))
        return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    if (c->n_contexts == COMMANDS_3D_CONTEXTS_MAX)
        return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
    int r = c->renderer->ops->context_create(c->renderer, id, init);
    if (r == 0)
        c->contexts[c->n_contexts++] = id;
    return commands_3d_error(r);
}

static uint32_t commands_3d_context_destroy(struct commands_3d *c, struct request_3d *q)
{
    const struct virtio_gpu_ctx_destroy *cmd = &q->cmd.context_destroy;
    uint32_t id = le32toh(cmd->hdr.ctx_id);
    for (unsigned i = 0; i < c->n_contexts; i++) {
        if (c->contexts[i] == id) {
            c->contexts[i] = c->contexts[--c->n_contexts];
            c->renderer->ops->context_destroy(c->renderer, id);
            return VIRTIO_GPU_RESP_OK_NODATA;
        }
    }
    return VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID;
}

static uint32_t context_resource(struct commands_3d *c, struct request_3d *q, bool attach)
{
    const struct virtio_gpu_ctx_resource *cmd = &q->cmd.context_resource;
    uint32_t context = le32toh(cmd->hdr.ctx_id);
    const struct resource *r = resources_find(q->table, le32toh(cmd->resource_id));
    if (!has_context(c, context))
        return VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID;
    if (!r)
        return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
    if (r->drawn && attach)
        c->renderer->ops->context_attach(c->renderer, context, r->id);
    else if (r->drawn)
        c->renderer->ops->context_detach(c->renderer, context, r->id);
    return VIRTIO_GPU_RESP_OK_NODATA;
}

static uint32_t commands_3d_context_attach(struct commands_3d *c, struct request_3d *q)
{
    return context_resource(c, q, true);
}

static uint32_t commands_3d_context_detach(struct commands_3d *c, struct request_3d *q)
{
    return context_resource(c, q, false);
}

/* True if the sizes fit the kind of picture (or buffer) that it is. */
static bool well_shaped(const struct renderer_resource *r)
{
    bool buffer = r->target == BUFFER, volume = r->target == T_3D;
    bool flat = r->target == BUFFER || r->target == T_1D || r->target == T_1D_ARRAY;
    bool cube = r->target == T_CUBE || r->target == T_CUBE_ARRAY;
    bool layers = r->target == T_1D_ARRAY || r->target == T_2D_ARRAY || r->target == T_CUBE_ARRAY;
    if (r->target >= _TARGETS || r->width < 1 ||
        r->width > (buffer ? COMMANDS_3D_BUFFER_MAX : RESOURCE_SIDE_MAX))
        return false;
    if (r->height < 1 || r->height > (flat ? 1 : RESOURCE_SIDE_MAX) || r->depth < 1 ||
        r->depth > (volume ? COMMANDS_3D_LAYERS_MAX : 1))
        return false;
    if (cube ? r->array_size % 6 : r->array_size > 1 && !layers)
        return false;
    return r->array_size >= 1 && r->array_size <= COMMANDS_3D_LAYERS_MAX &&
           (r->target != T_CUBE || r->array_size == 6) &&
           r->last_level < (buffer ? 1 : COMMANDS_3D_LEVELS_MAX) &&
           r->nr_samples <= COMMANDS_3D_SAMPLES_MAX;
}

/* About so much memory: nobody here knows all formats, but 16 bytes a pixel is the largest. */
static uint64_t estimate(const struct renderer_resource *r)
{
    uint64_t pixel = r->target == BUFFER ? 1 : resource_fourcc(r->format) ? 4 : 16;
    uint64_t pixels = (uint64_t)r->width * r->height; /* at most 2^30 */
    pixels *= (uint64_t)r->depth * r->array_size;     /* 2^11 more */
    pixels *= r->nr_samples > 1 ? r->nr_samples : 1;  /* 2^5 */
    return pixels * pixel * (r->last_level > 0 ? 2 : 1);
}

static uint32_t commands_3d_create(struct commands_3d *c, struct request_3d *q)
{
    const struct virtio_gpu_resource_create_3d *cmd = &q->cmd.create;
    const struct renderer_resource want = {
        .id = le32toh(cmd->resource_id),
        .target = le32toh(cmd->target),
        .format = le32toh(cmd->format),
        .bind = le32toh(cmd->bind),
        .width = le32toh(cmd->width),
        .height = le32toh(cmd->height),
        .depth = le32toh(cmd->depth),
        .array_size = le32toh(cmd->array_size),
        .last_level = le32toh(cmd->last_level),
        .nr_samples = le32toh(cmd->nr_samples),
        .flags = le32toh(cmd->flags),
    };
    uint64_t bytes;
    if (!well_shaped(&want))
        return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    bytes = estimate(&want);
    if (bytes > COMMANDS_3D_BYTES_MAX - c->bytes)
        return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
    /* Without a use, nobody draws on it: it is memory of the guest with a shape. */
    bool plain = want.bind == 0 && want.target == T_2D && resource_fourcc(want.format);
    struct resource *r = resources_create(q->table, want.id, plain ? RESOURCE_2D : RESOURCE_3D);
    struct drawn *drawn = r && !plain ? malloc(sizeof(*drawn)) : NULL;
    if (!r)
        return commands_3d_error(-errno);
    r->width = want.width;
    r->height = want.height;
    r->format = want.format;
    r->size = bytes;
    if (plain)
        return VIRTIO_GPU_RESP_OK_NODATA;
    int e = drawn ? c->renderer->ops->resource_create(c->renderer, &want) : -ENOMEM;
    if (e < 0) {
        free(drawn);
        resources_remove(q->table, r);
        resource_destroy(q->table, r);
        return commands_3d_error(e);
    }
    *drawn = (struct drawn){
        .depth = want.target == T_3D ? want.depth : want.array_size,
        .is_volume = want.target == T_3D,
        .last_level = want.last_level,
        .is_picture = (want.target == T_2D || want.target == T_RECT) && want.nr_samples <= 1,
        .bytes = bytes,
    };
    r->drawn = drawn;
    c->bytes += bytes;
    return VIRTIO_GPU_RESP_OK_NODATA;
}

static uint64_t at_level(uint32_t size, uint32_t level)
{
    return size >> level ? size >> level : 1;
}

static uint32_t transfer_3d(struct commands_3d *c, struct request_3d *q, bool to_renderer)
{
    const struct virtio_gpu_transfer_host_3d *cmd = &q->cmd.transfer;
    uint32_t context = le32toh(cmd->hdr.ctx_id), level = le32toh(cmd->level);
    const struct resource *r = resources_find(q->table, le32toh(cmd->resource_id));
    const struct renderer_transfer t = {
        .id = le32toh(cmd->resource_id),
        .context = context,
        .level = level,
        .stride = le32toh(cmd->stride),
        .layer_stride = le32toh(cmd->layer_stride),
        .box = {le32toh(cmd->box.x), le32toh(cmd->box.y), le32toh(cmd->box.z), le32toh(cmd->box.w),
                le32toh(cmd->box.h), le32toh(cmd->box.d)},
        .offset = le64toh(cmd->offset),
        .to_renderer = to_renderer,
    };
    const struct renderer_box *b = &t.box;
    if (context != 0 && !has_context(c, context))
        return VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID;
    if (!r)
        return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
    if (!r->drawn) /* the pages are the content */
        return VIRTIO_GPU_RESP_OK_NODATA;
    if (r->n_runs == 0)
        return VIRTIO_GPU_RESP_ERR_UNSPEC;
    const struct drawn *d = r->drawn;
    if (level > d->last_level || b->width == 0 || b->height == 0 || b->depth == 0 ||
        (uint64_t)b->x + b->width > at_level(r->width, level) ||
        (uint64_t)b->y + b->height > at_level(r->height, level) ||
        (uint64_t)b->z + b->depth > (d->is_volume ? at_level(d->depth, level) : d->depth))
        return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    /* Its last row begins within the memory; what a row takes, the renderer knows. */
    uint64_t last = (uint64_t)(b->depth - 1) * t.layer_stride;
    if (__builtin_add_overflow(last, (uint64_t)(b->height - 1) * t.stride, &last) ||
        __builtin_add_overflow(last, t.offset, &last) || last >= r->backing_size)
        return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    return commands_3d_error(c->renderer->ops->transfer(c->renderer, &t));
}

static uint32_t commands_3d_transfer_to(struct commands_3d *c, struct request_3d *q)
{
    return transfer_3d(c, q, true);
}

static uint32_t commands_3d_transfer_from(struct commands_3d *c, struct request_3d *q)
{
    return transfer_3d(c, q, false);
}

static uint32_t commands_3d_submit(struct commands_3d *c, struct request_3d *q)
{
    const struct virtio_gpu_cmd_submit *cmd = &q->cmd.submit;
    uint32_t context = le32toh(cmd->hdr.ctx_id);
    if (!has_context(c, context))
        return VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID;
    if (le32toh(cmd->size) != q->more_size || q->more_size % 4)
        return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    if (q->more_size == 0) /* only a fence */
        return VIRTIO_GPU_RESP_OK_NODATA;
    return commands_3d_error(
        c->renderer->ops->submit(c->renderer, context, q->more, (uint32_t)(q->more_size / 4)));
}

enum { MORE = 1 }; /* something follows the fixed part */

#define COMMAND(type, member)                                                                      \
    VIRTIO_GPU_CMD_##type, #type, sizeof(((struct request_3d *)NULL)->cmd.member)

static const struct command_3d {
    uint32_t type;
    const char *name;
    size_t size; /* of the fixed part */
    unsigned flags;
    uint32_t (*execute)(struct commands_3d *c, struct request_3d *q); /* the answer's type */
} commands_3d_table[] = {
    {COMMAND(GET_CAPSET_INFO, capset_info), 0, commands_3d_capset_info},
    {COMMAND(GET_CAPSET, capset), 0, commands_3d_capset},
    {COMMAND(CTX_CREATE, context_create), 0, commands_3d_context_create},
    {COMMAND(CTX_DESTROY, context_destroy), 0, commands_3d_context_destroy},
    {COMMAND(CTX_ATTACH_RESOURCE, context_resource), 0, commands_3d_context_attach},
    {COMMAND(CTX_DETACH_RESOURCE, context_resource), 0, commands_3d_context_detach},
    {COMMAND(RESOURCE_CREATE_3D, create), 0, commands_3d_create},
    {COMMAND(TRANSFER_TO_HOST_3D, transfer), 0, commands_3d_transfer_to},
    {COMMAND(TRANSFER_FROM_HOST_3D, transfer), 0, commands_3d_transfer_from},
    {COMMAND(SUBMIT_3D, submit), MORE, commands_3d_submit},
};

static const struct command_3d *commands_3d_find(uint32_t type)
{
    for (size_t i = 0; i < sizeof(commands_3d_table) / sizeof(*commands_3d_table); i++) {
        if (commands_3d_table[i].type == type)
            return &commands_3d_table[i];
    }
    return NULL;
}

size_t commands_3d_size(uint32_t type, bool *ret_more)
{
    const struct command_3d *command = commands_3d_find(type);
    *ret_more = command && command->flags & MORE;
    return command ? command->size : 0;
}

const char *commands_3d_name(uint32_t type)
{
    const struct command_3d *command = commands_3d_find(type);
    return command ? command->name : NULL;
}

uint32_t commands_3d_execute(struct commands_3d *c, struct resources *table, uint64_t features,
                             uint8_t *request, size_t size, uint8_t *response, size_t *length)
{
    struct request_3d q = {
        .table = table, .features = features, .response = response, .length = length};
    memcpy(&q.cmd, request, size < sizeof(q.cmd) ? size : sizeof(q.cmd));
    if (!c->renderer || !(features >> VIRTIO_GPU_F_VIRGL & 1))
        return VIRTIO_GPU_RESP_ERR_UNSPEC;
    const struct command_3d *command = commands_3d_find(le32toh(q.cmd.hdr.type));
    assert(command && size >= command->size);
    q.more = request + command->size;
    q.more_size = size - command->size;
    return command->execute(c, &q);
}

int commands_3d_attach(struct commands_3d *c, struct resource *resource,
                       const struct guest_ram *ram)
{
    struct drawn *d = resource->drawn;
    if (!d || resource->n_runs == 0)
        return 0;
    struct iovec *iov = malloc(resource->n_runs * sizeof(*iov));
    if (!iov)
        return -ENOMEM;
    for (uint32_t i = 0; i < resource->n_runs; i++) {
        const struct guest_run *run = &resource->runs[i];
        iov[i] = (struct iovec){guest_ram_at(ram, run->gpa, run->size), run->size};
        if (!iov[i].iov_base) {
            free(iov);
            return -EFAULT;
        }
    }
    int r = c->renderer->ops->attach(c->renderer, resource->id, iov, resource->n_runs);
    if (r < 0)
        free(iov);
    else
        d->iov = iov;
    return r;
}

void commands_3d_detach(struct commands_3d *c, struct resource *resource)
{
    struct drawn *d = resource->drawn;
    if (!d || !d->iov)
        return;
    c->renderer->ops->detach(c->renderer, resource->id);
    free(d->iov);
    d->iov = NULL;
}

void commands_3d_forget(struct commands_3d *c, struct resource *resource)
{
    if (!resource->drawn)
        return;
    commands_3d_detach(c, resource);
    c->renderer->ops->resource_destroy(c->renderer, resource->id);
    c->bytes -= resource->drawn->bytes;
    free(resource->drawn);
    resource->drawn = NULL;
}

static void forget_each(void *user, struct resource *resource)
{
    commands_3d_forget(user, resource);
}

void commands_3d_reset(struct commands_3d *c, const struct resources *table)
{
    while (c->n_contexts > 0)
        c->renderer->ops->context_destroy(c->renderer, c->contexts[--c->n_contexts]);
    resources_each(table, forget_each, c);
}
