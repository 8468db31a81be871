/* SPDX-License-Identifier: MIT */
#include "host-proxy/gpu/udmabuf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include <linux/udmabuf.h>

#include "common/fd.h"
#include "host-proxy/gpu/guest-ram.h"

int udmabuf_open(void)
{
    int fd = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static uint64_t read_parameter(const char *path)
{
    unsigned long long value = 0;
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    if (fscanf(file, "%llu", &value) != 1)
        value = 0;
    fclose(file);
    return value;
}

void udmabuf_read_limits(struct udmabuf_limits *ret_limits)
{
    uint64_t megabytes = read_parameter("/sys/module/udmabuf/parameters/size_limit_mb");
    uint64_t list = read_parameter("/sys/module/udmabuf/parameters/list_limit");
    ret_limits->size = megabytes > INT32_MAX ? 0 : megabytes << 20;
    ret_limits->list = list > UINT32_MAX ? 0 : (uint32_t)list;
}

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

int udmabuf_create(int device, const struct guest_ram *ram, const struct guest_run *runs,
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
        list->flags = UDMABUF_FLAGS_CLOEXEC;
        list->count = count;
        result = ioctl(device, UDMABUF_CREATE_LIST, list);
        if (result < 0)
            result = errno == EINVAL ? explain(total, count) : -errno;
    }
    free(list);
    return result;
}
