/* SPDX-License-Identifier: MIT */
/* What may still be opened, made, removed and connected to. */
#include "tests/unit/support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "common/base/fd.h"
#include "common/sandbox/sandbox.h"
#include "tests/unit/sandbox/limited.h"

#define FINE 7

static char folder[64];
static unsigned wishes;

static const char *in(const char *name)
{
    static char paths[4][128];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

static void make_file(const char *name)
{
    fd_close(open(in(name), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
}

static int listen_at(const struct sockaddr_un *sun, socklen_t size)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)sun, size), 0);
    assert_int_equal(listen(fd, 4), 0);
    return fd;
}

static int set_up(void **state)
{
    (void)state;
    make_folder(folder);
    mkdir(in("read"), 0700);
    mkdir(in("sockets"), 0700);
    mkdir(in("sockets/empty"), 0700);
    make_file("read/file");
    make_file("sockets/file");
    make_file("outside");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    remove_folder(folder);
    return 0;
}

static void enter(void)
{
    struct landlock paths;
    if (landlock_begin(&paths, wishes) < 0 ||
        landlock_allow(&paths, in("read"), LANDLOCK_READ) < 0 ||
        landlock_allow(&paths, in("sockets"), LANDLOCK_MAKE_SOCKET | LANDLOCK_REMOVE_FILE) < 0 ||
        landlock_allow(&paths, in("nowhere"), LANDLOCK_READ) < 0 ||
        landlock_allow_folder_of(&paths, in("read/later/and/later"), LANDLOCK_LIST) < 0 ||
        landlock_enter(&paths) < 0)
        _exit(99);
}

static bool opens(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC, 0600);
    fd_close(fd);
    return fd >= 0 || errno != EACCES;
}

static void needs_landlock(void)
{
    if (landlock_version() < 0)
        skip();
}

static int act_files(void)
{
    return !opens(in("read/file"), O_RDONLY)              ? 1
           : opens(in("read/file"), O_WRONLY)             ? 2
           : opens(in("read/new"), O_WRONLY | O_CREAT)    ? 3
           : opens(in("outside"), O_RDONLY)               ? 4
           : opens("/etc/passwd", O_RDONLY)               ? 5
           : opens("/dev/null", O_WRONLY)                 ? 6
           : !opens(in("read"), O_RDONLY | O_DIRECTORY)   ? 8
           : opens(in("sockets"), O_RDONLY | O_DIRECTORY) ? 9
           : unlink(in("read/file")) == 0                 ? 10
           : unlink(in("sockets/file")) < 0               ? 11
           : rmdir(in("sockets/empty")) == 0              ? 12
           : mkdir(in("sockets/new"), 0700) == 0          ? 13
           : execl("/bin/true", "true", NULL) == 0        ? 14
                                                          : FINE;
}

static void test_files(void **state)
{
    (void)state;
    needs_landlock();
    assert_int_equal(limited_run(enter, act_files).status, FINE);
}

/* What has no name is opened again as before: it is ours, or was given to us. */
static int act_reopen(void)
{
    int ends[2], file = fd_memfd("test", 4096);
    if (pipe2(ends, O_CLOEXEC) < 0)
        return 1;
    return fd_reopen(file, O_RDWR) < 0 || fd_reopen(ends[0], O_RDONLY | O_NONBLOCK) < 0 ||
                   ftruncate(file, 8192) < 0
               ? 2
               : FINE;
}

static void test_reopening(void **state)
{
    (void)state;
    needs_landlock();
    assert_int_equal(limited_run(enter, act_reopen).status, FINE);
}

static bool connects(const struct sockaddr_un *sun, socklen_t size)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool connected = connect(fd, (const struct sockaddr *)sun, size) == 0;
    fd_close(fd);
    return connected;
}

static struct sockaddr_un named, abstract;
static socklen_t abstract_size;

static int act_connect(void)
{
    struct sockaddr_un made = {.sun_family = AF_UNIX}, elsewhere = made;
    strcpy(made.sun_path, in("sockets/made"));
    strcpy(elsewhere.sun_path, in("read/made"));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (!connects(&named, sizeof(named)))
        return 1;
    if (connects(&abstract, abstract_size) != (landlock_version() < 6 || wishes))
        return 2;
    if (bind(fd, (struct sockaddr *)&elsewhere, sizeof(elsewhere)) == 0)
        return 3;
    return bind(fd, (struct sockaddr *)&made, sizeof(made)) < 0 ? 4 : FINE;
}

static void test_sockets(void **state)
{
    (void)state;
    needs_landlock();
    named = abstract = (struct sockaddr_un){.sun_family = AF_UNIX};
    strcpy(named.sun_path, in("listening"));
    int n = snprintf(abstract.sun_path + 1, 64, "%s", folder);
    abstract_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
    int first = listen_at(&named, sizeof(named)), second = listen_at(&abstract, abstract_size);
    assert_int_equal(limited_run(enter, act_connect).status, FINE);
    remove(in("sockets/made"));
    wishes = LANDLOCK_KEEP_ABSTRACT;
    assert_int_equal(limited_run(enter, act_connect).status, FINE);
    wishes = 0;
    fd_close(first);
    fd_close(second);
}

static void enter_all(void)
{
    struct landlock paths;
    sandbox_hide();
    if (landlock_begin(&paths, 0) < 0 || sandbox_close_inherited(8) < 0 ||
        sandbox_enter(&paths) < 0)
        _exit(99);
}

static int act_own(void)
{
    struct rlimit core;
    int file = fd_memfd("test", 4096);
    if (getrlimit(RLIMIT_CORE, &core) < 0 || core.rlim_cur || core.rlim_max)
        return 1;
    if (fcntl(8, F_GETFD) < 0 || fcntl(9, F_GETFD) >= 0)
        return 2;
    return fd_reopen(file, O_RDONLY) < 0 ? 3 : FINE;
}

/* The kernel gives /proc/self/fd of such a process to root. */
static void enter_as_user(void)
{
    if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
        _exit(98);
    enter_all();
}

static void test_what_was_inherited(void **state)
{
    (void)state;
    dup2(0, 8);
    dup2(0, 9);
    assert_int_equal(limited_run(enter_all, act_own).status, FINE);
    assert_int_equal(limited_run(enter_as_user, act_own).status, FINE);
    close(8);
    close(9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_reopening, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sockets, set_up, tear_down),
        cmocka_unit_test(test_what_was_inherited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
