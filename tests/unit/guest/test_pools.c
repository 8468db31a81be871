/* SPDX-License-Identifier: MIT */
/* Shared memory in resources of the GPU: what the link says of it. */
#include "tests/unit/wayland/attacker.h"

#include "guest-proxy/pixels/gpu.h"
#include "guest-proxy/pixels/pixels.h"
#include "guest-proxy/pixels/pools.h"

static bool next(struct link_header *ret, const uint8_t **ret_payload, enum link_type type)
{
    while (attack_next_frame(ret, ret_payload))
        if (ret->type == type)
            return true;
    return false;
}

static void skip_frames(void)
{
    struct link_header header;
    const uint8_t *payload;
    while (attack_next_frame(&header, &payload))
        ;
}

/* A guest relay whose client has the pool DATA. */
static struct memory *start_with_pool(uint32_t size)
{
    relays_start(true, false);
    attack_ready();
    wire_send(&R.client, 1, DISPLAY_GET_REGISTRY, "u", REGISTRY);
    turn_times(R.loop, 3);
    ATTACK_MESSAGE(REGISTRY, REGISTRY_GLOBAL, "usu", 1, "wl_shm", 1);
    attack_deliver();
    wire_expect(&R.client, REGISTRY, "wl_registry", "global");
    wire_send(&R.client, REGISTRY, REGISTRY_BIND, "uN", 1, "wl_shm", 1, SHM);
    wire_send_fd(&R.client, fd_memfd("pool", size), SHM, SHM_CREATE_POOL, "uu", DATA, size);
    turn_times(R.loop, 5);
    skip_frames();
    return relays_memory(R.guest);
}

/* Else the compositor could free the pool's id before the host knows that it is in use again, and
 * the application would hear that its pool is gone. */
static void test_a_pool_goes_and_comes_in_one_frame(void **state)
{
    (void)state;
    const uint32_t pool = DATA;
    const struct memory *memory = start_with_pool(4096);
    struct link_header header;
    const uint8_t *payload = NULL;
    pools_swap(R.guest, SHM, pool, memory, 4096);
    link_flush(R.guest->carrier.ends.link);
    assert_true(next(&header, &payload, LINK_VFD));
    assert_true(next(&header, &payload, LINK_WAYLAND));
    struct wl_message m;
    assert_int_equal(wl_message_header(payload, header.size, &m), WL_MESSAGE_OK);
    assert_true(m.object == pool && m.opcode == POOL_DESTROY);
    assert_int_equal(wl_message_header(payload + m.size, header.size - m.size, &m), WL_MESSAGE_OK);
    assert_true(m.object == SHM && m.opcode == SHM_CREATE_POOL);
    assert_false(next(&header, &payload, LINK_WAYLAND));
}

/* A picture of 1600 × 1600 pixels, which the client shows from byte 4096 of its file on, and its
 * copy for the host. */
enum { STRIDE = 6400, ROWS = 1600, BASE = 4096, SIZE = BASE + STRIDE * ROWS };

/* Takes what came about @damage; *told: bytes of it so far. Returns the number of parts. */
static unsigned parts_came(const struct link_mem_write *damage, const struct memory *memory,
                           const struct shadow *shadow, uint64_t *told)
{
    unsigned parts = 0;
    struct link_header header;
    const uint8_t *payload;
    while (next(&header, &payload, LINK_MEM_COPY)) {
        struct link_mem_copy copy;
        assert_int_equal(link_mem_copy_decode(payload, header.size, &copy), LINK_OK);
        assert_int_equal(copy.import, shadow->import);
        assert_int_equal(copy.to.offset, damage->offset + *told);
        assert_int_equal(copy.source_offset, copy.to.offset - BASE);
        assert_int_equal((copy.to.offset - damage->offset) % STRIDE, 0);
        for (uint64_t y = 0; y < copy.to.rows; y++) {
            uint64_t at = copy.to.offset + y * copy.to.stride;
            assert_memory_equal(shadow->gpu.map + at - BASE, memory->map + at, copy.to.row);
        }
        if (damage->rows > 1)
            assert_int_equal(copy.to.row, damage->row);
        *told += damage->rows > 1 ? (uint64_t)copy.to.rows * copy.to.stride : copy.to.row;
        parts++;
    }
    return parts;
}

/* So that the host copies one while the guest copies the next. */
static void is_copied_in_parts(const struct link_mem_write *damage)
{
    struct memory *memory = start_with_pool(SIZE);
    for (uint32_t i = 0; i < SIZE; i += 4)
        memcpy(memory->map + i, &i, 4);
    struct gpu gpu = {.udmabuf = -1};
    struct pixels pixels;
    pixels_init(&pixels, &gpu);
    struct shadow shadow = {
        .owner = &pixels.shadows, .relay = R.guest, .import = 7, .gpu = {.map = calloc(1, SIZE)}};
    struct memory_buffer buffer = {
        .memory = memory, .offset = BASE, .stride = STRIDE, .extent = STRIDE * ROWS};
    pools_back(&buffer, &shadow);
    assert_int_equal(pools_send(R.guest, &buffer, damage), 0);
    uint64_t told = 0;
    assert_true(parts_came(damage, memory, &shadow, &told) > 2);
    link_flush(R.guest->carrier.ends.link); /* as the commit does */
    assert_int_equal(parts_came(damage, memory, &shadow, &told), 1);
    assert_int_equal(told, damage->rows > 1 ? (uint64_t)damage->rows * STRIDE : damage->row);
    free(shadow.gpu.map);
}

static void test_rows_without_gaps_are_copied_in_parts(void **state)
{
    (void)state;
    const uint32_t bytes = STRIDE * (ROWS - 2);
    is_copied_in_parts(&(struct link_mem_write){
        .offset = BASE + STRIDE, .row = bytes, .rows = 1, .stride = bytes});
}

static void test_rows_with_gaps_are_copied_in_parts(void **state)
{
    (void)state;
    is_copied_in_parts(&(struct link_mem_write){
        .offset = BASE + 400, .row = STRIDE - 800, .rows = ROWS, .stride = STRIDE});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_a_pool_goes_and_comes_in_one_frame, relays_stop),
        cmocka_unit_test_teardown(test_rows_without_gaps_are_copied_in_parts, relays_stop),
        cmocka_unit_test_teardown(test_rows_with_gaps_are_copied_in_parts, relays_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
