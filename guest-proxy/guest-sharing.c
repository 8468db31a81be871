/* SPDX-License-Identifier: MIT */
/* guest-sharing: a resource belongs to whoever asked for it. */
#include "guest-proxy/guest-sharing.h"

#include <stdlib.h>

#include "common/base/fd.h"
#include "common/base/pages.h"
#include "guest-proxy/pixels/file-udmabuf.h"
#include "guest-proxy/pixels/gpu.h"

/* What is in a file's last page beyond its end is nobody's to share. */
static int pages_of(const struct gpu *gpu, int file, uint64_t size)
{
    if (gpu->udmabuf < 0 || !gpu->takes_files || size % pages_size())
        return -1;
    return udmabuf_of_file(gpu->udmabuf, file, 0, size, -1);
}

void *guest_sharing_make(struct gpu *gpu, int fd, uint64_t size, bool file, uint32_t *ret_resource)
{
    struct virtgpu *device = gpu_device(gpu);
    _cleanup_(fd_closep) int pages = device && file ? pages_of(gpu, fd, size) : -1;
    if (!device || (file && pages < 0))
        return NULL;
    struct virtgpu_buffer *buffer = malloc(sizeof(*buffer));
    if (!buffer || virtgpu_buffer_import(device, file ? pages : fd, size, buffer) < 0) {
        free(buffer);
        return NULL;
    }
    *ret_resource = buffer->resource;
    return buffer;
}

void guest_sharing_drop(void *resource)
{
    virtgpu_buffer_destroy(resource);
    free(resource);
}
