/* SPDX-License-Identifier: MIT */
#pragma once
/* pipewire-server: what PipeWire says to a guest's program. */
#include "common/services/pipewire-session.h"

/* A message, or the beginning of one that is long; it may be written anew in place, where there is
 * @room. As message() of service_helper_ops. */
int pipewire_server_message(struct service_helper *helper, const struct pipewire_head *head,
                            uint8_t *bytes, size_t *size, size_t room);
/* As sent() and passing() of service_helper_ops. */
void pipewire_server_sent(struct service_helper *helper, unsigned i, uint32_t vfd);
int pipewire_server_passing(struct service_helper *helper);
