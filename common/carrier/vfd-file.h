/* SPDX-License-Identifier: MIT */
#pragma once
/* vfd-file: descriptors whose content is read once: keymaps, ICC profiles, gamma ramps. */
#include <stddef.h>
#include <stdint.h>

struct loop;
struct memory;
struct waiters;

/* A sealed, read-only file with @memory's content, for handing to an application; identical
 * contents share one file, each with an offset of its own. Returns an owned fd or -errno. */
int vfd_file_share(struct memory *memory);

/* Reads a file that may make its reader wait, in a thread of @waiters. @done is called once from
 * the loop, unless cancelled: @size bytes at @bytes (the callback's to keep until it returns), or
 * @error
 * (-errno; -EFBIG: more than @max). */
struct vfd_file_job;
/* Takes @fd. NULL: errno (EMFILE: as many threads as may be wait already). */
struct vfd_file_job *
vfd_file_read(struct loop *loop, struct waiters *waiters, int fd, size_t max,
              void (*done)(void *user, const void *bytes, size_t size, int error), void *user);
void vfd_file_cancel(struct vfd_file_job *job); /* accepts NULL */
