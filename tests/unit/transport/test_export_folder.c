/* SPDX-License-Identifier: MIT */
/* The folder where devices export by default: what killed processes left is removed, nothing else
 * is. */
#include "tests/unit/support.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/transport/address.h"
#include "common/transport/export-folder.h"
#include "common/base/fd.h"

static char base[64], folder[96], own[128];

static int setup(void **state)
{
    (void)state;
    make_folder(base);
    setenv("XDG_RUNTIME_DIR", base, 1);
    snprintf(folder, sizeof(folder), "%s/wayvsock-gpu", base);
    snprintf(own, sizeof(own), "%s/%ld.sock", folder, (long)getpid());
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    remove_folder(base);
    return 0;
}

static const char *in_folder(const char *name)
{
    static char path[128];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static bool exists(const char *name)
{
    struct stat st;
    return lstat(in_folder(name), &st) == 0;
}

static int listen_on(const char *name)
{
    char error[256];
    int fd = address_listen_path(in_folder(name), SOCK_SEQPACKET, 0600, error, sizeof(error));
    if (fd < 0)
        fail_msg("%s", error);
    return fd;
}

/* A process that listens there and is killed. */
static void leave_behind(const char *name)
{
    pid_t child = fork();
    if (child == 0) {
        listen_on(name);
        raise(SIGKILL);
    }
    assert_int_equal(waitpid(child, NULL, 0), child);
}

static void prepare(void)
{
    char path[256], error[512];
    if (export_folder_prepare(path, sizeof(path), error, sizeof(error)) < 0)
        fail_msg("%s", error);
    assert_string_equal(path, own);
}

static void test_the_folder_is_made(void **state)
{
    struct stat st;
    (void)state;
    prepare();
    assert_int_equal(stat(folder, &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    prepare(); /* it may be there */
    unsetenv("XDG_RUNTIME_DIR");
    char elsewhere[64];
    assert_int_equal(export_folder_path(elsewhere, sizeof(elsewhere)), 0);
    assert_string_equal(elsewhere, "/run/wayvsock-gpu");
}

static void test_what_the_killed_left_is_removed(void **state)
{
    (void)state;
    prepare();
    leave_behind("11.sock");
    leave_behind("12.sock");
    assert_true(exists("11.sock") && exists("11.sock.lock"));
    prepare();
    assert_false(exists("11.sock") || exists("11.sock.lock"));
    assert_false(exists("12.sock") || exists("12.sock.lock"));
}

static void test_what_is_in_use_stays(void **state)
{
    (void)state;
    prepare();
    int fd = listen_on("11.sock");
    prepare();
    assert_true(exists("11.sock") && exists("11.sock.lock"));
    char error[256];
    int client = address_connect_packets(in_folder("11.sock"), error, sizeof(error));
    assert_true(client >= 0);
    fd_close(client);
    address_unlisten(fd);
    assert_false(exists("11.sock") || exists("11.sock.lock"));
}

/* A process of @uid, of that group beside, that listens on @path until it is killed. */
static pid_t listen_as(const char *path, uid_t uid, gid_t group)
{
    char byte;
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        struct sockaddr_un sun = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
        memcpy(sun.sun_path, path, strnlen(path, sizeof(sun.sun_path) - 1));
        if (bind(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0 ||
            setgroups(group ? 1 : 0, &group) < 0 || setgid(65534) < 0 || setuid(uid) < 0 ||
            listen(fd, 4) < 0)
            _exit(1);
        close(ready[0]);
        close(ready[1]);
        pause();
        _exit(0);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 0);
    close(ready[0]);
    return child;
}

/* Whose listener is trusted in a folder of @owner's and @group's with @mode. */
static void test_whose_folder_it_is(void **state)
{
    static const struct {
        uid_t owner;
        gid_t group;
        mode_t mode;
        uid_t uid;
        gid_t member;
        bool trusted;
    } cases[] = {
        {65533, 0, 0755, 65533, 0, true},  {65533, 0, 0755, 0, 0, true},
        {0, 0, 0755, 0, 0, true},          {0, 0, 0755, 65533, 0, false},
        {65533, 0, 0755, 65532, 0, false}, {0, 0, 01777, 65533, 0, false},
        {0, 777, 01775, 65533, 777, true}, {0, 777, 01775, 65533, 778, false},
        {0, 777, 0755, 65533, 777, false}, {0, 65534, 01775, 65533, 0, true},
    };
    char error[256];
    (void)state;
    if (geteuid() != 0)
        skip();
    prepare();
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        assert_int_equal(chown(folder, cases[i].owner, cases[i].group), 0);
        assert_int_equal(chmod(folder, cases[i].mode), 0);
        pid_t child = listen_as(in_folder("11.sock"), cases[i].uid, cases[i].member);
        int fd = export_folder_connect(in_folder("11.sock"), error, sizeof(error));
        if ((fd >= 0) != cases[i].trusted || (fd < 0 && fd != -EPERM))
            fail_msg("case %zu: %d: %s", i, fd, error);
        fd_close(fd);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        unlink(in_folder("11.sock"));
    }
    assert_int_equal(chown(folder, 0, 0), 0);
    assert_int_equal(export_folder_connect(in_folder("none"), error, sizeof(error)), -ENOENT);
}

static void test_other_files_stay(void **state)
{
    static const char *const names[] = {"work.sock", "1.socket", ".sock", "12.sock.old", "13.sock"};
    (void)state;
    prepare();
    leave_behind("1");
    for (size_t i = 0; i < 5; i++)
        fd_close(open(in_folder(names[i]), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    prepare();
    assert_true(exists("1"));
    for (size_t i = 0; i < 5; i++)
        if (!exists(names[i]))
            fail_msg("%s was removed", names[i]);
    struct export_folder list;
    assert_int_equal(export_folder_list(folder, &list), 0);
    assert_int_equal(list.n, 0);
}

/* Process ids are used again. */
static void test_a_socket_of_our_own_number(void **state)
{
    char name[32], error[256];
    (void)state;
    prepare();
    snprintf(name, sizeof(name), "%ld.sock", (long)getpid());
    leave_behind(name);
    /* Left over since prepare(), too: listening replaces it. */
    int fd = address_listen_path(own, SOCK_SEQPACKET, 0600, error, sizeof(error));
    assert_true(fd >= 0);
    address_unlisten(fd);
    leave_behind(name);
    prepare();
    assert_false(exists(name));
}

/* Until a file that changes now is newer than this one: clocks of file systems are coarse. */
static void wait_for_newer_times(const char *name)
{
    struct stat old, now;
    assert_int_equal(stat(in_folder(name), &old), 0);
    do {
        usleep(1000);
        assert_int_equal(chmod(folder, 0700), 0);
        assert_int_equal(stat(folder, &now), 0);
    } while (now.st_ctim.tv_sec == old.st_ctim.tv_sec &&
             now.st_ctim.tv_nsec == old.st_ctim.tv_nsec);
}

static void test_the_newest_are_listed(void **state)
{
    struct export_folder list;
    char name[32];
    (void)state;
    prepare();
    for (int i = 0; i < EXPORT_FOLDER_MAX + 10; i++) {
        snprintf(name, sizeof(name), "%d.sock", 1000 + i);
        int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
        struct sockaddr_un sun = {.sun_family = AF_UNIX};
        assert_true(strlen(in_folder(name)) < sizeof(sun.sun_path));
        memcpy(sun.sun_path, in_folder(name), strlen(in_folder(name)));
        assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
        fd_close(fd);
        if (i == 9)
            wait_for_newer_times(name);
    }
    assert_int_equal(export_folder_list(folder, &list), 0);
    assert_int_equal(list.n, EXPORT_FOLDER_MAX);
    for (size_t i = 0; i < list.n; i++) /* the first ten are the oldest */
        if (strcmp(strrchr(list.paths[i], '/'), "/1010.sock") < 0)
            fail_msg("%s is listed", list.paths[i]);
    assert_int_equal(export_folder_list(in_folder("none"), &list), -ENOENT);
}

int main(void)
{
#define t(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        t(test_the_folder_is_made),    t(test_what_the_killed_left_is_removed),
        t(test_what_is_in_use_stays),  t(test_other_files_stay),
        t(test_whose_folder_it_is),    t(test_a_socket_of_our_own_number),
        t(test_the_newest_are_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
