/* SPDX-License-Identifier: MIT */
#pragma once
/* refuse: the last word on a connection that leads nowhere. */
#include "protocol/frames.h"

struct link;
struct log_subject;

/* Sends an ERROR, and destroys @link (taken) later. Safe in the link's own callbacks. @told is for
 * the guest, so it has nothing of the host in it, such as paths; @why for the log (NULL: the same).
 */
void refuse(struct link *link, struct log_subject *subject, enum link_error code, const char *told,
            const char *why);
/* The same for a connection that has no link: closes @fd (taken). */
void refuse_socket(int fd, struct log_subject *subject, enum link_error code, const char *told);
/* The same without a line in the log, which has one already. */
void refuse_again(struct link *link, enum link_error code, const char *told);
