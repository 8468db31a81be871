/* SPDX-License-Identifier: MIT */
/* One folder for all of the daemon's processes, made by the first of them before they limit
 * themselves, and below it one for each VM's, which may make sockets there and nothing elsewhere.
 * What a process that was killed has left there is removed by others. */
#include "host-proxy/context-folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fd.h"

static struct {
    bool tried;
    int error;
    char path[CONTEXT_FOLDER_MAX - sizeof("/4294967295") + 1]; /* of all */
    char own[CONTEXT_FOLDER_MAX];                              /* "": nobody has entered */
} folder;

const char *context_folder(void)
{
    static const char name[] = "/wayvsock-XXXXXX";
    const char *base = getenv("XDG_RUNTIME_DIR");
    if (!folder.tried) {
        if (!base || *base != '/' || strlen(base) + sizeof(name) > sizeof(folder.path))
            base = "/tmp"; /* a path that is cut would be another one */
        snprintf(folder.path, sizeof(folder.path), "%s%s", base, name);
        folder.tried = true;
        folder.error = mkdtemp(folder.path) ? 0 : errno;
    }
    errno = folder.error;
    return folder.error ? NULL : *folder.own ? folder.own : folder.path;
}

/* Removes @name in @in, a folder with all in it where @depth is not 0. */
static void folder_remove_below(int in, const char *name, unsigned depth)
{
    if (unlinkat(in, name, 0) == 0 || !depth)
        return;
    int fd = openat(in, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;
    if (!dir) {
        fd_close(fd);
        return;
    }
    while ((entry = readdir(dir)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            folder_remove_below(fd, entry->d_name, depth - 1);
    closedir(dir);
    unlinkat(in, name, AT_REMOVEDIR);
}

static void folder_of(uint32_t number, char path[CONTEXT_FOLDER_MAX])
{
    snprintf(path, CONTEXT_FOLDER_MAX, "%s/%" PRIu32, folder.path, number);
}

void context_folder_clear(uint32_t number)
{
    char path[CONTEXT_FOLDER_MAX];
    if (!folder.tried || folder.error)
        return;
    folder_of(number, path);
    folder_remove_below(AT_FDCWD, path, 1);
}

void context_folder_enter(uint32_t number)
{
    if (!folder.tried || folder.error)
        return;
    context_folder_clear(number);
    folder_of(number, folder.own);
    folder.error = mkdir(folder.own, 0700) < 0 ? errno : 0;
}

void context_folder_remove(void)
{
    if (folder.tried && !folder.error)
        folder_remove_below(AT_FDCWD, folder.path, 2);
    folder.tried = false;
    *folder.own = 0;
}
