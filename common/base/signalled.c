/* SPDX-License-Identifier: MIT */
/* signalled: owns a dmabuf of a page that nobody draws into: its fences, as a sync file, are none,
 * which is one that is signalled. */
#include "common/base/signalled.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>

#include <linux/dma-buf.h>
#include <linux/udmabuf.h>

#include "common/base/fd.h"
#include "common/base/pages.h"
#include "common/base/udmabuf.h"

static int still = -1;

static int make(void)
{
    struct dma_buf_export_sync_file request = {.flags = DMA_BUF_SYNC_RW, .fd = -1};
    return still < 0 || ioctl(still, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &request) < 0 ? -1
                                                                                   : request.fd;
}

void signalled_prepare(void)
{
    union {
        struct udmabuf_create_list list;
        uint8_t room[sizeof(struct udmabuf_create_list) + sizeof(struct udmabuf_create_item)];
    } create = {.list = {.count = 1}};
    if (still >= 0)
        return;
    _cleanup_(fd_closep) int device = udmabuf_open();
    _cleanup_(fd_closep) int page = device < 0 ? -1 : fd_memfd("wayvsock-still", pages_size());
    if (page < 0 || fcntl(page, F_ADD_SEALS, F_SEAL_SHRINK) < 0)
        return;
    create.list.list[0] =
        (struct udmabuf_create_item){.memfd = (uint32_t)page, .size = pages_size()};
    still = udmabuf_create(device, &create.list);
    _cleanup_(fd_closep) int first = make();
    if (first < 0) /* the kernel is older */
        still = fd_close(still);
}

bool signalled_is_real(void)
{
    return still >= 0;
}

int signalled_make(void)
{
    int fd = make();
    if (fd < 0)
        fd = eventfd(1, EFD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}
