/* SPDX-License-Identifier: MIT */
/* Where the host's programs come to what VMs serve: sockets that the gate makes, and those that a
 * service manager has made, by path or by name. */
#include "tests/unit/turn.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/transport/address.h"
#include "host-proxy/callers.h"
#include "host-proxy/config.h"

static struct {
    struct loop *loop;
    struct host_config config;
    struct callers *callers;
    char folder[64], error[512];
    struct log_subject subjects[2];
    void *vm; /* who was called last */
    uint32_t service;
    int fd, fds;
} T;

static void called(void *vm, uint32_t service, int fd)
{
    T.vm = vm;
    T.service = service;
    fd_close(T.fd);
    T.fd = fd;
}

static int setup(void **state)
{
    char text[800];
    (void)state;
    memset(&T, 0, sizeof(T));
    T.fd = -1;
    T.fds = count_fds();
    make_folder(T.folder);
    T.loop = loop_create();
    host_config_init(&T.config);
    snprintf(text, sizeof(text),
             "[vm a]\ncid = 5\nforward = agent both\n[vm b]\ncid = 6\nforward = both packets\n"
             "[forward agent]\npath = /x\n"
             "[forward both]\ndirection = to-guest\nlisten = %s/%%v-both\n"
             "[forward packets]\ndirection = to-guest\nlisten = %s/packets\ntype = seqpacket\n",
             T.folder, T.folder);
    if (host_config_read_text(&T.config, "x", text, strlen(text), T.error, sizeof(T.error)) < 0)
        fail_msg("%s", T.error);
    T.callers = callers_create(T.loop, &T.config, called);
    for (size_t i = 0; i < 2; i++) {
        T.subjects[i].name = T.config.vms[i].name;
        assert_int_equal(callers_add(T.callers, &T.config.vms[i], &T.subjects[i], &T.config.vms[i]),
                         0);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    callers_destroy(T.callers);
    loop_destroy(T.loop);
    host_config_finish(&T.config);
    fd_close(T.fd);
    remove_folder(T.folder); /* in which nothing is left */
    return count_fds() == T.fds ? 0 : -1;
}

static const char *at(const char *name)
{
    static char path[128];
    snprintf(path, sizeof(path), "%s/%s", T.folder, name);
    return path;
}

static bool was_called(void *user)
{
    (void)user;
    return T.vm;
}

/* Somebody connects there. */
static void expect_call(const char *name, int type, size_t vm, uint32_t service)
{
    int fd = type == SOCK_STREAM ? address_connect_path(at(name), 0)
                                 : address_connect_packets(at(name), T.error, sizeof(T.error));
    if (fd < 0)
        fail_msg("%s: %s", name, strerror(-fd));
    T.vm = NULL;
    turn_until(T.loop, was_called, NULL);
    assert_ptr_equal(T.vm, &T.config.vms[vm]);
    assert_int_equal(T.service, service);
    close(fd);
}

static void test_listens_for_each(void **state)
{
    struct stat st;
    (void)state;
    callers_listen(T.callers);
    expect_call("a-both", SOCK_STREAM, 0, 1);
    expect_call("b-both", SOCK_STREAM, 1, 0);
    expect_call("packets", SOCK_SEQPACKET, 1, 1);
    assert_int_equal(stat(at("packets"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

/* A socket as a service manager makes it. */
static int made(const char *name, int type)
{
    int fd = address_listen_path(at(name), type, 0600, T.error, sizeof(T.error));
    assert_true(fd >= 0);
    return fd;
}

static int inherit(int fd, const char *name)
{
    int r = callers_inherit(T.callers, fd, name, T.error, sizeof(T.error));
    if (r != 1)
        address_unlisten(fd);
    return r;
}

static void test_sockets_that_others_made(void **state)
{
    (void)state;
    assert_int_equal(inherit(made("a-both", SOCK_STREAM), "whatever"), 1);
    assert_int_equal(inherit(made("other", SOCK_SEQPACKET), "packets"), 1);
    callers_listen(T.callers); /* for the one that is left */
    expect_call("a-both", SOCK_STREAM, 0, 1);
    expect_call("other", SOCK_SEQPACKET, 1, 1);
    expect_call("b-both", SOCK_STREAM, 1, 0);
    assert_int_equal(access(at("packets"), F_OK), -1);
}

static void test_sockets_that_are_no_service_s(void **state)
{
    int ends[2];
    (void)state;
    assert_int_equal(inherit(made("x", SOCK_STREAM), ""), 0);
    assert_int_equal(inherit(made("x", SOCK_STREAM), "wayvsock-host.socket"), 0);
    assert_int_equal(inherit(made("x", SOCK_STREAM), "agent"), 0);        /* the other direction */
    assert_int_equal(inherit(made("x", SOCK_STREAM), "packets"), 0);      /* another type */
    assert_int_equal(inherit(made("packets", SOCK_STREAM), "nobody"), 0); /* the same */
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(inherit(ends[0], "both"), 0);
    close(ends[1]);
}

static void test_sockets_that_may_be_two(void **state)
{
    (void)state;
    assert_int_equal(inherit(made("x", SOCK_STREAM), "both"), -EINVAL);
    assert_non_null(strstr(T.error, "is called both, which is a service of several VMs"));
    assert_int_equal(inherit(made("x", SOCK_SEQPACKET), "packets"), 1);
    assert_int_equal(inherit(made("y", SOCK_SEQPACKET), "packets"), -EINVAL);
    assert_non_null(strstr(T.error, "are for the service packets of one VM"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_listens_for_each),
        TEST(test_sockets_that_others_made),
        TEST(test_sockets_that_are_no_service_s),
        TEST(test_sockets_that_may_be_two),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
