/* SPDX-License-Identifier: MIT */
/* fdinfo: owns the folder of /proc that it reads from. */
#include "common/base/fdinfo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fd.h"

static int folder = -1;

void fdinfo_prepare(void)
{
    /* Held open, it stays the folder that Landlock was told of. */
    if (folder < 0)
        folder = open("/proc/self/fdinfo", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

int fdinfo_read(int fd, char *text, size_t size)
{
    char name[16];
    snprintf(name, sizeof(name), "%d", fd);
    fdinfo_prepare();
    _cleanup_(fd_closep) int info = openat(folder, name, O_RDONLY | O_CLOEXEC);
    if (info < 0)
        return -errno;
    ssize_t n = read(info, text, size - 1);
    if (n < 0)
        return -errno;
    text[n] = 0;
    return 0;
}

bool fdinfo_number(const char *text, const char *key, int base, uint64_t *ret)
{
    const char *at = strstr(text, key);
    if (!at)
        return false;
    *ret = strtoull(at + strlen(key), NULL, base);
    return true;
}

int dmabuf_inspect(int fd, struct dmabuf_info *ret)
{
    char text[1024];
    struct dmabuf_info info = {0};
    int e = fdinfo_read(fd, text, sizeof(text));
    if (e < 0)
        return e;
    /* Only dmabufs have who made them; their own name, which anybody may give, comes last. */
    if (!strstr(text, "\nexp_name:") || !fdinfo_number(text, "\nsize:", 10, &info.size) ||
        !fdinfo_number(text, "\ncount:", 10, &info.users))
        return -ENOTTY;
    *ret = info;
    return 0;
}
