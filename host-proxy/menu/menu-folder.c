/* SPDX-License-Identifier: MIT */
/* menu-folder: nothing of a VM's is in a path: names of files are made by us, and that of the
 * folder is the configuration's. */
#include "host-proxy/menu/menu-folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fd.h"

#define FOLDER "applications/wayvsock"
#define PREFIX "vm-" /* or a VM called ".." would have another one */
#define NEW ".new"   /* is no entry's suffix */
#define FILE_MAX (64u << 10)

static int base_path(char path[MENU_PATH_MAX])
{
    const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    int n = -1;
    if (data && *data == '/')
        n = snprintf(path, MENU_PATH_MAX, "%s/" FOLDER, data);
    else if (home && *home == '/')
        n = snprintf(path, MENU_PATH_MAX, "%s/.local/share/" FOLDER, home);
    return n < 0 ? -ENOENT : n >= MENU_PATH_MAX ? -ENAMETOOLONG : 0;
}

int menu_folder_path(const char *vm, char path[MENU_PATH_MAX])
{
    int r = base_path(path);
    if (r < 0)
        return r;
    size_t n = strlen(path);
    int wrote = snprintf(path + n, MENU_PATH_MAX - n, "/" PREFIX "%s", vm);
    return wrote < 0 || (size_t)wrote >= MENU_PATH_MAX - n ? -ENAMETOOLONG : 0;
}

int menu_folder_make(const char *path)
{
    char part[MENU_PATH_MAX];
    for (const char *slash = path; slash;) {
        slash = strchr(slash + 1, '/');
        size_t n = slash ? (size_t)(slash - path) : strlen(path);
        memcpy(part, path, n);
        part[n] = 0;
        if (mkdir(part, 0700) < 0 && errno != EEXIST)
            return -errno;
    }
    return 0;
}

static bool has_already(const char *path, const void *bytes, size_t n)
{
    static char have[FILE_MAX + 1];
    _cleanup_(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t got = fd < 0 ? -1 : read(fd, have, sizeof(have));
    return got >= 0 && (size_t)got == n && memcmp(have, bytes, n) == 0;
}

int menu_folder_put(const char *path, const char *name, const void *bytes, size_t n)
{
    char at[MENU_PATH_MAX + 64], fresh[MENU_PATH_MAX + 64];
    snprintf(at, sizeof(at), "%s/%s", path, name);
    snprintf(fresh, sizeof(fresh), "%s/" NEW, path);
    if (has_already(at, bytes, n))
        return 0;
    unlink(fresh); /* of one who was killed */
    int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    ssize_t wrote = write(fd, bytes, n);
    int e = wrote < 0 ? -errno : (size_t)wrote < n ? -ENOSPC : 0;
    fd_close(fd);
    if (e == 0 && rename(fresh, at) < 0)
        e = -errno;
    if (e < 0)
        unlink(fresh);
    return e;
}

void menu_folder_clear(const char *path, int (*keep)(void *user, const char *name), void *user)
{
    DIR *dir = opendir(path);
    const struct dirent *d;
    while (dir && (d = readdir(dir))) {
        char stem[NAME_MAX + 1], file[MENU_PATH_MAX + NAME_MAX + 2];
        size_t n = strcspn(d->d_name, ".");
        memcpy(stem, d->d_name, n);
        stem[n] = 0;
        if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0 ||
            (keep && keep(user, stem)))
            continue;
        snprintf(file, sizeof(file), "%s/%s", path, d->d_name);
        unlink(file);
    }
    if (dir)
        closedir(dir);
}

void menu_folders_clear(int (*keep)(void *user, const char *vm), void *user)
{
    char base[MENU_PATH_MAX], path[MENU_PATH_MAX + NAME_MAX + 2];
    DIR *dir = base_path(base) == 0 ? opendir(base) : NULL;
    const struct dirent *d;
    while (dir && (d = readdir(dir))) {
        if (strncmp(d->d_name, PREFIX, strlen(PREFIX)) != 0 ||
            keep(user, d->d_name + strlen(PREFIX)))
            continue;
        snprintf(path, sizeof(path), "%s/%s", base, d->d_name);
        menu_folder_clear(path, NULL, NULL);
        rmdir(path);
    }
    if (dir)
        closedir(dir);
}
