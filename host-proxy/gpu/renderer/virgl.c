/* SPDX-License-Identifier: MIT */
/* virgl: owns the only instance of virglrenderer: everything of the library is global, so is what
 * is here. It works in this thread, except that a thread of its own waits for fences, where it can,
 * and tells by a descriptor. Only what is in all versions from 0.10 to 1.3 is used. */
#include "host-proxy/gpu/renderer/virgl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <virgl/virglrenderer.h>

#include "common/base/log.h"
#include "common/base/loop.h"
#include "host-proxy/gpu/renderer/egl.h"
#include "host-proxy/gpu/renderer/engine.h"

#define CAPSETS 2 /* VIRTIO_GPU_CAPSET_VIRGL and VIRGL2, numbered from 1 */
#define VIRGL2 2u
#define CALLBACKS 2 /* of the library's versions of the structure: both old and new have it */
#define POLL_MS 2   /* where no thread waits for fences */
#define UPSIDE_DOWN                                                                                \
    1 /* flag of a resource (Y_0_TOP): the guest's first row is the texture's last */
#define INFO_RESERVE 8 /* words: the structure grew without another name for the library */

struct virgl {
    struct engine engine;
    struct engine_capset capsets[CAPSETS];
    struct loop *loop;
    struct loop_io *fences;   /* NULL: there is no thread */
    struct loop_timer *timer; /* then */
    const char *render_node;
    uint32_t asked, done; /* fences */
    struct log_subject subject;
    bool initialized;
};

static struct virgl virgl = {.subject = {.name = "virglrenderer"}};

static void virgl_fence_done(void *user, uint32_t number)
{
    (void)user;
    virgl.done = number;
    if (virgl.engine.finished)
        virgl.engine.finished(virgl.engine.user, number);
}

static int open_render_node(void *user)
{
    (void)user;
    return virgl.render_node ? open(virgl.render_node, O_RDWR | O_CLOEXEC) : -1;
}

/* A guest may cause any number of its lines. */
__attribute__((format(printf, 1, 0))) static void virgl_debug(const char *format, va_list arguments)
{
    char line[512];
    int n = vsnprintf(line, sizeof(line), format, arguments);
    size_t size = n < 0 ? 0 : (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1;
    while (size > 0 && line[size - 1] == '\n')
        line[--size] = 0;
    if (size > 0)
        log_line(LOG_LEVEL_DEBUG, &virgl.subject, "%s", line);
}

static void virgl_poll_fences(void *user, unsigned events)
{
    (void)user;
    (void)events;
    virgl_renderer_poll();
}

static void virgl_poll_again(void *user)
{
    (void)user;
    virgl_renderer_poll();
    if (virgl.asked != virgl.done)
        loop_timer_arm(virgl.timer, POLL_MS);
}

/* Of the set's words, the bits that tell a guest to have the library move pixels between a picture
 * and its own pages in the middle of drawing commands, or write there what it knows of the host's
 * memory. There are no pages of the guest here: Mesa asks for transfers of their own then. */
static const struct {
    unsigned word;
    uint32_t bits;
} hidden[] = {
    {98, 1u << 17 | 1u << 26}, /* transfers and copies from staging buffers */
    {172, 1u << 3 | 1u << 7},  /* how much memory there is; copies to staging buffers */
};

static void virgl_capset(struct engine *engine, uint32_t id, uint32_t version, void *bytes)
{
    uint32_t size = 0, ignored;
    (void)engine;
    virgl_renderer_fill_caps(id, version, bytes);
    virgl_renderer_get_cap_set(id, &ignored, &size);
    for (size_t i = 0; i < sizeof(hidden) / sizeof(*hidden); i++) {
        uint32_t value, at = hidden[i].word * (uint32_t)sizeof(value);
        if (id != VIRGL2 || at + sizeof(value) > size)
            continue;
        memcpy(&value, (uint8_t *)bytes + at, sizeof(value));
        value &= ~hidden[i].bits;
        memcpy((uint8_t *)bytes + at, &value, sizeof(value));
    }
}

static int virgl_context_create(struct engine *engine, uint32_t id, uint32_t capset)
{
    static const char name[] = "guest";
    (void)engine;
    int e = capset ? virgl_renderer_context_create_with_flags(id, capset, sizeof(name) - 1, name)
                   : virgl_renderer_context_create(id, sizeof(name) - 1, name);
    return e ? -ENOMEM : 0;
}

static void virgl_context_destroy(struct engine *engine, uint32_t id)
{
    (void)engine;
    virgl_renderer_context_destroy(id);
}

static void virgl_context_attach(struct engine *engine, uint32_t id, uint32_t resource)
{
    (void)engine;
    virgl_renderer_ctx_attach_resource((int)id, (int)resource);
}

static void virgl_context_detach(struct engine *engine, uint32_t id, uint32_t resource)
{
    (void)engine;
    virgl_renderer_ctx_detach_resource((int)id, (int)resource);
}

static int virgl_resource_create(struct engine *engine, const struct render_resource *resource)
{
    struct virgl_renderer_resource_create_args args = {
        .handle = resource->id,
        .target = resource->target,
        .format = resource->format,
        .bind = resource->bind,
        .width = resource->width,
        .height = resource->height,
        .depth = resource->depth,
        .array_size = resource->array_size,
        .last_level = resource->last_level,
        .nr_samples = resource->nr_samples,
        .flags = resource->flags,
    };
    (void)engine;
    return virgl_renderer_resource_create(&args, NULL, 0) ? -EINVAL : 0;
}

static void virgl_resource_destroy(struct engine *engine, uint32_t id)
{
    (void)engine;
    virgl_renderer_resource_unref(id);
}

static int virgl_transfer(struct engine *engine, const struct render_transfer *t, void *bytes)
{
    /* As the library has it: x, y, z, width, height, depth. */
    struct render_box box = t->box;
    struct virgl_box *what = (struct virgl_box *)&box;
    struct iovec iov = {.iov_base = bytes, .iov_len = t->range.size};
    (void)engine;
    int e = t->to_renderer
                ? virgl_renderer_transfer_write_iov(t->resource, t->context, (int)t->level,
                                                    t->stride, t->layer_stride, what, 0, &iov, 1)
                : virgl_renderer_transfer_read_iov(t->resource, t->context, t->level, t->stride,
                                                   t->layer_stride, what, 0, &iov, 1);
    return e ? -EINVAL : 0;
}

static int virgl_submit(struct engine *engine, uint32_t context, void *commands, uint32_t words)
{
    (void)engine;
    return virgl_renderer_submit_cmd(commands, (int)context, (int)words) ? -EINVAL : 0;
}

static int virgl_fence(struct engine *engine, uint32_t context, uint32_t number)
{
    (void)engine;
    if (virgl_renderer_create_fence((int)number, context))
        return -ENOMEM;
    virgl.asked = number;
    if (virgl.timer)
        loop_timer_arm(virgl.timer, 0);
    return 0;
}

static int virgl_export(struct engine *engine, uint32_t id, struct render_layout *ret_layout)
{
    struct {
        struct virgl_renderer_resource_info base;
        uint32_t reserve[INFO_RESERVE];
    } info = {0};
    (void)engine;
    if (virgl_renderer_resource_get_info((int)id, &info.base) || info.base.tex_id == 0 ||
        info.base.flags & UPSIDE_DOWN)
        return -ENOTSUP;
    virgl_renderer_force_ctx_0();
    return egl_export(info.base.tex_id, ret_layout);
}

static void virgl_destroy(struct engine *engine)
{
    (void)engine;
    loop_io_destroy(virgl.fences);
    loop_timer_destroy(virgl.timer);
    if (virgl.initialized)
        virgl_renderer_cleanup(&virgl);
    virgl = (struct virgl){.subject = {.name = "virglrenderer"}};
}

static const struct engine_ops virgl_ops = {
    .capset = virgl_capset,
    .context_create = virgl_context_create,
    .context_destroy = virgl_context_destroy,
    .context_attach = virgl_context_attach,
    .context_detach = virgl_context_detach,
    .resource_create = virgl_resource_create,
    .resource_destroy = virgl_resource_destroy,
    .transfer = virgl_transfer,
    .submit = virgl_submit,
    .fence = virgl_fence,
    .export = virgl_export,
    .destroy = virgl_destroy,
};

/* Whether memory can be written and then executed. A driver that cannot crashes with the first
 * picture. */
static bool may_make_code(void)
{
    size_t size = (size_t)sysconf(_SC_PAGESIZE);
    void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return false;
    bool may = mprotect(page, size, PROT_READ | PROT_EXEC) == 0;
    munmap(page, size);
    return may;
}

static int virgl_start(const char *render_node, char *error, size_t error_size)
{
    static struct virgl_renderer_callbacks callbacks = {
        .version = CALLBACKS, .write_fence = virgl_fence_done, .get_drm_fd = open_render_node};
    int flags = VIRGL_RENDERER_USE_EGL | VIRGL_RENDERER_THREAD_SYNC;
    if (render_node && access(render_node, R_OK | W_OK) < 0) {
        int r = -errno;
        snprintf(error, error_size, "--render-node %s: %s", render_node, strerror(-r));
        return r;
    }
    if (!render_node && !may_make_code()) {
        snprintf(
            error, error_size,
            "3D in software compiles shaders, and this process may make no code: as a service it "
            "needs MemoryDenyWriteExecute=no");
        return -EPERM;
    }
    if (!render_node) {
        /* Mesa would take any GPU that it finds, and a guest reach that driver unasked. */
        setenv("LIBGL_ALWAYS_SOFTWARE", "true", 0);
        flags |= VIRGL_RENDERER_USE_SURFACELESS;
    }
    virgl_set_debug_callback(virgl_debug);
    virgl.render_node = render_node;
    if (virgl_renderer_init(&virgl, flags, &callbacks)) {
        snprintf(error, error_size, "3D: EGL does not start %s%s",
                 render_node ? "on " : "in software", render_node ? render_node : "");
        return -ENODEV;
    }
    virgl.initialized = true;
    return 0;
}

struct engine *virgl_create(struct loop *loop, const char *render_node, char *error,
                            size_t error_size)
{
    virgl.loop = loop;
    virgl.engine = (struct engine){.ops = &virgl_ops, .capsets = virgl.capsets};
    int r = virgl_start(render_node, error, error_size), fd = -1;
    if (r == 0) {
        for (uint32_t id = 1; id <= CAPSETS; id++) {
            struct engine_capset c = {.id = id};
            virgl_renderer_get_cap_set(id, &c.version, &c.size);
            if (c.size > 0)
                virgl.capsets[virgl.engine.n_capsets++] = c;
        }
        fd = virgl_renderer_get_poll_fd();
        if (fd >= 0)
            virgl.fences = loop_io_create(loop, fd, LOOP_READ, virgl_poll_fences, NULL);
        else
            virgl.timer = loop_timer_create(loop, virgl_poll_again, NULL);
        if (!virgl.fences && !virgl.timer) {
            snprintf(error, error_size, "out of memory");
            r = -ENOMEM;
        }
    }
    if (r < 0) {
        virgl_destroy(&virgl.engine);
        errno = -r;
        return NULL;
    }
    return &virgl.engine;
}
