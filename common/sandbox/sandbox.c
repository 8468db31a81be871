/* SPDX-License-Identifier: MIT */
/* Owns nothing. The order matters: without no-new-privileges the kernel takes neither Landlock's
 * rules nor a filter, and the filter comes last, as it allows none of these. Builds with the
 * address sanitizer do without what its leak checker cannot bear: at the end it starts a process
 * that looks into this one, and opens files of /proc. */
#include "common/sandbox/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "common/base/checks.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/number.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

static const char no_filter[] =
    "this kernel has no seccomp filters: which system calls are made is not limited";

void sandbox_hide(void)
{
    if (!SANITIZED)
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

int sandbox_close_inherited(int keep)
{
    DIR *dir = opendir("/proc/self/fd");
    const struct dirent *entry;
    if (!dir)
        return -errno;
    /* Of a list that changes while it is read, nothing is missed that was there before. */
    while ((entry = readdir(dir))) {
        uint64_t fd;
        if (!number_parse(entry->d_name, strlen(entry->d_name), INT32_MAX, &fd) || fd < 3 ||
            (int)fd == keep)
            continue;
        int flags = fcntl((int)fd, F_GETFD);
        if (flags >= 0 && !(flags & FD_CLOEXEC))
            fd_close((int)fd);
    }
    closedir(dir);
    return 0;
}

unsigned sandbox_wishes(void)
{
    const char *notify = getenv("NOTIFY_SOCKET");
    return notify && *notify == '@' ? LANDLOCK_KEEP_ABSTRACT : 0;
}

int sandbox_enter(struct landlock *paths)
{
    struct rlimit none = {0};
    int r = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || setrlimit(RLIMIT_CORE, &none) < 0 ? -errno
                                                                                            : 0;
    if (r == 0 && paths->version < 0)
        log_info(NULL, "this kernel has no Landlock (%s): which files are opened is not limited",
                 strerror(-paths->version));
    if (r == 0 && !SANITIZED)
        r = landlock_enter(paths);
    if (r < 0)
        log_error(NULL, "cannot give up rights: %s", strerror(-r));
    landlock_drop(paths);
    return r;
}

int sandbox_filter(const struct filter_rule *const *tables, pid_t may_signal)
{
    if (SANITIZED) {
        log_info(NULL, "built with a sanitizer: neither system calls nor files are limited");
        return 0;
    }
    if (!filter_available()) {
        log_info(NULL, "%s", no_filter);
        return 0;
    }
    int r = filter_load(tables, may_signal);
    if (r < 0)
        log_error(NULL, "cannot limit system calls: %s", strerror(-r));
    return r;
}

int sandbox_limit_memory(uint64_t bytes)
{
    /* A sanitizer's shadow of all memory counts in full. */
    struct rlimit limit = {bytes, bytes};
    return SANITIZED || setrlimit(RLIMIT_DATA, &limit) == 0 ? 0 : -errno;
}

void sandbox_check(void)
{
    int version = landlock_version();
    if (SANITIZED)
        checks_note("built with a sanitizer: neither system calls nor files will be limited");
    if (filter_available())
        checks_line(true, "system calls can be limited (seccomp)", "");
    else
        checks_note("%s", no_filter);
    if (version > 0)
        checks_line(true, "files can be limited (Landlock)", "");
    else
        checks_note("this kernel has no Landlock (%s): which files are opened is not limited",
                    strerror(-version));
}
