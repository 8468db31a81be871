/* SPDX-License-Identifier: MIT */
/* mirror: owns the mapping of the client's memory, which cannot shrink while we have it. The client
 * writes there as it likes; we read pixels from it and nothing else. */
#include "host-proxy/gpu/mirror.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/base/fd.h"
#include "host-proxy/gpu/resources.h"

void mirror_finish(struct mirror *mirror)
{
    if (mirror->bytes)
        munmap(mirror->bytes, mirror->size);
    mirror->bytes = NULL;
    mirror->size = 0;
}

enum export_status mirror_check(int fd, uint64_t size)
{
    struct stat st;
    /* A file that shrinks would end this process with SIGBUS. */
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(fd, &st) < 0 || (uint64_t)st.st_size < size)
        return EXPORT_MEMORY;
    return EXPORT_OK;
}

enum export_status mirror_set(struct mirror *mirror, int fd, uint64_t size)
{
    _cleanup_(fd_closep) int owned = fd;
    if (mirror_check(owned, size) != EXPORT_OK)
        return EXPORT_MEMORY;
    void *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, owned, 0);
    if (bytes == MAP_FAILED)
        return EXPORT_MEMORY;
    mirror_finish(mirror);
    mirror->bytes = bytes;
    mirror->size = size;
    return EXPORT_OK;
}

bool mirror_within(const struct export_rect *rect, uint64_t base, uint64_t stride, uint64_t size)
{
    uint64_t end = (uint64_t)rect->x + rect->width;
    uint64_t last_row = (uint64_t)rect->y + rect->height - 1;
    return rect->width > 0 && rect->height > 0 && end <= stride &&
           !__builtin_mul_overflow(last_row, stride, &last_row) &&
           !__builtin_add_overflow(last_row, end, &end) &&
           !__builtin_add_overflow(end, base, &end) && end <= size;
}

enum export_status mirror_copy(const struct mirror *mirror, const struct resource *resource,
                               const struct guest_ram *ram, const struct export_copy *copy)
{
    bool into = copy->flags & EXPORT_TO_GUEST;
    uint64_t guest_base = into ? copy->target : copy->source,
             mirror_base = into ? copy->source : copy->target;
    uint64_t guest_stride = into ? copy->target_stride : copy->source_stride;
    uint64_t mirror_stride = into ? copy->source_stride : copy->target_stride;
    if (!mirror->bytes)
        return EXPORT_MEMORY;
    for (uint32_t i = 0; i < copy->n_rects; i++) {
        if (!mirror_within(&copy->rects[i], guest_base, guest_stride, resource->backing_size) ||
            !mirror_within(&copy->rects[i], mirror_base, mirror_stride, mirror->size))
            return EXPORT_RANGE;
    }
    for (uint32_t i = 0; i < copy->n_rects; i++) {
        struct export_rect rect = copy->rects[i];
        uint64_t size = rect.width, rows = rect.height;
        uint64_t guest = guest_base + rect.y * guest_stride + rect.x;
        uint64_t local = mirror_base + rect.y * mirror_stride + rect.x;
        if (guest_stride == mirror_stride && size == guest_stride) { /* whole rows are one piece */
            size *= rows;
            rows = 1;
        }
        for (uint64_t row = 0; row < rows; row++) {
            if (resource_copy(resource, ram, guest + row * guest_stride,
                              mirror->bytes + local + row * mirror_stride, size, into) < 0)
                return EXPORT_STALE;
        }
    }
    return EXPORT_OK;
}
