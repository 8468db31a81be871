/* SPDX-License-Identifier: MIT */
/* Which file system a file is on, by its mount or by its device. */
#include "tests/unit/support.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

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

static void test_by_mount(void **state)
{
    char type[64];
    (void)state;
    struct fd_info info = info_of(open("/proc/self/status", O_RDONLY | O_CLOEXEC));
    if (!info.mount)
        skip();
    info.dev = 0; /* as in a part of btrfs, whose files show another device than the mount */
    assert_true(mounts_type(&info, type, sizeof(type)));
    assert_string_equal(type, "proc");
}

static void test_by_device(void **state)
{
    char type[64];
    (void)state;
    struct fd_info info = info_of(open("/proc/self/status", O_RDONLY | O_CLOEXEC));
    uint64_t elsewhere[] = {0, UINT64_MAX}; /* an old kernel; a container's own mount of it */
    for (size_t i = 0; i < sizeof(elsewhere) / sizeof(*elsewhere); i++) {
        info.mount = elsewhere[i];
        assert_true(mounts_type(&info, type, sizeof(type)));
        assert_string_equal(type, "proc");
    }
}

static void test_mounted_nowhere(void **state)
{
    char type[64] = "as it was";
    (void)state;
    struct fd_info info = info_of(fd_memfd("test", 1)); /* on a tmpfs of the kernel's own */
    assert_false(mounts_type(&info, type, sizeof(type)));
    assert_string_equal(type, "as it was");
}

static void test_no_room_for_the_type(void **state)
{
    char type[4];
    (void)state;
    struct fd_info info = info_of(open("/proc/self/status", O_RDONLY | O_CLOEXEC));
    assert_false(mounts_type(&info, type, sizeof(type)));
}

static void test_what_is_local(void **state)
{
    static const char *const others[] = {"nfs4",    "cifs", "fuse",     "fuse.sshfs",
                                         "fuseblk", "9p",   "virtiofs", "hostfs",
                                         "ceph",    "proc", "ext",      ""};
    (void)state;
    assert_true(mounts_is_local("ext4"));
    assert_true(mounts_is_local("overlay"));
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
        assert_false(mounts_is_local(others[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_mount),        cmocka_unit_test(test_by_device),
        cmocka_unit_test(test_mounted_nowhere), cmocka_unit_test(test_no_room_for_the_type),
        cmocka_unit_test(test_what_is_local),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
