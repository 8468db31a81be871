/* SPDX-License-Identifier: MIT */
/* Processes are started by a number and with a descriptor, their end is told, and with the parent
 * everything ends. */
#include "tests/unit/support.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/base/fd.h"
#include "common/base/spawner.h"
#include "tests/support/send_fds.h"

#define NUMBERS 3

enum order { EXIT_7 = 1, ABORT, STUBBORN }; /* what a process is told by its channel */

static struct {
    char folder[64];
    struct spawner spawner;
    int fds;
} T;

static void leave(const char *what, uint32_t number)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s-%u", T.folder, what, number);
    assert_int_equal(mkdir(path, 0700), 0);
}

static bool was_left(const char *what, uint32_t number)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s-%u", T.folder, what, number);
    return rmdir(path) == 0;
}

static void begun(void *user, int socket)
{
    (void)user;
    assert_true(socket >= 0);
}

/* Says its number and process id, and obeys. */
static int run(void *user, uint32_t number, int channel)
{
    uint32_t words[2] = {number, (uint32_t)getpid()}, order = 0;
    (void)user;
    assert_int_equal(send(channel, words, sizeof(words), 0), sizeof(words));
    ssize_t n = recv(channel, &order, sizeof(order), 0);
    if (n > 0 && order == EXIT_7)
        return 7;
    if (n > 0 && order == ABORT)
        kill(getpid(), SIGKILL);
    if (n > 0 && order == STUBBORN)
        pause();
    return 0;
}

static uint32_t assistants(void *user, uint32_t number, uint32_t what)
{
    (void)user;
    return number == 1 && what < 2 ? what + 1 : 0;
}

/* Says what it is for, and ends with the other end. */
static int assist(void *user, uint32_t number, uint32_t what, int fd)
{
    uint32_t words[3] = {number, what, (uint32_t)getpid()}, order;
    (void)user;
    assert_int_equal(send(fd, words, sizeof(words), 0), sizeof(words));
    while (recv(fd, &order, sizeof(order), 0) > 0)
        continue;
    return (int)what;
}

static void started(void *user, uint32_t number)
{
    (void)user;
    leave("started", number);
}

static void ended(void *user, uint32_t number)
{
    (void)user;
    leave("ended", number);
}

static void finished(void *user)
{
    (void)user;
    leave("finished", 0);
}

static const struct spawner_ops ops = {.begun = begun,
                                       .run = run,
                                       .started = started,
                                       .ended = ended,
                                       .assistants = assistants,
                                       .assist = assist,
                                       .finished = finished};

static int setup(void **state)
{
    int status;
    (void)state;
    make_folder(T.folder);
    T.fds = count_fds();
    int r = spawner_fork(NUMBERS, &ops, NULL, &T.spawner, &status);
    if (r == SPAWNER_OVER)
        _exit(status);
    return r;
}

static int teardown(void **state)
{
    (void)state;
    if (T.spawner.fd >= 0)
        spawner_stop(&T.spawner);
    remove_folder(T.folder);
    return count_fds() == T.fds ? 0 : -1;
}

static void ask_for(uint32_t kind, uint32_t number, uint32_t what, int fd)
{
    struct spawner_request request = {.kind = kind, .number = number, .what = what};
    assert_int_equal(send_fds(T.spawner.fd, &request, sizeof(request), &fd, fd >= 0),
                     sizeof(request));
    fd_close(fd);
}

static void ask(uint32_t kind, uint32_t number, int fd)
{
    ask_for(kind, number, 0, fd);
}

/* Starts one. Its process id, and our end of its channel. */
static pid_t start(uint32_t number, int *ret_channel)
{
    int ends[2];
    uint32_t words[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    ask(SPAWNER_START, number, ends[1]);
    assert_int_equal(recv(ends[0], words, sizeof(words), 0), sizeof(words));
    assert_int_equal(words[0], number);
    *ret_channel = ends[0];
    return (pid_t)words[1];
}

static void expect_end(uint32_t number, int32_t *ret_status)
{
    struct spawner_report report;
    assert_int_equal(recv(T.spawner.fd, &report, sizeof(report), 0), sizeof(report));
    assert_int_equal(report.number, number);
    assert_int_equal(report.kind, SPAWNER_START);
    *ret_status = report.status;
    assert_true(was_left("started", number));
    assert_true(was_left("ended", number));
}

static bool is_gone(pid_t pid)
{
    return kill(pid, 0) < 0 && errno == ESRCH;
}

static void expect_gone(pid_t pid)
{
    for (int i = 0; i < 2000 && !is_gone(pid); i++)
        poll(NULL, 0, 5);
    assert_true(is_gone(pid));
}

static void order(int channel, uint32_t what)
{
    assert_int_equal(send(channel, &what, sizeof(what), MSG_NOSIGNAL), sizeof(what));
}

static void test_how_they_end(void **state)
{
    (void)state;
    int channel;
    int32_t status;
    start(2, &channel);
    order(channel, EXIT_7);
    expect_end(2, &status);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    close(channel);
    start(2, &channel); /* the next */
    order(channel, ABORT);
    expect_end(2, &status);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    close(channel);
    pid_t pid = start(0, &channel);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    ask(SPAWNER_KILL, 0, -1);
    expect_end(0, &status);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    close(channel);
}

/* Nothing becomes of what is no request, nor of a second process of a number. */
static void test_nonsense(void **state)
{
    (void)state;
    int channel, ends[2];
    int32_t status;
    char byte;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    ask(SPAWNER_START, NUMBERS, dup(ends[1]));
    ask(SPAWNER_START, UINT32_MAX, dup(ends[1]));
    ask(SPAWNER_START, 1, -1);
    ask(SPAWNER_KILL, 1, -1);
    ask(77, 1, dup(ends[1]));
    assert_int_equal(send(T.spawner.fd, "x", 1, MSG_NOSIGNAL), 1);
    start(1, &channel);
    ask(SPAWNER_START, 1, ends[1]);
    assert_int_equal(recv(ends[0], &byte, 1, 0), 0); /* nobody has the other end */
    order(channel, EXIT_7);
    expect_end(1, &status);
    close(ends[0]);
    close(channel);
}

static void test_the_parent_ends(void **state)
{
    (void)state;
    int channels[2];
    pid_t pids[2] = {start(0, &channels[0]), start(1, &channels[1])};
    close(channels[0]);
    close(channels[1]);
    spawner_stop(&T.spawner);
    expect_gone(T.spawner.pid);
    expect_gone(pids[0]);
    expect_gone(pids[1]);
    assert_true(was_left("finished", 0));
}

/* One that does not end by itself is killed after a while. */
static void test_the_parent_ends_and_a_process_does_not(void **state)
{
    (void)state;
    int channel;
    pid_t pid = start(1, &channel);
    order(channel, STUBBORN);
    close(channel);
    spawner_stop(&T.spawner);
    expect_gone(pid);
    assert_true(was_left("finished", 0));
}

static void test_the_spawner_is_killed(void **state)
{
    (void)state;
    int channel;
    struct spawner_report report;
    pid_t pid = start(0, &channel);
    order(channel, STUBBORN);
    assert_int_equal(kill(T.spawner.pid, SIGKILL), 0);
    assert_int_equal(recv(T.spawner.fd, &report, sizeof(report), 0), 0);
    expect_gone(pid);
    close(channel);
}

/* Asks for an assistant of process 1. Its process id; 0: there is none. */
static pid_t assistant(uint32_t number, uint32_t what, int *ret_fd)
{
    int ends[2];
    uint32_t words[3];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    ask_for(SPAWNER_ASSIST, number, what, ends[1]);
    ssize_t n = recv(ends[0], words, sizeof(words), 0);
    *ret_fd = ends[0];
    if (n == 0)
        return 0;
    assert_int_equal(n, sizeof(words));
    assert_int_equal(words[0], number);
    assert_int_equal(words[1], what);
    return (pid_t)words[2];
}

static void expect_assistant_s_end(uint32_t number, bool badly, int exit_status)
{
    struct spawner_report report;
    assert_int_equal(recv(T.spawner.fd, &report, sizeof(report), 0), sizeof(report));
    assert_int_equal(report.kind, SPAWNER_ASSIST);
    assert_int_equal(report.number, number);
    if (badly)
        assert_true(report.status < 0);
    else
        assert_true(WIFEXITED(report.status) && WEXITSTATUS(report.status) == exit_status);
}

/* As many as there may be, whether that process is there or not; each ends with its asker. */
static void test_assistants(void **state)
{
    (void)state;
    int fds[3], none;
    assert_true(assistant(1, 0, &fds[0]) > 0);
    assert_int_equal(assistant(1, 0, &none), 0);
    expect_assistant_s_end(1, true, 0);
    close(none);
    assert_true(assistant(1, 1, &fds[1]) > 0);
    assert_true(assistant(1, 1, &fds[2]) > 0);
    for (uint32_t what = 1; what < 4; what++) {
        assert_int_equal(assistant(1, what, &none), 0);
        expect_assistant_s_end(1, true, 0);
        close(none);
    }
    assert_int_equal(assistant(2, 0, &none), 0);
    expect_assistant_s_end(2, true, 0);
    close(none);
    close(fds[1]);
    expect_assistant_s_end(1, false, 1);
    assert_true(assistant(1, 1, &fds[1]) > 0); /* in its place */
    for (int i = 0; i < 3; i++) {
        close(fds[i]);
        expect_assistant_s_end(1, false, i > 0);
    }
}

static void test_assistants_and_the_parent_s_end(void **state)
{
    (void)state;
    int fds[2];
    pid_t pids[2] = {assistant(1, 0, &fds[0]), assistant(1, 1, &fds[1])};
    close(fds[0]);
    spawner_stop(&T.spawner); /* in spite of the one that is still wanted */
    expect_gone(pids[0]);
    expect_gone(pids[1]);
    assert_true(was_left("finished", 0));
    close(fds[1]);
}

/* Signals to all processes of a terminal are no end of this one. */
static void test_signals(void **state)
{
    (void)state;
    int channel;
    int32_t status;
    const int signals[] = {SIGTERM, SIGINT, SIGHUP};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(kill(T.spawner.pid, signals[i]), 0);
        pid_t pid = start(0, &channel);
        assert_int_equal(kill(pid, signals[i]), 0); /* but of its children's */
        expect_end(0, &status);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == signals[i]);
        close(channel);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_how_they_end),
        TEST(test_nonsense),
        TEST(test_the_parent_ends),
        TEST(test_the_parent_ends_and_a_process_does_not),
        TEST(test_the_spawner_is_killed),
        TEST(test_signals),
        TEST(test_assistants),
        TEST(test_assistants_and_the_parent_s_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
