/* SPDX-License-Identifier: MIT */
#pragma once
/* resources: what the guest has created: ids, layouts, and the pages behind them. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/vhost-user/guest-ram.h"

#define RESOURCES_MAX 65536u
#define RESOURCE_ENTRIES_MAX                                                                       \
    65536u /* pieces of one resource, as the guest lists them: 256 MiB of single pages */
#define RESOURCES_RUNS_MAX (4u << 20) /* of all resources, after merging */
#define RESOURCE_SIDE_MAX 32768u      /* pixels */
#define RESOURCE_SIZE_MAX (1ull << 32)

enum resource_kind { RESOURCE_2D, RESOURCE_BLOB, RESOURCE_3D };

/* What a renderer has of a 3D resource: its content is there, not in the guest's memory. */
struct drawn {
    uint32_t depth; /* layers, or slices of a volume */
    bool is_volume;
    uint32_t last_level;
    bool is_picture;  /* one layer of width x height */
    uint32_t pixel;   /* bytes, or the most that they can be */
    bool pixel_known; /* it is as many */
    bool is_answer;   /* where the renderer writes what a query has counted */
    uint64_t bytes;   /* estimated */
    uint64_t life;    /* of the renderer that has it */
};

/* Contiguous guest-physical memory within one region; @at is where it begins in the buffer that it
 * is part of. */
struct guest_run {
    uint64_t at, gpa, size;
};

struct resource {
    uint32_t id;
    enum resource_kind kind;
    uint32_t width, height, format; /* 2D: enum virtio_gpu_formats; 3D: virgl has more */
    uint64_t size;                  /* bytes that the guest asked for */
    uint32_t blob_flags;
    bool has_uuid;
    uint8_t uuid[16];
    uint64_t generation; /* of its memory: another number for other pages, never given twice */
    struct guest_run *runs;
    uint32_t n_runs;
    uint64_t backing_size; /* bytes of the runs; 0: no memory */
    unsigned holds;        /* exports that their client has not released */
    struct drawn *drawn;   /* 3D, until the renderer forgets it; see commands-3d.h */
    struct resource *next; /* resources::buckets */
};

struct resources {
    struct resource **buckets;
    uint32_t n, hash_seed;
    uint64_t n_runs;
    uint64_t generation;
};

/* One piece of a backing list: what the guest wrote. */
struct resource_entry {
    uint64_t gpa;
    uint32_t size;
};

/* DRM_FORMAT_* of a 2D resource's format, or 0. */
uint32_t resource_fourcc(uint32_t format);

int resources_init(struct resources *table);    /* 0 or -ENOMEM */
void resources_finish(struct resources *table); /* destroys all of them */

struct resource *resources_find(const struct resources *table, uint32_t id);
/* A new one without memory. NULL: errno EEXIST (or id 0), E2BIG, ENOMEM. */
struct resource *resources_create(struct resources *table, uint32_t id, enum resource_kind kind);
/* Takes it out of the table; it is the caller's, for resource_destroy(). */
void resources_remove(struct resources *table, struct resource *resource);
void resource_destroy(struct resources *table, struct resource *resource); /* accepts NULL */
/* Any of them, or NULL. */
struct resource *resources_any(const struct resources *table);
/* Calls @each for every resource; it may not remove any. */
void resources_each(const struct resources *table,
                    void (*each)(void *user, struct resource *resource), void *user);

/* Gives it the pages that the guest lists. 0; -EINVAL: none, an empty one, one outside of the
 * memory, two that overlap, or more than the VM's memory; -E2BIG; -ENOMEM. */
int resource_attach(struct resources *table, struct resource *resource, const struct guest_ram *ram,
                    const struct resource_entry *entries, uint32_t n);
void resource_detach(struct resources *table, struct resource *resource);
/* True if all of its pages are the same in both. */
bool resource_unmoved(const struct resource *resource, const struct guest_ram *a,
                      const struct guest_ram *b);

/* Copies @size bytes at @offset out of it or (@into) into it. The caller checked the range against
 * backing_size. 0 or -EFAULT. */
int resource_copy(const struct resource *resource, const struct guest_ram *ram, uint64_t offset,
                  void *bytes, uint64_t size, bool into);
