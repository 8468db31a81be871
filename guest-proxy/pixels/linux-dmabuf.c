/* SPDX-License-Identifier: MIT */
/* linux-dmabuf: owns the planes and formats of a client. The host knows nothing of this protocol:
 * each object has a stand-in there with the same id (as far as objects made by `create` have not
 * moved them, wl-ids):
 *
 * - zwp_linux_dmabuf_v1: wl_shm; its formats are those that we offer, as far as we carry them
 * - zwp_linux_buffer_params_v1: a wl_shm_pool on memory of our own; when the buffer is known, on
 *   that which the buffer is in. As long as the formats may be incomplete it is destroyed at once,
 *   and the callback of a wl_display.sync takes its id: libwayland sends a delete_id only together
 *   with another event. It is made again when that is free; its requests wait for it
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
#include "common/base/loop.h"
#include "common/base/memory.h"
#include "common/carrier/vfd-memory.h"
#include "common/wayland/inject.h"
#include "common/wayland/uncovered.h"
#include "common/wayland/wl-shm.h"
#include "guest-proxy/pixels/dmabuf.h"
#include "guest-proxy/pixels/gpu.h"
#include "guest-proxy/pixels/pixels.h"
#include "guest-proxy/pixels/pools.h"

#define POOL_MIN 4096u
#define MODIFIERS_MAX 2

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
    uint32_t id, dmabuf;   /* its own; what made it */
    struct dmabuf_plane planes[DMABUF_PLANES_MAX];
    uint64_t modifiers[DMABUF_PLANES_MAX];
    bool asking; /* its stand-in is destroyed, and its id not free yet */
    bool held;   /* a request of its waits for that to end */
    bool used;
    struct loop_job resume;
};

struct feedback {
    struct wl_data data;
    bool free; /* its stand-in's id is */
};

static enum relay_verdict error(struct relay *r, const struct wl_message *m, uint32_t code,
                                const char *what)
{
    return relay_fail(r, LINK_ERROR_WAYLAND, m->object, code,
                      "zwp_linux_buffer_params_v1#%u.%s: %s", m->object, m->info->name, what);
}

static void free_data(struct wl_data *data)
{
    free(data);
}

/* --- the global --- */

static bool offered(struct relay *r)
{
    return gpu_device(r->pixels->shadows.gpu) != NULL;
}

/* wl_shm.format(code) of our stand-in. */
static void shm_event(struct relay *r, struct wl_data *data, const struct wl_message *m);

static const struct wl_data_type bound_type = {
    .name = "zwp_linux_dmabuf_v1", .destroy = free_data, .event = shm_event};

static enum relay_verdict bind(struct relay *r, const struct wl_message *m)
{
    const struct relay_global *shm = registry_find(r, "wl_shm");
    struct bound *b = calloc(1, sizeof(*b));
    uint32_t id = m->args[1].n.id;
    if (!b)
        return relay_out_of_memory(r);
    if (!shm) { /* both were offered, and wl_shm was taken back */
        free(b);
        return relay_fail(r, LINK_ERROR_WAYLAND, m->object, WL_DISPLAY_INVALID_OBJECT,
                          "zwp_linux_dmabuf_v1 is not offered any more");
    }
    *b = (struct bound){.data.type = &bound_type, .version = m->args[1].n.version};
    relay_attach(r, id, &b->data);
    inject_host(r, m->object, MSG_REGISTRY_BIND, shm->name, "wl_shm", 1u, id);
    return RELAY_DROP;
}

const struct own_global linux_dmabuf_global = {
    .interface = "zwp_linux_dmabuf_v1", .beside = "wl_shm", .offered = offered, .bind = bind};

/* Linear; and where the GPU draws, no modifier: Mesa's driver knows of none for its buffers. The
 * number of them. */
static unsigned modifiers(const struct pixels *p, uint64_t ret_modifiers[MODIFIERS_MAX])
{
    const struct virtgpu *device = gpu_device(p->shadows.gpu);
    ret_modifiers[0] = DRM_FORMAT_MOD_LINEAR;
    ret_modifiers[1] = DRM_FORMAT_MOD_INVALID;
    return device && virtgpu_has_3d(device) ? 2 : 1;
}

static void shm_event(struct relay *r, struct wl_data *data, const struct wl_message *m)
{
    const struct bound *b = (struct bound *)data;
    struct pixels *p = r->pixels;
    uint32_t shm;
    if (!message_is(m, MSG_SHM_FORMAT) || m->size != WL_HEADER_SIZE + 4)
        return;
    memcpy(&shm, m->bytes + WL_HEADER_SIZE, 4);
    const struct dmabuf_format *format = dmabuf_format_of_shm(shm);
    if (!format)
        return;
    if (b->version < 4)
        inject_local(r, m->object, MSG_DMABUF_FORMAT, format->fourcc);
    uint64_t all[MODIFIERS_MAX];
    for (unsigned i = 0, n = modifiers(p, all); b->version == 3 && i < n; i++)
        inject_local(r, m->object, MSG_DMABUF_MODIFIER, format->fourcc, (uint32_t)(all[i] >> 32),
                     (uint32_t)all[i]);
    for (size_t i = 0; i < p->dmabuf.n; i++)
        if (p->dmabuf.formats[i] == format)
            return;
    if (p->dmabuf.n < DMABUF_FORMATS_MAX)
        p->dmabuf.formats[p->dmabuf.n++] = format;
}

/* --- feedback --- */

static int make_table(struct pixels *p)
{
    uint64_t all[MODIFIERS_MAX];
    size_t n = p->dmabuf.n * modifiers(p, all);
    if (p->dmabuf.table >= 0 && p->dmabuf.table_n == n)
        return 0;
    struct {
        uint32_t format, zero;
        uint64_t modifier;
    } entries[DMABUF_FORMATS_MAX * MODIFIERS_MAX] = {0};
    for (size_t i = 0; i < n; i++) {
        entries[i].format = p->dmabuf.formats[i % p->dmabuf.n]->fourcc;
        entries[i].modifier = all[i / p->dmabuf.n];
    }
    size_t size = n * sizeof(*entries);
    _cleanup_(fd_closep) int fd = fd_memfd("wayvsock-formats", size);
    if (fd < 0 || pwrite(fd, entries, size, 0) != (ssize_t)size ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        return -errno;
    fd_close(p->dmabuf.table);
    p->dmabuf.table = fd_steal(&fd);
    p->dmabuf.table_n = n;
    return 0;
}

/* What answers the wl_callback of our stand-in. */
static void callback_event(struct relay *r, struct wl_data *data, const struct wl_message *m);

/* Its id is free: the application's object may live on. */
static bool callback_freed(struct relay *r, struct wl_data *data)
{
    struct feedback *f = (struct feedback *)data;
    (void)r;
    f->free = true;
    return true;
}

static const struct wl_data_type feedback_type = {.name = "zwp_linux_dmabuf_feedback_v1",
                                                  .destroy = free_data,
                                                  .event = callback_event,
                                                  .freed = callback_freed};

enum relay_verdict linux_dmabuf_feedback(struct relay *r, struct wl_message *m)
{
    struct feedback *f = calloc(1, sizeof(*f));
    if (!f)
        return relay_out_of_memory(r);
    f->data.type = &feedback_type;
    relay_attach(r, m->args[0].u, &f->data);
    inject_host(r, 1, MSG_DISPLAY_SYNC, m->args[0].u);
    return RELAY_DROP;
}

enum relay_verdict linux_dmabuf_feedback_destroy(struct relay *r, struct wl_message *m)
{
    const struct feedback *f = relay_data(r, m->object, &feedback_type);
    if (f && f->free) {
        inject_local(r, 1, MSG_DISPLAY_DELETE_ID, m->object);
        wl_objects_delete(&r->objects, m->object);
    }
    return RELAY_DROP; /* else the stand-in's own delete_id is yet to come */
}

static void callback_event(struct relay *r, struct wl_data *data, const struct wl_message *m)
{
    struct pixels *p = r->pixels;
    const struct virtgpu *device = gpu_device(p->shadows.gpu);
    uint64_t number = device ? virtgpu_device(device) : 0;
    uint16_t indices[DMABUF_FORMATS_MAX * MODIFIERS_MAX];
    uint32_t id = m->object, n_bytes = sizeof(number);
    (void)data;
    p->dmabuf.heard = true;
    int fd = make_table(p) == 0 ? fcntl(p->dmabuf.table, F_DUPFD_CLOEXEC, 0) : -1;
    size_t n = p->dmabuf.table_n;
    if (fd < 0) {
        relay_out_of_memory(r);
        return;
    }
    sendq_fd(&r->carrier.ends.local.out, fd, NULL);
    inject_local(r, id, MSG_FEEDBACK_TABLE, (uint32_t)(16 * n));
    inject_local(r, id, MSG_FEEDBACK_MAIN_DEVICE, n_bytes, &number);
    inject_local(r, id, MSG_FEEDBACK_TARGET_DEVICE, n_bytes, &number);
    inject_local(r, id, MSG_FEEDBACK_FLAGS, 0u);
    for (size_t i = 0; i < n; i++)
        indices[i] = (uint16_t)i;
    inject_local(r, id, MSG_FEEDBACK_FORMATS, (uint32_t)(2 * n), indices);
    inject_local(r, id, MSG_FEEDBACK_TRANCHE_DONE);
    inject_local(r, id, MSG_FEEDBACK_DONE);
}

/* --- buffers --- */

static void params_destroy(struct wl_data *data)
{
    struct params *p = (struct params *)data;
    loop_later_cancel(p->relay->carrier.ends.loop, &p->resume);
    for (unsigned i = 0; i < DMABUF_PLANES_MAX; i++)
        vfds_discard(&p->relay->carrier.vfds, p->planes[i].fd);
    relay_memory_unuse(p->relay, p->memory);
    free(p);
}

/* Not from within the link's callback: what waits is read anew. */
static void params_resume(void *user)
{
    const struct params *p = user;
    relay_wait_over(p->relay);
}

/* wl_callback.done: the delete_id behind it is what counts. */
static void params_event(struct relay *r, struct wl_data *data, const struct wl_message *m)
{
    (void)r;
    (void)data;
    (void)m;
}

/* The stand-in is gone, and the compositor has told its formats before: another one takes its
 * place.
 */
static bool params_freed(struct relay *r, struct wl_data *data)
{
    struct params *p = (struct params *)data;
    if (!p->asking || wl_objects_get(&r->objects, p->id)->predecessors)
        return false;
    p->asking = false;
    vfd_memory_hand_out(&r->carrier.vfds, p->memory);
    r->pixels->dmabuf.heard = true;
    inject_host(r, p->dmabuf, MSG_SHM_CREATE_POOL, p->id, POOL_MIN);
    if (p->held)
        loop_later(r->carrier.ends.loop, &p->resume);
    p->held = false;
    return true;
}

static const struct wl_data_type params_type = {.name = "zwp_linux_buffer_params_v1",
                                                .destroy = params_destroy,
                                                .event = params_event,
                                                .freed = params_freed};

/* A request of @p, which may be NULL. True: it has to wait. */
static bool params_wait(struct relay *r, struct params *p)
{
    if (!p || !p->asking)
        return false;
    p->held = true;
    relay_wait(r);
    return true;
}

enum relay_verdict linux_dmabuf_create_params(struct relay *r, struct wl_message *m)
{
    uint32_t id = m->args[0].u;
    struct params *p = calloc(1, sizeof(*p));
    if (!p)
        return relay_out_of_memory(r);
    p->data.type = &params_type;
    p->relay = r;
    p->id = id;
    p->dmabuf = m->object;
    p->resume = (struct loop_job){.run = params_resume, .user = p};
    p->memory = vfd_memory_make(&r->carrier.vfds, POOL_MIN, "dmabuf");
    if (!p->memory) {
        free(p);
        return relay_out_of_memory(r);
    }
    for (unsigned i = 0; i < DMABUF_PLANES_MAX; i++)
        p->planes[i].fd = -1;
    relay_attach(r, id, &p->data);
    p->asking = !r->pixels->dmabuf.heard;
    inject_host(r, m->object, MSG_SHM_CREATE_POOL, id, POOL_MIN);
    if (p->asking) {
        inject_host(r, id, MSG_POOL_DESTROY);
        inject_host(r, 1, MSG_DISPLAY_SYNC, id);
    }
    return RELAY_DROP;
}

enum relay_verdict linux_dmabuf_params_destroy(struct relay *r, struct wl_message *m)
{
    if (params_wait(r, relay_data(r, m->object, &params_type)))
        return RELAY_WAIT;
    inject_host(r, m->object, MSG_POOL_DESTROY);
    return RELAY_DROP;
}

/* Takes @fd, unless the client has to end. */
static enum relay_verdict add_plane(struct relay *r, struct wl_message *m, struct params *p, int fd)
{
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
    p->modifiers[plane] = (uint64_t)a[4].u << 32 | a[5].u;
    p->planes[plane] = (struct dmabuf_plane){
        .fd = fd, .offset = a[2].u, .stride = a[3].u, .size = dmabuf_size(fd)};
    return RELAY_DROP;
}

enum relay_verdict linux_dmabuf_add_plane(struct relay *r, struct wl_message *m)
{
    struct params *p = relay_data(r, m->object, &params_type);
    if (params_wait(r, p)) /* before a buffer is asked for, whose id can not be given twice */
        return RELAY_WAIT;
    int fd = relay_take_fd(r);
    enum relay_verdict v = add_plane(r, m, p, fd);
    if (v == RELAY_END)
        vfds_discard(&r->carrier.vfds, fd);
    return v;
}

/* What a buffer looks like in shared memory: rows as in the client's, second planes behind the
 * first. NULL, or what the client did wrong, with the error's code. *ret_carried: false where it is
 * not wrong, but we cannot do it. */
static const char *dmabuf_lay_out(struct params *p, const struct dmabuf_format *format,
                                  int32_t width, int32_t height, uint32_t *ret_code,
                                  bool *ret_carried, struct memory_buffer *ret)
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
        if (plane->size && plane->offset + (rows - 1) * plane->stride + row > plane->size)
            return "a plane leaves its buffer";
        *ret_carried &=
            plane->stride >= row && plane->size > 0 && plane->size <= LINK_MEMORY_MAX &&
            p->planes[0].stride <= INT32_MAX && row <= p->planes[0].stride &&
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

static void dmabuf_buffer_released(void *user, struct memory_buffer *b)
{
    relay_memory_unuse(user, b->memory);
}

/* The buffer that @m asks for with @a (width, height, format, flags): *ret has no id yet, and is
 * NULL where we cannot carry it. */
static enum relay_verdict make_buffer(struct relay *r, const struct wl_message *m,
                                      const union wl_arg *a, struct memory_buffer **ret)
{
    const struct pixels *x = r->pixels;
    struct params *p = relay_data(r, m->object, &params_type);
    struct memory_buffer layout = {0}, *b = NULL;
    const struct dmabuf_format *format = dmabuf_format(a[2].u);
    bool carried = false, offered = false;
    uint32_t code = 0;
    if (!p || p->used)
        return error(r, m, PARAMS_E_ALREADY_USED, "a buffer was made of it already");
    p->used = true;
    for (size_t i = 0; i < x->dmabuf.n; i++)
        offered |= x->dmabuf.formats[i] == format;
    offered |= format && format->shm <= 1; /* every wl_shm has these, also before it has said so */
    const char *wrong = dmabuf_lay_out(p, format, a[0].i, a[1].i, &code, &carried, &layout);
    if (wrong)
        return error(r, m, code, wrong);
    if (carried && offered && a[3].u == 0 &&
        dmabuf_create(r, p->planes, format->planes, &layout) == 0) {
        if (!layout.memory && vfd_memory_grow(&r->carrier.vfds, p->memory, layout.extent) == 0)
            layout.memory = p->memory;
        if (layout.memory)
            b = shm_buffer_create(layout.memory, &layout, 0, dmabuf_buffer_released, r);
        if (!b) {
            layout.backing->ops->drop(layout.backing);
            return relay_out_of_memory(r);
        }
        vfd_memory_use(b->memory);
    } else {
        log_info(r->carrier.ends.subject,
                 "a dmabuf of format %#x and modifier %#llx cannot be shown", a[2].u,
                 (unsigned long long)p->modifiers[0]);
    }
    *ret = b;
    return RELAY_PASS;
}

/* It becomes the application's object @id. */
static void give_buffer(struct relay *r, const struct wl_message *m, struct memory_buffer *b,
                        uint32_t id)
{
    const struct params *p = relay_data(r, m->object, &params_type);
    b->id = id;
    relay_attach(r, id, &b->data);
    if (b->memory != p->memory)
        pools_swap(r, p->dmabuf, m->object, b->memory, b->memory->size);
    else if (b->extent > POOL_MIN)
        inject_host(r, m->object, MSG_POOL_RESIZE, (uint32_t)b->extent);
    inject_host(r, m->object, MSG_POOL_CREATE_BUFFER, id, (uint32_t)b->offset, b->width, b->height,
                b->stride, b->format);
}

/* zwp_linux_buffer_params_v1.create_immed(id, width, height, format, flags) */
enum relay_verdict linux_dmabuf_create_immed(struct relay *r, struct wl_message *m)
{
    uint32_t id = m->args[0].u;
    struct memory_buffer *b;
    enum relay_verdict v = make_buffer(r, m, m->args + 1, &b);
    if (v != RELAY_PASS)
        return v;
    if (b) {
        give_buffer(r, m, b, id);
    } else { /* it shows nothing */
        inject_host(r, m->object, MSG_POOL_CREATE_BUFFER, id, 0u, 1u, 1u, 4u, 0u);
        inject_local(r, m->object, MSG_PARAMS_FAILED);
    }
    return RELAY_DROP;
}

/* zwp_linux_buffer_params_v1.create(width, height, format, flags): the buffer is the server's to
 * make, which is we. */
enum relay_verdict linux_dmabuf_create(struct relay *r, struct wl_message *m)
{
    uint32_t version = wl_objects_get(&r->objects, m->object)->version;
    struct memory_buffer *b;
    struct wl_id_pair id;
    enum relay_verdict v = make_buffer(r, m, m->args, &b);
    if (v != RELAY_PASS)
        return v;
    if (b && wl_ids_add(&r->ids, &r->objects, wl_iface_find("wl_buffer", strlen("wl_buffer")),
                        version, &id) == WL_IDS_OK) {
        give_buffer(r, m, b, id.application);
        inject_local(r, m->object, MSG_PARAMS_CREATED, id.application);
        return RELAY_DROP;
    }
    shm_buffer_unref(b);
    inject_local(r, m->object, MSG_PARAMS_FAILED);
    return RELAY_DROP;
}

enum relay_verdict linux_dmabuf_destroy(struct relay *r, struct wl_message *m)
{
    (void)r;
    (void)m;
    return RELAY_DROP; /* buffers may still be made with its stand-in: its id stays in use */
}
