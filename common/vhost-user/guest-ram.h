/* SPDX-License-Identifier: MIT */
#pragma once
/* guest-ram: the VM's memory as the frontend describes it: files, mapped, by the guest's and by the
 * frontend's addresses. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GUEST_RAM_REGIONS_MAX 32
#define GUEST_RAM_PAGE 4096u

struct guest_region {
    uint64_t gpa, size; /* guest-physical */
    uint64_t uaddr;     /* in the frontend's address space */
    uint64_t offset;    /* in the file */
    int fd;             /* owned; never leaves this process */
    uint8_t *bytes;     /* of gpa */
    void *map;
    size_t map_size;
    uint64_t dev, ino; /* which file */
};

struct guest_ram {
    struct guest_region regions[GUEST_RAM_REGIONS_MAX];
    size_t n;
    uint64_t size; /* of all regions */
};

void guest_ram_finish(struct guest_ram *ram); /* leaves it empty */
/* Maps @size bytes at @offset of @fd (taken). 0; -EINVAL: empty, out of the address space, or
 * overlapping a region; -ENXIO: the file is smaller; -E2BIG: too many; or -errno. */
int guest_ram_add(struct guest_ram *ram, uint64_t gpa, uint64_t size, uint64_t uaddr,
                  uint64_t offset, int fd);
/* Unmaps the region with exactly these addresses. 0 or -ENOENT. */
int guest_ram_remove(struct guest_ram *ram, uint64_t gpa, uint64_t size, uint64_t uaddr);

/* The region that holds @gpa, or NULL. */
const struct guest_region *guest_ram_find(const struct guest_ram *ram, uint64_t gpa);
/* @size contiguous bytes, or NULL unless all of them are in one region. */
void *guest_ram_at(const struct guest_ram *ram, uint64_t gpa, uint64_t size);
void *guest_ram_at_uaddr(const struct guest_ram *ram, uint64_t uaddr, uint64_t size);
/* True if these guest addresses mean the same bytes of the same file in both. */
bool guest_ram_same(const struct guest_ram *a, const struct guest_ram *b, uint64_t gpa,
                    uint64_t size);
