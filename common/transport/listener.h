/* SPDX-License-Identifier: MIT */
#pragma once
/* listener: a listening socket in the event loop. While this process has no descriptor left for
 * those who wait there, it is left alone for a while: the socket would wake us without end. */

struct listener;
struct log_subject;
struct loop;

/* Takes @fd, as address_unlisten() does. @accepted gets each connection (takes it) and must not
 * destroy the listener. @subject (borrowed, may be NULL): whom a warning is about. NULL: errno. */
struct listener *listener_create(struct loop *loop, int fd, struct log_subject *subject,
                                 void (*accepted)(void *user, int fd), void *user);
void listener_destroy(struct listener *listener); /* accepts NULL */
