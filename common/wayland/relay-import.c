/* SPDX-License-Identifier: MIT */
/* Resources of the guest's GPU, by the numbers that the guest gives them, memory that they are, and
 * rows that are copied from there and back. Who looks into the GPU is the owner's affair. */
#include <errno.h>

#include "common/base/memory.h"
#include "common/wayland/relay-private.h"

uint32_t relay_import(struct relay *r, uint32_t resource, uint64_t size)
{
    struct link_import import = {.id = r->next_import++, .resource = resource, .size = size};
    link_queue(r->link, link_import_encode, &import);
    return import.id;
}

void relay_import_release(struct relay *r, uint32_t import)
{
    link_queue(r->link, link_id_encode, LINK_IMPORT_RELEASE, import);
}

void relay_import_released(struct relay *r, uint32_t import)
{
    link_queue(r->link, link_id_encode, LINK_IMPORT_RELEASED, import);
}

struct memory *relay_memory_import(struct relay *r, uint32_t import, uint64_t size,
                                   struct memory *file, uint64_t base)
{
    struct memory *memory = file ? memory_part(file, base, size) : memory_create(size);
    if (!memory)
        return NULL;
    memory->import = import;
    relay_memory_add(r, memory, relay_vfd_new_id(r));
    relay_memory_use(memory);
    struct link_mem_import m = {.id = memory->id, .import = import, .size = size};
    link_queue(r->link, link_mem_import_encode, &m);
    return memory;
}

void relay_copy_rows(struct relay *r, struct memory *memory, struct link_mem_write rows,
                     uint32_t import, uint64_t source_offset, uint32_t source_stride)
{
    struct link_mem_copy copy = {.to = rows,
                                 .import = import,
                                 .source_offset = source_offset,
                                 .source_stride = source_stride};
    copy.to.id = memory->id;
    link_queue(r->link, link_mem_copy_encode, &copy);
    r->counted_copies += (uint64_t)rows.row * rows.rows;
}

static int add_import(struct relay *r, const struct link_import *import)
{
    if (import->id != r->next_import)
        return relay_vfd_broken(r, "IMPORT ids must count up", import->id);
    r->next_import++;
    return r->ops->import(r, import);
}

static int import_memory(struct relay *r, const struct link_mem_import *import)
{
    if (import->id != r->peer_next_id)
        return relay_vfd_broken(r, "VFD ids must count up", import->id);
    r->peer_next_id++;
    if (!relay_vfd_room(r, "MEM_IMPORT"))
        return -EPROTO;
    struct memory *memory = r->ops->import_memory(r, import);
    if (!memory)
        return -EPROTO;
    memory->import = import->import;
    relay_memory_add(r, memory, import->id);
    return 0;
}

/* The memory that is meant (NULL: it is gone, and so is the copy), and where the rows end in it. 0,
 * or negative after relay_fail(). */
static int find_target(struct relay *r, const struct link_mem_copy *copy, struct memory **ret,
                       uint64_t *ret_end)
{
    const struct link_mem_write *to = &copy->to;
    *ret = relay_memory_find(r, to->id);
    *ret_end = to->offset + (uint64_t)(to->rows - 1) * to->stride + to->row;
    if (!*ret && !relay_vfd_was_made(r, to->id))
        return relay_vfd_broken(r, "MEM_COPY to an id that never was", to->id);
    if (*ret && *ret_end > (*ret)->size)
        return relay_vfd_broken(r, "MEM_COPY beyond the memory", to->id);
    return 0;
}

/* guest: the host says that a screen copy is in a resource of ours. */
static int copied_back(struct relay *r, const struct link_mem_copy *copy)
{
    struct memory *m;
    uint64_t end;
    int e = find_target(r, copy, &m, &end);
    if (e < 0 || !m)
        return e;
    if (m->import != copy->import || copy->source_offset != copy->to.offset ||
        copy->source_stride != copy->to.stride)
        return relay_vfd_broken(r, "MEM_COPY of other bytes than the memory's", copy->to.id);
    /* or the client gave the copy up meanwhile */
    return relay_memory_captured(m, copy->to.offset, end) ? r->ops->copied_back(r, m, copy) : 0;
}

static int copy_rows(struct relay *r, const struct link_mem_copy *copy)
{
    uint64_t end, size = (uint64_t)copy->to.row * copy->to.rows;
    struct memory *m;
    int e = find_target(r, copy, &m, &end);
    if (e < 0 || !m)
        return e;
    if (!m->shared && !relay_charge(r, size))
        return -EPROTO;
    e = r->ops->copy(r, m, copy);
    if (e == 0)
        *(m->shared ? &r->counted_shared : &r->counted_copies) += size;
    return e;
}

int relay_import_frame(struct relay *r, enum link_type type, const uint8_t *payload, size_t size)
{
    union {
        struct link_import import;
        struct link_mem_copy copy;
        struct link_mem_import memory;
        uint32_t id;
    } f;
    int e;
    bool quiet = r->side == RELAY_HOST && r->local_done; /* nobody is left to see it */
    switch (type) {
    case LINK_IMPORT:
        e = link_import_decode(payload, size, &f.import);
        if (e == LINK_OK)
            return quiet ? 0 : add_import(r, &f.import);
        break;
    case LINK_MEM_COPY:
        e = link_mem_copy_decode(payload, size, &f.copy);
        if (e == LINK_OK && r->side == RELAY_GUEST)
            return copied_back(r, &f.copy);
        if (e == LINK_OK)
            return quiet ? 0 : copy_rows(r, &f.copy);
        break;
    case LINK_MEM_IMPORT:
        e = link_mem_import_decode(payload, size, &f.memory);
        if (e == LINK_OK)
            return quiet ? 0 : import_memory(r, &f.memory);
        break;
    default:
        e = link_id_decode(payload, size, &f.id);
        if (e != LINK_OK)
            break;
        if (quiet)
            return 0;
        if (f.id == 0 || f.id >= r->next_import)
            return relay_vfd_broken(r, "an import that never was", f.id);
        if (type == LINK_IMPORT_RELEASE)
            return r->ops->import_release(r, f.id);
        r->ops->import_released(r, f.id);
        return 0;
    }
    relay_fail(r, LINK_ERROR_PROTOCOL, 0, WL_DISPLAY_IMPLEMENTATION,
               "the other proxy sent a malformed %s frame: %s", link_type_name(type),
               link_decode_error_name(e));
    return -EPROTO;
}
