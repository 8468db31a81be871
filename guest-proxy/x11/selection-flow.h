/* SPDX-License-Identifier: MIT */
#pragma once
/* selection-flow: one copy of a selection's content, from a pipe to an X program or the other way.
 * Content of any length passes in pieces; whoever does not go on for a while is left. */
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "guest-proxy/x11/x-atoms.h"

struct loop;
struct flow;
LIST_HEAD(flows, flow);

#define FLOWS_MAX 64 /* at a time */

struct flow_base {
    struct loop *loop;
    xcb_connection_t *x;
    const struct x_atoms *atoms;
    struct flows *flows;
    /* X was asked for something outside of flow_event(): other events may have come. */
    void (*asked)(void *user);
    void *user;
};

/* Asks the owner of @selection for @target, and writes what it says to @fd (taken). 0 or -errno. */
int flow_fetch(const struct flow_base *base, xcb_window_t root, xcb_atom_t selection,
               xcb_atom_t target, int fd);
/* Answers the request @e with what comes out of @fd (taken), as of type @type. 0 or -errno: then
 * the program was told that there is nothing. */
int flow_serve(const struct flow_base *base, const xcb_selection_request_event_t *e,
               xcb_atom_t type, int fd);
/* Tells the program; @property is XCB_ATOM_NONE where there is nothing. */
void flow_answer(xcb_connection_t *x, const xcb_selection_request_event_t *e, xcb_atom_t property);

/* What X says; true: it was for one of them. */
bool flow_event(struct flows *flows, const xcb_generic_event_t *event);
void flows_finish(struct flows *flows);
