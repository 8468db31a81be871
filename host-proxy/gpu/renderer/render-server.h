/* SPDX-License-Identifier: MIT */
#pragma once
/* render-server: the renderer's end of the device's connection: its packets, checked, and handed to
 * an engine. */
#include <stddef.h>
#include <stdint.h>

struct engine;
struct loop;
struct render_server;

/* Serves @engine (borrowed) to the device behind @fd (taken). @ended: the connection is over (0, or
 * -errno; -EPROTO: the device broke a rule), from the loop. NULL: errno. */
struct render_server *render_server_create(struct loop *loop, int fd, struct engine *engine,
                                           void (*ended)(void *user, int reason), void *user);
/* The engine keeps nothing of the device. Accepts NULL. */
void render_server_destroy(struct render_server *server);

/* Tells the device at @fd (borrowed) why there is no engine. */
void render_server_refuse(int fd, const char *text);
