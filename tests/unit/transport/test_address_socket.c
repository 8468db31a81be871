/* SPDX-License-Identifier: MIT */
/* Sockets behind addresses: fresh, stale, live and foreign socket files; hybrid sockets; peers;
 * activation; displays. */
#include "tests/unit/support.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <linux/vm_sockets.h>

#include "common/transport/address.h"
#include "common/base/fd.h"

static char folder[64], error[512];
static int fds_before;

static int setup(void **state)
{
    (void)state;
    fds_before = count_fds();
    make_folder(folder);
    error[0] = '\0';
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    remove_folder(folder);
    return count_fds() == fds_before ? 0 : -1;
}

static struct address unix_in_folder(const char *name)
{
    struct address address = {.kind = ADDRESS_UNIX};
    snprintf(address.path, sizeof(address.path), "%s/%s", folder, name);
    return address;
}

static bool exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

static bool lock_exists(const struct address *address)
{
    char path[128];
    snprintf(path, sizeof(path), "%s.lock", address->path);
    return exists(path);
}

static int bind_raw(const char *path, int type)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
    assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
    return fd;
}

static int must_listen(const struct address *address)
{
    int fd = address_listen(address, error, sizeof(error));
    if (fd < 0)
        fail_msg("%s", error);
    return fd;
}

static int must_connect(const struct address *address)
{
    int fd = address_connect(address, false, error, sizeof(error));
    if (fd < 0)
        fail_msg("%s", error);
    assert_int_equal(address_connect_result(fd), 0);
    return fd;
}

static void exchange(int from, int to)
{
    char byte = 0;
    struct pollfd poll_to = {.fd = to, .events = POLLIN};
    assert_int_equal(write(from, "!", 1), 1);
    assert_int_equal(poll(&poll_to, 1, 10000), 1);
    assert_int_equal(read(to, &byte, 1), 1);
    assert_int_equal(byte, '!');
}

static void check_descriptor(int fd)
{
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

static void test_unix_listen_connect_accept(void **state)
{
    struct address address = unix_in_folder("s"), bound;
    struct address_peer peer;
    struct stat st;
    (void)state;
    int listener = must_listen(&address);
    check_descriptor(listener);
    assert_int_equal(stat(address.path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(address_of_listener(listener, &bound), 0);
    assert_int_equal(bound.kind, ADDRESS_UNIX);
    assert_string_equal(bound.path, address.path);
    assert_int_equal(address_accept(listener), -EAGAIN);

    int out = must_connect(&address);
    int in = address_accept(listener);
    assert_true(in >= 0);
    check_descriptor(out);
    check_descriptor(in);
    exchange(out, in);
    exchange(in, out);
    assert_int_equal(address_peer(in, &peer), 0);
    assert_int_equal(peer.kind, ADDRESS_UNIX);
    assert_int_equal(peer.uid, getuid());
    assert_int_equal(peer.pid, getpid());

    assert_int_equal(address_of_listener(in, &bound), -EINVAL);
    address_unlisten(listener);
    assert_false(exists(address.path));
    assert_false(lock_exists(&address));
    close(in);
    close(out);
}

/* Binds @fd (taken) to an abstract name, and says what its peer takes it for. */
static int device_peer_named(const struct address *address, int listener, const char *name)
{
    struct sockaddr_un from = {.sun_family = AF_UNIX}, to = {.sun_family = AF_UNIX};
    struct address_peer peer;
    int out = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    memcpy(from.sun_path + 1, name, strlen(name));
    memcpy(to.sun_path, address->path, strlen(address->path) + 1);
    socklen_t n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
    assert_int_equal(bind(out, (struct sockaddr *)&from, n), 0);
    assert_int_equal(connect(out, (struct sockaddr *)&to, sizeof(to)), 0);
    int in = address_accept(listener);
    assert_true(in >= 0);
    int r = address_device_peer(in, &peer);
    close(in);
    close(out);
    return r;
}

static void test_device_says_whose_connection_it_is(void **state)
{
    static const char *const wrong[] = {
        "wayvsock-vsock/",         "wayvsock-vsock/3/",       "wayvsock-vsock/3/4",
        "wayvsock-vsock/3//4/",    "wayvsock-vsock/x/4/",     "wayvsock-vsock/3/4294967296/",
        "wayvsock-vsock/-3/1000/", "wayvsock-vsock/3/1 /4/5", "other/3/4/5",
    };
    struct address address = unix_in_folder("d");
    struct address_peer peer;
    (void)state;
    address.kind = ADDRESS_VSOCK_DEVICE;
    int listener = must_listen(&address);
    for (unsigned i = 0; i < 2; i++) {
        int out = address_connect_device(address.path, 42, 4294967294);
        assert_true(out >= 0);
        check_descriptor(out);
        int in = address_accept(listener);
        if (i == 1) /* it is known of one that has gone already, too */
            close(out);
        assert_int_equal(address_device_peer(in, &peer), 0);
        assert_int_equal(peer.kind, ADDRESS_VSOCK_DEVICE);
        assert_int_equal(peer.cid, 42);
        assert_int_equal(peer.port, 4294967294);
        assert_int_equal(peer.uid, getuid());
        assert_int_equal(peer.pid, getpid());
        if (i == 0) {
            exchange(out, in);
            close(out);
        }
        close(in);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
        assert_int_equal(device_peer_named(&address, listener, wrong[i]), -EPROTO);
    int out = address_connect_path(address.path, 0);
    int in = address_accept(listener);
    assert_int_equal(address_device_peer(in, &peer), -EPROTO); /* it has no name */
    close(in);
    close(out);
    address_unlisten(listener);
    assert_int_equal(address_connect_device(address.path, 42, 1), -ENOENT);
}

static void test_device_is_of_this_user_or_of_root(void **state)
{
    struct address address = unix_in_folder("d");
    struct address_peer peer;
    int status;
    (void)state;
    if (getuid() != 0)
        skip();
    address.kind = ADDRESS_VSOCK_DEVICE;
    int listener = must_listen(&address);
    assert_int_equal(chmod(address.path, 0666), 0);
    char folder[sizeof(address.path)];
    snprintf(folder, sizeof(folder), "%s", address.path);
    *strrchr(folder, '/') = 0;
    assert_int_equal(chmod(folder, 0755), 0);
    pid_t child = fork();
    if (child == 0)
        _exit(setuid(65534) < 0 || address_connect_device(address.path, 3, 4) < 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    int in = address_accept(listener);
    assert_int_equal(address_device_peer(in, &peer), -EACCES);
    close(in);
    address_unlisten(listener);
}

static void test_accepted_buffers_are_as_large_as_connected_ones(void **state)
{
    struct address address = unix_in_folder("s");
    int sizes[3], plain = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t n = sizeof(int);
    (void)state;
    int listener = must_listen(&address), out = must_connect(&address);
    int in = address_accept(listener);
    assert_int_equal(getsockopt(plain, SOL_SOCKET, SO_SNDBUF, &sizes[0], &n), 0);
    assert_int_equal(getsockopt(out, SOL_SOCKET, SO_SNDBUF, &sizes[1], &n), 0);
    assert_int_equal(getsockopt(in, SOL_SOCKET, SO_SNDBUF, &sizes[2], &n), 0);
    assert_true(sizes[1] >= sizes[0]);
    assert_int_equal(sizes[1], sizes[2]);
    address_unlisten(listener);
    close(in);
    close(out);
    close(plain);
}

/* Services have masks that would keep others out whom an option lets in. */
static void test_the_mode_is_what_was_asked_for(void **state)
{
    static const mode_t modes[] = {0600, 0660, 0666};
    char path[96];
    struct stat st;
    (void)state;
    snprintf(path, sizeof(path), "%s/socket", folder);
    mode_t mask = umask(077);
    for (size_t i = 0; i < 3; i++) {
        int fd = address_listen_path(path, SOCK_SEQPACKET, modes[i], error, sizeof(error));
        assert_true(fd >= 0);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, modes[i]);
        address_unlisten(fd);
    }
    assert_int_equal(umask(mask), 077);
}

static void test_stale_socket_is_replaced(void **state)
{
    struct address address = unix_in_folder("s");
    (void)state;
    close(bind_raw(address.path, SOCK_STREAM)); /* as a killed daemon leaves it */
    assert_true(exists(address.path));
    int listener = must_listen(&address);
    int out = must_connect(&address), in = address_accept(listener);
    exchange(out, in);
    address_unlisten(listener);
    close(out);
    close(in);
}

static void test_stale_lock_file_does_not_matter(void **state)
{
    struct address address = unix_in_folder("s");
    char lock[128];
    (void)state;
    snprintf(lock, sizeof(lock), "%s.lock", address.path);
    close(open(lock, O_CREAT | O_RDWR | O_CLOEXEC, 0600));
    address_unlisten(must_listen(&address));
    assert_false(exists(lock));
}

static void test_live_socket_is_never_replaced(void **state)
{
    struct address address = unix_in_folder("s");
    struct stat before, after;
    (void)state;
    int live = bind_raw(address.path, SOCK_STREAM); /* a server that knows no lock files */
    assert_int_equal(listen(live, 1), 0);
    assert_int_equal(stat(address.path, &before), 0);
    for (int i = 0; i < 4; i++) { /* also once its backlog is full of our questions */
        assert_int_equal(address_listen(&address, error, sizeof(error)), -EADDRINUSE);
        assert_non_null(strstr(error, "another process listens on it"));
    }
    assert_int_equal(stat(address.path, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    assert_false(lock_exists(&address));
    close(live);

    unlink(address.path);
    live = bind_raw(address.path, SOCK_DGRAM);
    assert_int_equal(address_listen(&address, error, sizeof(error)), -EADDRINUSE);
    close(live);
}

static void test_two_listeners_of_ours(void **state)
{
    struct address address = unix_in_folder("s");
    (void)state;
    int first = must_listen(&address);
    assert_int_equal(address_listen(&address, error, sizeof(error)), -EADDRINUSE);
    assert_non_null(strstr(error, "another process holds"));
    assert_true(exists(address.path));
    assert_true(lock_exists(&address));
    int out = must_connect(&address), in = address_accept(first); /* nobody probed it */
    exchange(out, in);
    close(out);
    close(in);
    address_unlisten(first);
    address_unlisten(must_listen(&address));
}

static void test_locked_path_is_left_alone_without_a_socket(void **state)
{
    struct address address = unix_in_folder("wayland-1");
    char lock[128];
    (void)state;
    snprintf(lock, sizeof(lock), "%s.lock", address.path);
    int fd =
        open(lock, O_CREAT | O_RDWR | O_CLOEXEC, 0600); /* a compositor between lock and bind */
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(address_listen(&address, error, sizeof(error)), -EADDRINUSE);
    assert_true(exists(lock));
    close(fd);
}

static void test_listener_holds_the_lock(void **state)
{
    struct address address = unix_in_folder("wayland-1");
    char lock[128];
    (void)state;
    snprintf(lock, sizeof(lock), "%s.lock", address.path);
    int listener = must_listen(&address);
    int fd = open(lock, O_RDWR | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), -1); /* what a compositor would try */
    assert_int_equal(errno, EWOULDBLOCK);
    close(fd);
    address_unlisten(listener);
}

static void test_other_files_are_never_replaced(void **state)
{
    struct address address = unix_in_folder("precious");
    (void)state;
    int fd = open(address.path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    assert_int_equal(address_listen(&address, error, sizeof(error)), -EEXIST);
    assert_non_null(strstr(error, "is no socket"));
    assert_true(exists(address.path));
    close(fd);
    unlink(address.path);
    assert_int_equal(symlink("/nowhere", address.path), 0);
    assert_int_equal(address_listen(&address, error, sizeof(error)), -EEXIST);
    assert_true(exists(address.path));
}

static void test_listen_in_a_missing_folder(void **state)
{
    struct address address = unix_in_folder("missing/s");
    (void)state;
    assert_int_equal(address_listen(&address, error, sizeof(error)), -ENOENT);
    assert_non_null(strstr(error, "missing/s"));
}

static void test_connect_to_nobody(void **state)
{
    struct address address = unix_in_folder("s");
    (void)state;
    assert_int_equal(address_connect(&address, false, error, sizeof(error)), -ENOENT);
    assert_non_null(strstr(error, address.path));
    close(bind_raw(address.path, SOCK_STREAM));
    assert_int_equal(address_connect(&address, false, error, sizeof(error)), -ECONNREFUSED);
}

static void test_mux_listens_beside_and_connects_to_the_path(void **state)
{
    struct address mux = {.kind = ADDRESS_VSOCK_MUX, .port = 1100}, bound;
    struct address beside = unix_in_folder("v_1100"), itself = unix_in_folder("v");
    (void)state;
    snprintf(mux.path, sizeof(mux.path), "%s/v", folder);
    int listener = must_listen(&mux);
    assert_true(exists(beside.path));
    assert_false(exists(itself.path));
    assert_int_equal(address_of_listener(listener, &bound), 0);
    assert_string_equal(bound.path, beside.path);
    address_unlisten(listener);
    assert_false(exists(beside.path));

    listener = must_listen(&itself);
    int out = must_connect(&mux), in = address_accept(listener);
    exchange(out, in);
    close(out);
    close(in);
    address_unlisten(listener);
}

static void test_vsock_connect_needs_a_cid(void **state)
{
    struct address address = {.kind = ADDRESS_VSOCK, .cid = VMADDR_CID_ANY, .port = 1100};
    (void)state;
    assert_int_equal(address_connect(&address, false, error, sizeof(error)), -EINVAL);
    assert_non_null(strstr(error, "name the CID, as in vsock:2:1100"));
}

static void test_vsock_listen(void **state)
{
    struct address address = {
        .kind = ADDRESS_VSOCK, .cid = VMADDR_CID_ANY, .port = 40000 + (uint32_t)getpid()};
    struct address bound;
    uint64_t size = 0;
    socklen_t n = sizeof(size);
    (void)state;
    int listener = address_listen(&address, error, sizeof(error));
    if (listener == -EAFNOSUPPORT || listener == -EADDRNOTAVAIL)
        skip();
    assert_true(listener >= 0);
    check_descriptor(listener);
    assert_int_equal(address_of_listener(listener, &bound), 0);
    assert_int_equal(bound.kind, ADDRESS_VSOCK);
    assert_int_equal(bound.cid, VMADDR_CID_ANY);
    assert_int_equal(bound.port, address.port);
    assert_int_equal(getsockopt(listener, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &size, &n), 0);
    assert_true(size >= 1 << 20);
    assert_int_equal(address_listen(&address, error, sizeof(error)), -EADDRINUSE);
    address_unlisten(listener);

    address.cid = 77777; /* not ours */
    assert_int_equal(address_listen(&address, error, sizeof(error)), -EADDRNOTAVAIL);
    assert_non_null(strstr(error, "is not this machine's"));
}

static void test_vsock_loopback_with_a_privileged_port(void **state)
{
    struct address address = {
        .kind = ADDRESS_VSOCK, .cid = VMADDR_CID_LOCAL, .port = 41000 + (uint32_t)getpid()};
    struct address_peer peer;
    (void)state;
    int listener = address_listen(&address, error, sizeof(error));
    if (listener < 0) /* no vsock_loopback */
        skip();
    int out = address_connect(&address, geteuid() == 0, error, sizeof(error));
    assert_true(out >= 0);
    struct pollfd wait_out = {.fd = out, .events = POLLOUT};
    assert_int_equal(poll(&wait_out, 1, 10000), 1);
    assert_int_equal(address_connect_result(out), 0);
    struct pollfd wait_in = {.fd = listener, .events = POLLIN};
    assert_int_equal(poll(&wait_in, 1, 10000), 1);
    int in = address_accept(listener);
    assert_true(in >= 0);
    assert_int_equal(address_peer(in, &peer), 0);
    assert_int_equal(peer.kind, ADDRESS_VSOCK);
    assert_int_equal(peer.cid, VMADDR_CID_LOCAL);
    if (geteuid() == 0)
        assert_true(peer.port < 1024);
    exchange(out, in);
    close(in);
    close(out);
    address_unlisten(listener);
}

static void test_peer_of_what_is_no_connection(void **state)
{
    struct address_peer peer;
    int ends[2];
    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(address_peer(ends[0], &peer), -ENOTSOCK);
    close(ends[0]);
    close(ends[1]);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(address_peer(fd, &peer), -ENOTCONN);
    close(fd);
}

static void test_listener_of_unknown_kind(void **state)
{
    struct address bound;
    struct sockaddr_un abstract = {.sun_family = AF_UNIX};
    (void)state;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(address_of_listener(fd, &bound), -EINVAL); /* not listening */
    snprintf(abstract.sun_path + 1, 60, "wayvsock-test-%d", getpid());
    assert_int_equal(bind(fd, (struct sockaddr *)&abstract, sizeof(abstract)), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(address_of_listener(fd, &bound), -EINVAL); /* abstract */
    close(fd);
    assert_int_equal(address_of_listener(0, &bound), -EINVAL);
}

/* In a child, because the variables name its pid and descriptors from 3 on. Returns its exit
 * status. */
static int in_child(void (*run)(const struct address *), const struct address *address)
{
    int status = -1;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        run(address);
        _exit(99);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void activated(const struct address *address)
{
    char pid[16];
    struct address bound;
    int first = -1, listener = address_listen(address, error, sizeof(error));
    if (listener < 0 || dup2(listener, 50) != 50)
        _exit(1);
    dup2(50, 3); /* what was there does not matter: the child ends here */
    dup2(50, 4);
    fcntl(3, F_SETFL, 0);
    snprintf(pid, sizeof(pid), "%d", getpid());
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDS", "2", 1);
    setenv("LISTEN_FDNAMES", "a:b", 1);
    if (address_inherited(&first) != 2 || first != 3)
        _exit(2);
    if (getenv("LISTEN_PID") || getenv("LISTEN_FDS") || getenv("LISTEN_FDNAMES"))
        _exit(3);
    if (!(fcntl(3, F_GETFD) & FD_CLOEXEC) || !(fcntl(4, F_GETFD) & FD_CLOEXEC))
        _exit(4);
    if (!(fcntl(3, F_GETFL) & O_NONBLOCK))
        _exit(5);
    if (address_of_listener(3, &bound) != 0 || strcmp(bound.path, address->path) != 0)
        _exit(6);
    if (address_inherited(&first) != 0) /* once */
        _exit(7);
    _exit(0);
}

static void test_activation(void **state)
{
    struct address address = unix_in_folder("s");
    (void)state;
    assert_int_equal(in_child(activated, &address), 0);
}

static void test_activation_of_another_process(void **state)
{
    int first = -1;
    (void)state;
    assert_int_equal(address_inherited(&first), 0);
    setenv("LISTEN_FDS", "1", 1);
    assert_int_equal(address_inherited(&first), 0); /* no pid: not for us */
    setenv("LISTEN_PID", "1", 1);
    assert_int_equal(address_inherited(&first), 0);
    assert_string_equal(getenv("LISTEN_FDS"), "1");
    assert_int_equal(first, -1);
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
}

static void test_activation_refuses_malformed_variables(void **state)
{
    static const char *const counts[] = {"", "x", "-1", "1x", "1025", "99999999999999999999"};
    int first = -1;
    char pid[16];
    (void)state;
    snprintf(pid, sizeof(pid), "%d", getpid());
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        setenv("LISTEN_PID", pid, 1);
        setenv("LISTEN_FDS", counts[i], 1);
        assert_int_equal(address_inherited(&first), -EINVAL);
        assert_null(getenv("LISTEN_FDS"));
    }
    setenv("LISTEN_PID", "me", 1);
    setenv("LISTEN_FDS", "1", 1);
    assert_int_equal(address_inherited(&first), -EINVAL);
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDS", "1000", 1); /* more than there are */
    assert_int_equal(address_inherited(&first), -EBADF);
    assert_int_equal(first, -1);
}

static void activated_badly(const struct address *address)
{
    (void)address;
    test_activation_refuses_malformed_variables(NULL); /* it changes the flags of inherited fds */
    _exit(0);
}

static void test_activation_malformed(void **state)
{
    (void)state;
    assert_int_equal(in_child(activated_badly, NULL), 0);
}

static void test_connect_display(void **state)
{
    struct address address = unix_in_folder("wayland-3");
    (void)state;
    setenv("XDG_RUNTIME_DIR", folder, 1);
    unsetenv("WAYLAND_SOCKET");
    assert_int_equal(address_connect_display("wayland-3", 0, error, sizeof(error)), -ENOENT);
    assert_non_null(strstr(error, address.path));
    int listener = must_listen(&address);
    const char *const names[] = {"wayland-3", address.path, NULL};
    setenv("WAYLAND_DISPLAY", "wayland-3", 1);
    for (size_t i = 0; i < 3; i++) {
        int out = address_connect_display(names[i], 0, error, sizeof(error));
        assert_true(out >= 0);
        check_descriptor(out);
        int in = address_accept(listener);
        exchange(out, in);
        close(in);
        close(out);
    }
    address_unlisten(listener);
    unsetenv("WAYLAND_DISPLAY");
}

/* Nobody hangs with a compositor that does. */
static void test_connect_display_that_accepts_nothing(void **state)
{
    struct address address = unix_in_folder("wayland-4");
    int waiting[8], n = 0;
    (void)state;
    int listener = must_listen(&address);
    assert_int_equal(listen(listener, 2), 0);
    alarm(60);
    while (n < 8 &&
           (waiting[n] = address_connect_display(address.path, 0, error, sizeof(error))) >= 0)
        n++;
    assert_in_range(n, 1, 7);
    assert_int_equal(waiting[n], -EAGAIN);
    assert_non_null(strstr(error, "it accepts no connections"));
    assert_int_equal(address_connect_display(address.path, 20, error, sizeof(error)), -EAGAIN);
    alarm(0);
    close(address_accept(listener));
    int out = address_connect_display(address.path, 20, error, sizeof(error));
    assert_true(out >= 0);
    check_descriptor(out);
    close(out);
    while (n)
        close(waiting[--n]);
    address_unlisten(listener);
}

static void test_connect_display_takes_wayland_socket_once(void **state)
{
    int ends[2];
    char number[16];
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    snprintf(number, sizeof(number), "%d", ends[0]);
    setenv("WAYLAND_SOCKET", number, 1);
    setenv("XDG_RUNTIME_DIR", folder, 1);
    assert_int_equal(address_connect_display("named", 0, error, sizeof(error)), -ENOENT);
    assert_non_null(
        getenv("WAYLAND_SOCKET")); /* a display that was asked for by name comes first */
    assert_int_equal(address_connect_display(NULL, 0, error, sizeof(error)), ends[0]);
    check_descriptor(ends[0]);
    assert_null(getenv("WAYLAND_SOCKET"));
    exchange(ends[0], ends[1]);
    assert_int_equal(address_connect_display(NULL, 0, error, sizeof(error)), -ENOENT);
    close(ends[0]);
    close(ends[1]);
}

static void test_connect_display_refuses_a_bad_wayland_socket(void **state)
{
    static const char *const texts[] = {"x", "-1", "99999", "0x3", "4294967296", "3 "};
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        setenv("WAYLAND_SOCKET", texts[i], 1);
        assert_int_equal(address_connect_display(NULL, 0, error, sizeof(error)), -EBADF);
        assert_non_null(strstr(error, "WAYLAND_SOCKET"));
        assert_null(getenv("WAYLAND_SOCKET"));
    }
}

#define t(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        t(test_unix_listen_connect_accept),
        t(test_device_says_whose_connection_it_is),
        t(test_device_is_of_this_user_or_of_root),
        t(test_accepted_buffers_are_as_large_as_connected_ones),
        t(test_the_mode_is_what_was_asked_for),
        t(test_stale_socket_is_replaced),
        t(test_stale_lock_file_does_not_matter),
        t(test_live_socket_is_never_replaced),
        t(test_two_listeners_of_ours),
        t(test_locked_path_is_left_alone_without_a_socket),
        t(test_listener_holds_the_lock),
        t(test_other_files_are_never_replaced),
        t(test_listen_in_a_missing_folder),
        t(test_connect_to_nobody),
        t(test_mux_listens_beside_and_connects_to_the_path),
        t(test_vsock_connect_needs_a_cid),
        t(test_vsock_listen),
        t(test_vsock_loopback_with_a_privileged_port),
        t(test_peer_of_what_is_no_connection),
        t(test_listener_of_unknown_kind),
        t(test_activation),
        t(test_activation_of_another_process),
        t(test_activation_malformed),
        t(test_connect_display),
        t(test_connect_display_that_accepts_nothing),
        t(test_connect_display_takes_wayland_socket_once),
        t(test_connect_display_refuses_a_bad_wayland_socket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
