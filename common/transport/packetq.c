/* SPDX-License-Identifier: MIT */
/* packetq: owns the packets and their descriptors until the kernel has them. */
#include "common/transport/packetq.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/ancillary.h"
#include "common/base/budget.h"
#include "common/base/fd.h"

#define FDS_MAX 253 /* SCM_MAX_FD, net/core/scm.c */

struct packet {
    STAILQ_ENTRY(packet) entry;
    uint8_t *bytes;
    size_t size;
    int *fds;
    unsigned fds_n;
};

void packetq_init(struct packetq *q, struct budget *budget)
{
    *q = (struct packetq){.budget = budget};
    STAILQ_INIT(&q->packets);
}

static void packet_destroy(struct packetq *q, struct packet *p)
{
    for (unsigned i = 0; i < p->fds_n; i++)
        fd_close(p->fds[i]);
    budget_give(q->budget, BUDGET_FDS, p->fds_n);
    budget_give(q->budget, BUDGET_MEMORY, p->size);
    free(p->bytes);
    free(p->fds);
    free(p);
}

void packetq_finish(struct packetq *q)
{
    struct packet *p;
    while ((p = STAILQ_FIRST(&q->packets))) {
        STAILQ_REMOVE_HEAD(&q->packets, entry);
        packet_destroy(q, p);
    }
    if (q->filling)
        packet_destroy(q, q->filling);
    q->filling = NULL;
    q->waiting = 0;
}

static int packet_add_fds(struct packetq *q, struct packet *p, const int *fds, unsigned n)
{
    if (!n)
        return 0;
    int e = p->fds_n + n > FDS_MAX ? -EMSGSIZE : budget_take(q->budget, BUDGET_FDS, n);
    int *grown = e == 0 ? reallocarray(p->fds, p->fds_n + n, sizeof(int)) : NULL;
    if (e == 0 && !grown) {
        budget_give(q->budget, BUDGET_FDS, n);
        e = -ENOMEM;
    }
    if (e < 0) {
        for (unsigned i = 0; i < n; i++)
            fd_close(fds[i]);
        return e;
    }
    p->fds = grown;
    memcpy(p->fds + p->fds_n, fds, n * sizeof(int));
    p->fds_n += n;
    return 0;
}

static int packet_add_bytes(struct packetq *q, struct packet *p, const void *bytes, size_t size)
{
    if (!size)
        return 0;
    if (size > PACKET_MAX - p->size)
        return -EMSGSIZE;
    int e = budget_take(q->budget, BUDGET_MEMORY, size);
    if (e < 0)
        return e;
    uint8_t *grown = realloc(p->bytes, p->size + size);
    if (!grown) {
        budget_give(q->budget, BUDGET_MEMORY, size);
        return -ENOMEM;
    }
    p->bytes = grown;
    memcpy(p->bytes + p->size, bytes, size);
    p->size += size;
    return 0;
}

int packetq_add(struct packetq *q, const void *bytes, size_t size, const int *fds, unsigned fds_n,
                bool end)
{
    if (!q->filling)
        q->filling = calloc(1, sizeof(*q->filling));
    if (!q->filling) {
        for (unsigned i = 0; i < fds_n; i++)
            fd_close(fds[i]);
        return -ENOMEM;
    }
    struct packet *p = q->filling;
    int e = packet_add_fds(q, p, fds, fds_n);
    if (e == 0)
        e = packet_add_bytes(q, p, bytes, size);
    if (e < 0 || !end)
        return e;
    STAILQ_INSERT_TAIL(&q->packets, p, entry);
    q->waiting += p->size + 1;
    q->filling = NULL;
    return 0;
}

static ssize_t packet_send(const struct packet *p, int socket, bool first)
{
    union {
        struct cmsghdr header;
        char space[ANCILLARY_CREDENTIALS + ANCILLARY_FDS(FDS_MAX)];
    } control;
    struct iovec iov = {p->bytes, p->size};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control};
    if (first)
        ancillary_add_credentials(&message);
    if (p->fds_n)
        ancillary_add_fds(&message, p->fds, p->fds_n);
    ssize_t n;
    do
        n = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n;
}

int packetq_flush(struct packetq *q, int socket)
{
    struct packet *p;
    while ((p = STAILQ_FIRST(&q->packets))) {
        if (packet_send(p, socket, !q->introduced) < 0)
            return errno == EWOULDBLOCK ? -EAGAIN : -errno;
        q->introduced = true;
        STAILQ_REMOVE_HEAD(&q->packets, entry);
        q->waiting -= p->size + 1;
        packet_destroy(q, p);
    }
    return 0;
}
