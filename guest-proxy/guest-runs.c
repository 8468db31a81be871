/* SPDX-License-Identifier: MIT */
/* guest-runs: the spawner's numbers are places; one is free when its process has ended. */
#include "guest-proxy/guest-runs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/error.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/transport/packets.h"
#include "guest-proxy/run/runner.h"

struct forked {
    void (*prepare)(void *user);
    void *user;
};

/* --- in the spawner's process, and those that it starts --- */

static void runs_begun(void *user, int socket)
{
    const struct forked *f = user;
    fd_close_others(socket);
    f->prepare(f->user);
    runner_clean_environment();
}

static int runs_run(void *user, uint32_t number, int channel)
{
    (void)user;
    return runner_serve(number, channel);
}

static void runs_nothing(void *user)
{
    (void)user;
}

static void runs_told(void *user, uint32_t number)
{
    (void)user;
    (void)number;
}

static const struct spawner_ops spawner_ops = {.begun = runs_begun,
                                               .run = runs_run,
                                               .started = runs_told,
                                               .ended = runs_told,
                                               .finished = runs_nothing};

/* --- in the daemon's --- */

int guest_runs_fork(struct guest_runs *runs, void (*prepare)(void *user), void *user,
                    int *ret_status)
{
    struct forked forked = {.prepare = prepare, .user = user};
    *runs = (struct guest_runs){.spawner = {.fd = -1}};
    return spawner_fork(GUEST_RUNS_MAX, &spawner_ops, &forked, &runs->spawner, ret_status);
}

static void runs_heard(void *user, const uint8_t *bytes, size_t size, int fd)
{
    struct guest_runs *runs = user;
    struct spawner_report report;
    fd_close(fd);
    if (size != sizeof(report))
        return;
    memcpy(&report, bytes, sizeof(report));
    if (report.number < GUEST_RUNS_MAX)
        runs->busy[report.number] = false;
}

static void runs_closed(void *user, int reason)
{
    struct guest_runs *runs = user;
    (void)reason;
    log_error(NULL, "the process that starts programs for the host is gone: no more are started");
    packets_destroy_later(runs->packets);
    runs->packets = NULL;
}

static const struct packets_ops packets_ops = {.received = runs_heard, .closed = runs_closed};

int guest_runs_begin(struct guest_runs *runs, struct loop *loop)
{
    int fd = fcntl(runs->spawner.fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    runs->packets = packets_create(loop, fd, sizeof(struct spawner_report), GUEST_RUNS_MAX + 1,
                                   &packets_ops, runs);
    return runs->packets ? 0 : -errno;
}

int guest_runs_start(struct guest_runs *runs, char *error, size_t error_size)
{
    int ends[2];
    struct spawner_request request = {.kind = SPAWNER_START};
    while (request.number < GUEST_RUNS_MAX && runs->busy[request.number])
        request.number++;
    if (!runs->packets)
        return error_set(-ECHILD, error, error_size, "the process that starts programs is gone");
    if (request.number == GUEST_RUNS_MAX)
        return error_set(-EAGAIN, error, error_size, "%d programs of the host's run here already",
                         GUEST_RUNS_MAX);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return error_set(-errno, error, error_size, "no socket: %s", strerror(errno));
    runs->busy[request.number] = true;
    packets_send(runs->packets, &request, sizeof(request), ends[1]);
    return ends[0];
}

void guest_runs_finish(struct guest_runs *runs)
{
    packets_destroy(runs->packets);
    runs->packets = NULL;
    if (runs->spawner.fd >= 0)
        spawner_stop(&runs->spawner);
}
