/* SPDX-License-Identifier: MIT */
#pragma once
/* peer-name: what the program at the other end of a socket is called, for people. */
#include <stddef.h>
#include <sys/types.h>

/* "foot[1234]". */
void peer_name(pid_t pid, char *name, size_t size);
/* The same of whoever connected @fd. */
void peer_name_of(int fd, char *name, size_t size);
