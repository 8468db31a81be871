/* SPDX-License-Identifier: MIT */
/* Which interface each id has: ids are dense, either side makes its own, and an id is free only
 * when the other side said so. The data kept with an object goes exactly once. */
#include "tests/unit/support.h"

#include "common/wayland/wl-objects.h"

static const struct wl_iface *surface, *region;
static struct wl_objects objects;

struct thing {
    struct wl_data data;
    int destroyed;
};

static void thing_destroy(struct wl_data *data)
{
    ((struct thing *)data)->destroyed++;
}

static const struct wl_data_type thing_type = {.name = "thing", .destroy = thing_destroy};

static int setup(void **state)
{
    (void)state;
    surface = wl_iface_find("wl_surface", 10);
    region = wl_iface_find("wl_region", 9);
    return wl_objects_init(&objects, NULL);
}

static int teardown(void **state)
{
    (void)state;
    wl_objects_finish(&objects);
    return 0;
}

static struct thing thing(void)
{
    return (struct thing){.data = {.type = &thing_type}};
}

static void test_display_is_there(void **state)
{
    (void)state;
    struct wl_object *display = wl_objects_get(&objects, 1);
    assert_non_null(display);
    assert_string_equal(display->iface->name, "wl_display");
    assert_int_equal(display->version, 1);
    wl_objects_delete(&objects, 1); /* nobody may free it */
    assert_non_null(wl_objects_get(&objects, 1));
}

static void test_unknown_ids(void **state)
{
    (void)state;
    static const uint32_t ids[] = {0,
                                   2,
                                   3,
                                   0x7fffffff,
                                   0x80000000u,
                                   WL_SERVER_ID_BASE - 1,
                                   WL_SERVER_ID_BASE,
                                   WL_SERVER_ID_BASE + 1,
                                   UINT32_MAX};
    for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++) {
        assert_null(wl_objects_get(&objects, ids[i]));
        wl_objects_retire(&objects, ids[i]); /* harmless */
        wl_objects_delete(&objects, ids[i]);
    }
}

static void test_ids_are_dense(void **state)
{
    (void)state;
    assert_int_equal(wl_objects_add(&objects, false, 3, surface, 1),
                     WL_OBJECTS_E_RANGE); /* 2 is next */
    assert_int_equal(wl_objects_add(&objects, false, 2, surface, 4), WL_OBJECTS_OK);
    assert_int_equal(wl_objects_add(&objects, false, 2, surface, 1), WL_OBJECTS_E_USED);
    assert_int_equal(wl_objects_add(&objects, false, 3, region, 1), WL_OBJECTS_OK);
    assert_ptr_equal(wl_objects_get(&objects, 2)->iface, surface);
    assert_int_equal(wl_objects_get(&objects, 2)->version, 4);
    assert_ptr_equal(wl_objects_get(&objects, 3)->iface, region);
    assert_int_equal(wl_objects_add(&objects, true, WL_SERVER_ID_BASE + 1, surface, 1),
                     WL_OBJECTS_E_RANGE);
    assert_int_equal(wl_objects_add(&objects, true, WL_SERVER_ID_BASE, surface, 1), WL_OBJECTS_OK);
    assert_int_equal(wl_objects_add(&objects, true, WL_SERVER_ID_BASE + 1, surface, 1),
                     WL_OBJECTS_OK);
    assert_int_equal(wl_objects_add(&objects, true, WL_SERVER_ID_BASE + 1, surface, 1),
                     WL_OBJECTS_E_USED);
}

static void test_each_side_has_its_range(void **state)
{
    (void)state;
    assert_int_equal(wl_objects_add(&objects, false, 0, surface, 1), WL_OBJECTS_E_RANGE);
    assert_int_equal(wl_objects_add(&objects, true, 0, surface, 1), WL_OBJECTS_E_RANGE);
    assert_int_equal(wl_objects_add(&objects, true, 2, surface, 1), WL_OBJECTS_E_RANGE);
    assert_int_equal(wl_objects_add(&objects, false, WL_SERVER_ID_BASE, surface, 1),
                     WL_OBJECTS_E_RANGE);
    assert_int_equal(wl_objects_add(&objects, false, 1, surface, 1), WL_OBJECTS_E_USED);
    assert_int_equal(wl_objects_add(&objects, true, UINT32_MAX, surface, 1), WL_OBJECTS_E_RANGE);
}

static void test_client_id_is_free_after_delete_only(void **state)
{
    (void)state;
    assert_int_equal(wl_objects_add(&objects, false, 2, surface, 1), WL_OBJECTS_OK);
    wl_objects_retire(&objects, 2);
    struct wl_object *zombie = wl_objects_get(&objects, 2);
    assert_non_null(zombie); /* events may still come to it */
    assert_true(zombie->zombie);
    assert_ptr_equal(zombie->iface, surface);
    assert_int_equal(wl_objects_add(&objects, false, 2, region, 1), WL_OBJECTS_E_USED);
    wl_objects_delete(&objects, 2);
    assert_null(wl_objects_get(&objects, 2));
    assert_int_equal(wl_objects_add(&objects, false, 2, region, 3), WL_OBJECTS_OK);
    assert_ptr_equal(wl_objects_get(&objects, 2)->iface, region);
    assert_false(wl_objects_get(&objects, 2)->zombie);
    assert_int_equal(wl_objects_get(&objects, 2)->version, 3);
}

static void test_freed_ids_are_taken_in_any_order(void **state)
{
    (void)state;
    for (uint32_t id = 2; id < 100; id++)
        assert_int_equal(wl_objects_add(&objects, false, id, surface, 1), WL_OBJECTS_OK);
    wl_objects_delete(&objects, 50);
    wl_objects_delete(&objects, 7);
    wl_objects_delete(&objects, 99);
    assert_int_equal(wl_objects_add(&objects, false, 99, region, 1), WL_OBJECTS_OK);
    assert_int_equal(wl_objects_add(&objects, false, 7, region, 1), WL_OBJECTS_OK);
    assert_int_equal(wl_objects_add(&objects, false, 100, region, 1), WL_OBJECTS_OK);
    assert_int_equal(wl_objects_add(&objects, false, 50, region, 1), WL_OBJECTS_OK);
    assert_int_equal(wl_objects_add(&objects, false, 102, region, 1), WL_OBJECTS_E_RANGE);
}

static void test_server_reuses_what_the_client_destroyed(void **state)
{
    (void)state;
    const uint32_t id = WL_SERVER_ID_BASE;
    struct thing kept = thing();
    assert_int_equal(wl_objects_add(&objects, true, id, surface, 1), WL_OBJECTS_OK);
    wl_objects_get(&objects, id)->data = &kept.data;
    assert_int_equal(wl_objects_add(&objects, true, id, region, 1), WL_OBJECTS_E_USED);
    wl_objects_retire(&objects, id);
    assert_int_equal(kept.destroyed, 1);
    assert_int_equal(wl_objects_add(&objects, true, id, region, 2),
                     WL_OBJECTS_OK); /* no delete_id for a server's ids */
    assert_ptr_equal(wl_objects_get(&objects, id)->iface, region);
    assert_false(wl_objects_get(&objects, id)->zombie);
    assert_null(wl_objects_get(&objects, id)->data);
    assert_int_equal(kept.destroyed, 1);
}

static void test_data_goes_once(void **state)
{
    (void)state;
    struct thing retired = thing(), deleted = thing(), left = thing(), on_zombie = thing();
    for (uint32_t id = 2; id <= 5; id++)
        assert_int_equal(wl_objects_add(&objects, false, id, surface, 1), WL_OBJECTS_OK);
    wl_objects_get(&objects, 2)->data = &retired.data;
    wl_objects_get(&objects, 3)->data = &deleted.data;
    wl_objects_get(&objects, 4)->data = &left.data;
    wl_objects_retire(&objects, 5);
    wl_objects_get(&objects, 5)->data = &on_zombie.data;
    wl_objects_retire(&objects, 2);
    assert_int_equal(retired.destroyed, 1);
    wl_objects_retire(&objects, 2);
    wl_objects_delete(&objects, 2);
    assert_int_equal(retired.destroyed, 1);
    wl_objects_delete(&objects, 3); /* the compositor need not wait for a destructor */
    assert_int_equal(deleted.destroyed, 1);
    wl_objects_delete(&objects, 3);
    assert_int_equal(left.destroyed, 0);
    wl_objects_finish(&objects);
    assert_int_equal(left.destroyed, 1);
    assert_int_equal(on_zombie.destroyed, 1);
    assert_int_equal(retired.destroyed, 1);
    assert_int_equal(deleted.destroyed, 1);
}

static void test_client_makes_anew_what_has_no_events(void **state)
{
    (void)state;
    assert_int_equal(wl_objects_add(&objects, false, 2, region, 1), WL_OBJECTS_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(wl_objects_add(&objects, false, 2, region, 1), WL_OBJECTS_E_USED);
        wl_objects_retire(&objects, 2);
        assert_int_equal(wl_objects_add(&objects, false, 2, region, 1), WL_OBJECTS_OK);
    }
    for (int i = 0; i < 3; i++) {
        assert_false(wl_objects_delete(&objects, 2)); /* of those before */
        assert_ptr_equal(wl_objects_get(&objects, 2)->iface, region);
    }
    assert_true(wl_objects_delete(&objects, 2));
    assert_null(wl_objects_get(&objects, 2));
}

static void test_data_that_lingers(void **state)
{
    (void)state;
    struct thing lingering = thing();
    lingering.data.lingers = true;
    assert_int_equal(wl_objects_add(&objects, false, 2, surface, 1), WL_OBJECTS_OK);
    wl_objects_get(&objects, 2)->data = &lingering.data;
    wl_objects_retire(&objects, 2);
    assert_int_equal(lingering.destroyed, 0);
    assert_true(wl_objects_delete(&objects, 2));
    assert_int_equal(lingering.destroyed, 1);
}

static void test_data_without_destroy(void **state)
{
    (void)state;
    static const struct wl_data_type type = {.name = "plain"};
    static struct wl_data plain = {.type = &type};
    assert_int_equal(wl_objects_add(&objects, false, 2, surface, 1), WL_OBJECTS_OK);
    wl_objects_get(&objects, 2)->data = &plain;
    wl_objects_retire(&objects, 2);
    assert_null(wl_objects_get(&objects, 2)->data);
}

static void test_limit(void **state)
{
    (void)state;
    for (uint32_t id = 2; id <= WL_OBJECTS_MAX; id++)
        if (wl_objects_add(&objects, false, id, surface, 1) != WL_OBJECTS_OK)
            fail_msg("id %u", id);
    assert_int_equal(wl_objects_add(&objects, false, WL_OBJECTS_MAX + 1, surface, 1),
                     WL_OBJECTS_E_FULL);
    wl_objects_delete(&objects, 1000); /* room again */
    assert_int_equal(wl_objects_add(&objects, false, 1000, region, 1), WL_OBJECTS_OK);
    /* The other side has a limit of its own. */
    assert_int_equal(wl_objects_add(&objects, true, WL_SERVER_ID_BASE, surface, 1), WL_OBJECTS_OK);
}

static void test_finish_twice(void **state)
{
    (void)state;
    wl_objects_finish(&objects);
    assert_null(wl_objects_get(&objects, 1));
    wl_objects_finish(&objects);
}

static void test_error_names(void **state)
{
    (void)state;
    for (int error = WL_OBJECTS_OK; error <= WL_OBJECTS_E_FULL; error++)
        assert_string_not_equal(wl_objects_error_name(error), "unknown error");
    assert_string_equal(wl_objects_error_name(WL_OBJECTS_E_FULL + 1), "unknown error");
    assert_string_equal(wl_objects_error_name(-1), "unknown error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_display_is_there, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unknown_ids, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ids_are_dense, setup, teardown),
        cmocka_unit_test_setup_teardown(test_each_side_has_its_range, setup, teardown),
        cmocka_unit_test_setup_teardown(test_client_id_is_free_after_delete_only, setup, teardown),
        cmocka_unit_test_setup_teardown(test_freed_ids_are_taken_in_any_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_server_reuses_what_the_client_destroyed, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_data_goes_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_client_makes_anew_what_has_no_events, setup, teardown),
        cmocka_unit_test_setup_teardown(test_data_that_lingers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_data_without_destroy, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_finish_twice, setup, teardown),
        cmocka_unit_test(test_error_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
