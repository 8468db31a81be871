/* SPDX-License-Identifier: MIT */
/* gpu-memory: owns the numbers of imports, which count up, and checks what can be checked without
 * the GPU. On the host nobody is left to see anything once the local end has closed; then frames
 * are dropped. */
#include "common/carrier/gpu-memory.h"

#include <errno.h>

#include "common/carrier/ends.h"
#include "common/carrier/vfd-memory.h"

uint32_t gpu_memory_import(struct gpu_memory *g, uint32_t resource, uint64_t size)
{
    struct link_import import = {.id = g->next++, .resource = resource, .size = size};
    link_queue(g->vfds->ends->link, link_import_encode, &import);
    return import.id;
}

void gpu_memory_release(struct gpu_memory *g, uint32_t import)
{
    link_queue(g->vfds->ends->link, link_id_encode, LINK_IMPORT_RELEASE, import);
}

void gpu_memory_released(struct gpu_memory *g, uint32_t import)
{
    link_queue(g->vfds->ends->link, link_id_encode, LINK_IMPORT_RELEASED, import);
}

struct memory *gpu_memory_make(struct gpu_memory *g, uint32_t import, uint64_t size,
                               struct memory *file, uint64_t base)
{
    struct memory *memory =
        file ? memory_part(file, base, size) : memory_create(size, g->vfds->ends->party->budget);
    if (!memory)
        return NULL;
    if (vfd_memory_add(g->vfds, memory, vfds_new_id(g->vfds)) < 0) {
        errno = ENOMEM;
        return NULL;
    }
    vfd_memory(memory)->import = import;
    vfd_memory_use(memory);
    struct link_mem_import m = {.id = vfd_memory(memory)->id, .import = import, .size = size};
    link_queue(g->vfds->ends->link, link_mem_import_encode, &m);
    return memory;
}

void gpu_memory_copy(struct gpu_memory *g, const struct memory *memory, struct link_mem_write rows,
                     uint32_t import, uint64_t source_offset, uint32_t source_stride)
{
    struct link_mem_copy copy = {.to = rows,
                                 .import = import,
                                 .source_offset = source_offset,
                                 .source_stride = source_stride};
    copy.to.id = vfd_memory(memory)->id;
    link_queue(g->vfds->ends->link, link_mem_copy_encode, &copy);
    g->vfds->ends->sent.copies += (uint64_t)rows.row * rows.rows;
}

static int add_import(struct gpu_memory *g, const struct link_import *import)
{
    if (import->id != g->next)
        return ends_broken(g->vfds->ends, "IMPORT ids must count up", import->id);
    g->next++;
    return g->ops->import(g->user, import);
}

static int add_memory(struct gpu_memory *g, const struct link_mem_import *said)
{
    int e = vfds_peer_id(g->vfds, said->id);
    if (e < 0)
        return e;
    struct memory *memory = g->ops->memory(g->user, said);
    if (!memory)
        return -EPROTO;
    if (vfd_memory_add(g->vfds, memory, said->id) < 0)
        return ends_failf(g->vfds->ends, LINK_ERROR_INTERNAL, "out of memory");
    vfd_memory(memory)->import = said->import;
    return 0;
}

/* The memory that is meant (NULL: it is gone, and so is the copy), and where the rows end in it. 0,
 * or negative after ends_fail(). */
static int find_target(const struct gpu_memory *g, const struct link_mem_copy *copy,
                       struct memory **ret, uint64_t *ret_end)
{
    const struct link_mem_write *to = &copy->to;
    struct memory *m = vfd_memory_find(g->vfds, to->id);
    uint64_t end = to->offset + (uint64_t)(to->rows - 1) * to->stride + to->row;
    if (!m && !vfds_was_made(g->vfds, to->id))
        return ends_broken(g->vfds->ends, "MEM_COPY to an id that never was", to->id);
    if (m && end > m->size)
        return ends_broken(g->vfds->ends, "MEM_COPY beyond the memory", to->id);
    *ret = m;
    *ret_end = end;
    return 0;
}

/* guest: the host says that what it wrote is in a resource of ours. */
static int gpu_memory_copied_back(struct gpu_memory *g, const struct link_mem_copy *copy)
{
    struct memory *m;
    uint64_t end;
    int e = find_target(g, copy, &m, &end);
    if (e < 0 || !m)
        return e;
    if (vfd_memory(m)->import != copy->import || copy->source_offset != copy->to.offset ||
        copy->source_stride != copy->to.stride)
        return ends_broken(g->vfds->ends, "MEM_COPY of other bytes than the memory's", copy->to.id);
    if (!g->vfds->ends->ops->writable(g->vfds->ends, m, copy->to.offset, end))
        return 0; /* the client gave the copy up meanwhile */
    return g->ops->copied_back(g->user, m, copy);
}

static int gpu_memory_copy_rows(struct gpu_memory *g, const struct link_mem_copy *copy)
{
    struct ends *ends = g->vfds->ends;
    uint64_t end, size = (uint64_t)copy->to.row * copy->to.rows;
    struct memory *m;
    int e = find_target(g, copy, &m, &end);
    if (e < 0 || !m)
        return e;
    e = memory_touch(m, copy->to.offset, copy->to.row, copy->to.rows, copy->to.stride);
    if (e < 0)
        return ends_scarce(ends, "MEM_COPY", e);
    e = g->ops->copy(g->user, m, copy);
    if (e == 0)
        *(memory_is_foreign(m) ? &ends->sent.shared : &ends->sent.copies) += size;
    return e;
}

bool gpu_memory_has(enum link_type type)
{
    return type == LINK_IMPORT || type == LINK_IMPORT_RELEASE || type == LINK_IMPORT_RELEASED ||
           type == LINK_MEM_COPY || type == LINK_MEM_IMPORT;
}

/* Whether this side hears of such frames, with the ops that it has. */
static bool expected(const struct gpu_memory *g, enum link_type type)
{
    bool guest = g->vfds->ends->side == CARRIER_GUEST;
    if (!g->ops)
        return false;
    switch (type) {
    case LINK_IMPORT_RELEASED:
        return guest && g->ops->released;
    case LINK_MEM_IMPORT:
        return !guest && g->ops->memory;
    case LINK_MEM_COPY:
        return guest ? g->ops->copied_back != NULL : g->ops->copy != NULL;
    default:
        return !guest && g->ops->import;
    }
}

int gpu_memory_frame(struct gpu_memory *g, enum link_type type, const uint8_t *payload, size_t size)
{
    struct ends *ends = g->vfds->ends;
    struct link_import import;
    struct link_mem_copy copy;
    struct link_mem_import memory;
    uint32_t id;
    int e;
    bool quiet = ends->side == CARRIER_HOST && !ends_has_local(ends);
    if (!expected(g, type))
        return ends_failf(ends, LINK_ERROR_PROTOCOL, "the other proxy sent an unexpected %s frame",
                          link_type_name(type));
    switch (type) {
    case LINK_IMPORT:
        e = link_import_decode(payload, size, &import);
        if (e == LINK_OK)
            return quiet ? 0 : add_import(g, &import);
        break;
    case LINK_MEM_COPY:
        e = link_mem_copy_decode(payload, size, &copy);
        if (e == LINK_OK && ends->side == CARRIER_GUEST)
            return gpu_memory_copied_back(g, &copy);
        if (e == LINK_OK)
            return quiet ? 0 : gpu_memory_copy_rows(g, &copy);
        break;
    case LINK_MEM_IMPORT:
        e = link_mem_import_decode(payload, size, &memory);
        if (e == LINK_OK)
            return quiet ? 0 : add_memory(g, &memory);
        break;
    default:
        e = link_id_decode(payload, size, &id);
        if (e != LINK_OK)
            break;
        if (quiet)
            return 0;
        if (id == 0 || id >= g->next)
            return ends_broken(ends, "an import that never was", id);
        return type == LINK_IMPORT_RELEASE ? g->ops->release(g->user, id)
                                           : g->ops->released(g->user, id);
    }
    return ends_malformed(ends, type, e);
}
