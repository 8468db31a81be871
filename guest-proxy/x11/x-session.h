/* SPDX-License-Identifier: MIT */
#pragma once
/* x-session: one life of the X server, from the first program that connects to the last. */
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct loop;
struct x_session;
struct x_sockets;

struct x_session_ops {
    /* Nothing goes on: x_session_destroy() is due, not in this call. @why NULL: in good order. */
    void (*over)(void *user, const char *why);
};

/* Starts a server for that display, on the Wayland display that the environment names. NULL: a
 * message is in @error. */
struct x_session *x_session_create(struct loop *loop, const struct x_sockets *sockets,
                                   const struct x_session_ops *ops, void *user, char *error,
                                   size_t error_size);
/* The server's process goes on until it notices. Accepts NULL. */
void x_session_destroy(struct x_session *session);
pid_t x_session_pid(const struct x_session *session);
/* No more programs are waited for: it is over when those that are there have left. */
void x_session_leave(struct x_session *session);
bool x_session_served(const struct x_session *session); /* programs were let in */
