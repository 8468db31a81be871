/* SPDX-License-Identifier: MIT */
#pragma once
/* mounts: what kind of file system a file is on, without asking that file system. */
#include <stdbool.h>
#include <stddef.h>

struct fd_info;

/* The type ("ext4") of the file system that fd_inspect() found. False: nobody mounted it where we
 * can see it, or the kernel does not say. */
bool mounts_type(const struct fd_info *info, char *ret_type, size_t size);
/* Whether such a file system has its files on this machine, in the kernel's care alone, so that
 * reading waits for a disk at most. */
bool mounts_is_local(const char *type);
