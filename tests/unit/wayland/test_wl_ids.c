/* SPDX-License-Identifier: MIT */
/* Two sides that hand out ids densely, each in its own way of counting, against lists of who is
 * who. */
#include "tests/unit/support.h"

#include "common/wayland/wl-ids.h"

static const struct wl_iface *buffer, *surface;
static struct wl_objects objects;
static struct wl_ids ids;

static int setup(void **state)
{
    (void)state;
    buffer = wl_iface_find("wl_buffer", 9);
    surface = wl_iface_find("wl_surface", 10);
    return wl_objects_init(&objects, NULL);
}

static int teardown(void **state)
{
    (void)state;
    wl_ids_finish(&ids);
    wl_objects_finish(&objects);
    return 0;
}

#define FIRST WL_SERVER_ID_BASE

static void add(bool by_server)
{
    uint32_t id = (by_server ? FIRST : 1) + objects.side[by_server].n;
    assert_int_equal(wl_objects_add(&objects, by_server, id, surface, 1), WL_OBJECTS_OK);
}

static void assert_same(uint32_t application, uint32_t host)
{
    if (wl_ids_host(&ids, application) != host || wl_ids_application(&ids, host) != application)
        fail_msg("%#x is %#x for the host (not %#x), %#x is %#x for the application (not %#x)",
                 application, wl_ids_host(&ids, application), host, host,
                 wl_ids_application(&ids, host), application);
}

static struct wl_id_pair pair(void)
{
    struct wl_id_pair p = {0};
    assert_int_equal(wl_ids_add(&ids, &objects, buffer, 1, &p), WL_IDS_OK);
    assert_ptr_equal(wl_objects_get(&objects, p.application)->iface, buffer);
    return p;
}

static const uint32_t impossible[] = {0,         WL_OBJECTS_MAX + 1,     0x7fffffff, 0x80000000u,
                                      FIRST - 1, FIRST + WL_OBJECTS_MAX, UINT32_MAX};

static void test_nothing_to_translate(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 100; i++) {
        assert_same(i, i);
        assert_same(FIRST + i, FIRST + i);
    }
    for (size_t i = 0; i < sizeof(impossible) / sizeof(*impossible); i++)
        assert_same(impossible[i], impossible[i]);
}

static void test_one_pair(void **state)
{
    (void)state;
    add(false); /* 2 */
    add(true);  /* FIRST */
    struct wl_id_pair p = pair();
    assert_int_equal(p.application, FIRST + 1);
    assert_int_equal(p.host, 3);
    assert_same(FIRST + 1, 3);
    assert_same(1, 1);
    assert_same(2, 2);
    assert_same(3, 4); /* the client's next one */
    assert_same(4, 5);
    assert_same(FIRST, FIRST);
    assert_same(FIRST + 2, FIRST + 1); /* the compositor's next one */
    assert_same(FIRST + 3, FIRST + 2);
    for (size_t i = 0; i < sizeof(impossible) / sizeof(*impossible); i++) {
        assert_int_equal(wl_ids_host(&ids, impossible[i]), impossible[i]);
        assert_int_equal(wl_ids_application(&ids, impossible[i]), impossible[i]);
    }
}

static void test_a_pair_serves_again(void **state)
{
    (void)state;
    struct wl_id_pair first = pair(), second = pair(), again;
    assert_int_not_equal(first.application, second.application);
    wl_objects_retire(&objects, first.application);
    again = pair(); /* not yet: the host may still speak of it */
    assert_int_not_equal(again.application, first.application);
    wl_objects_delete(&objects, first.application);
    again = pair();
    assert_int_equal(again.application, first.application);
    assert_int_equal(again.host, first.host);
    assert_int_equal(ids.n, 3);
}

static void test_there_are_only_so_many(void **state)
{
    (void)state;
    struct wl_id_pair p, last = {0};
    for (unsigned i = 0; i < WL_IDS_MAX; i++)
        last = pair();
    assert_int_equal(wl_ids_add(&ids, &objects, buffer, 1, &p), WL_IDS_E_FULL);
    wl_objects_delete(&objects, last.application);
    assert_int_equal(pair().host, last.host);
}

static void test_no_more_objects_than_a_table_has(void **state)
{
    (void)state;
    struct wl_id_pair p;
    while (objects.side[0].n < WL_OBJECTS_MAX - 1)
        add(false);
    pair();
    assert_int_equal(wl_ids_add(&ids, &objects, buffer, 1, &p), WL_IDS_E_FULL);
    assert_int_equal(objects.side[1].n, 1);
}

/* Whatever the order in which the three make objects, each keeps its counterpart. */
static void test_against_lists(void **state)
{
    (void)state;
    enum { N = 600 };
    static struct wl_id_pair same[N];
    uint32_t host_client = 2, host_server = FIRST; /* the next ids at the host */
    uint32_t seed = 7;
    for (size_t n = 0; n < N; n++) {
        seed = seed * 1664525 + 1013904223;
        unsigned what = seed >> 29;
        if (what < 3) {
            same[n] = (struct wl_id_pair){1 + objects.side[0].n, host_client++};
            add(false);
        } else if (what < 6) {
            same[n] = (struct wl_id_pair){FIRST + objects.side[1].n, host_server++};
            add(true);
        } else {
            uint32_t expected = FIRST + objects.side[1].n;
            same[n] = pair();
            assert_int_equal(same[n].application, expected);
            assert_int_equal(same[n].host, host_client++);
        }
        for (size_t i = 0; i <= n; i++)
            assert_same(same[i].application, same[i].host);
        assert_same(1 + objects.side[0].n, host_client);
        assert_same(FIRST + objects.side[1].n, host_server);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_to_translate),
        TEST(test_one_pair),
        TEST(test_a_pair_serves_again),
        TEST(test_there_are_only_so_many),
        TEST(test_no_more_objects_than_a_table_has),
        TEST(test_against_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
