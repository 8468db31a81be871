/* SPDX-License-Identifier: MIT */
#pragma once
/* menu-folder: the files of a VM's menu, in a folder that is ours alone:
 * $XDG_DATA_HOME/applications/wayvsock/vm-NAME. */
#include <stddef.h>

#define MENU_PATH_MAX 4096

/* 0, -ENOENT: the environment says nothing, or -ENAMETOOLONG. */
int menu_folder_path(const char *vm, char path[MENU_PATH_MAX]);
/* Makes it. 0 or -errno. */
int menu_folder_make(const char *path);
/* Writes a file there, at once or not at all; nothing if it has those bytes already. 0 or -errno.
 */
int menu_folder_put(const char *path, const char *name, const void *bytes, size_t n);
/* Removes the files there but those whose name without its suffix @keep likes (NULL: none). */
void menu_folder_clear(const char *path, int (*keep)(void *user, const char *name), void *user);
/* Removes the folders of all VMs but those that @keep likes. */
void menu_folders_clear(int (*keep)(void *user, const char *vm), void *user);
