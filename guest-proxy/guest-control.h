/* SPDX-License-Identifier: MIT */
#pragma once
/* guest-control: the guest daemon's control socket, and what people are told there. */
#include <stdint.h>

#include "common/base/refused.h"

struct clients;
struct display;
struct guest_control;
struct loop;
struct services;
struct uplink;

/* What there is to tell of; all is borrowed. */
struct guest_view {
    const struct display *display; /* NULL: none */
    const struct clients *clients;
    const struct services *services;
    const struct uplink *uplink;
    int64_t since; /* ms since 1970: connected to the host; 0: it is not */
    struct refused refused;
};

/* NULL, with a line in the log: there is none, and the daemon goes on without. */
struct guest_control *guest_control_create(struct loop *loop, const struct guest_view *view);
/* Of the socket. */
const char *guest_control_path(const struct guest_control *control);
void guest_control_destroy(struct guest_control *control); /* accepts NULL */
