/* SPDX-License-Identifier: MIT */
#pragma once
/* mounts: what kind of file system a file is on, without asking that file system. */
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct fd_info;

/* Whether the file that fd_inspect() found, of process @client (0: not known), is on a file system
 * that has its files on this machine, in the kernel's care alone, so that reading waits for a disk
 * at most. *ret_type: its type ("ext4"), or why it is not known. */
bool mounts_is_local(const struct fd_info *info, pid_t client, char *ret_type, size_t size);
