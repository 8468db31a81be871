/* SPDX-License-Identifier: MIT */
/* One half of a service's connection against any bytes on its link, after its program has sent one
 * of each kind of descriptor, and had one of each. The first byte says which side it is, and in
 * which pieces the bytes come. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/fdinfo.h"
#include "common/base/fd.h"
#include "common/base/guard.h"
#include "common/base/loop.h"
#include "common/carrier/deliveries.h"
#include "common/services/service.h"
#include "tests/support/even.h"
#include "tests/support/send_fds.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SPECS_MAX 16

static struct {
    struct loop *loop;
    struct deliveries deliveries;
    struct carrier_party party;
    struct loop_timer *timer;
    unsigned turns;
    struct service *service;
    int local, link; /* our ends */
    struct log_subject subject;
    uint64_t ticket;
    uint32_t asked; /* import */
    struct service_spec specs[SPECS_MAX];
    unsigned specs_n;
} F;

static const struct link_ops no_ops;

/* Not a leak of the first input. */
__attribute__((constructor)) static void prepare(void)
{
    fdinfo_prepare();
}

static void make_sockets(int ends[2])
{
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) < 0)
        abort();
}

static void on_timer(void *user)
{
    (void)user;
    if (F.turns-- == 0)
        loop_stop(F.loop);
    else
        loop_timer_arm(F.timer, 0);
}

static void drain(int fd)
{
    static uint8_t bytes[256 << 10];
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(253 * sizeof(int))];
    } control;
    struct iovec iov = {bytes, sizeof(bytes)};
    for (;;) {
        struct msghdr message = {.msg_iov = &iov,
                                 .msg_iovlen = 1,
                                 .msg_control = &control,
                                 .msg_controllen = sizeof(control)};
        if (recvmsg(fd, &message, MSG_DONTWAIT) <= 0)
            return;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
            for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
                int got;
                memcpy(&got, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
                /* Some come home. */
                if (i % 2 == 0 && F.service)
                    send_fds(fd, "h", 1, &got, 1);
                close(got);
            }
        }
    }
}

static void turn(unsigned turns)
{
    F.turns = turns;
    loop_timer_arm(F.timer, 0);
    if (loop_run(F.loop) < 0)
        abort();
    drain(F.local);
}

static void ended(struct service *service)
{
    service_destroy(service);
    F.service = NULL;
}

static uint64_t ticket(struct service *service)
{
    (void)service;
    return ++F.ticket;
}

static int passed(struct service *service, uint64_t number, int fd, const struct service_spec *spec)
{
    struct service_spec taken = *spec;
    (void)service;
    (void)number;
    fd_close(fd);
    if (F.specs_n < SPECS_MAX)
        F.specs[F.specs_n++] = taken; /* as if its connection were there */
    else
        service_spec_finish(&taken);
    return 0;
}

/* guest: a resource is the file itself. */
static void *make(void *user, int fd, uint64_t file_size, bool file, uint32_t *ret_resource)
{
    int *resource = malloc(sizeof(*resource));
    (void)user;
    (void)file_size;
    (void)file;
    if (!resource)
        abort();
    *resource = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    *ret_resource = 7;
    return resource;
}

static void drop(void *user, void *resource)
{
    (void)user;
    fd_close(*(int *)resource);
    free(resource);
}

/* host: the device is there, and answers at once. */
static int ask(void *user, const struct link_import *import)
{
    (void)user;
    F.asked = import->id;
    vfd_shared_answer(&F.service->carrier.vfds, import->id,
                      (enum link_imported_as)(import->resource % _LINK_IMPORTED_N));
    return 0;
}

static int release(void *user, uint32_t import)
{
    (void)user;
    gpu_memory_released(&F.service->carrier.gpu, import);
    return 0;
}

static int share(void *user, uint32_t import, uint64_t *ret_size)
{
    (void)user;
    if (import != F.asked)
        return -ENOENT;
    F.asked = 0;
    *ret_size = 5000;
    return fd_memfd("pages", 5000);
}

static const struct vfd_sharing_ops guest_sharing = {.make = make, .drop = drop},
                                    host_sharing = {.ask = ask, .release = release, .open = share};
#define OPS(of)                                                                                    \
    {                                                                                              \
        .ended = ended, .ticket = ticket, .socket = passed, .sharing = &(of)                       \
    }
static const struct service_ops ops[] = {
    [CARRIER_GUEST] = OPS(guest_sharing), [CARRIER_HOST] = OPS(host_sharing)};

static void start(enum carrier_side side, struct service_settings *settings)
{
    int link[2], local[2];
    if (!F.loop) {
        signal(SIGPIPE, SIG_IGN);
        log_init("fuzz", getenv("FUZZ_LOG") ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
        guard_init();
        F.loop = loop_create();
        F.timer = loop_timer_create(F.loop, on_timer, NULL);
        deliveries_init(&F.deliveries, NULL, NULL);
        F.party = (struct carrier_party){
            .deliveries = &F.deliveries, .budget = budget_create(NULL), .queue = 1 << 20};
        F.party.budget->limit[BUDGET_FDS] = 100;
        F.party.budget->limit[BUDGET_MEMORY] = 64 << 20;
        F.subject.name = "fuzz";
    }
    service_settings_init(settings, "fuzz");
    settings->memory = LINK_MEMORY_MIRROR;
    settings->eventfds = LINK_SIGNALS_TO_HOST;
    settings->share = true;
    settings->dmabufs = LINK_DMABUFS_ONCE;
    settings->sync_files = true;
    make_sockets(link);
    make_sockets(local);
    F.local = local[0];
    F.link = link[0];
    struct service_spec spec = service_spec_of(settings);
    spec.shares = true;
    F.service =
        service_create(F.loop, side, local[1], link_create(F.loop, link[1], true, &no_ops, NULL),
                       &F.party, &spec, &ops[side], NULL, &F.subject);
    if (!F.service)
        abort();
    F.ticket = 0;
    F.asked = 0;
    service_start(F.service);
}

static void link_send(const uint8_t *bytes, size_t size)
{
    while (size && F.service) {
        ssize_t n = send(F.link, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            return;
        bytes += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
        turn(2);
        drain(F.link);
    }
}

/* One of each from the program: VFDs 1 to 5, on either side. */
static void send_each(void)
{
    int ends[2], pair[2], memory = fd_memfd("shared", 5000), event = eventfd(2, EFD_CLOEXEC);
    int file = fd_memfd("file", 100);
    fcntl(file, F_ADD_SEALS, F_SEAL_WRITE);
    if (pipe2(ends, O_CLOEXEC) < 0)
        abort();
    make_sockets(pair);
    int all[] = {memory, event, file, ends[0], pair[0], ends[1], pair[1]};
    send_fds(F.local, "each", 4, all, 5);
    turn(2);
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
        fd_close(all[i]);
    turn(2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct service_settings settings;
    if (size < 1)
        return 0;
    enum carrier_side side = data[0] & 0x80 ? CARRIER_HOST : CARRIER_GUEST;
    start(side, &settings);
    if (side == CARRIER_GUEST) {
        uint8_t frame[LINK_FRAME_SMALL_MAX];
        struct link_opened opened = {1,      LINK_MEMORY_MIRROR, LINK_SIGNALS_TO_HOST, 4, 1 << 20,
                                     4 << 20};
        if (data[0] & 1) {
            struct link_sharing sharing = {LINK_DMABUFS_ONCE, 1, 1};
            link_send(frame, link_sharing_encode(frame, &sharing));
        }
        link_send(frame, link_opened_encode(frame, &opened));
    }
    send_each();
    size_t step = (data[0] & 0x7f) * 8u;
    data++;
    size--;
    if (step <= size / 32)
        step = size / 32 + 1;
    for (size_t at = 0; at < size; at += step)
        link_send(data + at, size - at < step ? size - at : step);
    turn(3);
    service_destroy(F.service);
    F.service = NULL;
    while (F.specs_n)
        service_spec_finish(&F.specs[--F.specs_n]);
    drain(F.local);
    drain(F.link);
    fd_close(F.local);
    fd_close(F.link);
    deliveries_finish(&F.deliveries);
    service_settings_finish(&settings);
    if (!budget_is_even(F.party.budget))
        abort();
    loop_timer_destroy(F.timer);
    loop_destroy(F.loop);
    F.loop = NULL;
    return 0;
}
