/* SPDX-License-Identifier: MIT */
/* What starts renderers: here, this very program is one, which says who it is and what it has. */
#include "tests/unit/support.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "host-proxy/gpu/renderer/renderer-process.h"
#include "host-proxy/gpu/renderer-spawner.h"

struct said {
    pid_t pid;
    unsigned fds;
    int argc, no_new_privileges;
    char render_node[32];
    bool has_secret;
};

static char secret[] = "not a secret";

/* The renderer: until the device is gone, or says so. */
static int renderer(int argc, char **argv)
{
    struct said said = {.pid = getpid(),
                        .argc = argc,
                        .no_new_privileges = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0),
                        .has_secret = strcmp(secret, "not a secret") != 0};
    char byte;
    for (int fd = 0; fd < 256; fd++)
        said.fds += fcntl(fd, F_GETFD) >= 0;
    strncpy(said.render_node, argv[2], sizeof(said.render_node) - 1);
    if (send(RENDERER_FD, &said, sizeof(said), 0) != sizeof(said))
        return 1;
    return recv(RENDERER_FD, &byte, 1, 0) == 1 ? 3 : 0;
}

static struct renderer_spawner spawner;

static int setup(void **state)
{
    (void)state;
    strcpy(secret, "of the VM");
    return renderer_spawner_start(&spawner, "/dev/null", LOG_LEVEL_ERROR);
}

static int teardown(void **state)
{
    (void)state;
    renderer_spawner_finish(&spawner);
    return 0;
}

/* The device's end of a new renderer's connection. */
static int renew(struct said *ret_said)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(renderer_spawner_renew(&spawner, ends[1]), 0);
    assert_int_equal(recv(ends[0], ret_said, sizeof(*ret_said), 0), sizeof(*ret_said));
    return ends[0];
}

/* Waits until the process at the other end is gone, whose descriptor was the last. */
static void wait_for_end(int fd)
{
    char byte;
    assert_true(recv(fd, &byte, 1, 0) <= 0);
    close(fd);
}

static void test_starts(void **state)
{
    (void)state;
    struct said said;
    int ours[3];
    for (unsigned i = 0; i < 3; i++) /* of the device's, which it is not to have */
        ours[i] = dup(STDERR_FILENO);
    int fd = renew(&said);
    assert_int_equal(said.argc, 3);
    assert_string_equal(said.render_node, "/dev/null");
    assert_int_equal(said.fds, 4); /* with its standard ones */
    assert_int_equal(said.no_new_privileges, 1);
    assert_false(said.has_secret); /* begun anew, and no copy of this process */
    assert_true(renderer_spawner_used_ms(&spawner) >= 0);
    assert_int_equal(spawner.renderer, said.pid);
    for (unsigned i = 0; i < 3; i++)
        close(ours[i]);
    close(fd);
}

/* However one ends, there can be another one. */
static void test_another(void **state)
{
    (void)state;
    struct said said;
    pid_t before = 0;
    for (unsigned way = 0; way < 12; way++) {
        int fd = renew(&said);
        assert_int_not_equal(said.pid, before);
        before = said.pid;
        if (way % 4 == 0)
            assert_int_equal(kill(said.pid, SIGKILL), 0); /* by somebody else */
        else if (way % 4 == 1)
            assert_int_equal(send(fd, "", 1, 0), 1); /* by itself */
        else if (way % 4 == 2)
            renderer_spawner_stop(&spawner);
        else
            assert_int_equal(kill(said.pid, SIGSTOP), 0); /* by its successor */
        if (way % 4 < 3) {
            wait_for_end(fd);
            if (way > 4)
                usleep(20000); /* long enough to be noticed before something else is asked */
            continue;
        }
        int next = renew(&said);
        wait_for_end(fd);
        close(next);
    }
}

static void test_terminal(void **state)
{
    (void)state;
    struct said said;
    int fd = renew(&said);
    assert_int_equal(kill(said.pid, SIGTERM), 0); /* as with ^C, for all of them */
    assert_int_equal(kill(said.pid, SIGINT), 0);
    assert_int_equal(send(fd, "", 1, 0), 1);
    wait_for_end(fd);
}

/* The device is gone: so is everybody. */
static void test_end(void **state)
{
    (void)state;
    struct said said;
    int fd = renew(&said);
    renderer_spawner_finish(&spawner);
    wait_for_end(fd);
    assert_int_equal(renderer_spawner_start(&spawner, NULL, LOG_LEVEL_ERROR), 0);
    fd = renew(&said);
    assert_string_equal(said.render_node, "");
    close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {TEST(test_starts), TEST(test_another), TEST(test_terminal),
                                       TEST(test_end)};
    if (strcmp(argv[0], RENDERER_PROGRAM) == 0)
        return renderer(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
