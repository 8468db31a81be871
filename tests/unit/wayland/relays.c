/* SPDX-License-Identifier: MIT */
/* Ops that let everything through, and both ends of every socket in one loop. */
#include "tests/unit/wayland/relays.h"

#include "guest-proxy/pixels/surfaces.h"
#include "tests/support/even.h"
#include "tests/support/send_fds.h"

struct relays R;

/* --- raw ends --- */

void wire_receive(struct wire *w)
{
    while (w->fd >= 0 && !w->eof && w->first + w->n < sizeof(w->in)) {
        union {
            struct cmsghdr header;
            char space[CMSG_SPACE(253 * sizeof(int))];
        } control;
        struct iovec iov = {w->in + w->first + w->n, sizeof(w->in) - w->first - w->n};
        struct msghdr message = {.msg_iov = &iov,
                                 .msg_iovlen = 1,
                                 .msg_control = &control,
                                 .msg_controllen = sizeof(control)};
        ssize_t n = recvmsg(w->fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN))
            w->eof = true;
        if (n <= 0)
            return;
        w->n += (size_t)n;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
            size_t fds = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            assert_true(fds <= 28); /* as libwayland's buffer requires */
            assert_true(w->fds_first + w->fds_n + fds <= 2048);
            memcpy(w->fds + w->fds_first + w->fds_n, CMSG_DATA(c), fds * sizeof(int));
            w->fds_n += fds;
        }
    }
}

bool wire_has_message(void *user)
{
    struct wire *w = user;
    struct wl_message m;
    wire_receive(w);
    return w->eof || wl_message_header(w->in + w->first, w->n, &m) != WL_MESSAGE_E_PARTIAL;
}

bool wire_at_end(void *user)
{
    struct wire *w = user;
    wire_receive(w);
    return w->eof;
}

struct wl_message wire_expect(struct wire *w, uint32_t object, const char *interface,
                              const char *name)
{
    turn_until(R.loop, wire_has_message, w);
    struct wl_message m;
    if (wl_message_header(w->in + w->first, w->n, &m) != WL_MESSAGE_OK)
        fail_msg("the connection ended instead of a %s.%s", interface, name);
    const struct wl_iface *iface = wl_iface_find(interface, strlen(interface));
    assert_non_null(iface);
    bool event = w == &R.client;
    if (m.object == 1 && event && m.opcode == 0 && strcmp(name, "error") != 0)
        fail_msg("instead of a %s.%s: %s", interface, name, (const char *)m.bytes + 20);
    assert_int_equal(m.object, object);
    assert_true(m.opcode < (event ? iface->n_events : iface->n_requests));
    const struct wl_msg_info *info = (event ? iface->events : iface->requests) + m.opcode;
    assert_string_equal(info->name, name);
    assert_int_equal(wl_message_arguments(&m, info), WL_MESSAGE_OK);
    w->first += m.size;
    w->n -= m.size;
    return m;
}

void wire_expect_nothing(struct wire *w)
{
    turn_times(R.loop, 10);
    wire_receive(w);
    assert_int_equal(w->n, 0);
}

int wire_fd(struct wire *w)
{
    assert_true(w->fds_n > 0);
    w->fds_n--;
    return w->fds[w->fds_first++];
}

void wire_send_fds(struct wire *w, const void *bytes, size_t n, const int *fds, size_t n_fds)
{
    while (n) {
        ssize_t sent = send_fds(w->fd, bytes, n, fds, n_fds);
        if (sent < 0 && errno == EAGAIN) {
            turn_times(R.loop, 1);
            continue;
        }
        for (; n_fds; n_fds--)
            fd_close(fds[n_fds - 1]);
        if (sent < 0)
            return; /* it has been disconnected */
        bytes = (const uint8_t *)bytes + sent;
        n -= (size_t)sent;
    }
}

/* --- relays --- */

uint32_t relays_global(struct relay *r, const struct wl_iface *iface, uint32_t version)
{
    (void)r;
    if (R.hidden && strcmp(iface->name, R.hidden) == 0)
        return 0;
    return R.cap && version > R.cap ? R.cap : version;
}

static relay_hook *const relays_guest_hooks[_WL_HOOK_N] = {SURFACES_HOOKS};

static void relays_punched(struct relay *r, struct memory *memory, uint64_t offset, uint64_t length)
{
    (void)r;
    surfaces_forget(memory, offset, length);
}

void relays_ended(struct relay *r)
{
    assert_ptr_equal(r->user, &R);
    R.ended++;
    if (r == R.guest)
        R.guest = NULL;
    else
        R.host = NULL;
    relay_destroy(r);
}

static const struct relay_ops relays_guest_ops = {
    .hooks = relays_guest_hooks, .punched = relays_punched, .ended = relays_ended};
static const struct relay_ops relays_host_ops = {.global = relays_global, .ended = relays_ended};
static const struct link_ops relays_no_ops;

static struct relay *relays_make(enum carrier_side side, int local, int link_fd)
{
    struct link *link = link_create(R.loop, link_fd, true, &relays_no_ops, NULL);
    assert_non_null(link);
    struct relay *r = relay_create(
        R.loop, side, local, link, side == CARRIER_GUEST ? &R.guest_party : &R.host_party,
        side == CARRIER_GUEST ? &relays_guest_ops : &relays_host_ops, &R, NULL,
        side == CARRIER_GUEST ? &R.guest_subject : &R.host_subject);
    assert_non_null(r);
    return r;
}

void relays_use(struct relay *r, const struct relay_ops *ops)
{
    r->ops = ops;
    r->carrier.gpu.ops = ops->gpu;
}

struct memory *relays_memory(const struct relay *r)
{
    struct vfd_memory *const *first = r->carrier.vfds.memories; /* the root of their tree */
    return first ? (*first)->memory : NULL;
}

int relays_start(bool guest, bool host)
{
    int client[2], compositor[2], link[2];
    memset(&R, 0, sizeof(R));
    signal(SIGPIPE, SIG_IGN);
    log_init("test", getenv("TEST_LOG") ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
    R.guest_subject.name = "guest";
    R.host_subject.name = "host";
    R.before = count_fds();
    R.loop = loop_create();
    R.client.fd = R.compositor.fd = R.link.fd = -1;
    deliveries_init(&R.deliveries, NULL, NULL);
    R.guest_party = R.host_party =
        (struct carrier_party){.deliveries = &R.deliveries, .queue = 8 << 20};
    R.guest_party.budget = budget_create(NULL);
    R.host_party.budget = budget_create(NULL);
    make_sockets(link, 0);
    if (guest) {
        make_sockets(client, 0);
        R.client.fd = client[0];
        R.guest = relays_make(CARRIER_GUEST, client[1], link[0]);
    } else {
        R.link.fd = link[0];
    }
    if (host) {
        make_sockets(compositor, 0);
        R.compositor.fd = compositor[0];
        R.host = relays_make(CARRIER_HOST, compositor[1], link[1]);
    } else {
        R.link.fd = link[1];
    }
    return 0;
}

void wire_finish(struct wire *w)
{
    w->fd = fd_close(w->fd);
    for (; w->fds_n; w->fds_n--)
        fd_close(w->fds[w->fds_first++]);
}

int relays_stop(void **state)
{
    (void)state;
    wire_finish(&R.client);
    wire_finish(&R.compositor);
    wire_finish(&R.link);
    relay_destroy(R.guest);
    relay_destroy(R.host);
    R.guest = R.host = NULL;
    turn_times(R.loop, 2);
    deliveries_finish(&R.deliveries);
    bool even = budget_is_even(R.guest_party.budget) && budget_is_even(R.host_party.budget);
    loop_destroy(R.loop);
    for (int tries = 0; tries < 5000 && count_fds() != R.before; tries++)
        usleep(1000); /* for threads that close theirs */
    if (count_fds() != R.before)
        fprintf(stderr, "descriptors: %d before, %d now\n", R.before, count_fds());
    return even && count_fds() == R.before ? 0 : -1;
}

bool relays_over(void *user)
{
    (void)user;
    return !R.guest && !R.host;
}
