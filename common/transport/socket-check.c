/* SPDX-License-Identifier: MIT */
/* socket-check: owns the socket for a moment, as the program would. */
#include "common/transport/socket-check.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/checks.h"
#include "common/transport/address.h"
#include "common/transport/holder.h"

static bool check_taken(const char *program, const char *text, const struct address *address,
                        int type)
{
    char who[64], advice[160];
    if (holder_is_program(program, address, type, who, sizeof(who))) {
        checks_note("%s: a running %s has it (%s)", text, program, who);
        return true;
    }
    snprintf(advice, sizeof(advice), "%s has it: end that, or choose another address", who);
    checks_line(false, text, advice);
    return false;
}

/* Takes @fd, or what became of it. */
static bool check_result(int fd, const char *text, const char *error)
{
    checks_line(fd >= 0, text, error);
    if (fd >= 0)
        address_unlisten(fd);
    return fd >= 0;
}

bool socket_check_address(const struct socket_owner *owner, const char *what,
                          const struct address *address)
{
    char where[sizeof(address->path) + 32], text[sizeof(where) + 64], error[512];
    snprintf(text, sizeof(text), "%s %s", what, address_format(address, where, sizeof(where)));
    /* First, as to try the address would start the unit's service. */
    if (owner->unit && holder_is_unit(owner->user_manager, owner->unit, address)) {
        checks_note("%s: %s has it, and starts %s when somebody comes", text, owner->unit,
                    owner->program);
        return true;
    }
    int fd = address_listen(address, error, sizeof(error));
    return fd == -EADDRINUSE ? check_taken(owner->program, text, address, SOCK_STREAM)
                             : check_result(fd, text, error);
}

/* The name of a VM in /run/PROGRAM/NAME.vhost, where the units of its device listen. */
static bool unit_of_path(const char *program, const char *path, char *unit, size_t size)
{
    static const char ending[] = ".vhost";
    char folder[64];
    size_t n = (size_t)snprintf(folder, sizeof(folder), "/run/%s/", program), length = strlen(path);
    if (strncmp(path, folder, n) != 0 || length < n + sizeof(ending) ||
        strcmp(path + length - (sizeof(ending) - 1), ending) != 0)
        return false;
    int name = (int)(length - n - (sizeof(ending) - 1));
    return (size_t)snprintf(unit, size, "%s@%.*s.socket", program, name, path + n) < size;
}

bool socket_check(const char *program, const char *what, const char *path, int type)
{
    struct address address = {.kind = ADDRESS_UNIX};
    char text[PATH_MAX + 64], unit[128], error[512];
    snprintf(text, sizeof(text), "%s %s", what, path);
    snprintf(address.path, sizeof(address.path), "%s", path);
    if (unit_of_path(program, path, unit, sizeof(unit)) && holder_is_unit(false, unit, &address)) {
        checks_note("%s: %s has it", text, unit);
        return true;
    }
    int fd = address_listen_path(path, type, 0600, error, sizeof(error));
    return fd == -EADDRINUSE ? check_taken(program, text, &address, type)
                             : check_result(fd, text, error);
}
