/* SPDX-License-Identifier: MIT */
#include "guest-proxy/udmabuf.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>

#include <linux/udmabuf.h>

int udmabuf_open(void)
{
    int fd = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int udmabuf_of_file(int device, int file, uint64_t offset, uint64_t size)
{
    int seals = fcntl(file, F_GET_SEALS);
    if (seals < 0 || !(seals & F_SEAL_SHRINK) || seals & F_SEAL_WRITE)
        return -EINVAL; /* as the kernel would say, after it had looked at every page */
    struct udmabuf_create create = {
        .memfd = (uint32_t)file, .flags = UDMABUF_FLAGS_CLOEXEC, .offset = offset, .size = size};
    int fd = ioctl(device, UDMABUF_CREATE, &create);
    return fd < 0 ? -errno : fd;
}
