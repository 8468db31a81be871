/* SPDX-License-Identifier: MIT */
#pragma once
/* x-clients: who is connected to the X server. */
#include <stdbool.h>
#include <xcb/xcb.h>

/* Asks, and waits for the answer: whether there is nobody but us. False as well where the server
 * does not say. */
bool x_clients_are_gone(xcb_connection_t *x);
