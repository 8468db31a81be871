/* SPDX-License-Identifier: MIT */
/* commands-3d: owns the guest's contexts and what the renderer has of its resources. Everything
 * that has a size is checked against the resource before the renderer sees it, since that has a
 * large library. It sees no page of the guest: what a transfer names is copied, row by row, on the
 * way there or back. What a renderer had that is gone stays in the books until the guest destroys
 * it, and is good for nothing else. Resources that no GPU draws on (2D, blobs, those without a use)
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

#define CUSTOM (1u << 17) /* a use: as virgl has it, for what queries count */
#define PIXEL_MAX 16u     /* bytes; of compressed formats, a block of pixels has no more */

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
    const struct guest_ram *ram; /* NULL: there is none */
    uint8_t *more;               /* what follows */
    size_t more_size;
    struct resources *table;
    uint64_t features; /* accepted by the driver */
    uint8_t *response;
    size_t *length; /* of the response */
};

/* Its place, or ->n_contexts: there is none. */
static unsigned find_context(const struct commands_3d *c, uint32_t id)
{
    unsigned i = 0;
    while (i < c->n_contexts && c->contexts[i].id != id)
        i++;
    return i;
}

static bool lives(const struct commands_3d *c, uint64_t life)
{
    return c->renderer->life == life;
}

/* OK_NODATA: it is there; or the answer's type. */
static uint32_t check_context(const struct commands_3d *c, uint32_t id)
{
    unsigned i = find_context(c, id);
    if (i == c->n_contexts)
        return VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID;
    return lives(c, c->contexts[i].life) ? VIRTIO_GPU_RESP_OK_NODATA : VIRTIO_GPU_RESP_ERR_UNSPEC;
}

bool commands_3d_has(const struct commands_3d *c, const struct resource *resource)
{
    return resource->drawn && lives(c, resource->drawn->life);
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
    case -ENODEV: /* there is no renderer */
        return VIRTIO_GPU_RESP_ERR_UNSPEC;
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
    if (id == 0 || find_context(c, id) < c->n_contexts)
        return VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID;
    if (le32toh(cmd->nlen) > sizeof(cmd->debug_name) || (init && !find_capset(c, init)))
        return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    if (c->n_contexts == COMMANDS_3D_CONTEXTS_MAX)
        return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
    int r = c->renderer->ops->context_create(c->renderer, id, init);
    if (r < 0)
        return commands_3d_error(r);
    c->contexts[c->n_contexts].id = id;
    c->contexts[c->n_contexts++].life = c->renderer->life;
    return VIRTIO_GPU_RESP_OK_NODATA;
}

static uint32_t commands_3d_context_destroy(struct commands_3d *c, struct request_3d *q)
{
    const struct virtio_gpu_ctx_destroy *cmd = &q->cmd.context_destroy;
    unsigned i = find_context(c, le32toh(cmd->hdr.ctx_id));
    if (i == c->n_contexts)
        return VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID;
    if (lives(c, c->contexts[i].life))
        c->renderer->ops->context_destroy(c->renderer, c->contexts[i].id);
    c->contexts[i] = c->contexts[--c->n_contexts];
    return VIRTIO_GPU_RESP_OK_NODATA;
}

static uint32_t context_resource(struct commands_3d *c, struct request_3d *q, bool attach)
{
    const struct virtio_gpu_ctx_resource *cmd = &q->cmd.context_resource;
    uint32_t context = le32toh(cmd->hdr.ctx_id);
    const struct resource *r = resources_find(q->table, le32toh(cmd->resource_id));
    uint32_t error = check_context(c, context);
    if (error == VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID)
        return error;
    if (!r)
        return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
    if (!r->drawn)
        return VIRTIO_GPU_RESP_OK_NODATA;
    if (error != VIRTIO_GPU_RESP_OK_NODATA || !lives(c, r->drawn->life))
        return VIRTIO_GPU_RESP_ERR_UNSPEC;
    if (attach)
        c->renderer->ops->context_attach(c->renderer, context, r->id);
    else
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
static bool well_shaped(const struct render_resource *r)
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

/* Bytes of a pixel, as virgl numbers formats, or 0: not one of the usual ones. */
static uint32_t format_pixel(uint32_t format)
{
    static const struct {
        uint8_t first, last, pixel;
    } sizes[] = {{1, 4, 4},     {5, 7, 2},     {8, 8, 4},     {9, 11, 1},    {12, 13, 2},
                 {16, 16, 2},   {17, 22, 4},   {23, 23, 1},   {28, 28, 4},   {29, 29, 8},
                 {31, 31, 16},  {48, 48, 2},   {49, 49, 4},   {51, 51, 8},   {64, 64, 1},
                 {65, 65, 2},   {67, 68, 4},   {91, 91, 2},   {92, 92, 4},   {94, 94, 8},
                 {100, 104, 4}, {131, 131, 4}, {230, 230, 4}, {233, 233, 4}, {236, 236, 8}};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        if (format >= sizes[i].first && format <= sizes[i].last)
            return sizes[i].pixel;
    }
    return 0;
}

/* About so much memory: nobody here knows all formats, but 16 bytes a pixel is the largest. */
static uint64_t estimate(const struct render_resource *r)
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
    const struct render_resource want = {
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
    uint32_t pixel = want.target == BUFFER ? 1 : format_pixel(want.format);
    *drawn = (struct drawn){
        .pixel = pixel ? pixel : PIXEL_MAX,
        .pixel_known = pixel > 0,
        .is_answer = want.target == BUFFER && want.bind == CUSTOM,
        .life = c->renderer->life,
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

/* Copies the rows of a transfer, between the guest's memory and the stage. 0 or -EFAULT. */
static int copy_rows(const struct resource *r, const struct guest_ram *ram,
                     const struct renderer_transfer *t, bool to_guest)
{
    const struct renderer_rows *rows = &t->rows;
    int result = 0;
    for (uint32_t z = 0; z < rows->depth && result == 0; z++) {
        for (uint32_t y = 0; y < rows->height && result == 0; y++) {
            bool end = z + 1 == rows->depth && y + 1 == rows->height;
            uint64_t guest =
                rows->offset + (uint64_t)z * rows->layer_stride + (uint64_t)y * rows->stride;
            uint64_t stage = (uint64_t)z * t->what.layer_stride + (uint64_t)y * t->what.stride;
            result = resource_copy(r, ram, guest, t->stage.bytes + stage,
                                   end ? rows->end_size : rows->size, to_guest);
        }
    }
    return result;
}

/* Where rows begin that the guest does not tell, as the library counts. False: nobody here knows.
 */
static bool complete_strides(const struct resource *r, const struct render_transfer *t,
                             struct renderer_rows *rows)
{
    const struct drawn *d = r->drawn;
    if (rows->stride == 0 && (rows->height > 1 || rows->depth > 1)) {
        if (!d->pixel_known)
            return false;
        rows->stride = (uint32_t)at_level(r->width, t->level) * d->pixel;
    }
    if (rows->layer_stride == 0 && rows->depth > 1) {
        if (!d->pixel_known)
            return false;
        uint64_t layer = (uint64_t)rows->stride * at_level(r->height, t->level);
        rows->layer_stride = layer < UINT32_MAX ? (uint32_t)layer : UINT32_MAX;
    }
    return true;
}

/* Says how the rows lie in the guest's memory (@t->rows) and on the stage (strides of @t->what),
 * and returns how large that is to be; 0: they do not lie in the memory, or upon each other. */
static uint64_t lay_out(const struct resource *r, struct renderer_transfer *t)
{
    const struct drawn *d = r->drawn;
    struct renderer_rows *rows = &t->rows;
    uint64_t width = (uint64_t)t->what.box.width * d->pixel, last;
    if (rows->offset >= r->backing_size)
        return 0;
    if (!complete_strides(r, &t->what, rows)) { /* as they are, and all that they may be */
        width = at_level(r->width, t->what.level) * at_level(r->height, t->what.level) *
                rows->depth * d->pixel;
        if (width > r->backing_size - rows->offset)
            width = r->backing_size - rows->offset;
        rows->height = rows->depth = 1;
        rows->size = rows->end_size = width < UINT32_MAX ? (uint32_t)width : UINT32_MAX;
        return rows->size;
    }
    bool many = rows->height > 1 || rows->depth > 1;
    if (!d->pixel_known && rows->height > 1 && width > rows->stride)
        width = rows->stride;
    /* Of a block's rows, only the first is there: a layer has fewer than the box. */
    uint64_t least = (uint64_t)rows->stride * (rows->height - 1);
    if ((rows->height > 1 && rows->stride < (d->pixel_known ? width : t->what.box.width)) ||
        (rows->depth > 1 && rows->layer_stride < (d->pixel_known ? least + width : least / 16 + 1)))
        return 0;
    last = (uint64_t)(rows->depth - 1) * rows->layer_stride + least;
    if (last >= r->backing_size - rows->offset)
        return 0;
    uint64_t left = r->backing_size - rows->offset - last;
    if (d->pixel_known && width > left)
        return 0;
    rows->size = (uint32_t)width; /* 2^30 x 1, or 2^15 x 16 */
    rows->end_size = width < left ? (uint32_t)width : (uint32_t)left;
    /* Close together, where a pixel's size is known. */
    t->what.stride = !many ? 0 : d->pixel_known ? rows->size : rows->stride;
    t->what.layer_stride = rows->depth == 1 ? 0
                           : d->pixel_known && width * rows->height <= UINT32_MAX
                               ? (uint32_t)(width * rows->height)
                               : rows->layer_stride;
    return (uint64_t)(rows->depth - 1) * t->what.layer_stride +
           (uint64_t)(rows->height - 1) * t->what.stride + rows->end_size;
}

/* The rows are within the resource's memory. 0 or -errno. */
static int post_transfer(struct commands_3d *c, const struct guest_ram *ram,
                         const struct resource *r, struct renderer_transfer *t, uint64_t size)
{
    const struct renderer_ops *ops = c->renderer->ops;
    int result = ops->stage(c->renderer, size, &t->stage);
    if (result < 0)
        return result;
    t->what.range = t->stage.range;
    /* What comes back may be more than the pixels: the rest is as it was. */
    if (t->what.to_renderer || !r->drawn->pixel_known)
        result = copy_rows(r, ram, t, false);
    assert(result == 0);
    return ops->transfer(c->renderer, t);
}

/* Mesa asks again and again until a query has an answer. Where nobody is there any more who counts,
 * it is done, and nothing was counted: {u32 state; u32 size; u64 result}, done is 1. */
static uint32_t answer_query(const struct resource *r, const struct guest_ram *ram)
{
    const uint32_t answer[4] = {htole32(1), htole32(8)};
    if (r->backing_size < sizeof(answer))
        return VIRTIO_GPU_RESP_ERR_UNSPEC;
    return commands_3d_error(
        resource_copy(r, ram, 0, (void *)(uintptr_t)answer, sizeof(answer), true));
}

static uint32_t transfer_3d(struct commands_3d *c, struct request_3d *q, bool to_renderer)
{
    const struct virtio_gpu_transfer_host_3d *cmd = &q->cmd.transfer;
    uint32_t context = le32toh(cmd->hdr.ctx_id), level = le32toh(cmd->level), error;
    const struct resource *r = resources_find(q->table, le32toh(cmd->resource_id));
    struct renderer_transfer t = {
        .what = {.resource = le32toh(cmd->resource_id),
                 .context = context,
                 .level = level,
                 .box = {le32toh(cmd->box.x), le32toh(cmd->box.y), le32toh(cmd->box.z),
                         le32toh(cmd->box.w), le32toh(cmd->box.h), le32toh(cmd->box.d)},
                 .to_renderer = to_renderer},
        .rows = {.offset = le64toh(cmd->offset),
                 .stride = le32toh(cmd->stride),
                 .layer_stride = le32toh(cmd->layer_stride),
                 .cut = c->cuts},
    };
    const struct render_box *b = &t.what.box;
    error = context ? check_context(c, context) : VIRTIO_GPU_RESP_OK_NODATA;
    if (error == VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID)
        return error;
    if (!r)
        return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
    if (!r->drawn) /* the pages are the content */
        return VIRTIO_GPU_RESP_OK_NODATA;
    if (r->n_runs == 0 || !q->ram)
        return VIRTIO_GPU_RESP_ERR_UNSPEC;
    if (!lives(c, r->drawn->life) && r->drawn->is_answer && !to_renderer)
        return answer_query(r, q->ram);
    if (error != VIRTIO_GPU_RESP_OK_NODATA || !lives(c, r->drawn->life))
        return VIRTIO_GPU_RESP_ERR_UNSPEC;
    const struct drawn *d = r->drawn;
    if (level > d->last_level || b->width == 0 || b->height == 0 || b->depth == 0 ||
        (uint64_t)b->x + b->width > at_level(r->width, level) ||
        (uint64_t)b->y + b->height > at_level(r->height, level) ||
        (uint64_t)b->z + b->depth > (d->is_volume ? at_level(d->depth, level) : d->depth))
        return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    t.rows.generation = r->generation;
    t.rows.height = b->height;
    t.rows.depth = b->depth;
    uint64_t size = lay_out(r, &t);
    if (size == 0)
        return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    return commands_3d_error(post_transfer(c, q->ram, r, &t, size));
}

void commands_3d_transferred(struct commands_3d *c, const struct resources *table,
                             const struct guest_ram *ram, const struct renderer_transfer *t,
                             int result)
{
    const struct resource *r = resources_find(table, t->what.resource);
    if (result == 0 && !t->what.to_renderer && ram && t->rows.cut == c->cuts && r &&
        r->n_runs > 0 && r->generation == t->rows.generation)
        copy_rows(r, ram, t, true);
}

void commands_3d_cut(struct commands_3d *c)
{
    c->cuts++;
}

bool commands_3d_fills_memory(uint32_t type)
{
    return type == VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D;
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
    uint32_t error = check_context(c, context);
    if (error != VIRTIO_GPU_RESP_OK_NODATA)
        return error;
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

uint32_t commands_3d_execute(struct commands_3d *c, struct resources *table,
                             const struct guest_ram *ram, uint64_t features, uint8_t *request,
                             size_t size, uint8_t *response, size_t *length)
{
    struct request_3d q = {
        .table = table, .ram = ram, .features = features, .response = response, .length = length};
    memcpy(&q.cmd, request, size < sizeof(q.cmd) ? size : sizeof(q.cmd));
    if (!c->renderer || !(features >> VIRTIO_GPU_F_VIRGL & 1))
        return VIRTIO_GPU_RESP_ERR_UNSPEC;
    const struct command_3d *command = commands_3d_find(le32toh(q.cmd.hdr.type));
    assert(command && size >= command->size);
    q.more = request + command->size;
    q.more_size = size - command->size;
    return command->execute(c, &q);
}

void commands_3d_forget(struct commands_3d *c, struct resource *resource)
{
    if (!resource->drawn)
        return;
    if (lives(c, resource->drawn->life))
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
    commands_3d_cut(c);
    while (c->n_contexts > 0) {
        unsigned i = --c->n_contexts;
        if (lives(c, c->contexts[i].life))
            c->renderer->ops->context_destroy(c->renderer, c->contexts[i].id);
    }
    resources_each(table, forget_each, c);
}
