/* SPDX-License-Identifier: MIT */
/* A VM's way to the compositor: no failure leads around the security context of one that has them,
 * and the old context stands until there is another. The compositor is a process of its own, since
 * it is asked synchronously. */
#include "tests/support/wl_build.h"
#include "tests/unit/support.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "common/base/fd.h"
#include "common/base/log.h"
#include "host-proxy/compositor.h"
#include "host-proxy/context-folder.h"
#include "host-proxy/config.h"

#define MANAGER "wp_security_context_manager_v1"
#define FDS_MAX 256

/* What the fake compositor tells. */
struct seen {
    bool has_contexts, refuses;
    unsigned contexts; /* that were committed */
};

static struct {
    char folder[32], path[64];
    struct seen *seen; /* shared with it */
    struct vm_config vm;
    struct log_subject subject;
    struct compositor_context context;
    pid_t compositor;
    int before;
    char error[256];
} T;

/* --- the compositor --- */

struct fake_client {
    int fd;
    uint32_t registry, manager, context, fds_n;
    int fds[2];
    bool inside; /* the context */
};

static void say(int fd, const uint8_t *bytes, size_t n)
{
    if (send(fd, bytes, n, MSG_NOSIGNAL) < 0)
        return;
}

/* One request. Returns a listener to watch from now on, or -1. */
static int serve(struct fake_client *c, uint32_t object, uint16_t opcode, const uint32_t *args)
{
    uint8_t bytes[128];
    size_t n = 0;
    if (object == 1 && opcode == 0) { /* sync */
        if (T.seen->refuses && c->context)
            n = wl_build(bytes, 1, 0, "uus", 1, 0, "no");
        else
            n = wl_build(bytes, args[0], 0, "u", 1);
    } else if (object == 1) {
        c->registry = args[0];
        n = wl_build(bytes, c->registry, 0, "usu", 1, c->inside ? "wl_tagged" : "wl_shm", 1);
        if (T.seen->has_contexts && !c->inside)
            n += wl_build(bytes + n, c->registry, 0, "usu", 2, MANAGER, 1);
    } else if (object == c->registry) {
        c->manager = args[2 + (sizeof(MANAGER) + 3) / 4 + 1];
    } else if (object == c->manager && opcode == 1) {
        c->context = args[0];
    } else if (object == c->context && opcode == 4 && !T.seen->refuses) {
        T.seen->contexts++;
        return c->fds[0];
    }
    say(c->fd, bytes, n);
    return -1;
}

static bool serve_some(struct fake_client *c, int *ret_listener)
{
    uint8_t bytes[4096] __attribute__((aligned(4)));
    char control[CMSG_SPACE(sizeof(int) * 4)] __attribute__((aligned(8)));
    struct iovec iov = {bytes, sizeof(bytes)};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof(control)};
    ssize_t n = recvmsg(c->fd, &m, 0);
    if (n <= 0)
        return false;
    for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h)) {
        int fds[4];
        size_t size = h->cmsg_len - CMSG_LEN(0);
        memcpy(fds, CMSG_DATA(h), size);
        for (size_t i = 0; i < size / sizeof(int) && c->fds_n < 2; i++)
            c->fds[c->fds_n++] = fds[i];
    }
    for (size_t at = 0; at + 8 <= (size_t)n;) {
        uint32_t words[2];
        memcpy(words, bytes + at, sizeof(words));
        int listener = serve(c, words[0], words[1] & 0xffff, (const uint32_t *)(bytes + at) + 2);
        if (listener >= 0)
            *ret_listener = listener;
        at += words[1] >> 16;
    }
    return true;
}

static void fake(int listener)
{
    static struct fake_client clients[FDS_MAX];
    int inner = -1;
    size_t n = 0;
    while (true) {
        struct pollfd p[FDS_MAX + 2] = {{listener, POLLIN, 0}, {inner, POLLIN, 0}};
        for (size_t i = 0; i < n; i++)
            p[2 + i] = (struct pollfd){clients[i].fd, POLLIN, 0};
        poll(p, 2 + n, -1);
        for (size_t i = 0; i < n; i++)
            if (p[2 + i].revents && !serve_some(&clients[i], &inner))
                clients[i].fd = fd_close(clients[i].fd);
        for (int i = 0; i < 2; i++) {
            int fd = p[i].revents ? accept(p[i].fd, NULL, NULL) : -1;
            size_t free_one = 0;
            while (free_one < n && clients[free_one].fd >= 0)
                free_one++;
            if (fd >= 0 && free_one < FDS_MAX) {
                clients[free_one] = (struct fake_client){.fd = fd, .inside = i == 1};
                n += free_one == n;
            }
        }
    }
}

static void start_compositor(bool has_contexts)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", T.path);
    T.seen->has_contexts = has_contexts;
    unlink(T.path);
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    T.compositor = fork();
    if (T.compositor == 0) { /* who listens is who is connected to */
        int listener = socket(AF_UNIX, SOCK_STREAM, 0);
        if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
            listen(listener, 64) < 0)
            _exit(1);
        close(ready[0]);
        close(ready[1]);
        fake(listener);
    }
    close(ready[1]);
    char byte;
    assert_int_equal(read(ready[0], &byte, 1), 0);
    close(ready[0]);
}

static void end_compositor(void)
{
    kill(T.compositor, SIGKILL);
    waitpid(T.compositor, NULL, 0);
}

/* --- */

static int setup(void **state)
{
    (void)state;
    memset(&T, 0, sizeof(T));
    log_init("test", getenv("TEST_LOG") ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
    T.before = count_fds();
    strcpy(T.folder, "/tmp/wayvsock-XXXXXX");
    assert_non_null(mkdtemp(T.folder));
    setenv("XDG_RUNTIME_DIR", T.folder, 1);
    snprintf(T.path, sizeof(T.path), "%s/display", T.folder);
    T.seen = mmap(NULL, sizeof(*T.seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(T.seen, MAP_FAILED);
    T.vm = (struct vm_config){.name = (char *)"work", .security_context = true};
    T.subject.name = "vm";
    compositor_context_init(&T.context, T.path, &T.vm, &T.subject);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    compositor_context_finish(&T.context);
    context_folder_remove();
    end_compositor();
    unlink(T.path);
    munmap(T.seen, sizeof(*T.seen));
    int left = rmdir(T.folder); /* fails if a context's socket is left there */
    return left == 0 && count_fds() == T.before ? 0 : -1;
}

static bool tagged(int fd)
{
    uint8_t bytes[128];
    struct pollfd p = {fd, POLLIN, 0};
    say(fd, bytes, wl_build(bytes, 1, 1, "u", 2));
    poll(&p, 1, 10000);
    ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    return n > 0 && memmem(bytes, (size_t)n, "wl_tagged", 9);
}

static void expect_tagged(void)
{
    int fd = compositor_connect(&T.context, T.error, sizeof(T.error));
    if (fd < 0)
        fail_msg("%s", T.error);
    assert_true(tagged(fd));
    fd_close(fd);
}

static void expect_refused(const char *word)
{
    T.error[0] = 0;
    assert_true(compositor_connect(&T.context, T.error, sizeof(T.error)) < 0);
    if (!strstr(T.error, word))
        fail_msg("\"%s\" says nothing of \"%s\"", T.error, word);
}

static void test_one_context_for_all(void **state)
{
    (void)state;
    start_compositor(true);
    for (int i = 0; i < 3; i++)
        expect_tagged();
    assert_int_equal(T.seen->contexts, 1);
}

/* However few there are: a client is tagged, or none. */
static void test_no_descriptors(void **state)
{
    struct rlimit limit, few;
    bool refused = false, let_in = false;
    (void)state;
    start_compositor(true);
    getrlimit(RLIMIT_NOFILE, &limit);
    for (rlim_t n = (rlim_t)T.before; n < (rlim_t)T.before + 24; n++) {
        few = (struct rlimit){n, limit.rlim_max};
        setrlimit(RLIMIT_NOFILE, &few);
        int fd = compositor_connect(&T.context, T.error, sizeof(T.error));
        setrlimit(RLIMIT_NOFILE, &limit);
        if (fd >= 0)
            assert_true(tagged(fd));
        refused |= fd < 0;
        let_in |= fd >= 0;
        fd_close(fd);
        compositor_context_finish(&T.context);
    }
    assert_true(refused && let_in);
}

static void test_the_old_context_stays(void **state)
{
    struct rlimit limit, few;
    (void)state;
    start_compositor(true);
    expect_tagged();
    getrlimit(RLIMIT_NOFILE, &limit);
    few = (struct rlimit){3, limit.rlim_max};
    setrlimit(RLIMIT_NOFILE, &few);
    int fd = compositor_connect(&T.context, T.error, sizeof(T.error));
    setrlimit(RLIMIT_NOFILE, &limit);
    assert_true(fd < 0);
    assert_int_equal(access(T.context.door.path, F_OK), 0);
    expect_tagged();
    assert_int_equal(T.seen->contexts, 1);
}

static void test_a_folder_that_cannot_be_made(void **state)
{
    char nowhere[160];
    (void)state;
    snprintf(nowhere, sizeof(nowhere), "%s/nowhere", T.folder);
    setenv("XDG_RUNTIME_DIR", nowhere, 1);
    start_compositor(true);
    expect_refused("no security context");
    setenv("XDG_RUNTIME_DIR", T.folder, 1);
    expect_refused("no security context"); /* it was tried, when the daemon still might */
    context_folder_remove();
    expect_tagged();
}

/* However long the path is: the socket is there, or in /tmp. */
static void test_long_paths(void **state)
{
    char base[128];
    (void)state;
    start_compositor(true);
    for (size_t n = strlen(T.folder) + 2; n < 120; n++) {
        memset(base, 'x', sizeof(base));
        memcpy(base, T.folder, strlen(T.folder));
        base[strlen(T.folder)] = '/';
        base[n] = 0;
        assert_int_equal(mkdir(base, 0700), 0);
        setenv("XDG_RUNTIME_DIR", base, 1);
        assert_non_null(context_folder());
        context_folder_enter(UINT32_MAX);
        expect_tagged();
        const char *expected =
            n + sizeof("/wayvsock-XXXXXX/4294967295/wayland-4294967295") <= 108 ? base : "/tmp";
        size_t length = strlen(expected);
        assert_memory_equal(T.context.door.path, expected, length);
        assert_int_equal(T.context.door.path[length], '/');
        compositor_context_finish(&T.context);
        context_folder_remove();
        assert_int_equal(rmdir(base), 0);
    }
}

static void test_a_compositor_that_refuses(void **state)
{
    (void)state;
    start_compositor(true);
    T.seen->refuses = true;
    expect_refused("no security context");
    expect_refused("no security context");
    T.seen->refuses = false;
    expect_tagged();
}

static void test_a_compositor_without_contexts(void **state)
{
    (void)state;
    start_compositor(false);
    for (int i = 0; i < 2; i++) {
        int fd = compositor_connect(&T.context, T.error, sizeof(T.error));
        assert_true(fd >= 0);
        assert_false(tagged(fd));
        fd_close(fd);
    }
}

static void test_a_compositor_that_is_started_anew(void **state)
{
    (void)state;
    start_compositor(false); /* once it has none, and then it has */
    fd_close(compositor_connect(&T.context, T.error, sizeof(T.error)));
    assert_false(T.context.made);
    end_compositor();
    start_compositor(true);
    expect_tagged();
    end_compositor();
    expect_refused("");
    start_compositor(true);
    T.seen->refuses = true;
    expect_refused("no security context");
    T.seen->refuses = false;
    expect_tagged();
    assert_int_equal(T.seen->contexts, 2);
    end_compositor();
    start_compositor(false);
    int fd = compositor_connect(&T.context, T.error, sizeof(T.error));
    assert_true(fd >= 0 && !tagged(fd));
    fd_close(fd);
}

static void test_a_socket_that_was_given_is_of_no_use_to_a_named_display(void **state)
{
    (void)state;
    start_compositor(true);
    setenv("WAYLAND_SOCKET", "1000", 1);
    expect_tagged();
    unsetenv("WAYLAND_SOCKET");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_one_context_for_all),
        TEST(test_no_descriptors),
        TEST(test_the_old_context_stays),
        TEST(test_a_folder_that_cannot_be_made),
        TEST(test_long_paths),
        TEST(test_a_compositor_that_refuses),
        TEST(test_a_compositor_without_contexts),
        TEST(test_a_compositor_that_is_started_anew),
        TEST(test_a_socket_that_was_given_is_of_no_use_to_a_named_display),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
