/* SPDX-License-Identifier: MIT */
#pragma once
/* file-reader: the content of a file, read by a thread; and one that is handed out. */
#include <stddef.h>
#include <stdint.h>

struct loop;
struct memory;
struct waiters;

/* For people, where file_read() or stream_create() answer EMFILE. */
extern const char too_many_waiters[];

/* A sealed, read-only file with @memory's content, for handing to an application; identical
 * contents share one file, each with an offset of its own, if they are small. Returns an owned fd
 * or -errno. */
int file_share(struct memory *memory);

/* Reads a file that may make its reader wait, in a thread of @waiters. @done is called once from
 * the loop, unless cancelled: @size bytes at @bytes (the callback's to keep until it returns), or
 * @error
 * (-errno; -EFBIG: more than @max). */
struct file_job;
/* Takes @fd. NULL: errno (EMFILE: as many threads as may be wait already). */
struct file_job *file_read(struct loop *loop, struct waiters *waiters, int fd, size_t max,
                           void (*done)(void *user, const void *bytes, size_t size, int error),
                           void *user);
void file_cancel(struct file_job *job); /* accepts NULL */
