/* SPDX-License-Identifier: MIT */
#pragma once
/* landlock: the files that a process may still open, make and remove by a path. What is open, and
 * what another process sends, stays as it is; so does connecting to Unix sockets. */
#include <stdbool.h>

enum landlock_right {
    LANDLOCK_READ = 1,
    LANDLOCK_WRITE = 2,
    LANDLOCK_LIST = 4,           /* the names in a folder */
    LANDLOCK_REMOVE_FILE = 8,    /* of a folder; sockets, too */
    LANDLOCK_REMOVE_FOLDER = 16, /* of a folder, an empty one */
    LANDLOCK_MAKE_SOCKET = 32,
    LANDLOCK_MAKE_FILE = 64,
    LANDLOCK_DEVICE = 128, /* ioctl()s of devices that are opened */
};

enum landlock_wish {
    LANDLOCK_KEEP_SIGNALS = 1,  /* to processes that are not limited in the same way */
    LANDLOCK_KEEP_ABSTRACT = 2, /* connections to abstract Unix sockets */
};

struct landlock {
    int ruleset; /* -1: this kernel has none */
    int version;
    unsigned wishes;
};

/* What the kernel has: a number from 1, or -errno: nothing. */
int landlock_version(void);

/* Begins without any rights. On a kernel without Landlock, all of these do nothing. 0 or -errno. */
int landlock_begin(struct landlock *landlock, unsigned wishes);
/* @rights (enum landlock_right) at @path and below it; none where there is nothing. 0 or -errno. */
int landlock_allow(struct landlock *landlock, const char *path, unsigned rights);
/* The same for the folder that @path is in, or the nearest above it that is there. */
int landlock_allow_folder_of(struct landlock *landlock, const char *path, unsigned rights);
/* From now on, for this thread and those that it starts; needs no-new-privileges. @landlock is
 * used up. 0 or -errno. */
int landlock_enter(struct landlock *landlock);
void landlock_drop(struct landlock *landlock); /* instead of entering, or after it */
