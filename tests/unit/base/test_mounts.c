/* SPDX-License-Identifier: MIT */
/* Which file system a file is on, by its mount in our namespace or the client's, or by its device.
 */
#include "tests/unit/support.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <linux/magic.h>

#include "common/base/fd.h"
#include "common/base/mounts.h"

static struct fd_info info_of(int fd)
{
    struct fd_info info;
    assert_true(fd >= 0);
    assert_int_equal(fd_inspect(fd, &info), 0);
    close(fd);
    return info;
}

static struct fd_info info_of_proc(void)
{
    return info_of(open("/proc/self/status", O_RDONLY | O_CLOEXEC));
}

static void expect_type(const struct fd_info *info, pid_t client, const char *expected)
{
    char type[64];
    assert_false(mounts_is_local(info, client, type, sizeof(type)));
    assert_string_equal(type, expected);
}

static void test_by_mount(void **state)
{
    (void)state;
    struct fd_info info = info_of_proc();
    if (!info.mount)
        skip();
    info.dev = 0; /* as in a part of btrfs, whose files show another device than the mount */
    expect_type(&info, 0, "proc");
}

static void test_by_device(void **state)
{
    (void)state;
    struct fd_info info = info_of_proc();
    info.mount = 0; /* an old kernel */
    expect_type(&info, 0, "proc");
    info.mount = UINT64_MAX; /* a container's own mount of it */
    expect_type(&info, 0, "proc");
    expect_type(&info, getpid(), "proc");
}

static void test_mounted_nowhere(void **state)
{
    (void)state;
    struct fd_info info = info_of(fd_memfd("test", 1)); /* on a tmpfs of the kernel's own */
    expect_type(&info, 0, "one that is not mounted here");
    expect_type(&info, getpid(), "one that is not mounted here");
    expect_type(&info, INT32_MAX, "one that is not mounted here");
}

static void test_no_room_for_the_type(void **state)
{
    char type[4];
    (void)state;
    struct fd_info info = info_of_proc();
    assert_false(mounts_is_local(&info, 0, type, sizeof(type)));
    assert_string_equal(type, "one");
}

static void test_a_disk(void **state)
{
    char name[] = "/var/tmp/wayvsock-mounts-XXXXXX", type[64];
    struct statfs fs;
    (void)state;
    int fd = mkostemp(name, O_CLOEXEC);
    assert_true(fd >= 0);
    unlink(name);
    assert_int_equal(fstatfs(fd, &fs), 0);
    struct fd_info info = info_of(fd);
    if (fs.f_type != EXT4_SUPER_MAGIC && fs.f_type != OVERLAYFS_SUPER_MAGIC &&
        fs.f_type != BTRFS_SUPER_MAGIC && fs.f_type != XFS_SUPER_MAGIC)
        skip();
    assert_true(mounts_is_local(&info, 0, type, sizeof(type)));
}

/* The last one: it leaves the namespace. */
static void test_by_the_clients_mount(void **state)
{
    (void)state;
    struct fd_info info = info_of_proc();
    if (!info.mount || unshare(CLONE_NEWNS) < 0) /* all mounts have new numbers here */
        skip();
    info.dev = 0;
    expect_type(&info, 0, "one that is not mounted here");
    expect_type(&info, getppid(), "proc");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_mount),        cmocka_unit_test(test_by_device),
        cmocka_unit_test(test_mounted_nowhere), cmocka_unit_test(test_no_room_for_the_type),
        cmocka_unit_test(test_a_disk),          cmocka_unit_test(test_by_the_clients_mount),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
