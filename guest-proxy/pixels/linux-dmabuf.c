/* SPDX-License-Identifier: MIT */
/* The host knows nothing of this protocol: each object has a stand-in there with the same id (as
 * far as objects made by `create` have not moved them, wl-ids):
 *
 * - zwp_linux_dmabuf_v1: wl_shm; its formats are those that we offer, as far as we carry them
 * - zwp_linux_buffer_params_v1: a wl_shm_pool on memory of our own; when the buffer is known, on
 *   that which the buffer is in
 * - wl_buffer: a wl_buffer of that pool; `create` answers with an object of our own
 * - zwp_linux_dmabuf_feedback_v1: the wl_callback of a wl_display.sync, which is gone at once and
 *   tells that the formats are complete */
#include "guest-proxy/pixels/linux-dmabuf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <drm_fourcc.h>

#include "common/base/fd.h"
#include "common/base/memory.h"
#include "guest-proxy/pixels/dmabuf.h"
#include "guest-proxy/pixels/gpu.h"
#include "common/wayland/inject.h"
#include "guest-proxy/pixels/pools.h"

#define POOL_MIN 4096u
#define MODIFIERS_MAX 2

enum { WL_DATA_DMABUF = _WL_DATA_SHARED_N + 16, WL_DATA_PARAMS, WL_DATA_FEEDBACK };

/* Opcodes. */
enum {
    FEEDBACK_DONE,
    FEEDBACK_TABLE,
    FEEDBACK_MAIN_DEVICE,
    FEEDBACK_TRANCHE_DONE,
    FEEDBACK_TARGET_DEVICE,
    FEEDBACK_FORMATS,
    FEEDBACK_FLAGS,
};
enum {
    PARAMS_E_ALREADY_USED,
    PARAMS_E_PLANE_IDX,
    PARAMS_E_PLANE_SET,
    PARAMS_E_INCOMPLETE,
    PARAMS_E_FORMAT,
    PARAMS_E_DIMENSIONS,
    PARAMS_E_OUT_OF_BOUNDS,
};

/* What was bound. */
struct bound {
    struct wl_data data;
    uint32_t version;
};

struct params {
    struct wl_data data;
    struct relay *relay;
    struct memory *memory; /* one use of it */
    uint32_t dmabuf;       /* what made it */
    struct dmabuf_plane planes[DMABUF_PLANES_MAX];
    uint64_t modifiers[DMABUF_PLANES_MAX];
    bool used;
};

struct feedback {
    struct wl_data data;
    bool free; /* its stand-in's id is */
};

void linux_dmabuf_init(struct linux_dmabuf *d, struct shadows *shadows)
{
    *d = (struct linux_dmabuf){.shadows = shadows, .table = -1};
}

void linux_dmabuf_finish(struct linux_dmabuf *d)
{
    d->table = fd_close(d->table);
}

static enum relay_verdict out_of_memory(struct relay *r)
{
    relay_fail(r, LINK_ERROR_INTERNAL, 0, WL_DISPLAY_NO_MEMORY, "out of memory");
    return RELAY_END;
}

static enum relay_verdict error(struct relay *r, const struct wl_message *m, uint32_t code,
                                const char *what)
{
    relay_fail(r, LINK_ERROR_WAYLAND, m->object, code, "zwp_linux_buffer_params_v1#%u.%s: %s",
               m->object, m->info->name, what);
    return RELAY_END;
}

static void free_data(struct wl_data *data)
{
    free(data);
}

/* --- the global --- */

static const struct wl_iface *interface(void)
{
    return wl_iface_find("zwp_linux_dmabuf_v1", strlen("zwp_linux_dmabuf_v1"));
}

static const struct relay_global *find_shm(const struct relay *r)
{
    for (size_t i = 0; i < r->globals_n; i++)
        if (strcmp(r->globals[i].iface->name, "wl_shm") == 0 && !r->globals[i].removed)
            return &r->globals[i];
    return NULL;
}

/* wl_registry.global passes: where there is wl_shm, there are we. */
static enum relay_verdict offer(struct linux_dmabuf *d, struct relay *r, const struct wl_message *m)
{
    if (strcmp(m->args[1].s.text, "wl_shm") != 0 || !gpu_device(d->shadows->gpu) || !interface())
        return RELAY_PASS;
    return relay_invent_global(r, m->object, interface(), interface()->version) ? RELAY_PASS
                                                                                : out_of_memory(r);
}

static enum relay_verdict bind(struct relay *r, const struct wl_message *m)
{
    const struct relay_global *shm = find_shm(r);
    struct bound *b = calloc(1, sizeof(*b));
    uint32_t id = m->args[1].n.id;
    if (!b)
        return out_of_memory(r);
    if (!shm) { /* both were offered, and wl_shm was taken back */
        free(b);
        relay_fail(r, LINK_ERROR_WAYLAND, m->object, WL_DISPLAY_INVALID_OBJECT,
                   "zwp_linux_dmabuf_v1 is not offered any more");
        return RELAY_END;
    }
    *b = (struct bound){.data = {.kind = WL_DATA_DMABUF, .destroy = free_data},
                        .version = m->args[1].n.version};
    relay_attach(r, id, &b->data);
    char name[8] = "wl_shm";
    uint32_t words[6] = {shm->name, sizeof("wl_shm"), 0, 0, 1, relay_host_id(r, id)};
    memcpy(&words[2], name, sizeof(name));
    TO_HOST(r, m->object, REGISTRY_BIND, 6, words);
    return RELAY_DROP;
}

/* Linear; and where the GPU draws, no modifier: Mesa's driver knows of none for its buffers. The
 * number of them. */
static unsigned modifiers(const struct linux_dmabuf *d, uint64_t ret_modifiers[MODIFIERS_MAX])
{
    const struct virtgpu *device = gpu_device(d->shadows->gpu);
    ret_modifiers[0] = DRM_FORMAT_MOD_LINEAR;
    ret_modifiers[1] = DRM_FORMAT_MOD_INVALID;
    return device && virtgpu_has_3d(device) ? 2 : 1;
}

/* wl_shm.format(code) of our stand-in. */
static void add_format(struct linux_dmabuf *d, struct relay *r, const struct bound *b,
                       const struct wl_message *m)
{
    uint32_t shm;
    if (m->opcode != SHM_FORMAT || m->size != WL_HEADER_SIZE + 4)
        return;
    memcpy(&shm, m->bytes + WL_HEADER_SIZE, 4);
    const struct dmabuf_format *format = dmabuf_format_of_shm(shm);
    if (!format)
        return;
    if (b->version < 4)
        TO_LOCAL(r, m->object, DMABUF_FORMAT, WORDS(format->fourcc));
    uint64_t all[MODIFIERS_MAX];
    for (unsigned i = 0, n = modifiers(d, all); b->version == 3 && i < n; i++)
        TO_LOCAL(r, m->object, DMABUF_MODIFIER,
                 WORDS(format->fourcc, (uint32_t)(all[i] >> 32), (uint32_t)all[i]));
    for (size_t i = 0; i < d->n; i++)
        if (d->formats[i] == format)
            return;
    if (d->n < LINUX_DMABUF_FORMATS_MAX)
        d->formats[d->n++] = format;
}

/* --- feedback --- */

static int make_table(struct linux_dmabuf *d)
{
    uint64_t all[MODIFIERS_MAX];
    size_t n = d->n * modifiers(d, all);
    if (d->table >= 0 && d->table_n == n)
        return 0;
    struct {
        uint32_t format, zero;
        uint64_t modifier;
    } entries[LINUX_DMABUF_FORMATS_MAX * MODIFIERS_MAX] = {0};
    for (size_t i = 0; i < n; i++) {
        entries[i].format = d->formats[i % d->n]->fourcc;
        entries[i].modifier = all[i / d->n];
    }
    size_t size = n * sizeof(*entries);
    _cleanup_(fd_closep) int fd = fd_memfd("wayvsock-formats", size);
    if (fd < 0 || pwrite(fd, entries, size, 0) != (ssize_t)size ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        return -errno;
    fd_close(d->table);
    d->table = fd_steal(&fd);
    d->table_n = n;
    return 0;
}

static enum relay_verdict get_feedback(struct relay *r, const struct wl_message *m)
{
    struct feedback *f = calloc(1, sizeof(*f));
    if (!f)
        return out_of_memory(r);
    f->data = (struct wl_data){.kind = WL_DATA_FEEDBACK, .destroy = free_data};
    relay_attach(r, m->args[0].u, &f->data);
    TO_HOST(r, 1, DISPLAY_SYNC, WORDS(relay_host_id(r, m->args[0].u)));
    return RELAY_DROP;
}

static enum relay_verdict end_feedback(struct relay *r, const struct wl_message *m)
{
    const struct feedback *f = relay_data(r, m->object, WL_DATA_FEEDBACK);
    if (f && f->free) {
        TO_LOCAL(r, 1, DISPLAY_DELETE_ID, WORDS(m->object));
        wl_objects_delete(&r->objects, m->object);
    }
    return RELAY_DROP; /* else the stand-in's own delete_id is yet to come */
}

static void tell_feedback(struct linux_dmabuf *d, struct relay *r, uint32_t id)
{
    const struct virtgpu *device = gpu_device(d->shadows->gpu);
    uint64_t number = device ? virtgpu_device(device) : 0;
    uint32_t words[3] = {sizeof(number)},
             indices[1 + (LINUX_DMABUF_FORMATS_MAX * MODIFIERS_MAX + 1) / 2];
    memcpy(words + 1, &number, sizeof(number));
    int fd = make_table(d) == 0 ? fcntl(d->table, F_DUPFD_CLOEXEC, 0) : -1;
    size_t n = d->table_n;
    if (fd < 0) {
        out_of_memory(r);
        return;
    }
    sendq_fd(&r->local.out, fd);
    TO_LOCAL(r, id, FEEDBACK_TABLE, WORDS((uint32_t)(16 * n)));
    TO_LOCAL(r, id, FEEDBACK_MAIN_DEVICE, 3, words);
    TO_LOCAL(r, id, FEEDBACK_TARGET_DEVICE, 3, words);
    TO_LOCAL(r, id, FEEDBACK_FLAGS, WORDS(0));
    memset(indices, 0, sizeof(indices));
    indices[0] = (uint32_t)(2 * n);
    for (size_t i = 0; i < n; i++)
        ((uint16_t *)(indices + 1))[i] = (uint16_t)i;
    uint32_t all[2 + sizeof(indices) / 4];
    relay_inject_local(r, all, inject_message(all, id, FEEDBACK_FORMATS, 1 + (n + 1) / 2, indices));
    TO_LOCAL(r, id, FEEDBACK_TRANCHE_DONE, 0, NULL);
    TO_LOCAL(r, id, FEEDBACK_DONE, 0, NULL);
}

/* --- buffers --- */

static void params_destroy(struct wl_data *data)
{
    struct params *p = (struct params *)data;
    for (unsigned i = 0; i < DMABUF_PLANES_MAX; i++)
        fd_close(p->planes[i].fd);
    relay_memory_unuse(p->relay, p->memory);
    free(p);
}

static enum relay_verdict create_params(struct relay *r, const struct wl_message *m)
{
    uint32_t id = m->args[0].u;
    struct params *p = calloc(1, sizeof(*p));
    if (!p)
        return out_of_memory(r);
    p->data = (struct wl_data){.kind = WL_DATA_PARAMS, .destroy = params_destroy};
    p->relay = r;
    p->dmabuf = m->object;
    p->memory = relay_memory_make(r, POOL_MIN);
    if (!p->memory) {
        free(p);
        return out_of_memory(r);
    }
    for (unsigned i = 0; i < DMABUF_PLANES_MAX; i++)
        p->planes[i].fd = -1;
    relay_attach(r, id, &p->data);
    TO_HOST(r, m->object, SHM_CREATE_POOL, WORDS(relay_host_id(r, id), POOL_MIN));
    return RELAY_DROP;
}

static enum relay_verdict add_plane(struct relay *r, const struct wl_message *m)
{
    struct params *p = relay_data(r, m->object, WL_DATA_PARAMS);
    _cleanup_(fd_closep) int fd = relay_take_fd(r);
    const union wl_arg *a = m->args; /* fd, plane, offset, stride, modifier */
    uint32_t plane = a[1].u;
    if (fd < 0)
        return error(r, m, WL_DISPLAY_INVALID_METHOD, "its descriptor is missing");
    if (!p || p->used)
        return error(r, m, PARAMS_E_ALREADY_USED, "a buffer was made of it already");
    if (plane >= DMABUF_PLANES_MAX)
        return error(r, m, PARAMS_E_PLANE_IDX, "there are only four planes");
    if (p->planes[plane].fd >= 0)
        return error(r, m, PARAMS_E_PLANE_SET, "that plane was given already");
    uint64_t size = dmabuf_size(fd);
    p->modifiers[plane] = (uint64_t)a[4].u << 32 | a[5].u;
    p->planes[plane] = (struct dmabuf_plane){
        .fd = fd_steal(&fd), .offset = a[2].u, .stride = a[3].u, .size = size};
    return RELAY_DROP;
}

/* What a buffer looks like in shared memory: rows as in the client's, second planes behind the
 * first. NULL, or what the client did wrong, with the error's code. *ret_carried: false where it is
 * not wrong, but we cannot do it. */
static const char *lay_out(struct params *p, const struct dmabuf_format *format, int32_t width,
                           int32_t height, uint32_t *ret_code, bool *ret_carried,
                           struct memory_buffer *ret)
{
    unsigned n = format ? format->planes : 1;
    uint64_t at = 0;
    *ret_code = PARAMS_E_DIMENSIONS;
    if (width <= 0 || height <= 0)
        return "width and height must be positive";
    *ret_code = PARAMS_E_INCOMPLETE;
    for (unsigned i = 0; i < DMABUF_PLANES_MAX; i++)
        if ((p->planes[i].fd >= 0) != (i < n) && (format || i == 0))
            return "a plane is missing, or one too many is there";
    *ret_carried = format != NULL;
    for (unsigned i = 0; format && i < n; i++) {
        struct dmabuf_plane *plane = &p->planes[i];
        uint32_t part = i ? 2 : 1;
        uint64_t row = ((uint64_t)(uint32_t)width + part - 1) / part * format->cpp[i],
                 rows = ((uint64_t)(uint32_t)height + part - 1) / part;
        *ret_code = PARAMS_E_OUT_OF_BOUNDS;
        if (plane->stride < row ||
            (plane->size && plane->offset + (rows - 1) * plane->stride + row > plane->size))
            return "a plane leaves its buffer";
        *ret_carried &=
            plane->size > 0 && plane->size <= LINK_MEMORY_MAX && p->planes[0].stride <= INT32_MAX &&
            row <= p->planes[0].stride &&
            (p->modifiers[i] == DRM_FORMAT_MOD_LINEAR || p->modifiers[i] == DRM_FORMAT_MOD_INVALID);
        plane->row = (uint32_t)row;
        plane->rows = (uint32_t)rows;
        plane->to = at;
        plane->to_stride = p->planes[0].stride;
        at += rows * plane->to_stride;
    }
    *ret_carried = *ret_carried && at < LINK_MEMORY_MAX &&
                   shm_layout(ret, at, 0, width, height, (int32_t)p->planes[0].stride, format->shm);
    if (*ret_carried && n > 1)
        ret->extent = at;
    return NULL;
}

static void buffer_destroy(struct wl_data *data)
{
    struct memory_buffer *b = (struct memory_buffer *)data;
    b->id = 0;
    shm_buffer_unref(b);
}

static void buffer_released(void *user, struct memory_buffer *b)
{
    relay_memory_unuse(user, b->memory);
}

/* The buffer that @m asks for with @a (width, height, format, flags): *ret has no id yet, and is
 * NULL where we cannot carry it. */
static enum relay_verdict make_buffer(struct linux_dmabuf *d, struct relay *r,
                                      const struct wl_message *m, const union wl_arg *a,
                                      struct memory_buffer **ret)
{
    struct params *p = relay_data(r, m->object, WL_DATA_PARAMS);
    struct memory_buffer layout = {0}, *b = NULL;
    const struct dmabuf_format *format = dmabuf_format(a[2].u);
    bool carried = false, offered = false;
    uint32_t code = 0;
    if (!p || p->used)
        return error(r, m, PARAMS_E_ALREADY_USED, "a buffer was made of it already");
    p->used = true;
    for (size_t i = 0; i < d->n; i++)
        offered |= d->formats[i] == format;
    offered |= format && format->shm <= 1; /* every wl_shm has these, also before it has said so */
    const char *wrong = lay_out(p, format, a[0].i, a[1].i, &code, &carried, &layout);
    if (wrong)
        return error(r, m, code, wrong);
    if (carried && offered && a[3].u == 0 &&
        dmabuf_create(d->shadows, r, p->planes, format->planes, &layout) == 0) {
        layout.data = (struct wl_data){.kind = WL_DATA_BUFFER, .destroy = buffer_destroy};
        if (!layout.memory && relay_memory_make_larger(r, p->memory, layout.extent) == 0)
            layout.memory = p->memory;
        if (layout.memory)
            b = shm_buffer_create(layout.memory, &layout, 0, buffer_released, r);
        if (!b) {
            layout.shadow_drop(layout.shadow);
            return out_of_memory(r);
        }
        relay_memory_use(b->memory);
    } else {
        log_info(r->subject, "a dmabuf of format %#x and modifier %#llx cannot be shown", a[2].u,
                 (unsigned long long)p->modifiers[0]);
    }
    *ret = b;
    return RELAY_PASS;
}

/* It becomes the application's object @id, which the host knows as @host_id. */
static void give_buffer(struct relay *r, const struct wl_message *m, struct memory_buffer *b,
                        uint32_t id, uint32_t host_id)
{
    const struct params *p = relay_data(r, m->object, WL_DATA_PARAMS);
    b->id = id;
    relay_attach(r, id, &b->data);
    if (b->memory != p->memory)
        pools_swap(r, p->dmabuf, m->object, b->memory, b->memory->size);
    else if (b->extent > POOL_MIN)
        TO_HOST(r, m->object, POOL_RESIZE, WORDS((uint32_t)b->extent));
    TO_HOST(r, m->object, POOL_CREATE_BUFFER,
            WORDS(host_id, (uint32_t)b->offset, b->width, b->height, b->stride, b->format));
}

/* zwp_linux_buffer_params_v1.create_immed(id, width, height, format, flags) */
static enum relay_verdict create_immed(struct linux_dmabuf *d, struct relay *r,
                                       const struct wl_message *m)
{
    uint32_t id = m->args[0].u;
    struct memory_buffer *b;
    enum relay_verdict v = make_buffer(d, r, m, m->args + 1, &b);
    if (v != RELAY_PASS)
        return v;
    if (b) {
        give_buffer(r, m, b, id, relay_host_id(r, id));
    } else { /* it shows nothing */
        TO_HOST(r, m->object, POOL_CREATE_BUFFER, WORDS(relay_host_id(r, id), 0, 1, 1, 4, 0));
        TO_LOCAL(r, m->object, PARAMS_FAILED, 0, NULL);
    }
    return RELAY_DROP;
}

/* zwp_linux_buffer_params_v1.create(width, height, format, flags): the buffer is the server's to
 * make, which is we. */
static enum relay_verdict create(struct linux_dmabuf *d, struct relay *r,
                                 const struct wl_message *m)
{
    uint32_t version = wl_objects_get(&r->objects, m->object)->version;
    struct memory_buffer *b;
    struct wl_id_pair id;
    enum relay_verdict v = make_buffer(d, r, m, m->args, &b);
    if (v != RELAY_PASS)
        return v;
    if (b && relay_make_object(r, wl_iface_find("wl_buffer", strlen("wl_buffer")), version, &id)) {
        give_buffer(r, m, b, id.application, id.host);
        TO_LOCAL(r, m->object, PARAMS_CREATED, WORDS(id.application));
        return RELAY_DROP;
    }
    shm_buffer_unref(b);
    TO_LOCAL(r, m->object, PARAMS_FAILED, 0, NULL);
    return RELAY_DROP;
}

enum relay_verdict linux_dmabuf_hook(struct linux_dmabuf *d, struct relay *r, struct wl_message *m)
{
    switch (m->info->hook) {
    case WL_HOOK_REGISTRY_GLOBAL:
        return offer(d, r, m);
    case WL_HOOK_REGISTRY_BIND:
        return strcmp(m->args[1].n.interface, "zwp_linux_dmabuf_v1") == 0 ? bind(r, m) : RELAY_PASS;
    case WL_HOOK_DMABUF_DESTROY:
        return RELAY_DROP; /* buffers may still be made with its stand-in: its id stays in use */
    case WL_HOOK_DMABUF_CREATE_PARAMS:
        return create_params(r, m);
    case WL_HOOK_DMABUF_FEEDBACK:
        return get_feedback(r, m);
    case WL_HOOK_DMABUF_FEEDBACK_DESTROY:
        return end_feedback(r, m);
    case WL_HOOK_PARAMS_DESTROY:
        TO_HOST(r, m->object, POOL_DESTROY, 0, NULL);
        return RELAY_DROP;
    case WL_HOOK_PARAMS_ADD:
        return add_plane(r, m);
    case WL_HOOK_PARAMS_CREATE:
        return create(d, r, m);
    default: /* PARAMS_CREATE_IMMED */
        return create_immed(d, r, m);
    }
}

bool linux_dmabuf_intercept(struct linux_dmabuf *d, struct relay *r, const struct wl_message *m)
{
    if (m->object == 1) {
        uint32_t id;
        if (m->opcode != DISPLAY_DELETE_ID || m->size != WL_HEADER_SIZE + 4)
            return false;
        memcpy(&id, m->bytes + WL_HEADER_SIZE, 4);
        struct feedback *f = relay_data(r, id, WL_DATA_FEEDBACK);
        if (!f) /* or the client has destroyed it: the id is free for both */
            return false;
        f->free = true;
        return true;
    }
    const struct wl_object *object = wl_objects_get(&r->objects, m->object);
    if (!object || object->iface->carried || strncmp(object->iface->name, "zwp_linux_", 10) != 0)
        return false;
    const struct bound *b = relay_data(r, m->object, WL_DATA_DMABUF);
    if (b)
        add_format(d, r, b, m);
    else if (relay_data(r, m->object, WL_DATA_FEEDBACK))
        tell_feedback(d, r, m->object);
    return true;
}
