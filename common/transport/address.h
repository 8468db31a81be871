/* SPDX-License-Identifier: MIT */
#pragma once
/* address: where a daemon listens or connects: vsock:CID:PORT, vsock:PORT, unix:PATH,
 * vsock-mux:PATH:PORT, vsock-device:PATH. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#define ADDRESS_DEFAULT_PORT 1100

enum address_kind {
    ADDRESS_VSOCK,
    ADDRESS_UNIX,
    ADDRESS_VSOCK_MUX,
    ADDRESS_VSOCK_DEVICE, /* a VM's vsock device connects here, for each connection of its guest */
    _ADDRESS_KIND_N
};

struct address {
    enum address_kind kind;
    uint32_t cid;  /* VSOCK; VMADDR_CID_ANY when the text named none */
    uint32_t port; /* VSOCK, VSOCK_MUX */
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

/* Parses @text. 0, or -EINVAL with a message in @error that says what is wrong and shows the right
 * form. */
int address_parse(const char *text, struct address *ret_address, char *error, size_t error_size);
/* Writes the address as it is typed. Returns @buffer. */
const char *address_format(const struct address *address, char *buffer, size_t size);

/* Returns an owned, non-blocking, listening socket or -errno, with a message in @error. Unix paths:
 * a stale socket is replaced, one that somebody listens on is not (-EADDRINUSE); VSOCK_MUX binds
 * PATH_PORT; mode 0600. VSOCK without CID listens on VMADDR_CID_ANY. Buffers are raised as the
 * kernel allows. Unix paths stay locked (PATH.lock) until address_unlisten() or the end of the
 * process. */
int address_listen(const struct address *address, char *error, size_t error_size);
/* The same for a Unix socket of any type (SOCK_STREAM, SOCK_SEQPACKET; SOCK_DGRAM, which is bound)
 * and mode. */
int address_listen_path(const char *path, int type, mode_t mode, char *error, size_t error_size);
/* Removes the Unix socket at @path, and its lock, if nobody listens on it. 0 (also if there is
 * none), -EADDRINUSE, or another -errno. */
int address_remove_stale(const char *path);
/* The abstract Unix socket that stands beside a vsock listener of address_listen(), since the
 * kernel tells nobody who has a vsock port. Anybody may have that name, so it says only whom a
 * person may look for. Returns its length. */
socklen_t address_mark(const struct address *address, struct sockaddr_un *ret_name);
/* Takes a listener (inherited ones too): closes it and removes the socket and lock that
 * address_listen() made. */
void address_unlisten(int fd);
/* Returns an owned, non-blocking, close-on-exec connection with raised buffers, or -errno (-EAGAIN:
 * none waiting). */
int address_accept(int listener);

/* Starts to connect. Returns an owned, non-blocking socket (still connecting, perhaps: wait for it
 * to be writable, then address_connect_result()), or -errno with a message in @error. @privileged
 * (VSOCK only) binds a source port below 1024; without the capability: -EACCES. VSOCK_MUX connects
 * to PATH; address_mux_request() comes next. */
int address_connect(const struct address *address, bool privileged, char *error, size_t error_size);
/* Connects to a Unix socket of that socket(2) type. Returns an owned, non-blocking socket or -errno
 * (-EAGAIN: its backlog is full) with a message. */
int address_connect_type(const char *path, int type, char *error, size_t error_size);
/* The same for SOCK_SEQPACKET. */
int address_connect_packets(const char *path, char *error, size_t error_size);
/* 0 once connected, or -errno. */
int address_connect_result(int fd);

/* The hybrid socket's greeting: "CONNECT <port>\n" out, "OK <port>\n" in, in pieces or followed by
 * other bytes. */
#define ADDRESS_MUX_LINE_MAX 32
struct address_mux {
    char line[ADDRESS_MUX_LINE_MAX];
    size_t n;
};
/* Writes the request into @buffer; its length. */
size_t address_mux_request(const struct address *address, char buffer[ADDRESS_MUX_LINE_MAX]);
/* Feeds @n received bytes. Returns how many belonged to the greeting; *ret_done when it is
 * complete; -EPROTO if it is no OK line. Bytes after the newline are the caller's. */
ssize_t address_mux_feed(struct address_mux *mux, const void *bytes, size_t n, bool *ret_done);

/* Takes it from a non-blocking socket, and nothing behind it. 1: it is complete; 0: not yet; or
 * -errno (-EPROTO as above, -ECONNREFUSED: the end). */
int address_mux_receive(struct address_mux *mux, int fd);

/* Who is at the other end of an accepted socket. */
struct address_peer {
    enum address_kind kind; /* VSOCK, UNIX or VSOCK_DEVICE */
    uint32_t cid, port;     /* VSOCK, VSOCK_DEVICE */
    uint32_t uid, pid;      /* UNIX, VSOCK_DEVICE: SO_PEERCRED */
};
int address_peer(int fd, struct address_peer *ret_peer); /* 0 or -errno */
/* The same where a VSOCK_DEVICE listened: the guest's CID and port, as its device says. -EACCES:
 * it is another user's process, and not root's; -EPROTO: it is no device. */
int address_device_peer(int fd, struct address_peer *ret_peer);

/* Sockets handed over by systemd (LISTEN_FDS, LISTEN_PID; fds 3…). Returns their number (0 if none)
 * with *ret_first = 3; marks them close-on-exec and non-blocking; unsets the variables. -errno on
 * malformed variables. */
int address_inherited(int *ret_first);
/* What an inherited listening socket is bound to. 0, or -errno (-EINVAL: not a listening stream
 * socket of a known family). */
int address_of_listener(int fd, struct address *ret_address);

/* Connects to a Unix socket; one whose owner accepts nothing is waited for, @wait_ms at most.
 * Returns an owned non-blocking fd or -errno (-EAGAIN: it still does not). */
int address_connect_path(const char *path, unsigned wait_ms);
/* Connects to a VSOCK_DEVICE listener at @path for port @port of the guest @cid, as
 * address_connect_path() without waiting. The listener learns both from the name of our socket, so
 * that a connection is complete as soon as it is accepted. */
int address_connect_device(const char *path, uint32_t cid, uint32_t port);
/* Connects to a Wayland display as libwayland does: @display NULL takes WAYLAND_SOCKET, then
 * WAYLAND_DISPLAY, then wayland-0; absolute paths as they are, names in XDG_RUNTIME_DIR. As
 * address_connect_path(), with a message. WAYLAND_SOCKET is used once. */
int address_connect_display(const char *display, unsigned wait_ms, char *error, size_t error_size);
/* The path that @display names. 0 or -errno (-ENAMETOOLONG, -ENOENT without XDG_RUNTIME_DIR) with a
 * message. */
int address_display_path(const char *display, char *buffer, size_t size, char *error,
                         size_t error_size);
