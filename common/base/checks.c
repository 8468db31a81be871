/* SPDX-License-Identifier: MIT */
/* What --check prints, for people: each line says whether it is good, and if not, what to do about
 * it. Nothing is changed, and a device that was opened is its caller's to close. */
#include "common/base/checks.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A guest's pages come in any order: in the worst case each is a piece of its own. */
#define PAGE 4096u
#define WIDTH 3840u
#define HEIGHT 2160u
#define BUFFER_BYTES (WIDTH * HEIGHT * 4u)
#define BUFFER_PIECES (BUFFER_BYTES / PAGE)
#define LIST_DEFAULT 1024u /* of Linux */
#define SIZE_DEFAULT 64u

void checks_line(bool good, const char *what, const char *advice)
{
    printf("%s  %s%s%s\n", good ? "ok  " : "FAIL", what, good || !*advice ? "" : ": ",
           good ? "" : advice);
}

void checks_note(const char *format, ...)
{
    va_list args;
    fputs("note  ", stdout);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

/* Who may open it, where this user may not. */
static void explain_access(const char *path, const struct stat *st, char *advice, size_t size)
{
    const struct group *group = getgrgid(st->st_gid);
    const struct passwd *user = getpwuid(geteuid());
    char name[64], number[24];
    snprintf(number, sizeof(number), "%lu", (unsigned long)geteuid());
    snprintf(name, sizeof(name), "%s", user ? user->pw_name : number);
    if ((st->st_mode & 060) != 060 || st->st_gid == 0 || !group)
        snprintf(advice, size, "%s belongs to root alone: a udev rule may give it to a group",
                 path);
    else
        snprintf(advice, size,
                 "%s may be opened by the group %s, which %s is not in: usermod -aG %s %s", path,
                 group->gr_name, name, group->gr_name, name);
}

int checks_open(const char *path, char *advice, size_t size)
{
    struct stat st;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd >= 0)
        return fd;
    int r = -errno;
    if (r == -EACCES && stat(path, &st) == 0)
        explain_access(path, &st, advice, size);
    else if (r == -EPERM || r == -EACCES)
        snprintf(advice, size, "%s: %s (a container or a service may forbid devices)", path,
                 strerror(-r));
    else
        snprintf(advice, size, "%s: %s", path, strerror(-r));
    return r;
}

bool checks_udmabuf_limits(uint32_t list_limit, uint64_t size_limit, char *text, size_t size)
{
    uint32_t list = list_limit ? list_limit : LIST_DEFAULT;
    uint64_t megabytes = size_limit ? size_limit >> 20 : SIZE_DEFAULT;
    bool enough = list >= BUFFER_PIECES && megabytes << 20 >= BUFFER_BYTES;
    if (enough)
        snprintf(
            text, size,
            "%u pieces (list_limit) and %llu MiB (size_limit_mb) in a buffer, enough for %ux%u",
            list, (unsigned long long)megabytes, WIDTH, HEIGHT);
    else
        snprintf(
            text, size,
            "%u pieces (list_limit) and %llu MiB (size_limit_mb) in a buffer; %ux%u may need %u "
            "pieces and %u MiB, and what is larger is copied; for these, put \"options udmabuf "
            "list_limit=%u size_limit_mb=%u\" into /etc/modprobe.d/udmabuf.conf, or where it is "
            "built into the kernel, \"udmabuf.list_limit=%u udmabuf.size_limit_mb=%u\" on the "
            "kernel's command line",
            list, (unsigned long long)megabytes, WIDTH, HEIGHT, BUFFER_PIECES,
            (BUFFER_BYTES + (1u << 20) - 1) >> 20, list > BUFFER_PIECES ? list : BUFFER_PIECES,
            megabytes > SIZE_DEFAULT ? (unsigned)megabytes : SIZE_DEFAULT,
            list > BUFFER_PIECES ? list : BUFFER_PIECES,
            megabytes > SIZE_DEFAULT ? (unsigned)megabytes : SIZE_DEFAULT);
    return enough;
}
