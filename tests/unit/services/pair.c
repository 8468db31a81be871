/* SPDX-License-Identifier: MIT */
#include "tests/unit/services/pair.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>

#include "common/base/budget.h"
#include "common/base/fdinfo.h"
#include "common/base/signalled.h"
#include "common/base/fd.h"

struct pairs P;

static const struct link_ops no_ops;

static void finish_specs(struct pair *p)
{
    service_spec_finish(&p->specs[0]);
    service_spec_finish(&p->specs[1]);
}

int pairs_setup(void **state)
{
    (void)state;
    memset(&P, 0, sizeof(P));
    signal(SIGPIPE, SIG_IGN);
    log_init("test", getenv("TEST_LOG") ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
    fdinfo_prepare();
    signalled_prepare();
    P.before = count_fds();
    P.loop = loop_create();
    deliveries_init(&P.deliveries, NULL, NULL);
    for (int i = 0; i < 2; i++)
        P.party[i] = (struct carrier_party){
            .deliveries = &P.deliveries, .budget = budget_create(NULL), .queue = 16 << 20};
    return 0;
}

int pairs_teardown(void **state)
{
    (void)state;
    for (int i = 0; i < 1000 && !LIST_EMPTY(&P.children); i++)
        turn_times(P.loop, 1);
    while (!LIST_EMPTY(&P.children)) {
        struct pair *p = LIST_FIRST(&P.children);
        service_destroy(p->guest);
        service_destroy(p->host);
        finish_specs(p);
        LIST_REMOVE(p, entry);
        free(p);
    }
    for (unsigned i = 0; i < P.waiting_n; i++) {
        service_spec_finish(&P.waiting[i].spec);
        fd_close(P.waiting[i].fd);
    }
    deliveries_finish(&P.deliveries);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(P.party[i].budget->used[BUDGET_FDS], 0);
        assert_int_equal(P.party[i].budget->used[BUDGET_MEMORY], 0);
        budget_unref(P.party[i].budget);
    }
    loop_destroy(P.loop);
    for (int i = 0; i < 10000 && count_fds() != P.before; i++)
        poll(NULL, 0, 1); /* a thread closes what may keep its closer waiting */
    assert_int_equal(count_fds(), P.before);
    return 0;
}

static void child_gone(struct pair *p)
{
    if (!p->ticket || p->guest || p->host)
        return;
    LIST_REMOVE(p, entry);
    free(p);
}

static void pair_ended(struct service *s)
{
    struct pair *p = s->user;
    if (p->guest == s)
        p->guest = NULL;
    else
        p->host = NULL;
    enum carrier_side side = s->carrier.ends.side;
    service_destroy(s);
    service_spec_finish(&p->specs[side]);
    child_gone(p);
}

static uint64_t pair_ticket(struct service *s)
{
    (void)s;
    return ++P.last_ticket;
}

static int pair_socket(struct service *s, uint64_t ticket, int fd, const struct service_spec *spec);

static void *gpu_make(void *user, int fd, uint64_t size, bool file, uint32_t *ret_resource)
{
    (void)user;
    (void)size;
    (void)file;
    if (!P.gpu.there)
        return NULL;
    int *at = &P.gpu.fds[++P.gpu.n];
    *at = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    *ret_resource = P.gpu.n;
    return at;
}

static void gpu_drop(void *user, void *resource)
{
    int *at = resource;
    (void)user;
    *at = fd_close(*at);
    P.gpu.released++;
}

static struct vfds *vfds_of(const struct pair *p)
{
    return &p->host->carrier.vfds;
}

void pairs_answer(uint32_t import)
{
    vfd_shared_answer(P.gpu.asking, import, P.gpu.how);
}

static int gpu_ask(void *user, const struct link_import *import)
{
    P.gpu.asked++;
    P.gpu.asking = vfds_of(user);
    P.gpu.resources[import->id] = import->resource;
    if (!P.gpu.late)
        pairs_answer(import->id);
    return 0;
}

static int gpu_release(void *user, uint32_t import)
{
    P.gpu.resources[import] = 0;
    gpu_memory_released(vfds_of(user)->sharing->gpu, import);
    link_flush(vfds_of(user)->ends->link);
    return 0;
}

static int gpu_open(void *user, uint32_t import, uint64_t *ret_size)
{
    (void)user;
    uint32_t resource = import < 64 ? P.gpu.resources[import] : 0;
    if (!resource)
        return -ENOENT;
    P.gpu.resources[import] = 0;
    *ret_size = 4096;
    return fcntl(P.gpu.fds[resource], F_DUPFD_CLOEXEC, 0);
}

static const struct vfd_sharing_ops guest_sharing = {.make = gpu_make, .drop = gpu_drop},
                                    host_sharing = {
                                        .ask = gpu_ask, .release = gpu_release, .open = gpu_open};
#define OPS(of)                                                                                    \
    {                                                                                              \
        .ended = pair_ended, .ticket = pair_ticket, .socket = pair_socket, .sharing = &(of)        \
    }
static const struct service_ops ops[] = {
    [CARRIER_GUEST] = OPS(guest_sharing), [CARRIER_HOST] = OPS(host_sharing)};

static struct service *half_of(struct pair *p, enum carrier_side side, int link_fd, int local,
                               const struct service_spec *spec)
{
    p->subjects[side].name = side == CARRIER_GUEST ? "guest" : "host";
    struct link *link = link_create(P.loop, link_fd, true, &no_ops, NULL);
    assert_non_null(link);
    struct service *s = service_create(P.loop, side, local, link, &P.party[side], spec, &ops[side],
                                       p, &p->subjects[side]);
    assert_non_null(s);
    return s;
}

/* The second half of a passed socket has come: they are joined, as the daemons would. */
static void join(const struct pair_waiting *a, const struct pair_waiting *b)
{
    int link[2];
    struct pair *p = calloc(1, sizeof(*p));
    p->client = p->server = -1;
    p->ticket = a->ticket;
    LIST_INSERT_HEAD(&P.children, p, entry);
    make_sockets(link, 0);
    const struct pair_waiting *guest = a->side == CARRIER_GUEST ? a : b;
    const struct pair_waiting *host = guest == a ? b : a;
    p->specs[CARRIER_GUEST] = guest->spec;
    p->specs[CARRIER_HOST] = host->spec;
    p->guest = half_of(p, CARRIER_GUEST, link[0], guest->fd, &guest->spec);
    p->host = half_of(p, CARRIER_HOST, link[1], host->fd, &host->spec);
    service_start(p->guest);
    service_start(p->host);
}

/* The first two of the same ticket. */
static bool join_some(void)
{
    for (unsigned i = 0; i < P.waiting_n; i++) {
        for (unsigned k = i + 1; k < P.waiting_n; k++) {
            struct pair_waiting one = P.waiting[i], other = P.waiting[k];
            if (one.ticket != other.ticket)
                continue;
            P.waiting[k] = P.waiting[--P.waiting_n];
            P.waiting[i] = P.waiting[--P.waiting_n];
            assert_int_not_equal(one.side, other.side);
            join(&one, &other);
            return true;
        }
    }
    return false;
}

void pairs_join(void)
{
    P.held = false;
    while (join_some())
        ;
}

static int pair_socket(struct service *s, uint64_t ticket, int fd, const struct service_spec *spec)
{
    assert_true(P.waiting_n < 256);
    P.waiting[P.waiting_n++] = (struct pair_waiting){ticket, fd, s->carrier.ends.side, *spec};
    if (!P.held)
        pairs_join();
    return 0;
}

static struct service *half(struct pair *p, enum carrier_side side, int link_fd, int *ret_program)
{
    int local[2];
    assert_int_equal(
        socketpair(AF_UNIX, service_type_socket(p->settings.type) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
                   local),
        0);
    *ret_program = local[0];
    struct service_spec spec = service_spec_of(&p->settings);
    spec.shares = P.gpu.there;
    return half_of(p, side, link_fd, local[1], &spec);
}

void pair_open(struct pair *p, const struct service_settings *settings)
{
    int link[2];
    *p = (struct pair){.settings = *settings};
    make_sockets(link, 0);
    p->guest = half(p, CARRIER_GUEST, link[0], &p->client);
    p->host = half(p, CARRIER_HOST, link[1], &p->server);
    service_start(p->guest);
    service_start(p->host);
}

void pair_open_half(struct pair *p, const struct service_settings *settings, enum carrier_side side,
                    int *ret_program, int *ret_link)
{
    int link[2];
    *p = (struct pair){.settings = *settings, .client = -1, .server = -1};
    make_sockets(link, 0);
    *ret_link = link[0];
    struct service **half_here = side == CARRIER_GUEST ? &p->guest : &p->host;
    *half_here = half(p, side, link[1], ret_program);
    service_start(*half_here);
}

void pair_close(struct pair *p)
{
    service_destroy(p->guest);
    service_destroy(p->host);
    p->guest = p->host = NULL;
    p->client = fd_close(p->client);
    p->server = fd_close(p->server);
    service_settings_finish(&p->settings);
}

void pair_write(int fd, const void *bytes, size_t n)
{
    const uint8_t *at = bytes;
    for (int idle = 0; n && idle < 100000;) {
        ssize_t w = send(fd, at, n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (w > 0) {
            at += w;
            n -= (size_t)w;
            idle = 0;
        } else {
            assert_int_equal(errno, EAGAIN);
            idle++;
            turn_times(P.loop, 1);
        }
    }
    assert_int_equal(n, 0);
}

void pair_read(int fd, void *bytes, size_t n)
{
    uint8_t *at = bytes;
    for (int idle = 0; n && idle < 100000;) {
        ssize_t r = recv(fd, at, n, MSG_DONTWAIT);
        if (r > 0) {
            at += r;
            n -= (size_t)r;
            idle = 0;
        } else {
            assert_true(r < 0 && errno == EAGAIN);
            idle++;
            turn_times(P.loop, 1);
        }
    }
    assert_int_equal(n, 0);
}

static bool is_readable(void *user)
{
    struct pollfd p = {.fd = *(int *)user, .events = POLLIN};
    return poll(&p, 1, 0) > 0;
}

ssize_t pair_receive(int fd, void *bytes, size_t n, int *fds, size_t *ret_fds_n)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(SEND_FDS_MAX * sizeof(int))];
    } control;
    struct iovec iov = {bytes, n};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    turn_until(P.loop, is_readable, &fd);
    ssize_t r = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    *ret_fds_n = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c && r >= 0; c = CMSG_NXTHDR(&message, c)) {
        if (c->cmsg_type != SCM_RIGHTS)
            continue;
        *ret_fds_n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(fds, CMSG_DATA(c), *ret_fds_n * sizeof(int));
    }
    return r;
}

static bool is_closed(void *user)
{
    struct pollfd p = {.fd = *(int *)user};
    return poll(&p, 1, 0) > 0 && p.revents & POLLHUP;
}

void pair_until_end(int fd)
{
    turn_until(P.loop, is_closed, &fd);
}
