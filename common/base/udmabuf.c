/* SPDX-License-Identifier: MIT */
/* The kernel's device that makes one dmabuf of pieces of memfds. Nothing is kept: the device's
 * descriptor, the list and the dmabuf belong to the caller. */
#include "common/base/udmabuf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include <linux/udmabuf.h>

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

int udmabuf_create(int device, struct udmabuf_create_list *list)
{
    list->flags = UDMABUF_FLAGS_CLOEXEC;
    int fd = ioctl(device, UDMABUF_CREATE_LIST, list);
    return fd < 0 ? -errno : fd;
}
