/* SPDX-License-Identifier: MIT */
/* Descriptors: every kind is told apart without a change to it, and reopening gives an own offset
 * and flags. */
#include "tests/unit/support.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <linux/magic.h>

#include "common/base/fd.h"

static struct fd_info inspect(int fd)
{
    struct fd_info info;
    int flags = fcntl(fd, F_GETFL), fd_flags = fcntl(fd, F_GETFD), seals = fcntl(fd, F_GET_SEALS);
    assert_int_equal(fd_inspect(fd, &info), 0);
    assert_int_equal(fcntl(fd, F_GETFL), flags);
    assert_int_equal(fcntl(fd, F_GETFD), fd_flags);
    assert_int_equal(fcntl(fd, F_GET_SEALS), seals);
    return info;
}

static void test_inspect_memfd(void **state)
{
    struct stat st;
    (void)state;
    int fd = fd_memfd("test", 12345);
    assert_true(fd >= 0);
    struct fd_info info = inspect(fd);
    assert_int_equal(info.kind, FD_KIND_SHMEM);
    assert_int_equal(info.size, 12345);
    assert_true(info.readable && info.writable);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(info.ino, st.st_ino);
    assert_int_equal(info.dev, st.st_dev);
    close(fd);
}

static void test_inspect_tmpfs_file(void **state)
{
    struct statfs fs;
    (void)state;
    if (statfs("/dev/shm", &fs) < 0 || fs.f_type != TMPFS_MAGIC)
        skip();
    int fd = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 7), 0);
    struct fd_info info = inspect(fd);
    assert_int_equal(info.kind, FD_KIND_SHMEM);
    assert_int_equal(info.size, 7);
    close(fd);
}

static void test_inspect_other_files(void **state)
{
    (void)state;
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    struct fd_info info = inspect(fd);
    assert_int_equal(info.kind, FD_KIND_FILE);
    assert_true(info.readable);
    assert_false(info.writable);
    close(fd);

    char name[] = "/var/tmp/wayvsock-fd-XXXXXX";
    struct statfs fs;
    fd = mkstemp(name);
    assert_true(fd >= 0);
    unlink(name);
    assert_int_equal(fstatfs(fd, &fs), 0);
    assert_int_equal(write(fd, "abc", 3), 3);
    info = inspect(fd);
    assert_int_equal(info.kind, fs.f_type == TMPFS_MAGIC ? FD_KIND_SHMEM : FD_KIND_FILE);
    assert_int_equal(info.size, 3);
    close(fd);
}

static void test_inspect_pipe_ends(void **state)
{
    int ends[2];
    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    struct fd_info read_end = inspect(ends[0]), write_end = inspect(ends[1]);
    assert_int_equal(read_end.kind, FD_KIND_PIPE);
    assert_int_equal(write_end.kind, FD_KIND_PIPE);
    assert_true(read_end.readable && !read_end.writable);
    assert_true(write_end.writable && !write_end.readable);
    assert_int_equal(read_end.ino, write_end.ino);
    close(ends[0]);
    close(ends[1]);
}

static void test_inspect_socket(void **state)
{
    int ends[2];
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    struct fd_info info = inspect(ends[0]);
    assert_int_equal(info.kind, FD_KIND_SOCKET);
    assert_true(info.readable && info.writable);
    close(ends[0]);
    close(ends[1]);
}

static void test_inspect_everything_else_is_other(void **state)
{
    (void)state;
    int fds[] = {
        open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
        open("/dev/null", O_RDWR | O_CLOEXEC),
        eventfd(0, EFD_CLOEXEC),
        open("/proc/self/status", O_PATH | O_CLOEXEC),
    };
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        assert_true(fds[i] >= 0);
        assert_int_equal(inspect(fds[i]).kind, FD_KIND_OTHER);
        close(fds[i]);
    }
}

static void test_inspect_path_only_grants_nothing(void **state)
{
    (void)state;
    int fd = open("/proc/self/status", O_PATH | O_CLOEXEC);
    struct fd_info info = inspect(fd);
    assert_false(info.readable || info.writable);
    close(fd);
}

static void test_inspect_no_descriptor(void **state)
{
    struct fd_info info;
    (void)state;
    assert_int_equal(fd_inspect(-1, &info), -EBADF);
    assert_int_equal(fd_inspect(99999, &info), -EBADF);
}

static void test_kind_names(void **state)
{
    (void)state;
    assert_string_equal(fd_kind_name(FD_KIND_SHMEM), "shared memory");
    assert_string_equal(fd_kind_name(FD_KIND_FILE), "file");
    assert_string_equal(fd_kind_name(FD_KIND_PIPE), "pipe");
    assert_string_equal(fd_kind_name(FD_KIND_SOCKET), "socket");
    assert_string_equal(fd_kind_name(FD_KIND_OTHER), "something else");
    assert_string_equal(fd_kind_name(_FD_KIND_N), "?");
}

static void test_reopen_has_its_own_offset_and_flags(void **state)
{
    char buffer[8];
    (void)state;
    int fd = fd_memfd("test", 0);
    assert_int_equal(write(fd, "content", 7), 7);
    int again = fd_reopen(fd, O_RDONLY | O_NONBLOCK);
    assert_true(again >= 0);
    assert_int_equal(read(again, buffer, sizeof(buffer)), 7);
    assert_memory_equal(buffer, "content", 7);
    assert_int_equal(lseek(fd, 0, SEEK_CUR), 7);
    assert_int_equal(lseek(fd, 2, SEEK_SET), 2);
    assert_int_equal(lseek(again, 0, SEEK_CUR), 7);
    assert_false(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
    assert_int_equal(fcntl(again, F_GETFL) & O_ACCMODE, O_RDONLY);
    assert_true(fcntl(again, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(write(again, "x", 1), -1);
    close(again);
    close(fd);
}

static void test_reopen_leaves_the_peers_pipe_blocking(void **state)
{
    int ends[2];
    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    int again = fd_reopen(ends[0], O_RDONLY | O_NONBLOCK);
    assert_true(again >= 0);
    assert_true(fcntl(again, F_GETFL) & O_NONBLOCK);
    assert_false(fcntl(ends[0], F_GETFL) & O_NONBLOCK);
    close(again);
    close(ends[0]);
    close(ends[1]);
}

static void test_reopen_refuses(void **state)
{
    int ends[2];
    (void)state;
    assert_int_equal(fd_reopen(99999, O_RDONLY), -ENOENT);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(fd_reopen(ends[0], O_RDWR), -ENXIO);
    close(ends[0]);
    close(ends[1]);
}

static void test_memfd_can_be_sealed_and_is_bounded(void **state)
{
    (void)state;
    int fd = fd_memfd("test", 4096);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL), 0);
    assert_int_equal(ftruncate(fd, 0), -1);
    close(fd);
    assert_int_equal(fd_memfd("test", UINT64_MAX), -EFBIG);
}

static void test_nonblock(void **state)
{
    int ends[2];
    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(fd_set_nonblock(ends[0]), 0);
    assert_int_equal(fd_set_nonblock(ends[0]), 0);
    assert_true(fcntl(ends[0], F_GETFL) & O_NONBLOCK);
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(fd_set_nonblock(99999), -EBADF);
}

static void test_close_steal_and_cleanup(void **state)
{
    (void)state;
    int before = count_fds();
    errno = ENOTTY;
    assert_int_equal(fd_close(-1), -1);
    assert_int_equal(fd_close(99999), -1);
    assert_int_equal(errno, ENOTTY);
    int kept = -1;
    {
        _cleanup_(fd_closep) int closed = dup(0);
        _cleanup_(fd_closep) int stolen = dup(0);
        kept = fd_steal(&stolen);
        assert_int_equal(stolen, -1);
        assert_int_equal(count_fds(), before + 2);
        (void)closed;
    }
    assert_int_equal(count_fds(), before + 1);
    fd_close(kept);
    assert_int_equal(count_fds(), before);
}

static void test_raise_limit(void **state)
{
    struct rlimit limit, after;
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    rlim_t soft = limit.rlim_cur;
    if (limit.rlim_max > 64) {
        limit.rlim_cur = 64;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    }
    assert_int_equal(fd_raise_limit(), limit.rlim_max);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &after), 0);
    assert_int_equal(after.rlim_cur, limit.rlim_max);
    assert_int_equal(after.rlim_max, limit.rlim_max);
    limit.rlim_cur = soft;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* In a process of its own, which has more than this one knows of. */
static void test_close_others(void **state)
{
    int keep[2], status;
    (void)state;
    assert_int_equal(pipe(keep), 0);
    pid_t pid = fork();
    if (pid == 0) {
        fd_close_others(keep[1]);
        bool closed = fcntl(keep[0], F_GETFD) < 0 && errno == EBADF;
        _exit(closed && fcntl(keep[1], F_GETFD) >= 0 && fcntl(2, F_GETFD) >= 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    fd_close(keep[0]);
    fd_close(keep[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inspect_memfd),
        cmocka_unit_test(test_inspect_tmpfs_file),
        cmocka_unit_test(test_inspect_other_files),
        cmocka_unit_test(test_inspect_pipe_ends),
        cmocka_unit_test(test_inspect_socket),
        cmocka_unit_test(test_inspect_everything_else_is_other),
        cmocka_unit_test(test_inspect_path_only_grants_nothing),
        cmocka_unit_test(test_inspect_no_descriptor),
        cmocka_unit_test(test_kind_names),
        cmocka_unit_test(test_reopen_has_its_own_offset_and_flags),
        cmocka_unit_test(test_reopen_leaves_the_peers_pipe_blocking),
        cmocka_unit_test(test_reopen_refuses),
        cmocka_unit_test(test_memfd_can_be_sealed_and_is_bounded),
        cmocka_unit_test(test_nonblock),
        cmocka_unit_test(test_close_steal_and_cleanup),
        cmocka_unit_test(test_raise_limit),
        cmocka_unit_test(test_close_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
