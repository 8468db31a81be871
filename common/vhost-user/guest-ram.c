/* SPDX-License-Identifier: MIT */
/* guest-ram: owns the mappings and their files. Regions never overlap, neither by guest address nor
 * by the frontend's, so an address has one meaning. The frontend is the VM's own hypervisor and
 * trusted not to shrink its memory under us; the guest, who names addresses, is not trusted at all:
 * every one of them is looked up here. */
#include "common/vhost-user/guest-ram.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/base/fd.h"

void guest_ram_finish(struct guest_ram *ram)
{
    for (size_t i = 0; i < ram->n; i++) {
        munmap(ram->regions[i].map, ram->regions[i].map_size);
        fd_close(ram->regions[i].fd);
    }
    memset(ram, 0, sizeof(*ram));
}

static bool ranges_overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
    return a < b ? b - a < a_size : a - b < b_size;
}

int guest_ram_add(struct guest_ram *ram, uint64_t gpa, uint64_t size, uint64_t uaddr,
                  uint64_t offset, int fd)
{
    _cleanup_(fd_closep) int owned = fd;
    uint64_t end, map_size;
    struct stat st;
    if (ram->n == GUEST_RAM_REGIONS_MAX)
        return -E2BIG;
    /* A last byte of 2^64 - 1 is fine, an end beyond 2^64 is not. */
    if (size == 0 || gpa > UINT64_MAX - (size - 1) || uaddr > UINT64_MAX - (size - 1) ||
        __builtin_add_overflow(offset, size, &end) || end > INT64_MAX - (1 << 30))
        return -EINVAL;
    for (size_t i = 0; i < ram->n; i++) {
        const struct guest_region *r = &ram->regions[i];
        if (ranges_overlap(gpa, size, r->gpa, r->size) ||
            ranges_overlap(uaddr, size, r->uaddr, r->size))
            return -EINVAL;
    }
    if (fstat(owned, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size < end)
        return -ENXIO;
    /* From the start of the file: an offset need not be a multiple of a huge page, and address
     * space costs nothing. */
    uint64_t unit = st.st_blksize > 0 ? (uint64_t)st.st_blksize : GUEST_RAM_PAGE;
    map_size = (end + unit - 1) / unit * unit;
    void *map = mmap(NULL, map_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, owned, 0);
    if (map == MAP_FAILED)
        return -errno;
    madvise(map, map_size, MADV_DONTDUMP);
    ram->regions[ram->n++] = (struct guest_region){
        .gpa = gpa,
        .size = size,
        .uaddr = uaddr,
        .offset = offset,
        .fd = fd_steal(&owned),
        .bytes = (uint8_t *)map + offset,
        .map = map,
        .map_size = map_size,
        .dev = st.st_dev,
        .ino = st.st_ino,
    };
    ram->size += size;
    return 0;
}

int guest_ram_remove(struct guest_ram *ram, uint64_t gpa, uint64_t size, uint64_t uaddr)
{
    for (size_t i = 0; i < ram->n; i++) {
        struct guest_region *r = &ram->regions[i];
        if (r->gpa != gpa || r->size != size || r->uaddr != uaddr)
            continue;
        munmap(r->map, r->map_size);
        fd_close(r->fd);
        ram->size -= size;
        *r = ram->regions[--ram->n];
        return 0;
    }
    return -ENOENT;
}

const struct guest_region *guest_ram_find(const struct guest_ram *ram, uint64_t gpa)
{
    for (size_t i = 0; i < ram->n; i++) {
        const struct guest_region *r = &ram->regions[i];
        if (gpa >= r->gpa && gpa - r->gpa < r->size)
            return r;
    }
    return NULL;
}

void *guest_ram_at(const struct guest_ram *ram, uint64_t gpa, uint64_t size)
{
    const struct guest_region *r = guest_ram_find(ram, gpa);
    if (!r || size > r->size - (gpa - r->gpa))
        return NULL;
    return r->bytes + (gpa - r->gpa);
}

void *guest_ram_at_uaddr(const struct guest_ram *ram, uint64_t uaddr, uint64_t size)
{
    for (size_t i = 0; i < ram->n; i++) {
        const struct guest_region *r = &ram->regions[i];
        if (uaddr >= r->uaddr && uaddr - r->uaddr < r->size)
            return size <= r->size - (uaddr - r->uaddr) ? r->bytes + (uaddr - r->uaddr) : NULL;
    }
    return NULL;
}

bool guest_ram_same(const struct guest_ram *a, const struct guest_ram *b, uint64_t gpa,
                    uint64_t size)
{
    const struct guest_region *ra = guest_ram_find(a, gpa), *rb = guest_ram_find(b, gpa);
    return ra && rb && size <= ra->size - (gpa - ra->gpa) && size <= rb->size - (gpa - rb->gpa) &&
           ra->dev == rb->dev && ra->ino == rb->ino &&
           ra->offset + (gpa - ra->gpa) == rb->offset + (gpa - rb->gpa);
}
