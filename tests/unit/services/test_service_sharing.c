/* SPDX-License-Identifier: MIT */
/* Memory and dmabufs of the guest's programs that a service gets itself: shared, or mirrored,
 * copied or refused. A dmabuf is the kernel's own (udmabuf), where there is that. */
#include "tests/unit/services/pair.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <linux/sync_file.h>
#include <linux/udmabuf.h>

#include "common/base/fd.h"
#include "common/base/fdinfo.h"
#include "common/base/guard.h"
#include "common/base/signalled.h"
#include "common/base/udmabuf.h"

#define SIZE 4096u

static struct pair A;

static void open_with(bool gpu, bool memory, enum link_dmabufs dmabufs)
{
    struct service_settings settings;
    service_settings_init(&settings, "sharing");
    settings.memory = LINK_MEMORY_MIRROR;
    settings.share = memory;
    settings.dmabufs = dmabufs;
    guard_init(); /* here, since cmocka handles signals while a test runs */
    P.gpu.there = gpu;
    P.gpu.how = LINK_IMPORTED_SHARED;
    pair_open(&A, &settings);
}

static void close_all(void)
{
    pair_close(&A);
}

static int pass(int from, int to, int fd)
{
    int got[SEND_FDS_MAX];
    size_t n;
    char byte;
    assert_int_equal(send_fds(from, "x", 1, &fd, 1), 1);
    assert_int_equal(pair_receive(to, &byte, 1, got, &n), 1);
    assert_int_equal(n, 1);
    return got[0];
}

static void tell(int from, int to)
{
    char byte;
    pair_write(from, "t", 1);
    pair_read(to, &byte, 1);
}

static int memory_of(size_t size)
{
    int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
    return fd;
}

static uint8_t *map(int fd)
{
    uint8_t *at = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(at != MAP_FAILED);
    return at;
}

static bool same_file(int a, int b)
{
    struct stat x, y;
    fstat(a, &x);
    fstat(b, &y);
    return x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static void test_memory(void **state)
{
    (void)state;
    open_with(true, true, LINK_DMABUFS_REFUSED);
    int ours = memory_of(SIZE);
    int theirs = pass(A.client, A.server, ours);
    assert_true(same_file(ours, theirs)); /* as there is no VM between */
    int again = pass(A.client, A.server, ours);
    assert_int_equal(P.gpu.n, 1);
    assert_int_equal(P.gpu.asked, 1);
    int home = pass(A.server, A.client, again);
    assert_true(same_file(ours, home));
    int all[] = {ours, theirs, again, home};
    for (int i = 0; i < 4; i++)
        fd_close(all[i]);
    close_all();
    assert_int_equal(P.gpu.released, 1);
}

/* It is mirrored, and the connection goes on: @gpu without any GPU to do it with; else it says no.
 */
static void mirrored(bool gpu, int ours)
{
    open_with(gpu, true, LINK_DMABUFS_REFUSED);
    P.gpu.how = LINK_IMPORTED_NOT;
    uint8_t *a = map(ours);
    memset(a, 7, SIZE);
    int theirs = pass(A.client, A.server, ours);
    assert_false(same_file(ours, theirs));
    uint8_t *b = map(theirs);
    assert_memory_equal(a, b, SIZE);
    a[5] = 1;
    tell(A.client, A.server);
    b[6] = 2;
    tell(A.server, A.client);
    assert_int_equal(b[5], 1);
    assert_int_equal(a[6], 2);
    turn_times(P.loop, 10);
    assert_int_equal(P.gpu.released, P.gpu.n);
    munmap(a, SIZE);
    munmap(b, SIZE);
    fd_close(theirs);
    close_all();
}

static void test_memory_mirrored(void **state)
{
    (void)state;
    int ours = memory_of(SIZE);
    mirrored(false, ours);
    assert_int_equal(P.gpu.n, 0);
    mirrored(true, ours);
    assert_int_equal(P.gpu.n, 1);
    fd_close(ours);
}

/* To read from only, from the host: nobody is asked. */
static void test_memory_that_is_not_asked_for(void **state)
{
    (void)state;
    open_with(true, true, LINK_DMABUFS_REFUSED);
    int ours = memory_of(SIZE), reading = fd_reopen(ours, O_RDONLY);
    fd_close(pass(A.client, A.server, reading));
    fd_close(pass(A.server, A.client, ours));
    assert_int_equal(P.gpu.n, 0);
    fd_close(ours);
    fd_close(reading);
    close_all();
}

/* What comes behind it waits, whatever else the connection does meanwhile. */
static void test_order(void **state)
{
    (void)state;
    static const char bytes[] = "what comes behind it";
    char got[sizeof(bytes)];
    int fds[SEND_FDS_MAX], ours[2] = {memory_of(SIZE), memory_of(SIZE)};
    size_t n;
    open_with(true, true, LINK_DMABUFS_REFUSED);
    P.gpu.late = true;
    assert_int_equal(send_fds(A.client, "x", 1, ours, 2), 1);
    pair_write(A.client, bytes, sizeof(bytes));
    for (uint32_t import = 1; import <= 2; import++) {
        tell(A.server, A.client);
        turn_times(P.loop, 20);
        assert_int_equal(P.gpu.asked, import);
        assert_int_equal(recv(A.server, got, 1, MSG_DONTWAIT | MSG_PEEK), -1);
        P.gpu.how = import == 1 ? LINK_IMPORTED_NOT : LINK_IMPORTED_SHARED;
        pairs_answer(import);
    }
    assert_int_equal(pair_receive(A.server, got, 1, fds, &n), 1);
    assert_int_equal(n, 2);
    assert_false(same_file(fds[0], ours[0]));
    assert_true(same_file(fds[1], ours[1]));
    pair_read(A.server, got, sizeof(bytes));
    assert_string_equal(got, bytes);
    for (int i = 0; i < 2; i++) {
        fd_close(fds[i]);
        fd_close(ours[i]);
    }
    close_all();
}

/* The program leaves, or the service does, while the host is asked. */
static void test_end_meanwhile(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        int ours = memory_of(SIZE);
        open_with(true, true, LINK_DMABUFS_REFUSED);
        P.gpu.late = true;
        assert_int_equal(send_fds(A.client, "x", 1, &ours, 1), 1);
        fd_close(ours);
        turn_times(P.loop, 20);
        assert_int_equal(P.gpu.asked, (unsigned)i + 1);
        int *leaves = i ? &A.server : &A.client;
        *leaves = fd_close(*leaves);
        if (i)
            pair_until_end(A.client);
        turn_times(P.loop, 20);
        close_all();
        assert_int_equal(P.gpu.released, P.gpu.n);
    }
}

/* --- dmabufs --- */

/* A kernel of the suite "guest" has it. */
static void need_udmabuf(void)
{
    if (access("/dev/udmabuf", R_OK | W_OK) < 0)
        skip();
}

static int dmabuf_of(int memfd)
{
    union {
        struct udmabuf_create_list list;
        uint8_t room[sizeof(struct udmabuf_create_list) + sizeof(struct udmabuf_create_item)];
    } create = {.list = {.count = 1}};
    create.list.list[0] = (struct udmabuf_create_item){.memfd = (uint32_t)memfd, .size = SIZE};
    int device = udmabuf_open(), fd = udmabuf_create(device, &create.list);
    assert_true(fd >= 0);
    fd_close(device);
    return fd;
}

static bool all_released(void *user)
{
    (void)user;
    return P.gpu.released == P.gpu.n;
}

static void test_dmabuf(void **state)
{
    (void)state;
    need_udmabuf();
    int memory = memory_of(SIZE), ours = dmabuf_of(memory);
    open_with(true, false, LINK_DMABUFS_SHARE);
    int theirs = pass(A.client, A.server, ours);
    assert_true(same_file(ours, theirs));
    int again = pass(A.client, A.server, ours), home = pass(A.server, A.client, theirs);
    assert_true(same_file(again, ours));
    assert_true(same_file(home, ours));
    assert_int_equal(P.gpu.asked, 1);
    fd_close(memory);
    fd_close(theirs);
    fd_close(again);
    fd_close(home);
    close_all();
    assert_int_equal(P.gpu.released, 1);
    fd_close(ours);
}

/* The host's side has one of its own, of the same pages, so that it can be told who has it. Returns
 * what the service gets. */
static int hand_out(int memory, int ours)
{
    int fds[SEND_FDS_MAX];
    size_t n;
    char byte;
    open_with(true, false, LINK_DMABUFS_SHARE);
    P.gpu.late = true;
    assert_int_equal(send_fds(A.client, "x", 1, &ours, 1), 1);
    while (!P.gpu.asked)
        turn_times(P.loop, 1);
    fd_close(P.gpu.fds[1]);
    P.gpu.fds[1] = dmabuf_of(memory);
    pairs_answer(1);
    assert_int_equal(pair_receive(A.server, &byte, 1, fds, &n), 1);
    assert_int_equal(n, 1);
    assert_false(same_file(fds[0], ours));
    P.gpu.fds[1] = fd_close(P.gpu.fds[1]); /* from now on only that half has it */
    return fds[0];
}

/* Nobody has it any more: the guest has its memory back, while the connection goes on. */
static void test_dmabuf_is_let_go(void **state)
{
    (void)state;
    need_udmabuf();
    int memory = memory_of(SIZE), ours = dmabuf_of(memory), theirs = hand_out(memory, ours);
    uint8_t *a = map(ours), *b = map(theirs);
    a[9] = 9;
    assert_int_equal(b[9], 9);
    b[10] = 10;
    assert_int_equal(a[10], 10);
    fd_close(theirs); /* a mapping is one who has it */
    turn_times(P.loop, 10);
    poll(NULL, 0, 300); /* longer than until it is looked at */
    turn_times(P.loop, 10);
    assert_int_equal(P.gpu.released, 0);
    munmap(b, SIZE);
    turn_until(P.loop, all_released, NULL);
    tell(A.client, A.server);
    tell(A.server, A.client);
    munmap(a, SIZE);
    fd_close(ours);
    fd_close(memory);
    close_all();
}

/* It outlives its connection: the guest has its memory back when it is closed. */
static void test_dmabuf_outlives(void **state)
{
    (void)state;
    need_udmabuf();
    int memory = memory_of(SIZE), ours = dmabuf_of(memory), theirs = hand_out(memory, ours);
    A.client = fd_close(A.client);
    A.server = fd_close(A.server);
    turn_times(P.loop, 100);
    assert_non_null(A.host);
    assert_int_equal(P.gpu.released, 0);
    fd_close(theirs);
    turn_until(P.loop, all_released, NULL);
    assert_null(A.host);
    fd_close(ours);
    fd_close(memory);
    close_all();
}

static void test_dmabuf_copied(void **state)
{
    (void)state;
    need_udmabuf();
    int memory = memory_of(SIZE), ours = dmabuf_of(memory);
    uint8_t *a = map(ours);
    fill_pattern(a, SIZE, 5);
    for (int gpu = 0; gpu < 2; gpu++) {
        open_with(gpu, false, LINK_DMABUFS_ONCE);
        P.gpu.how = LINK_IMPORTED_NOT;
        if (!gpu) { /* the rules are the host's to tell, also where there is no GPU */
            close_all();
            P.gpu.there = true;
            open_with(true, false, LINK_DMABUFS_ONCE);
            P.gpu.there = false;
        }
        int theirs = pass(A.client, A.server, ours);
        assert_false(same_file(ours, theirs));
        uint8_t *b = map(theirs);
        assert_memory_equal(a, b, SIZE);
        munmap(b, SIZE);
        int home = pass(A.server, A.client, theirs);
        assert_true(same_file(ours, home));
        fd_close(theirs);
        fd_close(home);
        /* And from the host, where nothing is shared. */
        int from_host = pass(A.server, A.client, ours);
        b = map(from_host);
        assert_memory_equal(a, b, SIZE);
        munmap(b, SIZE);
        fd_close(from_host);
        close_all();
    }
    munmap(a, SIZE);
    fd_close(ours);
    fd_close(memory);
}

static void test_dmabuf_refused(void **state)
{
    (void)state;
    static const struct {
        bool gpu, from_host;
        enum link_dmabufs rule;
        enum link_imported_as how;
    } cases[] = {
        {true, false, LINK_DMABUFS_REFUSED, LINK_IMPORTED_SHARED},
        {false, false, LINK_DMABUFS_ONCE, LINK_IMPORTED_SHARED}, /* an older daemon */
        {true, false, LINK_DMABUFS_SHARE, LINK_IMPORTED_NOT},
        {true, false, LINK_DMABUFS_ONCE, LINK_IMPORTED_DRAWN},
        {true, true, LINK_DMABUFS_SHARE, LINK_IMPORTED_SHARED},
    };
    need_udmabuf();
    int memory = memory_of(SIZE), ours = dmabuf_of(memory);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        open_with(cases[i].gpu, false, cases[i].rule);
        P.gpu.how = cases[i].how;
        int from = cases[i].from_host ? A.server : A.client;
        assert_int_equal(send_fds(from, "x", 1, &ours, 1), 1);
        pair_until_end(cases[i].from_host ? A.client : A.server);
        turn_times(P.loop, 10);
        close_all();
        assert_int_equal(P.gpu.released, P.gpu.n);
    }
    fd_close(ours);
    fd_close(memory);
}

/* --- sync files --- */

static size_t sync_1(uint8_t *b)
{
    return link_vfd_encode(b, &(struct link_vfd){1, LINK_VFD_SYNC, 0, 0});
}

/* What comes can be read at once, in the sense of poll(), and is a sync file where it can be. */
static void check_signalled(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    struct sync_file_info info = {0};
    assert_int_equal(poll(&p, 1, 0), 1);
    assert_int_equal(p.revents & (POLLIN | POLLERR), POLLIN);
    assert_int_equal(ioctl(fd, SYNC_IOC_FILE_INFO, &info) == 0, signalled_is_real());
    if (signalled_is_real())
        assert_int_equal(info.status, 1);
    fd_close(fd);
}

static void open_with_sync(bool there)
{
    struct service_settings settings;
    service_settings_init(&settings, "sync");
    settings.sync_files = true;
    P.gpu.there = there;
    pair_open(&A, &settings);
}

/* Whatever the machine can: the other side's word is all that it takes. */
static void test_sync_arrives(void **state)
{
    (void)state;
    struct service_settings settings;
    uint8_t frame[LINK_FRAME_SMALL_MAX], data[LINK_FRAME_SMALL_MAX];
    int program, link, fds[SEND_FDS_MAX];
    size_t n, fds_n;
    char byte;
    service_settings_init(&settings, "sync");
    settings.sync_files = true;
    P.gpu.there = true;
    pair_open_half(&A, &settings, CARRIER_HOST, &program, &link);
    pair_write(link, frame, sync_1(frame));
    n = link_data_encode(data, &(struct link_data){.vfds = 1}, 1);
    pair_write(link, data, n);
    pair_write(link, "x", 1);
    assert_int_equal(pair_receive(program, &byte, 1, fds, &fds_n), 1);
    assert_int_equal(fds_n, 1);
    check_signalled(fds[0]);
    fd_close(program);
    fd_close(link);
    close_all();
}

static void test_sync(void **state)
{
    (void)state;
    need_udmabuf();
    assert_true(signalled_is_real());
    open_with_sync(true);
    int ours = signalled_make();
    check_signalled(pass(A.client, A.server, ours));
    check_signalled(pass(A.server, A.client, ours));
    close_all();
    for (int older = 0; older < 2; older++) { /* not configured, or an older daemon */
        open_with_sync(!older);
        A.host->out.rules.shared.sync_files = A.guest->out.rules.shared.sync_files = 0;
        turn_times(P.loop, 10);
        A.guest->out.rules.shared.sync_files = 0;
        assert_int_equal(send_fds(older ? A.server : A.client, "x", 1, &ours, 1), 1);
        pair_until_end(older ? A.client : A.server);
        close_all();
    }
    fd_close(ours);
}

/* --- whatever the other side says --- */

struct lie {
    enum carrier_side to;
    bool allowed; /* anything of the kind is */
    size_t (*say[3])(uint8_t *buffer);
};

static size_t import_1(uint8_t *b)
{
    return link_import_encode(b, &(struct link_import){1, 1, SIZE});
}

static size_t shared_1(uint8_t *b)
{
    return link_vfd_encode(b, &(struct link_vfd){1, LINK_VFD_SHARED, 0, 1});
}

static size_t shared_again(uint8_t *b)
{
    return link_vfd_encode(b, &(struct link_vfd){2, LINK_VFD_SHARED, 0, 1});
}

static size_t shared_by_host(uint8_t *b)
{
    return link_vfd_encode(b, &(struct link_vfd){LINK_HOST_ID | 1, LINK_VFD_SHARED, 0, 1});
}

static size_t import_2(uint8_t *b)
{
    return link_import_encode(b, &(struct link_import){2, 1, SIZE});
}

static size_t release_1(uint8_t *b)
{
    return link_id_encode(b, LINK_IMPORT_RELEASE, 1);
}

static size_t released_1(uint8_t *b)
{
    return link_id_encode(b, LINK_IMPORT_RELEASED, 1);
}

static size_t memory_1(uint8_t *b)
{
    return link_mem_import_encode(b, &(struct link_mem_import){1, 1, SIZE});
}

static size_t copy_1(uint8_t *b)
{
    return link_mem_copy_encode(b, &(struct link_mem_copy){{1, 1, 1, 1, 0}, 1, 1, 0});
}

static size_t imported_1(uint8_t *b)
{
    return link_imported_encode(b, &(struct link_imported){1, LINK_IMPORTED_SHARED});
}

static size_t sharing(uint8_t *b)
{
    return link_sharing_encode(b, &(struct link_sharing){LINK_DMABUFS_ONCE, 1, 1});
}

static size_t opened(uint8_t *b)
{
    return link_opened_encode(b, &(struct link_opened){0});
}

static size_t sync_by_host(uint8_t *b)
{
    return link_vfd_encode(b, &(struct link_vfd){LINK_HOST_ID | 1, LINK_VFD_SYNC, 0, 0});
}

static void test_lies(void **state)
{
    (void)state;
    static const struct lie lies[] = {
        {CARRIER_HOST, false, {import_1}},
        {CARRIER_HOST, false, {shared_1}},
        {CARRIER_HOST, true, {shared_1}},
        {CARRIER_HOST, true, {import_1, shared_1, shared_again}},
        {CARRIER_HOST, true, {import_1, release_1, shared_1}},
        {CARRIER_HOST, true, {import_2}},
        {CARRIER_HOST, true, {release_1}},
        {CARRIER_HOST, true, {import_1, memory_1}},
        {CARRIER_HOST, true, {import_1, copy_1}},
        {CARRIER_HOST, true, {imported_1}},
        {CARRIER_HOST, true, {sharing}},
        {CARRIER_HOST, true, {sync_1}},
        {CARRIER_GUEST, true, {opened, sync_by_host}},
        {CARRIER_GUEST, true, {imported_1}},
        {CARRIER_GUEST, true, {released_1}},
        {CARRIER_GUEST, true, {shared_by_host}},
        {CARRIER_GUEST, true, {import_1}},
        {CARRIER_GUEST, true, {opened, sharing}},
        {CARRIER_GUEST, true, {sharing, imported_1}},
    };
    for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
        const struct lie *lie = &lies[i];
        uint8_t frame[LINK_FRAME_SMALL_MAX];
        struct service_settings settings;
        int program, link;
        service_settings_init(&settings, "lies");
        settings.memory = LINK_MEMORY_MIRROR;
        settings.share = lie->allowed;
        P.gpu.there = true;
        P.gpu.n = 1;
        P.gpu.fds[1] = memory_of(SIZE);
        P.gpu.how = LINK_IMPORTED_SHARED;
        pair_open_half(&A, &settings, lie->to, &program, &link);
        for (int k = 0; k < 3 && lie->say[k]; k++)
            pair_write(link, frame, lie->say[k](frame));
        pair_until_end(program);
        fd_close(program);
        fd_close(link);
        fd_close(P.gpu.fds[1]);
        close_all();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_memory, pairs_setup, pairs_teardown),
        cmocka_unit_test_setup_teardown(test_memory_mirrored, pairs_setup, pairs_teardown),
        cmocka_unit_test_setup_teardown(test_memory_that_is_not_asked_for, pairs_setup,
                                        pairs_teardown),
        cmocka_unit_test_setup_teardown(test_order, pairs_setup, pairs_teardown),
        cmocka_unit_test_setup_teardown(test_end_meanwhile, pairs_setup, pairs_teardown),
        cmocka_unit_test_setup_teardown(test_dmabuf, pairs_setup, pairs_teardown),
        cmocka_unit_test_setup_teardown(test_dmabuf_is_let_go, pairs_setup, pairs_teardown),
        cmocka_unit_test_setup_teardown(test_dmabuf_outlives, pairs_setup, pairs_teardown),
        cmocka_unit_test_setup_teardown(test_dmabuf_copied, pairs_setup, pairs_teardown),
        cmocka_unit_test_setup_teardown(test_dmabuf_refused, pairs_setup, pairs_teardown),
        cmocka_unit_test_setup_teardown(test_sync_arrives, pairs_setup, pairs_teardown),
        cmocka_unit_test_setup_teardown(test_sync, pairs_setup, pairs_teardown),
        cmocka_unit_test_setup_teardown(test_lies, pairs_setup, pairs_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
