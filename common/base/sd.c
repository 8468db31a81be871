/* SPDX-License-Identifier: MIT */
/* sd: one datagram per message, as sd_notify(3) describes; libsystemd is not needed for it. No
 * socket is kept open but one that was handed to us, and without any every message is a success
 * that nobody reads. */
#include "common/base/sd.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/base/ancillary.h"
#include "common/base/fd.h"
#include "common/base/loop.h"

static int connected = -1; /* owned; -1: NOTIFY_SOCKET says */

void sd_connect(int socket)
{
    fd_close(connected);
    connected = socket;
}

static int sd_send_with(const char *message, int fd, int flags)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    size_t n = path ? strlen(path) : 0;
    union {
        char bytes[ANCILLARY_FDS(1)];
        struct cmsghdr align;
    } control;
    struct iovec iov = {(char *)message, strlen(message)};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    if (fd >= 0) {
        m.msg_control = control.bytes;
        ancillary_add_fds(&m, &fd, 1);
    }
    if (connected >= 0)
        return sendmsg(connected, &m, MSG_NOSIGNAL | flags) < 0 ? -errno : 1;
    if (n == 0)
        return 0;
    if (path[0] != '/' && path[0] != '@')
        return -EAFNOSUPPORT; /* a VM's supervisor over vsock, not our service manager */
    if (n < 2 || n >= sizeof(sun.sun_path))
        return -EINVAL;
    memcpy(sun.sun_path, path, n);
    if (path[0] == '@')
        sun.sun_path[0] = '\0'; /* abstract: its length ends it */
    _cleanup_(fd_closep) int to = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (to < 0)
        return -errno;
    m.msg_name = &sun;
    m.msg_namelen = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    return sendmsg(to, &m, MSG_NOSIGNAL | flags) < 0 ? -errno : 1;
}

int sd_send(const char *message, int fd)
{
    return sd_send_with(message, fd, 0);
}

int sd_notify_ready(void)
{
    return sd_send("READY=1", -1);
}

int sd_notify_status(const char *status)
{
    char message[512];
    snprintf(message, sizeof(message), "STATUS=%s", status);
    for (char *c = message; *c; c++) {
        if (*c == '\n') /* would begin another field */
            *c = ' ';
    }
    return sd_send_with(message, -1, MSG_DONTWAIT);
}

int sd_notify_stopping(void)
{
    return sd_send_with("STOPPING=1", -1, MSG_DONTWAIT);
}

static void sd_terminate(void *user, int signo)
{
    (void)signo;
    loop_stop(user);
}

int sd_catch_signals(struct loop *loop)
{
    int r = loop_signal(loop, SIGTERM, sd_terminate, loop);
    return r < 0 ? r : loop_signal(loop, SIGINT, sd_terminate, loop);
}

int sd_run(struct loop *loop)
{
    sd_notify_ready();
    int r = loop_run(loop);
    sd_notify_stopping();
    return r;
}
