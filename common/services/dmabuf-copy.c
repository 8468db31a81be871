/* SPDX-License-Identifier: MIT */
/* dmabuf-copy: owns nothing. A dmabuf has one size for ever, so that its mapping needs no guard. */
#include "common/services/dmabuf-copy.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <linux/dma-buf.h>

#include "common/base/fd.h"

/* Tells the exporter that the processor reads, from here on or up to here. */
static void sync_reading(int fd, uint64_t when)
{
    struct dma_buf_sync sync = {.flags = when | DMA_BUF_SYNC_READ};
    ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync);
}

static int write_all(int fd, const uint8_t *bytes, uint64_t size)
{
    for (uint64_t done = 0; done < size;) {
        ssize_t n = pwrite(fd, bytes + done, size - done, (off_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        done += (uint64_t)n;
    }
    return 0;
}

int dmabuf_copy(int fd, uint64_t size, uint64_t max)
{
    if (size > max)
        return -EFBIG;
    uint8_t *map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        return -errno;
    _cleanup_(fd_closep) int copy = fd_memfd("wayvsock-dmabuf", size);
    sync_reading(fd, DMA_BUF_SYNC_START);
    int e = copy < 0 ? copy : write_all(copy, map, size);
    sync_reading(fd, DMA_BUF_SYNC_END);
    munmap(map, size);
    return e < 0 ? e : fd_steal(&copy);
}
