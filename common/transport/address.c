/* SPDX-License-Identifier: MIT */
/* address: the texts that people write, and the greeting of hybrid sockets. The sockets are in
 * address-socket.c. An address that was parsed fits: lengths and numbers are never checked again
 * behind address_parse(). */
#include "common/transport/address.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/vm_sockets.h>

#include "common/base/error.h"
#include "common/base/number.h"

#define FORMS "vsock:CID:PORT, vsock:PORT, unix:PATH, vsock-mux:PATH:PORT or vsock-device:PATH"

__attribute__((format(printf, 4, 5))) static int refuse(const char *text, char *error,
                                                        size_t error_size, const char *format, ...)
{
    char why[160];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof(why), format, args);
    va_end(args);
    return error_set(-EINVAL, error, error_size, "bad address \"%.128s\": %s", text, why);
}

/* False if it is none or above 32 bits. */
static bool parse_number(const char *text, size_t n, uint32_t *ret_number)
{
    uint64_t number;
    if (!number_parse(text, n, UINT32_MAX, &number))
        return false;
    *ret_number = (uint32_t)number;
    return true;
}

/* 0 and the highest number mean "any" to one of the kernels or VMMs involved. */
static bool parse_port(const char *text, uint32_t *ret_port)
{
    return parse_number(text, strlen(text), ret_port) && *ret_port != 0 &&
           *ret_port != VMADDR_PORT_ANY;
}

static int parse_vsock(const char *text, const char *rest, struct address *address, char *error,
                       size_t error_size)
{
    const char *colon = strchr(rest, ':');
    address->kind = ADDRESS_VSOCK;
    address->cid = VMADDR_CID_ANY;
    if (colon && (!parse_number(rest, (size_t)(colon - rest), &address->cid) ||
                  address->cid == VMADDR_CID_ANY))
        return refuse(text, error, error_size,
                      "the CID is a number from 0 to 4294967294, as in vsock:2:%d (2 is the host); "
                      "to listen for any CID write vsock:%d",
                      ADDRESS_DEFAULT_PORT, ADDRESS_DEFAULT_PORT);
    if (!parse_port(colon ? colon + 1 : rest, &address->port))
        return refuse(text, error, error_size,
                      "the port is a number from 1 to 4294967294, as in vsock:2:%d or vsock:%d",
                      ADDRESS_DEFAULT_PORT, ADDRESS_DEFAULT_PORT);
    return 0;
}

static int parse_path(const char *text, const char *path, size_t n, size_t room,
                      struct address *address, char *error, size_t error_size)
{
    if (n == 0)
        return refuse(text, error, error_size,
                      "the path is missing; write unix:PATH, vsock-mux:PATH:PORT or "
                      "vsock-device:PATH");
    if (n >= room)
        return refuse(text, error, error_size,
                      "the path has %zu bytes, and a socket's may have %zu here", n, room - 1);
    memcpy(address->path, path, n);
    return 0;
}

static int parse_mux(const char *text, const char *rest, struct address *address, char *error,
                     size_t error_size)
{
    const char *colon = strrchr(rest, ':');
    address->kind = ADDRESS_VSOCK_MUX;
    if (!colon || !parse_port(colon + 1, &address->port))
        return refuse(text, error, error_size,
                      "it ends in a port from 1 to 4294967294, as in vsock-mux:/run/vm/vsock:%d",
                      ADDRESS_DEFAULT_PORT);
    /* Listening appends "_PORT". */
    size_t suffix = (size_t)snprintf(NULL, 0, "_%" PRIu32, address->port);
    return parse_path(text, rest, (size_t)(colon - rest), sizeof(address->path) - suffix, address,
                      error, error_size);
}

static int parse_socket(enum address_kind kind, const char *text, const char *path,
                        struct address *address, char *error, size_t error_size)
{
    address->kind = kind;
    return parse_path(text, path, strlen(path), sizeof(address->path), address, error, error_size);
}

int address_parse(const char *text, struct address *ret_address, char *error, size_t error_size)
{
    struct address address = {0};
    int result;
    if (strncmp(text, "vsock:", 6) == 0)
        result = parse_vsock(text, text + 6, &address, error, error_size);
    else if (strncmp(text, "vsock-mux:", 10) == 0)
        result = parse_mux(text, text + 10, &address, error, error_size);
    else if (strncmp(text, "unix:", 5) == 0)
        result = parse_socket(ADDRESS_UNIX, text, text + 5, &address, error, error_size);
    else if (strncmp(text, "vsock-device:", 13) == 0)
        result = parse_socket(ADDRESS_VSOCK_DEVICE, text, text + 13, &address, error, error_size);
    else
        result = refuse(text, error, error_size, "write " FORMS);
    if (result == 0)
        *ret_address = address;
    return result;
}

const char *address_format(const struct address *address, char *buffer, size_t size)
{
    switch (address->kind) {
    case ADDRESS_VSOCK:
        if (address->cid == VMADDR_CID_ANY)
            snprintf(buffer, size, "vsock:%" PRIu32, address->port);
        else
            snprintf(buffer, size, "vsock:%" PRIu32 ":%" PRIu32, address->cid, address->port);
        break;
    case ADDRESS_UNIX:
        snprintf(buffer, size, "unix:%s", address->path);
        break;
    case ADDRESS_VSOCK_MUX:
        snprintf(buffer, size, "vsock-mux:%s:%" PRIu32, address->path, address->port);
        break;
    case ADDRESS_VSOCK_DEVICE:
        snprintf(buffer, size, "vsock-device:%s", address->path);
        break;
    case _ADDRESS_KIND_N:
        snprintf(buffer, size, "?");
        break;
    }
    return buffer;
}

size_t address_mux_request(const struct address *address, char buffer[ADDRESS_MUX_LINE_MAX])
{
    return (size_t)snprintf(buffer, ADDRESS_MUX_LINE_MAX, "CONNECT %" PRIu32 "\n", address->port);
}

/* Judges byte by byte, so that a peer that speaks something else is found out at its first wrong
 * byte instead of being waited for. */
ssize_t address_mux_feed(struct address_mux *mux, const void *bytes, size_t n, bool *ret_done)
{
    static const char prefix[] = "OK ";
    const size_t prefix_n = sizeof(prefix) - 1;
    const char *c = bytes;
    bool done = mux->n > 0 && mux->line[mux->n - 1] == '\n';
    size_t taken = 0;
    while (!done && taken < n) {
        if (mux->n == sizeof(mux->line))
            return -EPROTO;
        char next = c[taken++];
        if (mux->n < prefix_n) {
            if (next != prefix[mux->n])
                return -EPROTO;
        } else {
            uint32_t port;
            size_t digits = mux->n - prefix_n;
            if (next == '\n')
                done = digits > 0;
            if (next == '\n' ? !done : next < '0' || next > '9')
                return -EPROTO;
            if (done && !parse_number(mux->line + prefix_n, digits, &port))
                return -EPROTO;
        }
        mux->line[mux->n++] = next;
    }
    *ret_done = done;
    return (ssize_t)taken;
}

int address_mux_receive(struct address_mux *mux, int fd)
{
    char bytes[ADDRESS_MUX_LINE_MAX];
    bool done = false;
    ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);
    if (n <= 0)
        return n == 0 ? -ECONNREFUSED : errno == EAGAIN || errno == EINTR ? 0 : -errno;
    ssize_t taken = address_mux_feed(mux, bytes, (size_t)n, &done);
    if (taken < 0)
        return (int)taken;
    if (recv(fd, bytes, (size_t)taken, MSG_DONTWAIT) != taken)
        return -EIO;
    return done;
}

int address_display_path(const char *display, char *buffer, size_t size, char *error,
                         size_t error_size)
{
    const char *name = display ? display : getenv("WAYLAND_DISPLAY");
    const char *folder = "", *slash = "";
    if (!name || !*name)
        name = "wayland-0";
    if (*name != '/') {
        folder = getenv("XDG_RUNTIME_DIR");
        slash = "/";
        if (!folder || *folder != '/')
            return error_set(
                -ENOENT, error, error_size,
                "cannot find display \"%.128s\": XDG_RUNTIME_DIR is not set; set it, or give "
                "the display's absolute path",
                name);
    }
    int n = snprintf(buffer, size, "%s%s%s", folder, slash, name);
    if (n < 0 || (size_t)n >= size || (size_t)n >= sizeof(((struct address *)0)->path))
        return error_set(-ENAMETOOLONG, error, error_size,
                         "the display's path is too long for a socket: %.128s%s%.128s", folder,
                         slash, name);
    return 0;
}
