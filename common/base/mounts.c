/* SPDX-License-Identifier: MIT */
/* Any call on a file may ask the file system's server (FUSE, NFS) and wait for it, fstatfs() too;
 * the lists of mounts are the kernel's own. A mount has one number in all of them, so what the
 * client's says of that number is true, whatever the client is. But an overlay is as good as what
 * is below it: it counts only where somebody mounted it in our own namespace, for which a client
 * has no rights. */
#include "common/base/mounts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "common/base/fd.h"

#define LINES_MAX 10000 /* that are looked at; a client may have mounted many */
#define OURS "/proc/self/mountinfo"

/* Not there: whatever another program or machine serves (fuse, nfs, cifs, ceph, 9p, virtiofs,
 * hostfs, …), and what has no pages to map. */
static const char *const local_types[] = {"ext2",     "ext3",    "ext4",  "xfs",    "btrfs", "f2fs",
                                          "bcachefs", "overlay", "ramfs", "rootfs", "tmpfs", "zfs"};

static bool is_local_type(const char *type)
{
    for (size_t i = 0; i < sizeof(local_types) / sizeof(*local_types); i++)
        if (strcmp(type, local_types[i]) == 0)
            return true;
    return false;
}

/* The type in a line such as "36 35 98:0 /root /mnt rw master:1 - ext4 /dev/vda rw"; blanks in
 * paths are escaped. */
static bool take_type(const char *line, char *ret_type, size_t size)
{
    const char *type = strstr(line, " - ");
    size_t n = type ? strcspn(type + 3, " \n") : 0;
    if (!n || n >= size)
        return false;
    memcpy(ret_type, type + 3, n);
    ret_type[n] = 0;
    return true;
}

/* The type of @mount, or (0) of any mount of @device. */
static bool find_type(const char *list, uint64_t mount, uint64_t device, char *ret_type,
                      size_t size)
{
    FILE *file = fopen(list, "re");
    char *line = NULL;
    size_t room = 0;
    bool found = false;
    for (int i = 0; file && !found && i < LINES_MAX && getline(&line, &room, file) > 0; i++) {
        uint64_t id;
        unsigned major, minor;
        if (sscanf(line, "%" SCNu64 " %*u %u:%u ", &id, &major, &minor) == 3 &&
            (mount ? id == mount : makedev(major, minor) == device))
            found = take_type(line, ret_type, size);
    }
    free(line);
    if (file)
        fclose(file);
    return found;
}

bool mounts_is_local(const struct fd_info *info, pid_t client, char *ret_type, size_t size)
{
    char theirs[40];
    snprintf(ret_type, size, "one that is not mounted here");
    if (info->mount && find_type(OURS, info->mount, 0, ret_type, size))
        return is_local_type(ret_type);
    /* A service has a namespace of its own, and so has a container. */
    snprintf(theirs, sizeof(theirs), "/proc/%d/mountinfo", (int)client);
    if (info->mount && client && find_type(theirs, info->mount, 0, ret_type, size)) {
        if (strcmp(ret_type, "overlay") != 0)
            return is_local_type(ret_type);
        snprintf(ret_type, size, "an overlay that is not mounted here");
    }
    return find_type(OURS, 0, info->dev, ret_type, size) && is_local_type(ret_type);
}
