/* SPDX-License-Identifier: MIT */
/* The export socket, with a guest behind the device and a client that asks for its buffers. */
#include "tests/unit/gpu_frontend.h"

#include <fcntl.h>

#include "host-proxy/gpu/exports.h"
#include "protocol/export.h"

#define FIRST (RAM_HIGH_GPA + 5 * PAGE) /* the pages of driver_make() */
#define SECOND (RAM_LOW_GPA + 0x80000)

struct peer {
    struct loop *loop;
    int socket;
    uint32_t serial;
    uint8_t packet[EXPORT_PACKET_MAX];
    struct export_header header;
    int fd; /* that came with the last packet */
};

struct world {
    struct loop *loop;
    struct device *device;
    struct exports *exports;
    struct fake_frontend f;
    struct peer p;
};

static int fds_before;

static void peer_connect(struct world *w, struct peer *p)
{
    int ends[2];
    *p = (struct peer){.loop = w->loop, .fd = -1};
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends),
                     0);
    p->socket = ends[0];
    assert_int_equal(exports_serve(w->exports, ends[1]), 0);
}

static int setup_with(void **state, unsigned unref_ms)
{
    fds_before = count_fds();
    struct world *w = calloc(1, sizeof(*w));
    w->loop = loop_create();
    w->device = device_create(w->loop, unref_ms);
    w->exports = exports_create(w->loop, w->device, -1, NULL, 0);
    assert_non_null(w->exports);
    frontend_init(&w->f, w->loop, w->device);
    frontend_negotiate(&w->f, ALL_FEATURES);
    frontend_start(&w->f);
    peer_connect(w, &w->p);
    *state = w;
    return 0;
}

static int setup(void **state)
{
    return setup_with(state, 3600 * 1000); /* none of these times out */
}

static int setup_impatient(void **state)
{
    return setup_with(state, 20);
}

static int teardown(void **state)
{
    struct world *w = *state;
    fd_close(w->p.socket);
    fd_close(w->p.fd);
    frontend_finish(&w->f);
    exports_destroy(w->exports);
    device_destroy(w->device);
    loop_destroy(w->loop);
    free(w);
    assert_int_equal(count_fds(), fds_before);
    return 0;
}

static void peer_send_raw(struct peer *p, const void *bytes, size_t size, int fd)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct iovec iov = {(void *)bytes, size};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    if (fd >= 0) {
        m.msg_control = control.bytes;
        m.msg_controllen = sizeof(control.bytes);
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &fd, sizeof(int));
    }
    assert_int_equal(sendmsg(p->socket, &m, MSG_NOSIGNAL), size);
}

static bool peer_readable(void *user)
{
    uint8_t byte;
    return recv(((struct peer *)user)->socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0;
}

/* The next packet's payload; NULL at the end of the connection. */
static const uint8_t *peer_receive(struct peer *p)
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

#define peer_request(p, fd, encoder, ...)                                                          \
    do {                                                                                           \
        uint8_t packet_[EXPORT_PACKET_MAX];                                                        \
        peer_send_raw(p, packet_, encoder(packet_, ++(p)->serial, __VA_ARGS__), fd);               \
    } while (0)

static const uint8_t *peer_answer(struct peer *p, enum export_type type)
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

static struct export_welcome peer_hello(struct peer *p)
{
    struct export_welcome welcome;
    peer_request(p, -1, export_hello_encode, &(struct export_hello){1, 7, 0});
    const uint8_t *payload = peer_answer(p, EXPORT_WELCOME);
    assert_int_equal(export_welcome_decode(payload, p->header.size, &welcome), EXPORT_E_OK);
    return welcome;
}

static uint32_t peer_bind(struct peer *p, uint32_t resource, const char *nonce, uint32_t timeout_ms)
{
    struct export_bind bind = {.resource = resource, .timeout_ms = timeout_ms};
    memcpy(bind.nonce, nonce, EXPORT_NONCE_SIZE);
    peer_request(p, -1, export_bind_encode, &bind);
    return peer_status(p);
}

static struct export_exported peer_export(struct peer *p, uint32_t resource)
{
    struct export_exported exported;
    peer_request(p, -1, export_export_encode, &(struct export_export){.resource = resource});
    const uint8_t *payload = peer_answer(p, EXPORT_EXPORTED);
    assert_int_equal(p->header.serial, p->serial);
    assert_int_equal(export_exported_decode(payload, p->header.size, &exported), EXPORT_E_OK);
    return exported;
}

static uint32_t peer_mirror(struct peer *p, uint32_t id, int fd, uint64_t size)
{
    peer_request(p, fd, export_mirror_encode, &(struct export_mirror){id, size});
    return peer_status(p);
}

static uint32_t peer_copy(struct peer *p, const struct export_copy *copy)
{
    peer_request(p, -1, export_copy_encode, copy);
    return peer_status(p);
}

static void peer_gone(struct peer *p, uint32_t id)
{
    struct export_gone gone;
    const uint8_t *payload = peer_answer(p, EXPORT_GONE);
    assert_int_equal(export_gone_decode(payload, p->header.size, &gone), EXPORT_E_OK);
    assert_int_equal(gone.id, id);
}

static const char nonce[] = "0123456789abcdef0123456789ABCDEF";

/* The probe is resource 1000. */
static void introduce(struct world *w)
{
    peer_hello(&w->p);
    driver_make(&w->f, 1000, RAM_HIGH_GPA, RAM_HIGH_GPA + 2 * PAGE);
    memcpy(gpa(&w->f, RAM_HIGH_GPA), nonce, EXPORT_NONCE_SIZE);
    assert_int_equal(peer_bind(&w->p, 1000, nonce, 0), EXPORT_OK);
}

/* Its own page count's worth of memory, filled. */
static int make_mirror(uint64_t size, uint8_t **ret_bytes)
{
    int fd = fd_memfd("mirror", size);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
    *ret_bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return fd;
}

static void test_hello(void **state)
{
    struct world *w = *state;
    struct export_welcome welcome = peer_hello(&w->p);
    assert_int_equal(welcome.version, 1);
    assert_int_equal(welcome.driver, 1);
    assert_int_equal(welcome.epoch, device_epoch(w->device));
    assert_true(welcome.features & EXPORT_FEATURE_COPY);
    assert_true(welcome.features & EXPORT_FEATURE_NEEDS_BIND);
}

static void test_binding(void **state)
{
    struct world *w = *state;
    char other[EXPORT_NONCE_SIZE];
    peer_hello(&w->p);
    driver_make(&w->f, 1, FIRST, SECOND);
    memcpy(gpa(&w->f, FIRST), nonce, EXPORT_NONCE_SIZE);
    assert_int_equal(peer_export(&w->p, 1).status, EXPORT_UNBOUND);
    assert_int_equal(peer_bind(&w->p, 2, nonce, 0), EXPORT_UNKNOWN);
    for (unsigned i = 0; i < EXPORT_NONCE_SIZE; i++) {
        memcpy(other, nonce, sizeof(other));
        other[i] ^= 0x40;
        assert_int_equal(peer_bind(&w->p, 1, other, 0), EXPORT_MISMATCH);
    }
    driver_create(&w->f, 3, 8, 8);
    assert_int_equal(peer_bind(&w->p, 3, nonce, 0), EXPORT_EMPTY);
    assert_int_equal(peer_export(&w->p, 1).status, EXPORT_UNBOUND);
    assert_int_equal(peer_bind(&w->p, 1, nonce, 0), EXPORT_OK);
    assert_int_equal(peer_export(&w->p, 1).status, EXPORT_OK);
    /* Another connection is not bound by this. */
    struct peer second;
    peer_connect(w, &second);
    peer_hello(&second);
    assert_int_equal(peer_export(&second, 1).status, EXPORT_UNBOUND);
    close(second.socket);
}

static void test_export(void **state)
{
    struct world *w = *state;
    introduce(w);
    driver_make(&w->f, 7, FIRST, SECOND);
    struct export_exported e = peer_export(&w->p, 7);
    assert_int_equal(e.status, EXPORT_OK);
    assert_int_equal(e.buffer.size, 2 * PAGE);
    assert_int_equal(e.buffer.width, 64);
    assert_int_equal(e.buffer.height, 32);
    assert_int_equal(e.buffer.fourcc, 0x34325258); /* XR24 */
    assert_int_equal(e.buffer.runs, 2);
    assert_int_equal(e.buffer.memory, EXPORT_MEMORY_GUEST);
    assert_int_equal(e.buffer.generation, device_find(w->device, 7)->generation);
    assert_int_equal(w->p.fd >= 0, e.buffer.kind != EXPORT_KIND_NONE);
    /* Twice: two exports. */
    struct export_exported again = peer_export(&w->p, 7);
    assert_int_not_equal(again.buffer.id, e.buffer.id);
    assert_int_equal(again.buffer.generation, e.buffer.generation);
    /* Nothing else resolves. */
    for (uint32_t id = 1; id < 100; id++) {
        if (id != 7)
            assert_int_equal(peer_export(&w->p, id).status, EXPORT_UNKNOWN);
    }
    /* Not shared; not there any more; without memory. */
    driver_create(&w->f, 8, 8, 8);
    assert_int_equal(peer_export(&w->p, 8).status, EXPORT_EMPTY);
    const struct virtio_gpu_mem_entry page = {.addr = RAM_HIGH_GPA + 0x8000, .length = PAGE};
    driver_attach(&w->f, 8, &page, 1);
    assert_int_equal(peer_export(&w->p, 8).status, EXPORT_UNMARKED);
    driver_simple(&w->f, VIRTIO_GPU_CMD_RESOURCE_UNREF, 8);
    assert_int_equal(peer_export(&w->p, 8).status, EXPORT_UNKNOWN);
}

/* Where the kernel has udmabuf: the very pages, in the guest's order, and only as many. */
static void test_pages_themselves(void **state)
{
    struct world *w = *state;
    uint8_t expected[2 * PAGE];
    if (!(peer_hello(&w->p).features & EXPORT_FEATURE_UDMABUF))
        skip();
    driver_make(&w->f, 1000, RAM_HIGH_GPA, RAM_HIGH_GPA + 2 * PAGE);
    memcpy(gpa(&w->f, RAM_HIGH_GPA), nonce, EXPORT_NONCE_SIZE);
    assert_int_equal(peer_bind(&w->p, 1000, nonce, 0), EXPORT_OK);
    driver_make(&w->f, 7, FIRST, SECOND);
    struct export_exported e = peer_export(&w->p, 7);
    assert_int_equal(e.buffer.kind, EXPORT_KIND_UDMABUF);
    assert_int_equal(e.buffer.reason, EXPORT_REASON_NONE);
    assert_int_equal(lseek(w->p.fd, 0, SEEK_END), 2 * PAGE);
    uint8_t *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, w->p.fd, 0);
    assert_true(pages != MAP_FAILED);
    for (unsigned round = 0; round < 2; round++) {
        fill_pattern(expected, sizeof(expected), round);
        memcpy(gpa(&w->f, FIRST), expected, PAGE);
        memcpy(gpa(&w->f, SECOND), expected + PAGE, PAGE);
        assert_memory_equal(pages, expected, sizeof(expected));
    }
    pages[PAGE] ^= 1; /* a screen copy */
    assert_int_equal(*gpa(&w->f, SECOND), expected[PAGE] ^ 1);
    munmap(pages, 2 * PAGE);
    /* Without the asking, and where it is not made of pages: for copies. */
    peer_request(&w->p, -1, export_export_encode,
                 &(struct export_export){7, 0, EXPORT_NO_DESCRIPTOR});
    export_exported_decode(peer_answer(&w->p, EXPORT_EXPORTED), w->p.header.size, &e);
    assert_int_equal(e.buffer.reason, EXPORT_REASON_NOT_ASKED);
    assert_int_equal(w->p.fd, -1);
    const struct virtio_gpu_mem_entry half = {.addr = RAM_HIGH_GPA + 0x8000, .length = PAGE / 2};
    driver_create(&w->f, 8, 8, 8);
    driver_attach(&w->f, 8, &half, 1);
    driver_simple(&w->f, VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID, 8);
    e = peer_export(&w->p, 8);
    assert_int_equal(e.status, EXPORT_OK);
    assert_int_equal(e.buffer.reason, EXPORT_REASON_ALIGNMENT);
    assert_int_equal(w->p.fd, -1);
}

static void test_copy(void **state)
{
    struct world *w = *state;
    uint8_t *mirror, expected[2 * PAGE];
    int fd = make_mirror(4 * PAGE, &mirror);
    introduce(w);
    driver_make(&w->f, 7, FIRST, SECOND);
    fill_pattern(expected, sizeof(expected), 1);
    memcpy(gpa(&w->f, FIRST), expected, PAGE);
    memcpy(gpa(&w->f, SECOND), expected + PAGE, PAGE);
    struct export_exported e = peer_export(&w->p, 7);
    struct export_copy copy = {.id = e.buffer.id,
                               .generation = e.buffer.generation,
                               .source_stride = 256,
                               .target_stride = 256,
                               .n_rects = 1,
                               .rects = {{0, 0, 256, 32}}};
    assert_int_equal(peer_copy(&w->p, &copy), EXPORT_MEMORY); /* nowhere to copy to */
    assert_int_equal(peer_mirror(&w->p, e.buffer.id, fd, 4 * PAGE), EXPORT_OK);
    assert_int_equal(peer_copy(&w->p, &copy), EXPORT_OK);
    assert_memory_equal(mirror, expected, sizeof(expected));

    /* Rectangles across the page border, other strides and bases. */
    memset(mirror, 0, 4 * PAGE);
    copy.source = 8;
    copy.target = 64;
    copy.target_stride = 320;
    copy.n_rects = 2;
    copy.rects[0] = (struct export_rect){4, 10, 100, 12};
    copy.rects[1] = (struct export_rect){200, 0, 8, 1};
    assert_int_equal(peer_copy(&w->p, &copy), EXPORT_OK);
    for (unsigned y = 0; y < 32; y++) {
        for (unsigned x = 0; x < 256; x++) {
            bool in = (x >= 4 && x < 104 && y >= 10 && y < 22) || (x >= 200 && x < 208 && y < 1);
            assert_int_equal(mirror[64 + y * 320 + x], in ? expected[8 + y * 256 + x] : 0);
        }
    }
    /* The other way: a screen copy. */
    fill_pattern(mirror, 4 * PAGE, 2);
    copy = (struct export_copy){.id = e.buffer.id,
                                .flags = EXPORT_TO_GUEST,
                                .generation = e.buffer.generation,
                                .source = PAGE,
                                .source_stride = 256,
                                .target_stride = 256,
                                .n_rects = 1,
                                .rects = {{16, 15, 32, 3}}};
    assert_int_equal(peer_copy(&w->p, &copy), EXPORT_OK);
    for (unsigned y = 15; y < 18; y++)
        memcpy(expected + y * 256 + 16, mirror + PAGE + y * 256 + 16, 32);
    assert_memory_equal(gpa(&w->f, FIRST), expected, PAGE);
    assert_memory_equal(gpa(&w->f, SECOND), expected + PAGE, PAGE);
    munmap(mirror, 4 * PAGE);
    close(fd);
}

static void test_copies_out_of_range(void **state)
{
    struct world *w = *state;
    uint8_t *mirror;
    int fd = make_mirror(2 * PAGE, &mirror);
    introduce(w);
    driver_make(&w->f, 7, FIRST, SECOND);
    struct export_exported e = peer_export(&w->p, 7);
    peer_mirror(&w->p, e.buffer.id, fd, 2 * PAGE);
    static const struct {
        const char *what;
        uint64_t source, target;
        uint32_t source_stride, target_stride;
        struct export_rect rect;
    } cases[] = {
        {"one row too many", 0, 0, 256, 256, {0, 0, 256, 33}},
        {"one byte too far at the source", 1, 0, 256, 256, {0, 31, 256, 1}},
        {"one byte too far at the target", 0, 1, 256, 256, {0, 31, 256, 1}},
        {"wider than a row", 0, 0, 256, 256, {1, 0, 256, 1}},
        {"wider than a row of the target", 0, 0, 256, 255, {0, 0, 256, 1}},
        {"no stride", 0, 0, 0, 0, {0, 0, 1, 1}},
        {"nothing", 0, 0, 256, 256, {0, 0, 0, 1}},
        {"no rows", 0, 0, 256, 256, {0, 0, 1, 0}},
        {"a base beyond everything", UINT64_MAX, 0, 256, 256, {0, 0, 256, 1}},
        {"a target beyond everything", 0, UINT64_MAX - 255, 256, 256, {0, 0, 256, 1}},
        {"an end that wraps", 0, 0, UINT32_MAX, UINT32_MAX, {0, UINT32_MAX, 1, UINT32_MAX}},
        {"a column that wraps", 0, 0, 256, 256, {UINT32_MAX, 0, 2, 1}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct export_copy copy = {.id = e.buffer.id,
                                   .generation = e.buffer.generation,
                                   .source = cases[i].source,
                                   .target = cases[i].target,
                                   .source_stride = cases[i].source_stride,
                                   .target_stride = cases[i].target_stride,
                                   .n_rects = 2,
                                   .rects = {{0, 0, 1, 1}, cases[i].rect}};
        memset(mirror, 0xee, 2 * PAGE);
        uint32_t status = peer_copy(&w->p, &copy);
        if (status != EXPORT_RANGE)
            fail_msg("%s: %s", cases[i].what, export_status_name(status));
        assert_int_equal(mirror[0], 0xee); /* all or nothing */
    }
    struct export_copy copy = {.id = e.buffer.id,
                               .generation = e.buffer.generation + 1,
                               .source_stride = 256,
                               .target_stride = 256,
                               .n_rects = 1,
                               .rects = {{0, 0, 1, 1}}};
    assert_int_equal(peer_copy(&w->p, &copy), EXPORT_STALE);
    copy.generation--;
    copy.id++;
    assert_int_equal(peer_copy(&w->p, &copy), EXPORT_STALE);
    munmap(mirror, 2 * PAGE);
    close(fd);
}

static void test_mirrors_that_do_not_serve(void **state)
{
    struct world *w = *state;
    int ends[2];
    introduce(w);
    driver_make(&w->f, 7, FIRST, SECOND);
    uint32_t id = peer_export(&w->p, 7).buffer.id;
    int unsealed = fd_memfd("mirror", 2 * PAGE), small = fd_memfd("mirror", 2 * PAGE - 1);
    fcntl(small, F_ADD_SEALS, F_SEAL_SHRINK);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(peer_mirror(&w->p, id, unsealed, 2 * PAGE), EXPORT_MEMORY);
    assert_int_equal(peer_mirror(&w->p, id, small, 2 * PAGE), EXPORT_MEMORY);
    assert_int_equal(peer_mirror(&w->p, id, ends[0], 2 * PAGE), EXPORT_MEMORY);
    assert_int_equal(peer_mirror(&w->p, id + 1, small, PAGE), EXPORT_STALE);
    assert_int_equal(peer_mirror(&w->p, id, small, PAGE), EXPORT_OK);
    close(unsealed);
    close(small);
    close(ends[0]);
    close(ends[1]);
}

static void test_requests_wait_for_the_guest(void **state)
{
    struct world *w = *state;
    struct export_exported e;
    introduce(w);
    uint32_t serial = ++w->p.serial;
    uint8_t packet[EXPORT_PACKET_MAX];
    peer_send_raw(
        &w->p, packet,
        export_export_encode(packet, serial, &(struct export_export){7, EXPORT_TIMEOUT_MAX_MS, 0}),
        -1);
    turn_times(w->loop, 20);
    assert_false(peer_readable(&w->p));
    driver_create(&w->f, 7, 64, 32);
    turn_times(w->loop, 20);
    assert_false(peer_readable(&w->p)); /* no memory yet */
    const struct virtio_gpu_mem_entry page = {.addr = FIRST, .length = PAGE};
    driver_attach(&w->f, 7, &page, 1);
    turn_times(w->loop, 20);
    assert_false(peer_readable(&w->p)); /* not shared yet */
    driver_simple(&w->f, VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID, 7);
    const uint8_t *payload = peer_answer(&w->p, EXPORT_EXPORTED);
    export_exported_decode(payload, w->p.header.size, &e);
    assert_int_equal(w->p.header.serial, serial);
    assert_int_equal(e.status, EXPORT_OK);

    /* Commands that lie in the ring without a kick are found. */
    struct virtio_gpu_resource_unref c = {.hdr = {.type = VIRTIO_GPU_CMD_RESOURCE_UNREF},
                                          .resource_id = 1000};
    frontend_put(&w->f, 0, &c, sizeof(c), 24);
    assert_int_equal(peer_export(&w->p, 1000).status, EXPORT_UNKNOWN);
    /* In vain. */
    assert_int_equal(peer_bind(&w->p, 1000, nonce, 30), EXPORT_UNKNOWN);
    /* So many, not more. */
    for (unsigned i = 0; i < EXPORT_PENDING_MAX; i++) {
        peer_request(&w->p, -1, export_export_encode,
                     &(struct export_export){50 + i, EXPORT_TIMEOUT_MAX_MS, 0});
        turn_times(w->loop, 2);
    }
    peer_request(&w->p, -1, export_export_encode,
                 &(struct export_export){500, EXPORT_TIMEOUT_MAX_MS, 0});
    payload = peer_answer(&w->p, EXPORT_EXPORTED);
    export_exported_decode(payload, w->p.header.size, &e);
    assert_int_equal(w->p.header.serial, w->p.serial);
    assert_int_equal(e.status, EXPORT_LIMIT);
    /* A reset answers those that wait. */
    frontend_set(&w->f, VHOST_USER_RESET_DEVICE, NULL, 0, NULL, 0);
    peer_answer(&w->p, EXPORT_RESET);
    for (unsigned i = 0; i < EXPORT_PENDING_MAX; i++) {
        payload = peer_answer(&w->p, EXPORT_EXPORTED);
        export_exported_decode(payload, w->p.header.size, &e);
        assert_int_equal(e.status, EXPORT_UNBOUND);
    }
}

/* Puts an UNREF without waiting for its answer. */
static unsigned put_unref(struct world *w, uint32_t id)
{
    struct virtio_gpu_resource_unref c = {.hdr = {.type = VIRTIO_GPU_CMD_RESOURCE_UNREF,
                                                  .flags = VIRTIO_GPU_FLAG_FENCE,
                                                  .fence_id = id},
                                          .resource_id = id};
    unsigned slot = frontend_put(&w->f, 0, &c, sizeof(c), 24);
    frontend_kick(&w->f, 0);
    return slot;
}

static void test_unref_waits_for_release(void **state)
{
    struct world *w = *state;
    uint32_t written;
    uint8_t *mirror;
    int fd = make_mirror(2 * PAGE, &mirror);
    introduce(w);
    driver_make(&w->f, 7, FIRST, SECOND);
    struct export_exported one = peer_export(&w->p, 7), two = peer_export(&w->p, 7);
    peer_mirror(&w->p, one.buffer.id, fd, 2 * PAGE);
    unsigned slot = put_unref(w, 7);
    peer_answer(&w->p, EXPORT_GONE);
    peer_answer(&w->p, EXPORT_GONE);
    /* The answer waits, and the resource cannot be had any more. */
    assert_int_equal(peer_export(&w->p, 7).status, EXPORT_UNKNOWN);
    struct export_copy copy = {.id = one.buffer.id,
                               .generation = one.buffer.generation,
                               .source_stride = 256,
                               .target_stride = 256,
                               .n_rects = 1,
                               .rects = {{0, 0, 1, 1}}};
    assert_int_equal(peer_copy(&w->p, &copy), EXPORT_STALE);
    assert_false(frontend_answered(&w->f.q[0]));
    /* Others do not wait for it. */
    assert_int_equal(driver_create(&w->f, 8, 8, 8), VIRTIO_GPU_RESP_OK_NODATA);
    peer_request(&w->p, -1, export_release_encode, one.buffer.id);
    turn_times(w->loop, 20);
    assert_false(frontend_answered(&w->f.q[0]));
    peer_request(&w->p, -1, export_release_encode, two.buffer.id);
    assert_int_equal(frontend_take(&w->f, 0, &written), slot);
    assert_int_equal(written, 24);
    assert_int_equal(frontend_answer(&w->f, 0, slot).type, VIRTIO_GPU_RESP_OK_NODATA);
    assert_int_equal(frontend_answer(&w->f, 0, slot).fence_id, 7);
    munmap(mirror, 2 * PAGE);
    close(fd);
}

static void test_unref_waits_not_forever(void **state)
{
    struct world *w = *state;
    uint32_t written;
    introduce(w);
    driver_make(&w->f, 7, FIRST, SECOND);
    uint32_t id = peer_export(&w->p, 7).buffer.id;
    unsigned slot = put_unref(w, 7);
    peer_gone(&w->p, id);
    assert_int_equal(frontend_take(&w->f, 0, &written), slot); /* nobody released it */
    /* The same id again is another resource. */
    driver_make(&w->f, 7, FIRST, SECOND);
    struct export_exported again = peer_export(&w->p, 7);
    assert_int_equal(again.status, EXPORT_OK);
    assert_int_not_equal(again.buffer.id, id);
    peer_request(&w->p, -1, export_release_encode, id); /* late, and still right */
    assert_int_equal(peer_export(&w->p, 7).status, EXPORT_OK);
}

static void test_client_that_goes_away(void **state)
{
    struct world *w = *state;
    uint32_t written;
    introduce(w);
    driver_make(&w->f, 7, FIRST, SECOND);
    uint32_t id = peer_export(&w->p, 7).buffer.id;
    unsigned slot = put_unref(w, 7);
    peer_gone(&w->p, id);
    turn_times(w->loop, 5);
    assert_false(frontend_answered(&w->f.q[0]));
    w->p.socket = fd_close(w->p.socket);
    assert_int_equal(frontend_take(&w->f, 0, &written), slot);
}

static void test_so_many_unrefs_wait(void **state)
{
    struct world *w = *state;
    uint32_t written;
    introduce(w);
    for (uint32_t i = 0; i < DEVICE_UNREF_MAX + 1; i++) {
        driver_make(&w->f, i + 1, RAM_HIGH_GPA + 0x10000 + i * PAGE,
                    RAM_HIGH_GPA + 0x80000 + i * PAGE);
        assert_int_equal(peer_export(&w->p, i + 1).status, EXPORT_OK);
    }
    unsigned slots[DEVICE_UNREF_MAX + 1];
    for (uint32_t i = 0; i < DEVICE_UNREF_MAX; i++)
        slots[i] = put_unref(w, i + 1);
    turn_times(w->loop, 5);
    assert_false(frontend_answered(&w->f.q[0]));
    slots[DEVICE_UNREF_MAX] =
        put_unref(w, DEVICE_UNREF_MAX + 1); /* one too many: answered at once */
    assert_int_equal(frontend_take(&w->f, 0, &written), slots[DEVICE_UNREF_MAX]);
    turn_times(w->loop, 5);
    assert_false(frontend_answered(&w->f.q[0]));
    /* Stopping the queue answers all. */
    struct vhost_user_state s = {0, 0};
    frontend_send(&w->f, VHOST_USER_GET_VRING_BASE, 0, &s, sizeof(s), NULL, 0);
    for (uint32_t i = 0; i < DEVICE_UNREF_MAX; i++)
        frontend_take(&w->f, 0, &written);
    frontend_receive(&w->f, VHOST_USER_GET_VRING_BASE, &s, sizeof(s));
}

static void test_detached_memory_is_gone(void **state)
{
    struct world *w = *state;
    uint8_t *mirror;
    int fd = make_mirror(2 * PAGE, &mirror);
    introduce(w);
    driver_make(&w->f, 7, FIRST, SECOND);
    struct export_exported e = peer_export(&w->p, 7);
    peer_mirror(&w->p, e.buffer.id, fd, 2 * PAGE);
    assert_int_equal(driver_simple(&w->f, VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING, 7),
                     VIRTIO_GPU_RESP_OK_NODATA);
    peer_gone(&w->p, e.buffer.id);
    struct export_copy copy = {.id = e.buffer.id,
                               .generation = e.buffer.generation,
                               .source_stride = 256,
                               .target_stride = 256,
                               .n_rects = 1,
                               .rects = {{0, 0, 1, 1}}};
    assert_int_equal(peer_copy(&w->p, &copy), EXPORT_STALE);
    const struct virtio_gpu_mem_entry page = {.addr = RAM_LOW_GPA + 0x90000, .length = PAGE};
    driver_attach(&w->f, 7, &page, 1);
    assert_int_equal(peer_copy(&w->p, &copy), EXPORT_STALE); /* other pages now */
    copy.generation = device_find(w->device, 7)->generation;
    assert_int_equal(peer_copy(&w->p, &copy), EXPORT_STALE);
    assert_int_equal(peer_export(&w->p, 7).status, EXPORT_OK);
    munmap(mirror, 2 * PAGE);
    close(fd);
}

static void test_reset(void **state)
{
    struct world *w = *state;
    struct export_reset reset;
    introduce(w);
    driver_make(&w->f, 7, FIRST, SECOND);
    struct export_exported e = peer_export(&w->p, 7);
    uint64_t epoch = device_epoch(w->device);
    frontend_set(&w->f, VHOST_USER_RESET_DEVICE, NULL, 0, NULL, 0);
    const uint8_t *payload = peer_answer(&w->p, EXPORT_RESET);
    export_reset_decode(payload, w->p.header.size, &reset);
    assert_int_equal(reset.epoch, epoch + 1);
    assert_int_equal(peer_export(&w->p, 7).status, EXPORT_UNBOUND);
    frontend_start(&w->f);
    driver_make(&w->f, 7, FIRST, SECOND);
    assert_int_equal(peer_export(&w->p, 7).status, EXPORT_UNBOUND); /* may be another guest */
    memcpy(gpa(&w->f, FIRST), nonce, EXPORT_NONCE_SIZE);
    assert_int_equal(peer_bind(&w->p, 7, nonce, 0), EXPORT_OK);
    struct export_exported again = peer_export(&w->p, 7);
    assert_true(again.buffer.generation > e.buffer.generation);
    peer_request(&w->p, -1, export_release_encode, e.buffer.id);
    peer_request(&w->p, -1, export_release_encode, again.buffer.id);
    /* The hypervisor dies. */
    w->f.socket = fd_close(w->f.socket);
    payload = peer_answer(&w->p, EXPORT_RESET);
    export_reset_decode(payload, w->p.header.size, &reset);
    assert_int_equal(reset.driver, 0);
    assert_int_equal(peer_export(&w->p, 7).status, EXPORT_UNBOUND);
}

static void expect_end(struct world *w)
{
    turn_until(w->loop, peer_readable, &w->p);
    assert_null(peer_receive(&w->p));
    close(w->p.socket);
    turn_times(w->loop, 3);
    peer_connect(w, &w->p);
}

static void test_malformed_packets(void **state)
{
    struct world *w = *state;
    uint8_t packet[EXPORT_PACKET_MAX + 1] = {0};
    size_t n;
    /* Before HELLO nothing else. */
    peer_request(&w->p, -1, export_release_encode, 1);
    expect_end(w);
    n = export_hello_encode(packet, 1, &(struct export_hello){EXPORT_VERSION_MAX + 1, 9, 0});
    peer_send_raw(&w->p, packet, n, -1);
    expect_end(w);
    peer_hello(&w->p);
    n = export_hello_encode(packet, 1, &(struct export_hello){1, 1, 0}); /* twice */
    peer_send_raw(&w->p, packet, n, -1);
    expect_end(w);
    peer_hello(&w->p);
    peer_send_raw(&w->p, packet, 3, -1);
    expect_end(w);
    peer_hello(&w->p);
    peer_send_raw(&w->p, packet, sizeof(packet), -1); /* too long */
    expect_end(w);
    peer_hello(&w->p);
    peer_request(&w->p, w->f.ram_fd, export_release_encode,
                 1); /* a descriptor where there is none */
    expect_end(w);
    peer_hello(&w->p);
    peer_request(&w->p, -1, export_mirror_encode,
                 &(struct export_mirror){1, 1}); /* none where there is one */
    expect_end(w);
    peer_hello(&w->p);
    peer_request(&w->p, -1, export_release_encode, 1); /* never given */
    expect_end(w);
    peer_hello(&w->p);
    peer_request(&w->p, -1, export_status_encode, 0); /* ours */
    expect_end(w);
    /* The guest has noticed nothing. */
    assert_int_equal(driver_create(&w->f, 1, 8, 8), VIRTIO_GPU_RESP_OK_NODATA);
}

/* A client that does not read loses its connection, not our memory. */
static void test_client_that_does_not_read(void **state)
{
    struct world *w = *state;
    peer_hello(&w->p);
    uint8_t packet[EXPORT_PACKET_MAX];
    size_t n = export_export_encode(packet, 1, &(struct export_export){.resource = 1});
    unsigned sent = 0;
    for (unsigned i = 0; i < 4 * EXPORTS_QUEUE_MAX; i++) {
        if (send(w->p.socket, packet, n, MSG_NOSIGNAL) > 0)
            sent++;
        else if (errno == EAGAIN)
            turn_times(w->loop, 1);
        else
            break;
    }
    assert_true(sent < 2 * EXPORTS_QUEUE_MAX);
    assert_int_equal(driver_create(&w->f, 1, 8, 8), VIRTIO_GPU_RESP_OK_NODATA);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_hello),
        TEST(test_binding),
        TEST(test_export),
        TEST(test_pages_themselves),
        TEST(test_copy),
        TEST(test_copies_out_of_range),
        TEST(test_mirrors_that_do_not_serve),
        TEST(test_requests_wait_for_the_guest),
        TEST(test_unref_waits_for_release),
        cmocka_unit_test_setup_teardown(test_unref_waits_not_forever, setup_impatient, teardown),
        TEST(test_client_that_goes_away),
        TEST(test_so_many_unrefs_wait),
        TEST(test_detached_memory_is_gone),
        TEST(test_reset),
        TEST(test_malformed_packets),
        TEST(test_client_that_does_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
