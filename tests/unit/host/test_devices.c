/* SPDX-License-Identifier: MIT */
/* Which of several devices is the VM's: the one that shows the nonce, whatever the others do. */
#include "tests/unit/turn.h"

#include <errno.h>
#include <sys/stat.h>

#include "common/transport/address.h"
#include "common/transport/export-folder.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/transport/packets.h"
#include "host-proxy/pixels/devices.h"
#include "host-proxy/pixels/handles.h"

#define DEVICES 4
#define RESOURCE 9u

enum manner {
    HONEST,
    SILENT,
    GARBAGE,
    CLOSES,
    ASLEEP /* never greets */,
    OLD,   /* another version */
    AGREES /* says OK to whatever it is asked */
};

static struct device {
    int listener;
    struct loop_io *io;
    struct packets *packets;
    enum manner manner;
    bool driver;
    uint8_t nonce[EXPORT_NONCE_SIZE]; /* in RESOURCE */
    unsigned hellos, binds, ended;
} D[DEVICES];

static struct loop *loop;
static char folder[64];

static struct answer {
    unsigned n;
    int fd;
    char path[128], why[256];
    struct devices *devices;
} A;

static const uint8_t nonce[EXPORT_NONCE_SIZE] = {1, 2, 3, 4};

static void received(void *user, const uint8_t *bytes, size_t size, int fd)
{
    struct device *d = user;
    struct export_header header;
    struct export_bind bind;
    struct export_welcome welcome = {.version = d->manner == OLD ? 1 : EXPORT_VERSION_MAX,
                                     .features = EXPORT_FEATURE_COPY,
                                     .driver = d->driver,
                                     .epoch = 5};
    uint8_t packet[EXPORT_PACKET_MAX] = {0};
    assert_int_equal(fd, -1);
    assert_int_equal(export_header_decode(bytes, size, &header), EXPORT_E_OK);
    if (header.type == EXPORT_HELLO) {
        d->hellos++;
        if (d->manner != ASLEEP)
            packets_send(d->packets, packet, export_welcome_encode(packet, header.serial, &welcome),
                         -1);
        return;
    }
    assert_int_equal(header.type, EXPORT_BIND);
    assert_null(memmem(bytes, size, nonce, sizeof(nonce))); /* nor is any device told the nonce */
    assert_int_equal(export_bind_decode(bytes + EXPORT_HEADER_SIZE, header.size, &bind),
                     EXPORT_E_OK);
    d->binds++;
    struct export_bound bound = {.status = bind.resource == RESOURCE ? EXPORT_OK : EXPORT_UNKNOWN};
    memcpy(bound.found, d->nonce, sizeof(d->nonce));
    size = d->manner == AGREES ? export_status_encode(packet, header.serial, EXPORT_OK)
                               : export_bound_encode(packet, header.serial, &bound);
    if (d->manner == GARBAGE)
        memset(packet, 0xff, size);
    if (d->manner != SILENT)
        packets_send(d->packets, packet, size, -1);
}

static void ended(void *user, int reason)
{
    (void)reason;
    ((struct device *)user)->ended++;
}

static const struct packets_ops ops = {.received = received, .closed = ended};

static void incoming(void *user, unsigned events)
{
    struct device *d = user;
    (void)events;
    int fd = address_accept(d->listener);
    assert_true(fd >= 0);
    packets_destroy(d->packets);
    d->packets = NULL;
    if (d->manner == CLOSES)
        fd_close(fd);
    else
        d->packets = packets_create(loop, fd, EXPORT_PACKET_MAX, 64, &ops, d);
}

static void start(unsigned i, enum manner manner)
{
    char path[128], error[256];
    snprintf(path, sizeof(path), "%s/%u.sock", folder, 100 + i);
    D[i].listener = address_listen_path(path, SOCK_SEQPACKET, 0600, error, sizeof(error));
    assert_true(D[i].listener >= 0);
    D[i].io = loop_io_create(loop, D[i].listener, LOOP_READ, incoming, &D[i]);
    D[i].manner = manner;
    D[i].driver = true;
}

static void stop(unsigned i)
{
    packets_destroy(D[i].packets);
    loop_io_destroy(D[i].io);
    if (D[i].listener >= 0)
        address_unlisten(D[i].listener);
    D[i] = (struct device){.listener = -1};
}

/* What a killed process leaves. */
static void leave_behind(void)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/99.sock", folder);
    assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
    fd_close(fd);
}

static int setup(void **state)
{
    (void)state;
    log_init("test", LOG_LEVEL_ERROR);
    for (unsigned i = 0; i < DEVICES; i++)
        D[i] = (struct device){.listener = -1};
    A = (struct answer){.fd = -1};
    make_folder(folder);
    loop = loop_create();
    assert_non_null(loop);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (unsigned i = 0; i < DEVICES; i++)
        stop(i);
    fd_close(A.fd);
    turn_times(loop, 3);
    loop_destroy(loop);
    remove_folder(folder);
    return 0;
}

static void found(void *user, int fd, const char *path, const struct export_welcome *welcome,
                  const char *why)
{
    struct answer *a = user;
    a->n++;
    a->fd = fd;
    snprintf(a->path, sizeof(a->path), "%s", path ? path : "");
    snprintf(a->why, sizeof(a->why), "%s", why ? why : "");
    assert_true(fd < 0 || welcome->epoch == 5);
    devices_destroy(a->devices);
}

static bool answered(void *user)
{
    (void)user;
    return A.n == 1;
}

static void search(void)
{
    A.devices = devices_create(loop, NULL, folder, RESOURCE, nonce, found, &A);
    assert_non_null(A.devices);
    assert_int_equal(A.n, 0); /* never from within */
    turn_until(loop, answered, NULL);
}

static void finds(unsigned i)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%u.sock", folder, 100 + i);
    search();
    assert_string_equal(A.path, path);
    assert_true(A.fd >= 0);
    turn_times(loop, 10);
    assert_int_equal(A.n, 1);
    assert_int_equal(D[i].ended, 0);
}

static void test_the_right_one_of_several(void **state)
{
    (void)state;
    for (unsigned i = 0; i < DEVICES; i++)
        start(i, HONEST);
    memcpy(D[2].nonce, nonce, sizeof(nonce));
    finds(2);
    for (unsigned i = 0; i < DEVICES; i++) {
        assert_int_equal(D[i].hellos, 1);
        assert_int_equal(D[i].ended, i != 2);
    }
}

static void test_others_do_not_hinder(void **state)
{
    enum manner manners[][DEVICES] = {{SILENT, GARBAGE, HONEST, CLOSES},
                                      {ASLEEP, OLD, HONEST, SILENT}};
    (void)state;
    leave_behind();
    for (unsigned round = 0; round < 2; round++) {
        A = (struct answer){.fd = -1};
        for (unsigned i = 0; i < DEVICES; i++)
            start(i, manners[round][i]);
        memcpy(D[2].nonce, nonce, sizeof(nonce));
        finds(2);
        fd_close(A.fd);
        for (unsigned i = 0; i < DEVICES; i++)
            stop(i);
    }
    A.fd = -1;
}

static void test_a_device_that_breaks_the_protocol_is_not_it(void **state)
{
    enum manner manners[] = {GARBAGE, OLD, CLOSES};
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        start(i, manners[i]);
        memcpy(D[i].nonce, nonce, sizeof(nonce));
    }
    search();
    assert_int_equal(A.fd, -1);
    assert_string_equal(A.why, "none of 3 GPU devices is this VM's");
}

/* Nor is one that shows anything but the nonce, or says that it was there. */
static void test_the_word_of_a_device_is_nothing(void **state)
{
    (void)state;
    start(0, AGREES);
    memcpy(D[0].nonce, nonce, sizeof(nonce));
    start(1, HONEST); /* all zero */
    start(2, HONEST);
    memcpy(D[2].nonce, nonce, sizeof(nonce));
    D[2].nonce[EXPORT_NONCE_SIZE - 1] ^= 1;
    search();
    assert_int_equal(A.fd, -1);
    assert_int_equal(D[0].binds + D[1].binds + D[2].binds, 3);
}

static void test_a_device_without_driver_is_not_asked(void **state)
{
    (void)state;
    start(0, HONEST);
    D[0].driver = false;
    memcpy(D[0].nonce, nonce, sizeof(nonce));
    search();
    assert_int_equal(A.fd, -1);
    assert_int_equal(D[0].binds, 0);
}

static void test_nobody_is_there(void **state)
{
    (void)state;
    leave_behind();
    search();
    assert_int_equal(A.fd, -1);
    assert_string_equal(A.why, "no GPU device is there");
}

static void test_given_up_in_between(void **state)
{
    (void)state;
    start(0, SILENT);
    int before = count_fds();
    struct devices *d = devices_create(loop, NULL, folder, RESOURCE, nonce, found, &A);
    turn_times(loop, 5);
    devices_destroy(d);
    turn_times(loop, 5);
    assert_int_equal(A.n, 0);
    assert_int_equal(D[0].ended, 1);
    stop(0);
    assert_true(count_fds() < before); /* the listener */
}

/* --- a session that was told a folder --- */

static struct session {
    unsigned probes, answers;
    uint8_t nonce[LINK_NONCE_SIZE];
    bool bound;
} S;

static void probe(void *user, const uint8_t asked[LINK_NONCE_SIZE])
{
    (void)user;
    S.probes++;
    memcpy(S.nonce, asked, sizeof(S.nonce));
}

static void bound(void *user, bool is_bound, const char *why)
{
    (void)user;
    (void)why;
    S.answers++;
    S.bound = is_bound;
}

static bool probed(void *user)
{
    return S.probes == *(unsigned *)user;
}

static bool told(void *user)
{
    return S.answers == *(unsigned *)user;
}

static const struct handles_ops handles_ops = {.probe = probe, .bound = bound};

static void answer_probe(struct handles *h, unsigned device, unsigned answers)
{
    memcpy(D[device].nonce, S.nonce, sizeof(S.nonce));
    assert_int_equal(handles_probed(h, RESOURCE), 0);
    turn_until(loop, told, &answers);
}

static void test_a_session_with_a_folder(void **state)
{
    unsigned two = 2;
    struct log_subject subject = {.name = "test"};
    (void)state;
    S = (struct session){0};
    struct handles *h = handles_create(loop, folder, &subject, &handles_ops, NULL);
    assert_non_null(h);
    assert_false(handles_begin(h)); /* nobody is there */
    assert_int_equal(S.probes, 0);
    start(0, HONEST);
    start(1, HONEST);
    assert_true(handles_begin(h));
    assert_int_equal(S.probes, 0); /* its caller has something to say first */
    unsigned one = 1;
    turn_until(loop, probed, &one);
    /* The guest's first device is another one. */
    assert_int_equal(handles_probed(h, RESOURCE + 1), 0);
    turn_until(loop, told, &S.probes);
    assert_false(S.bound || handles_bound(h));
    answer_probe(h, 1, 2);
    assert_true(S.bound && handles_bound(h));
    /* Its process ends; another one is started, which the next search finds. */
    stop(1);
    unsigned three = 3;
    turn_until(loop, told, &three);
    assert_false(S.bound || handles_bound(h));
    start(2, HONEST);
    turn_until(loop, probed, &two);
    answer_probe(h, 2, 4);
    assert_true(S.bound && handles_bound(h));
    handles_end(h);
    turn_times(loop, 5);
    assert_int_equal(D[2].ended, 1);
    handles_destroy(h);
}

/* The VM's device may be started after the guest's daemon asked. */
static void test_a_device_that_comes_later(void **state)
{
    unsigned one = 1, two = 2;
    struct log_subject subject = {.name = "test"};
    (void)state;
    S = (struct session){0};
    start(0, HONEST);
    struct handles *h = handles_create(loop, folder, &subject, &handles_ops, NULL);
    assert_true(handles_begin(h));
    turn_until(loop, probed, &one);
    assert_int_equal(handles_probed(h, RESOURCE), 0);
    turn_until(loop, told, &one);
    assert_int_equal(handles_probed(h, 0), 0); /* the guest has no more devices */
    start(1, HONEST);
    turn_until(loop, probed, &two);
    answer_probe(h, 1, 2);
    assert_true(S.bound && handles_bound(h));
    handles_end(h);
    handles_destroy(h);
}

int main(void)
{
#define t(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        t(test_the_right_one_of_several),
        t(test_others_do_not_hinder),
        t(test_a_device_that_breaks_the_protocol_is_not_it),
        t(test_the_word_of_a_device_is_nothing),
        t(test_a_device_without_driver_is_not_asked),
        t(test_nobody_is_there),
        t(test_given_up_in_between),
        t(test_a_session_with_a_folder),
        t(test_a_device_that_comes_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
