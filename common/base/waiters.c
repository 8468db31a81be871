/* SPDX-License-Identifier: MIT */
/* Nobody can end a thread that waits for a file system, so their number has a limit, and what is
 * left of it is shared: a process may have one more while it has fewer than a quarter of those that
 * are free. So one alone gets a fifth of all, and it takes some two dozen to leave none for the
 * next. A thread counts as its process's until it ends, even if the connection has: to connect
 * again does not make the share larger. */
#include "common/base/waiters.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "common/base/fd.h"
#include "common/base/list.h"

#define WAITERS_MAX 256
#define STACK_SIZE (128u << 10)

struct waiters {
    struct waiters *next;
    pid_t pid;
    unsigned refs; /* of connections, and of threads */
    unsigned n;    /* threads */
    int *closing;  /* that its threads close when they end; a reference while there are any */
    size_t closing_n, closing_room;
};

struct waiter {
    struct waiters *owner; /* a reference */
    void (*run)(void *user);
    void *user;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct waiters *all; /* under the lock, with what is in them */
static unsigned threads;

struct waiters *waiters_of(pid_t pid)
{
    pthread_mutex_lock(&lock);
    struct waiters *w = pid ? all : NULL;
    while (w && w->pid != pid)
        w = w->next;
    if (!w && (w = calloc(1, sizeof(*w)))) {
        w->pid = pid;
        w->next = all;
        all = w;
    }
    if (w)
        w->refs++;
    pthread_mutex_unlock(&lock);
    return w;
}

static void waiters_unref_locked(struct waiters *w)
{
    if (--w->refs)
        return;
    struct waiters **at = &all;
    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    free(w->closing);
    free(w);
}

void waiters_unref(struct waiters *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&lock);
    waiters_unref_locked(w);
    pthread_mutex_unlock(&lock);
}

static void waiters_leave(struct waiters *w)
{
    pthread_mutex_lock(&lock);
    w->n--;
    threads--;
    waiters_unref_locked(w);
    pthread_mutex_unlock(&lock);
}

/* The next descriptor that this thread of *@w is to close. Where there is none of its own process,
 * it becomes a thread of one that has none. -1: the thread ends. */
static int waiters_next(struct waiters **w)
{
    int fd = -1;
    pthread_mutex_lock(&lock);
    struct waiters *own = *w, *next = own;
    if (!own->closing_n) {
        own->n--;
        for (next = all; next && (next->n || !next->closing_n);)
            next = next->next;
        if (next) {
            next->n++;
            next->refs++;
        } else {
            threads--;
        }
        waiters_unref_locked(own);
    }
    if (next) {
        fd = next->closing[--next->closing_n];
        if (!next->closing_n)
            waiters_unref_locked(next);
    }
    *w = next;
    pthread_mutex_unlock(&lock);
    return fd;
}

static void *waiters_thread(void *user)
{
    struct waiter waiter = *(struct waiter *)user;
    int fd;
    free(user);
    if (waiter.run)
        waiter.run(waiter.user);
    while ((fd = waiters_next(&waiter.owner)) >= 0)
        fd_close(fd);
    return NULL;
}

static bool waiters_enter(struct waiters *w)
{
    pthread_mutex_lock(&lock);
    bool may = 4 * w->n < WAITERS_MAX - threads;
    w->n += may;
    threads += may;
    w->refs += may;
    pthread_mutex_unlock(&lock);
    return may;
}

int waiters_start(struct waiters *w, void (*run)(void *user), void *user)
{
    if (!waiters_enter(w))
        return -EMFILE;
    struct waiter *waiter = malloc(sizeof(*waiter));
    pthread_attr_t attr;
    pthread_t id;
    int e = waiter ? pthread_attr_init(&attr) : ENOMEM;
    if (e == 0) {
        *waiter = (struct waiter){.owner = w, .run = run, .user = user};
        pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
        pthread_attr_setstacksize(&attr, STACK_SIZE);
        e = pthread_create(&id, &attr, waiters_thread, waiter);
        pthread_attr_destroy(&attr);
    }
    if (e != 0) {
        free(waiter);
        waiters_leave(w);
    }
    return -e;
}

/* Pipes, sockets and shared memory are the kernel's alone, as is what has no file at all. */
static bool may_wait(int fd)
{
    struct fd_info info;
    if (fd_inspect(fd, &info) < 0)
        return true;
    if (info.kind == FD_KIND_FILE)
        return true;
    return info.kind == FD_KIND_OTHER && (info.mode & S_IFMT) != 0 && !S_ISSOCK(info.mode);
}

void waiters_close(struct waiters *w, int fd)
{
    int e = -ENOMEM;
    if (fd < 0)
        return;
    if (w && may_wait(fd)) {
        pthread_mutex_lock(&lock);
        e = array_room(&w->closing, &w->closing_room, w->closing_n + 1, SIZE_MAX / sizeof(int));
        if (e == 0) {
            w->refs += w->closing_n == 0;
            w->closing[w->closing_n++] = fd;
        }
        pthread_mutex_unlock(&lock);
    }
    if (e < 0)
        fd_close(fd);
    else
        waiters_start(w, NULL, NULL); /* or another one does it when it ends */
}

size_t waiters_closing(pid_t pid)
{
    size_t n = 0;
    pthread_mutex_lock(&lock);
    for (const struct waiters *w = all; w; w = w->next)
        n += w->pid == pid ? w->closing_n : 0;
    pthread_mutex_unlock(&lock);
    return n;
}
