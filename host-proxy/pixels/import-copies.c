/* SPDX-License-Identifier: MIT */
/* import-copies: owns nothing but what waits: rows that the device copies out of the guest's memory
 * into a mirror, and back for screen copies. What is to be copied before the device has answered
 * EXPORT waits for that. */
#include "host-proxy/pixels/import-copies.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "common/base/fourcc.h"
#include "common/base/memory.h"

/* A mirror was taken, or a copy made. */
static void import_copy_done(void *user, uint32_t status, const struct export_buffer *buffer,
                             int fd)
{
    struct import *i = user;
    struct refusal why;
    (void)buffer;
    (void)fd;
    if (status != EXPORT_OK) {
        enum import_rule rule = status == EXPORT_STALE   ? IMPORT_GENERATION
                                : status == EXPORT_RANGE ? IMPORT_GEOMETRY
                                                         : IMPORT_DEVICE;
        imports_refuse(&why, rule, "a copy out of import %u: %s", i->said.id,
                       export_status_name(status));
        imports_fail(i->owner, &why);
    }
    imports_settle(i->owner);
}

/* Has the device know @memory as what it copies to. 0 or -errno; a request more may be under way.
 */
static int give_mirror(struct import *i, struct memory *memory)
{
    struct imports *m = i->owner;
    if (i->mirror == memory && i->mirror_size == memory->size)
        return 0;
    int fd = fcntl(memory->fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int r = handles_mirror(m->handles, i->buffer.id, fd, memory->size, import_copy_done, i);
    if (r < 0)
        return r;
    m->waiting++;
    memory_ref(memory);
    memory_unref(i->mirror);
    i->mirror = memory;
    i->mirror_size = memory->size;
    return 0;
}

/* The same pixels, where the device has them. The guest joins rows without gaps to one piece, and
 * so it knows them; what does not lie within the picture then, the device refuses. */
static void use_own_layout(const struct export_buffer *buffer, struct export_copy *copy)
{
    bool into = copy->flags & EXPORT_TO_GUEST;
    uint64_t *at = into ? &copy->target : &copy->source;
    uint32_t *stride = into ? &copy->target_stride : &copy->source_stride;
    uint32_t *mirror_stride = into ? &copy->source_stride : &copy->target_stride;
    uint32_t row = import_picture_row(buffer), length = copy->rects[0].width;
    if (buffer->memory != EXPORT_MEMORY_HOST)
        return;
    if (copy->rects[0].height == 1 && length > row) {
        *stride = *mirror_stride = row;
        copy->rects[0] = (struct export_rect){.width = row, .height = length / row};
        if (length % row)
            copy->rects[copy->n_rects++] =
                (struct export_rect){.y = length / row, .width = length % row, .height = 1};
    }
    *at = buffer->offset[0] + *at / *stride * buffer->stride[0] + *at % *stride;
    *stride = buffer->stride[0];
}

/* 0 or -errno. One (two, if the device has to be given the mirror first) request more is under way.
 */
static int ask_copy(struct import *i, struct memory *memory, const struct link_mem_copy *what)
{
    struct imports *m = i->owner;
    int r = give_mirror(i, memory);
    if (r < 0)
        return r;
    struct export_copy copy = {
        .id = i->buffer.id,
        .generation = i->buffer.generation,
        .source = what->source_offset,
        .target = what->to.offset,
        .source_stride = what->source_stride,
        .target_stride = what->to.stride,
        .n_rects = 1,
        .rects = {{.width = what->to.row, .height = what->to.rows}},
    };
    use_own_layout(&i->buffer, &copy);
    r = handles_copy(m->handles, &copy, import_copy_done, i);
    m->waiting += r == 0;
    return r;
}

void import_copies_start(struct import *i, bool possible)
{
    struct imports *m = i->owner;
    struct refusal why;
    while (i->copies) {
        struct import_copy *c = i->copies;
        i->copies = c->next;
        if (!i->copies)
            i->last = &i->copies;
        if (possible && ask_copy(i, c->memory, &c->what) < 0) {
            imports_refuse(&why, IMPORT_DEVICE, "a copy out of the guest's GPU: out of memory");
            imports_fail(m, &why);
        }
        memory_unref(c->memory);
        free(c);
        m->waiting--;
    }
}

int imports_copy(struct imports *m, struct memory *memory, const struct link_mem_copy *what,
                 struct refusal *why)
{
    struct import *i = imports_find(m, what->import);
    if (!i)
        return imports_refuse(why, IMPORT_KNOWN, "a copy out of import %u, which is not there",
                              what->import);
    uint64_t end =
        what->source_offset + (uint64_t)(what->to.rows - 1) * what->source_stride + what->to.row;
    if (end > i->said.size)
        return imports_refuse(why, IMPORT_GEOMETRY,
                              "a copy out of import %u up to byte %llu of %llu", what->import,
                              (unsigned long long)end, (unsigned long long)i->said.size);
    if (i->state == IMPORT_GONE)
        return imports_refuse(
            why, i->gone, "a copy out of import %u, which is not to be had any more", what->import);
    if (memory_is_foreign(memory)) /* which an import that is held has become */
        return memory == i->memory && what->source_offset == what->to.offset &&
                       (what->to.rows == 1 || what->source_stride == what->to.stride)
                   ? IMPORT_OK
                   : imports_refuse(why, IMPORT_GEOMETRY,
                                    "a copy into memory of the guest's own, out of import %u",
                                    what->import);
    if (i->state == IMPORT_HELD)
        return ask_copy(i, memory, what) < 0
                   ? imports_refuse(why, IMPORT_DEVICE,
                                    "a copy out of import %u: the device is gone", what->import)
                   : IMPORT_OK;
    struct import_copy *c = malloc(sizeof(*c));
    if (!c)
        return imports_refuse(why, IMPORT_DEVICE, "out of memory");
    *c = (struct import_copy){.memory = memory_ref(memory), .what = *what};
    *i->last = c;
    i->last = &c->next;
    m->waiting++;
    return IMPORT_OK;
}

static void import_copied_back(void *user, uint32_t status, const struct export_buffer *buffer,
                               int fd)
{
    struct import *i = user;
    struct refusal why;
    (void)buffer;
    (void)fd;
    struct imports *m = i->owner;
    i->back = BACK_DONE;
    if (status != EXPORT_OK) {
        imports_refuse(&why, IMPORT_DEVICE, "a copy into import %u: %s", i->said.id,
                       export_status_name(status));
        imports_fail(m, &why);
        return;
    }
    import_finish_release(i);
    m->ops->copied_back(m->owner);
}

enum imports_back imports_copy_back(struct imports *m, uint32_t id, struct memory *memory,
                                    const struct link_mem_write *rows)
{
    struct import *i = imports_find(m, id);
    if (!i || i->state != IMPORT_HELD)
        return memory_is_foreign(memory) ? IMPORTS_BACK_LOST : IMPORTS_BACK_NOT;
    if (i->back == BACK_ASKED)
        return IMPORTS_BACK_SOON;
    if (memory_is_foreign(memory) || i->back == BACK_DONE) {
        i->back = BACK_NONE;
        return IMPORTS_BACK;
    }
    struct export_copy copy = {
        .id = i->buffer.id,
        .flags = EXPORT_TO_GUEST,
        .generation = i->buffer.generation,
        .source = rows->offset,
        .target = rows->offset,
        .source_stride = rows->stride,
        .target_stride = rows->stride,
        .n_rects = 1,
        .rects = {{.width = rows->row, .height = rows->rows}},
    };
    use_own_layout(&i->buffer, &copy);
    if (give_mirror(i, memory) < 0 || handles_copy(m->handles, &copy, import_copied_back, i) < 0)
        return IMPORTS_BACK_NOT;
    i->back = BACK_ASKED;
    return IMPORTS_BACK_SOON;
}
