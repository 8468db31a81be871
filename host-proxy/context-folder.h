/* SPDX-License-Identifier: MIT */
#pragma once
/* context-folder: where the sockets of security contexts are, which only we may enter. */
#include <stdint.h>

#define CONTEXT_FOLDER_MAX (108 - sizeof("/wayland-4294967295") + 1) /* a socket's path has 108 */

/* The path, shorter than CONTEXT_FOLDER_MAX; made by the first call, in XDG_RUNTIME_DIR. NULL:
 * errno, for good. */
const char *context_folder(void);
/* From now on context_folder() is one below it that belongs to VM @number alone, and is empty. */
void context_folder_enter(uint32_t number);
/* Removes that of VM @number, whatever is in there. */
void context_folder_clear(uint32_t number);
/* Removes it with all below it; whoever has entered must be gone. */
void context_folder_remove(void);
