/* SPDX-License-Identifier: MIT */
/* holder: asks the kernel who made a Unix socket (for vsock, the mark beside it), /proc for that
 * process's name, and systemctl for what systemd listens on. What is found is for a person who
 * reads --check, and nobody is let in for it: a program may call itself what it likes. */
#include "common/transport/holder.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/transport/address.h"

#define COMM_MAX 16
#define UNIT_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@._-"

/* The path of the Unix socket behind @address, or NULL. */
static const char *socket_path(const struct address *address, char *buffer, size_t size)
{
    if (address->kind == ADDRESS_VSOCK)
        return NULL;
    int n = address->kind == ADDRESS_VSOCK_MUX
                ? snprintf(buffer, size, "%s_%" PRIu32, address->path, address->port)
                : snprintf(buffer, size, "%s", address->path);
    return n > 0 && (size_t)n < size ? buffer : NULL;
}

/* What systemctl says of a socket: "vsock::1100 (Stream)", "/run/x (Stream)". */
static bool names_address(const char *line, const struct address *address)
{
    char path[sizeof(address->path) + 16], expected[sizeof(path) + 16];
    const char *unix_path = socket_path(address, path, sizeof(path));
    if (unix_path) {
        snprintf(expected, sizeof(expected), "%s (", unix_path);
        return strncmp(line, expected, strlen(expected)) == 0;
    }
    snprintf(expected, sizeof(expected), ":%" PRIu32 " (", address->port);
    return strncmp(line, "vsock:", 6) == 0 && strstr(line, expected);
}

bool holder_is_unit(bool user_manager, const char *unit, const struct address *address)
{
    char command[256], line[512];
    bool found = false, active = false;
    if (strspn(unit, UNIT_CHARACTERS) != strlen(unit) || *unit == '-')
        return false;
    int n = snprintf(command, sizeof(command),
                     "systemctl %s show -P ActiveState -P Listen -- %s 2>/dev/null",
                     user_manager ? "--user" : "--system", unit);
    if (n < 0 || (size_t)n >= sizeof(command))
        return false;
    FILE *f = popen(command, "re");
    if (!f)
        return false;
    while (fgets(line, sizeof(line), f)) {
        active = active || strcmp(line, "active\n") == 0;
        found = found || names_address(line, address);
    }
    return pclose(f) == 0 && found && active;
}

/* A process's name, or false. */
static bool process_name(long pid, char name[COMM_MAX + 1])
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%ld/comm", pid);
    FILE *f = fopen(path, "re");
    if (!f)
        return false;
    bool got = fgets(name, COMM_MAX + 1, f);
    fclose(f);
    if (got)
        name[strcspn(name, "\n")] = 0;
    return got;
}

/* Whether it is this user's: /proc/PID itself is root's where a process hides itself. */
static bool process_is_mine(long pid)
{
    char path[64], line[128];
    unsigned uid = 0;
    bool got = false;
    snprintf(path, sizeof(path), "/proc/%ld/status", pid);
    FILE *f = fopen(path, "re");
    if (!f)
        return false;
    while (!got && fgets(line, sizeof(line), f))
        got = sscanf(line, "Uid: %u", &uid) == 1;
    fclose(f);
    return got && uid == getuid();
}

/* The process that listens there, 0 if nobody can tell. */
static long listening_process(const struct sockaddr_un *name, socklen_t length, int type)
{
    struct ucred peer;
    socklen_t n = sizeof(peer);
    _cleanup_(fd_closep) int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)name, length) < 0 ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) < 0)
        return 0;
    return peer.pid;
}

bool holder_is_program(const char *program, const struct address *address, int type, char *who,
                       size_t size)
{
    char path[sizeof(address->path) + 16], name[COMM_MAX + 1];
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    socklen_t n = sizeof(at);
    const char *unix_path = socket_path(address, path, sizeof(path));
    if (unix_path)
        snprintf(at.sun_path, sizeof(at.sun_path), "%s", unix_path);
    else
        n = address_mark(address, &at);
    long pid = listening_process(&at, n, type);
    if (pid > 0 && process_name(pid, name)) {
        snprintf(who, size, "%s, process %ld", name, pid);
        return strcmp(name, program) == 0 && process_is_mine(pid);
    }
    snprintf(who, size, "another program");
    return false;
}
