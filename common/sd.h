/* SPDX-License-Identifier: MIT */
#pragma once
/* sd: what the service manager is told, where there is one (NOTIFY_SOCKET). */

/* 1 if told, 0 if nobody asked, -errno. Nothing depends on the answer. */
int sd_notify_ready(void);
int sd_notify_status(const char *status); /* one line */
int sd_notify_stopping(void);
