/* SPDX-License-Identifier: MIT */
#pragma once
/* list: lists and arrays that grow, made one way everywhere.
 *
 * Lists are intrusive and those of <sys/queue.h>; nothing is allocated for an entry:
 *   LIST    no order, any entry may leave at any time: clients, users, whatever is "all of them"
 *   TAILQ   in order, appended to, any entry may leave; also where the last one is asked for
 *   STAILQ  a queue: appended to, only the first leaves
 *   SLIST   only pushed and emptied: what is made at the start and freed at the end
 * Of a list whose entries may leave while it is walked, the next one is noted first:
 * *_FOREACH_SAFE, which the C library's header lacks. Where any other entry may leave too, start
 * anew instead.
 *
 * Arrays grow by array_room(), and their elements are counted by their owner. */
#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#ifndef LIST_FOREACH_SAFE
#define LIST_FOREACH_SAFE(at, list, entry, after)                                                  \
    for ((at) = LIST_FIRST(list); (at) && ((after) = LIST_NEXT(at, entry), true); (at) = (after))
#endif
#ifndef TAILQ_FOREACH_SAFE
#define TAILQ_FOREACH_SAFE(at, list, entry, after)                                                 \
    for ((at) = TAILQ_FIRST(list); (at) && ((after) = TAILQ_NEXT(at, entry), true); (at) = (after))
#endif

/* array_grow() for an array of its pointer's type: T **at, size_t *room. */
#define array_room(at, room, n, max) array_room_of((at), sizeof(**(at)), (room), (n), (max))

/* Makes room for @n elements of @size bytes in all, at least twice as much as before; @at is the
 * address of the pointer to them (malloc()ed; NULL: none yet), *room how many fit now. The new ones
 * are not initialised. 0, or with everything as it was -EOVERFLOW: more than @max, or -ENOMEM. */
int array_grow(void *at, size_t size, size_t *room, size_t n, size_t max);

/* The same; nothing happens where they fit already. */
static inline int array_room_of(void *at, size_t size, size_t *room, size_t n, size_t max)
{
    return n <= *room ? 0 : array_grow(at, size, room, n, max);
}
