/* SPDX-License-Identifier: MIT */
#pragma once
/* sessions: which guest daemons a VM has at a time: who gets a place, whose it is already, and
 * whose a client is. */
#include <stdbool.h>

struct link;
struct link_hello;
struct session;
struct vm;

/* A control connection that proved itself (@link is taken, from one of its callbacks): takes over
 * the place of the same daemon, or gets one of its own, or is refused. */
void sessions_begin(struct vm *vm, struct link *link, const struct link_hello *hello);
/* Whose client this HELLO is of. NULL: nobody's, and *ret_wrong says what is wrong. */
struct session *sessions_find(const struct vm *vm, const struct link_hello *hello,
                              const char **ret_wrong);
/* The daemon that has been there for longest of those that serve: the service's, mostly; or, of
 * those that came after @after, if that is not NULL. NULL: none. */
struct session *sessions_serving(const struct vm *vm, const struct session *after);
/* There is none, and nothing of an earlier one that has to be delivered. */
bool sessions_are_over(const struct vm *vm);
/* At once. */
void sessions_finish(struct vm *vm);
