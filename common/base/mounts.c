/* SPDX-License-Identifier: MIT */
/* Any call on a file may ask the file system's server (FUSE, NFS) and wait for it, fstatfs() too;
 * the list of mounts is the kernel's own. It names what was mounted in our own namespace, which a
 * client without rights there cannot do. What a container mounted for itself is not there: it
 * counts only if it shows a device that is mounted here as well. */
#include "common/base/mounts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "common/base/fd.h"

/* Not there: whatever another program or machine serves (fuse, nfs, cifs, ceph, 9p, virtiofs,
 * hostfs, …), and what has no pages to map. An overlay is as good as who mounted it in our
 * namespace. */
static const char *const local_types[] = {"ext2",     "ext3",    "ext4",  "xfs",    "btrfs", "f2fs",
                                          "bcachefs", "overlay", "ramfs", "rootfs", "tmpfs", "zfs"};

bool mounts_is_local(const char *type)
{
    for (size_t i = 0; i < sizeof(local_types) / sizeof(*local_types); i++)
        if (strcmp(type, local_types[i]) == 0)
            return true;
    return false;
}

/* The type in a line of mountinfo: "36 35 98:0 /root /mnt rw master:1 - ext4 /dev/vda rw"; blanks
 * in paths are escaped. */
static bool mount_type(const char *line, char *ret_type, size_t size)
{
    const char *type = strstr(line, " - ");
    size_t n = type ? strcspn(type + 3, " \n") : 0;
    if (!n || n >= size)
        return false;
    memcpy(ret_type, type + 3, n);
    ret_type[n] = 0;
    return true;
}

bool mounts_type(const struct fd_info *info, char *ret_type, size_t size)
{
    FILE *file = fopen("/proc/self/mountinfo", "re");
    char *line = NULL;
    size_t room = 0;
    bool found = false;
    while (file && getline(&line, &room, file) > 0) {
        uint64_t id;
        unsigned major, minor;
        if (sscanf(line, "%" SCNu64 " %*u %u:%u ", &id, &major, &minor) != 3)
            continue;
        bool same_mount = info->mount && id == info->mount;
        if (same_mount || (!found && makedev(major, minor) == info->dev)) {
            bool named = mount_type(line, ret_type, size);
            found = same_mount ? named : found || named;
        }
        if (same_mount)
            break;
    }
    free(line);
    if (file)
        fclose(file);
    return found;
}
