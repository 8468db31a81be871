/* SPDX-License-Identifier: MIT */
/* memory: owns the file and its mapping, as long as anybody refers to it. A client may shrink its
 * file at any time, so its mapping is only handed to system calls, which fail with EFAULT where a
 * load would raise SIGBUS, and to guard_copy(). A mirror is sealed and may be touched. */
#include "common/base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/base/fd.h"

#define ROWS_EXACT 8192 /* what has more is no picture with room beside it: all of it counts */

static const struct memory_backing mirror, client_file, part, foreign;

/* What is charged: never more than all of the file. What is reserved may have been written as well,
 * and then counts twice. */
static uint64_t memory_cost(const struct memory *m)
{
    uint64_t page = pages_size(), all = (m->size + page - 1) / page * page,
             used = m->pages.marked * page;
    used = m->reserved < all && used < all - m->reserved ? used + m->reserved : all;
    return sizeof(*m) + pages_cost(&m->pages) + used;
}

/* 0, or as budget_take(), and the charge is what it was. */
static int memory_recharge(struct memory *m)
{
    uint64_t cost = memory_cost(m);
    if (cost > m->charged) {
        int e = budget_take(m->budget, BUDGET_MEMORY, cost - m->charged);
        if (e < 0)
            return e;
    } else {
        budget_give(m->budget, BUDGET_MEMORY, m->charged - cost);
    }
    m->charged = cost;
    return 0;
}

/* Takes @fd. */
static struct memory *memory_new(const struct memory_backing *backing, int fd, uint64_t size,
                                 struct budget *budget)
{
    int e = fd >= 0 ? budget_take(budget, BUDGET_FDS, 1) : 0;
    struct memory *m = e == 0 ? calloc(1, sizeof(*m)) : NULL;
    if (!m) {
        if (e == 0 && fd >= 0)
            budget_give(budget, BUDGET_FDS, 1);
        fd_close(fd);
        errno = e < 0 ? -e : ENOMEM;
        return NULL;
    }
    m->refs = 1;
    m->budget = budget ? budget_ref(budget) : NULL;
    m->backing = backing;
    m->fd = fd;
    m->size = size;
    return m;
}

struct memory *memory_create(uint64_t size, struct budget *budget)
{
    int fd = fd_memfd("wayvsock", size);
    if (fd < 0) {
        errno = -fd;
        return NULL;
    }
    struct memory *m = memory_new(&mirror, fd, size, budget);
    if (!m)
        return NULL;
    m->writable = true;
    int e = budget ? pages_room(&m->pages, size) : 0;
    if (e == 0)
        e = memory_recharge(m);
    if (e < 0) {
        errno = -e;
        goto fail;
    }
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) < 0)
        goto fail;
    if (size) {
        m->map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (m->map == MAP_FAILED) {
            m->map = NULL;
            goto fail;
        }
    }
    return m;
fail:;
    int error = errno;
    memory_unref(m);
    errno = error;
    return NULL;
}

struct memory *memory_import(int fd, uint64_t size, bool writable, uint64_t dev, uint64_t ino,
                             struct budget *budget)
{
    struct memory *m = memory_new(&client_file, fd, size, budget);
    if (!m)
        return NULL;
    m->dev = dev;
    m->ino = ino;
    m->writable = writable;
    void *map = MAP_FAILED;
    if (writable)
        map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) { /* a write seal forbids the writable mapping, not the other */
        m->writable = false;
        map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    }
    if (map == MAP_FAILED) {
        int error = errno;
        memory_unref(m);
        errno = error;
        return NULL;
    }
    m->map = map;
    return m;
}

struct memory *memory_part(struct memory *file, uint64_t base, uint64_t size)
{
    struct memory *m = memory_new(&part, -1, size, NULL);
    if (m) {
        m->file = memory_ref(file);
        m->base = base;
    }
    return m;
}

struct memory *memory_share(int fd, uint64_t size, struct budget *budget)
{
    return memory_new(&foreign, fd, size, budget);
}

uint8_t *memory_map(const struct memory *m)
{
    return m->file ? m->file->map + m->base : m->map;
}

struct memory *memory_ref(struct memory *m)
{
    m->refs++;
    return m;
}

void memory_unref(struct memory *m)
{
    if (!m || --m->refs)
        return;
    while (m->notes) {
        struct memory_note *note = m->notes;
        m->notes = note->next;
        if (note->type->destroy)
            note->type->destroy(note);
    }
    memory_unref(m->file);
    if (m->map)
        munmap(m->map, m->size);
    if (m->fd >= 0)
        budget_give(m->budget, BUDGET_FDS, 1);
    budget_give(m->budget, BUDGET_MEMORY, m->charged);
    budget_unref(m->budget);
    pages_finish(&m->pages);
    fd_close(m->fd);
    free(m);
}

void memory_make_writable(struct memory *m, int fd)
{
    void *map = mmap(NULL, m->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) {
        fd_close(fd);
        return;
    }
    munmap(m->map, m->size);
    fd_close(m->fd);
    m->map = map;
    m->fd = fd;
    m->writable = true;
}

struct memory_note *memory_note(const struct memory *m, const struct memory_note_type *type)
{
    struct memory_note *note = m->notes;
    while (note && note->type != type)
        note = note->next;
    return note;
}

void memory_attach(struct memory *m, struct memory_note *note)
{
    note->next = m->notes;
    m->notes = note;
}

void memory_detach(struct memory *m, struct memory_note *note)
{
    struct memory_note **at = &m->notes;
    while (*at != note)
        at = &(*at)->next;
    *at = note->next;
}

bool memory_is_foreign(const struct memory *m)
{
    return m->backing == &foreign;
}

int memory_grow(struct memory *m, uint64_t size)
{
    return size <= m->size ? 0 : m->backing->grow(m, size);
}

int memory_store(struct memory *m, uint64_t offset, const void *bytes, size_t size)
{
    return m->backing->store(m, offset, bytes, size);
}

bool memory_truncated(const struct memory *m, uint64_t end)
{
    return m->backing->truncated(m, end);
}

/* --- files: a mirror's, a client's --- */

static int map_more(struct memory *m, uint64_t size)
{
    void *map;
    if (m->map)
        map = mremap(m->map, m->size, size, MREMAP_MAYMOVE);
    else
        map = mmap(NULL, size, PROT_READ | (m->writable ? PROT_WRITE : 0), MAP_SHARED, m->fd, 0);
    if (map == MAP_FAILED)
        return -errno;
    m->map = map;
    m->size = size;
    return 0;
}

static bool file_truncated(const struct memory *m, uint64_t end)
{
    struct stat st;
    return fstat(m->fd, &st) < 0 || (uint64_t)st.st_size < end;
}

static int mirror_grow(struct memory *m, uint64_t size)
{
    int e = m->budget ? pages_room(&m->pages, size) : 0;
    if (e == 0)
        e = ftruncate(m->fd, (off_t)size) < 0 ? -errno : map_more(m, size);
    return e < 0 ? e : memory_recharge(m);
}

static int mirror_store(struct memory *m, uint64_t offset, const void *bytes, size_t size)
{
    memcpy(m->map + offset, bytes, size);
    return 0;
}

static const struct memory_backing mirror = {"mirror", mirror_grow, mirror_store, file_truncated};

static int client_file_store(struct memory *m, uint64_t offset, const void *bytes, size_t size)
{
    if (file_truncated(m, offset + size)) /* writing would make the client's file grow */
        return -EFAULT;
    while (size) {
        ssize_t n = pwrite(m->fd, bytes, size, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        bytes = (const uint8_t *)bytes + n;
        offset += (uint64_t)n;
        size -= (size_t)n;
    }
    return 0;
}

static const struct memory_backing client_file = {"client's file", map_more, client_file_store,
                                                  file_truncated};

/* --- what has a size of its own for good --- */

static int cannot_grow(struct memory *m, uint64_t size)
{
    (void)m;
    (void)size;
    return -EINVAL;
}

static int part_store(struct memory *m, uint64_t offset, const void *bytes, size_t size)
{
    return memory_store(m->file, m->base + offset, bytes, size);
}

static bool part_truncated(const struct memory *m, uint64_t end)
{
    return memory_truncated(m->file, m->base + end);
}

static const struct memory_backing part = {"part of a file", cannot_grow, part_store,
                                           part_truncated};

static int foreign_store(struct memory *m, uint64_t offset, const void *bytes, size_t size)
{
    (void)m;
    (void)offset;
    (void)bytes;
    (void)size;
    return -EINVAL;
}

static const struct memory_backing foreign = {"guest's pages", cannot_grow, foreign_store,
                                              file_truncated};

/* --- what it costs --- */

/* The same whether it is taken or given: whole pages. */
static uint64_t span(uint64_t offset, uint64_t size)
{
    uint64_t page = pages_size();
    return size ? ((offset + size - 1) / page - offset / page + 1) * page : 0;
}

int memory_reserve(struct memory *m, uint64_t offset, uint64_t size)
{
    m->reserved += span(offset, size);
    int e = memory_recharge(m);
    if (e < 0)
        m->reserved -= span(offset, size);
    return e;
}

void memory_unreserve(struct memory *m, uint64_t offset, uint64_t size)
{
    m->reserved -= span(offset, size);
    if (m->pages.marks)
        pages_mark(&m->pages, offset, offset + size);
    memory_recharge(m); /* to no more than before */
}

int memory_touch(struct memory *m, uint64_t offset, uint32_t row, uint32_t rows, uint32_t stride)
{
    if (!m->pages.marks)
        return 0;
    if (stride - row < pages_size() || rows > ROWS_EXACT) { /* every page, or as good as that */
        pages_mark(&m->pages, offset, offset + (uint64_t)(rows - 1) * stride + row);
    } else {
        for (uint32_t i = 0; i < rows; i++, offset += stride)
            pages_mark(&m->pages, offset, offset + row);
    }
    return memory_recharge(m);
}

void memory_punch(struct memory *m, uint64_t offset, uint64_t length)
{
    uint64_t page = pages_size(), end = offset + length;
    /* The page in which the file ends goes only if the hole covers all of it. */
    end = end < m->size ? end / page * page : (m->size + page - 1) / page * page;
    offset = (offset + page - 1) / page * page;
    if (offset >= end)
        return;
    if (m->pages.marks && !pages_clear(&m->pages, offset / page, end / page))
        return; /* there is nothing to give back, and the kernel would look for it */
    fallocate(m->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
              (off_t)(end - offset));
    memory_recharge(m);
}
