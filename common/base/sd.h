/* SPDX-License-Identifier: MIT */
#pragma once
/* sd: what the service manager is told, where there is one (NOTIFY_SOCKET). */

/* 1 if told, 0 if nobody asked, -errno. Nothing depends on the answer. */
int sd_notify_ready(void);
/* One line. -EAGAIN: nobody takes it now, and nobody is waited for. */
int sd_notify_status(const char *status);
int sd_notify_stopping(void); /* the same */

/* Sends any message of that kind, with @fd (borrowed) if it is not -1. As above. */
int sd_send(const char *message, int fd);
/* From now on, messages go to whoever is behind @socket (taken), whatever NOTIFY_SOCKET is. */
void sd_connect(int socket);

struct loop;
/* From now on SIGTERM and SIGINT end sd_run(), also one that comes before it. 0 or -errno. */
int sd_catch_signals(struct loop *loop);
/* Runs @loop until such a signal or loop_stop(); the service manager is told of both ends. 0 or
 * -errno. */
int sd_run(struct loop *loop);
