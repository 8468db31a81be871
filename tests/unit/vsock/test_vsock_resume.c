/* SPDX-License-Identifier: MIT */
/* A process of the device is followed by another, with what a service manager has kept: the guest's
 * connections are reset, and everything else goes on. */
#include "tests/unit/vsock/vsock_guest.h"

#include <errno.h>

#include "common/base/fd.h"
#include "common/base/keeper.h"
#include "common/base/sd.h"
#include "host-proxy/vsock/vsock-connection.h"
#include "host-proxy/vsock/vsock-record.h"

static int fds_before;

struct world {
    struct guest *g;
    int manager;
    struct keeper kept; /* of the manager */
    struct vsock_record record;
    int told; /* what vsock_device_resume() has said */
};

/* Takes what the device has told so far. */
static void listen_to(struct world *w)
{
    for (;;) {
        char text[200];
        union {
            char bytes[CMSG_SPACE(sizeof(int))];
            struct cmsghdr align;
        } control = {0};
        struct iovec iov = {text, sizeof(text) - 1};
        struct msghdr m = {.msg_iov = &iov,
                           .msg_iovlen = 1,
                           .msg_control = control.bytes,
                           .msg_controllen = sizeof(control.bytes)};
        ssize_t n = recvmsg(w->manager, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n < 0)
            return;
        text[n] = '\0';
        const char *name = strrchr(text, '-') + 1;
        fd_close(keeper_take(&w->kept, name));
        if (strncmp(text, "FDSTORE=", 8) != 0)
            continue;
        assert_true(w->kept.n < KEEPER_MAX);
        struct kept *kept = &w->kept.kept[w->kept.n++];
        snprintf(kept->name, sizeof(kept->name), "%s", name);
        memcpy(&kept->fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(kept->fd));
    }
}

/* The manager's, and a copy for the process that it starts. */
static struct keeper copy(struct world *w)
{
    struct keeper keeper = {0};
    struct keeper all = w->kept;
    w->kept.n = 0;
    for (size_t i = 0; i < all.n; i++) {
        if (all.kept[i].fd < 0)
            continue;
        w->kept.kept[w->kept.n++] = all.kept[i];
        keeper.kept[keeper.n] = all.kept[i];
        keeper.kept[keeper.n++].fd = dup(all.kept[i].fd);
    }
    return keeper;
}

static int setup(void **state)
{
    int ends[2];
    struct world *w = calloc(1, sizeof(*w));
    struct keeper nothing = {0};
    fds_before = count_fds();
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    w->manager = ends[0];
    sd_connect(ends[1]);
    assert_int_equal(vsock_record_open(&w->record, &nothing), 0);
    w->g = guest_create(&w->record);
    guest_start(w->g);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    guest_destroy(w->g);
    vsock_record_close(&w->record);
    listen_to(w);
    keeper_finish(&w->kept);
    sd_connect(-1);
    close(w->manager);
    free(w);
    assert_int_equal(count_fds(), fds_before);
    return 0;
}

static void restart(struct world *w)
{
    vsock_device_destroy(w->g->device);
    vsock_record_close(&w->record);
    listen_to(w);
    struct keeper keeper = copy(w);
    assert_int_equal(vsock_record_open(&w->record, &keeper), 0);
    guest_create_device(w->g, &w->record);
    w->g->f.device = w->g->device;
    w->told = vsock_device_resume(w->g->device, &keeper, frontend_was_closed, &w->g->f);
    keeper_finish(&keeper);
}

static void check_works(struct guest *g, uint32_t port)
{
    int host = guest_connect(g, port, STREAM);
    guest_write(g, port, "still", 5);
    host_expect(host, "still", 5);
    assert_int_equal(send(host, "here", 4, 0), 4);
    guest_expect(g, OP(RW), port);
    assert_memory_equal(g->data, "here", 4);
    guest_say(g, OP(RST), port);
    close(host);
}

static void test_connections_are_reset(void **state)
{
    struct world *w = *state;
    struct guest *g = w->g;
    int host = guest_connect(g, 5000, STREAM), messages = guest_connect(g, 5001, SEQPACKET);
    check_works(g, 4000); /* which has ended */
    restart(w);
    assert_int_equal(w->told, 1);
    host_expect_end(host);
    close(host);
    close(messages);
    guest_expect(g, OP(RST), 5000);
    assert_int_equal(g->got.src_port, 1100);
    assert_int_equal(g->got.type, STREAM);
    guest_expect(g, OP(RST), 5001);
    assert_int_equal(g->got.type, SEQPACKET);
    guest_expect_nothing(g);
    check_works(g, 5000);
    restart(w); /* and again, with nobody to tell */
    assert_int_equal(w->told, 1);
    guest_expect_nothing(g);
    check_works(g, 5000);
}

/* What the guest sent meanwhile, or sends to a connection that is gone, finds somebody. */
static void test_packets_meanwhile(void **state)
{
    struct world *w = *state;
    struct guest *g = w->g;
    uint8_t header[VSOCK_HEADER_SIZE];
    uint32_t written;
    int host = guest_connect(g, 5000, STREAM);
    struct vsock_packet p = guest_packet(g, OP(REQUEST), 6000);
    vsock_packet_encode(&p, header);
    frontend_put(&g->f, TX, header, sizeof(header), 0);
    frontend_kick(&g->f, TX);
    restart(w);
    close(host);
    guest_expect(g, OP(RST), 5000);
    guest_expect(g, OP(RESPONSE), 6000);
    frontend_take(&g->f, TX, &written);
    guest_write(g, 5000, "x", 1);
    guest_expect(g, OP(RST), 5000);
    close(g->host);
}

/* Without buffers, the resets wait. */
static void test_no_buffers(void **state)
{
    struct world *w = *state;
    struct guest *g = w->g;
    int host = guest_connect(g, 5000, STREAM);
    for (unsigned i = 0; i < GUEST_BUFFERS; i++) { /* each takes a buffer, and none is posted */
        uint32_t written;
        guest_say(g, OP(CREDIT_REQUEST), 5000);
        frontend_take(&g->f, RX, &written);
    }
    restart(w);
    guest_expect_nothing(g);
    guest_post(g, 1);
    guest_expect(g, OP(RST), 5000);
    close(host);
}

/* What the frontend says after a restart is kept as well. */
static void test_pause_and_reset(void **state)
{
    struct world *w = *state;
    struct guest *g = w->g;
    uint32_t base[3];
    restart(w);
    for (unsigned i = 0; i < 3; i++)
        base[i] = frontend_get_base(&g->f, i);
    restart(w);
    assert_int_equal(w->told, 1);
    for (unsigned i = 0; i < 3; i++)
        frontend_start_queue(&g->f, i, (uint16_t)base[i], false);
    check_works(g, 5000);
    frontend_set(&g->f, VHOST_USER_RESET_DEVICE, NULL, 0, NULL, 0);
    restart(w);
    frontend_start(&g->f);
    guest_post(g, GUEST_BUFFERS);
    check_works(g, 5000);
}

/* A hypervisor that is gone is not kept. */
static void test_gone(void **state)
{
    struct world *w = *state;
    struct guest *g = w->g;
    close(guest_connect(g, 5000, STREAM));
    restart(w);
    close(g->f.socket);
    turn_until(g->loop, frontend_is_closed, &g->f);
    restart(w);
    assert_int_equal(w->told, 0);
    frontend_connect(&g->f);
    guest_start(g);
    guest_expect_nothing(g);
    check_works(g, 5000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_connections_are_reset),
        TEST(test_packets_meanwhile),
        TEST(test_no_buffers),
        TEST(test_pause_and_reset),
        TEST(test_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
