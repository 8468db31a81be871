/* SPDX-License-Identifier: MIT */
#pragma once
/* export-folder: where wayvsock-gpu exports unless it is told otherwise: PID.sock, one for each
 * process, in $XDG_RUNTIME_DIR/wayvsock-gpu. */
#include <stddef.h>

#define EXPORT_FOLDER_MAX 64 /* sockets that are tried */

struct export_folder {
    size_t n;
    char paths[EXPORT_FOLDER_MAX][108]; /* as long as a socket's can be */
};

/* The folder; in /run without XDG_RUNTIME_DIR. 0 or -ENAMETOOLONG. */
int export_folder_path(char *path, size_t size);
/* Makes it, removes the sockets of processes that have gone, and writes this process's path. 0 or
 * -errno with a message. */
int export_folder_prepare(char *path, size_t size, char *error, size_t error_size);
/* Connects to a socket whose listener is of root, this user, or somebody who may make sockets in
 * that folder: its owner or, where they may write, a member of its group. Returns an owned fd, or
 * -errno with a message (-EPERM: it is somebody else's). */
int export_folder_connect(const char *path, char *error, size_t error_size);
/* The sockets in @folder by their names, the newest first, dead ones included. 0 or -errno. */
int export_folder_list(const char *folder, struct export_folder *ret_list);
