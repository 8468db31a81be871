/* SPDX-License-Identifier: MIT */
/* A process that was killed leaves its socket behind, so every new one tidies up. Only files whose
 * names are those of our sockets are touched or told, whatever else is in the folder. */
#include "common/transport/export-folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/transport/address.h"
#include "common/base/error.h"
#include "common/base/fd.h"

#define FOLDER "wayvsock-gpu"
#define SUFFIX ".sock"
#define LOCK_SUFFIX ".lock" /* beside a socket, see address_listen() */
#define ENTRIES_MAX 4096    /* of the folder that are looked at */

int export_folder_path(char *path, size_t size)
{
    const char *base = getenv("XDG_RUNTIME_DIR");
    if (!base || *base != '/')
        base = "/run";
    int n = snprintf(path, size, "%s/" FOLDER, base);
    return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

/* The length of NUMBER.sock at the beginning of @name, or 0. */
static size_t socket_name(const char *name)
{
    size_t digits = strspn(name, "0123456789");
    if (digits == 0 || strncmp(name + digits, SUFFIX, strlen(SUFFIX)) != 0)
        return 0;
    return digits + strlen(SUFFIX);
}

static void folder_remove_stale(const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    for (unsigned i = 0; dir && i < ENTRIES_MAX && (entry = readdir(dir)); i++) {
        char path[sizeof(((struct export_folder *)0)->paths[0])];
        size_t n = socket_name(entry->d_name);
        bool ours = n && (!entry->d_name[n] || strcmp(entry->d_name + n, LOCK_SUFFIX) == 0);
        int length = snprintf(path, sizeof(path), "%s/%.*s", folder, (int)n, entry->d_name);
        if (ours && length > 0 && (size_t)length < sizeof(path))
            address_remove_stale(path); /* what cannot be removed stays */
    }
    if (dir)
        closedir(dir);
}

static int folder_try(const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0 || access(path, W_OK | X_OK) < 0)
        return -errno;
    return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int export_folder_prepare(char *path, size_t size, char *error, size_t error_size)
{
    int r = export_folder_path(path, size);
    if (r < 0)
        return error_set(r, error, error_size, "XDG_RUNTIME_DIR is too long");
    /* Each socket says who may connect. */
    r = mkdir(path, 0755) < 0 ? -errno : 0;
    if (r == -EEXIST)
        r = folder_try(path);
    if (r < 0)
        return error_set(r, error, error_size,
                         "cannot make sockets in %s: %s; set XDG_RUNTIME_DIR or give --export PATH",
                         path, strerror(-r));
    folder_remove_stale(path);
    size_t n = strlen(path);
    int more = snprintf(path + n, size - n, "/%ld" SUFFIX, (long)getpid());
    if (more < 0 || (size_t)more >= size - n)
        return error_set(-ENAMETOOLONG, error, error_size, "XDG_RUNTIME_DIR is too long");
    return 0;
}

#define GROUPS_MAX 256 /* of a process that are looked at */

static bool folder_in_group(int fd, gid_t wanted)
{
    gid_t groups[GROUPS_MAX];
    struct ucred peer;
    socklen_t size = sizeof(peer), n = sizeof(groups);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.gid == wanted)
        return true;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &n) < 0)
        return false;
    for (size_t i = 0; i < n / sizeof(*groups); i++)
        if (groups[i] == wanted)
            return true;
    return false;
}

/* In a folder that is everybody's (/tmp), anybody's process may have been there first. */
static bool folder_trusts(const char *path, int fd, uint32_t uid)
{
    char folder[sizeof(((struct export_folder *)0)->paths[0])];
    struct stat st;
    const char *slash = strrchr(path, '/');
    if (uid == 0 || uid == geteuid())
        return true;
    int n = slash ? snprintf(folder, sizeof(folder), "%.*s/", (int)(slash - path), path)
                  : snprintf(folder, sizeof(folder), ".");
    if (n < 0 || (size_t)n >= sizeof(folder) || stat(folder, &st) < 0)
        return false;
    return uid == st.st_uid || (st.st_mode & S_IWGRP && folder_in_group(fd, st.st_gid));
}

int export_folder_connect(const char *path, char *error, size_t error_size)
{
    struct address_peer peer;
    _cleanup_(fd_closep) int fd = address_connect_packets(path, error, error_size);
    if (fd < 0)
        return fd;
    int r = address_peer(fd, &peer);
    if (r < 0)
        return error_set(r, error, error_size, "who listens on %s? %s", path, strerror(-r));
    if (!folder_trusts(path, fd, peer.uid))
        return error_set(-EPERM, error, error_size,
                         "%s is of user %u, to whom its folder does not belong", path, peer.uid);
    return fd_steal(&fd);
}

static bool newer(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec != b->tv_sec ? a->tv_sec > b->tv_sec : a->tv_nsec > b->tv_nsec;
}

int export_folder_list(const char *folder, struct export_folder *ret_list)
{
    struct timespec times[EXPORT_FOLDER_MAX];
    struct dirent *entry;
    size_t count = 0;
    DIR *dir = opendir(folder);
    if (!dir)
        return -errno;
    for (unsigned i = 0; i < ENTRIES_MAX && (entry = readdir(dir)); i++) {
        struct stat st;
        char path[sizeof(ret_list->paths[0])];
        size_t n = socket_name(entry->d_name);
        int length = snprintf(path, sizeof(path), "%s/%.*s", folder, (int)n, entry->d_name);
        if (!n || entry->d_name[n] || length < 0 || (size_t)length >= sizeof(path) ||
            fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
            !S_ISSOCK(st.st_mode))
            continue;
        size_t at = count;
        while (at > 0 && newer(&st.st_ctim, &times[at - 1]))
            at--;
        if (at == EXPORT_FOLDER_MAX)
            continue;
        if (count < EXPORT_FOLDER_MAX)
            count++;
        memmove(times + at + 1, times + at, (count - 1 - at) * sizeof(times[0]));
        memmove(ret_list->paths + at + 1, ret_list->paths + at, (count - 1 - at) * sizeof(path));
        times[at] = st.st_ctim;
        memcpy(ret_list->paths[at], path, sizeof(path));
    }
    closedir(dir);
    ret_list->n = count;
    return 0;
}
