/* SPDX-License-Identifier: MIT */
#pragma once
/* vfd-file: files whose content crosses once: keymaps, ICC profiles, gamma ramps. */
#include "common/carrier/vfd-kind.h"

extern const struct vfd_kind vfd_kind_file;
/* For the message that VFD_WAIT was answered to: the content has been read. As vfd_kind.send. */
int vfd_file_send_content(struct vfds *vfds, struct vfd_offer *offer);
/* MEM_WRITE to a file that arrived. 0 with *ret_memory, -ENOENT: @write is about something else, or
 * negative after ends_fail(). */
int vfd_file_write(struct vfds *vfds, const struct link_mem_write *write,
                   struct memory **ret_memory);
/* Whether a file of @size bytes has the @announced ones that a message speaks of, or whoever maps
 * them finds zeros behind its end. */
bool vfd_file_reaches(uint64_t size, int64_t announced);
void vfd_file_finish(struct vfds *vfds);
