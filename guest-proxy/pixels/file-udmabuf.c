/* SPDX-License-Identifier: MIT */
/* file-udmabuf: owns nothing; the udmabuf keeps the file's pages, whatever the client does. */
#include "guest-proxy/pixels/file-udmabuf.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <linux/udmabuf.h>

int udmabuf_of_file(int device, int file, uint64_t offset, uint64_t size, int tail)
{
    int seals = fcntl(file, F_GET_SEALS);
    if (seals < 0 || !(seals & F_SEAL_SHRINK) || seals & F_SEAL_WRITE)
        return -EINVAL; /* as the kernel would say, after it had looked at every page */
    /* The list has its items behind it. */
    union {
        struct udmabuf_create_list list;
        uint8_t room[sizeof(struct udmabuf_create_list) + 2 * sizeof(struct udmabuf_create_item)];
    } create = {.list = {.count = tail < 0 ? 1 : 2}};
    struct udmabuf_create_item *items = create.list.list;
    items[0] =
        (struct udmabuf_create_item){.memfd = (uint32_t)file, .offset = offset, .size = size};
    items[1] = (struct udmabuf_create_item){.memfd = (uint32_t)tail,
                                            .size = (uint64_t)sysconf(_SC_PAGESIZE)};
    return udmabuf_create(device, &create.list);
}
