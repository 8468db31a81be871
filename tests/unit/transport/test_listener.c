/* SPDX-License-Identifier: MIT */
/* Connections that are handed over, also when there are more than descriptors. */
#include "tests/unit/turn.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "common/transport/address.h"
#include "common/base/fd.h"
#include "common/transport/listener.h"
#include "common/base/log.h"

#define CLIENTS 100 /* more than are accepted at once */

static struct world {
    struct loop *loop;
    struct listener *listener;
    struct log_subject subject;
    char folder[64], path[80];
    int clients[CLIENTS], accepted[CLIENTS];
    size_t n, n_accepted;
    struct rlimit limit;
} w;

static void accepted(void *user, int fd)
{
    assert_ptr_equal(user, &w);
    w.accepted[w.n_accepted++] = fd;
}

static int setup(void **state)
{
    char error[256];
    (void)state;
    memset(&w, 0, sizeof(w));
    w.subject.name = "listener";
    log_init("test", LOG_LEVEL_WARN);
    getrlimit(RLIMIT_NOFILE, &w.limit);
    make_folder(w.folder);
    snprintf(w.path, sizeof(w.path), "%s/s", w.folder);
    w.loop = loop_create();
    int fd = address_listen_path(w.path, SOCK_STREAM, 0600, error, sizeof(error));
    assert_true(fd >= 0);
    w.listener = listener_create(w.loop, fd, &w.subject, accepted, &w);
    return w.listener ? 0 : -1;
}

static int teardown(void **state)
{
    struct stat st;
    (void)state;
    setrlimit(RLIMIT_NOFILE, &w.limit);
    for (size_t i = 0; i < w.n; i++)
        fd_close(w.clients[i]);
    for (size_t i = 0; i < w.n_accepted; i++)
        fd_close(w.accepted[i]);
    listener_destroy(w.listener);
    loop_destroy(w.loop);
    bool removed = stat(w.path, &st) < 0;
    remove_folder(w.folder);
    return removed ? 0 : -1;
}

static void join(size_t n)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", w.path);
    for (size_t i = 0; i < n; i++) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(fd >= 0);
        w.clients[w.n++] = fd;
        assert_int_equal(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
    }
}

static bool all_came(void *user)
{
    (void)user;
    return w.n_accepted == w.n;
}

static void test_everybody_is_handed_over(void **state)
{
    (void)state;
    join(CLIENTS);
    turn_until(w.loop, all_came, NULL);
    char byte = 0;
    assert_int_equal(write(w.clients[0], "x", 1), 1);
    assert_int_equal(read(w.accepted[0], &byte, 1), 1);
    assert_int_equal(byte, 'x');
    assert_int_equal(w.subject.in_window, 0);
}

/* It says so once and waits, instead of asking again in each turn of the loop. */
static void test_out_of_descriptors(void **state)
{
    (void)state;
    join(5);
    struct rlimit none = {.rlim_cur = 0, .rlim_max = w.limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    turn_times(w.loop, 10);
    assert_int_equal(w.n_accepted, 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &w.limit), 0);
    turn_until(w.loop, all_came, NULL);
    assert_int_equal(w.subject.in_window + w.subject.suppressed, 1);
}

/* The pause ends with the listener. */
static void test_destroyed_while_it_waits(void **state)
{
    (void)state;
    join(1);
    struct rlimit none = {.rlim_cur = 0, .rlim_max = w.limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    turn_times(w.loop, 2);
    assert_int_equal(w.subject.in_window, 1);
    listener_destroy(w.listener);
    w.listener = NULL;
    turn_times(w.loop, 10);
    assert_int_equal(w.n_accepted, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_everybody_is_handed_over),
        TEST(test_out_of_descriptors),
        TEST(test_destroyed_while_it_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
