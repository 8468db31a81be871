/* SPDX-License-Identifier: MIT */
/* An import is asked for as soon as it is named; copies out of it wait until the device has
 * answered. A copy is a request of its own: the client's frames after it wait until it is done,
 * those of others do not.
 *
 * Memory that is an import is the guest's pages where the device makes a udmabuf of them. The
 * compositor then sees what the guest writes, and a copy is nothing but the word that it has
 * written. What was handed to a compositor cannot be taken back, so a client that was given such
 * memory ends when the resource, the guest's driver or the device does. */
#include "host-proxy/pixels/imports-private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <drm_fourcc.h>

#include "common/base/fd.h"
#include "common/base/fourcc.h"
#include "common/base/memory.h"
#include "common/wayland/wl-shm.h"
#include "host-proxy/pixels/trials.h"

#define WAITING_MAX 256 /* of one client */
#define PAGES_MAX 64    /* descriptors of a client's imports that no memory has taken (yet) */

static void exported(void *user, uint32_t status, const struct export_buffer *buffer, int fd);

const char *import_rule_name(enum import_rule rule)
{
    static const char *const names[_IMPORT_RULE_N] = {
        [IMPORT_OK] = "ok",
        [IMPORT_SESSION] = "session",
        [IMPORT_UNIQUE] = "unique",
        [IMPORT_QUOTA] = "quota",
        [IMPORT_LOOKUP] = "look-up",
        [IMPORT_MARK] = "mark",
        [IMPORT_EPOCH] = "epoch",
        [IMPORT_MEMORY] = "memory",
        [IMPORT_SIZE] = "size",
        [IMPORT_KNOWN] = "known",
        [IMPORT_GEOMETRY] = "geometry",
        [IMPORT_FORMAT] = "format",
        [IMPORT_GENERATION] = "generation",
        [IMPORT_DEVICE] = "device",
    };
    return rule < _IMPORT_RULE_N ? names[rule] : "unknown";
}

enum import_rule imports_refuse(enum import_rule rule, char *text, size_t text_size,
                                const char *format, ...)
{
    char what[256];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    snprintf(text, text_size, "%s (GPU rule: %s)", what, import_rule_name(rule));
    return rule;
}

struct import *imports_find(const struct imports *m, uint32_t id)
{
    struct import *i = m->first;
    while (i && (i->said.id != id || i->released))
        i = i->next;
    return i;
}

static void let_go(struct import *i, enum import_rule why)
{
    if (i->state == IMPORT_HELD)
        handles_release(i->owner->handles, i->buffer.id);
    if (i->state != IMPORT_GONE)
        i->gone = why;
    i->state = IMPORT_GONE;
    i->fd = fd_close(i->fd);
}

static void import_destroy(struct import *i)
{
    struct imports *m = i->owner;
    handles_forget(m->handles, i);
    if (i->on_trial)
        trials_forget(m->trials, i);
    let_go(i, IMPORT_KNOWN);
    import_copies_drop(i);
    memory_unref(i->mirror);
    if (i->memory)
        i->memory->gone = NULL;
    if (i->prev)
        i->prev->next = i->next;
    else
        m->first = i->next;
    if (i->next)
        i->next->prev = i->prev;
    m->n--;
    free(i);
}

void imports_fail(struct imports *m, enum import_rule rule, const char *text)
{
    if (m->failed)
        return;
    m->failed = true;
    m->ops->failed(m->owner, rule, text);
}

void imports_settle(struct imports *m)
{
    if (--m->waiting == 0 && !m->failed)
        m->ops->idle(m->owner);
}

/* The compositor has pages that are not the client's any more. */
static void fail_shared(const struct import *i, enum import_rule rule, const char *why)
{
    char text[320];
    imports_refuse(rule, text, sizeof(text), "the compositor shows import %u: %s", i->said.id, why);
    imports_fail(i->owner, rule, text);
}

static void gone(struct handles_user *user, uint32_t id)
{
    struct imports *m = (struct imports *)((char *)user - offsetof(struct imports, user));
    for (struct import *i = m->first; i; i = i->next) {
        if (i->state != IMPORT_HELD || i->buffer.id != id)
            continue;
        if (i->memory) /* before the device lets the guest go on */
            fail_shared(i, IMPORT_GENERATION, "the guest destroyed the resource");
        let_go(i, IMPORT_GENERATION);
    }
}

static void lost(struct handles_user *user, bool reset, const char *why)
{
    struct imports *m = (struct imports *)((char *)user - offsetof(struct imports, user));
    char text[320];
    enum import_rule rule = reset ? IMPORT_EPOCH : IMPORT_DEVICE;
    bool back = false;
    for (struct import *i = m->first; i; i = i->next) {
        if (i->memory)
            fail_shared(i, rule, why);
        let_go(i, rule);
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
        imports_refuse(rule, text, sizeof(text), "pixels in the guest's GPU cannot be had: %s",
                       why);
        imports_fail(m, rule, text);
    }
    if (back && !m->failed) /* what there is can be had in another way */
        m->ops->copied_back(m->owner);
}

void imports_init(struct imports *m, struct handles *handles, const struct imports_ops *ops,
                  void *owner)
{
    *m = (struct imports){
        .handles = handles, .ops = ops, .owner = owner, .user = {.gone = gone, .lost = lost}};
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
    while (m->first)
        import_destroy(m->first);
    if (m->handles)
        handles_leave(m->handles, &m->user);
    m->handles = NULL;
}

enum import_rule imports_add(struct imports *m, const struct link_import *said, char *text,
                             size_t text_size)
{
    if (!handles_bound(m->handles))
        return imports_refuse(IMPORT_SESSION, text, text_size,
                              "import %u: no GPU device of this VM is bound", said->id);
    if (imports_find(m, said->id))
        return imports_refuse(IMPORT_UNIQUE, text, text_size, "import %u: the id is taken",
                              said->id);
    if (m->n >= IMPORTS_MAX)
        return imports_refuse(IMPORT_QUOTA, text, text_size, "import %u: the client has %u already",
                              said->id, m->n);
    struct import *i = calloc(1, sizeof(*i));
    if (!i)
        return imports_refuse(IMPORT_DEVICE, text, text_size, "import %u: out of memory", said->id);
    *i = (struct import){.owner = m, .said = *said, .fd = -1, .next = m->first};
    i->last = &i->copies;
    if (i->next)
        i->next->prev = i;
    m->first = i;
    m->n++;
    if (handles_export(m->handles, said->resource, exported, i) < 0) {
        import_destroy(i);
        return imports_refuse(IMPORT_DEVICE, text, text_size, "import %u: out of memory", said->id);
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
        i->fd = fd_close(i->fd);
    imports_settle(i->owner);
}

/* Whether the compositor could use @fd. It may be asked first, which takes a request more. */
static bool usable(struct import *i, const struct export_buffer *buffer, int fd)
{
    struct imports *m = i->owner;
    off_t size = lseek(fd, 0, SEEK_END);
    unsigned held = 0;
    for (const struct import *other = m->first; other; other = other->next)
        held += other->fd >= 0;
    if (held >= PAGES_MAX)
        return false;
    if (buffer->kind == EXPORT_KIND_UDMABUF)
        return size >= 0 && (uint64_t)size >= i->said.size;
    i->on_trial = buffer->memory == EXPORT_MEMORY_HOST && m->trials && !m->failed &&
                  trials_ask(m->trials, buffer, fd, tried, i) == 0;
    m->waiting += i->on_trial;
    return i->on_trial;
}

static void exported(void *user, uint32_t status, const struct export_buffer *buffer, int fd)
{
    struct import *i = user;
    struct imports *m = i->owner;
    char text[320];
    enum import_rule rule = judge(i, status, buffer);
    if (status == EXPORT_OK) {
        i->state = IMPORT_HELD;
        i->buffer = *buffer;
        i->fd = fd >= 0 && rule == IMPORT_OK && usable(i, buffer, fd) ? fd : fd_close(fd);
    }
    if (rule != IMPORT_OK) {
        let_go(i, rule);
        imports_refuse(rule, text, sizeof(text), "import %u of %llu bytes in resource %u: %s",
                       i->said.id, (unsigned long long)i->said.size, i->said.resource,
                       status != EXPORT_OK ? export_status_name(status)
                                           : "not what the guest says");
        imports_fail(m, rule, text);
    }
    import_copies_start(i, rule == IMPORT_OK);
    imports_settle(m);
}

/* When the guest does not name it, no compositor sees it, and nothing is written to it. */
void import_finish_release(struct import *i)
{
    struct imports *m = i->owner;
    uint32_t id = i->said.id;
    if (!i->released || i->memory || i->back == BACK_ASKED || m->failed)
        return;
    import_destroy(i);
    m->ops->released(m->owner, id);
}

static void memory_gone(void *user, struct memory *memory)
{
    struct import *i = user;
    (void)memory;
    i->memory = NULL;
    import_finish_release(i);
}

enum import_rule imports_memory(struct imports *m, const struct link_mem_import *said,
                                struct memory **ret_memory, char *text, size_t text_size)
{
    struct import *i = imports_find(m, said->import);
    if (!i)
        return imports_refuse(IMPORT_KNOWN, text, text_size,
                              "memory of import %u, which is not there", said->import);
    if (said->size > i->said.size)
        return imports_refuse(
            IMPORT_GEOMETRY, text, text_size, "memory of %llu bytes of import %u of %llu",
            (unsigned long long)said->size, said->import, (unsigned long long)i->said.size);
    if (i->state == IMPORT_GONE)
        return imports_refuse(i->gone, text, text_size,
                              "memory of import %u, which is not to be had any more", said->import);
    struct memory *memory =
        i->fd >= 0 ? memory_share(fd_steal(&i->fd), said->size) : memory_create(said->size);
    if (!memory)
        return imports_refuse(IMPORT_DEVICE, text, text_size, "no memory of %llu bytes: %s",
                              (unsigned long long)said->size, strerror(errno));
    if (memory->shared) {
        memory->picture = i->buffer.kind == EXPORT_KIND_DMABUF ? &i->buffer : NULL;
        memory->late = memory->picture || m->linear;
        i->memory = memory;
        memory->gone = memory_gone;
        memory->user = i;
    }
    *ret_memory = memory;
    return IMPORT_OK;
}

enum import_rule imports_buffer(const struct memory_buffer *b, char *text, size_t text_size)
{
    unsigned percent;
    uint32_t cpp = shm_format_cpp(b->format, &percent);
    if (!cpp && percent == 100)
        return imports_refuse(IMPORT_FORMAT, text, text_size,
                              "wl_buffer#%u of import %u: unknown format %#x", b->id,
                              b->memory->import, b->format);
    if (cpp && (uint64_t)b->width * cpp > b->stride)
        return imports_refuse(IMPORT_GEOMETRY, text, text_size,
                              "wl_buffer#%u of import %u: rows of %u pixels, every %u bytes", b->id,
                              b->memory->import, b->width, b->stride);
    const struct export_buffer *picture = b->memory->picture;
    if (picture && (b->offset > 0 || b->width > picture->width || b->height > picture->height))
        return imports_refuse(
            IMPORT_GEOMETRY, text, text_size,
            "wl_buffer#%u of import %u: %ux%u pixels from byte %llu of a picture of %ux%u", b->id,
            b->memory->import, b->width, b->height, (unsigned long long)b->offset, picture->width,
            picture->height);
    if (picture && !fourcc_alike(shm_format_fourcc(b->format), picture->fourcc))
        return imports_refuse(IMPORT_FORMAT, text, text_size,
                              "wl_buffer#%u of import %u: format %#x of a picture of %#x", b->id,
                              b->memory->import, b->format, picture->fourcc);
    return IMPORT_OK;
}

enum import_rule imports_release(struct imports *m, uint32_t id, char *text, size_t text_size)
{
    struct import *i = imports_find(m, id);
    if (!i)
        return imports_refuse(IMPORT_KNOWN, text, text_size,
                              "release of import %u, which is not there", id);
    i->released = true;
    import_finish_release(i);
    return IMPORT_OK;
}

bool imports_may_go_on(const struct imports *m, enum link_type type)
{
    return type == LINK_IMPORT || type == LINK_MEM_COPY ? m->waiting < WAITING_MAX
                                                        : m->waiting == 0;
}
