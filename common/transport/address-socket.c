/* SPDX-License-Identifier: MIT */
/* address-socket: the sockets behind addresses: made, accepted, inherited, and who is at their
 * other end. Socket files that we bound are guarded by a lock file as libwayland's are (PATH.lock,
 * held as long as the listener is), so that neither a second daemon nor a compositor takes a path
 * that is in use. */
#include "common/transport/address.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/vm_sockets.h>

#include "common/base/error.h"
#include "common/base/fd.h"
#include "common/base/number.h"

/* Frames of pixels are large: a buffer of this size holds several, and costs kernel memory only
 * while it is full. */
#define VSOCK_BUFFER_BYTES (UINT64_C(1) << 20)
#define UNIX_BUFFER_BYTES (1 << 20)
#define PRIVILEGED_PORTS 1023 /* the kernel asks for CAP_NET_BIND_SERVICE up to this port */
#define BACKLOG 1024
#define DEVICE_NAME "wayvsock-vsock/" /* then CID/PORT/ and a number that nobody else has */

struct bound_path {
    struct bound_path *next;
    int fd;      /* the listener */
    int lock_fd; /* holds the lock while it is open; of vsock, the mark */
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    char lock_path[sizeof(((struct sockaddr_un *)0)->sun_path) + sizeof(".lock")];
};

static struct bound_path *bound_paths;

/* Larger buffers are a wish: without them everything works, only slower. */
static void tune_vsock(int fd)
{
    uint64_t bytes = VSOCK_BUFFER_BYTES; /* the maximum first, it caps the size */
    setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_MAX_SIZE, &bytes, sizeof(bytes));
    setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &bytes, sizeof(bytes));
}

static void tune_unix(int fd)
{
    int bytes = UNIX_BUFFER_BYTES;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

static int open_socket(int family, int type, char *error, size_t error_size)
{
    int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        int result = -errno;
        if (family == AF_VSOCK && (result == -EAFNOSUPPORT || result == -ESOCKTNOSUPPORT))
            return error_set(
                result, error, error_size,
                "this kernel has no vsock sockets: load the module (modprobe vsock) or "
                "allow AF_VSOCK to this service");
        return error_set(result, error, error_size, "cannot make a socket: %s", strerror(-result));
    }
    if (family == AF_VSOCK)
        tune_vsock(fd);
    else
        tune_unix(fd);
    return fd;
}

static void unix_address(struct sockaddr_un *sun, const char *path)
{
    *sun = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(sun->sun_path, sizeof(sun->sun_path), "%s", path);
}

/* Takes the lock beside @path. A holder that goes away removes its lock file, so the lock counts
 * only if the file still has its name once we hold it. */
static int lock_path_open(const char *lock_path, const char *path, char *error, size_t error_size)
{
    for (;;) {
        struct stat held, named;
        _cleanup_(fd_closep) int fd =
            open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
        if (fd < 0) {
            int result = -errno;
            return error_set(result, error, error_size, "cannot listen on %s: cannot make %s: %s",
                             path, lock_path, strerror(-result));
        }
        if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
            int result = -errno;
            if (result == -EWOULDBLOCK)
                return error_set(-EADDRINUSE, error, error_size,
                                 "%s is in use: another process holds %s", path, lock_path);
            return error_set(result, error, error_size, "cannot lock %s: %s", lock_path,
                             strerror(-result));
        }
        if (fstat(fd, &held) == 0 && stat(lock_path, &named) == 0 && held.st_ino == named.st_ino &&
            held.st_dev == named.st_dev)
            return fd_steal(&fd);
    }
}

/* Removes a socket file that nobody listens on any more; we hold its lock. */
static int address_unlink_stale(const char *path, char *error, size_t error_size)
{
    struct stat st;
    struct sockaddr_un sun;
    if (lstat(path, &st) < 0) {
        int result = errno == ENOENT ? 0 : -errno;
        return result == 0 ? 0
                           : error_set(result, error, error_size, "cannot listen on %s: %s", path,
                                       strerror(-result));
    }
    if (!S_ISSOCK(st.st_mode))
        return error_set(
            -EEXIST, error, error_size,
            "cannot listen on %s: the file exists and is no socket; remove it or choose "
            "another path",
            path);
    _cleanup_(fd_closep) int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0)
        return error_set(-errno, error, error_size, "cannot make a socket: %s", strerror(errno));
    unix_address(&sun, path);
    if (connect(probe, (struct sockaddr *)&sun, sizeof(sun)) < 0) {
        int result = -errno;
        if (result == -ENOENT)
            return 0;
        if (result == -ECONNREFUSED) {
            if (unlink(path) == 0 || errno == ENOENT)
                return 0;
            result = -errno;
            return error_set(result, error, error_size, "cannot remove the stale socket %s: %s",
                             path, strerror(-result));
        }
        if (result == -EACCES || result == -EPERM)
            return error_set(result, error, error_size,
                             "cannot listen on %s: another user's socket is there", path);
    }
    return error_set(-EADDRINUSE, error, error_size, "%s is in use: another process listens on it",
                     path);
}

int address_listen_path(const char *path, int type, mode_t mode, char *error, size_t error_size)
{
    struct sockaddr_un sun;
    struct bound_path *bound =
        strlen(path) < sizeof(sun.sun_path) ? calloc(1, sizeof(*bound)) : NULL;
    if (!bound && strlen(path) >= sizeof(sun.sun_path))
        return error_set(-ENAMETOOLONG, error, error_size, "%s is too long for a socket", path);
    if (!bound)
        return error_set(-ENOMEM, error, error_size, "out of memory");
    snprintf(bound->path, sizeof(bound->path), "%s", path);
    snprintf(bound->lock_path, sizeof(bound->lock_path), "%s.lock", path);
    bound->lock_fd = lock_path_open(bound->lock_path, path, error, error_size);
    if (bound->lock_fd < 0) {
        int result = bound->lock_fd;
        free(bound);
        return result;
    }
    int result = address_unlink_stale(path, error, error_size);
    bound->fd = result < 0 ? result : open_socket(AF_UNIX, type, error, error_size);
    result = bound->fd < 0 ? bound->fd : 0;
    if (result == 0) {
        unix_address(&sun, path);
        /* The socket file gets the mode that its socket has when it is bound, but for the mask. */
        mode_t mask = umask(0);
        if (fchmod(bound->fd, mode) < 0 ||
            bind(bound->fd, (struct sockaddr *)&sun, sizeof(sun)) < 0 ||
            (type != SOCK_DGRAM && listen(bound->fd, BACKLOG) < 0))
            result = -errno;
        umask(mask);
        if (result < 0) {
            error_set(result, error, error_size, "cannot listen on %s: %s", path,
                      strerror(-result));
            fd_close(bound->fd);
        }
    }
    if (result < 0) {
        unlink(bound->lock_path);
        fd_close(bound->lock_fd);
        free(bound);
        return result;
    }
    bound->next = bound_paths;
    bound_paths = bound;
    return bound->fd;
}

int address_remove_stale(const char *path)
{
    char error[512], lock_path[sizeof(((struct bound_path *)0)->lock_path)];
    int n = snprintf(lock_path, sizeof(lock_path), "%s.lock", path);
    if (n < 0 || (size_t)n >= sizeof(lock_path))
        return -ENAMETOOLONG;
    _cleanup_(fd_closep) int lock = lock_path_open(lock_path, path, error, sizeof(error));
    if (lock < 0)
        return lock;
    int result = address_unlink_stale(path, error, sizeof(error));
    unlink(lock_path);
    return result;
}

socklen_t address_mark(const struct address *address, struct sockaddr_un *ret_name)
{
    char text[64];
    assert(address->kind == ADDRESS_VSOCK); /* that fits */
    *ret_name = (struct sockaddr_un){.sun_family = AF_UNIX};
    int n = snprintf(ret_name->sun_path + 1, sizeof(ret_name->sun_path) - 1, "wayvsock/%s",
                     address_format(address, text, sizeof(text)));
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
}

/* Stands beside the vsock listener @fd, for as long. Nothing depends on it. */
static void mark_vsock(int fd, const struct address *address)
{
    struct sockaddr_un name;
    socklen_t n = address_mark(address, &name);
    struct bound_path *bound = calloc(1, sizeof(*bound));
    int mark = bound ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) : -1;
    if (mark < 0 || bind(mark, (struct sockaddr *)&name, n) < 0 || listen(mark, 1) < 0) {
        if (mark >= 0)
            fd_close(mark);
        free(bound);
        return;
    }
    bound->fd = fd;
    bound->lock_fd = mark;
    bound->next = bound_paths;
    bound_paths = bound;
}

static int listen_vsock(const struct address *address, char *error, size_t error_size)
{
    char text[64];
    struct sockaddr_vm svm = {
        .svm_family = AF_VSOCK, .svm_cid = address->cid, .svm_port = address->port};
    _cleanup_(fd_closep) int fd = open_socket(AF_VSOCK, SOCK_STREAM, error, error_size);
    if (fd < 0)
        return fd_steal(&fd);
    if (bind(fd, (struct sockaddr *)&svm, sizeof(svm)) == 0 && listen(fd, BACKLOG) == 0) {
        mark_vsock(fd, address);
        return fd_steal(&fd);
    }
    int result = -errno;
    address_format(address, text, sizeof(text));
    if (result == -EADDRNOTAVAIL)
        return error_set(result, error, error_size,
                         "cannot listen on %s: CID %" PRIu32
                         " is not this machine's; vsock:%" PRIu32 " listens on all of its CIDs",
                         text, address->cid, address->port);
    if (result == -EACCES)
        return error_set(result, error, error_size,
                         "cannot listen on %s: ports below 1024 need CAP_NET_BIND_SERVICE", text);
    return error_set(result, error, error_size, "cannot listen on %s: %s", text, strerror(-result));
}

static int mux_path(const struct address *address, char *path, size_t size)
{
    int n = snprintf(path, size, "%s_%" PRIu32, address->path, address->port);
    return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

int address_listen(const struct address *address, char *error, size_t error_size)
{
    char path[sizeof(address->path)];
    switch (address->kind) {
    case ADDRESS_VSOCK:
        return listen_vsock(address, error, error_size);
    case ADDRESS_UNIX:
    case ADDRESS_VSOCK_DEVICE:
        return address_listen_path(address->path, SOCK_STREAM, 0600, error, error_size);
    case ADDRESS_VSOCK_MUX:
        if (mux_path(address, path, sizeof(path)) < 0)
            return error_set(-ENAMETOOLONG, error, error_size,
                             "%s_%" PRIu32 " is too long for a socket", address->path,
                             address->port);
        return address_listen_path(path, SOCK_STREAM, 0600, error, error_size);
    case _ADDRESS_KIND_N:
        break;
    }
    return error_set(-EINVAL, error, error_size, "no address");
}

void address_unlisten(int fd)
{
    for (struct bound_path **link = &bound_paths; *link; link = &(*link)->next) {
        struct bound_path *bound = *link;
        if (bound->fd != fd)
            continue;
        *link = bound->next;
        if (bound->path[0]) {
            unlink(bound->path);
            unlink(bound->lock_path);
        }
        fd_close(bound->lock_fd); /* the lock goes last */
        free(bound);
        break;
    }
    fd_close(fd);
}

int address_accept(int listener)
{
    struct sockaddr_storage from;
    socklen_t n = sizeof(from);
    int fd = accept4(listener, (struct sockaddr *)&from, &n, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return -errno;
    if (from.ss_family == AF_UNIX) /* these do not inherit the listener's sizes */
        tune_unix(fd);
    return fd;
}

/* Binds a source port that only root (of this machine) may use. The start is random: a port that a
 * connection used lately is still taken at the other end for some seconds. */
static int bind_privileged(int fd, char *error, size_t error_size)
{
    uint16_t start = 0;
    if (getrandom(&start, sizeof(start), GRND_NONBLOCK) < 0)
        start = (uint16_t)getpid();
    for (unsigned i = 0; i < PRIVILEGED_PORTS; i++) {
        struct sockaddr_vm svm = {
            .svm_family = AF_VSOCK,
            .svm_cid = VMADDR_CID_ANY,
            .svm_port = 1 + (start + i) % PRIVILEGED_PORTS,
        };
        if (bind(fd, (struct sockaddr *)&svm, sizeof(svm)) == 0)
            return 0;
        if (errno == EACCES || errno == EPERM)
            return error_set(
                -EACCES, error, error_size,
                "a source port below 1024 needs CAP_NET_BIND_SERVICE: run as a service "
                "with AmbientCapabilities=CAP_NET_BIND_SERVICE, or use a token (--token)");
        if (errno != EADDRINUSE) {
            int result = -errno;
            return error_set(result, error, error_size, "cannot bind a source port: %s",
                             strerror(-result));
        }
    }
    return error_set(-EADDRINUSE, error, error_size, "all source ports below 1024 are in use");
}

int address_connect_packets(const char *path, char *error, size_t error_size)
{
    return address_connect_type(path, SOCK_SEQPACKET, error, error_size);
}

int address_connect_type(const char *path, int type, char *error, size_t error_size)
{
    struct sockaddr_un sun;
    if (strlen(path) >= sizeof(sun.sun_path))
        return error_set(-ENAMETOOLONG, error, error_size, "%s is too long for a socket", path);
    _cleanup_(fd_closep) int fd = open_socket(AF_UNIX, type, error, error_size);
    if (fd < 0)
        return fd_steal(&fd);
    unix_address(&sun, path);
    if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0)
        return fd_steal(&fd);
    int result = -errno;
    return error_set(result, error, error_size, "cannot connect to %s: %s", path,
                     strerror(-result));
}

int address_connect(const struct address *address, bool privileged, char *error, size_t error_size)
{
    char text[sizeof(address->path) + 32];
    struct sockaddr_vm svm = {
        .svm_family = AF_VSOCK, .svm_cid = address->cid, .svm_port = address->port};
    struct sockaddr_un sun;
    bool vsock = address->kind == ADDRESS_VSOCK;
    address_format(address, text, sizeof(text));
    if (address->kind == ADDRESS_VSOCK_DEVICE)
        return error_set(-EINVAL, error, error_size,
                         "cannot connect to %s: only a VM's vsock device does; in the VM, the host "
                         "is vsock:2:%d",
                         text, ADDRESS_DEFAULT_PORT);
    if (vsock && address->cid == VMADDR_CID_ANY)
        return error_set(-EINVAL, error, error_size,
                         "cannot connect to %s: name the CID, as in vsock:2:%" PRIu32
                         " (2 is the host)",
                         text, address->port);

    _cleanup_(fd_closep) int fd =
        open_socket(vsock ? AF_VSOCK : AF_UNIX, SOCK_STREAM, error, error_size);
    if (fd < 0)
        return fd_steal(&fd);
    if (vsock && privileged) {
        int result = bind_privileged(fd, error, error_size);
        if (result < 0)
            return result;
    }
    unix_address(&sun, address->path);
    int result = vsock ? connect(fd, (struct sockaddr *)&svm, sizeof(svm))
                       : connect(fd, (struct sockaddr *)&sun, sizeof(sun));
    if (result == 0 || errno == EINPROGRESS)
        return fd_steal(&fd);
    result = -errno;
    return error_set(result, error, error_size, "cannot connect to %s: %s", text,
                     strerror(-result));
}

int address_connect_result(int fd)
{
    int result = 0;
    socklen_t n = sizeof(result);
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &result, &n) < 0)
        return -errno;
    return -result;
}

int address_peer(int fd, struct address_peer *ret_peer)
{
    union {
        struct sockaddr any;
        struct sockaddr_vm vm;
        struct sockaddr_storage room;
    } from = {.any.sa_family = AF_UNSPEC};
    socklen_t n = sizeof(from);
    if (getpeername(fd, &from.any, &n) < 0)
        return -errno;
    if (from.any.sa_family == AF_VSOCK) {
        *ret_peer = (struct address_peer){
            .kind = ADDRESS_VSOCK, .cid = from.vm.svm_cid, .port = from.vm.svm_port};
        return 0;
    }
    if (from.any.sa_family != AF_UNIX)
        return -EAFNOSUPPORT;
    struct ucred cred;
    n = sizeof(cred);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) < 0)
        return -errno;
    *ret_peer =
        (struct address_peer){.kind = ADDRESS_UNIX, .uid = cred.uid, .pid = (uint32_t)cred.pid};
    return 0;
}

static bool parse_device_name(const char *name, uint32_t *ret_cid, uint32_t *ret_port)
{
    uint64_t numbers[2];
    if (strncmp(name, DEVICE_NAME, sizeof(DEVICE_NAME) - 1) != 0)
        return false;
    name += sizeof(DEVICE_NAME) - 1;
    for (int i = 0; i < 2; i++) {
        size_t n = strcspn(name, "/");
        if (name[n] != '/' || !number_parse(name, n, UINT32_MAX, &numbers[i]))
            return false;
        name += n + 1;
    }
    *ret_cid = (uint32_t)numbers[0];
    *ret_port = (uint32_t)numbers[1];
    return true;
}

int address_device_peer(int fd, struct address_peer *ret_peer)
{
    struct sockaddr_un from = {.sun_family = AF_UNSPEC};
    socklen_t n = sizeof(from);
    struct address_peer peer;
    char name[sizeof(from.sun_path)] = "";
    int r = address_peer(fd, &peer);
    if (r < 0)
        return r;
    if (peer.kind != ADDRESS_UNIX || getpeername(fd, (struct sockaddr *)&from, &n) < 0)
        return -EPROTO;
    if (peer.uid != 0 && peer.uid != geteuid())
        return -EACCES;
    size_t skip = offsetof(struct sockaddr_un, sun_path) + 1; /* the NUL of abstract names */
    if (n <= skip || n > sizeof(from) || from.sun_path[0])
        return -EPROTO;
    memcpy(name, from.sun_path + 1, n - skip);
    if (!parse_device_name(name, &peer.cid, &peer.port))
        return -EPROTO;
    peer.kind = ADDRESS_VSOCK_DEVICE;
    *ret_peer = peer;
    return 0;
}

/* Or -1. */
static int parse_int(const char *text)
{
    uint64_t number;
    return number_parse(text, strlen(text), INT32_MAX, &number) ? (int)number : -1;
}

int address_inherited(int *ret_first)
{
    const char *pid_text = getenv("LISTEN_PID"), *n_text = getenv("LISTEN_FDS");
    int pid = pid_text ? parse_int(pid_text) : 0;
    int n = n_text ? parse_int(n_text) : 0;
    bool ours = pid_text && n_text && pid == getpid();
    if (ours || pid < 0) { /* another process's variables are not ours to remove */
        unsetenv("LISTEN_PID");
        unsetenv("LISTEN_FDS");
        unsetenv("LISTEN_FDNAMES");
        unsetenv("LISTEN_PIDFDID");
    }
    if (pid < 0 || (ours && (n < 0 || n > 1024)))
        return -EINVAL;
    if (!ours)
        return 0;
    for (int fd = 3; fd < 3 + n; fd++) {
        int result = fd_set_nonblock(fd);
        if (result == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
            result = -errno;
        if (result < 0)
            return result;
    }
    *ret_first = 3;
    return n;
}

static int socket_option(int fd, int name)
{
    int value = -1;
    socklen_t n = sizeof(value);
    return getsockopt(fd, SOL_SOCKET, name, &value, &n) < 0 ? -1 : value;
}

int address_of_listener(int fd, struct address *ret_address)
{
    union {
        struct sockaddr any;
        struct sockaddr_vm vm;
        struct sockaddr_un un;
        struct sockaddr_storage room;
    } bound = {.any.sa_family = AF_UNSPEC};
    socklen_t n = sizeof(bound);
    struct address address = {0};
    if (socket_option(fd, SO_TYPE) != SOCK_STREAM || socket_option(fd, SO_ACCEPTCONN) != 1 ||
        getsockname(fd, &bound.any, &n) < 0)
        return -EINVAL;
    if (bound.any.sa_family == AF_VSOCK) {
        address.kind = ADDRESS_VSOCK;
        address.cid = bound.vm.svm_cid;
        address.port = bound.vm.svm_port;
        tune_vsock(fd);
    } else if (bound.any.sa_family == AF_UNIX && n > offsetof(struct sockaddr_un, sun_path) &&
               bound.un.sun_path[0] != '\0') {
        size_t length = n - offsetof(struct sockaddr_un, sun_path);
        address.kind = ADDRESS_UNIX;
        length = strnlen(bound.un.sun_path, length);
        if (length >= sizeof(address.path))
            return -EINVAL;
        memcpy(address.path, bound.un.sun_path, length);
    } else
        return -EINVAL;
    *ret_address = address;
    return 0;
}

/* The one connection that whoever started us has made for us. */
static int take_wayland_socket(const char *text, char *error, size_t error_size)
{
    int fd = parse_int(text);
    bool is_socket = fd >= 0 && socket_option(fd, SO_TYPE) == SOCK_STREAM &&
                     socket_option(fd, SO_DOMAIN) == AF_UNIX;
    int result = -EBADF;
    if (is_socket)
        result = fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ? -errno : fd_set_nonblock(fd);
    if (result < 0)
        error_set(result, error, error_size,
                  "WAYLAND_SOCKET=%.32s is not a connected socket of ours: %s", text,
                  strerror(-result));
    unsetenv("WAYLAND_SOCKET");
    return result < 0 ? result : fd;
}

/* @name: an abstract one of our socket, or NULL. */
static int connect_path(const char *path, const char *name, unsigned wait_ms)
{
    struct sockaddr_un sun;
    _cleanup_(fd_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    tune_unix(fd);
    if (name) {
        unix_address(&sun, "");
        size_t n = (size_t)snprintf(sun.sun_path + 1, sizeof(sun.sun_path) - 1, "%s", name);
        socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n);
        if (bind(fd, (struct sockaddr *)&sun, size) < 0)
            return -errno;
    }
    unix_address(&sun, path);
    int result = connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0 ? -errno : 0;
    if (result == -EAGAIN && wait_ms) { /* nothing tells when there is room, but this */
        struct timeval limit = {wait_ms / 1000, wait_ms % 1000 * 1000};
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
        if (fcntl(fd, F_SETFL, 0) < 0)
            return -errno;
        result = connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0 ? -errno : 0;
        if (result == 0)
            result = fd_set_nonblock(fd);
    }
    return result < 0 ? result : fd_steal(&fd);
}

int address_connect_path(const char *path, unsigned wait_ms)
{
    return connect_path(path, NULL, wait_ms);
}

int address_connect_device(const char *path, uint32_t cid, uint32_t port)
{
    char name[96];
    uint64_t unique = 0;
    if (getrandom(&unique, sizeof(unique), GRND_NONBLOCK) < 0)
        return -errno;
    snprintf(name, sizeof(name), DEVICE_NAME "%" PRIu32 "/%" PRIu32 "/%016" PRIx64, cid, port,
             unique);
    return connect_path(path, name, 0);
}

int address_connect_display(const char *display, unsigned wait_ms, char *error, size_t error_size)
{
    char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
    const char *inherited = getenv("WAYLAND_SOCKET");
    if (!display && inherited && *inherited)
        return take_wayland_socket(inherited, error, error_size);
    int result = address_display_path(display, path, sizeof(path), error, error_size);
    if (result < 0)
        return result;
    result = address_connect_path(path, wait_ms);
    if (result < 0)
        return error_set(result, error, error_size, "cannot connect to the display %s: %s", path,
                         result == -EAGAIN ? "it accepts no connections" : strerror(-result));
    return result;
}
