/* SPDX-License-Identifier: MIT */
/* Memory behind the guest's resources: every list that is refused, and the table of resources
 * against a model. */
#include "tests/unit/gpu/gpu_guest.h"

static void test_attach(void **state)
{
    struct world *w = *state;
    const struct virtio_gpu_mem_entry scattered[] = {
        {.addr = HIGH + 5 * PAGE, .length = PAGE},
        {.addr = LOW, .length = PAGE},
        {.addr = LOW + PAGE, .length = 2 * PAGE}, /* joins the one before */
        {.addr = HIGH, .length = PAGE},
    };
    uint8_t bytes[5 * PAGE], expected[5 * PAGE];
    create_2d(w, 1, 64, 64, 1);
    assert_int_equal(attach(w, 1, scattered, 4), OK);
    const struct resource *r = resources_find(&w->commands.table, 1);
    assert_int_equal(r->n_runs, 3);
    assert_int_equal(r->backing_size, 5 * PAGE);
    for (size_t i = 0; i < 2 * REGION; i++)
        w->bytes[i] = (uint8_t)(i * 7 + i / PAGE);
    memcpy(expected, w->bytes + REGION + 5 * PAGE, PAGE);
    memcpy(expected + PAGE, w->bytes, 3 * PAGE);
    memcpy(expected + 4 * PAGE, w->bytes + REGION, PAGE);
    assert_int_equal(resource_copy(r, &w->ram, 0, bytes, sizeof(bytes), false), 0);
    assert_memory_equal(bytes, expected, sizeof(bytes));
    /* From the middle of one run into the next. */
    assert_int_equal(resource_copy(r, &w->ram, 4 * PAGE - 10, bytes, 20, false), 0);
    assert_memory_equal(bytes, expected + 4 * PAGE - 10, 20);
    assert_int_equal(resource_copy(r, &w->ram, 4 * PAGE - 1, "xy", 2, true), 0);
    assert_int_equal(w->bytes[3 * PAGE - 1], 'x');
    assert_int_equal(w->bytes[REGION], 'y');
    assert_int_equal(resource_copy(r, &w->ram, 5 * PAGE - 1, bytes, 2, false), -EFAULT);
    assert_int_equal(resource_copy(r, &w->ram, UINT64_MAX, bytes, 2, false), -EFAULT);

    uint64_t generation = r->generation;
    assert_int_equal(attach(w, 1, scattered, 4), ERR_UNSPEC); /* it has memory */
    assert_int_equal(r->generation, generation);
    assert_int_equal(w->n_gone, 0);
    assert_int_equal(detach(w, 1), OK);
    assert_ptr_equal(w->last_gone, r);
    assert_int_equal(r->backing_size, 0);
    assert_true(r->generation > generation);
    assert_int_equal(detach(w, 1), ERR_UNSPEC);
    assert_int_equal(attach(w, 1, scattered, 1), OK);
    assert_int_equal(detach(w, 2), ERR_ID);
    assert_int_equal(attach(w, 2, scattered, 1), ERR_ID);
}

static void test_backing_that_is_refused(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *what;
        struct virtio_gpu_mem_entry entries[3];
        uint32_t n, claimed;
        uint32_t expected;
    } cases[] = {
        {"none", {{0}}, 0, 0, ERR_PARAM},
        {"an empty piece", {{.addr = LOW, .length = 0}}, 1, 1, ERR_PARAM},
        {"below the memory", {{.addr = LOW - PAGE, .length = PAGE}}, 1, 1, ERR_PARAM},
        {"half below the memory", {{.addr = LOW - PAGE, .length = 2 * PAGE}}, 1, 1, ERR_PARAM},
        {"beyond the memory", {{.addr = LOW + REGION, .length = PAGE}}, 1, 1, ERR_PARAM},
        {"over the end", {{.addr = LOW + REGION - PAGE, .length = 2 * PAGE}}, 1, 1, ERR_PARAM},
        {"in the hole", {{.addr = 0x80000000, .length = PAGE}}, 1, 1, ERR_PARAM},
        {"at the end of everything",
         {{.addr = UINT64_MAX - PAGE + 1, .length = PAGE}},
         1,
         1,
         ERR_PARAM},
        {"around the end", {{.addr = UINT64_MAX, .length = UINT32_MAX}}, 1, 1, ERR_PARAM},
        {"the longest", {{.addr = LOW, .length = UINT32_MAX}}, 1, 1, ERR_PARAM},
        {"the same page twice",
         {{.addr = LOW, .length = PAGE},
          {.addr = HIGH, .length = PAGE},
          {.addr = LOW, .length = PAGE}},
         3,
         3,
         ERR_PARAM},
        {"overlapping by a byte",
         {{.addr = LOW + PAGE, .length = PAGE}, {.addr = LOW, .length = PAGE + 1}},
         2,
         2,
         ERR_PARAM},
        {"fewer than announced", {{.addr = LOW, .length = PAGE}}, 1, 2, ERR_PARAM},
        {"more than announced",
         {{.addr = LOW, .length = PAGE}, {.addr = HIGH, .length = PAGE}},
         2,
         1,
         ERR_PARAM},
        {"a list bomb", {{.addr = LOW, .length = PAGE}}, 1, UINT32_MAX, ERR_MEMORY},
        {"one more than allowed",
         {{.addr = LOW, .length = PAGE}},
         1,
         RESOURCE_ENTRIES_MAX + 1,
         ERR_MEMORY},
        {"a list whose size wraps", {{.addr = LOW, .length = PAGE}}, 1, 0x10000001, ERR_MEMORY},
    };
    create_2d(w, 1, 8, 8, 1);
    const struct resource *r = resources_find(&w->commands.table, 1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        uint32_t type = attach_claiming(w, 1, cases[i].entries, cases[i].n, cases[i].claimed);
        if (type != cases[i].expected)
            fail_msg("%s: 0x%x instead of 0x%x", cases[i].what, type, cases[i].expected);
        assert_int_equal(r->n_runs, 0);
        struct virtio_gpu_resource_create_blob blob = {.resource_id = 2,
                                                       .blob_mem = VIRTIO_GPU_BLOB_MEM_GUEST,
                                                       .nr_entries = cases[i].claimed,
                                                       .size = 1};
        type = create_blob(w, blob, cases[i].entries, cases[i].n);
        if (type != cases[i].expected)
            fail_msg("as a blob, %s: 0x%x instead of 0x%x", cases[i].what, type, cases[i].expected);
        assert_null(resources_find(&w->commands.table, 2));
    }
    /* Many pages, all of the memory, in the worst order: fine; one twice: not. */
    struct virtio_gpu_mem_entry pages[512];
    for (unsigned i = 0; i < 512; i++) {
        unsigned page = (i * 193) % 512;
        pages[i] = (struct virtio_gpu_mem_entry){
            .addr = page < 256 ? LOW + page * PAGE : HIGH + (page - 256) * PAGE, .length = PAGE};
    }
    assert_int_equal(attach(w, 1, pages, 512), OK);
    assert_int_equal(r->backing_size, 2 * REGION);
    assert_int_equal(r->n_runs, 512);
    detach(w, 1);
    assert_int_equal(w->commands.table.n_runs, 0);
    pages[100] = pages[400];
    assert_int_equal(attach(w, 1, pages, 512), ERR_PARAM);
    /* Without any memory nothing can be attached. */
    w->commands.ram = NULL;
    assert_int_equal(attach(w, 1, pages, 1), ERR_PARAM);
}

static void test_runs_across_regions(void **state)
{
    struct world *w = *state;
    struct guest_ram ram = {0};
    int fd = fd_memfd("ram", 4 * PAGE);
    /* Neighbours by guest address, not in the file. */
    assert_int_equal(guest_ram_add(&ram, 0, 2 * PAGE, 0, 2 * PAGE, dup(fd)), 0);
    assert_int_equal(guest_ram_add(&ram, 2 * PAGE, 2 * PAGE, 0x100000, 0, fd), 0);
    w->commands.ram = &ram;
    struct virtio_gpu_mem_entry whole = {.addr = PAGE, .length = 2 * PAGE};
    create_2d(w, 1, 8, 8, 1);
    assert_int_equal(attach(w, 1, &whole, 1), OK);
    const struct resource *r = resources_find(&w->commands.table, 1);
    assert_int_equal(r->n_runs, 2);
    assert_int_equal(pwrite(fd, "A", 1, 4 * PAGE - 1), 1);
    assert_int_equal(pwrite(fd, "B", 1, 0), 1);
    char two[2];
    assert_int_equal(resource_copy(r, &ram, PAGE - 1, two, 2, false), 0);
    assert_memory_equal(two, "AB", 2);
    w->commands.ram = &w->ram;
    guest_ram_finish(&ram);
}

static void test_blob(void **state)
{
    struct world *w = *state;
    const struct virtio_gpu_mem_entry two = {.addr = LOW, .length = 2 * PAGE};
    struct virtio_gpu_resource_create_blob good = {
        .resource_id = 1,
        .blob_mem = VIRTIO_GPU_BLOB_MEM_GUEST,
        .blob_flags = VIRTIO_GPU_BLOB_FLAG_USE_SHAREABLE,
        .nr_entries = 1,
        .size = 2 * PAGE,
    };
    assert_int_equal(create_blob(w, good, &two, 1), OK);
    const struct resource *r = resources_find(&w->commands.table, 1);
    assert_int_equal(r->kind, RESOURCE_BLOB);
    assert_int_equal(r->backing_size, 2 * PAGE);
    assert_int_equal(create_blob(w, good, &two, 1), ERR_ID);
    struct virtio_gpu_resource_create_blob bad = good;
    bad.resource_id = 0;
    assert_int_equal(create_blob(w, bad, &two, 1), ERR_ID);
    bad = good;
    bad.resource_id = 2;
    bad.size = 2 * PAGE + 1;
    assert_int_equal(create_blob(w, bad, &two, 1), ERR_PARAM);
    bad.size = 0;
    assert_int_equal(create_blob(w, bad, &two, 1), ERR_PARAM);
    bad.size = UINT64_MAX;
    assert_int_equal(create_blob(w, bad, &two, 1), ERR_PARAM);
    bad.size = PAGE;
    bad.blob_flags = 8;
    assert_int_equal(create_blob(w, bad, &two, 1), ERR_PARAM);
    bad.blob_flags = 0;
    static const uint32_t memories[] = {0, VIRTIO_GPU_BLOB_MEM_HOST3D,
                                        VIRTIO_GPU_BLOB_MEM_HOST3D_GUEST, 4};
    for (unsigned i = 0; i < 4; i++) {
        bad.blob_mem = memories[i];
        assert_int_equal(create_blob(w, bad, &two, 1), ERR_PARAM);
    }
    bad.blob_mem = VIRTIO_GPU_BLOB_MEM_GUEST;
    w->commands.features = 0;
    assert_int_equal(create_blob(w, bad, &two, 1), ERR_UNSPEC);
    assert_null(resources_find(&w->commands.table, 2));
    w->commands.features = COMMANDS_FEATURES;
    assert_int_equal(create_blob(w, bad, &two, 1), OK);
    assert_int_equal(detach(w, 2), OK);
    assert_int_equal(unref(w, 2), OK);
    assert_int_equal(unref(w, 2), ERR_ID);
}

static void test_unref_of_held(void **state)
{
    struct world *w = *state;
    struct resource *doomed;
    struct virtio_gpu_resource_unref c = {HDR(RESOURCE_UNREF), .resource_id = 1};
    create_2d(w, 1, 8, 8, 1);
    struct resource *r = resources_find(&w->commands.table, 1);
    uint64_t generation = r->generation;
    r->holds = 1;
    assert_int_equal(execute_held(w, &c, sizeof(c), &doomed), OK);
    assert_ptr_equal(doomed, r);
    assert_ptr_equal(w->last_gone, r);
    assert_null(resources_find(&w->commands.table, 1));
    /* The id may be used again before the old one is let go. */
    assert_int_equal(create_2d(w, 1, 8, 8, 1), OK);
    assert_true(resources_find(&w->commands.table, 1)->generation > generation);
    resource_destroy(&w->commands.table, doomed);
    assert_non_null(resources_find(&w->commands.table, 1));
}

static void test_exhaustion(void **state)
{
    struct world *w = *state;
    for (uint32_t i = 1; i <= RESOURCES_MAX; i++)
        assert_int_equal(create_2d(w, i * 4096, 8, 8, 1), OK);
    assert_int_equal(create_2d(w, 1, 8, 8, 1), ERR_MEMORY);
    assert_int_equal(unref(w, 4096), OK);
    assert_int_equal(create_2d(w, 1, 8, 8, 1), OK);
}

/* Against a model: which ids exist, of which generation, with how much memory. */
static void test_model(void **state)
{
    enum { IDS = 40 };
    struct world *w = *state;
    struct {
        bool exists;
        uint64_t size, generation;
    } model[IDS + 1] = {0};
    uint32_t seed = 12345;
    uint64_t newest = 0;
    for (unsigned step = 0; step < 20000; step++) {
        seed = seed * 1664525u + 1013904223u;
        uint32_t id = (seed >> 8) % IDS + 1, pages = (seed >> 20) % 8 + 1;
        uint64_t start = (seed >> 13) % 240;
        struct virtio_gpu_mem_entry e[2] = {
            {.addr = LOW + start * PAGE, .length = pages * PAGE},
            {.addr = HIGH + start * PAGE, .length = PAGE},
        };
        struct resource *r;
        switch (seed >> 29) {
        case 0:
        case 1:
            assert_int_equal(create_2d(w, id, 8, 8, 1), model[id].exists ? ERR_ID : OK);
            if (!model[id].exists)
                model[id].exists = true, model[id].size = 0;
            break;
        case 2:
            assert_int_equal(unref(w, id), model[id].exists ? OK : ERR_ID);
            model[id].exists = false;
            break;
        case 3:
        case 4:
        case 5:
            assert_int_equal(attach(w, id, e, 2), !model[id].exists ? ERR_ID
                                                  : model[id].size  ? ERR_UNSPEC
                                                                    : OK);
            if (model[id].exists && !model[id].size)
                model[id].size = (pages + 1) * PAGE;
            break;
        default:
            assert_int_equal(detach(w, id), !model[id].exists ? ERR_ID
                                            : model[id].size  ? OK
                                                              : ERR_UNSPEC);
            model[id].size = 0;
            break;
        }
        uint32_t n = 0;
        uint64_t runs = 0;
        for (uint32_t i = 1; i <= IDS; i++) {
            r = resources_find(&w->commands.table, i);
            assert_int_equal(r != NULL, model[i].exists);
            if (!r)
                continue;
            n++;
            runs += r->n_runs;
            assert_int_equal(r->backing_size, model[i].size);
            if (r->generation != model[i].generation) /* never one that was there before */
                assert_true(r->generation > newest);
        }
        for (uint32_t i = 1; i <= IDS; i++) {
            r = resources_find(&w->commands.table, i);
            if (r) {
                model[i].generation = r->generation;
                newest = r->generation > newest ? r->generation : newest;
            }
        }
        assert_int_equal(w->commands.table.n, n);
        assert_int_equal(w->commands.table.n_runs, runs);
    }
}

static void test_ram(void **state)
{
    (void)state;
    struct guest_ram ram = {0};
    int before = count_fds();
    int fd = fd_memfd("ram", 4 * PAGE);
    assert_int_equal(guest_ram_add(&ram, 0, 0, 0, 0, dup(fd)), -EINVAL);
    assert_int_equal(guest_ram_add(&ram, UINT64_MAX, 2, 0, 0, dup(fd)), -EINVAL);
    assert_int_equal(guest_ram_add(&ram, 0, PAGE, UINT64_MAX, 0, dup(fd)), -EINVAL);
    assert_int_equal(guest_ram_add(&ram, 0, PAGE, 0, UINT64_MAX, dup(fd)), -EINVAL);
    assert_int_equal(guest_ram_add(&ram, 0, 5 * PAGE, 0, 0, dup(fd)), -ENXIO);
    assert_int_equal(guest_ram_add(&ram, 0, PAGE, 0, 4 * PAGE, dup(fd)), -ENXIO);
    assert_int_equal(guest_ram_add(&ram, PAGE, PAGE, PAGE, 0, dup(fd)), 0);
    assert_int_equal(guest_ram_add(&ram, 0, 2 * PAGE, 8 * PAGE, 0, dup(fd)),
                     -EINVAL); /* overlaps by gpa */
    assert_int_equal(guest_ram_add(&ram, 8 * PAGE, 2 * PAGE, 0, 0, dup(fd)),
                     -EINVAL); /* by uaddr */
    assert_int_equal(guest_ram_add(&ram, 2 * PAGE, 2 * PAGE, 2 * PAGE, 2 * PAGE, dup(fd)), 0);
    assert_non_null(guest_ram_at(&ram, PAGE, PAGE));
    assert_null(guest_ram_at(&ram, PAGE, PAGE + 1));
    assert_null(guest_ram_at(&ram, PAGE, UINT64_MAX));
    assert_null(guest_ram_at(&ram, 0, 1));
    assert_null(guest_ram_at_uaddr(&ram, UINT64_MAX, 2));
    assert_int_equal(guest_ram_remove(&ram, PAGE, PAGE, 0), -ENOENT);
    assert_int_equal(guest_ram_remove(&ram, PAGE, PAGE, PAGE), 0);
    assert_null(guest_ram_find(&ram, PAGE));
    for (uint64_t i = ram.n; i < GUEST_RAM_REGIONS_MAX; i++)
        assert_int_equal(guest_ram_add(&ram, (i + 10) * PAGE, PAGE, (i + 10) * PAGE, 0, dup(fd)),
                         0);
    assert_int_equal(guest_ram_add(&ram, 100 * PAGE, PAGE, 100 * PAGE, 0, dup(fd)), -E2BIG);
    guest_ram_finish(&ram);
    fd_close(fd);
    assert_int_equal(count_fds(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_attach, commands_setup, commands_teardown),
        cmocka_unit_test_setup_teardown(test_backing_that_is_refused, commands_setup,
                                        commands_teardown),
        cmocka_unit_test_setup_teardown(test_runs_across_regions, commands_setup,
                                        commands_teardown),
        cmocka_unit_test_setup_teardown(test_blob, commands_setup, commands_teardown),
        cmocka_unit_test_setup_teardown(test_unref_of_held, commands_setup, commands_teardown),
        cmocka_unit_test_setup_teardown(test_exhaustion, commands_setup, commands_teardown),
        cmocka_unit_test_setup_teardown(test_model, commands_setup, commands_teardown),
        cmocka_unit_test(test_ram),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
