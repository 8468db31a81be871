/* SPDX-License-Identifier: MIT */
/* What the service manager hears, on a socket with a path and on an abstract one. */
#include "tests/unit/support.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/base/fd.h"
#include "common/base/sd.h"

static int manager(const char *path, size_t n)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    memcpy(sun.sun_path, path, n);
    assert_int_equal(
        bind(fd, (struct sockaddr *)&sun, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)),
        0);
    return fd;
}

static void heard(int fd, const char *expected)
{
    char message[1024];
    ssize_t n = recv(fd, message, sizeof(message) - 1, 0);
    assert_true(n >= 0);
    message[n] = '\0';
    assert_string_equal(message, expected);
}

static void test_messages(void **state)
{
    char folder[64], path[80], longer[2000];
    (void)state;
    int before = count_fds();
    make_folder(folder);
    snprintf(path, sizeof(path), "%s/notify", folder);
    int fd = manager(path, strlen(path));
    setenv("NOTIFY_SOCKET", path, 1);
    assert_int_equal(sd_notify_ready(), 1);
    heard(fd, "READY=1");
    assert_int_equal(sd_notify_status("2 VMs"), 1);
    heard(fd, "STATUS=2 VMs");
    assert_int_equal(sd_notify_status("a\nREADY=1"), 1);
    heard(fd, "STATUS=a READY=1");
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    assert_int_equal(sd_notify_status(longer), 1);
    assert_int_equal(recv(fd, longer, sizeof(longer), 0), 511);
    assert_int_equal(sd_notify_stopping(), 1);
    heard(fd, "STOPPING=1");
    close(fd);
    assert_int_equal(sd_notify_ready(), -ECONNREFUSED);
    remove_folder(folder);
    assert_int_equal(sd_notify_ready(), -ENOENT);
    assert_int_equal(count_fds(), before);
}

static void test_abstract_socket(void **state)
{
    char name[64];
    (void)state;
    snprintf(name, sizeof(name), "@wayvsock-test-notify-%d", getpid());
    setenv("NOTIFY_SOCKET", name, 1);
    name[0] = '\0';
    int fd = manager(name, 1 + strlen(name + 1));
    assert_int_equal(sd_notify_ready(), 1);
    heard(fd, "READY=1");
    close(fd);
}

/* A manager that is stuck costs us a status line, not our clients their windows. */
static void test_nobody_reads(void **state)
{
    char name[64];
    int told = 1;
    (void)state;
    snprintf(name, sizeof(name), "@wayvsock-test-unread-%d", getpid());
    setenv("NOTIFY_SOCKET", name, 1);
    name[0] = '\0';
    int fd = manager(name, 1 + strlen(name + 1));
    for (unsigned i = 0; i < 1000000 && told == 1; i++)
        told = sd_notify_status("as before");
    assert_int_equal(told, -EAGAIN);
    assert_int_equal(sd_notify_stopping(), -EAGAIN); /* who is to stop stops */
    heard(fd, "STATUS=as before");
    assert_int_equal(sd_notify_status("it reads"), 1);
    close(fd);
}

static void test_nobody_asked(void **state)
{
    (void)state;
    unsetenv("NOTIFY_SOCKET");
    assert_int_equal(sd_notify_ready(), 0);
    setenv("NOTIFY_SOCKET", "", 1);
    assert_int_equal(sd_notify_ready(), 0);
}

static void test_bad_addresses(void **state)
{
    char longer[200];
    (void)state;
    setenv("NOTIFY_SOCKET", "vsock:2:1", 1);
    assert_int_equal(sd_notify_ready(), -EAFNOSUPPORT);
    setenv("NOTIFY_SOCKET", "/", 1);
    assert_int_equal(sd_notify_ready(), -EINVAL);
    memset(longer, '/', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    setenv("NOTIFY_SOCKET", longer, 1);
    assert_int_equal(sd_notify_ready(), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages),      cmocka_unit_test(test_abstract_socket),
        cmocka_unit_test(test_nobody_reads),  cmocka_unit_test(test_nobody_asked),
        cmocka_unit_test(test_bad_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
