/* SPDX-License-Identifier: MIT */
/* commands: owns the guest's resources and the list of the command at hand. Every field comes from
 * the guest. A command must be exactly as long as it says; anything that does not add up is
 * answered with an error and changes nothing. Nothing is displayed, so scanouts, transfers and
 * flushes are only checked: the pixels stay in the guest's pages, where whoever exports the
 * resource finds them.
 *
 * A command is a row of the table below: how long it is and what executes it. Those of 3D are in
 * commands-3d.c, in a table like this one. */
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

/* The command at hand. */
struct request {
    union {
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
    } cmd; /* what is not there is zeros */
    uint32_t type;
    const uint8_t *list; /* what follows */
    size_t list_size;
    uint8_t *response;
    size_t length; /* of the response, a header unless it is more */
    struct resource **ret_doomed;
};

static bool has_feature(const struct commands *c, unsigned feature)
{
    return c->features >> feature & 1;
}

/* A resource of the guest's, or NULL: then *ret_error says so. */
static struct resource *look_up_resource(const struct commands *c, uint32_t id, uint32_t *ret_error)
{
    struct resource *r = resources_find(&c->table, le32toh(id));
    *ret_error = r ? VIRTIO_GPU_RESP_OK_NODATA : VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
    return r;
}

/* A rectangle of a resource. The layout of a blob is not known here. */
static bool is_within(const struct resource *r, const struct virtio_gpu_rect *rect)
{
    uint64_t x = le32toh(rect->x), y = le32toh(rect->y);
    uint64_t width = le32toh(rect->width), height = le32toh(rect->height);
    return r->kind == RESOURCE_BLOB || (x + width <= r->width && y + height <= r->height);
}

/* The list behind a command, which is to end with it. */
static int take_entries(struct commands *c, const struct request *q, uint32_t n)
{
    if (n > RESOURCE_ENTRIES_MAX)
        return -E2BIG;
    if (q->list_size != (size_t)n * sizeof(struct virtio_gpu_mem_entry))
        return -EINVAL;
    for (uint32_t i = 0; i < n; i++) {
        struct virtio_gpu_mem_entry e;
        memcpy(&e, q->list + i * sizeof(e), sizeof(e));
        c->entries[i] = (struct resource_entry){.gpa = le64toh(e.addr), .size = le32toh(e.length)};
    }
    return c->ram ? 0 : -EINVAL;
}

static uint32_t commands_create_2d(struct commands *c, struct request *q)
{
    const struct virtio_gpu_resource_create_2d *cmd = &q->cmd.create_2d;
    uint32_t width = le32toh(cmd->width), height = le32toh(cmd->height),
             format = le32toh(cmd->format);
    uint64_t size = (uint64_t)width * height * 4;
    if (width < 1 || width > RESOURCE_SIDE_MAX || height < 1 || height > RESOURCE_SIDE_MAX ||
        size > RESOURCE_SIZE_MAX || !resource_fourcc(format))
        return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    struct resource *r = resources_create(&c->table, le32toh(cmd->resource_id), RESOURCE_2D);
    if (!r)
        return commands_3d_error(-errno);
    r->width = width;
    r->height = height;
    r->format = format;
    r->size = size;
    return VIRTIO_GPU_RESP_OK_NODATA;
}

static uint32_t commands_create_blob(struct commands *c, struct request *q)
{
    const struct virtio_gpu_resource_create_blob *cmd = &q->cmd.create_blob;
    uint32_t flags = le32toh(cmd->blob_flags), n = le32toh(cmd->nr_entries);
    uint64_t size = le64toh(cmd->size);
    if (!has_feature(c, VIRTIO_GPU_F_RESOURCE_BLOB))
        return VIRTIO_GPU_RESP_ERR_UNSPEC;
    if (le32toh(cmd->blob_mem) != VIRTIO_GPU_BLOB_MEM_GUEST || flags & ~BLOB_FLAGS || size == 0 ||
        size > RESOURCE_SIZE_MAX)
        return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    int result = take_entries(c, q, n);
    if (result < 0)
        return commands_3d_error(result);
    struct resource *r = resources_create(&c->table, le32toh(cmd->resource_id), RESOURCE_BLOB);
    if (!r)
        return commands_3d_error(-errno);
    r->size = size;
    r->blob_flags = flags;
    result = resource_attach(&c->table, r, c->ram, c->entries, n);
    if (result == 0 && r->backing_size < size)
        result = -EINVAL;
    if (result < 0) {
        resources_remove(&c->table, r);
        resource_destroy(&c->table, r);
    }
    return commands_3d_error(result);
}

static uint32_t commands_unref(struct commands *c, struct request *q)
{
    const struct virtio_gpu_resource_unref *cmd = &q->cmd.unref;
    uint32_t error;
    struct resource *r = look_up_resource(c, cmd->resource_id, &error);
    if (!r)
        return error;
    resources_remove(&c->table, r);
    c->gone(c->user, r);
    commands_3d_forget(&c->drawing, r);
    if (r->holds > 0)
        *q->ret_doomed = r;
    else
        resource_destroy(&c->table, r);
    return VIRTIO_GPU_RESP_OK_NODATA;
}

static uint32_t commands_attach(struct commands *c, struct request *q)
{
    const struct virtio_gpu_resource_attach_backing *cmd = &q->cmd.attach;
    uint32_t error, n = le32toh(cmd->nr_entries);
    struct resource *r = look_up_resource(c, cmd->resource_id, &error);
    if (!r)
        return error;
    int result = take_entries(c, q, n);
    if (result < 0)
        return commands_3d_error(result);
    if (r->n_runs > 0) /* it has memory; who wants other memory detaches that first */
        return VIRTIO_GPU_RESP_ERR_UNSPEC;
    return commands_3d_error(resource_attach(&c->table, r, c->ram, c->entries, n));
}

static uint32_t commands_detach(struct commands *c, struct request *q)
{
    const struct virtio_gpu_resource_detach_backing *cmd = &q->cmd.detach;
    uint32_t error;
    struct resource *r = look_up_resource(c, cmd->resource_id, &error);
    if (!r)
        return error;
    if (r->n_runs == 0)
        return VIRTIO_GPU_RESP_ERR_UNSPEC;
    resource_detach(&c->table, r);
    c->gone(c->user, r);
    return VIRTIO_GPU_RESP_OK_NODATA;
}

static uint32_t commands_transfer(struct commands *c, struct request *q)
{
    const struct virtio_gpu_transfer_to_host_2d *cmd = &q->cmd.transfer;
    uint32_t error;
    const struct resource *r = look_up_resource(c, cmd->resource_id, &error);
    if (!r)
        return error;
    if (r->kind != RESOURCE_2D || r->n_runs == 0)
        return VIRTIO_GPU_RESP_ERR_UNSPEC;
    uint64_t offset = le64toh(cmd->offset), width = le32toh(cmd->r.width),
             height = le32toh(cmd->r.height);
    if (!is_within(r, &cmd->r) || offset > r->backing_size)
        return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    if (width > 0 && height > 0 &&
        (height - 1) * r->width * 4 + width * 4 > r->backing_size - offset)
        return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    return VIRTIO_GPU_RESP_OK_NODATA;
}

static uint32_t commands_flush(struct commands *c, struct request *q)
{
    const struct virtio_gpu_resource_flush *cmd = &q->cmd.flush;
    uint32_t error;
    const struct resource *r = look_up_resource(c, cmd->resource_id, &error);
    if (r && !is_within(r, &cmd->r))
        error = VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    return error;
}

static uint32_t commands_set_scanout(struct commands *c, struct request *q)
{
    const struct virtio_gpu_set_scanout *cmd = &q->cmd.set_scanout;
    uint32_t error;
    if (le32toh(cmd->scanout_id) >= VIRTIO_GPU_MAX_SCANOUTS)
        return VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID;
    if (cmd->resource_id == 0) /* off */
        return VIRTIO_GPU_RESP_OK_NODATA;
    const struct resource *r = look_up_resource(c, cmd->resource_id, &error);
    if (r && !is_within(r, &cmd->r))
        error = VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    return error;
}

static uint32_t commands_set_scanout_blob(struct commands *c, struct request *q)
{
    const struct virtio_gpu_set_scanout_blob *cmd = &q->cmd.set_scanout_blob;
    uint32_t error;
    if (!has_feature(c, VIRTIO_GPU_F_RESOURCE_BLOB))
        return VIRTIO_GPU_RESP_ERR_UNSPEC;
    if (le32toh(cmd->scanout_id) >= VIRTIO_GPU_MAX_SCANOUTS)
        return VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID;
    if (cmd->resource_id == 0)
        return VIRTIO_GPU_RESP_OK_NODATA;
    const struct resource *r = look_up_resource(c, cmd->resource_id, &error);
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
static uint32_t commands_assign_uuid(struct commands *c, struct request *q)
{
    const struct virtio_gpu_resource_assign_uuid *cmd = &q->cmd.assign_uuid;
    uint32_t error;
    if (!has_feature(c, VIRTIO_GPU_F_RESOURCE_UUID))
        return VIRTIO_GPU_RESP_ERR_UNSPEC;
    struct resource *r = look_up_resource(c, cmd->resource_id, &error);
    if (!r)
        return error;
    if (!r->has_uuid) {
        if (getrandom(r->uuid, sizeof(r->uuid), 0) != sizeof(r->uuid))
            return VIRTIO_GPU_RESP_ERR_UNSPEC;
        r->uuid[6] = (r->uuid[6] & 0x0f) | 0x40;
        r->uuid[8] = (r->uuid[8] & 0x3f) | 0x80;
        r->has_uuid = true;
    }
    memcpy(q->response + sizeof(cmd->hdr), r->uuid, sizeof(r->uuid));
    q->length = sizeof(struct virtio_gpu_resp_resource_uuid);
    return VIRTIO_GPU_RESP_OK_RESOURCE_UUID;
}

static uint32_t commands_display_info(struct commands *c, struct request *q)
{
    (void)c;
    q->length = sizeof(struct virtio_gpu_resp_display_info); /* all of them off: zeros */
    return VIRTIO_GPU_RESP_OK_DISPLAY_INFO;
}

static uint32_t commands_move_cursor(struct commands *c, struct request *q)
{
    (void)c;
    return le32toh(q->cmd.cursor.pos.scanout_id) < VIRTIO_GPU_MAX_SCANOUTS
               ? VIRTIO_GPU_RESP_OK_NODATA
               : VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID;
}

static uint32_t commands_update_cursor(struct commands *c, struct request *q)
{
    uint32_t result = commands_move_cursor(c, q);
    if (result == VIRTIO_GPU_RESP_OK_NODATA && q->cmd.cursor.resource_id != 0)
        look_up_resource(c, q->cmd.cursor.resource_id, &result);
    return result;
}

enum {
    LIST = 1,   /* something follows the fixed part */
    CURSOR = 2, /* a command of the cursor queue, and not of the control queue */
};

#define COMMAND(type, member)                                                                      \
    VIRTIO_GPU_CMD_##type, #type, sizeof(((struct request *)NULL)->cmd.member)

static const struct command {
    uint32_t type;
    const char *name;
    size_t size; /* of the fixed part */
    unsigned flags;
    uint32_t (*execute)(struct commands *c, struct request *q); /* the answer's type */
} commands_table[] = {
    {COMMAND(GET_DISPLAY_INFO, hdr), 0, commands_display_info},
    {COMMAND(RESOURCE_CREATE_2D, create_2d), 0, commands_create_2d},
    {COMMAND(RESOURCE_UNREF, unref), 0, commands_unref},
    {COMMAND(SET_SCANOUT, set_scanout), 0, commands_set_scanout},
    {COMMAND(RESOURCE_FLUSH, flush), 0, commands_flush},
    {COMMAND(TRANSFER_TO_HOST_2D, transfer), 0, commands_transfer},
    {COMMAND(RESOURCE_ATTACH_BACKING, attach), LIST, commands_attach},
    {COMMAND(RESOURCE_DETACH_BACKING, detach), 0, commands_detach},
    {COMMAND(RESOURCE_ASSIGN_UUID, assign_uuid), 0, commands_assign_uuid},
    {COMMAND(RESOURCE_CREATE_BLOB, create_blob), LIST, commands_create_blob},
    {COMMAND(SET_SCANOUT_BLOB, set_scanout_blob), 0, commands_set_scanout_blob},
    {COMMAND(UPDATE_CURSOR, cursor), CURSOR, commands_update_cursor},
    {COMMAND(MOVE_CURSOR, cursor), CURSOR, commands_move_cursor},
};

static const struct command *commands_find(uint32_t type)
{
    for (size_t i = 0; i < sizeof(commands_table) / sizeof(*commands_table); i++) {
        if (commands_table[i].type == type)
            return &commands_table[i];
    }
    return NULL;
}

static const char *commands_name(uint32_t type)
{
    const struct command *command = commands_find(type);
    const char *name = command ? command->name : commands_3d_name(type);
    return name ? name : "unknown command";
}

static void request_init(struct request *q, const uint8_t *request, size_t size, uint8_t *response)
{
    *q = (struct request){.response = response, .length = sizeof(q->cmd.hdr)};
    memcpy(&q->cmd, request, size < sizeof(q->cmd) ? size : sizeof(q->cmd));
    q->type = le32toh(q->cmd.hdr.type);
    if (size < sizeof(q->cmd.hdr))
        memset(&q->cmd.hdr, 0, sizeof(q->cmd.hdr));
}

/* 0: @size is right for a command of @fixed bytes (0: unknown); or the answer's type. */
static uint32_t check_size(size_t size, size_t fixed, bool list)
{
    if (size < sizeof(struct virtio_gpu_ctrl_hdr) || fixed == 0)
        return VIRTIO_GPU_RESP_ERR_UNSPEC;
    if (size < fixed || (!list && size != fixed) || size > COMMANDS_REQUEST_MAX)
        return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    return 0;
}

static void log_refusal(uint32_t type, uint32_t result, size_t size)
{
    static struct log_subject subject; /* a guest may cause only so many lines */
    if (result >= VIRTIO_GPU_RESP_ERR_UNSPEC)
        log_line(LOG_LEVEL_DEBUG, &subject, "%s (0x%x, %zu bytes) answered with 0x%x",
                 commands_name(type), type, size, result);
}

/* The beginning of the answer, which is given when a fence that was asked for is done. */
static size_t respond(const struct request *q, size_t size, uint32_t result)
{
    const struct virtio_gpu_ctrl_hdr *asked = &q->cmd.hdr;
    struct virtio_gpu_ctrl_hdr hdr = {.type = htole32(result)};
    uint32_t flags = le32toh(asked->flags);
    if (flags & VIRTIO_GPU_FLAG_FENCE) {
        hdr.flags = htole32(flags & (VIRTIO_GPU_FLAG_FENCE | VIRTIO_GPU_FLAG_INFO_RING_IDX));
        hdr.fence_id = asked->fence_id;
        hdr.ctx_id = asked->ctx_id;
        hdr.ring_idx = flags & VIRTIO_GPU_FLAG_INFO_RING_IDX ? asked->ring_idx : 0;
    }
    log_refusal(q->type, result, size);
    memcpy(q->response, &hdr, sizeof(hdr));
    return q->length;
}

size_t commands_control(struct commands *c, uint8_t *request, size_t size, uint8_t *response,
                        struct resource **ret_doomed)
{
    struct request q;
    request_init(&q, request, size, response);
    q.ret_doomed = ret_doomed;
    *ret_doomed = NULL;
    memset(response, 0, COMMANDS_RESPONSE_MAX);

    const struct command *command = commands_find(q.type);
    bool list = command && command->flags & LIST;
    size_t fixed = command && !(command->flags & CURSOR) ? command->size : 0;
    if (!command && has_feature(c, VIRTIO_GPU_F_VIRGL))
        fixed = commands_3d_size(q.type, &list);
    uint32_t result = check_size(size, fixed, list);
    if (result == 0) {
        q.list = request + fixed;
        q.list_size = size - fixed;
        result = command ? command->execute(c, &q)
                         : commands_3d_execute(&c->drawing, &c->table, c->ram, c->features, request,
                                               size, response, &q.length);
        c->changed = true;
    }
    return respond(&q, size, result);
}

size_t commands_cursor(struct commands *c, const uint8_t *request, size_t size, uint8_t *response)
{
    struct request q;
    request_init(&q, request, size, response);
    const struct command *command = commands_find(q.type);
    uint32_t result =
        check_size(size, command && command->flags & CURSOR ? command->size : 0, false);
    if (result == 0)
        result = command->execute(c, &q);
    return respond(&q, size, result);
}
