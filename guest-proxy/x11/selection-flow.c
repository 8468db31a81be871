/* SPDX-License-Identifier: MIT */
/* Owns the pipe's end, and a window of ours where X is to leave its pieces. No more than one piece
 * is held: the next one is asked for, or read, when the one before has gone. */
#include "guest-proxy/x11/selection-flow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/base/list.h"
#include "common/base/loop.h"

#define PIECE (64u << 10)
#define PATIENCE_MS 30000

struct flow {
    LIST_ENTRY(flow) entry;
    struct flow_base base;
    bool serves; /* to X; else it fetches */
    int fd;
    struct loop_io *io;
    struct loop_timer *patience;
    /* fetch */
    xcb_window_t window;
    xcb_atom_t selection;
    bool answered, pieces, ended;
    uint32_t offset; /* in the property, in words */
    bool more;       /* of the property */
    /* serve */
    xcb_selection_request_event_t request;
    xcb_atom_t type;
    bool begun;  /* the program knows that pieces come */
    bool wanted; /* it has taken the last one */
    bool done;   /* the pipe is at its end */
    size_t n, at;
    uint8_t piece[PIECE];
};

static unsigned count(const struct flows *flows)
{
    const struct flow *f;
    unsigned n = 0;
    LIST_FOREACH (f, flows, entry)
        n++;
    return n;
}

static void flow_end(struct flow *f)
{
    loop_io_destroy(f->io);
    loop_timer_destroy(f->patience);
    fd_close(f->fd);
    if (f->window)
        xcb_destroy_window(f->base.x, f->window);
    xcb_flush(f->base.x);
    LIST_REMOVE(f, entry);
    free(f);
}

static void nothing_moves(void *user)
{
    struct flow *f = user;
    if (f->serves && !f->begun)
        flow_answer(f->base.x, &f->request, XCB_ATOM_NONE);
    flow_end(f);
}

static void moved(struct flow *f)
{
    loop_timer_arm(f->patience, PATIENCE_MS);
}

/* Takes @fd. */
static struct flow *flow_begin(const struct flow_base *base, int fd, unsigned events,
                               void (*ready)(void *user, unsigned events))
{
    struct flow *f = count(base->flows) < FLOWS_MAX ? calloc(1, sizeof(*f)) : NULL;
    if (!f) {
        fd_close(fd);
        return NULL;
    }
    f->base = *base;
    f->fd = fd;
    LIST_INSERT_HEAD(base->flows, f, entry);
    f->patience = loop_timer_create(base->loop, nothing_moves, f);
    f->io = loop_io_create(base->loop, fd, events, ready, f);
    if (!f->io || !f->patience || fd_set_nonblock(fd) < 0) {
        flow_end(f);
        return NULL;
    }
    moved(f);
    return f;
}

/* The next piece of the property, if there is one. */
static void fetch_piece(struct flow *f)
{
    xcb_connection_t *x = f->base.x;
    xcb_get_property_reply_t *r =
        xcb_get_property_reply(x,
                               xcb_get_property(x, 1, f->window, f->base.atoms->of[X_WL_SELECTION],
                                                XCB_GET_PROPERTY_TYPE_ANY, f->offset, PIECE / 4),
                               NULL);
    if (!r || (r->type == XCB_ATOM_NONE && !f->pieces)) {
        free(r);
        return flow_end(f);
    }
    if (r->type == XCB_ATOM_NONE) { /* the owner has not put it there yet */
        free(r);
        return;
    }
    if (r->type == f->base.atoms->of[X_INCR] && !f->pieces) {
        f->pieces = true; /* asked for by removing this */
        f->n = 0;
        free(r);
        return;
    }
    f->n = (size_t)xcb_get_property_value_length(r);
    if (f->n > PIECE)
        f->n = PIECE;
    memcpy(f->piece, xcb_get_property_value(r), f->n);
    f->at = 0;
    f->more = r->bytes_after > 0;
    f->offset = f->more ? f->offset + (uint32_t)(f->n / 4) : 0;
    if (!f->more && (!f->pieces || f->n == 0))
        f->ended = true;
    free(r);
    moved(f);
    if (f->n)
        loop_io_set(f->io, LOOP_WRITE);
    else if (f->ended)
        flow_end(f);
}

static void fetch_ready(void *user, unsigned events)
{
    struct flow *f = user;
    if (!(events & LOOP_WRITE))
        return;
    ssize_t n = write(f->fd, f->piece + f->at, f->n - f->at);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0)
        return flow_end(f); /* nobody reads any more */
    moved(f);
    f->at += (size_t)n;
    if (f->at < f->n)
        return;
    loop_io_set(f->io, 0);
    f->n = 0;
    if (f->ended)
        return flow_end(f);
    f->base.asked(f->base.user);
    fetch_piece(f); /* or what has come meanwhile */
}

int flow_fetch(const struct flow_base *base, xcb_window_t root, xcb_atom_t selection,
               xcb_atom_t target, int fd)
{
    struct flow *f = flow_begin(base, fd, 0, fetch_ready);
    if (!f)
        return -ENOMEM;
    uint32_t events = XCB_EVENT_MASK_PROPERTY_CHANGE;
    f->selection = selection;
    f->window = xcb_generate_id(base->x);
    xcb_create_window(base->x, XCB_COPY_FROM_PARENT, f->window, root, -1, -1, 1, 1, 0,
                      XCB_WINDOW_CLASS_INPUT_ONLY, XCB_COPY_FROM_PARENT, XCB_CW_EVENT_MASK,
                      &events);
    xcb_convert_selection(base->x, f->window, selection, target, base->atoms->of[X_WL_SELECTION],
                          XCB_CURRENT_TIME);
    xcb_flush(base->x);
    return 0;
}

static void fetch_answered(struct flow *f, const xcb_selection_notify_event_t *e)
{
    if (e->property == XCB_ATOM_NONE)
        return flow_end(f);
    f->answered = true;
    fetch_piece(f);
}

static void fetch_property(struct flow *f, const xcb_property_notify_event_t *e)
{
    if (f->answered && f->pieces && !f->n && e->state == XCB_PROPERTY_NEW_VALUE &&
        e->atom == f->base.atoms->of[X_WL_SELECTION])
        fetch_piece(f);
}

void flow_answer(xcb_connection_t *x, const xcb_selection_request_event_t *e, xcb_atom_t property)
{
    xcb_selection_notify_event_t answer = {.response_type = XCB_SELECTION_NOTIFY,
                                           .time = e->time,
                                           .requestor = e->requestor,
                                           .selection = e->selection,
                                           .target = e->target,
                                           .property = property};
    char bytes[32] = {0};
    memcpy(bytes, &answer, sizeof(answer));
    xcb_send_event(x, 0, e->requestor, XCB_EVENT_MASK_NO_EVENT, bytes);
    xcb_flush(x);
}

static xcb_atom_t property_of(const struct flow *f)
{
    /* Programs from before ICCCM name none. */
    return f->request.property ? f->request.property : f->request.target;
}

static void put_piece(struct flow *f)
{
    xcb_change_property(f->base.x, XCB_PROP_MODE_REPLACE, f->request.requestor, property_of(f),
                        f->type, 8, (uint32_t)f->n, f->piece);
    f->wanted = false;
    f->n = 0;
    moved(f);
}

/* There is more than fits into one piece: it takes the pieces one by one, by removing each. */
static void serve_begin_pieces(struct flow *f)
{
    uint32_t events = XCB_EVENT_MASK_PROPERTY_CHANGE, size = PIECE;
    f->begun = true;
    xcb_change_window_attributes(f->base.x, f->request.requestor, XCB_CW_EVENT_MASK, &events);
    xcb_change_property(f->base.x, XCB_PROP_MODE_REPLACE, f->request.requestor, property_of(f),
                        f->base.atoms->of[X_INCR], 32, 1, &size);
    flow_answer(f->base.x, &f->request, property_of(f));
}

/* With a whole piece, or all that there is. */
static void serve_go_on(struct flow *f)
{
    if (!f->begun && f->done) {
        put_piece(f);
        flow_answer(f->base.x, &f->request, property_of(f));
        return flow_end(f);
    }
    if (!f->begun)
        serve_begin_pieces(f);
    if (!f->wanted) {
        loop_io_set(f->io, 0);
        return;
    }
    bool last = f->n == 0;
    put_piece(f); /* of no length: the end */
    xcb_flush(f->base.x);
    if (last)
        return flow_end(f);
    loop_io_set(f->io, f->done ? 0 : LOOP_READ);
}

static void serve_ready(void *user, unsigned events)
{
    struct flow *f = user;
    if (!(events & LOOP_READ))
        return;
    ssize_t n = read(f->fd, f->piece + f->n, PIECE - f->n);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0)
        f->n += (size_t)n;
    else
        f->done = true;
    moved(f);
    if (f->done || f->n == PIECE)
        serve_go_on(f);
}

static void serve_property(struct flow *f, const xcb_property_notify_event_t *e)
{
    if (!f->begun || e->state != XCB_PROPERTY_DELETE || e->atom != property_of(f))
        return;
    f->wanted = true;
    moved(f);
    if (f->done || f->n == PIECE)
        serve_go_on(f);
    else
        loop_io_set(f->io, LOOP_READ);
}

int flow_serve(const struct flow_base *base, const xcb_selection_request_event_t *e,
               xcb_atom_t type, int fd)
{
    struct flow *f = flow_begin(base, fd, LOOP_READ, serve_ready);
    if (!f) {
        flow_answer(base->x, e, XCB_ATOM_NONE);
        return -ENOMEM;
    }
    f->serves = true;
    f->request = *e;
    f->type = type;
    return 0;
}

bool flow_event(struct flows *flows, const xcb_generic_event_t *event)
{
    struct flow *f, *next;
    const xcb_selection_notify_event_t *answer = (const void *)event;
    const xcb_property_notify_event_t *property = (const void *)event;
    uint8_t type = event->response_type & 0x7f;
    LIST_FOREACH_SAFE (f, flows, entry, next) {
        if (type == XCB_SELECTION_NOTIFY && !f->serves && answer->requestor == f->window) {
            fetch_answered(f, answer);
            return true;
        }
        if (type == XCB_PROPERTY_NOTIFY && !f->serves && property->window == f->window) {
            fetch_property(f, property);
            return true;
        }
        if (type == XCB_PROPERTY_NOTIFY && f->serves && property->window == f->request.requestor)
            serve_property(f, property);
    }
    return false;
}

void flows_finish(struct flows *flows)
{
    struct flow *f;
    while ((f = LIST_FIRST(flows)))
        flow_end(f);
}
