/* SPDX-License-Identifier: MIT */
/* Where a device's hypervisor comes from, whatever the device is. */
#include "tests/unit/turn.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "common/base/fd.h"
#include "common/vhost-user/frontend.h"

/* A device that only holds its connection. */
struct world {
    struct loop *loop;
    struct frontend *frontend;
    char folder[64], path[80], error[256];
    int held; /* -1: no hypervisor */
    void (*closed)(void *user, int reason);
    void *closed_user;
    unsigned connected, refused, ended;
    int refuse; /* whom it would take otherwise */
};

static int fds_before;

static int holder_connect(void *user, int fd, void (*closed)(void *user, int reason),
                          void *closed_user)
{
    struct world *w = user;
    if (w->held >= 0 || w->refuse < 0) {
        fd_close(fd);
        w->refused++;
        return w->held >= 0 ? -EBUSY : w->refuse;
    }
    w->held = fd;
    w->closed = closed;
    w->closed_user = closed_user;
    w->connected++;
    return 0;
}

static void holder_ended(void *user)
{
    ((struct world *)user)->ended++;
}

static const struct frontend_ops holder = {holder_connect, holder_ended};

static void lose(struct world *w)
{
    w->held = fd_close(w->held);
    w->closed(w->closed_user, 0);
}

static int setup(void **state)
{
    fds_before = count_fds();
    struct world *w = calloc(1, sizeof(*w));
    w->loop = loop_create();
    w->held = -1;
    make_folder(w->folder);
    snprintf(w->path, sizeof(w->path), "%s/gpu", w->folder);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    frontend_destroy(w->frontend);
    fd_close(w->held);
    loop_destroy(w->loop);
    remove_folder(w->folder);
    free(w);
    assert_int_equal(count_fds(), fds_before);
    return 0;
}

static void create(struct world *w, const char *path, int fd)
{
    w->frontend = frontend_create(w->loop, path, fd, NULL, &holder, w, w->error, sizeof(w->error));
}

static struct sockaddr_un address_of(const struct world *w)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    memcpy(a.sun_path, w->path, strlen(w->path) + 1);
    return a;
}

static int dial(struct world *w)
{
    struct sockaddr_un a = address_of(w);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    turn_times(w->loop, 5);
    return fd;
}

/* One at a time, and again. */
static void check_listening(struct world *w)
{
    uint8_t byte;
    int first = dial(w);
    assert_int_equal(w->connected, 1);
    int second = dial(w);
    assert_int_equal(w->refused, 1);
    assert_int_equal(recv(second, &byte, 1, 0), 0);
    close(second);
    lose(w);
    assert_int_equal(recv(first, &byte, 1, 0), 0);
    close(first);
    first = dial(w);
    assert_int_equal(w->connected, 2);
    lose(w);
    close(first);
    assert_int_equal(w->ended, 0);
}

static void test_path(void **state)
{
    struct world *w = *state;
    struct stat st;
    create(w, w->path, -1);
    assert_non_null(w->frontend);
    assert_int_equal(stat(w->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    check_listening(w);
    frontend_destroy(w->frontend);
    w->frontend = NULL;
    assert_int_equal(stat(w->path, &st), -1);
}

static void test_path_that_cannot_be(void **state)
{
    struct world *w = *state;
    strcat(w->path, "/below/nothing");
    create(w, w->path, -1);
    assert_null(w->frontend);
    assert_true(strlen(w->error) > 0);
}

static void test_inherited_listener(void **state)
{
    struct world *w = *state;
    struct sockaddr_un a = address_of(w);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(fd, 5), 0);
    create(w, NULL, fd);
    assert_non_null(w->frontend);
    check_listening(w);
}

static void test_inherited_connection(void **state)
{
    struct world *w = *state;
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    create(w, NULL, ends[1]);
    assert_non_null(w->frontend);
    assert_int_equal(w->connected, 1);
    /* As everything of ours. */
    assert_int_equal(fcntl(w->held, F_GETFD), FD_CLOEXEC);
    assert_true(fcntl(w->held, F_GETFL) & O_NONBLOCK);
    assert_int_equal(w->ended, 0);
    lose(w);
    assert_int_equal(w->ended, 1);
    close(ends[0]);
}

static void test_device_that_cannot(void **state)
{
    struct world *w = *state;
    int ends[2];
    w->refuse = -ENOMEM;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    create(w, NULL, ends[1]);
    assert_null(w->frontend);
    assert_int_equal(errno, ENOMEM);
    assert_true(strlen(w->error) > 0);
    close(ends[0]);
    /* A listener waits for better times. */
    create(w, w->path, -1);
    assert_non_null(w->frontend);
    close(dial(w));
    assert_int_equal(w->refused, 2);
    w->refuse = 0;
    int fd = dial(w);
    assert_int_equal(w->connected, 1);
    close(fd);
}

static void test_no_descriptor(void **state)
{
    struct world *w = *state;
    int fd = dup(0);
    close(fd);
    create(w, NULL, fd);
    assert_null(w->frontend);
    assert_int_equal(errno, EBADF);
    assert_int_equal(w->connected, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_path),
        TEST(test_path_that_cannot_be),
        TEST(test_inherited_listener),
        TEST(test_inherited_connection),
        TEST(test_device_that_cannot),
        TEST(test_no_descriptor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
