/* SPDX-License-Identifier: MIT */
/* The host's side: which socket a port is, and greetings however they come. And the command line.
 */
#include "tests/unit/vsock/vsock_guest.h"

#include <errno.h>
#include <sys/un.h>

#include "common/transport/address.h"
#include "host-proxy/vsock/hybrid-socket.h"
#include "host-proxy/vsock/vsock-options.h"

#define PORTS 3

struct world {
    struct guest *g;
    struct hybrid_socket *hybrid;
    struct hybrid_port ports[PORTS];
    char folder[64], path[96], other[96], host[96], vm[96];
};

static struct sockaddr_un address_of(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    memcpy(a.sun_path, path, strlen(path) + 1);
    return a;
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    make_folder(w->folder);
    snprintf(w->path, sizeof(w->path), "%s/v", w->folder);
    snprintf(w->other, sizeof(w->other), "%s/other", w->folder);
    snprintf(w->host, sizeof(w->host), "%s/host", w->folder);
    snprintf(w->vm, sizeof(w->vm), "%s/vm", w->folder);
    w->ports[0] = (struct hybrid_port){HYBRID_SOCKET, 1100, w->other, 0};
    w->ports[1] = (struct hybrid_port){HYBRID_HOST, 1101, w->host, 0};
    w->ports[2] = (struct hybrid_port){HYBRID_VM, 1102, w->vm, 22};
    guest_setup((void **)&w->g);
    w->hybrid = hybrid_socket_create(w->g->loop, GUEST_CID, w->path, w->ports, PORTS);
    assert_non_null(w->hybrid);
    char error[256];
    assert_int_equal(hybrid_socket_listen(w->hybrid, w->g->device, error, sizeof(error)), 0);
    guest_start(w->g);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    hybrid_socket_destroy(w->hybrid);
    remove_folder(w->folder);
    guest_teardown((void **)&w->g);
    free(w);
    return 0;
}

static int call(struct world *w)
{
    struct sockaddr_un a = address_of(w->path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    turn_times(w->g->loop, 3);
    return fd;
}

static void say(struct world *w, int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), 0), strlen(text));
    turn_times(w->g->loop, 3);
}

static void test_in_pieces(void **state)
{
    struct world *w = *state;
    int fd = call(w);
    say(w, fd, "CONN");
    say(w, fd, "ECT 2");
    guest_expect_nothing(w->g);
    say(w, fd, "2\nearly");
    guest_expect(w->g, OP(REQUEST), 22);
    struct vsock_packet p = guest_packet(w->g, OP(RESPONSE), 22);
    p.dst_port = w->g->got.src_port;
    guest_send(w->g, p, NULL, 0);
    guest_expect(w->g, OP(RW), 22);
    assert_int_equal(w->g->got.size, 5);
    assert_memory_equal(w->g->data, "early", 5);
    close(fd);
}

static void test_no_greeting(void **state)
{
    static const char *const wrong[] = {
        "CONNECT \n",
        "CONNECT x\n",
        "connect 22\n",
        "CONNECT 22 \n",
        "\n",
        "CONNECT 4294967295\n",
        "CONNECT 22\r\n",
        "CONNECT 1111111111111111111111111111111111",
    };
    struct world *w = *state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        int fd = call(w);
        uint8_t byte;
        say(w, fd, wrong[i]);
        ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT);
        assert_true(n == 0 || (n < 0 && errno == ECONNRESET));
        close(fd);
    }
    close(call(w)); /* who hangs up without a word */
    turn_times(w->g->loop, 3);
    guest_expect_nothing(w->g);
}

/* Whoever says nothing keeps nobody out. */
static void test_silence(void **state)
{
    struct world *w = *state;
    int silent[70];
    for (unsigned i = 0; i < 70; i++)
        silent[i] = call(w);
    int fd = call(w);
    say(w, fd, "CONNECT 22\n");
    guest_expect(w->g, OP(REQUEST), 22);
    host_expect_end(silent[0]);
    for (unsigned i = 0; i < 70; i++)
        close(silent[i]);
    close(fd);
}

static int listen_at(const char *path, int type)
{
    struct sockaddr_un a = address_of(path);
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(fd, 1), 0);
    return fd;
}

static void check_port(struct world *w, const char *path, uint32_t port, int type)
{
    const struct vsock_device_ops *ops = &hybrid_socket_ports;
    uint16_t kind = type == SOCK_STREAM ? STREAM : SEQPACKET;
    bool asks = false;
    assert_true(ops->connect(w->hybrid, port, kind, 1, &asks) < 0);
    int listener = listen_at(path, type);
    int fd = ops->connect(w->hybrid, port, kind, 1, &asks);
    assert_true(fd >= 0);
    assert_true(ops->connect(w->hybrid, port, kind == STREAM ? SEQPACKET : STREAM, 1, &asks) < 0);
    int more[3];
    for (unsigned i = 0; i < 3; i++)
        more[i] = ops->connect(w->hybrid, port, kind, 1, &asks);
    assert_int_equal(more[2], -EAGAIN); /* a full backlog */
    for (unsigned i = 0; i < 3; i++) {
        if (more[i] >= 0)
            close(more[i]);
    }
    close(fd);
    close(listener);
    assert_int_equal(ops->connect(w->hybrid, port, kind, 1, &asks), -ECONNREFUSED);
}

static void test_ports(void **state)
{
    struct world *w = *state;
    char path[128];
    snprintf(path, sizeof(path), "%s_77", w->path);
    check_port(w, path, 77, SOCK_STREAM);
    snprintf(path, sizeof(path), "%s_78", w->path);
    check_port(w, path, 78, SOCK_SEQPACKET);
    check_port(w, w->other, 1100, SOCK_STREAM); /* --listen-port */
}

/* wayvsock-host is told whose connection it is, as soon as it is accepted. */
static void test_host(void **state)
{
    struct world *w = *state;
    const struct vsock_device_ops *ops = &hybrid_socket_ports;
    struct address address = {.kind = ADDRESS_VSOCK_DEVICE};
    struct address_peer peer;
    char error[256];
    bool asks = false;
    assert_int_equal(ops->connect(w->hybrid, 1101, STREAM, 1000, &asks), -ENOENT);
    memcpy(address.path, w->host, strlen(w->host) + 1);
    int listener = address_listen(&address, error, sizeof(error));
    int fd = ops->connect(w->hybrid, 1101, STREAM, 1000, &asks);
    assert_true(fd >= 0);
    assert_false(asks);
    close(fd);
    fd = address_accept(listener);
    assert_int_equal(address_device_peer(fd, &peer), 0);
    assert_int_equal(peer.cid, GUEST_CID);
    assert_int_equal(peer.port, 1000);
    assert_int_equal(ops->connect(w->hybrid, 1101, SEQPACKET, 1000, &asks), -EPROTOTYPE);
    close(fd);
    address_unlisten(listener);
}

/* Another VM is asked for its port. */
static void test_other_vm(void **state)
{
    struct world *w = *state;
    const struct vsock_device_ops *ops = &hybrid_socket_ports;
    bool asks = false;
    assert_int_equal(ops->connect(w->hybrid, 1102, STREAM, 1, &asks), -ENOENT);
    int listener = listen_at(w->vm, SOCK_STREAM);
    int fd = ops->connect(w->hybrid, 1102, STREAM, 1, &asks);
    assert_true(fd >= 0);
    assert_true(asks);
    int other = accept(listener, NULL, NULL);
    host_expect(other, "CONNECT 22\n", 11);
    host_expect_nothing(other);
    assert_int_equal(ops->connect(w->hybrid, 1102, SEQPACKET, 1, &asks), -EPROTOTYPE);
    close(fd);
    close(other);
    close(listener);
}

static int parse(const char *line, struct vsock_options *ret)
{
    static char words[512];
    char *argv[16];
    int argc = 0, saved = dup(2);
    snprintf(words, sizeof(words), "wayvsock-vsock %s", line);
    for (char *word = strtok(words, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    argv[argc] = NULL;
    fflush(NULL);
    assert_non_null(freopen("/dev/null", "w", stderr));
    int r = vsock_options_parse(argc, argv, ret);
    fflush(NULL);
    dup2(saved, 2);
    close(saved);
    return r;
}

static void test_options(void **state)
{
    static const char *const wrong[] = {
        "",
        "--socket-path /a",
        "--guest-cid 3",
        "--socket-path /a --guest-cid 2",
        "--socket-path /a --guest-cid 4294967295",
        "--socket-path /a --guest-cid x",
        "--socket-path /a --fd 3 --guest-cid 3",
        "--fd x --guest-cid 3",
        "--socket-path /a --guest-cid 3 --listen-port 1100",
        "--socket-path /a --guest-cid 3 --listen-port =/a",
        "--socket-path /a --guest-cid 3 --listen-port 1100=",
        "--socket-path /a --guest-cid 3 --listen-port 1=/a --listen-port 1=/b",
        "--socket-path /a --guest-cid 3 --listen-port 1100=/a --host /b",
        "--socket-path /a --guest-cid 3 --host /b --host 1100=/c",
        "--socket-path /a --guest-cid 3 --allow-vm 22=/a",
        "--socket-path /a --guest-cid 3 --allow-vm 22=/a:",
        "--socket-path /a --guest-cid 3 --allow-vm 22=/a:x",
        "--socket-path /a --guest-cid 3 --allow-vm /a:22",
        "--socket-path /a --guest-cid 3 --allow-vm 22=:22",
        "--socket-path /a --guest-cid 3 more",
        "--made-up",
    };
    struct vsock_options o;
    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
        assert_int_equal(parse(wrong[i], &o), -EINVAL);
    assert_int_equal(parse("--socket-path /a --guest-cid 42 --uds-path /b --listen-port 1=/c "
                           "--listen-port 4294967294=/d=e",
                           &o),
                     0);
    assert_string_equal(o.socket_path, "/a");
    assert_int_equal(o.fd, -1);
    assert_int_equal(o.guest_cid, 42);
    assert_string_equal(o.uds_path, "/b");
    assert_int_equal(o.n_ports, 2);
    assert_string_equal(o.ports[1].path, "/d=e");
    assert_int_equal(
        parse("--fd 3 --guest-cid 3 --host /h --host 7=/i=j --allow-vm 22=/k:l:23", &o), 0);
    assert_int_equal(o.n_ports, 3);
    assert_int_equal(o.ports[0].kind, HYBRID_HOST);
    assert_int_equal(o.ports[0].port, 1100);
    assert_string_equal(o.ports[0].path, "/h");
    assert_int_equal(o.ports[1].port, 7);
    assert_string_equal(o.ports[1].path, "/i=j");
    assert_int_equal(o.ports[2].kind, HYBRID_VM);
    assert_int_equal(o.ports[2].port, 22);
    assert_string_equal(o.ports[2].path, "/k:l");
    assert_int_equal(o.ports[2].vm_port, 23);
    assert_int_equal(parse("--fd 3 --guest-cid 3", &o), 0);
    assert_int_equal(o.fd, 3);
    assert_int_equal(parse("--check", &o), 0);
    assert_int_equal(parse("--print-capabilities", &o), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_in_pieces),
        TEST(test_no_greeting),
        TEST(test_silence),
        TEST(test_ports),
        TEST(test_host),
        TEST(test_other_vm),
        cmocka_unit_test(test_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
