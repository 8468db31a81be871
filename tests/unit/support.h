/* SPDX-License-Identifier: MIT */
#pragma once
/* support: what several unit tests need: cmocka's headers, a folder that goes away, and a count of
 * open descriptors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Open descriptors of this process: equal before and after, nothing leaked. */
int count_fds(void);

/* A new folder with a short path (sockets want one). */
void make_folder(char path[64]);
void remove_folder(const char *path);
