/* SPDX-License-Identifier: MIT */
/* import: owns the client's imports. One lives until the guest has released it and nobody looks
 * into it any more; what was handed to a compositor cannot be taken back. */
#include "host-proxy/pixels/import.h"

#include <errno.h>
#include <search.h>
#include <stdarg.h>
#include <stdlib.h>

#include "common/base/fd.h"
#include "common/base/fourcc.h"
#include "host-proxy/pixels/trials.h"

static void memory_gone(struct import_note *note)
{
    struct import *i = (struct import *)note;
    i->memory = NULL;
    import_finish_release(i);
}

void import_give_pages(struct import *i, struct memory *memory)
{
    i->note.gone = memory_gone;
    i->memory = memory;
    import_note_attach(memory, &i->note);
}

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

int imports_refuse(struct refusal *why, enum import_rule rule, const char *format, ...)
{
    struct refusal what;
    va_list args;
    va_start(args, format);
    refusal_setv(&what, rule, format, args);
    va_end(args);
    return refusal_set(why, rule, "%.256s (GPU rule: %s)", what.text, import_rule_name(rule));
}

void imports_fail(struct imports *m, const struct refusal *why)
{
    if (m->failed)
        return;
    m->failed = true;
    m->ops->failed(m->owner, why);
}

void imports_settle(struct imports *m)
{
    if (--m->waiting == 0 && !m->failed)
        m->ops->idle(m->owner);
}

static int by_name(const void *a, const void *b)
{
    const struct import *x = a, *y = b;
    return (x->said.id > y->said.id) - (x->said.id < y->said.id);
}

static int by_held(const void *a, const void *b)
{
    const struct import *x = a, *y = b;
    return (x->buffer.id > y->buffer.id) - (x->buffer.id < y->buffer.id);
}

struct import *imports_find(const struct imports *m, uint32_t id)
{
    const struct import key = {.said.id = id};
    struct import *const *i = tfind(&key, &m->named, by_name);
    return i ? *i : NULL;
}

struct import *imports_find_held(const struct imports *m, uint32_t id)
{
    const struct import key = {.buffer.id = id};
    struct import *const *i = tfind(&key, &m->held, by_held);
    return i ? *i : NULL;
}

int import_hold(struct import *i, const struct export_buffer *buffer)
{
    i->buffer = *buffer;
    struct import *const *found = tsearch(i, &i->owner->held, by_held);
    if (!found || *found != i)
        return found ? -EEXIST : -ENOMEM;
    i->state = IMPORT_HELD;
    return 0;
}

void import_unname(struct import *i)
{
    if (!i->released)
        tdelete(i, &i->owner->named, by_name);
    i->released = true;
}

void import_set_pages(struct import *i, int fd)
{
    i->owner->pages_n += (fd >= 0) - (i->fd >= 0);
    fd_close(i->fd);
    i->fd = fd;
}

void import_let_go(struct import *i, enum import_rule why)
{
    if (i->state == IMPORT_HELD) {
        tdelete(i, &i->owner->held, by_held);
        handles_release(i->owner->handles, i->buffer.id);
    }
    if (i->state != IMPORT_GONE)
        i->gone = why;
    i->state = IMPORT_GONE;
    import_set_pages(i, -1);
}

void import_copies_drop(struct import *i)
{
    while (i->copies) {
        struct import_copy *c = i->copies;
        i->copies = c->next;
        memory_unref(c->memory);
        free(c);
    }
    i->last = &i->copies;
}

static void import_unpay(struct imports *m)
{
    budget_give(m->budget, BUDGET_FDS, 1);
    budget_give(m->budget, BUDGET_MEMORY, sizeof(struct import));
}

struct import *import_create(struct imports *m, const struct link_import *said)
{
    int e = budget_take(m->budget, BUDGET_FDS, 1);
    if (e == 0 && (e = budget_take(m->budget, BUDGET_MEMORY, sizeof(struct import))) < 0)
        budget_give(m->budget, BUDGET_FDS, 1);
    struct import *i = e == 0 ? calloc(1, sizeof(*i)) : NULL;
    if (i)
        *i = (struct import){.owner = m, .said = *said, .fd = -1};
    if (!i || !tsearch(i, &m->named, by_name)) {
        if (e == 0)
            import_unpay(m);
        free(i);
        errno = e < 0 ? -e : ENOMEM;
        return NULL;
    }
    i->last = &i->copies;
    LIST_INSERT_HEAD(&m->all, i, entry);
    return i;
}

void import_destroy(struct import *i)
{
    struct imports *m = i->owner;
    handles_forget(m->handles, i);
    if (i->on_trial)
        trials_forget(m->trials, i);
    import_unname(i);
    import_let_go(i, IMPORT_KNOWN);
    import_copies_drop(i);
    memory_unref(i->mirror);
    if (i->memory)
        memory_detach(i->memory, &i->note.note);
    LIST_REMOVE(i, entry);
    import_unpay(m);
    free(i);
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

uint32_t import_picture_row(const struct export_buffer *buffer)
{
    uint32_t cpp = fourcc_cpp(buffer->fourcc);
    return cpp && buffer->width <= UINT32_MAX / cpp ? buffer->width * cpp : 0;
}
