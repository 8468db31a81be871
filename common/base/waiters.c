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
#include <stdlib.h>

#define WAITERS_MAX 256
#define STACK_SIZE (128u << 10)

struct waiters {
    struct waiters *next;
    pid_t pid;
    unsigned refs; /* of connections, and of threads */
    unsigned n;    /* threads */
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

static void *waiters_thread(void *user)
{
    struct waiter waiter = *(struct waiter *)user;
    free(user);
    waiter.run(waiter.user);
    waiters_leave(waiter.owner);
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
