/* SPDX-License-Identifier: MIT */
#pragma once
/* fdinfo: what the kernel tells of a descriptor in /proc/self/fdinfo, which is its word alone:
 * nobody who made the file is asked, and nobody has to be waited for. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Opens what is read from, before a process may not any more. Once. */
void fdinfo_prepare(void);
/* The text of it, terminated. 0 or -errno. */
int fdinfo_read(int fd, char *text, size_t size);
/* The number behind @key ("\nsize:") in it, in that base. False: there is none. */
bool fdinfo_number(const char *text, const char *key, int base, uint64_t *ret);

struct dmabuf_info {
    uint64_t size;  /* bytes */
    uint64_t users; /* descriptors of it, mappings, devices; in whatever process */
};

/* 0, -ENOTTY: @fd is no dmabuf, or -errno. */
int dmabuf_inspect(int fd, struct dmabuf_info *ret);
