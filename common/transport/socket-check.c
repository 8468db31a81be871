/* SPDX-License-Identifier: MIT */
/* socket-check: owns the socket for a moment, as the program would. */
#include "common/transport/socket-check.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>

#include "common/base/checks.h"
#include "common/transport/address.h"

bool socket_check(const char *program, const char *what, const char *path, int type)
{
    char text[PATH_MAX + 64], error[512];
    int fd = address_listen_path(path, type, 0600, error, sizeof(error));
    if (fd == -EADDRINUSE) {
        checks_note("%s (a running %s, perhaps)", error, program);
        return true;
    }
    snprintf(text, sizeof(text), "%s %s", what, path);
    checks_line(fd >= 0, text, error);
    if (fd >= 0)
        address_unlisten(fd);
    return fd >= 0;
}
