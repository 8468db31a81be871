/* SPDX-License-Identifier: MIT */
/* Sockets that a service manager hands over: with their names, to whoever wants one, once. */
#include "tests/unit/support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "common/base/fd.h"
#include "common/transport/address.h"
#include "common/transport/inherited.h"

static char error[256];

/* In a process of its own, which has three descriptors from 3 on. */
static void handed_over(const char *names)
{
    struct inherited all;
    char pid[16];
    snprintf(pid, sizeof(pid), "%d", getpid());
    for (int fd = 3; fd < 6; fd++)
        assert_int_equal(dup2(STDIN_FILENO, fd), fd);
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDS", "3", 1);
    if (names)
        setenv("LISTEN_FDNAMES", names, 1);
    else
        unsetenv("LISTEN_FDNAMES");
    assert_int_equal(inherited_get(&all, error, sizeof(error)), 0);
    assert_int_equal(all.n, 3);
    int *b = inherited_find(&all, "b"), *c = inherited_find(&all, "c");
    if (names && strncmp(names, "a:b", 3) == 0) {
        assert_true(b && *b == 4);
        *b = -1;
        assert_null(inherited_find(&all, "b"));
    } else {
        assert_null(b);
    }
    assert_true((c != NULL) == (names && strchr(names, 'c')));
    int left = 0;
    for (int *any; (any = inherited_find(&all, NULL)) && left < 1; left++)
        *any = -1;
    assert_int_equal(left, 1);
    inherited_finish(&all);
    assert_int_equal(fcntl(3, F_GETFD), 1); /* that was taken */
    assert_int_equal(fcntl(5, F_GETFD), -1);
    assert_int_equal(inherited_get(&all, error, sizeof(error)), 0); /* once */
    assert_int_equal(all.n, 0);
    inherited_finish(&all);
}

static void test_names(void **state)
{
    static const char *const names[] = {"a:b:c", "a:b", "a", "", NULL, "a:b:c:d", "::"};
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        pid_t pid = fork();
        int status;
        if (pid == 0) {
            handed_over(names[i]);
            _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
    }
}

static void test_malformed(void **state)
{
    struct inherited all;
    char pid[16];
    (void)state;
    snprintf(pid, sizeof(pid), "%d", getpid());
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDS", "three", 1);
    assert_int_equal(inherited_get(&all, error, sizeof(error)), -EINVAL);
    assert_string_equal(error, "LISTEN_FDS is malformed");
    inherited_finish(&all);
}

static void test_paths(void **state)
{
    static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET};
    char folder[64], path[108], at[108];
    int ends[2];
    (void)state;
    make_folder(folder);
    snprintf(path, sizeof(path), "%s/s", folder);
    for (int i = 0; i < 2; i++) {
        int fd = address_listen_path(path, types[i], 0600, error, sizeof(error));
        assert_int_equal(inherited_path(fd, types[i], at, sizeof(at)), 0);
        assert_string_equal(at, path);
        assert_int_equal(inherited_path(fd, types[!i], at, sizeof(at)), -EINVAL);
        assert_int_equal(inherited_path(fd, types[i], at, strlen(path)), -EINVAL);
        address_unlisten(fd);
    }
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(inherited_path(ends[0], SOCK_STREAM, at, sizeof(at)), -EINVAL);
    assert_int_equal(inherited_path(-1, SOCK_STREAM, at, sizeof(at)), -EINVAL);
    close(ends[0]);
    close(ends[1]);
    remove_folder(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
