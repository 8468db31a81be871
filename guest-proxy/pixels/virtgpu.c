/* SPDX-License-Identifier: MIT */
/* Memory of our own in the GPU's resources needs no transfer commands: the host reads the guest's
 * pages. Blobs serve best; where the device has none, a 2D resource of 4 KiB rows stands for as
 * many pages. */
#include "guest-proxy/pixels/virtgpu.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <virtgpu_drm.h>
#include <xf86drm.h>

#include "common/base/fd.h"
#include "common/base/list.h"

/* Of newer kernels than the oldest libdrm that we build with. */
#ifndef VIRTGPU_PARAM_RESOURCE_BLOB
#define VIRTGPU_PARAM_RESOURCE_BLOB 3
#endif
#ifndef DRM_VIRTGPU_RESOURCE_CREATE_BLOB
#define DRM_VIRTGPU_RESOURCE_CREATE_BLOB 0x0a
#define VIRTGPU_BLOB_MEM_GUEST 1
#define VIRTGPU_BLOB_FLAG_USE_MAPPABLE 1
#define VIRTGPU_BLOB_FLAG_USE_SHAREABLE 2
struct drm_virtgpu_resource_create_blob {
    uint32_t blob_mem, blob_flags;
    uint32_t bo_handle, res_handle; /* returned */
    uint64_t size;
    uint32_t pad, cmd_size;
    uint64_t cmd, blob_id;
};
#define DRM_IOCTL_VIRTGPU_RESOURCE_CREATE_BLOB                                                     \
    DRM_IOWR(DRM_COMMAND_BASE + DRM_VIRTGPU_RESOURCE_CREATE_BLOB,                                  \
             struct drm_virtgpu_resource_create_blob)
#endif

#define DRI "/dev/dri"
#define TARGET_2D 2     /* gallium's PIPE_TEXTURE_2D, as virtio-gpu has it */
#define FORMAT_BGRA 1   /* VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM */
#define ROW_PIXELS 1024 /* 4 KiB of them */

const struct filter_rule virtgpu_calls[] = {
    FILTER_CALL_WITH("ioctl", 1, DRM_IOCTL_VERSION),
    FILTER_CALL_WITH("ioctl", 1, DRM_IOCTL_GEM_CLOSE),
    FILTER_CALL_WITH("ioctl", 1, DRM_IOCTL_PRIME_HANDLE_TO_FD),
    FILTER_CALL_WITH("ioctl", 1, DRM_IOCTL_PRIME_FD_TO_HANDLE),
    FILTER_CALL_WITH("ioctl", 1, DRM_IOCTL_VIRTGPU_GETPARAM),
    FILTER_CALL_WITH("ioctl", 1, DRM_IOCTL_VIRTGPU_MAP),
    FILTER_CALL_WITH("ioctl", 1, DRM_IOCTL_VIRTGPU_RESOURCE_CREATE),
    FILTER_CALL_WITH("ioctl", 1, DRM_IOCTL_VIRTGPU_RESOURCE_CREATE_BLOB),
    FILTER_CALL_WITH("ioctl", 1, DRM_IOCTL_VIRTGPU_RESOURCE_INFO),
    FILTER_END,
};

/* The kernel has one GEM handle per buffer and open file, however often it is imported. */
struct handle_use {
    uint32_t handle;
    unsigned n;
};

struct virtgpu {
    int fd;
    struct handle_use *imports;
    size_t n, room;
    size_t buffers; /* that are there */
    bool closed;    /* nobody but they has it any more */
    bool stuck;     /* it must stay open */
    bool blobs, draws;
    uint64_t page;
    char path[64];
};

static int parameter(int fd, uint64_t which)
{
    int value = 0;
    struct drm_virtgpu_getparam get = {.param = which, .value = (uintptr_t)&value};
    return drmIoctl(fd, DRM_IOCTL_VIRTGPU_GETPARAM, &get) == 0 ? value : 0;
}

struct virtgpu *virtgpu_open(const char *path, char *error, size_t error_size)
{
    _cleanup_(fd_closep) int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        int e = errno;
        snprintf(error, error_size, "%s: %s%s", path, strerror(e),
                 e == EACCES ? " (is this user in the group that owns it, \"render\"?)" : "");
        errno = e;
        return NULL;
    }
    drmVersionPtr version = drmGetVersion(fd);
    bool ours = version && strcmp(version->name, "virtio_gpu") == 0;
    if (!ours)
        snprintf(error, error_size, "%s is no virtio-gpu%s%s", path, version ? " but " : "",
                 version ? version->name : "");
    drmFreeVersion(version);
    if (!ours) {
        errno = ENODEV;
        return NULL;
    }
    struct virtgpu *gpu = calloc(1, sizeof(*gpu));
    if (!gpu) {
        snprintf(error, error_size, "out of memory");
        errno = ENOMEM;
        return NULL;
    }
    snprintf(gpu->path, sizeof(gpu->path), "%s", path);
    gpu->blobs = parameter(fd, VIRTGPU_PARAM_RESOURCE_BLOB) == 1;
    gpu->draws = parameter(fd, VIRTGPU_PARAM_3D_FEATURES) == 1;
    gpu->page = (uint64_t)sysconf(_SC_PAGESIZE);
    gpu->fd = fd_steal(&fd);
    return gpu;
}

static void close_unused(struct virtgpu *gpu)
{
    if (!gpu->closed || gpu->buffers)
        return;
    if (!gpu->stuck)
        fd_close(gpu->fd);
    free(gpu->imports);
    free(gpu);
}

void virtgpu_close(struct virtgpu *gpu)
{
    if (!gpu)
        return;
    gpu->closed = true;
    close_unused(gpu);
}

bool virtgpu_alive(const struct virtgpu *gpu)
{
    int value = 0;
    struct drm_virtgpu_getparam get = {.param = VIRTGPU_PARAM_3D_FEATURES,
                                       .value = (uintptr_t)&value};
    return drmIoctl(gpu->fd, DRM_IOCTL_VIRTGPU_GETPARAM, &get) == 0;
}

const char *virtgpu_path(const struct virtgpu *gpu)
{
    return gpu->path;
}

uint64_t virtgpu_device(const struct virtgpu *gpu)
{
    struct stat st;
    return fstat(gpu->fd, &st) < 0 ? 0 : st.st_rdev;
}

bool virtgpu_has_blobs(const struct virtgpu *gpu)
{
    return gpu->blobs;
}

bool virtgpu_has_3d(const struct virtgpu *gpu)
{
    return gpu->draws;
}

static int create_blob(const struct virtgpu *gpu, struct virtgpu_buffer *b)
{
    struct drm_virtgpu_resource_create_blob create = {
        .blob_mem = VIRTGPU_BLOB_MEM_GUEST,
        .blob_flags = VIRTGPU_BLOB_FLAG_USE_MAPPABLE | VIRTGPU_BLOB_FLAG_USE_SHAREABLE,
        .size = b->size,
    };
    if (drmIoctl(gpu->fd, DRM_IOCTL_VIRTGPU_RESOURCE_CREATE_BLOB, &create) < 0)
        return -errno;
    b->handle = create.bo_handle;
    b->resource = create.res_handle;
    return 0;
}

static int create_2d(const struct virtgpu *gpu, struct virtgpu_buffer *b)
{
    struct drm_virtgpu_resource_create create = {
        .target = TARGET_2D,
        .format = FORMAT_BGRA,
        .width = ROW_PIXELS,
        .height = (uint32_t)(b->size / (ROW_PIXELS * 4)),
        .depth = 1,
        .array_size = 1,
        .size = (uint32_t)b->size,
        .stride = ROW_PIXELS * 4,
    };
    if (drmIoctl(gpu->fd, DRM_IOCTL_VIRTGPU_RESOURCE_CREATE, &create) < 0)
        return -errno;
    b->handle = create.bo_handle;
    b->resource = create.res_handle;
    /* The driver tells the device that a resource is shared when it is exported, also if nobody
     * takes the export. */
    int fd = -1;
    if (drmPrimeHandleToFD(gpu->fd, b->handle, DRM_CLOEXEC | DRM_RDWR, &fd) < 0)
        return -errno;
    fd_close(fd);
    return 0;
}

static bool close_handle(struct virtgpu *gpu, uint32_t handle)
{
    struct drm_gem_close close = {.handle = handle};
    return drmIoctl(gpu->fd, DRM_IOCTL_GEM_CLOSE, &close) == 0;
}

int virtgpu_buffer_create(struct virtgpu *gpu, uint64_t size, struct virtgpu_buffer *ret)
{
    if (size == 0 || size > VIRTGPU_BUFFER_MAX)
        return -EINVAL;
    struct virtgpu_buffer b = {.gpu = gpu, .size = (size + gpu->page - 1) / gpu->page * gpu->page};
    int e = gpu->blobs ? create_blob(gpu, &b) : create_2d(gpu, &b);
    struct drm_virtgpu_map map = {.handle = b.handle};
    if (e == 0 && drmIoctl(gpu->fd, DRM_IOCTL_VIRTGPU_MAP, &map) < 0)
        e = -errno;
    if (e == 0) {
        b.map = mmap(NULL, b.size, PROT_READ | PROT_WRITE, MAP_SHARED, gpu->fd, (off_t)map.offset);
        if (b.map == MAP_FAILED) {
            b.map = NULL;
            e = -errno;
        }
    }
    if (e == 0) {
        gpu->buffers++;
        *ret = b;
    } else if (b.handle) {
        close_handle(gpu, b.handle);
    }
    return e;
}

/* One use more; false: out of memory. */
static bool use_handle(struct virtgpu *gpu, uint32_t handle, bool *ret_first)
{
    *ret_first = false;
    for (size_t i = 0; i < gpu->n; i++) {
        if (gpu->imports[i].handle == handle) {
            gpu->imports[i].n++;
            return true;
        }
    }
    if (array_room(&gpu->imports, &gpu->room, gpu->n + 1, UINT32_MAX) < 0)
        return false;
    gpu->imports[gpu->n++] = (struct handle_use){handle, 1};
    *ret_first = true;
    return true;
}

/* One use less; true: that was the last. */
static bool unuse_handle(struct virtgpu *gpu, uint32_t handle)
{
    for (size_t i = 0; i < gpu->n; i++) {
        if (gpu->imports[i].handle != handle)
            continue;
        if (--gpu->imports[i].n)
            return false;
        gpu->imports[i] = gpu->imports[--gpu->n];
        return true;
    }
    return false;
}

int virtgpu_buffer_import(struct virtgpu *gpu, int fd, uint64_t size, struct virtgpu_buffer *ret)
{
    struct virtgpu_buffer b = {.gpu = gpu, .size = size};
    struct drm_virtgpu_resource_info info = {0};
    bool first;
    if (drmPrimeFDToHandle(gpu->fd, fd, &b.handle) < 0)
        return -errno;
    if (!use_handle(gpu, b.handle, &first)) {
        close_handle(gpu, b.handle);
        return -ENOMEM;
    }
    gpu->buffers++;
    info.bo_handle = b.handle;
    if (drmIoctl(gpu->fd, DRM_IOCTL_VIRTGPU_RESOURCE_INFO, &info) < 0) {
        int e = -errno;
        virtgpu_buffer_destroy(&b);
        return e;
    }
    b.resource = info.res_handle;
    /* Some kernels queue the command that makes a resource of foreign memory without telling the
     * device; the next command does. */
    struct virtgpu_buffer kick;
    if (first && virtgpu_buffer_create(gpu, gpu->page, &kick) == 0)
        virtgpu_buffer_destroy(&kick);
    *ret = b;
    return 0;
}

void virtgpu_buffer_destroy(struct virtgpu_buffer *b)
{
    struct virtgpu *gpu = b->gpu;
    if (!gpu)
        return;
    if (b->map)
        munmap(b->map, b->size);
    /* To let go of foreign memory the kernel waits for the device's answer, also (seen in 7.2) when
     * the driver has left the device, so that nothing will ever answer. */
    if ((b->map || unuse_handle(gpu, b->handle)) && !close_handle(gpu, b->handle) && !b->map)
        gpu->stuck = true;
    *b = (struct virtgpu_buffer){0};
    gpu->buffers--;
    close_unused(gpu);
}

void virtgpu_each_node(void (*found)(void *user, const char *path), void *user)
{
    DIR *folder = opendir(DRI);
    if (!folder)
        return;
    for (const struct dirent *entry; (entry = readdir(folder));) {
        char path[sizeof(((struct virtgpu *)0)->path)];
        if (strncmp(entry->d_name, "renderD", 7) != 0)
            continue;
        if ((size_t)snprintf(path, sizeof(path), "%s/%s", DRI, entry->d_name) < sizeof(path))
            found(user, path);
    }
    closedir(folder);
}
