/* SPDX-License-Identifier: MIT */
/* imports: says which rule forbids what. An import is asked for as soon as it is named; copies out
 * of it wait until the device has answered. A copy is a request of its own: the client's frames
 * after it wait until it is done, those of others do not.
 *
 * Memory that is an import is the guest's pages where the device makes a udmabuf of them. The
 * compositor then sees what the guest writes, and a copy is nothing but the word that it has
 * written. What was handed to a compositor cannot be taken back, so a client that was given such
 * memory ends when the resource, the guest's driver or the device does. */
#include "host-proxy/pixels/imports.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <drm_fourcc.h>

#include "common/base/fd.h"
#include "common/base/fourcc.h"
#include "common/base/memory.h"
#include "common/wayland/shm-formats.h"
#include "common/wayland/wl-shm.h"
#include "host-proxy/pixels/import-copies.h"
#include "host-proxy/pixels/trials.h"

#define WAITING_MAX 256 /* of one client */
#define PAGES_MAX 64    /* descriptors of a client's imports that no memory has taken (yet) */

static void exported(void *user, uint32_t status, const struct export_buffer *buffer, int fd);

/* Somebody has pages that are not the client's any more. */
static void fail_shared(const struct import *i, enum import_rule rule, const char *reason)
{
    struct refusal why;
    imports_refuse(&why, rule, "%s import %u: %s", i->owner->holder, i->said.id, reason);
    imports_fail(i->owner, &why);
}

static void imports_gone(struct handles_user *user, uint32_t id)
{
    struct imports *m = (struct imports *)((char *)user - offsetof(struct imports, user));
    struct import *i = imports_find_held(m, id);
    if (!i)
        return;
    if (i->memory || i->given) /* before the device lets the guest go on */
        fail_shared(i, IMPORT_GENERATION, "the guest destroyed the resource");
    import_let_go(i, IMPORT_GENERATION);
}

static void imports_lost(struct handles_user *user, bool reset, const char *reason)
{
    struct imports *m = (struct imports *)((char *)user - offsetof(struct imports, user));
    struct refusal why;
    enum import_rule rule = reset ? IMPORT_EPOCH : IMPORT_DEVICE;
    bool back = false;
    struct import *i;
    LIST_FOREACH (i, &m->all, entry) {
        if (i->memory || i->given)
            fail_shared(i, rule, reason);
        import_let_go(i, rule);
        import_copies_drop(i);
        if (i->on_trial)
            trials_forget(m->trials, i);
        i->on_trial = false;
        back |= i->back == BACK_ASKED;
        i->back = BACK_NONE;
    }
    bool waited = m->waiting > 0;
    m->waiting = 0;
    if (waited) {
        imports_refuse(&why, rule, "pixels in the guest's GPU cannot be had: %s", reason);
        imports_fail(m, &why);
    }
    if (back && !m->failed) /* what there is can be had in another way */
        m->ops->copied_back(m->owner);
}

void imports_init(struct imports *m, struct handles *handles, struct budget *budget,
                  const struct imports_ops *ops, void *owner)
{
    *m = (struct imports){.handles = handles,
                          .budget = budget,
                          .ops = ops,
                          .holder = "the compositor shows",
                          .owner = owner,
                          .user = {.gone = imports_gone, .lost = imports_lost}};
    if (handles)
        handles_join(handles, &m->user);
}

void imports_stop(struct imports *m)
{
    m->failed = true;
}

void imports_finish(struct imports *m)
{
    imports_stop(m);
    while (!LIST_EMPTY(&m->all))
        import_destroy(LIST_FIRST(&m->all));
    if (m->handles)
        handles_leave(m->handles, &m->user);
    m->handles = NULL;
}

/* Which limit it is; NULL: none of ours. */
static const char *over_quota(int error)
{
    return error == EDQUOT   ? "memory limit: the VM has no more (max-memory)"
           : error == EMFILE ? "descriptor limit: the VM has no more (max-fds)"
                             : NULL;
}

int imports_add(struct imports *m, const struct link_import *said, struct refusal *why)
{
    if (!handles_bound(m->handles))
        return imports_refuse(why, IMPORT_SESSION, "import %u: no GPU device of this VM is bound",
                              said->id);
    if (imports_find(m, said->id))
        return imports_refuse(why, IMPORT_UNIQUE, "import %u: the id is taken", said->id);
    struct import *i = import_create(m, said);
    if (!i && over_quota(errno))
        return imports_refuse(why, IMPORT_QUOTA, "import %u: %s", said->id, over_quota(errno));
    if (!i)
        return imports_refuse(why, IMPORT_DEVICE, "import %u: out of memory", said->id);
    if (handles_export(m->handles, said->resource, exported, i) < 0) {
        import_destroy(i);
        return imports_refuse(why, IMPORT_DEVICE, "import %u: out of memory", said->id);
    }
    m->waiting++;
    return IMPORT_OK;
}

/* What the device draws for the guest, and can read back. */
static bool is_picture(const struct export_buffer *buffer)
{
    uint32_t row = import_picture_row(buffer);
    return buffer->n_planes == 1 && row > 0 && buffer->stride[0] >= row;
}

/* The rule that an answer to EXPORT breaks. */
static enum import_rule judge(const struct import *i, uint32_t status,
                              const struct export_buffer *buffer)
{
    switch (status) {
    case EXPORT_OK:
        break;
    case EXPORT_UNKNOWN:
    case EXPORT_EMPTY:
        return IMPORT_LOOKUP;
    case EXPORT_UNMARKED:
        return IMPORT_MARK;
    case EXPORT_UNBOUND:
        return IMPORT_SESSION;
    default:
        return IMPORT_DEVICE;
    }
    if (buffer->memory == EXPORT_MEMORY_HOST) /* its layout and size are the device's to say */
        return is_picture(buffer) ? IMPORT_OK : IMPORT_MEMORY;
    if (buffer->memory != EXPORT_MEMORY_GUEST)
        return IMPORT_MEMORY;
    return i->said.size <= buffer->size ? IMPORT_OK : IMPORT_SIZE;
}

static void tried(void *user, bool takes)
{
    struct import *i = user;
    i->on_trial = false;
    if (!takes)
        import_set_pages(i, -1);
    imports_settle(i->owner);
}

/* Whether the compositor could use @fd. It may be asked first, which takes a request more. */
static bool import_usable(struct import *i, const struct export_buffer *buffer, int fd)
{
    struct imports *m = i->owner;
    off_t size = lseek(fd, 0, SEEK_END);
    if (m->pages_n >= PAGES_MAX)
        return false;
    if (buffer->kind == EXPORT_KIND_UDMABUF)
        return size >= 0 && (uint64_t)size >= i->said.size;
    if (m->direct)
        return true;
    i->on_trial = buffer->memory == EXPORT_MEMORY_HOST && m->trials && !m->failed &&
                  trials_ask(m->trials, buffer, fd, tried, i) == 0;
    m->waiting += i->on_trial;
    return i->on_trial;
}

static void exported(void *user, uint32_t status, const struct export_buffer *buffer, int fd)
{
    struct import *i = user;
    struct imports *m = i->owner;
    struct refusal why;
    enum import_rule rule = judge(i, status, buffer);
    int e = status == EXPORT_OK ? import_hold(i, buffer) : 0;
    if (e == -ENOMEM)
        handles_release(m->handles, buffer->id);
    if (e < 0)
        rule = IMPORT_DEVICE;
    if (rule == IMPORT_OK && fd >= 0 && import_usable(i, buffer, fd))
        import_set_pages(i, fd_steal(&fd));
    fd_close(fd);
    if (rule != IMPORT_OK) {
        import_let_go(i, rule);
        imports_refuse(&why, rule, "import %u of %llu bytes in resource %u: %s", i->said.id,
                       (unsigned long long)i->said.size, i->said.resource,
                       status != EXPORT_OK ? export_status_name(status)
                                           : "not what the guest says");
        imports_fail(m, &why);
    }
    import_copies_start(i, rule == IMPORT_OK);
    if (rule == IMPORT_OK && m->ops->answered && !m->failed)
        m->ops->answered(m->owner, i->said.id,
                         i->fd >= 0                             ? LINK_IMPORTED_SHARED
                         : buffer->memory == EXPORT_MEMORY_HOST ? LINK_IMPORTED_DRAWN
                                                                : LINK_IMPORTED_NOT);
    imports_settle(m);
}

int imports_memory(struct imports *m, const struct link_mem_import *said,
                   struct memory **ret_memory, struct refusal *why)
{
    struct import *i = imports_find(m, said->import);
    if (!i)
        return imports_refuse(why, IMPORT_KNOWN, "memory of import %u, which is not there",
                              said->import);
    if (said->size > i->said.size)
        return imports_refuse(why, IMPORT_GEOMETRY, "memory of %llu bytes of import %u of %llu",
                              (unsigned long long)said->size, said->import,
                              (unsigned long long)i->said.size);
    if (i->state == IMPORT_GONE)
        return imports_refuse(why, i->gone, "memory of import %u, which is not to be had any more",
                              said->import);
    bool pages = i->fd >= 0;
    m->pages_n -= pages;
    struct memory *memory = pages ? memory_share(fd_steal(&i->fd), said->size, m->budget)
                                  : memory_create(said->size, m->budget);
    if (!memory && over_quota(errno))
        return imports_refuse(why, IMPORT_QUOTA, "memory of import %u: %s", said->import,
                              over_quota(errno));
    if (!memory)
        return imports_refuse(why, IMPORT_DEVICE, "no memory of %llu bytes: %s",
                              (unsigned long long)said->size, strerror(errno));
    if (memory_is_foreign(memory)) {
        i->note.picture = i->buffer.kind == EXPORT_KIND_DMABUF ? &i->buffer : NULL;
        i->note.late = i->note.picture || m->linear;
        import_give_pages(i, memory);
    }
    *ret_memory = memory;
    return IMPORT_OK;
}

int imports_open(struct imports *m, uint32_t id, uint64_t *ret_size)
{
    struct import *i = imports_find(m, id);
    off_t size = i && i->fd >= 0 && !m->failed ? lseek(i->fd, 0, SEEK_END) : -1;
    if (size < 0)
        return -1;
    m->pages_n--;
    i->given = true;
    *ret_size = (uint64_t)size;
    return fd_steal(&i->fd);
}

int imports_buffer(const struct memory_buffer *b, uint32_t id, struct refusal *why)
{
    const struct shm_format *known = shm_format_find(b->format);
    if (!known)
        return imports_refuse(why, IMPORT_FORMAT, "wl_buffer#%u of import %u: unknown format %#x",
                              b->id, id, b->format);
    if ((uint64_t)b->width * known->cpp > b->stride)
        return imports_refuse(why, IMPORT_GEOMETRY,
                              "wl_buffer#%u of import %u: rows of %u pixels, every %u bytes", b->id,
                              id, b->width, b->stride);
    const struct import_note *note = import_note(b->memory);
    const struct export_buffer *picture = note ? note->picture : NULL;
    if (picture && (b->offset > 0 || b->width > picture->width || b->height > picture->height))
        return imports_refuse(
            why, IMPORT_GEOMETRY,
            "wl_buffer#%u of import %u: %ux%u pixels from byte %llu of a picture of %ux%u", b->id,
            id, b->width, b->height, (unsigned long long)b->offset, picture->width,
            picture->height);
    if (picture && !fourcc_alike(shm_format_fourcc(b->format), picture->fourcc))
        return imports_refuse(why, IMPORT_FORMAT,
                              "wl_buffer#%u of import %u: format %#x of a picture of %#x", b->id,
                              id, b->format, picture->fourcc);
    return IMPORT_OK;
}

int imports_release(struct imports *m, uint32_t id, struct refusal *why)
{
    struct import *i = imports_find(m, id);
    if (!i)
        return imports_refuse(why, IMPORT_KNOWN, "release of import %u, which is not there", id);
    import_unname(i);
    import_finish_release(i);
    return IMPORT_OK;
}

bool imports_may_go_on(const struct imports *m, enum link_type type)
{
    return type == LINK_IMPORT || type == LINK_MEM_COPY ? m->waiting < WAITING_MAX
                                                        : m->waiting == 0;
}
