/* SPDX-License-Identifier: MIT */
#pragma once
/* host-client: one application of a VM, as the compositor's client. */
#include "common/control/json.h"
#include "common/wayland/relay.h"

struct link;
struct session;
struct session_client;

/* A connection with the session's key (takes @link, from one of its callbacks): connects to the
 * compositor, and joins the session. */
void client_begin(struct session *session, struct link *link, const char *label);

/* What people are told of one that is not uncounted. */
json_t *client_describe(const struct session_client *client);

/* Its name alone. */
json_t *client_name(const struct session_client *client);
/* Whether the VM's watcher is shown its messages from now on. */
void client_trace(struct session_client *client, bool traced);
/* Its connection ends, as somebody on the host wants it. */
void client_end_asked(struct session_client *client);

/* What is done with messages here, by enum wl_hook. */
extern relay_hook *const host_hooks[_WL_HOOK_N];
