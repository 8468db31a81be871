/* SPDX-License-Identifier: MIT */
#pragma once
/* vfd-stream: pipes, sockets and files that data flows into or out of (stream). */
#include "common/carrier/vfd-kind.h"

struct link_sink;

extern const struct vfd_kind vfd_kind_stream;
/* STREAM_CREDIT and STREAM_END. */
int vfd_stream_frame(struct vfds *vfds, enum link_type type, const uint8_t *payload, size_t size);
/* As link_ops.stream_data. */
int vfd_stream_data(struct vfds *vfds, uint32_t id, size_t size, struct link_sink **ret_sink);
/* The link's queue has room again. */
void vfd_streams_resume(struct vfds *vfds);
/* What was handed out for @id has been closed here, perhaps by the last who had it: whether it was,
 * and then the stream ends at once. */
bool vfd_stream_let_go(struct vfds *vfds, uint32_t id);
void vfd_streams_finish(struct vfds *vfds);
