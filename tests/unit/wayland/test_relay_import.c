/* SPDX-License-Identifier: MIT */
/* Memory that is a resource of the guest's GPU, as the relays carry it: what the compositor is
 * given, how long it is kept, and pools that are made anew. */
#include "tests/unit/wayland/attacker.h"

#define SIZE 65536u

/* The host's owner: its device gives the same pages for every import. */
static struct {
    int pages;
    unsigned imports, copies, gone;
} D;

static int on_import(void *user, const struct link_import *import)
{
    (void)user;
    (void)import;
    D.imports++;
    return 0;
}

static int on_release(void *user, uint32_t id)
{
    struct relay *r = user;
    gpu_memory_released(&r->carrier.gpu, id);
    return 0;
}

static int on_copy(void *user, struct memory *memory, const struct link_mem_copy *copy)
{
    (void)user;
    (void)memory;
    (void)copy;
    D.copies++;
    return 0;
}

static void on_gone(struct memory_note *note)
{
    free(note);
    D.gone++;
}

static struct memory *on_memory(void *user, const struct link_mem_import *import)
{
    static const struct memory_note_type type = {"pages", on_gone};
    (void)user;
    struct memory *m = memory_share(dup(D.pages), import->size, R.host_party.budget);
    if (!m) {
        ends_scarce(&R.host->carrier.ends, "MEM_IMPORT", -errno);
        return NULL;
    }
    struct memory_note *note = calloc(1, sizeof(*note));
    note->type = &type;
    memory_attach(m, note);
    return m;
}

static const struct gpu_memory_ops gpu_memory_ops = {
    .import = on_import, .release = on_release, .copy = on_copy, .memory = on_memory};
static const struct relay_ops gpu_ops = {
    .global = relays_global, .ended = relays_ended, .gpu = &gpu_memory_ops};

static int setup(void **state)
{
    (void)state;
    memset(&D, 0, sizeof(D));
    D.pages = -1;
    attack_start_host();
    relays_use(R.host, &gpu_ops);
    D.pages = fd_memfd("pages", SIZE);
    R.before++;
    return 0;
}

static int teardown(void **state)
{
    int r = relays_stop(state);
    fd_close(D.pages);
    return r;
}

static void import_memory(uint32_t import, uint32_t id)
{
    attack_n += link_import_encode(attack_bytes + attack_n, &(struct link_import){import, 7, SIZE});
    attack_n += link_mem_import_encode(attack_bytes + attack_n,
                                       &(struct link_mem_import){id, import, SIZE});
}

/* Import 1, memory 1 that it is, a pool and a buffer of it. */
static void show_pages(void)
{
    import_memory(1, 1);
    attack_memory(1, SIZE);
    attack_create_pool(SIZE);
    ATTACK_MESSAGE(NEXT, POOL_CREATE_BUFFER, "uuuuuu", NEXT + 1, 0, 64, 64, 256, 0);
    attack_deliver();
    wire_expect(&R.compositor, SHM, "wl_shm", "create_pool");
    wire_expect(&R.compositor, NEXT, "wl_shm_pool", "create_buffer");
}

static void assert_refused(const char *why)
{
    attack_deliver();
    turn_until(R.loop, attack_error_came, NULL);
    if (!strstr(attack_reason, why))
        fail_msg("refused with \"%s\", not \"%s\"", attack_reason, why);
}

static void test_the_compositor_gets_the_pages(void **state)
{
    (void)state;
    struct stat a, b;
    show_pages();
    int fd = wire_fd(&R.compositor);
    assert_true(fstat(fd, &a) == 0 && fstat(D.pages, &b) == 0 && a.st_ino == b.st_ino);
    fd_close(fd);
    struct link_mem_copy copy = {
        .to = {.id = 1, .row = 16, .rows = 2, .stride = 256}, .import = 1, .source_stride = 256};
    attack_n += link_mem_copy_encode(attack_bytes + attack_n, &copy);
    attack_deliver();
    turn_times(R.loop, 5);
    assert_int_equal(D.copies, 1);
    assert_true(R.host->carrier.ends.sent.shared == 32 && R.host->carrier.ends.sent.copies == 0);
}

/* The compositor may read the pages until it has said that the buffer's id is free. */
static void test_pages_are_kept_until_the_buffer_is_gone(void **state)
{
    (void)state;
    show_pages();
    ATTACK_MESSAGE(NEXT, POOL_DESTROY, "");
    attack_with_id(LINK_VFD_CLOSE, 1);
    attack_with_id(LINK_IMPORT_RELEASE, 1);
    attack_deliver();
    wire_expect(&R.compositor, NEXT, "wl_shm_pool", "destroy");
    ATTACK_MESSAGE(NEXT + 1, BUFFER_DESTROY, "");
    attack_deliver();
    wire_expect(&R.compositor, NEXT + 1, "wl_buffer", "destroy");
    turn_times(R.loop, 5);
    assert_int_equal(D.gone, 0);
    wire_send(&R.compositor, 1, DISPLAY_DELETE_ID, "u", NEXT);
    turn_times(R.loop, 5);
    assert_int_equal(D.gone, 0);
    wire_send(&R.compositor, 1, DISPLAY_DELETE_ID, "u", NEXT + 1);
    turn_times(R.loop, 5);
    assert_int_equal(D.gone, 1);
}

static unsigned deleted; /* id */

static bool delete_id_came(void *user)
{
    struct link_header header;
    const uint8_t *payload;
    struct wl_message m;
    (void)user;
    while (attack_next_frame(&header, &payload)) {
        if (header.type != LINK_WAYLAND)
            continue;
        assert_int_equal(wl_message_header(payload, header.size, &m), WL_MESSAGE_OK);
        if (m.object != 1 || m.opcode != DISPLAY_DELETE_ID)
            continue;
        memcpy(&deleted, m.bytes + 8, 4);
        return true;
    }
    return false;
}

/* One delete_id per pool comes from the compositor; the guest hears of the last. */
static void test_a_pool_made_anew(void **state)
{
    (void)state;
    attack_memory(1, SIZE);
    attack_create_pool(SIZE);
    for (uint32_t i = 0; i < 3; i++) {
        ATTACK_MESSAGE(NEXT, POOL_DESTROY, "");
        attack_memory(1, SIZE);
        attack_create_pool(SIZE);
    }
    ATTACK_MESSAGE(NEXT, POOL_CREATE_BUFFER, "uuuuuu", NEXT + 1, 0, 64, 64, 256, 0);
    attack_deliver();
    for (int i = 0; i < 3; i++) {
        wire_expect(&R.compositor, SHM, "wl_shm", "create_pool");
        wire_expect(&R.compositor, NEXT, "wl_shm_pool", "destroy");
        wire_send(&R.compositor, 1, DISPLAY_DELETE_ID, "u", NEXT);
    }
    wire_expect(&R.compositor, SHM, "wl_shm", "create_pool");
    wire_expect(&R.compositor, NEXT, "wl_shm_pool", "create_buffer");
    ATTACK_MESSAGE(NEXT, POOL_DESTROY, "");
    ATTACK_MESSAGE(NEXT + 1, BUFFER_DESTROY, "");
    attack_deliver();
    wire_expect(&R.compositor, NEXT, "wl_shm_pool", "destroy");
    wire_expect(&R.compositor, NEXT + 1, "wl_buffer", "destroy");
    wire_send(&R.compositor, 1, DISPLAY_DELETE_ID, "u", NEXT + 1);
    turn_until(R.loop, delete_id_came, NULL);
    assert_int_equal(deleted, NEXT + 1); /* none of the pools' before */
    wire_send(&R.compositor, 1, DISPLAY_DELETE_ID, "u", NEXT);
    turn_until(R.loop, delete_id_came, NULL);
    assert_int_equal(deleted, NEXT);
}

static void test_an_id_is_not_made_anew_while_it_lives(void **state)
{
    (void)state;
    attack_memory(1, SIZE);
    attack_create_pool(SIZE);
    attack_memory(1, SIZE);
    attack_create_pool(SIZE);
    assert_refused("id already in use");
}

static void test_an_object_with_events_is_not_made_anew(void **state)
{
    (void)state;
    attack_memory(1, SIZE);
    attack_create_pool(SIZE);
    ATTACK_MESSAGE(NEXT, POOL_CREATE_BUFFER, "uuuuuu", NEXT + 1, 0, 64, 64, 256, 0);
    ATTACK_MESSAGE(NEXT + 1, BUFFER_DESTROY, "");
    ATTACK_MESSAGE(NEXT, POOL_CREATE_BUFFER, "uuuuuu", NEXT + 1, 0, 64, 64, 256, 0);
    assert_refused("id already in use");
}

static void test_nobody_else_writes_to_pages(void **state)
{
    (void)state;
    show_pages();
    attack_mem_write(1, 0, 4, 1, 4);
    assert_refused("MEM_WRITE to memory of the guest's own");
}

static void test_nobody_punches_pages(void **state)
{
    (void)state;
    show_pages();
    attack_punch(1, 0, 4096);
    assert_refused("MEM_PUNCH of memory of the guest's own");
}

static void test_pages_do_not_grow(void **state)
{
    (void)state;
    show_pages();
    attack_mem_size(1, 2 * SIZE);
    assert_refused("Invalid argument");
}

static void test_pages_do_not_grow_by_another_vfd(void **state)
{
    (void)state;
    show_pages();
    attack_memory(1, 2 * SIZE);
    assert_refused("Invalid argument");
}

static void test_memory_ids_count_up(void **state)
{
    (void)state;
    import_memory(1, 2);
    assert_refused("VFD ids must count up");
}

static void test_memory_ids_are_the_guests(void **state)
{
    (void)state;
    import_memory(1, LINK_HOST_ID | 1);
    assert_refused("VFD ids must count up");
}

static void test_memory_counts_as_a_descriptor(void **state)
{
    (void)state;
    R.host_party.budget->limit[BUDGET_FDS] = 258;
    for (uint32_t i = 1; i <= 256; i++)
        import_memory(i, i);
    attack_deliver();
    turn_times(R.loop, 5);
    assert_int_equal(D.imports, 256);
    assert_false(R.link.eof);
    import_memory(257, 257);
    assert_refused("max-fds");
}

static int setup_guest(void **state)
{
    (void)state;
    D.pages = -1;
    return relays_start(true, false);
}

/* What was said of an import is still on its way to the host when the application is ended. */
static void test_imports_are_kept_until_the_host_is_done(void **state)
{
    static const uint8_t late[64];
    (void)state;
    gpu_memory_import(&R.guest->carrier.gpu, 7, SIZE);
    relay_fail(R.guest, LINK_ERROR_WAYLAND, 1, 0, "a mistake");
    turn_until(R.loop, attack_error_came, NULL);
    wire_expect(&R.client, 1, "wl_display", "error");
    turn_until(R.loop, wire_at_end, &R.client);
    wire_send_fds(&R.link, late, sizeof(late), NULL, 0); /* nobody looks at it any more */
    turn_times(R.loop, 10);
    assert_int_equal(R.ended, 0);
    R.link.fd = fd_close(R.link.fd);
    turn_until(R.loop, relays_over, NULL);
}

static void test_without_imports_nobody_waits_for_the_host(void **state)
{
    (void)state;
    relay_fail(R.guest, LINK_ERROR_WAYLAND, 1, 0, "a mistake");
    turn_until(R.loop, relays_over, NULL);
    turn_until(R.loop, attack_error_came, NULL);
}

int main(void)
{
#define GUEST_TEST(name) cmocka_unit_test_setup_teardown(name, setup_guest, teardown)
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_the_compositor_gets_the_pages),
        TEST(test_pages_are_kept_until_the_buffer_is_gone),
        TEST(test_a_pool_made_anew),
        TEST(test_an_id_is_not_made_anew_while_it_lives),
        TEST(test_an_object_with_events_is_not_made_anew),
        TEST(test_nobody_else_writes_to_pages),
        TEST(test_nobody_punches_pages),
        TEST(test_pages_do_not_grow),
        TEST(test_pages_do_not_grow_by_another_vfd),
        TEST(test_memory_ids_count_up),
        TEST(test_memory_ids_are_the_guests),
        TEST(test_memory_counts_as_a_descriptor),
        GUEST_TEST(test_imports_are_kept_until_the_host_is_done),
        GUEST_TEST(test_without_imports_nobody_waits_for_the_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
