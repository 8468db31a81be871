/* SPDX-License-Identifier: MIT */
/* commands: every field comes from the guest. A command must be exactly as long as it says;
 * anything that does not add up is answered with an error and changes nothing. Nothing is
 * displayed, so scanouts, transfers and flushes are only checked: the pixels stay in the guest's
 * pages, where whoever exports the resource finds them. */
#include "host-proxy/gpu/commands.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/base/log.h"

#define BLOB_FLAGS                                                                                 \
    (VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE | VIRTIO_GPU_BLOB_FLAG_USE_SHAREABLE |                      \
     VIRTIO_GPU_BLOB_FLAG_USE_CROSS_DEVICE)

int commands_init(struct commands *commands, void (*gone)(void *user, struct resource *resource),
                  void *user)
{
    *commands = (struct commands){.gone = gone, .user = user};
    commands->entries = malloc(RESOURCE_ENTRIES_MAX * sizeof(*commands->entries));
    return commands->entries ? resources_init(&commands->table) : -ENOMEM;
}

void commands_finish(struct commands *commands)
{
    if (commands->table.buckets) {
        commands_3d_reset(&commands->drawing, &commands->table);
        resources_finish(&commands->table);
    }
    free(commands->entries);
    commands->entries = NULL;
}

static const char *name_of(uint32_t type)
{
    switch (type) {
    case VIRTIO_GPU_CMD_GET_DISPLAY_INFO:
        return "GET_DISPLAY_INFO";
    case VIRTIO_GPU_CMD_RESOURCE_CREATE_2D:
        return "RESOURCE_CREATE_2D";
    case VIRTIO_GPU_CMD_RESOURCE_UNREF:
        return "RESOURCE_UNREF";
    case VIRTIO_GPU_CMD_SET_SCANOUT:
        return "SET_SCANOUT";
    case VIRTIO_GPU_CMD_RESOURCE_FLUSH:
        return "RESOURCE_FLUSH";
    case VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D:
        return "TRANSFER_TO_HOST_2D";
    case VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING:
        return "RESOURCE_ATTACH_BACKING";
    case VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING:
        return "RESOURCE_DETACH_BACKING";
    case VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID:
        return "RESOURCE_ASSIGN_UUID";
    case VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB:
        return "RESOURCE_CREATE_BLOB";
    case VIRTIO_GPU_CMD_SET_SCANOUT_BLOB:
        return "SET_SCANOUT_BLOB";
    case VIRTIO_GPU_CMD_UPDATE_CURSOR:
        return "UPDATE_CURSOR";
    case VIRTIO_GPU_CMD_MOVE_CURSOR:
        return "MOVE_CURSOR";
    default:
        return commands_3d_name(type) ? commands_3d_name(type) : "unknown command";
    }
}

static bool has(const struct commands *c, unsigned feature)
{
    return c->features >> feature & 1;
}

/* A resource of the guest's, or NULL: then *ret_error says so. */
static struct resource *look_up(const struct commands *c, uint32_t id, uint32_t *ret_error)
{
    struct resource *r = resources_find(&c->table, le32toh(id));
    *ret_error = r ? VIRTIO_GPU_RESP_OK_NODATA : VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
    return r;
}

static uint32_t error_of(int error)
{
    switch (error) {
    case 0:
        return VIRTIO_GPU_RESP_OK_NODATA;
    case -E2BIG:
    case -ENOMEM:
        return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
    case -EEXIST:
        return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
    default:
        return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    }
}

/* A rectangle of a resource. The layout of a blob is not known here. */
static bool within(const struct resource *r, const struct virtio_gpu_rect *rect)
{
    uint64_t x = le32toh(rect->x), y = le32toh(rect->y);
    uint64_t width = le32toh(rect->width), height = le32toh(rect->height);
    return r->kind == RESOURCE_BLOB || (x + width <= r->width && y + height <= r->height);
}

/* The list behind a command, which is to end with it. */
static int take_entries(struct commands *c, const uint8_t *at, size_t size, uint32_t n)
{
    if (n > RESOURCE_ENTRIES_MAX)
        return -E2BIG;
    if (size != (size_t)n * sizeof(struct virtio_gpu_mem_entry))
        return -EINVAL;
    for (uint32_t i = 0; i < n; i++) {
        struct virtio_gpu_mem_entry e;
        memcpy(&e, at + i * sizeof(e), sizeof(e));
        c->entries[i] = (struct resource_entry){.gpa = le64toh(e.addr), .size = le32toh(e.length)};
    }
    return c->ram ? 0 : -EINVAL;
}

static uint32_t create_2d(struct commands *c, const struct virtio_gpu_resource_create_2d *cmd)
{
    uint32_t width = le32toh(cmd->width), height = le32toh(cmd->height),
             format = le32toh(cmd->format);
    uint64_t size = (uint64_t)width * height * 4;
    if (width < 1 || width > RESOURCE_SIDE_MAX || height < 1 || height > RESOURCE_SIDE_MAX ||
        size > RESOURCE_SIZE_MAX || !resource_fourcc(format))
        return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    struct resource *r = resources_create(&c->table, le32toh(cmd->resource_id), RESOURCE_2D);
    if (!r)
        return error_of(-errno);
    r->width = width;
    r->height = height;
    r->format = format;
    r->size = size;
    return VIRTIO_GPU_RESP_OK_NODATA;
}

static uint32_t create_blob(struct commands *c, const struct virtio_gpu_resource_create_blob *cmd,
                            const uint8_t *list, size_t list_size)
{
    uint32_t flags = le32toh(cmd->blob_flags), n = le32toh(cmd->nr_entries);
    uint64_t size = le64toh(cmd->size);
    if (!has(c, VIRTIO_GPU_F_RESOURCE_BLOB))
        return VIRTIO_GPU_RESP_ERR_UNSPEC;
    if (le32toh(cmd->blob_mem) != VIRTIO_GPU_BLOB_MEM_GUEST || flags & ~BLOB_FLAGS || size == 0 ||
        size > RESOURCE_SIZE_MAX)
        return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    int result = take_entries(c, list, list_size, n);
    if (result < 0)
        return error_of(result);
    struct resource *r = resources_create(&c->table, le32toh(cmd->resource_id), RESOURCE_BLOB);
    if (!r)
        return error_of(-errno);
    r->size = size;
    r->blob_flags = flags;
    result = resource_attach(&c->table, r, c->ram, c->entries, n);
    if (result == 0 && r->backing_size < size)
        result = -EINVAL;
    if (result < 0) {
        resources_remove(&c->table, r);
        resource_destroy(&c->table, r);
    }
    return error_of(result);
}

static uint32_t unref(struct commands *c, const struct virtio_gpu_resource_unref *cmd,
                      struct resource **ret_doomed)
{
    uint32_t error;
    struct resource *r = look_up(c, cmd->resource_id, &error);
    if (!r)
        return error;
    resources_remove(&c->table, r);
    c->gone(c->user, r);
    commands_3d_forget(&c->drawing, r);
    if (r->holds > 0)
        *ret_doomed = r;
    else
        resource_destroy(&c->table, r);
    return VIRTIO_GPU_RESP_OK_NODATA;
}

static uint32_t attach(struct commands *c, const struct virtio_gpu_resource_attach_backing *cmd,
                       const uint8_t *list, size_t list_size)
{
    uint32_t error, n = le32toh(cmd->nr_entries);
    struct resource *r = look_up(c, cmd->resource_id, &error);
    if (!r)
        return error;
    int result = take_entries(c, list, list_size, n);
    if (result < 0)
        return error_of(result);
    if (r->n_runs > 0) /* it has memory; who wants other memory detaches that first */
        return VIRTIO_GPU_RESP_ERR_UNSPEC;
    result = resource_attach(&c->table, r, c->ram, c->entries, n);
    if (result == 0 && (result = commands_3d_attach(&c->drawing, r, c->ram)) < 0)
        resource_detach(&c->table, r);
    return error_of(result);
}

static uint32_t detach(struct commands *c, const struct virtio_gpu_resource_detach_backing *cmd)
{
    uint32_t error;
    struct resource *r = look_up(c, cmd->resource_id, &error);
    if (!r)
        return error;
    if (r->n_runs == 0)
        return VIRTIO_GPU_RESP_ERR_UNSPEC;
    commands_3d_detach(&c->drawing, r);
    resource_detach(&c->table, r);
    c->gone(c->user, r);
    return VIRTIO_GPU_RESP_OK_NODATA;
}

static uint32_t transfer(const struct commands *c, const struct virtio_gpu_transfer_to_host_2d *cmd)
{
    uint32_t error;
    const struct resource *r = look_up(c, cmd->resource_id, &error);
    if (!r)
        return error;
    if (r->kind != RESOURCE_2D || r->n_runs == 0)
        return VIRTIO_GPU_RESP_ERR_UNSPEC;
    uint64_t offset = le64toh(cmd->offset), width = le32toh(cmd->r.width),
             height = le32toh(cmd->r.height);
    if (!within(r, &cmd->r) || offset > r->backing_size)
        return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    if (width > 0 && height > 0 &&
        (height - 1) * r->width * 4 + width * 4 > r->backing_size - offset)
        return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    return VIRTIO_GPU_RESP_OK_NODATA;
}

static uint32_t flush(const struct commands *c, const struct virtio_gpu_resource_flush *cmd)
{
    uint32_t error;
    const struct resource *r = look_up(c, cmd->resource_id, &error);
    if (r && !within(r, &cmd->r))
        error = VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    return error;
}

static uint32_t set_scanout(const struct commands *c, const struct virtio_gpu_set_scanout *cmd)
{
    uint32_t error;
    if (le32toh(cmd->scanout_id) >= VIRTIO_GPU_MAX_SCANOUTS)
        return VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID;
    if (cmd->resource_id == 0) /* off */
        return VIRTIO_GPU_RESP_OK_NODATA;
    const struct resource *r = look_up(c, cmd->resource_id, &error);
    if (r && !within(r, &cmd->r))
        error = VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    return error;
}

static uint32_t set_scanout_blob(const struct commands *c,
                                 const struct virtio_gpu_set_scanout_blob *cmd)
{
    uint32_t error;
    if (!has(c, VIRTIO_GPU_F_RESOURCE_BLOB))
        return VIRTIO_GPU_RESP_ERR_UNSPEC;
    if (le32toh(cmd->scanout_id) >= VIRTIO_GPU_MAX_SCANOUTS)
        return VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID;
    if (cmd->resource_id == 0)
        return VIRTIO_GPU_RESP_OK_NODATA;
    const struct resource *r = look_up(c, cmd->resource_id, &error);
    if (!r)
        return error;
    uint64_t width = le32toh(cmd->width), height = le32toh(cmd->height);
    uint64_t stride = le32toh(cmd->strides[0]), offset = le32toh(cmd->offsets[0]);
    uint64_t right = (uint64_t)le32toh(cmd->r.x) + le32toh(cmd->r.width);
    uint64_t bottom = (uint64_t)le32toh(cmd->r.y) + le32toh(cmd->r.height);
    if (r->kind != RESOURCE_BLOB || width < 1 || width > RESOURCE_SIDE_MAX || height < 1 ||
        height > RESOURCE_SIDE_MAX || stride < width * 4 || right > width || bottom > height ||
        !resource_fourcc(le32toh(cmd->format)) ||
        offset + stride * (height - 1) + width * 4 > r->size)
        return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    return VIRTIO_GPU_RESP_OK_NODATA;
}

/* Random (RFC 4122, version 4): nobody guesses it. */
static uint32_t assign_uuid(struct commands *c, const struct virtio_gpu_resource_assign_uuid *cmd,
                            uint8_t uuid[16])
{
    uint32_t error;
    if (!has(c, VIRTIO_GPU_F_RESOURCE_UUID))
        return VIRTIO_GPU_RESP_ERR_UNSPEC;
    struct resource *r = look_up(c, cmd->resource_id, &error);
    if (!r)
        return error;
    if (!r->has_uuid) {
        if (getrandom(r->uuid, sizeof(r->uuid), 0) != sizeof(r->uuid))
            return VIRTIO_GPU_RESP_ERR_UNSPEC;
        r->uuid[6] = (r->uuid[6] & 0x0f) | 0x40;
        r->uuid[8] = (r->uuid[8] & 0x3f) | 0x80;
        r->has_uuid = true;
    }
    memcpy(uuid, r->uuid, sizeof(r->uuid));
    return VIRTIO_GPU_RESP_OK_RESOURCE_UUID;
}

union command {
    struct virtio_gpu_ctrl_hdr hdr;
    struct virtio_gpu_resource_create_2d create_2d;
    struct virtio_gpu_resource_create_blob create_blob;
    struct virtio_gpu_resource_unref unref;
    struct virtio_gpu_resource_attach_backing attach;
    struct virtio_gpu_resource_detach_backing detach;
    struct virtio_gpu_transfer_to_host_2d transfer;
    struct virtio_gpu_resource_flush flush;
    struct virtio_gpu_set_scanout set_scanout;
    struct virtio_gpu_set_scanout_blob set_scanout_blob;
    struct virtio_gpu_resource_assign_uuid assign_uuid;
    struct virtio_gpu_update_cursor cursor;
};

/* How long a command of this type is, without the list that may follow (*ret_list). 0: unknown. */
static size_t command_size(const struct commands *c, uint32_t type, bool *ret_list)
{
    *ret_list = type == VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING ||
                type == VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB;
    switch (type) {
    case VIRTIO_GPU_CMD_GET_DISPLAY_INFO:
        return sizeof(struct virtio_gpu_ctrl_hdr);
    case VIRTIO_GPU_CMD_RESOURCE_CREATE_2D:
        return sizeof(struct virtio_gpu_resource_create_2d);
    case VIRTIO_GPU_CMD_RESOURCE_UNREF:
        return sizeof(struct virtio_gpu_resource_unref);
    case VIRTIO_GPU_CMD_SET_SCANOUT:
        return sizeof(struct virtio_gpu_set_scanout);
    case VIRTIO_GPU_CMD_RESOURCE_FLUSH:
        return sizeof(struct virtio_gpu_resource_flush);
    case VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D:
        return sizeof(struct virtio_gpu_transfer_to_host_2d);
    case VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING:
        return sizeof(struct virtio_gpu_resource_attach_backing);
    case VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING:
        return sizeof(struct virtio_gpu_resource_detach_backing);
    case VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID:
        return sizeof(struct virtio_gpu_resource_assign_uuid);
    case VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB:
        return sizeof(struct virtio_gpu_resource_create_blob);
    case VIRTIO_GPU_CMD_SET_SCANOUT_BLOB:
        return sizeof(struct virtio_gpu_set_scanout_blob);
    default:
        return has(c, VIRTIO_GPU_F_VIRGL) ? commands_3d_size(type, ret_list) : 0;
    }
}

/* The beginning of an answer, which is given when a fence that was asked for is done. */
static size_t respond(uint8_t *response, const struct virtio_gpu_ctrl_hdr *request, uint32_t type,
                      size_t size)
{
    struct virtio_gpu_ctrl_hdr hdr = {.type = htole32(type)};
    uint32_t flags = le32toh(request->flags);
    if (flags & VIRTIO_GPU_FLAG_FENCE) {
        hdr.flags = htole32(flags & (VIRTIO_GPU_FLAG_FENCE | VIRTIO_GPU_FLAG_INFO_RING_IDX));
        hdr.fence_id = request->fence_id;
        hdr.ctx_id = request->ctx_id;
        hdr.ring_idx = flags & VIRTIO_GPU_FLAG_INFO_RING_IDX ? request->ring_idx : 0;
    }
    memcpy(response, &hdr, sizeof(hdr));
    return size;
}

static void log_refusal(uint32_t type, uint32_t result, size_t size)
{
    static struct log_subject subject; /* a guest may cause only so many lines */
    if (result >= VIRTIO_GPU_RESP_ERR_UNSPEC)
        log_line(LOG_LEVEL_DEBUG, &subject, "%s (0x%x, %zu bytes) answered with 0x%x",
                 name_of(type), type, size, result);
}

size_t commands_control(struct commands *c, uint8_t *request, size_t size, uint8_t *response,
                        struct resource **ret_doomed)
{
    union command cmd = {0};
    bool list;
    uint32_t result;
    *ret_doomed = NULL;
    memcpy(&cmd, request, size < sizeof(cmd) ? size : sizeof(cmd));
    uint32_t type = le32toh(cmd.hdr.type);
    size_t fixed = command_size(c, type, &list), length = sizeof(struct virtio_gpu_ctrl_hdr);
    memset(response, 0, COMMANDS_RESPONSE_MAX);
    if (size < sizeof(cmd.hdr))
        memset(&cmd.hdr, 0, sizeof(cmd.hdr));
    if (size < sizeof(cmd.hdr) || fixed == 0) {
        result = VIRTIO_GPU_RESP_ERR_UNSPEC;
    } else if (size < fixed || (!list && size != fixed) || size > COMMANDS_REQUEST_MAX) {
        result = VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    } else {
        const uint8_t *rest = request + fixed;
        size_t rest_size = size - fixed;
        switch (type) {
        case VIRTIO_GPU_CMD_GET_DISPLAY_INFO: /* all of them off: zeros */
            result = VIRTIO_GPU_RESP_OK_DISPLAY_INFO;
            length = sizeof(struct virtio_gpu_resp_display_info);
            break;
        case VIRTIO_GPU_CMD_RESOURCE_CREATE_2D:
            result = create_2d(c, &cmd.create_2d);
            break;
        case VIRTIO_GPU_CMD_RESOURCE_UNREF:
            result = unref(c, &cmd.unref, ret_doomed);
            break;
        case VIRTIO_GPU_CMD_SET_SCANOUT:
            result = set_scanout(c, &cmd.set_scanout);
            break;
        case VIRTIO_GPU_CMD_RESOURCE_FLUSH:
            result = flush(c, &cmd.flush);
            break;
        case VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D:
            result = transfer(c, &cmd.transfer);
            break;
        case VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING:
            result = attach(c, &cmd.attach, rest, rest_size);
            break;
        case VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING:
            result = detach(c, &cmd.detach);
            break;
        case VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID:
            result = assign_uuid(c, &cmd.assign_uuid, response + sizeof(cmd.hdr));
            if (result == VIRTIO_GPU_RESP_OK_RESOURCE_UUID)
                length = sizeof(struct virtio_gpu_resp_resource_uuid);
            break;
        case VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB:
            result = create_blob(c, &cmd.create_blob, rest, rest_size);
            break;
        case VIRTIO_GPU_CMD_SET_SCANOUT_BLOB:
            result = set_scanout_blob(c, &cmd.set_scanout_blob);
            break;
        default:
            result = commands_3d_execute(&c->drawing, &c->table, c->features, request, size,
                                         response, &length);
            break;
        }
        c->changed = true;
    }
    log_refusal(type, result, size);
    return respond(response, &cmd.hdr, result, length);
}

size_t commands_cursor(struct commands *c, const uint8_t *request, size_t size, uint8_t *response)
{
    union command cmd = {0};
    uint32_t result = VIRTIO_GPU_RESP_OK_NODATA;
    memcpy(&cmd, request, size < sizeof(cmd) ? size : sizeof(cmd));
    uint32_t type = le32toh(cmd.hdr.type);
    if (size < sizeof(cmd.hdr))
        memset(&cmd.hdr, 0, sizeof(cmd.hdr));
    if (size < sizeof(cmd.hdr) ||
        (type != VIRTIO_GPU_CMD_UPDATE_CURSOR && type != VIRTIO_GPU_CMD_MOVE_CURSOR))
        result = VIRTIO_GPU_RESP_ERR_UNSPEC;
    else if (size != sizeof(cmd.cursor))
        result = VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    else if (le32toh(cmd.cursor.pos.scanout_id) >= VIRTIO_GPU_MAX_SCANOUTS)
        result = VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID;
    else if (type == VIRTIO_GPU_CMD_UPDATE_CURSOR && cmd.cursor.resource_id != 0)
        look_up(c, cmd.cursor.resource_id, &result);
    log_refusal(type, result, size);
    return respond(response, &cmd.hdr, result, sizeof(cmd.hdr));
}
