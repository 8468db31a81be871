/* SPDX-License-Identifier: MIT */
#pragma once
/* fd: descriptors as owned values, and what can be learnt of one without changing it. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))

/* Closes @fd if it is one; keeps errno. Returns -1. */
int fd_close(int fd);

static inline void fd_closep(int *fd)
{
    fd_close(*fd);
}

/* Hands the descriptor on and leaves -1 in its place. */
static inline int fd_steal(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

/* SHMEM: a regular file on tmpfs (memfd included); FILE: any other regular file; SOCKET: a stream
 * socket; PACKETS: any other socket. */
enum fd_kind {
    FD_KIND_SHMEM,
    FD_KIND_FILE,
    FD_KIND_PIPE,
    FD_KIND_SOCKET,
    FD_KIND_PACKETS,
    FD_KIND_OTHER,
    _FD_KIND_N
};

struct fd_info {
    enum fd_kind kind;
    uint64_t size;           /* bytes, of regular files */
    uint64_t dev, ino;       /* identity of the file behind it */
    uint64_t mount;          /* the mount that it was opened through; 0: not known (Linux < 5.8) */
    uint16_t mode;           /* as of stat(); no type: it has no file */
    bool readable, writable; /* the access mode it was opened with */
};

/* 0 or -errno. Neither reads from the file nor waits for its file system. */
int fd_inspect(int fd, struct fd_info *ret_info);
const char *fd_kind_name(enum fd_kind kind); /* "shared memory", "pipe", … */

/* Opens the file behind @fd anew (own offset and flags) through /proc/self/fd. Returns an owned fd
 * or -errno. */
int fd_reopen(int fd, int flags);
int fd_set_nonblock(int fd); /* only for descriptors that we made */
/* A sealable, close-on-exec memfd of @size bytes. Returns an owned fd or -errno. */
int fd_memfd(const char *name, uint64_t size);
/* Closes every descriptor above 2 but @keep: for a process that was forked in the midst of work. */
void fd_close_others(int keep);
/* Raises RLIMIT_NOFILE's soft limit to the hard one; returns the limit. */
uint64_t fd_raise_limit(void);
