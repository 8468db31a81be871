/* SPDX-License-Identifier: MIT */
/* guest-pages: owns nothing. A udmabuf keeps its pages by itself, and the memory's file never
 * leaves this process. */
#include "host-proxy/gpu/guest-pages.h"

#include <errno.h>
#include <stdlib.h>

#include <linux/udmabuf.h>

#include "common/vhost-user/guest-ram.h"
#include "host-proxy/gpu/resources.h"

/* Why the kernel said EINVAL, as far as it can be told. */
static int explain(uint64_t size, uint32_t count)
{
    struct udmabuf_limits limits;
    udmabuf_read_limits(&limits);
    if (limits.list && count > limits.list)
        return -E2BIG;
    if (limits.size && size > limits.size)
        return -EFBIG;
    return -EPERM;
}

int udmabuf_of_runs(int device, const struct guest_ram *ram, const struct guest_run *runs,
                    uint32_t n)
{
    if (device < 0)
        return -ENODEV;
    struct udmabuf_create_list *list = malloc(sizeof(*list) + n * sizeof(list->list[0]));
    if (!list)
        return -ENOMEM;
    uint32_t count = 0;
    uint64_t total = 0;
    int result = 0;
    for (uint32_t i = 0; i < n && result == 0; i++) {
        const struct guest_region *region = guest_ram_find(ram, runs[i].gpa);
        if (!region) {
            result = -EFAULT;
            break;
        }
        uint64_t offset = region->offset + (runs[i].gpa - region->gpa);
        if (offset % GUEST_RAM_PAGE || runs[i].size % GUEST_RAM_PAGE)
            result = -EINVAL;
        list->list[count++] = (struct udmabuf_create_item){
            .memfd = (uint32_t)region->fd,
            .offset = offset,
            .size = runs[i].size,
        };
        total += runs[i].size;
    }
    if (result == 0) {
        list->count = count;
        result = udmabuf_create(device, list);
        if (result == -EINVAL)
            result = explain(total, count);
    }
    free(list);
    return result;
}
