/* SPDX-License-Identifier: MIT */
/* closings: owns one inotify for each process, while anything is watched or about to be. A memfd
 * has a path in /proc as long as it is open, and with it, the kernel tells of the last close of
 * each of its open file descriptions, which mappings keep. The watch keeps the file's number from
 * being used again. */
#include "common/base/closings.h"

#include <errno.h>
#include <search.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>

#include "common/base/fd.h"
#include "common/base/loop.h"

struct closing {
    int wd;
    bool reopened;
    void (*closed)(void *user, bool reopened);
    void *user;
};

static struct {
    struct loop *loop;
    int fd;
    struct loop_io *io;
    void *all; /* a tree (search.h) by number */
    unsigned n, holders;
} closings = {.fd = -1};

static int by_number(const void *a, const void *b)
{
    const struct closing *x = a, *y = b;
    return (x->wd > y->wd) - (x->wd < y->wd);
}

static struct closing *closing_of(int wd)
{
    const struct closing key = {.wd = wd};
    struct closing *const *c = tfind(&key, &closings.all, by_number);
    return c ? *c : NULL;
}

static void closings_stop(void)
{
    if (closings.n || closings.holders)
        return;
    loop_io_destroy(closings.io);
    closings.fd = fd_close(closings.fd);
    closings.io = NULL;
    closings.loop = NULL;
}

static void closings_ready(void *user, unsigned events)
{
    _Alignas(struct inotify_event) char buffer[4096];
    (void)user;
    (void)events;
    ssize_t n = read(closings.fd, buffer, sizeof(buffer));
    for (char *at = buffer; at < buffer + n;) {
        const struct inotify_event *e = (const struct inotify_event *)at;
        struct closing *c = closing_of(e->wd);
        at += sizeof(*e) + e->len;
        if (c && e->mask & IN_OPEN)
            c->reopened = true;
        if (c && e->mask & IN_CLOSE)
            c->closed(c->user, c->reopened);
    }
}

void closings_hold(void)
{
    closings.holders++;
}

void closings_release(void)
{
    closings.holders--;
    closings_stop();
}

static int closings_start(struct loop *loop)
{
    if (closings.io)
        return closings.loop == loop ? 0 : -EBUSY;
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (fd < 0)
        return -errno;
    closings.io = loop_io_create(loop, fd, LOOP_READ, closings_ready, NULL);
    if (!closings.io) {
        fd_close(fd);
        return -ENOMEM;
    }
    closings.fd = fd;
    closings.loop = loop;
    return 0;
}

struct closing *closing_watch(struct loop *loop, int fd, void (*closed)(void *user, bool reopened),
                              void *user)
{
    char path[40];
    int e = closings_start(loop);
    struct closing *c = e == 0 ? malloc(sizeof(*c)) : NULL;
    if (!c) {
        errno = e < 0 ? -e : ENOMEM;
        return NULL;
    }
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    *c = (struct closing){.wd = inotify_add_watch(closings.fd, path, IN_CLOSE | IN_OPEN),
                          .closed = closed,
                          .user = user};
    e = c->wd < 0 ? -errno : closing_of(c->wd) ? -EEXIST : 0;
    if (e == 0 && !tsearch(c, &closings.all, by_number)) {
        inotify_rm_watch(closings.fd, c->wd);
        e = -ENOMEM;
    }
    if (e < 0) {
        free(c);
        closings_stop();
        errno = -e;
        return NULL;
    }
    closings.n++;
    return c;
}

void closing_destroy(struct closing *c)
{
    if (!c)
        return;
    tdelete(c, &closings.all, by_number);
    inotify_rm_watch(closings.fd, c->wd);
    free(c);
    closings.n--;
    closings_stop();
}
