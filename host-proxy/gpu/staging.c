/* SPDX-License-Identifier: MIT */
/* staging: owns one memory that is used in turn from its begin to its end, as answers come in the
 * order of what was asked; while nothing is under way it begins anew, and so stays in the caches.
 * What does not fit has memory of its own, for once. The renderer may write into all of it at any
 * time, so nothing there is believed: it is pixels of the guest. */
#include "host-proxy/gpu/staging.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>

#include "common/base/fd.h"

#define ALIGNMENT 64u

static uint64_t rounded(uint64_t size)
{
    return (size + ALIGNMENT - 1) & ~(uint64_t)(ALIGNMENT - 1);
}

/* Returns a memfd (owned) that cannot change its size, mapped, or -errno. */
static int make_memory(uint64_t size, uint8_t **ret_bytes)
{
    _cleanup_(fd_closep) int fd = fd_memfd("wayvsock-gpu", size);
    if (fd < 0)
        return fd;
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        return -errno;
    void *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (bytes == MAP_FAILED)
        return -errno;
    *ret_bytes = bytes;
    return fd_steal(&fd);
}

int staging_init(struct staging *s, uint32_t last_id)
{
    *s = (struct staging){.id = last_id + 1, .last_id = last_id + 1};
    return make_memory(STAGING_SIZE, &s->bytes);
}

void staging_finish(struct staging *s)
{
    if (s->bytes)
        munmap(s->bytes, STAGING_SIZE);
    *s = (struct staging){0};
}

uint32_t staging_next_id(struct staging *s)
{
    return ++s->last_id;
}

/* Where @size bytes are free, or -1. The last byte before ->first is never used: full is not
 * empty. */
static int64_t find_room(struct staging *s, uint64_t size)
{
    if (s->n == 0)
        s->first = s->end = 0;
    if (s->end >= s->first && size <= STAGING_SIZE - s->end)
        return (int64_t)s->end;
    if (s->end >= s->first)
        return size < s->first ? 0 : -1;
    return size < s->first - s->end ? (int64_t)s->end : -1;
}

int staging_take(struct staging *s, uint64_t size, struct renderer_stage *ret, int *ret_result)
{
    *ret_result = size == 0 || size > STAGING_ONE_MAX ? -E2BIG : 0;
    if (*ret_result < 0)
        return -1;
    int64_t at = rounded(size) <= STAGING_SIZE ? find_room(s, rounded(size)) : -1;
    if (at >= 0) {
        *ret =
            (struct renderer_stage){.bytes = s->bytes + at, .range = {s->id, (uint64_t)at, size}};
        s->end = (uint64_t)at + rounded(size);
        s->n++;
        s->held += size;
        return -1;
    }
    uint8_t *bytes;
    int fd = make_memory(size, &bytes);
    if (fd < 0) {
        *ret_result = -ENOMEM;
        return -1;
    }
    *ret = (struct renderer_stage){
        .bytes = bytes, .range = {staging_next_id(s), 0, size}, .whole = true};
    s->held += size;
    return fd;
}

/* True: it is a part of the common memory. */
static bool let_go(struct staging *s, const struct renderer_stage *stage)
{
    s->held -= stage->range.size;
    if (stage->whole)
        munmap(stage->bytes, stage->range.size);
    else
        s->n--;
    return !stage->whole;
}

void staging_give(struct staging *s, const struct renderer_stage *stage)
{
    if (let_go(s, stage))
        s->first = stage->range.offset + rounded(stage->range.size);
}

void staging_undo(struct staging *s, const struct renderer_stage *stage)
{
    if (let_go(s, stage))
        s->end = stage->range.offset;
}
