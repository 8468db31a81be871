/* SPDX-License-Identifier: MIT */
/* file-reader: owns the jobs of threads that read files, and the last few contents that were handed
 * out. A job belongs to the loop and to its thread until both have let go of it. */
#include "common/carrier/file-reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/base/fd.h"
#include "common/base/loop.h"
#include "common/base/memory.h"
#include "common/base/waiters.h"

const char too_many_waiters[] = "thread limit: too many files make their reader wait, or are open";

#define SHARED_N 8
#define SHARED_MAX                                                                                 \
    (1u << 20) /* bytes: nobody pays for what is kept here, and keymaps are small                  \
                */
#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

/* The last few contents: every client of a seat gets the same keymap. */
static struct {
    int fd;
    uint64_t size;
    const void *map;
} shared[SHARED_N];
static unsigned shared_next;

static int seal(struct memory *m)
{
    if (m->map) {
        munmap(m->map, m->size); /* a write seal needs that nobody can write */
        m->map = NULL;
    }
    if (fcntl(m->fd, F_ADD_SEALS, SEALS) < 0)
        return -errno;
    return 0;
}

int file_share(struct memory *m)
{
    bool small = m->size > 0 && m->size <= SHARED_MAX;
    for (unsigned i = 0; small && i < SHARED_N; i++)
        if (shared[i].map && shared[i].size == m->size &&
            memcmp(shared[i].map, m->map, m->size) == 0)
            return fd_reopen(shared[i].fd, O_RDONLY);
    int r = seal(m);
    if (r < 0)
        return r;
    int fd = fd_reopen(m->fd, O_RDONLY);
    if (fd < 0 || !small)
        return fd;
    int keep = fcntl(m->fd, F_DUPFD_CLOEXEC, 0);
    void *map = keep < 0 ? MAP_FAILED : mmap(NULL, m->size, PROT_READ, MAP_SHARED, keep, 0);
    if (map == MAP_FAILED) { /* no sharing, then */
        fd_close(keep);
        return fd;
    }
    unsigned slot = shared_next++ % SHARED_N;
    if (shared[slot].map) {
        munmap((void *)shared[slot].map, shared[slot].size);
        fd_close(shared[slot].fd);
    }
    shared[slot].fd = keep;
    shared[slot].size = m->size;
    shared[slot].map = map;
    return fd;
}

struct file_job {
    int fd;
    size_t max, size;
    uint8_t *bytes;
    int error;
    int wake[2]; /* the thread closes its end when it is done */
    struct loop_io *io;
    void (*done)(void *user, const void *bytes, size_t size, int error);
    void *user;
    atomic_int owners; /* the loop's side and the thread */
};

static void job_release(struct file_job *job)
{
    if (atomic_fetch_sub(&job->owners, 1) > 1)
        return;
    fd_close(job->fd);
    free(job->bytes);
    free(job);
}

static void job_run(void *user)
{
    struct file_job *job = user;
    size_t room = 0;
    while (!job->error) {
        if (job->size == room) {
            room = room ? 2 * room : 64 << 10;
            uint8_t *grown = realloc(job->bytes, room);
            if (!grown) {
                job->error = -ENOMEM;
                break;
            }
            job->bytes = grown;
        }
        ssize_t n = pread(job->fd, job->bytes + job->size, room - job->size, (off_t)job->size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            job->error = -errno;
        if (n <= 0)
            break;
        job->size += (size_t)n;
        if (job->size > job->max)
            job->error = -EFBIG;
    }
    int fd = fd_steal(&job->fd);
    fd_close(job->wake[1]); /* publishes the result: the loop reads end of file */
    fd_close(fd);           /* here, since that may wait, too */
    job_release(job);
}

static void job_ready(void *user, unsigned events)
{
    (void)events;
    struct file_job *job = user;
    loop_io_destroy(job->io);
    fd_close(job->wake[0]);
    job->done(job->user, job->bytes, job->size, job->error);
    job_release(job);
}

struct file_job *file_read(struct loop *loop, struct waiters *waiters, int fd, size_t max,
                           void (*done)(void *user, const void *bytes, size_t size, int error),
                           void *user)
{
    struct file_job *job = calloc(1, sizeof(*job));
    if (!job || pipe2(job->wake, O_CLOEXEC) < 0) {
        int error = job ? errno : ENOMEM;
        free(job);
        waiters_close(waiters, fd);
        errno = error;
        return NULL;
    }
    job->fd = fd;
    job->max = max;
    job->done = done;
    job->user = user;
    atomic_store(&job->owners, 2);
    job->io = loop_io_create(loop, job->wake[0], LOOP_READ, job_ready, job);
    int e = job->io ? waiters_start(waiters, job_run, job) : -ENOMEM;
    if (e < 0) {
        loop_io_destroy(job->io);
        fd_close(job->wake[0]);
        fd_close(job->wake[1]);
        waiters_close(waiters, fd_steal(&job->fd));
        atomic_store(&job->owners, 1);
        job_release(job);
        errno = -e;
        return NULL;
    }
    return job;
}

void file_cancel(struct file_job *job)
{
    if (!job)
        return;
    loop_io_destroy(job->io);
    fd_close(job->wake[0]);
    job_release(job);
}
