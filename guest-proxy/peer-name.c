/* SPDX-License-Identifier: MIT */
/* peer-name: asks /proc, which the program may have a say in: its word is for the log only. */
#include "guest-proxy/peer-name.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/fd.h"

void peer_name(pid_t pid, char *name, size_t size)
{
    char path[32], comm[17] = "?";
    snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
    _cleanup_(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, comm, sizeof(comm) - 1);
    if (n > 0) {
        comm[n] = 0;
        comm[strcspn(comm, "\n")] = 0;
    }
    snprintf(name, size, "%s[%d]", comm, (int)pid);
}

void peer_name_of(int fd, char *name, size_t size)
{
    struct ucred cred = {0};
    socklen_t n = sizeof(cred);
    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n);
    peer_name(cred.pid, name, size);
}
