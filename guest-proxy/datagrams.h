/* SPDX-License-Identifier: MIT */
#pragma once
/* datagrams: a socket to which programs send packets without connecting: who has what comes. */

struct datagrams;
struct loop;

/* Takes @fd, bound, as address_unlisten() does. @came: there are packets, for one connection, whose
 * local side is @fd (taken), until datagrams_over(). NULL: errno. */
struct datagrams *datagrams_create(struct loop *loop, int fd, void (*came)(void *user, int fd),
                                   void *user);
/* That connection has ended: what comes next is another's. Accepts NULL. */
void datagrams_over(struct datagrams *datagrams);
void datagrams_destroy(struct datagrams *datagrams); /* accepts NULL */
