/* SPDX-License-Identifier: MIT */
/* The kernel's numbers are spelled out here, as most systems' headers are older than the kernels
 * that they meet. Every right that version 5 knows is taken away, and what is allowed given back;
 * rights that later versions add are not touched, above all that of connecting to a socket. */
#include "common/sandbox/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/fd.h"

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

#define VERSION_QUESTION 1u
#define PATH_BENEATH 1

#define FS_EXECUTE (1u << 0)
#define FS_WRITE_FILE (1u << 1)
#define FS_READ_FILE (1u << 2)
#define FS_READ_DIR (1u << 3)
#define FS_REMOVE_DIR (1u << 4)
#define FS_REMOVE_FILE (1u << 5)
#define FS_MAKE_REG (1u << 8)
#define FS_MAKE_SOCK (1u << 9)
#define FS_TRUNCATE (1u << 14)
#define FS_IOCTL_DEV (1u << 15)
#define FS_OF_FILES (FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV)

#define NET_TCP 3u /* bind, connect */
#define SCOPE_ABSTRACT 1u
#define SCOPE_SIGNAL 2u

struct ruleset {
    uint64_t fs, net, scoped;
};

struct beneath {
    uint64_t rights;
    int32_t fd;
} __attribute__((packed));

static uint64_t landlock_known(int version)
{
    static const unsigned bits[] = {0, 13, 14, 15, 15, 16};
    return (1u << bits[version < 5 ? version : 5]) - 1;
}

static uint64_t landlock_bits(unsigned rights)
{
    return (rights & LANDLOCK_READ ? FS_READ_FILE : 0) |
           (rights & LANDLOCK_WRITE ? FS_WRITE_FILE : 0) |
           (rights & LANDLOCK_LIST ? FS_READ_DIR : 0) |
           (rights & LANDLOCK_REMOVE_FILE ? FS_REMOVE_FILE : 0) |
           (rights & LANDLOCK_REMOVE_FOLDER ? FS_REMOVE_DIR : 0) |
           (rights & LANDLOCK_MAKE_SOCKET ? FS_MAKE_SOCK : 0) |
           (rights & LANDLOCK_MAKE_FILE ? FS_MAKE_REG : 0) |
           (rights & LANDLOCK_DEVICE ? FS_IOCTL_DEV : 0);
}

int landlock_version(void)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, VERSION_QUESTION);
    return version < 0 ? -errno : version < 1 ? -EOPNOTSUPP : (int)version;
}

int landlock_begin(struct landlock *landlock, unsigned wishes)
{
    int version = landlock_version();
    *landlock = (struct landlock){.ruleset = -1, .version = version, .wishes = wishes};
    if (version < 0)
        return 0;
    struct ruleset rules = {.fs = landlock_known(version)};
    if (version >= 4)
        rules.net = NET_TCP;
    if (version >= 6)
        rules.scoped = (wishes & LANDLOCK_KEEP_SIGNALS ? 0 : SCOPE_SIGNAL) |
                       (wishes & LANDLOCK_KEEP_ABSTRACT ? 0 : SCOPE_ABSTRACT);
    long fd = syscall(SYS_landlock_create_ruleset, &rules, sizeof(rules), 0);
    landlock->ruleset = fd < 0 ? -1 : (int)fd;
    return fd < 0 ? -errno : 0;
}

int landlock_allow(struct landlock *landlock, const char *path, unsigned rights)
{
    struct stat st;
    if (landlock->ruleset < 0)
        return 0;
    _cleanup_(fd_closep) int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR || errno == EACCES ? 0 : -errno;
    if (fstat(fd, &st) < 0)
        return -errno;
    struct beneath rule = {.rights = landlock_bits(rights) & landlock_known(landlock->version),
                           .fd = fd};
    if (!S_ISDIR(st.st_mode))
        rule.rights &= FS_OF_FILES;
    if (!rule.rights)
        return 0;
    return syscall(SYS_landlock_add_rule, landlock->ruleset, PATH_BENEATH, &rule, 0) < 0 ? -errno
                                                                                         : 0;
}

int landlock_allow_folder_of(struct landlock *landlock, const char *path, unsigned rights)
{
    char folder[PATH_MAX];
    struct stat st;
    if ((size_t)snprintf(folder, sizeof(folder), "%s", path) >= sizeof(folder))
        return -ENAMETOOLONG;
    do {
        char *slash = strrchr(folder, '/');
        if (!slash)
            return landlock_allow(landlock, ".", rights);
        if (slash == folder)
            return landlock_allow(landlock, "/", rights);
        *slash = 0;
    } while (stat(folder, &st) < 0);
    return landlock_allow(landlock, folder, rights);
}

int landlock_enter(struct landlock *landlock)
{
    if (landlock->ruleset < 0)
        return 0;
    int r = syscall(SYS_landlock_restrict_self, landlock->ruleset, 0) < 0 ? -errno : 0;
    landlock_drop(landlock);
    return r;
}

void landlock_drop(struct landlock *landlock)
{
    landlock->ruleset = fd_close(landlock->ruleset);
}
