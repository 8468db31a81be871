/* SPDX-License-Identifier: MIT */
#pragma once
/* host-client: one application of a VM, as the compositor's client. */
#include "common/wayland/relay.h"

struct link;
struct session;

/* A connection with the session's key (takes @link, from one of its callbacks): connects to the
 * compositor, and joins the session. */
void client_begin(struct session *session, struct link *link, const char *label);

/* What is done with messages here, by enum wl_hook. */
extern relay_hook *const host_hooks[_WL_HOOK_N];
