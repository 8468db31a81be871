/* SPDX-License-Identifier: MIT */
/* resources: owns what the guest created and the runs of its pages. Ids come from the guest and are
 * hostile; so are the lists of pages, which are merged, checked against the VM's memory, and
 * capped. Every run lies in one region of the memory that it was checked against: whoever replaces
 * that asks resource_unmoved() first. Generations are given once, so that an old one never fits a
 * new resource of the same id. */
#include "host-proxy/gpu/resources.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <drm_fourcc.h>
#include <linux/virtio_gpu.h>

#define BUCKETS 4096u

int resources_init(struct resources *table)
{
    *table = (struct resources){.buckets = calloc(BUCKETS, sizeof(*table->buckets))};
    if (!table->buckets)
        return -ENOMEM;
    /* The guest chooses the ids, but not which of them share a bucket. */
    if (getrandom(&table->hash_seed, sizeof(table->hash_seed), GRND_NONBLOCK) < 0)
        table->hash_seed = 0x9e3779b9u;
    return 0;
}

void resources_finish(struct resources *table)
{
    struct resource *resource;
    while ((resource = resources_any(table))) {
        resources_remove(table, resource);
        resource_destroy(table, resource);
    }
    free(table->buckets);
    table->buckets = NULL;
}

static struct resource **bucket(const struct resources *table, uint32_t id)
{
    uint32_t h = (id ^ table->hash_seed) * 0x85ebca6bu;
    h ^= h >> 13;
    h = (h + table->hash_seed) * 0xc2b2ae35u;
    return &table->buckets[(h >> 16) % BUCKETS];
}

struct resource *resources_find(const struct resources *table, uint32_t id)
{
    struct resource *r = *bucket(table, id);
    while (r && r->id != id)
        r = r->next;
    return r;
}

struct resource *resources_create(struct resources *table, uint32_t id, enum resource_kind kind)
{
    if (id == 0 || resources_find(table, id)) {
        errno = EEXIST;
        return NULL;
    }
    if (table->n >= RESOURCES_MAX) {
        errno = E2BIG;
        return NULL;
    }
    struct resource *r = calloc(1, sizeof(*r));
    if (!r) {
        errno = ENOMEM;
        return NULL;
    }
    struct resource **head = bucket(table, id);
    r->id = id;
    r->kind = kind;
    r->generation = ++table->generation;
    r->next = *head;
    *head = r;
    table->n++;
    return r;
}

void resources_remove(struct resources *table, struct resource *resource)
{
    struct resource **at = bucket(table, resource->id);
    while (*at != resource)
        at = &(*at)->next;
    *at = resource->next;
    resource->next = NULL;
    table->n--;
}

void resource_destroy(struct resources *table, struct resource *resource)
{
    if (!resource)
        return;
    table->n_runs -= resource->n_runs;
    free(resource->runs);
    free(resource);
}

struct resource *resources_any(const struct resources *table)
{
    for (uint32_t i = 0; table->n > 0 && i < BUCKETS; i++) {
        if (table->buckets[i])
            return table->buckets[i];
    }
    return NULL;
}

void resources_each(const struct resources *table,
                    void (*each)(void *user, struct resource *resource), void *user)
{
    for (uint32_t i = 0; table->n > 0 && i < BUCKETS; i++) {
        for (struct resource *r = table->buckets[i]; r; r = r->next)
            each(user, r);
    }
}

void resource_detach(struct resources *table, struct resource *resource)
{
    table->n_runs -= resource->n_runs;
    free(resource->runs);
    resource->runs = NULL;
    resource->n_runs = 0;
    resource->backing_size = 0;
    resource->generation = ++table->generation;
}

static int by_address(const void *a, const void *b)
{
    const struct guest_run *x = a, *y = b;
    return x->gpa < y->gpa ? -1 : x->gpa > y->gpa;
}

/* The same byte twice in one buffer makes no sense, and would let a short list stand for any amount
 * of memory. */
static int check_overlap(const struct guest_run *runs, uint32_t n)
{
    bool ascending = true;
    for (uint32_t i = 1; i < n && ascending; i++)
        ascending = runs[i].gpa >= runs[i - 1].gpa;
    struct guest_run *sorted = NULL;
    if (!ascending) {
        sorted = malloc(n * sizeof(*sorted));
        if (!sorted)
            return -ENOMEM;
        memcpy(sorted, runs, n * sizeof(*sorted));
        qsort(sorted, n, sizeof(*sorted), by_address);
        runs = sorted;
    }
    int result = 0;
    for (uint32_t i = 1; i < n && result == 0; i++)
        result = runs[i].gpa - runs[i - 1].gpa < runs[i - 1].size ? -EINVAL : 0;
    free(sorted);
    return result;
}

int resource_attach(struct resources *table, struct resource *resource, const struct guest_ram *ram,
                    const struct resource_entry *entries, uint32_t n)
{
    if (n == 0)
        return -EINVAL;
    if (n > RESOURCE_ENTRIES_MAX)
        return -E2BIG;
    /* An entry may lie across two regions: these make one more run each. */
    struct guest_run *runs = calloc((size_t)n + GUEST_RAM_REGIONS_MAX, sizeof(*runs));
    uint32_t n_runs = 0;
    uint64_t total = 0;
    int result = runs ? 0 : -ENOMEM;
    for (uint32_t i = 0; i < n && result == 0; i++) {
        uint64_t gpa = entries[i].gpa, left = entries[i].size;
        if (left == 0 || gpa > UINT64_MAX - left)
            result = -EINVAL;
        while (left > 0 && result == 0) {
            const struct guest_region *region = guest_ram_find(ram, gpa);
            uint64_t size = region ? region->size - (gpa - region->gpa) : 0;
            size = size < left ? size : left;
            struct guest_run *last = n_runs > 0 ? &runs[n_runs - 1] : NULL;
            if (!region || total + size > ram->size || n_runs == n + GUEST_RAM_REGIONS_MAX) {
                result = -EINVAL;
                break;
            }
            if (last && last->gpa + last->size == gpa && gpa != region->gpa)
                last->size += size;
            else
                runs[n_runs++] = (struct guest_run){.at = total, .gpa = gpa, .size = size};
            total += size;
            gpa += size;
            left -= size;
        }
    }
    if (result == 0)
        result = check_overlap(runs, n_runs);
    if (result == 0 && table->n_runs - resource->n_runs + n_runs > RESOURCES_RUNS_MAX)
        result = -E2BIG;
    if (result < 0) {
        free(runs);
        return result;
    }
    struct guest_run *fitting = realloc(runs, n_runs * sizeof(*runs));
    resource_detach(table, resource);
    resource->runs = fitting ? fitting : runs;
    resource->n_runs = n_runs;
    resource->backing_size = total;
    table->n_runs += n_runs;
    return 0;
}

bool resource_unmoved(const struct resource *resource, const struct guest_ram *a,
                      const struct guest_ram *b)
{
    for (uint32_t i = 0; i < resource->n_runs; i++) {
        if (!guest_ram_same(a, b, resource->runs[i].gpa, resource->runs[i].size))
            return false;
    }
    return true;
}

/* The run that holds this byte. */
static uint32_t find_run(const struct resource *resource, uint64_t offset)
{
    uint32_t low = 0, high = resource->n_runs;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (resource->runs[middle].at <= offset)
            low = middle;
        else
            high = middle;
    }
    return low;
}

int resource_copy(const struct resource *resource, const struct guest_ram *ram, uint64_t offset,
                  void *bytes, uint64_t size, bool into)
{
    uint8_t *at = bytes;
    if (size == 0)
        return 0;
    if (offset > resource->backing_size || size > resource->backing_size - offset)
        return -EFAULT;
    for (uint32_t i = find_run(resource, offset); size > 0; i++) {
        const struct guest_run *run = &resource->runs[i];
        uint64_t skip = offset - run->at;
        uint64_t n = run->size - skip < size ? run->size - skip : size;
        void *guest = guest_ram_at(ram, run->gpa + skip, n);
        if (!guest)
            return -EFAULT;
        if (into)
            memcpy(guest, at, n);
        else
            memcpy(at, guest, n);
        at += n;
        offset += n;
        size -= n;
    }
    return 0;
}

uint32_t resource_fourcc(uint32_t format)
{
    switch (format) { /* named by byte order here, by value there */
    case VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM:
        return DRM_FORMAT_ARGB8888;
    case VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM:
        return DRM_FORMAT_XRGB8888;
    case VIRTIO_GPU_FORMAT_A8R8G8B8_UNORM:
        return DRM_FORMAT_BGRA8888;
    case VIRTIO_GPU_FORMAT_X8R8G8B8_UNORM:
        return DRM_FORMAT_BGRX8888;
    case VIRTIO_GPU_FORMAT_R8G8B8A8_UNORM:
        return DRM_FORMAT_ABGR8888;
    case VIRTIO_GPU_FORMAT_X8B8G8R8_UNORM:
        return DRM_FORMAT_RGBX8888;
    case VIRTIO_GPU_FORMAT_A8B8G8R8_UNORM:
        return DRM_FORMAT_RGBA8888;
    case VIRTIO_GPU_FORMAT_R8G8B8X8_UNORM:
        return DRM_FORMAT_XBGR8888;
    default:
        return 0;
    }
}
