/* SPDX-License-Identifier: MIT */
#include "guest-proxy/udmabuf.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/udmabuf.h>

int udmabuf_open(void)
{
    int fd = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int udmabuf_of_file(int device, int file, uint64_t offset, uint64_t size, int tail)
{
    int seals = fcntl(file, F_GET_SEALS);
    if (seals < 0 || !(seals & F_SEAL_SHRINK) || seals & F_SEAL_WRITE)
        return -EINVAL; /* as the kernel would say, after it had looked at every page */
    struct {
        struct udmabuf_create_list list;
        struct udmabuf_create_item items[2];
    } create = {
        .list = {.flags = UDMABUF_FLAGS_CLOEXEC, .count = tail < 0 ? 1 : 2},
        .items = {{.memfd = (uint32_t)file, .offset = offset, .size = size},
                  {.memfd = (uint32_t)tail, .size = (uint64_t)sysconf(_SC_PAGESIZE)}},
    };
    int fd = ioctl(device, UDMABUF_CREATE_LIST, &create);
    return fd < 0 ? -errno : fd;
}
