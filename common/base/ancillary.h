/* SPDX-License-Identifier: MIT */
#pragma once
/* ancillary: what a message of a Unix socket carries beside its bytes (unix(7)). */
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#define ANCILLARY_FDS(n) CMSG_SPACE((n) * sizeof(int)) /* bytes of room in msg_control */
#define ANCILLARY_CREDENTIALS CMSG_SPACE(3 * sizeof(int))

/* Each adds a part to @m: msg_control has room for it, and msg_controllen counts what is there. */
void ancillary_add_fds(struct msghdr *m, const int *fds, size_t n); /* which stay the caller's */
/* Ours. The kernel adds them by itself only once the other side has asked for them (SO_PASSCRED),
 * and many servers do that after accept(): for what came before, they would see nobody's. */
void ancillary_add_credentials(struct msghdr *m);

/* The descriptors that came with @m: returns how many, which are the caller's now. *ret_more (may
 * be NULL): there were others, for which there was no @room, and which are closed. */
size_t ancillary_take_fds(struct msghdr *m, int *fds, size_t room, bool *ret_more);
