/* SPDX-License-Identifier: MIT */
/* fd: descriptors arrive from hostile processes and share their flags, offset and seals with them,
 * so nothing here changes one that we did not make. A file may live on a file system that its
 * sender serves (FUSE) or that is gone (NFS): fd_inspect() must come back all the same. */
#include "common/base/fd.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008u
#endif

static const char *const kind_names[] = {
    [FD_KIND_SHMEM] = "shared memory",
    [FD_KIND_FILE] = "file",
    [FD_KIND_PIPE] = "pipe",
    [FD_KIND_SOCKET] = "socket",
    [FD_KIND_PACKETS] = "packet socket",
    [FD_KIND_OTHER] = "something else",
};
static_assert(sizeof(kind_names) / sizeof(kind_names[0]) == _FD_KIND_N, "a name per kind");

const char *fd_kind_name(enum fd_kind kind)
{
    return kind >= 0 && kind < _FD_KIND_N ? kind_names[kind] : "?";
}

int fd_close(int fd)
{
    if (fd >= 0) {
        int saved_errno = errno;
        close(fd);
        errno = saved_errno;
    }
    return -1;
}

/* fstatfs() asks a FUSE server and waits for it. F_GET_SEALS is answered by the kernel alone, and
 * only for files of tmpfs and hugetlbfs, so that fstatfs() need only tell these two apart. */
static bool is_shmem(int fd)
{
    struct statfs fs;
    return fcntl(fd, F_GET_SEALS) >= 0 && fstatfs(fd, &fs) == 0 && fs.f_type == TMPFS_MAGIC;
}

int fd_inspect(int fd, struct fd_info *ret_info)
{
    struct statx stx;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0)
        return -errno;
    /* Cached attributes will do: a remote file system is not asked for newer ones. */
    if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_BASIC_STATS | STATX_MNT_ID, &stx) <
        0)
        return -errno;

    struct fd_info info = {
        .kind = FD_KIND_OTHER,
        .dev = makedev(stx.stx_dev_major, stx.stx_dev_minor),
        .ino = stx.stx_ino,
        .mode = stx.stx_mode,
        .mount = stx.stx_mask & STATX_MNT_ID ? stx.stx_mnt_id : 0,
    };
    if (!(flags & O_PATH)) {
        int mode = flags & O_ACCMODE;
        info.readable = mode == O_RDONLY || mode == O_RDWR;
        info.writable = mode == O_WRONLY || mode == O_RDWR;
        if (S_ISREG(stx.stx_mode)) {
            info.kind = is_shmem(fd) ? FD_KIND_SHMEM : FD_KIND_FILE;
            info.size = stx.stx_size;
        } else if (S_ISFIFO(stx.stx_mode)) {
            info.kind = FD_KIND_PIPE;
        } else if (S_ISSOCK(stx.stx_mode)) {
            int type = 0;
            socklen_t n = sizeof(type);
            bool known = getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0;
            info.kind = known && type == SOCK_STREAM ? FD_KIND_SOCKET : FD_KIND_PACKETS;
        }
    }
    *ret_info = info;
    return 0;
}

int fd_reopen(int fd, int flags)
{
    char path[40];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int reopened = open(path, flags | O_CLOEXEC | O_NOCTTY);
    return reopened < 0 ? -errno : reopened;
}

int fd_set_nonblock(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || (!(flags & O_NONBLOCK) && fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0))
        return -errno;
    return 0;
}

int fd_memfd(const char *name, uint64_t size)
{
    if (size > INT64_MAX)
        return -EFBIG;
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
        fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    if (size > 0 && ftruncate(fd, (off_t)size) < 0) {
        int error = -errno;
        fd_close(fd);
        return error;
    }
    return fd;
}

uint64_t fd_raise_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 0;
    struct rlimit raised = {.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
    if (limit.rlim_cur < limit.rlim_max && setrlimit(RLIMIT_NOFILE, &raised) == 0)
        return raised.rlim_cur;
    return limit.rlim_cur;
}

/* Of a list that changes while it is read, nothing is missed that was there before. */
void fd_close_others(int keep)
{
    DIR *dir = opendir("/proc/self/fd");
    const struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        int fd = atoi(entry->d_name);
        if (fd > 2 && fd != keep && fd != dirfd(dir))
            close(fd);
    }
    if (dir)
        closedir(dir);
}
