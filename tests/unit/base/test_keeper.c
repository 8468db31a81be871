/* SPDX-License-Identifier: MIT */
/* What is kept comes back: from the service manager, and from a parent of our own after a kill. */
#include "tests/unit/support.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "common/base/fd.h"
#include "common/base/keeper.h"
#include "common/base/sd.h"

static void test_messages(void **state)
{
    (void)state;
    int ends[2], before = count_fds();
    unsetenv("NOTIFY_SOCKET");
    assert_int_equal(keeper_keep("thing", 0), -ENOTCONN);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    sd_connect(ends[1]);
    assert_int_equal(keeper_keep("thing", 0), 0);
    keeper_forget("thing");
    char text[200];
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec iov = {text, sizeof(text)};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof(control.bytes)};
    ssize_t n = recvmsg(ends[0], &m, 0);
    assert_true(n > 0);
    text[n] = '\0';
    assert_string_equal(text, "FDSTORE=1\nFDPOLL=0\nFDNAME=wayvsock-thing");
    int fd;
    assert_non_null(CMSG_FIRSTHDR(&m));
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
    close(fd);
    n = recv(ends[0], text, sizeof(text), 0);
    assert_true(n > 0);
    text[n] = '\0';
    assert_string_equal(text, "FDSTOREREMOVE=1\nFDNAME=wayvsock-thing");
    close(ends[0]);
    sd_connect(-1);
    assert_int_equal(count_fds(), before);
}

static void test_inherited(void **state)
{
    (void)state;
    struct keeper keeper;
    char pid[16];
    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    setenv("NOTIFY_SOCKET", "/nowhere", 1);
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDNAMES",
           "some.socket:wayvsock-a:wayvsock-:wayvsock-b:wayvsock-a-name-that-is-too-long", 1);
    keeper_inherit(&keeper);
    assert_int_equal(keeper_start(&keeper), 0);
    assert_int_equal(keeper.n, 2);
    assert_int_equal(keeper_take(&keeper, "a"), 4);
    assert_int_equal(keeper_take(&keeper, "a"), -1);
    assert_int_equal(keeper_take(&keeper, "b"), 6);
    assert_int_equal(keeper_take(&keeper, "some.socket"), -1);
    keeper_finish(&keeper);
    setenv("LISTEN_PID", "1", 1); /* another's */
    keeper_inherit(&keeper);
    assert_int_equal(keeper.n, 0);
    unsetenv("NOTIFY_SOCKET");
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDNAMES");
}

/* Each life counts one more, and is killed, until the third. */
static void live(void)
{
    struct keeper keeper = {0};
    char lives = 0;
    if (keeper_start(&keeper) < 0)
        _exit(99);
    int fd = keeper_take(&keeper, "lives");
    int gone = keeper_take(&keeper, "forgotten");
    if (fd >= 0 && pread(fd, &lives, 1, 0) != 1)
        _exit(98);
    if (gone >= 0)
        _exit(97);
    lives++;
    fd_close(fd);
    fd = fd_memfd("lives", 1);
    if (pwrite(fd, &lives, 1, 0) != 1 || keeper_keep("lives", fd) < 0 ||
        keeper_keep("forgotten", fd) < 0)
        _exit(96);
    keeper_forget("forgotten");
    if (lives == 3)
        _exit(42);
    raise(SIGKILL);
}

static void test_killed(void **state)
{
    (void)state;
    int status;
    pid_t pid = fork();
    if (pid == 0)
        live();
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 42);
}

/* A parent that is asked to end takes its child with it. */
static void test_terminated(void **state)
{
    (void)state;
    int ends[2], status;
    char byte;
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct keeper keeper = {0};
        keeper_start(&keeper);
        if (write(ends[1], "x", 1) == 1)
            pause();
        _exit(1);
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    kill(pid, SIGTERM);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 1);
    assert_int_equal(read(ends[0], &byte, 1), 0); /* nobody has it any more */
    close(ends[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_inherited),
        cmocka_unit_test(test_killed),
        cmocka_unit_test(test_terminated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
