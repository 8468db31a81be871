/* SPDX-License-Identifier: MIT */
/* The owner's pointer and count change together, and only after the allocation has succeeded: what
 * an array held is never lost, and *room never exceeds the caller's cap. */
#include "common/base/list.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_MIN 4

int array_grow(void *at, size_t size, size_t *room, size_t n, size_t max)
{
    if (n > max)
        return -EOVERFLOW;
    size_t wanted = *room > max / 2 ? max : 2 * *room;
    if (wanted < ROOM_MIN)
        wanted = ROOM_MIN < max ? ROOM_MIN : max;
    if (wanted < n)
        wanted = n;
    if (wanted > PTRDIFF_MAX / size)
        return -ENOMEM;
    void *elements; /* copied, as the pointer is one to any type */
    memcpy(&elements, at, sizeof(elements));
    elements = realloc(elements, wanted * size);
    if (!elements)
        return -ENOMEM;
    memcpy(at, &elements, sizeof(elements));
    *room = wanted;
    return 0;
}
