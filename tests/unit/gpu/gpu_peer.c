/* SPDX-License-Identifier: MIT */
/* The client is a raw socket: what it sends may be wrong. */
#include "tests/unit/gpu/gpu_peer.h"

#include "tests/support/send_fds.h"

int peer_fds_before;
const char peer_nonce[EXPORT_NONCE_SIZE + 1] = "0123456789abcdef0123456789ABCDEF";

void peer_connect(struct world *w, struct peer *p)
{
    int ends[2];
    *p = (struct peer){.loop = w->loop, .fd = -1};
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends),
                     0);
    p->socket = ends[0];
    assert_int_equal(exports_serve(w->exports, ends[1]), 0);
}

static int peer_setup_with(void **state, unsigned unref_ms)
{
    peer_fds_before = count_fds();
    struct world *w = calloc(1, sizeof(*w));
    w->loop = loop_create();
    w->device = device_create(w->loop, unref_ms);
    w->exports = exports_create(w->loop, w->device, -1, NULL, 0);
    assert_non_null(w->exports);
    gpu_frontend_init(&w->f, w->loop, w->device);
    frontend_negotiate(&w->f, ALL_FEATURES);
    frontend_start(&w->f);
    peer_connect(w, &w->p);
    *state = w;
    return 0;
}

int peer_setup(void **state)
{
    return peer_setup_with(state, 3600 * 1000); /* none of these times out */
}

int peer_setup_impatient(void **state)
{
    return peer_setup_with(state, 20);
}

int peer_teardown(void **state)
{
    struct world *w = *state;
    fd_close(w->p.socket);
    fd_close(w->p.fd);
    frontend_finish(&w->f);
    exports_destroy(w->exports);
    device_destroy(w->device);
    loop_destroy(w->loop);
    free(w);
    assert_int_equal(count_fds(), peer_fds_before);
    return 0;
}

void peer_send_raw(struct peer *p, const void *bytes, size_t size, int fd)
{
    assert_int_equal(send_fds(p->socket, bytes, size, &fd, fd >= 0), size);
}

bool peer_readable(void *user)
{
    uint8_t byte;
    return recv(((struct peer *)user)->socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0;
}

const uint8_t *peer_receive(struct peer *p)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec iov = {p->packet, sizeof(p->packet)};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof(control)};
    turn_until(p->loop, peer_readable, p);
    ssize_t n = recvmsg(p->socket, &m, MSG_CMSG_CLOEXEC);
    if (n <= 0)
        return NULL;
    p->fd = fd_close(p->fd);
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    if (c)
        memcpy(&p->fd, CMSG_DATA(c), sizeof(int));
    assert_int_equal(export_header_decode(p->packet, (size_t)n, &p->header), EXPORT_E_OK);
    return p->packet + EXPORT_HEADER_SIZE;
}

const uint8_t *peer_answer(struct peer *p, enum export_type type)
{
    const uint8_t *payload = peer_receive(p);
    assert_non_null(payload);
    assert_int_equal(p->header.type, type);
    return payload;
}

static uint32_t peer_status(struct peer *p)
{
    uint32_t status;
    const uint8_t *payload = peer_answer(p, EXPORT_STATUS);
    assert_int_equal(p->header.serial, p->serial);
    assert_int_equal(export_status_decode(payload, p->header.size, &status), EXPORT_E_OK);
    return status;
}

struct export_welcome peer_hello(struct peer *p)
{
    struct export_welcome welcome;
    peer_request(p, -1, export_hello_encode, &(struct export_hello){1, 7, 0});
    const uint8_t *payload = peer_answer(p, EXPORT_WELCOME);
    assert_int_equal(export_welcome_decode(payload, p->header.size, &welcome), EXPORT_E_OK);
    return welcome;
}

uint32_t peer_bind(struct peer *p, uint32_t resource, const char *nonce, uint32_t timeout_ms)
{
    struct export_bound bound;
    peer_request(p, -1, export_bind_encode,
                 &(struct export_bind){.resource = resource, .timeout_ms = timeout_ms});
    const uint8_t *payload = peer_answer(p, EXPORT_BOUND);
    assert_int_equal(p->header.serial, p->serial);
    assert_int_equal(export_bound_decode(payload, p->header.size, &bound), EXPORT_E_OK);
    return export_bound_verdict(&bound, (const uint8_t *)nonce);
}

struct export_exported peer_export(struct peer *p, uint32_t resource)
{
    struct export_exported exported;
    peer_request(p, -1, export_export_encode, &(struct export_export){.resource = resource});
    const uint8_t *payload = peer_answer(p, EXPORT_EXPORTED);
    assert_int_equal(p->header.serial, p->serial);
    assert_int_equal(export_exported_decode(payload, p->header.size, &exported), EXPORT_E_OK);
    return exported;
}

uint32_t peer_mirror(struct peer *p, uint32_t id, int fd, uint64_t size)
{
    peer_request(p, fd, export_mirror_encode, &(struct export_mirror){id, size});
    return peer_status(p);
}

uint32_t peer_copy(struct peer *p, const struct export_copy *copy)
{
    peer_request(p, -1, export_copy_encode, copy);
    return peer_status(p);
}

void peer_gone(struct peer *p, uint32_t id)
{
    struct export_gone gone;
    const uint8_t *payload = peer_answer(p, EXPORT_GONE);
    assert_int_equal(export_gone_decode(payload, p->header.size, &gone), EXPORT_E_OK);
    assert_int_equal(gone.id, id);
}

void introduce(struct world *w)
{
    peer_hello(&w->p);
    driver_make(&w->f, 1000, RAM_HIGH_GPA, RAM_HIGH_GPA + 2 * PAGE);
    memcpy(gpa(&w->f, RAM_HIGH_GPA), peer_nonce, EXPORT_NONCE_SIZE);
    assert_int_equal(peer_bind(&w->p, 1000, peer_nonce, 0), EXPORT_OK);
}

struct export_exported export_two_pages(struct world *w)
{
    introduce(w);
    driver_make(&w->f, 7, FIRST, SECOND);
    return peer_export(&w->p, 7);
}

int make_mirror(uint64_t size, uint8_t **ret_bytes)
{
    int fd = fd_memfd("mirror", size);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
    *ret_bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return fd;
}
