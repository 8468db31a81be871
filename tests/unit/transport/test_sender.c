/* SPDX-License-Identifier: MIT */
/* Who sent it: what a server is told of a service's first message, however that goes. */
#include "tests/unit/turn.h"

#include <fcntl.h>

#include "common/base/fd.h"
#include "common/transport/packetq.h"
#include "common/transport/sendq.h"

/* What a server sees that asks who sent the first message only once it has accepted. */
static void expect_own_credentials(int socket, bool with_fd)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int))];
    } control;
    char bytes[64];
    struct iovec iov = {bytes, sizeof(bytes)};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    struct ucred sender = {0};
    int yes = 1, fd = -1;
    assert_int_equal(setsockopt(socket, SOL_SOCKET, SO_PASSCRED, &yes, sizeof(yes)), 0);
    assert_true(recvmsg(socket, &message, MSG_CMSG_CLOEXEC) > 0);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
        if (c->cmsg_type == SCM_CREDENTIALS)
            memcpy(&sender, CMSG_DATA(c), sizeof(sender));
        else if (c->cmsg_type == SCM_RIGHTS)
            memcpy(&fd, CMSG_DATA(c), sizeof(fd));
    }
    assert_int_equal(sender.pid, getpid());
    assert_int_equal(sender.uid, getuid());
    assert_int_equal(sender.gid, getgid());
    assert_int_equal(fd >= 0, with_fd); /* with what came beside them */
    fd_close(fd);
}

static int a_descriptor(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void first_message(bool with_fd)
{
    struct sendq q;
    int ends[2];
    make_sockets(ends, 0);
    sendq_init(&q, NULL, NULL);
    q.exact = true;
    if (with_fd)
        assert_int_equal(sendq_fd(&q, a_descriptor(), NULL), 0);
    sendq_copy(&q, "hello", 5);
    assert_int_equal(sendq_flush(&q, ends[0]), 0);
    expect_own_credentials(ends[1], with_fd);
    sendq_finish(&q);
    fd_close(ends[0]);
    fd_close(ends[1]);
}

static void test_the_first_message_says_who_sent_it(void **state)
{
    (void)state;
    first_message(false);
}

static void test_beside_descriptors_as_well(void **state)
{
    (void)state;
    first_message(true);
}

static void test_so_does_the_first_packet(void **state)
{
    struct packetq q;
    int ends[2], fd = a_descriptor();
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    packetq_init(&q, NULL);
    assert_int_equal(packetq_add(&q, "hello", 5, &fd, 1, true), 0);
    assert_int_equal(packetq_flush(&q, ends[0]), 0);
    expect_own_credentials(ends[1], true);
    packetq_finish(&q);
    fd_close(ends[0]);
    fd_close(ends[1]);
}

static int before;

static int setup(void **state)
{
    (void)state;
    before = count_fds();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return count_fds() == before ? 0 : -1;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_the_first_message_says_who_sent_it),
        TEST(test_beside_descriptors_as_well),
        TEST(test_so_does_the_first_packet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
